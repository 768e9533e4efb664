#!/usr/bin/env bash
# How fast running text is learned, compared with nanoGPT (https://github.com/karpathy/nanoGPT) and its settings for a processor: 4 layers,
# width 128, 4 heads, contexts of 64 characters, 12 of them a step, AdamW.
#
#   tests/bench/nanogpt.sh build/dtrain NANOGPT TEXT [OPTION…]
#
# NANOGPT: the folder of a clone; TEXT: a file, for example tiny Shakespeare. nanoGPT runs with RANKS (2) threads, dtrain with as many ranks, in
# turns, ROUNDS (3) times; options are passed on to dtrain. Printed are medians of tokens per second, of whole steps without validations.
# PyTorch comes from PyPI into build/torch, some gigabytes; DTRAIN_TORCH=FOLDER names another one. FOLDER: build/bench/nanogpt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/peers/torch.sh
. "$here/../peers/torch.sh"
dtrain=$(realpath "${1:?usage: $0 DTRAIN NANOGPT TEXT}")
peer=$(realpath "${2:?usage: $0 DTRAIN NANOGPT TEXT}")
text=$(realpath "${3:?usage: $0 DTRAIN NANOGPT TEXT}")
shift 3
ranks=${RANKS:-2} rounds=${ROUNDS:-3} folder=${FOLDER:-build/bench/nanogpt}
[[ -e $peer/train.py ]] || { echo "$0: there is no train.py in $peer, which has to be a clone of nanoGPT" >&2; exit 1; }
python=$(torch_python "$PWD/build/torch")
mkdir -p "$folder/data/text"
cd "$folder"
ln -sfn "$peer/configurator.py" configurator.py
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export OPENBLAS_NUM_THREADS=1 HWLOC_COMPONENTS=-opencl

# As its own data/shakespeare_char/prepare.py does: characters numbered in their order, the last tenth to validate.
"$python" -B - "$text" <<'END'
import pickle, sys
import numpy
text = open(sys.argv[1], encoding="utf-8").read()
number = {c: i for i, c in enumerate(sorted(set(text)))}
ids = numpy.array([number[c] for c in text], dtype=numpy.uint16)
train = int(0.9 * len(ids))
ids[:train].tofile("data/text/train.bin")
ids[train:].tofile("data/text/val.bin")
pickle.dump({"vocab_size": len(number)}, open("data/text/meta.pkl", "wb"))
END

settings=(--device=cpu --compile=False --dataset=text --gradient_accumulation_steps=1 --eval_iters=1 --eval_interval=100000
    --log_interval=1 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --learning_rate=1e-3 --beta2=0.99
    --warmup_iters=100 --dropout=0.0 --max_iters=300 --lr_decay_iters=2000 --out_dir=out)

# Milliseconds of a step, the first fifty left out.
of_nanogpt() {
    OMP_NUM_THREADS=$ranks "$python" -B "$peer/train.py" "${settings[@]}" 2>nanogpt.log |
        sed -n 's/^iter \([0-9]*\): .*time \([0-9.]*\)ms.*/\1 \2/p' | awk '$1 >= 50 { print $2 }' | sort -g |
        awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'
}

of_dtrain() {
    rm -rf run
    "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" --text "$text" --context 64 --validation-share 0.1 --test-share 0 --batch 12 --optimizer adamw \
        --lr 1e-3 --warmup 100 --layers 4 --width 128 --heads 4 --steps 300 --eval-every 0 --eval-examples 1 --log-level warn --out run \
        "$@" >&2
    /usr/bin/python3 -B -c 'import h5py, statistics
print(1000 * statistics.median(h5py.File("run/latest.h5")["metrics/train/seconds"][50:]))'
}

for ((i = 0; i < rounds; i++)); do
    peer_ms=$(of_nanogpt) || { cat nanogpt.log >&2; exit 1; }
    own_ms=$(of_dtrain "$@")
    echo "$peer_ms $own_ms"
done >steps
printf '%s; %s threads or ranks; dtrain: %s\n\n' "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" "$ranks" "${*:-no more options}"
/usr/bin/python3 -B - <<'END'
import statistics
rows = [[12 * 64 * 1000 / float(ms) for ms in line.split()] for line in open("steps")]
print("| round | nanoGPT, tokens/s | dtrain, tokens/s | ratio |\n|---|---|---|---|")
for i, (peer, own) in enumerate(rows):
    print(f"| {i + 1} | {peer:.0f} | {own:.0f} | {own / peer:.2f} |")
print(f"| median | {statistics.median(r[0] for r in rows):.0f} | {statistics.median(r[1] for r in rows):.0f} | "
      f"{statistics.median(r[1] / r[0] for r in rows):.2f} |")
END
