#!/usr/bin/env bash
# Steps on pretended nodes of one rank each, beside as many ranks on one node: what the exchange between nodes and the update
# divided over them cost. In pairs, one after the other; prints the medians of the steps' times and of the pairs' ratios.
#   nodes.sh DTRAIN [OPTION…]     e.g.  nodes.sh build/dtrain --layers 8 --width 512 --heads 8
# RANKS: 2, PAIRS: 5, STEPS: 6 of each run, of which the first two do not count; BEFORE: another program, for the pretended nodes
set -euo pipefail
dtrain=$(realpath "${1:?usage: $0 DTRAIN [OPTION…]}")
shift
before=${BEFORE:-}
ranks=${RANKS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OPENBLAS_NUM_THREADS=1

# run NAME PROGRAM OPTION…
run() {
    local name=$1 program=$2
    shift 2
    "${MPIRUN:-mpirun}" -np "$ranks" "$program" --out "$work/$name" --steps "${STEPS:-6}" --eval-every 0 --checkpoint-every 0 \
        --log-level warn "$@" >&2
}

for ((pair = 0; pair < ${PAIRS:-5}; pair++)); do
    run "one-$pair" "$dtrain" "$@"
    run "nodes-$pair" "$dtrain" "$@" --ranks-per-node 1
    [[ ! $before ]] || run "before-$pair" "$before" "$@" --ranks-per-node 1
done
/usr/bin/python3 -B - "$work" "${PAIRS:-5}" "$ranks" ${before:+before} <<'END'
import statistics, sys
import h5py

def step(name):
    return statistics.median(h5py.File(f"{sys.argv[1]}/{name}/latest.h5")["metrics/train/seconds"][2:])

pairs, ranks = int(sys.argv[2]), sys.argv[3]
one = [step(f"one-{i}") for i in range(pairs)]
print(f"1 node x {ranks} ranks: {1e3 * statistics.median(one):.1f} ms a step")
for name in ["nodes"] + sys.argv[4:]:
    other = [step(f"{name}-{i}") for i in range(pairs)]
    ratio = statistics.median(a / b for a, b in zip(other, one))
    print(f"{name}: {ranks} nodes x 1 rank: {1e3 * statistics.median(other):.1f} ms a step, {ratio:.3f} of one node's")
END
