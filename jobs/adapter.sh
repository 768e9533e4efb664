#!/usr/bin/env bash
# adapter.sh COMMAND…: fine-tunes a small text model in this folder on 160 lines of question and answer, all of it and with adapters (LoRA), and
# shows what each answers and what it has forgotten of the text. COMMAND starts dtrain: mpirun -np 2 build/dtrain
# TEXT_STEPS, ANSWER_STEPS: other numbers of steps
set -euo pipefail

(($# > 0)) || {
    echo "usage: $0 COMMAND…, such as: $0 mpirun -np 2 build/dtrain" >&2
    exit 64
}
# In float32, in which a merged model is the same but for the last bits.
train=("$@" --precision float32)
dtrain=${!#}
jobs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$jobs/capitals.sh"
"${train[@]}" --text facts.txt --tokenizer bpe:600 --context 48 --layers 2 --width 64 --lr 1e-2 --steps "${TEXT_STEPS:-400}" --eval-every 0 --out facts
"${train[@]}" --init-from facts --train-file answers.txt --lr 5e-3 --steps "${ANSWER_STEPS:-150}" --eval-every 0 --out whole
"${train[@]}" --init-from facts --train-file answers.txt --lr 1e-2 --lora-rank 8 --steps "${ANSWER_STEPS:-150}" --eval-every 0 --out adapter
rm -rf merged # of an earlier call of this script
"$dtrain" merge adapter --out merged

# number NAME: a number of eval --json.
number() { sed -E "s/.*\"$1\":([0-9.]+).*/\1/" | cut -c 1-6; }

printf '%-8s %10s  %-24s %-14s %8s %10s\n' model trained "capital of Japan?" "日本の首都は？" "right" "perplexity"
for run in facts whole adapter merged; do
    answers=("$("$dtrain" ask "$run" "What is the capital of Japan?" 2>/dev/null)" "$("$dtrain" ask "$run" "日本の首都は？" 2>/dev/null)")
    trained=$("$dtrain" info "$run" --json | number trained)
    right=-
    [[ $run == facts ]] || right=$("$dtrain" eval "$run" --split train --json 2>/dev/null | number exact_match)
    old=$("$dtrain" eval "$run" --text facts.txt --json 2>/dev/null | number perplexity)
    printf '%-8s %10s  %-24s %-14s %8s %10s\n' "$run" "$trained" "${answers[0]:0:22}" "${answers[1]:0:12}" "$right" "$old"
done
