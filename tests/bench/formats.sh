#!/usr/bin/env bash
# How much each format learns in the same time: a Markdown table of exact answers, format by operation, on held-out problems.
#
#   tests/bench/formats.sh build/dtrain [OPTION…]
#   SECONDS_EACH=90 SEEDS="1 2 3" tests/bench/formats.sh build/dtrain --ops '+-*/'
#
# Medians over the seeds. Settings of the measurement: tests/bench/lib.sh.
set -euo pipefail
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

for format in "${formats[@]}"; do
    steps=$(steps_in "$seconds" "$format")
    printf '%s\n' "$steps" >"$folder/$format.steps"
    for seed in "${seeds[@]}"; do measure "$format-$seed" "$format" "$steps" "$seed"; done
done

# median FORMAT FIELD
median() {
    local seed
    for seed in "${seeds[@]}"; do field "$folder/$1-$seed.json" "$2"; done | percent_median
}

where
printf '\n| format | steps | + | - | * | / | all |\n|---|---|---|---|---|---|---|\n'
for format in "${formats[@]}"; do
    printf '| %s | %s |' "$format" "$(<"$folder/$format.steps")"
    for name in add subtract multiply divide; do printf ' %s |' "$(median "$format" "$name.exact_match")"; done
    printf ' %s |\n' "$(median "$format" exact_match)"
done
