#!/usr/bin/env bash
# How well models calculate beyond the lengths they were trained on: a Markdown table of exact answers by length, over seeds.
#
#   SEEDS="1 2 3 4 5" EVAL=8192 tests/bench/lengths.sh build/dtrain --config jobs/addition.ini
#   LENGTHS="30 50" … tests/bench/lengths.sh …    # both operands of exactly so many digits; up to the --eval-digits of the training
#   ASK="10*3 16/2" … tests/bench/lengths.sh …    # the first operand of so many digits, the second of so many (--format expression)
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

# draw WHAT FILE: questions like 10*3, a number of 10 digits times one of 3, and their values.
draw() {
    /usr/bin/python3 -B - "$1" "${EVAL:-4096}" >"$2" <<'END'
import random, re, sys
a_digits, symbol, b_digits = re.fullmatch(r"(\d+)([-+*/])(\d+)", sys.argv[1]).groups()
draw = random.Random(1)
for _ in range(int(sys.argv[2])):
    a, b = (draw.randrange(10 ** (int(digits) - 1), 10 ** int(digits)) for digits in (a_digits, b_digits))
    value = {"+": a + b, "-": a - b, "*": a * b, "/": f"{a}/{b}"}[symbol]
    print(f"{a}{symbol}{b}\t{value}")
END
}

# ask_seed SEED WHAT: the result is named after what was asked.
ask_seed() {
    local seed=$1 what=$2 name=${2//\*/x}
    name=${name//\//d}
    local result=$folder/$seed.asked-$name.json
    results+=("$result")
    [[ ! -s $result ]] || return 0
    [[ -s $folder/$name.tsv ]] || draw "$what" "$folder/$name.tsv"
    "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" eval "$folder/$seed/latest.h5" --file "$folder/$name.tsv" --json >"$result.new"
    mv "$result.new" "$result"
}

read -ra lengths <<<"${LENGTHS:-}"
read -ra asked <<<"${ASK:-}"
for seed in "${seeds[@]}"; do
    # A run that is finished stays as it is; the same command continues one that was stopped.
    train --out "$folder/$seed" "${options[@]}" --seed "$seed" >&2
    ((${#lengths[@]} + ${#asked[@]})) || evaluate_seed "$seed" "$folder/$seed.json"
    for length in "${lengths[@]}"; do
        evaluate_seed "$seed" "$folder/$seed.$length.json" --eval-digits "$length" --eval-least-digits "$length"
    done
    for what in "${asked[@]}"; do ask_seed "$seed" "$what"; done
done

printf '%s, exact answers in percent by length; %s ranks, seeds %s\n\n' "$name" "$ranks" "${seeds[*]}"
/usr/bin/python3 -B - "${results[@]}" <<'END'
import json, re, statistics, sys
symbols = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
table = {}
for file in sys.argv[1:]:
    told = json.load(open(file))
    if asked := re.search(r"asked-(\d+)(\D)(\d+)\.json$", file):
        symbol = {"x": "*", "d": "/"}.get(asked[2], asked[2])
        table.setdefault((symbol, int(asked[1]), f" by {asked[3]}"), []).append(100 * told["right"] / told["questions"])
        continue
    for operation, symbol in symbols.items():
        sums = {}
        for cell in told.get(operation, {}).get("cells", []):
            length = cell["a_digits"] if symbol == "/" else max(cell["a_digits"], cell["b_digits"])
            sums[length] = [x + y for x, y in zip(sums.get(length, (0, 0)), (cell["problems"], cell["right"]))]
        for length, (problems, right) in sums.items():
            table.setdefault((symbol, length, ""), []).append(100 * right / problems)
print("| operation | digits | seeds | median | worst | best |\n|---|---|---|---|---|---|")
for (symbol, length, by), shares in sorted(table.items()):
    print(f"| {symbol} | {length}{by} | {len(shares)} | {statistics.median(shares):.2f} | {min(shares):.2f} | {max(shares):.2f} |")
END
