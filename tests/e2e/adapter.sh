#!/usr/bin/env bash
# Adapters: the same bits on any number of ranks and over a resume; the base is found, or named; merged with it they are an ordinary model.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

base=(--layers 2 --width 32 --heads 2 --batch 40 --micro-batch 8 --format plain --ops '+-' --digits 1 --eval-examples 64 --log-level info)
expect_exit 0 start 2 "${base[@]}" --steps 60 --lr 5e-3 --eval-every 60 --out base

# ---- the same bits: ranks, nodes, a resume on others, a replay; the base stays as it is ----

adapter=(--init-from base --ops '*' --lora-rank 3 --lora-alpha 5 --lora-targets "attn_qkv,mlp_in,mlp_out" --lora-dropout 0.1 --average 0.3
    --batch 40 --micro-batch 4 --eval-every 10 --eval-examples 64 --checkpoint-every 10 --keep 9 --lr 1e-2)
before=$(sha256sum <base/best.h5)
expect_exit 0 start alone "${adapter[@]}" --steps 30 --out one
expect_text err "adapters for base/"
expect_exit 0 start 3 "${adapter[@]}" --steps 30 --out three
compare_runs one/latest.h5 three/latest.h5
expect_exit 0 start 4 "${adapter[@]}" --steps 30 --ranks-per-node 2 --updates job --out nodes
compare_runs one/latest.h5 nodes/latest.h5
mkdir stopped
cp -P one/config.ini one/checkpoint-00000010.h5 stopped/
expect_exit 0 start 2 --out stopped
expect_text err "resuming stopped from step 10"
compare_runs one/latest.h5 stopped/latest.h5
expect_exit 0 start 2 verify --replay three/checkpoint-00000010.h5 three/checkpoint-00000030.h5
[[ $(sha256sum <base/best.h5) == "$before" ]] || fail "the base has changed"
for precision in bfloat16 float32; do
    expect_exit 0 start alone "${adapter[@]}" --steps 10 --precision $precision --out "$precision.1"
    expect_exit 0 start 2 "${adapter[@]}" --steps 10 --precision $precision --out "$precision.2"
    compare_runs "$precision.1/latest.h5" "$precision.2/latest.h5"
done
for precision in bfloat16 float32; do # the base in 8 bits
    expect_exit 0 start alone "${adapter[@]}" --steps 10 --base-quant q8_0 --precision $precision --out "$precision.q1"
    expect_exit 0 start 2 "${adapter[@]}" --steps 10 --base-quant q8_0 --precision $precision --out "$precision.q2"
    compare_runs "$precision.q1/latest.h5" "$precision.q2/latest.h5"
done
expect_exit 64 start alone "${adapter[@]}" --steps 10 --base-quant nf4 --out refused
expect_text err "blocks of 64 weights" "--width 32"
say "the same bits on 1, 3 and 2 + 2 ranks, and over a resume"

# ---- the base in 4 bits: the same bits, over a resume, a replay; merged into the values that it was trained with ----

expect_exit 0 start 2 "${base[@]}" --width 64 --steps 40 --lr 5e-3 --eval-every 40 --out wide
quantised=("${adapter[@]}" --init-from wide --base-quant nf4)
expect_exit 0 start alone "${quantised[@]}" --steps 20 --out nf4
expect_exit 0 start 3 "${quantised[@]}" --steps 20 --ranks-per-node 2 --out nf4.3
compare_runs nf4/latest.h5 nf4.3/latest.h5
mkdir nf4.stopped
cp -P nf4/config.ini nf4/checkpoint-00000010.h5 nf4.stopped/
expect_exit 0 start 2 --out nf4.stopped
expect_text err "resuming nf4.stopped from step 10"
compare_runs nf4/latest.h5 nf4.stopped/latest.h5
expect_exit 0 start 2 verify --replay nf4.3/checkpoint-00000010.h5 nf4.3/checkpoint-00000020.h5
expect_exit 64 start 2 --out nf4 --lora-rank 3 --base-quant q8_0 --steps 30
expect_text err "--base-quant nf4, which cannot become q8_0"
expect_exit 0 start 2 "${adapter[@]}" --init-from wide --steps 20 --out nf4.not
! cmp -s <(h5dump -d /weights/layers/1/mlp_in/lora_b nf4/latest.h5) <(h5dump -d /weights/layers/1/mlp_in/lora_b nf4.not/latest.h5) ||
    fail "the base is not quantised"
