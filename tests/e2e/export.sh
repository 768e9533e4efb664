#!/usr/bin/env bash
# Models go out as files of other programs, and come back: what is written, what comes back to the bit, and what is refused.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

readonly USAGE=64 DATA=65 NO_INPUT=66 CREATE=73

need "python h5py" "python numpy"

files() { /usr/bin/python3 -B "$here/export.py" "$@" || fail "export.py $*"; }

# ---- some models ----

tiny=(--layers 2 --width 32 --heads 2 --batch 16 --steps 12 --warmup 4 --eval-every 6 --eval-examples 32 --log-level error --precision float32)
expect_exit 0 start 2 "${tiny[@]}" --out places
expect_exit 0 start 2 "${tiny[@]}" --out plain --positions index --format plain --average 0.3
for i in {1..300}; do printf 'Zeile %d: schön, 猫 sagt „miau“ 🙂.\n' "$((i * 7919))"; done >text.txt
expect_exit 0 start 2 "${tiny[@]}" --out text --text text.txt --context 32 --tokenizer chars
expect_exit 0 start 2 "${tiny[@]}" --out bytes --text text.txt --context 32 --tokenizer bytes
expect_exit 0 start 2 "${tiny[@]}" --out merged --text text.txt --context 32 --tokenizer bpe:300

# ---- safetensors: the tensors, and what travels along ----

for run in plain text bytes merged; do
    expect_exit 0 "$dtrain" export "$run" --to "$run.st"
    files checkpoint "$run/best.h5" "$run.st/model.safetensors"
    (($(wc -l <out) == 8)) || fail "not one line for each file"
    for file in model.safetensors config.json generation_config.json tokenizer.json tokenizer_config.json dtrain.ini dtrain.json README.md; do
        [[ -s $run.st/$file ]] || fail "there is no $file"
        expect_text out "$run.st/$file"
    done
done
expect_exit 0 "$dtrain" export places --to places.st --json
[[ -s places.st/modeling_dtrain.py ]] || fail "there is no modeling_dtrain.py"
/usr/bin/python3 -B - places <<'END' || fail "what travels along is wrong"
import json, os, sys, h5py
told = json.load(open("out"))
assert sorted(told["files"]) == sorted(f"places.st/{name}" for name in os.listdir("places.st")), told
for run in ("places", "plain", "text"):
    facts = json.load(open(f"{run}.st/dtrain.json"))
    with h5py.File(f"{run}/best.h5") as file:
        assert facts["digest"] == file.attrs["digest"].decode() and facts["step"] == file.attrs["step"]
        loss = list(file["metrics/validation/loss"])
        assert [row["loss"] for row in facts["validation"]] == [float("%.9g" % x) for x in loss], facts["validation"]
        assert open(f"{run}.st/dtrain.ini").read() == file["config/ini"][()].decode()
        assert facts["settings"]["width"] == 32
        assert facts["digest"] in open(f"{run}.st/README.md").read()
config = json.load(open("plain.st/config.json"))
assert config["n_ctx"] == config["n_positions"] and config["n_inner"] == 128 and config["eos_token_id"] == 0, config
assert json.load(open("text.st/config.json"))["eos_token_id"] is None
END
say "safetensors hold the model and its facts"

# ---- back again: the same bits, and the same answers ----

for run in places plain text bytes merged; do
    expect_exit 0 "$dtrain" import "$run.st" --out "$run.back"
    expect_text out "$run.back/checkpoint-00000000.h5"
    expect_exit 0 "$dtrain" verify "$run.back"
    expect_exit 0 "$dtrain" export "$run.back" --to "$run.again"
    files same "$run.st/model.safetensors" "$run.again/model.safetensors"
    cmp "$run.st/tokenizer.json" "$run.again/tokenizer.json" || fail "the tokenizer of $run has changed"
    expect_exit 0 start alone eval "$run" --count 16 --dump-logits "$run.json"
    expect_exit 0 start alone eval "$run.back" --count 16 --dump-logits "$run.back.json"
    # The sum of two tables is rounded before the tokens are added, not after.
    files close "$run.json" "$run.back.json" "$([[ $run == places ]] && echo 0 || echo 1e-5)"
done
expect_exit 0 "$dtrain" ask text "Zeile"
cp out before
expect_exit 0 "$dtrain" ask text.back "Zeile"
cmp out before || fail "the model answers otherwise"
expect_exit 0 "$dtrain" info plain.back
expect_text out imported "step 0 of 12"
expect_exit 0 start 2 --init-from plain.back --out tuned --steps 2 --batch 16 --log-level error
say "models come back"

# ---- a model of others: no settings of dtrain, names without a prefix, 16 bits ----

mkdir other
cp text.st/{model.safetensors,config.json,tokenizer.json} other
files short_names other/model.safetensors
expect_exit 0 "$dtrain" import other/model.safetensors --out other.run
expect_exit 0 "$dtrain" export other.run --to other.st
files same text.st/model.safetensors other.st/model.safetensors
head -n 20 text.txt >some.txt
for run in text.back other.run; do
    expect_exit 0 start alone eval "$run" --text some.txt --count 16 --dump-logits "$run.some.json"
