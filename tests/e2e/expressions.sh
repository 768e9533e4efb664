#!/usr/bin/env bash
# Expressions: the working of 10^5 of them is exact by Python's fractions, the splits never meet, a small model learns to
# calculate line by line, and is asked, shown and compared with a file.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

readonly USAGE=64 DATA=65 NO_INPUT=66

check() {
    /usr/bin/python3 -B "$here/expressions.py" "$dtrain" "$@" || fail "the working of an expression is wrong"
}
check 60000 --digits 3 --operations 4
check 20000 --digits 1 --operations 2 --seed 2
check 15000 --digits 8 --operations 8 --depth 3 --seed 3
check 5000 --digits 17 --operations 10 --depth 3 --seed 4
check 10000 --digits 5 --dividend-digits 9 --divisor-digits 3 --numbers natural --working near

# ---- the same calculation is never in two splits, whichever of its numbers comes first ----

for working in plain "near --numbers natural"; do
    for split in train validation test; do
        # shellcheck disable=SC2086 # words
        expect_exit 0 "$dtrain" data --format expression --working $working --digits 1 --operations 1 --split "$split" --count 20000 --tsv
        cut -f 4 out >>"$split"
    done
done
/usr/bin/python3 -B -c '
import re
def plain(line):
    """Where the highest digit is a letter behind the others, and - stands for no sum."""
    line = re.sub(r"[,!]([K-T])\+", lambda part: chr(ord(part[1]) - ord("K") + ord("0")) + "+", line, count=1)
    return line.replace("+-$", "+^$")
def calculations(name):
    """Sums and products of two whole numbers that lines of this split begin with."""
    found = set()
    for line in open(name):
        if match := re.match(r"[EBSM]([\^~]\d+)([+*])([\^~]\d+)(?:\+[\^~])?\$", plain(line.split("\t")[-1])):
            found.add((match[2], *sorted((match[1], match[3]))))
        elif match := re.match(r"Q([\^~]\d+)([+*])([\^~]\d+)\$", line):
            found.add((match[2], *sorted((match[1], match[3]))))
    return found
splits = [calculations(name) for name in ("train", "validation", "test")]
print("calculations by split:", *map(len, splits))
assert all(len(split) >= 10 for split in splits)
assert not splits[0] & splits[1] and not splits[0] & splits[2] and not splits[1] & splits[2]' || fail "splits meet"

# ---- a small model: single lines at first; one that only guesses gets no question right ----

expect_exit 0 start 2 --format expression --ops + --digits 1 --operations 1 --depth 0 --layers 2 --width 64 --heads 4 --batch 64 \
    --lr 5e-3 --warmup 20 --steps 900 --eval-every 300 --eval-examples 256 --out sums
expect_exit 0 start 2 eval sums --count 64 --json
/usr/bin/python3 -B -c '
import json, sys
result = json.load(open(sys.argv[1]))
print("exact match:", result["exact_match"], "by operations:", result["operations"])
assert result["problems"] == 64 and result["exact_match"] >= 0.2, result
assert sum(row["problems"] for row in result["operations"].values()) == 64' out || fail "expressions were not learnt"
expect_exit 0 start 2 eval sums --count 64 --errors wrong.tsv
grep -qE 'operations:.* 1: [0-9.]+ % of [0-9]+' out || fail "no accuracy by operations"
expect_exit "$USAGE" start 2 eval sums --exhaustive
grep -q 'leave out --exhaustive' err || fail "no sentence on --exhaustive"

# ---- the settings that come with dtrain ----

expect_exit 0 start 2 --config "$here/../../jobs/calculator.ini" --width 16 --batch 8 --steps 2 --eval-examples 8 --out preset
expect_exit 0 "$dtrain" info preset --json
/usr/bin/python3 -B -c '
import json
settings = json.load(open("out"))["settings"]
assert settings["format"] == "expression" and settings["digits"] == 15 and settings["steps"] == 2, settings' || fail "not the settings of the file"

