#!/usr/bin/env bash
# The same bytes on any number of ranks, with any distribution over nodes.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# same_as_alone NAME RANKS OPTION…: the options of $run on this many ranks, compared with one rank without mpirun.
same_as_alone() {
    local name=$1 ranks=$2 link
    shift 2
    expect_exit 0 start "$ranks" "${run[@]}" --out "$name" "$@"
    for link in latest best; do
        [[ $(readlink "$name/$link.h5") == "$(readlink "alone/$link.h5")" ]] || fail "$name/$link.h5 is another step's"
        compare_runs "alone/$link.h5" "$name/$link.h5"
    done
    rm -rf "$name"
    say "same bytes: $name"
}

# 61 problems over 8 shards: shards of 7 and 8 problems, in micro-batches of 3, 3 and 1 or 2.
for optimizer in muon adamw; do
    run=(--steps 12 --eval-every 4 "${small[@]}" --optimizer "$optimizer")
    expect_exit 0 start alone "${run[@]}" --out alone --fresh
    say "$optimizer:"
    for ranks in 1 2 3 4 8; do same_as_alone "np$ranks" "$ranks"; done
    for node in 1 2 3; do same_as_alone "np4-nodes-of-$node" 4 --ranks-per-node "$node"; done
    same_as_alone np5-nodes-of-3 5 --ranks-per-node 3
    same_as_alone np8-nodes-of-3 8 --ranks-per-node 3
    [[ $optimizer == muon ]] || continue
    # Each matrix once in the job, or on each node; gradients straight to where they are added, or through the tree.
    same_as_alone np5-tree-job 5 --ranks-per-node 1 --exchange tree --updates job
    same_as_alone np5-direct-job 5 --ranks-per-node 2 --exchange direct --updates job
    same_as_alone np7-tree-node 7 --ranks-per-node 2 --exchange tree --updates node
done

mv alone reference
# The comparison sees a difference where there is one.
expect_exit 0 start 2 "${run[@]}" --out other --seed 2
! /usr/bin/python3 -B "$here/compare.py" reference/latest.h5 other/latest.h5 /weights 2>err ||
    fail "another seed gave the same weights"

# Half the bytes between nodes: the same bytes each time, nearly those of the other runs, and exactly those inside a node.
run=(--steps 12 --eval-every 4 "${small[@]}" --optimizer "$optimizer" --transport bfloat16)
for name in half again; do expect_exit 0 start 4 "${run[@]}" --out "$name" --ranks-per-node 2; done
compare_runs half/latest.h5 again/latest.h5
/usr/bin/python3 -B - <<'END' || fail "bfloat16 between nodes does not train as float32 does"
import h5py, numpy
a, b = (h5py.File(f"{name}/latest.h5")["metrics/train/loss"][()] for name in ("reference", "half"))
numpy.testing.assert_allclose(a, b, rtol=1e-3)
assert (a != b).any(), "nothing was rounded"
END
expect_exit 0 start 2 "${run[@]}" --out inside
compare_datasets reference/latest.h5 inside/latest.h5 /weights /optimizer /metrics/train /metrics/validation /state
say "bfloat16 between nodes, not inside"

# Another format, epochs over few examples, one problem a shard, all blocks in one rank's slice.
run=(--steps 6 --eval-every 3 --format plain --train-examples 40 --layers 1 --width 8 --heads 1 --batch 4 --shards 4
    --eval-examples 70 --clip 0)
expect_exit 0 start alone "${run[@]}" --out alone --fresh
same_as_alone tiny 3 --ranks-per-node 2

# More shards than texts are dealt to at once, of which the middle rank has some of either group, and so many texts that their
# lengths are shared.
run=(--steps 2 --eval-every 2 --eval-examples 70 --format plain --layers 1 --width 8 --heads 1 --batch 10000 --shards 2048)
expect_exit 0 start alone "${run[@]}" --out alone --fresh
same_as_alone groups 3

# Different processors: BLAS is told which kernels to use.
if have "processor x86_64"; then
    expect_exit 0 timeout -k 5 120 "$mpirun" -np 1 env OPENBLAS_CORETYPE=Nehalem "$dtrain" "${run[@]}" --out mixed : \
        -np 1 env OPENBLAS_CORETYPE=Prescott "$dtrain" "${run[@]}" --out mixed
    expect_text err "warning: not all ranks have the kernels of rank 0"
    say "different kernels are reported"
fi
