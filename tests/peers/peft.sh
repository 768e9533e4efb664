#!/usr/bin/env bash
# Adapters in PEFT: unmerged, merged by PEFT and merged by dtrain they give the logits that dtrain computes; and one that PEFT has made
# computes the same here.
# Usage: peft.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with PyTorch, transformers and PEFT, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/torch.sh
. "$here/../peers/torch.sh"
python=$(torch_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}")
"$python" -c 'import transformers, peft' 2>/dev/null || "$python" -m pip install --quiet --disable-pip-version-check transformers peft >&2
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

peer() {
    "$python" -B "$here/../peers/peft_peer.py" "$@" || fail "peft_peer.py $*"
}

tiny=(--layers 2 --width 64 --heads 2 --batch 32 --warmup 4 --lr 5e-3 --eval-examples 64 --log-level error --ops '+-' --digits 2)
for i in {1..400}; do printf 'Zeile %d: schön, 猫 sagt „miau“ 🙂.\n' "$((i * 7919))"; done >text.txt
declare -A settings=([places]="" [text]="--text text.txt --context 48") targets=([places]=all [text]="attn_out,mlp_in")
for run in places text; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 start 2 "${tiny[@]}" ${settings[$run]} --steps 40 --out "$run"
    expect_exit 0 start 2 --init-from "$run" ${settings[$run]:+--text text.txt} --lora-rank 5 --lora-alpha 7 --lora-targets "${targets[$run]}" \
        --steps 40 --lr 2e-2 --log-level error --eval-examples 64 --out "$run.lora"
    expect_exit 0 start alone eval "$run.lora" --precision float32 --count 32 --dump-logits "$run.json"
    expect_exit 0 start alone eval "$run" --precision float32 --split test --count 32 --dump-logits "$run.base.json"
    expect_exit 0 "$dtrain" export "$run" --to "$run.st"
    expect_exit 0 "$dtrain" export "$run.lora" --to "$run.peft" --format adapter
    expect_exit 0 "$dtrain" export "$run.lora" --to "$run.merged"
    peer logits "$run.st" "$run.peft" "$run.merged" "$run.json"
    ! "$python" -B "$here/../peers/peft_peer.py" logits "$run.st" "$run.peft" "" "$run.base.json" >out 2>err ||
        fail "the logits of the base are not noticed"
done

# ---- back: made by PEFT ----

peer make text.st made
expect_exit 0 "$dtrain" import made --init-from text --out made.run
expect_text out "parameters"
expect_exit 0 "$dtrain" info made.run
expect_text out "adapters of rank 3 for attn_qkv mlp_in mlp_out"
expect_exit 0 start alone eval made.run --text text.txt --count 32 --dump-logits made.json
peer logits text.st made "" made.json
peer refused text.st
for kind in rslora bias ranks; do
    expect_exit 65 "$dtrain" import "refused.$kind" --init-from text --out refused.run
    expect_text err "adapter_config.json"
done
