#!/usr/bin/env bash
# The model's texts are right in every format; a model of words is asked, evaluated and checked like any other.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

/usr/bin/python3 -B "$here/formats.py" "$dtrain" 20000 plain reverse scratchpad chat || fail "a text is wrong"

# ---- a model that knows its problems in words ----

chat=(--format chat --ops '+' --digits 1 --layers 2 --width 48 --heads 2 --batch 128 --lr 1e-2 --warmup 20 --steps 200
    --eval-every 100 --eval-examples 128 --checkpoint-every 100)
expect_exit 0 start 2 "${chat[@]}" --out chat
grep 'validation at 200' err
expect_exit 0 start 2 eval chat/latest.h5 --split train --count 500 --json
/usr/bin/python3 -B -c '
import json
result = json.load(open("out"))
print("exact match in words:", result["exact_match"])
assert result["exact_match"] > 0.9 and result["add"]["problems"] == 500, result' || fail "sums in words were not learnt"

# (The domain is so small that the validation split says little: the best model is not the last.)
# The answer to a formula is a number, and to a question a sentence in its language, even if the model has learnt little.
expect_exit 0 "$dtrain" ask chat/latest.h5 4+5 'What is 4 plus 5?' 'ADD 4 and 5' '4足す5は？' '４に５を足すと？'
/usr/bin/python3 -B -c '
import re
lines = open("out").read().splitlines()
number, sentence, english, japanese, becomes = lines
assert re.fullmatch(r"\d+", number) and sentence == number + ".", lines
assert re.fullmatch(r"The sum is \d+\.", english), lines
assert re.fullmatch(r"\d+です。", japanese) and re.fullmatch(r"\d+になります。", becomes), lines' || fail "answers in words"
expect_exit 0 "$dtrain" ask chat/latest.h5 --show-work '4足す5は？'
expect_text out "4 + 5 = " "です。"
expect_exit 64 "$dtrain" ask chat/latest.h5 'What is 4 divided by 5?'
expect_text err "trained on + only"
expect_exit 64 "$dtrain" ask chat/latest.h5 'What is the meaning of life?'
expect_text err "a number is missing" "What is 12 plus 34?"

# The same on another number of ranks, and in a replay between two checkpoints.
expect_exit 0 start 3 "${chat[@]}" --out again
compare_runs chat/latest.h5 again/latest.h5
expect_exit 0 start 3 verify --replay chat/checkpoint-00000100.h5 chat/checkpoint-00000200.h5
say "a model of words is a model like any other"

# Other models are asked in words, too, and answer with numbers.
expect_exit 0 start alone --format plain --ops '+' --digits 1 --layers 1 --width 32 --heads 2 --batch 64 --lr 1e-2 --warmup 10 \
    --steps 200 --eval-every 0 --out plain
expect_exit 0 "$dtrain" ask plain 4+5 'What is 4 plus 5?' '4足す5は？'
/usr/bin/python3 -B -c '
lines = open("out").read().splitlines()
assert lines[0].isdigit() and lines == 3 * lines[:1], lines' || fail "another model understands words"
say "questions in words are understood by every model"
