#!/usr/bin/env bash
# What matrices in 8 and 4 bits save and cost.
#
#   tests/bench/quantised.sh build/dtrain [RUN]
#
# memory: fine-tuning of a model of GPT-2's size with random weights (12 layers, width 768, 50257 tokens, a context of 128): peak of the sum of
# proportional set sizes over RANKS (4) ranks of a node, of all weights in float32, of adapters (rank 8) beside float32 weights, and beside
# weights in nf4. It needs 13 GB of memory and 4 GB of disk.
# speed: the latter two on one rank, by seconds of the processor: the difference of 5 steps and 1, in ROUNDS (5) turns.
# answers: of a RUN of the default job: bytes of its weights, wrong answers over COUNT (16384) problems, and problems evaluated in a second of
# the processor, in float32, bfloat16, q8_0 and nf4.
# ONLY: some of "memory speed answers". FOLDER: build/bench/quantised; the base is not made again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dtrain=$(realpath "${1:?usage: $0 DTRAIN [RUN]}")
run=${2:+$(realpath "$2")}
ranks=${RANKS:-4} only=" ${ONLY:-memory speed answers} "
folder=${FOLDER:-build/bench/quantised}
mkdir -p "$folder"
cd "$folder"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export OPENBLAS_NUM_THREADS=1 HWLOC_COMPONENTS=-opencl
python() { /usr/bin/python3 -B "$here/quantised.py" "$@"; }

make_base() {
    [[ ! -e base/latest.h5 ]] || return 0
    python corpus corpus.txt
    "$dtrain" tokenize --text corpus.txt --tokenizer bpe:50257 --out gpt.json --log-level warn
    # One step on one window: the weights stay as random as they were.
    "$dtrain" --text corpus.txt --tokenizer gpt.json --layers 12 --width 768 --heads 12 --context 128 --positions index --optimizer adamw \
        --average 0 --batch 1 --micro-batch 1 --shards 1 --steps 1 --warmup 0 --eval-every 0 --eval-examples 1 --precision float32 \
        --log-level warn --out base
}

batch=(--init-from base --text corpus.txt --micro-batch 2 --warmup 0 --eval-every 0 --eval-examples 1 --precision float32 --optimizer adamw
    --checkpoint-every never --log-level warn)
beside=(--lora-rank 8)

# memory NAME OPTION…: a row of the table.
memory() {
    local name=$1 peak
    shift
    rm -rf "$name"
    peak=$(python peak "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" "${batch[@]}" --batch 16 --shards 8 --steps 2 --out "$name" "$@")
    printf '| %s | %s MB |\n' "$name" "$peak"
    rm -rf "$name"
}

# processor COMMAND…: its seconds on the processor. What it says is shown if it fails.
processor() {
    local TIMEFORMAT='%U %S'
    { time "$@" >messages 2>&1; } 2>&1 | awk '{ print $1 + $2 }' || {
        cat messages >&2
        return 1
    }
}

# rate NAME OPTION…: tokens in a second of the processor.
rate() {
    local name=$1 steps value seconds=()
    shift
    for steps in 1 5; do
        rm -rf "$name"
        value=$(processor "$dtrain" "${batch[@]}" --batch 4 --shards 1 --steps "$steps" --out "$name" "$@") || exit
        seconds+=("$value")
    done
    rm -rf "$name"
    awk "BEGIN { print 4 * 4 * 127 / (${seconds[1]} - ${seconds[0]}) }"
}

# speed: the table's rows, medians of rounds in which both are measured, the first one alternately.
speed() {
    local round frozen nf4
    for ((round = 0; round < ${ROUNDS:-5}; round++)); do
        ((round % 2)) || frozen=$(rate frozen "${beside[@]}")
        nf4=$(rate nf4 "${beside[@]}" --base-quant nf4)
        ((round % 2 == 0)) || frozen=$(rate frozen "${beside[@]}")
        echo "$frozen $nf4"
    done | /usr/bin/python3 -B -c '
import statistics, sys
rows = [[float(x) for x in line.split()] for line in sys.stdin]
print(f"| frozen | {statistics.median(r[0] for r in rows):.0f} | 1 |")
ratios = sorted(r[1] / r[0] for r in rows)
print(f"| nf4 | {statistics.median(r[1] for r in rows):.0f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")'
}

where() { sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1; }

[[ $only != *" memory "* && $only != *" speed "* ]] || make_base >&2
if [[ $only == *" memory "* ]]; then
    printf '%s; %s ranks, a step of 2032 tokens\n\n| | peak |\n|---|---|\n' "$(where)" "$ranks"
    memory full
    memory frozen "${beside[@]}"
    memory nf4 "${beside[@]}" --base-quant nf4
fi
if [[ $only == *" speed "* ]]; then
    printf '\n%s; one rank, passes of 254 tokens, medians of %s rounds\n\n| | tokens in a second of the processor | share |\n|---|---|---|\n' "$(where)" "${ROUNDS:-5}"
    speed
fi

# evaluate NAME OPTION…: of a checkpoint, as NAME.json.
evaluate() {
    local name=$1
    shift
    answer() { "$dtrain" eval "$@" --count "${COUNT:-16384}" --json >"$name.json"; }
    processor answer "$@" >"$name.json.seconds"
}

if [[ $only == *" answers "* && -n $run ]]; then
    for to in q8_0 nf4; do
        rm -f "$to.h5" # of another run
        "$dtrain" quantise "$run" --to "$to" --out "$to.h5" >&2
    done
    evaluate float32 "$run" --precision float32
    evaluate bfloat16 "$run" --precision bfloat16
    evaluate q8_0 q8_0.h5 --precision float32
    evaluate nf4 nf4.h5 --precision float32
    # bytes FILE: of its weights.
    bytes() { "$dtrain" info "$1" --json | /usr/bin/python3 -B -c 'import json, sys
told = json.load(sys.stdin)
print(told["trained_bytes"] + told["frozen_bytes"])'; }
    printf '\n%s; one rank\n\n| weights | bytes | wrong answers | problems in a second of the processor |\n|---|---|---|---|\n' "$(where)"
    python answers "float32=$(bytes "$run"):float32.json" "float32, computed in bfloat16=$(bytes "$run"):bfloat16.json" \
        "q8_0=$(bytes q8_0.h5):q8_0.json" "nf4=$(bytes nf4.h5):nf4.json"
fi
