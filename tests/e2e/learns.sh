#!/usr/bin/env bash
# Training learns: short runs of sums, and of all four operations, answer problems they have never seen.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

sums=(--ops + --digits 3 --format reverse)
expect_exit 0 start 2 "${sums[@]}" --layers 2 --width 64 --heads 4 --batch 128 --lr 1e-2 --warmup 30 --steps 300 \
    --eval-every 100 --out sums
grep 'validation at 300' err

expect_exit 0 start 2 eval sums --split test --count 2000 --json
/usr/bin/python3 -B -c '
import json, sys
result = json.load(open(sys.argv[1]))
print("exact match on", result["problems"], "problems of the", result["split"], "split:", result["exact_match"])
assert result["split"] == "test" and result["problems"] == 2000 and result["exact_match"] >= 0.99, result
assert result["add"]["exact_match"] == result["exact_match"], result' out || fail "sums were not learnt"

# The same with ask, compared with the shell's own sums: one wrong answer in twenty is allowed.
expect_exit 0 "$dtrain" data "${sums[@]}" --split test --first 5000 --count 20 --tsv
tail -n +2 out | cut -f 3,4 | tr '\t' + >questions
(($(wc -l <questions) == 20)) || fail "dtrain data gave $(wc -l <questions) problems instead of 20"
expect_exit 0 "$dtrain" ask sums <questions
(($(wc -l <out) == 20)) || fail "$(wc -l <out) answers to 20 questions"
wrong=0
while read -r question && read -r answer <&3; do
    [[ $answer == "$((question))" ]] || {
        say "$question = $answer"
        wrong=$((wrong + 1))
    }
done <questions 3<out
((wrong <= 1)) || fail "$wrong of 20 answers are wrong"
say "$((20 - wrong)) of 20 sums are right"

# The default job, made short: problems of up to two digits. It answered 96 % after these steps; a model that only guesses gets
# a few percent.
expect_exit 0 start 2 --digits 2 --dividend-digits 2 --divisor-digits 1 --steps 800 --eval-every 0 --out four
expect_exit 0 start 2 eval four/latest.h5 --split test --count 1000 --json
/usr/bin/python3 -B -c '
import json, sys
result = json.load(open(sys.argv[1]))
shares = {name: result[name]["exact_match"] for name in ("add", "subtract", "multiply", "divide")}
print(result["exact_match"], shares)
assert result["exact_match"] >= 0.85 and min(shares.values()) >= 0.7, result' out || fail "the four operations were not learnt"