expect_exit 0 "$dtrain" info nf4
matrices=$((2 * 12 * 64 * 64))
expect_text out "quantised  $matrices parameters of these" "in nf4: the matrices of the layers" "wide/checkpoint-00000040.h5" "there"
expect_exit 0 "$dtrain" info nf4 --json
/usr/bin/python3 -B -c '
import json, sys
info, matrices = json.load(open("out")), int(sys.argv[1])
assert info["quantised"] == matrices and info["matrices"] == "nf4", info
assert matrices / 2 < info["quantised_bytes"] < 0.53 * matrices, info
assert info["frozen_bytes"] == info["quantised_bytes"] + 4 * (info["frozen"] - matrices), info' "$matrices" || fail "info --json of a quantised base"
expect_exit 0 "$dtrain" merge nf4 --out nf4.merged
expect_text err "merged into the values of its base" "in nf4, dequantised"
expect_exit 0 "$dtrain" info nf4.merged
expect_text out "dequantised from nf4"
for run in nf4 nf4.merged; do expect_exit 0 start 2 eval "$run" --count 64 --precision float32 --dump-logits "$run.json"; done
/usr/bin/python3 -B - nf4.json nf4.merged.json <<'END' || fail "merged into other values than those of training"
import json, sys, numpy as np
a, b = (np.concatenate([np.array(x).ravel() for x in json.load(open(path))["logits"]]) for path in sys.argv[1:3])
assert len(a) > 1000 and abs(a - b).max() < 1e-5 * abs(a).max(), abs(a - b).max()
END
say "the base in 4 bits: the same bits, and merged into its values"

# ---- what is in the file: adapters alone, with their moments ----

/usr/bin/python3 -B - one/latest.h5 base/best.h5 <<'END' || fail "the file of an adapter"
import sys, h5py
file, base = h5py.File(sys.argv[1]), h5py.File(sys.argv[2])
shape = {"attn_qkv": (96, 32), "mlp_in": (128, 32), "mlp_out": (32, 128)}
wanted = {f"layers/{l}/{name}/lora_{side}": (3, shape[name][1]) if side == "a" else (shape[name][0], 3)
          for l in range(2) for name in shape for side in "ab"}
for group in "weights", "optimizer/m", "optimizer/v", "optimizer/iterate":
    found = {}
    file[group].visititems(lambda name, item: found.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None)
    assert {k: v for k, v in found.items() if "lora" in k or group == "weights"} == wanted, (group, found)
assert file.attrs["format_version"] == 3 and base.attrs["format_version"] == 1
assert file["config"].attrs["base-digest"] == base.attrs["digest"]
assert file["config"].attrs["base"].decode().startswith("../base/checkpoint-"), file["config"].attrs["base"]
assert abs(file["weights/layers/1/mlp_in/lora_b"][...]).max() > 0
assert file["optimizer/v/layers/1/mlp_in/lora_b"][...].min() > 0 # AdamW, whatever --optimizer says
END

# ---- gradients ----

expect_exit 0 start alone "${adapter[@]}" --check-gradients --out checked
expect_text out "layers/1/mlp_out/lora_a" "layers/0/attn_qkv/lora_b" "gradients agree"
! grep -q "tok_embed\|/weight" out || fail "a frozen parameter has a gradient"

# ---- what other commands do with it; merged it is a model like any other, with the same logits ----

expect_exit 0 "$dtrain" info one
expect_text out "adapters of rank 3 for attn_qkv mlp_in mlp_out" "frozen     " "checkpoint-00000060.h5" "there"
expect_exit 0 "$dtrain" info one --json
/usr/bin/python3 -B -c '
import json
info = json.load(open("out"))
assert info["trained"] == 2 * 3 * (32 + 96 + 32 + 128 + 128 + 32) and info["trained_bytes"] == 4 * info["trained"], info
assert info["frozen"] + info["trained"] == info["parameters"] and info["base_there"] is True, info' || fail "info --json"
expect_exit 0 "$dtrain" merge one --out merged
expect_exit 0 "$dtrain" merge three/best.h5 --out merged3
compare_datasets merged/latest.h5 merged3/latest.h5 /weights
for run in one merged; do
    expect_exit 0 start 2 eval $run --precision float32 --count 64 --dump-logits $run.json
    expect_exit 0 "$dtrain" ask $run --precision float32 '3*2' '4*5'
    mv out $run.answers
done
cmp one.answers merged.answers || fail "the merged model answers otherwise"
/usr/bin/python3 -B - one.json merged.json base/best.h5 merged/latest.h5 one/best.h5 <<'END' || fail "the merged model is another"
import json, sys, h5py, numpy as np
def numbers(x):
    return [v for y in x for v in numbers(y)] if isinstance(x, list) else [v for y in x.values() for v in numbers(y)] if isinstance(x, dict) \
        else [x] if isinstance(x, float) else []