done
files close text.back.some.json other.run.some.json 0
expect_exit 0 "$dtrain" ask other.run "Zeile"
expect_exit $NO_INPUT start alone --init-from other.run --out other.lost --log-level error
expect_text err "text of other"
expect_exit 0 start 2 --init-from other.run --text text.txt --out other.tuned --steps 2 --batch 16 --log-level error
# The same with a vocabulary of merges, in one file or in two.
mkdir pair
cp merged.st/{model.safetensors,config.json,tokenizer.json} pair
expect_exit 0 "$dtrain" import pair --out one.run
expect_exit 0 "$dtrain" tokenize merged --out pair.files
rm pair/tokenizer.json
cp pair.files/{vocab.json,merges.txt} pair
expect_exit 0 "$dtrain" import pair --out two.run
for run in merged.back one.run two.run; do
    expect_exit 0 start alone eval "$run" --text some.txt --count 16 --dump-logits "$run.some.json"
    files close merged.back.some.json "$run.some.json" 0
done
expect_exit 0 start 2 --init-from two.run --text text.txt --out two.tuned --steps 2 --batch 16 --log-level error
for kind in F16 BF16; do
    cp -r other "$kind"
    files halve "$kind/model.safetensors" "$kind"
    expect_exit 0 "$dtrain" import "$kind" --out "$kind.run"
    expect_exit 0 "$dtrain" export "$kind.run" --to "$kind.st"
    files wide "$kind/model.safetensors"
    files tensor "$kind/model.safetensors" drop h.0.attn.bias
    mkdir "$kind.wide"
    cp "$kind"/{model.safetensors,config.json,tokenizer.json} "$kind.wide"
    expect_exit 0 "$dtrain" import "$kind.wide" --out "$kind.wide.run"
    expect_exit 0 "$dtrain" export "$kind.wide.run" --to "$kind.wide.st"
    files same "$kind.st/model.safetensors" "$kind.wide.st/model.safetensors"
done
say "models of others come in"

# ---- what is refused ----

# refuse CODE COMMAND… -- TEXT…
refuse() {
    local code=$1 words=()
    shift
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    shift
    expect_exit "$code" "$dtrain" "${words[@]}"
    expect_text err "$@"
}

refuse $USAGE export places --to x --format gguf -- "--positions index" "--places" safetensors onnx
[[ ! -e x ]] || fail "a refused export leaves a folder"
refuse $USAGE export plain -- "--to DIR"
refuse $USAGE export plain --to x --format pickle -- "safetensors|gguf|onnx"
refuse $USAGE export plain --to x --quant q8_0 -- "--format gguf"
refuse $USAGE export plain --to x --format gguf --quant q9 -- "f32, q8_0, q4_0"
refuse $NO_INPUT export nothing --to x -- "nothing"
checksums plain.st >untouched
refuse $CREATE export plain --to plain.st -- "plain.st/config.json is there already"
checksums plain.st | cmp - untouched || fail "a refused export has changed files"
cp plain/best.h5 damaged.h5
files damage damaged.h5
refuse $DATA export damaged.h5 --to x -- "damaged.h5"
refuse $USAGE import plain.st -- "--out DIR"
refuse $USAGE import -- "which model"
refuse $CREATE import plain.st --out plain -- "folder of a run already"
refuse $NO_INPUT import nothing --out x -- "nothing"

# refuse_model ACTION… -- TEXT…: import of a changed model.
refuse_model() {
    local words=()
    rm -rf changed
    cp -r other changed
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    files "${words[@]}"
    refuse $DATA import changed --out x "$@"
    [[ ! -e x ]] || fail "a refused import leaves a folder"
}

for change in 'activation_function="relu"' 'tie_word_embeddings=false' 'layer_norm_epsilon=1e-6' 'n_inner=64' 'scale_attn_weights=false' \
    'scale_attn_by_inverse_layer_idx=true' 'add_cross_attention=true' 'model_type="llama"' 'n_layer="2"' 'n_layer=-1' 'n_layer=' 'n_head=3' 'n_embd=1e300'; do
    refuse_model edit changed/config.json "$change" -- changed/config.json
done
refuse_model edit changed/config.json 'n_layer=3' -- "no tensor" "h.2.ln_1.weight"
refuse_model edit changed/config.json 'n_layer=1' -- "tensors that a GPT-2 does not have"
refuse_model edit changed/config.json 'n_positions=16' -- wpe.weight "another shape"
refuse_model tensor changed/model.safetensors drop h.1.mlp.c_fc.bias -- "no tensor transformer.h.1.mlp.c_fc.bias"
refuse_model tensor changed/model.safetensors flatten h.1.mlp.c_fc.weight -- "another shape"
refuse_model tensor changed/model.safetensors nan h.1.mlp.c_fc.weight -- "h.1.mlp.c_fc.weight is nan"
refuse_model tensor changed/model.safetensors add h.0.attn.rotary -- "does not have"
refuse_model edit changed/tokenizer.json 'model={"vocab":{"a":0,"b":2},"merges":[]}' -- "tokenizer.json"
for file in config.json tokenizer.json model.safetensors; do
    rm -rf changed
    cp -r other changed
    rm "changed/$file"
    refuse $NO_INPUT import changed --out x -- changed "$file"
    for bytes in 0 4 100; do
        head -c "$bytes" "other/$file" >"changed/$file"
        refuse $DATA import changed --out x -- "changed/$file"
    done
done
# A second copy of the tokens as output changes nothing; another output does.
rm -rf changed
cp -r text.st changed
files tensor changed/model.safetensors head lm_head.weight
expect_exit 0 "$dtrain" import changed --out tied.run
files tensor changed/model.safetensors other lm_head.weight
refuse $DATA import changed --out x -- "not tied"
rm places.st/dtrain.ini
refuse $NO_INPUT import places.st --out x -- "dtrain.ini"
say "what dtrain cannot compute is refused by name"
