#!/usr/bin/env bash
# How well models calculate beyond the lengths they were trained on: a Markdown table of exact answers by length, over seeds.
#
#   SEEDS="1 2 3 4 5" EVAL=8192 tests/bench/lengths.sh build/dtrain --config jobs/addition.ini
#   SEEDS="1 2 3 4 5" EVAL=8192 tests/bench/lengths.sh build/dtrain --config jobs/division.ini
#   LENGTHS="30 50" … tests/bench/lengths.sh …    # both operands of exactly so many digits; up to the --eval-digits of the training
#
# A division is as long as its dividend, anything else as its longer operand. Runs and results stay in build/bench/lengths/NAME of
# the configuration; other settings of the measurement: tests/bench/lib.sh.
set -euo pipefail
name=settings
for word in "$@"; do [[ $word != *.ini ]] || name=$(basename "$word" .ini); done
FOLDER=${FOLDER:-build/bench/lengths}/$name
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

results=()
# evaluate_seed SEED RESULT OPTION…: the same problems for every seed of the training.
evaluate_seed() {
    local seed=$1 result=$2
    shift 2
    results+=("$result")
    [[ ! -s $result ]] || return 0
    "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" eval "$folder/$seed/latest.h5" --split test --seed 1 --count "${EVAL:-4096}" --json "$@" \
        >"$result.new"
    mv "$result.new" "$result"
}

read -ra lengths <<<"${LENGTHS:-}"
for seed in "${seeds[@]}"; do
    # A run that is finished stays as it is; the same command continues one that was stopped.
    train --out "$folder/$seed" "${options[@]}" --seed "$seed" >&2
    ((${#lengths[@]})) || evaluate_seed "$seed" "$folder/$seed.json"
    for length in "${lengths[@]}"; do
        evaluate_seed "$seed" "$folder/$seed.$length.json" --eval-digits "$length" --eval-least-digits "$length"
    done
done

printf '%s, exact answers in percent by length; %s ranks, seeds %s\n\n' "$name" "$ranks" "${seeds[*]}"
/usr/bin/python3 -B - "${results[@]}" <<'END'
import json, statistics, sys
symbols = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
table = {}
for file in sys.argv[1:]:
    told = json.load(open(file))
    for operation, symbol in symbols.items():
        sums = {}
        for cell in told.get(operation, {}).get("cells", []):
            length = cell["a_digits"] if symbol == "/" else max(cell["a_digits"], cell["b_digits"])
            sums[length] = [x + y for x, y in zip(sums.get(length, (0, 0)), (cell["problems"], cell["right"]))]
        for length, (problems, right) in sums.items():
            table.setdefault((symbol, length), []).append(100 * right / problems)
print("| operation | digits | seeds | median | worst | best |\n|---|---|---|---|---|---|")
for (symbol, length), shares in sorted(table.items()):
    print(f"| {symbol} | {length} | {len(shares)} | {statistics.median(shares):.2f} | {min(shares):.2f} | {max(shares):.2f} |")
END
