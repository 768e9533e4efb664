#!/usr/bin/env bash
# From text to answers: the example of src/data/README.md gives a model that answers; lines are read with the vocabulary of the text.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
top=$here/../..

# ---- the example, as written ----

mkdir build
ln -s "$dtrain" build/dtrain
ln -s "$top/jobs" jobs
PATH=$(dirname "$mpirun"):$PATH
ran=0
while IFS= read -r line; do
    expect_exit 0 eval "${line%%#*} </dev/null"
    ran=$((ran + 1))
done < <(awk '$0 == "```" { inside = 0 } inside { print } $0 == "```bash" { inside = 1 }' "$top/src/data/README.md")
((ran == 5)) || fail "$ran commands found in src/data/README.md"
printf '%s\n' Tokyo. 東京です。 "In Norway." >wanted
cmp out wanted || fail "the example answers otherwise"
expect_exit 0 start 2 eval runs/answers --split train --json
/usr/bin/python3 -B -c '
import json
result = json.load(open("out"))
print("answers learned:", result["exact_match"])
assert result["exact_match"] > 0.95 and result["problems"] > 120, result' || fail "the answers were not learned"
expect_exit 0 "$dtrain" sample runs/answers "Where is Rome?" --temperature 0
printf 'Where is Rome?\tIn Italy.\n' | cmp - out || fail "a sample is no answer"
say "the example answers"

# ---- the same on any number of ranks, stopped or not ----

learn=(--train-file answers.txt --lr 5e-3 --steps 12 --eval-every 6 --checkpoint-every 6 --keep 0 --eval-examples 8)
expect_exit 0 start 2 --init-from runs/facts "${learn[@]}" --out two
expect_text err "weights from runs/facts/best.h5" "vocabulary 600" "context 48"
expect_exit 0 start 3 --init-from runs/facts "${learn[@]}" --ranks-per-node 2 --out three
compare_runs two/latest.h5 three/latest.h5
expect_exit 0 start 3 --resume two/checkpoint-00000006.h5 --out half
compare_runs two/latest.h5 half/latest.h5
expect_exit 0 start 2 verify --replay two/checkpoint-00000006.h5 two/checkpoint-00000012.h5
expect_text out "the same bytes"
expect_exit 0 "$dtrain" verify two
# Tokens of characters, too; and from answers to more of them.
cp facts.txt letters.txt
say "What? Where? どこ？" >>letters.txt
small_text=(--context 64 --layers 1 --width 16 --heads 2 --batch 8 --steps 4 --eval-every 4)
expect_exit 0 start 2 --text letters.txt "${small_text[@]}" --out letters
expect_exit 0 start 2 --init-from letters "${learn[@]}" --out spelled
head -n 80 answers.txt >fewer.txt
expect_exit 0 start 2 --init-from spelled "${learn[@]}" --train-file fewer.txt --steps 2 --out more
expect_exit 0 start 2 --init-from letters --text facts.txt --steps 2 --eval-every 2 --out other
expect_text err "text: facts.txt"
say "the vocabulary is kept on any number of ranks"

# ---- what does not fit ----

# bad CODE SENTENCE ARGUMENT…: nothing is begun.
bad() {
    local code=$1 sentence=$2
    shift 2
    expect_exit "$code" start 2 --out bad --steps 2 "$@"
    expect_text err "$sentence"
    [[ ! -e bad ]] || fail "bad input makes a folder"
}
expect_exit 0 start 2 --text facts.txt "${small_text[@]}" --out plain
bad 65 'answers.txt:1:30: "?" begins no token' --init-from plain --train-file answers.txt
printf 'The capital of Peru\tLima\nThe capital of Peru\tLi#ma\n' >foreign.txt
bad 65 'foreign.txt:2:23: "#" begins no token' --init-from plain --train-file foreign.txt
printf 'Peru\tLima\n%s\tLima\n' "$(printf 'の%.0s' {1..70})" >long.txt
bad 65 "long.txt:2:" --init-from plain --train-file long.txt
expect_text err "the line needs 76 tokens, and --context has room for 64"
bad 65 "no line of facts.txt has a prompt and an answer" --init-from plain --train-file facts.txt
say "what does not fit is named"
