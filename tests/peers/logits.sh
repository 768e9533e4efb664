#!/usr/bin/env bash
# A model in bfloat16 computes the same as PyTorch: its logits are as far from the exact ones as those of torch.autocast.
# Usage: logits.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with PyTorch, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/torch.sh
. "$here/../peers/torch.sh"
python=$(torch_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}")

model=(--layers 3 --width 64 --heads 2 --batch 64 --lr 2e-3 --warmup 4 --eval-examples 128)
for precision in bfloat16 float32; do
    expect_exit 0 start 2 --steps 60 "${model[@]}" --precision "$precision" --out "$precision"
done
for trained in bfloat16 float32; do
    for precision in bfloat16 float32; do
        expect_exit 0 start 2 eval "$trained" --count 64 --precision "$precision" --dump-logits "$precision.json"
    done
    expect_exit 0 "$python" -B "$here/../peers/autocast.py" "$trained/best.h5" bfloat16.json float32.json
    say "trained in $trained:" "$(<out)"
done

# The comparison notices float32 instead of bfloat16, and the logits of another model.
expect_exit 1 "$python" -B "$here/../peers/autocast.py" float32/best.h5 float32.json float32.json
expect_text err "float32 is no better than bfloat16"
expect_exit 1 "$python" -B "$here/../peers/autocast.py" bfloat16/best.h5 bfloat16.json float32.json
