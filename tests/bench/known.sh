#!/usr/bin/env bash
# Measures the table of accuracy that dtrain plan predicts from: exact answers to unseen problems, by operation, after so many
# steps of 32 problems and with so many different ones. Prints src/train/known.inc, and with TABLE=1 a Markdown table instead.
#
#   tests/bench/known.sh build/dtrain >src/train/known.inc
#   STEPS="200 400" EXAMPLES="1000 10000" FORMATS="plain chat" tests/bench/known.sh build/dtrain
#
# EXAMPLES: with so many different problems, and EXAMPLE_STEPS steps. Settings of the measurement: tests/bench/lib.sh.
set -euo pipefail
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
read -ra all_steps <<<"${STEPS:-100 200 400 800 1600 4800}"
read -ra examples <<<"${EXAMPLES:-1000 3000}"
read -ra formats <<<"${FORMATS:-scratchpad}"

# row FORMAT STEPS EXAMPLES: one measurement; EXAMPLES 0: new problems without end.
row() {
    local name=$1-$2-$3 of
    measure "$name" "$1" "$2" "${seeds[0]}" --train-examples "$3"
    of=$(field "$folder/$name.json" add.exact_match subtract.exact_match multiply.exact_match divide.exact_match |
        awk '{ printf "%.2f, %.2f, %.2f, %.2f", 100 * $1, 100 * $2, 100 * $3, 100 * $4 }')
    if [[ -n ${TABLE:-} ]]; then
        # shellcheck disable=SC2016 # Markdown
        printf '| `%s` | %s | %s | %s |\n' "$1" "$2" "${3/#0/new ones}" "${of//,/ |}"
    else
        printf '{DT_FORMAT_%s, %s, %s, {%s}},\n' "${1^^}" "$2" "$3" "$of"
    fi
}

if [[ -n ${TABLE:-} ]]; then
    printf '| format | steps | different problems | + %% | - %% | * %% | / %% |\n|---|---|---|---|---|---|---|\n'
else
    printf '/* format, steps, different problems (0: new ones without end), + - * / */\n'
fi
for format in "${formats[@]}"; do
    for steps in "${all_steps[@]}"; do row "$format" "$steps" 0; done
    for count in "${examples[@]}"; do row "$format" "${EXAMPLE_STEPS:-1600}" "$count"; done
done
