#!/usr/bin/env bash
# Exported models compute the same in the programs that they are for: ONNX Runtime, tokenizers, llama.cpp, and by the tensors alone.
# Usage: formats.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with these programs, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/small.sh
. "$here/../peers/small.sh"
small_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}" numpy safetensors tokenizers onnx onnxruntime gguf xllamacpp

# peer ACTION…: its verdict alone is shown; llama.cpp tells much.
peer() {
    expect_exit 0 "$python" -B "$here/../peers/formats.py" "$@"
    cat out
}

# In places there are letters of all classes: digits, carries, and what these are added to.
tiny=(--layers 2 --width 64 --heads 2 --batch 32 --steps 40 --warmup 4 --lr 5e-3 --eval-examples 64 --log-level error)
for i in {1..400}; do printf 'Zeile %d: schön, 猫 sagt „miau“ 🙂.\n' "$((i * 7919))"; done >text.txt
for i in {1..200}; do printf 'Zeile %d und noch mehr von ihr, %d Worte.\n<|endoftext|>\n' "$((i * 7919))" "$i"; done >documents.txt
declare -A settings=([places]="--positions learned" [unplaced]="--positions none" [marked]="--marks start --sharpness 2"
    [rotary]="--marks start --place-embedding rotary --place-offset 9"
    [window]="--marks start --place-embedding rotary --place-offset 9 --place-window 1"
    [sharpened]="--positions index --sharpness 1.5" [plain]="--positions index --format plain" [documents]="--text documents.txt --context 24"
    [merged]="--text text.txt --context 24 --tokenizer bpe:300"
    [chars]="--text text.txt --context 48" [bytes]="--text text.txt --context 48 --tokenizer bytes")
for run in places unplaced marked rotary window sharpened plain documents merged chars bytes; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 start 2 "${tiny[@]}" ${settings[$run]} --out "$run"
    expect_exit 0 start alone eval "$run" --precision float32 --count 32 --dump-logits "$run.json"
    expect_exit 0 "$dtrain" export "$run" --to "$run.onnx" --format onnx
    peer onnx "$run.onnx" "$run.json"
    peer tokenizer "$run.onnx" "$run.json"
    [[ $run != *place* && $run != marked && $run != rotary && $run != window && $run != sharpened ]] || continue
    expect_exit 0 "$dtrain" export "$run" --to "$run.st"
    peer safetensors "$run.st" "$run.json"
    for quant in f32 q8_0 q4_0; do
        expect_exit 0 "$dtrain" export "$run" --to "$run.$quant" --format gguf --quant "$quant"
        peer gguf "$run.$quant" "$run.st" "$quant"
    done
    # ggml looks GELU up in a table of 16-bit numbers.
    peer llama "$run.f32" "$run.json" 1e-2
    peer llama "$run.q8_0" "$run.json" 0.2
    peer llama "$run.q4_0" "$run.json" 2
    [[ $run == chars || $run == bytes || $run == merged ]] || continue
    for i in {1..200}; do printf 'Zeile %d\n' "$((i * 31))"; done >beginnings
    expect_exit 0 "$dtrain" ask "$run" --precision float32 <beginnings
    cp out answers
    peer llama_texts "$run.f32" beginnings answers
done

# Adapters: PEFT's files, and llama.cpp's beside its base.
for targets in attn_out,mlp_in all; do
    expect_exit 0 start 2 --init-from chars --text text.txt --lora-rank 6 --lora-alpha 9 --lora-targets "$targets" --steps 30 --lr 2e-2 \
        --eval-examples 64 --log-level error --out "lora.$targets"
    expect_exit 0 start alone eval "lora.$targets" --precision float32 --count 32 --dump-logits lora.json
    expect_exit 0 "$dtrain" export "lora.$targets" --to "lora.$targets.peft" --format adapter
    peer adapter "lora.$targets.peft" chars.st lora.json
    peer llama chars.f32 lora.json 1e-2 "lora.$targets.peft"
    expect_exit 0 "$dtrain" import "lora.$targets.peft" --init-from chars --out "back.$targets"
    compare_datasets "lora.$targets/best.h5" "back.$targets/latest.h5" /weights
done

# The comparisons notice another model, another tokenizer and other blocks.
for words in "onnx plain.onnx places.json" "safetensors chars.st bytes.json" "tokenizer chars.onnx plain.json" "gguf plain.q4_0 plain.st q8_0" \
    "llama plain.f32 chars.json 1e-2" "llama chars.f32 lora.json 1e-2" "adapter lora.all.peft chars.st chars.json"; do
    # shellcheck disable=SC2086 # words
    ! "$python" -B "$here/../peers/formats.py" $words >out 2>err || fail "not noticed: $words"
done