for file in multiplication division; do
    expect_exit 0 start 2 --config "$here/../../jobs/$file.ini" --width 16 --batch 8 --steps 2 --eval-every 2 --eval-examples 8 --out $file
    expect_exit 0 "$dtrain" info $file --json
    grep -qE '"place-window":[23]' out || fail "not the settings of $file.ini"
done

# ---- a signal stops the questions of a file ----

yes $'2+3\t5' | head -100000 >many.tsv || true
expect_exit 75 timeout --preserve-status --signal TERM 3 "$dtrain" eval sums --file many.tsv

# ---- questions of a file: the same counts on any number of ranks; what cannot be read is not answered ----

printf '2+3\t5\n2+3\t6\nTell me 2+3\t5\n\nWhat is 2 plus 3?\t5\n12345678901234567890+1\t12345678901234567891\n' >asked.tsv
expect_exit 0 start 1 eval sums --file asked.tsv --json
cp out one.json
expect_exit 0 start 2 eval sums --file asked.tsv --json
cmp out one.json || fail "the counts depend on the number of ranks"
/usr/bin/python3 -B -c '
import json, sys
result = json.load(open(sys.argv[1]))
assert result["questions"] == 5 and result["answered"] == 3 and result["right"] in (0, 1, 2), result' one.json || fail "wrong counts"
# What the model answers by `ask` is right here where it is true, and nothing else is.
questions=()
for a in {1..9}; do for b in 2 5 8; do questions+=("$a+$b"); done; done
code=0 # of a question without a readable answer, whose line is empty
printf '%s\n' "${questions[@]}" | "$dtrain" ask sums >out 2>err || code=$?
((code == 0 || code == DATA)) || fail "exit code $code of ask"
paste <(printf '%s\n' "${questions[@]}") out | grep -P '^\S+\t[0-9]+$' >own.tsv || true
expect_exit 0 start 2 eval sums --file own.tsv --json
/usr/bin/python3 -B -c '
import json
rows = [line.split() for line in open("own.tsv")]
true = sum(eval(asked) == int(value) for asked, value in rows)
result = json.load(open("out"))
assert true >= 3 and result["right"] == true and result["answered"] == result["questions"] == len(rows), (true, result)' || fail "answers are miscounted"
sed 's/$/1/' own.tsv >others.tsv
expect_exit 0 start 2 eval sums --file others.tsv --json
grep -q '"right":0' out || fail "other answers are right"
expect_exit 0 start 2 eval sums --file asked.tsv --errors listed.tsv
head -1 listed.tsv | grep -qP '^line\tasked\tvalue\tanswer\ttext$' || fail "the list of errors has no heading"
grep -qP '^2\t2\+3\t6\t' listed.tsv || fail "a wrong answer is not listed"
grep -qP '^3\tTell me 2\+3\t5\trefused: [^\t]*:3:1: a number is missing' listed.tsv || fail "what is refused is not listed"
printf '2+3\n' >untabbed.tsv
expect_exit "$DATA" start 1 eval sums --file untabbed.tsv
grep -q 'a tab and a value are missing' err || fail "no sentence on a line without a tab"
expect_exit "$NO_INPUT" start 1 eval sums --file absent.tsv

# ---- asking: what cannot be read is refused with the place ----

expect_exit "$USAGE" "$dtrain" ask sums "2+(3*4"
grep -q 'the bracket ) is missing' err || fail "no sentence on a bracket"
expect_exit "$USAGE" "$dtrain" ask sums "2+3+4+5+6+7+8+9+1+2+3+4+5+6+7+8+9+1+2+3+4+5+6+7+8+9+1+2+3+4+5+6+7+8+9"
grep -q 'ask a shorter one' err || fail "no sentence on a question that is too long"
expect_exit "$USAGE" "$dtrain" ask sums "12345678901234567890+1"
grep -q "a number has 20 digits" err || fail "no sentence on a number that is too long"

# ---- other programs would see whole texts, of which the model knows lines alone ----

expect_exit "$USAGE" "$dtrain" export sums --to exported
grep -q 'other programs do not put the lines together' err || fail "no sentence on exporting a calculator"