one, merged = (np.array(numbers(json.load(open(path)))) for path in sys.argv[1:3])
assert len(one) == len(merged) > 1000 and abs(one - merged).max() < 1e-5 * abs(one).max(), abs(one - merged).max()
base, whole, adapter = (h5py.File(path)["weights/layers/1"] for path in sys.argv[3:6])
for name in "attn_qkv", "attn_out", "mlp_in", "mlp_out":
    w = base[name]["weight"][...].astype(float)
    if name != "attn_out":
        w += 5 / 3 * adapter[name]["lora_b"][...].astype(float) @ adapter[name]["lora_a"][...]
    assert abs(whole[name]["weight"][...] - w).max() < 1e-7, name
END
expect_exit 0 start 2 --init-from merged --steps 2 --out further
expect_exit 0 "$dtrain" verify merged/latest.h5
expect_exit 64 "$dtrain" merge base --out again
expect_text err "is a whole model"
say "merged with its base it has the same logits"

# A whole model with the settings of an adapter is none.
expect_exit 0 "$dtrain" export merged --to whole
cp one/config.ini whole/dtrain.ini
expect_exit 65 "$dtrain" import whole --out imported
expect_text err "lora-rank"

# ---- the base: it moves with the run, lies beside it, is missing, or is another one ----

mkdir moved beside
cp -a base one moved/
mv base one.base
expect_exit 0 start 2 eval moved/one --count 8
expect_exit 66 start 2 eval one --count 8
expect_text err "needs its base ../base/checkpoint-00000060.h5" "neither there nor beside it"
expect_exit 66 start 2 --out one --steps 40
expect_text err "needs its base"
expect_exit 0 "$dtrain" info one
expect_text out "missing"
expect_exit 0 start 2 --out one --steps 32 --base one.base
expect_exit 0 start 2 --out one --steps 33
expect_exit 0 start 2 --resume three/checkpoint-00000020.h5 --base one.base --out elsewhere/run --steps 22
[[ $(attribute elsewhere/run/latest.h5 config base) == ../../one.base/checkpoint-00000060.h5 ]] || fail "the base of a run elsewhere"
expect_exit 0 start 2 --out elsewhere/run --steps 23
cp three/best.h5 beside/adapter.h5
cp one.base/best.h5 beside/base.h5
expect_exit 0 start 2 eval beside/adapter.h5 --count 8
mkdir base
cp merged/latest.h5 base/checkpoint-00000060.h5
expect_exit 65 start 2 eval three --count 8
expect_text err "is not the base" "digest"
expect_exit 65 start 2 --out three --steps 40
echo damaged >base/checkpoint-00000060.h5
expect_exit 65 start 2 eval three --count 8
expect_text err "what is there cannot be used" "beside it as base.h5"
cp one.base/best.h5 three/base.h5
expect_exit 0 start 2 eval three --count 8
rm -r base three/base.h5
mv one.base base

# ---- what is refused ----

expect_exit 0 "$dtrain" export one --format adapter --to peft
expect_exit 0 "$dtrain" import peft --init-from base --out returned
sed -i 's/"peft_type"/"init_lora_weights": "pissa", "peft_type"/' peft/adapter_config.json
expect_exit 65 "$dtrain" import peft --init-from base --out refused
expect_text err "pissa" "changes the base"
expect_exit 64 start 2 "${adapter[@]}" --lora-rank 200 --out refused
expect_text err "--lora-rank 200 is more than the width of the model, 32"
expect_exit 64 start 2 "${base[@]}" --lora-rank 4 --out refused
expect_text err "add --init-from"
expect_exit 64 start 2 "${adapter[@]}" --lora-targets attn_qkv,mlp --out refused
expect_text err '"mlp" is none of attn_qkv, attn_out, mlp_in, mlp_out'
expect_exit 64 start 2 "${adapter[@]}" --init-from one --out refused
expect_text err "dtrain merge"
expect_exit 64 start 2 --out one --lora-rank 4
[[ ! -e refused ]] || fail "a refused run left a folder"
# The settings of a run begin another one with the same base.
expect_exit 0 start 2 --config three/config.ini --steps 4 --out second
expect_text err "adapters for"
say "the base is found, and what is missing or wrong is named"

# ---- the example: what is learned, and what is forgotten ----

mkdir example
(
    cd example
    TEXT_STEPS=40 ANSWER_STEPS=20 expect_exit 0 bash "$here/../../jobs/adapter.sh" "$mpirun" -np 2 "$dtrain"
)
/usr/bin/python3 -B -c '
rows = {line.split()[0]: line.split() for line in open("out", errors="replace").read().splitlines()}
assert int(rows["facts"][1]) == int(rows["whole"][1]) > 5 * int(rows["adapter"][1]), rows
assert rows["merged"][2:] == rows["adapter"][2:], rows
text, whole, adapter = (float(rows[name][-1]) for name in ("facts", "whole", "adapter"))
assert text < adapter and text < whole, rows' || fail "the example of adapters"
say "the example ran"
