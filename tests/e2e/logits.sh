#!/usr/bin/env bash
# Other programs can read a checkpoint: h5dump shows its schema, and a numpy script recomputes a batch's logits from it.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for format in scratchpad plain; do
    expect_exit 0 start 2 --steps 20 "${small[@]}" --precision float32 --format "$format" --out "$format"
    expect_exit 0 start 2 eval "$format" --count 64 --dump-logits "$format.json"
    expect_exit 0 /usr/bin/python3 -B "$here/logits.py" "$format/best.h5" "$format.json"
    say "$format: $(cat out)"
done
for window in 0 1; do
    expect_exit 0 start 2 --steps 20 "${small[@]}" --precision float32 --place-embedding rotary --place-offset 7 --place-window $window \
        --out rotary$window
    expect_exit 0 start 2 eval rotary$window --count 64 --dump-logits rotary.json
    expect_exit 0 /usr/bin/python3 -B "$here/logits.py" rotary$window/best.h5 rotary.json
    say "rotary, window $window: $(cat out)"
done

# A small change of one weight is detected.
cp -L plain/best.h5 off.h5
/usr/bin/python3 -B - <<'END'
import h5py
with h5py.File("off.h5", "r+") as file:
    file["weights/layers/1/mlp_in/bias"][3] += 0.05
END
expect_exit 1 /usr/bin/python3 -B "$here/logits.py" off.h5 plain.json

need "program h5dump"
expect_exit 0 h5dump -H scratchpad/latest.h5
/usr/bin/python3 -B - <<'END' || fail "h5dump does not show the schema"
import re
shown = open("out").read()
for group in ("config", "tokenizer", "weights", "optimizer", "metrics", "train", "validation", "history", "state", "m", "v"):
    assert re.search(rf'GROUP "{group}" {{', shown), group
for attribute in ("format", "format_version", "dtrain_version", "created", "step", "tokens", "seed", "shards", "digest"):
    assert re.search(rf'^   ATTRIBUTE "{attribute}" {{', shown, re.M), attribute
weights = shown[shown.index('GROUP "weights"'):]
for name, shape in (("tok_embed", r"\d+, 32"), ("pos_embed", r"\d+, 32"), ("place_embed", r"\d+, 32")):
    assert re.search(rf'DATASET "{name}" {{\s+DATATYPE  H5T_IEEE_F32LE\s+DATASPACE  SIMPLE {{ \( {shape} \)', weights), name
assert re.search(r'GROUP "attn_qkv" {\s+DATASET "bias" {.*?\( 96 \).*?DATASET "weight" {.*?\( 96, 32 \)', weights, re.S)
assert re.search(r'GROUP "mlp_out" {\s+DATASET "bias" {.*?\( 32 \).*?DATASET "weight" {.*?\( 32, 128 \)', weights, re.S)
END
say "h5dump shows the schema"
