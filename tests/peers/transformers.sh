#!/usr/bin/env bash
# Hugging Face transformers opens exported models unchanged, and writes the same texts; and a model that it has made computes the
# same here.
# Usage: transformers.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with PyTorch and transformers, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/torch.sh
. "$here/../peers/torch.sh"
python=$(torch_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}")
"$python" -c 'import transformers' 2>/dev/null || "$python" -m pip install --quiet --disable-pip-version-check transformers >&2
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

peer() {
    "$python" -B "$here/../peers/transformers_peer.py" "$@" || fail "transformers_peer.py $*"
}

# ---- there: the same logits, ids, and 200 greedy texts ----

tiny=(--layers 2 --width 64 --heads 2 --batch 32 --warmup 10 --lr 5e-3 --eval-examples 64 --log-level error --ops '+-' --digits 2)
for i in {1..400}; do printf 'Zeile %d: schön, 猫 sagt „miau“ 🙂.\n' "$((i * 7919))"; done >text.txt
declare -A settings=([places]="--steps 100" [marked]="--steps 40 --marks start --sharpness 2"
    [rotary]="--steps 40 --marks start --place-embedding rotary --place-offset 9"
    [window]="--steps 40 --marks start --place-embedding rotary --place-offset 9 --place-window 1" [sharpened]="--steps 40 --positions index --sharpness 1.5"
    [plain]="--steps 100 --positions index --format reverse"
    [chars]="--steps 100 --text text.txt --context 48" [bytes]="--steps 100 --text text.txt --context 48 --tokenizer bytes"
    [merged]="--steps 100 --text text.txt --context 48 --tokenizer bpe:300")
for run in places marked rotary window sharpened plain chars bytes merged; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 start 2 "${tiny[@]}" ${settings[$run]} --out "$run"
    expect_exit 0 start alone eval "$run" --precision float32 --count 64 --dump-logits "$run.json"
    expect_exit 0 "$dtrain" export "$run" --to "$run.st"
    peer logits "$run.st" "$run.json"
done
# A model that has learned little writes texts of all kinds. eval lists what it has generated.
for run in places plain; do
    format=scratchpad
    [[ $run == places ]] || format=reverse
    expect_exit 0 start 2 eval "$run" --precision float32 --split test --count 200 --errors "$run.errors"
    expect_exit 0 "$dtrain" data --split test --count 200 --json --ops '+-' --digits 2 --format "$format"
    peer answers "$run.st" out "$run.errors"
done
for run in chars bytes merged; do
    for i in {1..200}; do printf 'Zeile %d\n' "$i"; done >beginnings
    expect_exit 0 "$dtrain" ask "$run" --precision float32 <beginnings
    peer lines "$run.st" beginnings out
done

# ---- back: a model that transformers has initialised ----

expect_exit 0 "$python" -B "$here/../peers/transformers_peer.py" make made chars.st
expect_exit 0 "$dtrain" import made --out made.run
expect_exit 0 start alone eval made.run --text text.txt --count 32 --dump-logits made.json
peer logits made made.json

# ---- the example of the page ----

(
    mkdir page
    cd page
    ln -s "$work/chars.st" exported
    # shellcheck disable=SC2016 # the marks of a block
    sed -n '/^```python$/,/^```$/p' "$here/../../io/export/README.md" | grep -v '^```' >example.py
    sed -i 's/"A text"/"Zeile"/' example.py
    expect_exit 0 "$python" -B example.py
)
expect_text out Zeile
