#!/usr/bin/env bash
# Values that are not finite never reach the weights. A run that diverges goes back, continues with other texts, and gives up if
# that does not help. Nodes with different weights are detected.
# Usage: diverge.sh DTRAIN MPIRUN FAULT
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
fault=$(realpath "${3:?usage: $0 DTRAIN MPIRUN FAULT}")

# AdamW's update has no matrix products, so that all those of a step come before its exchange. The faults are in BLAS.
run=("${small[@]}" --backend blas --optimizer adamw --eval-every 0 --checkpoint-every 5 --keep 0 --steps 30)

# faulty FAULT RANKS ARGUMENT…: start with one rank that calculates wrongly.
faulty() {
    local kind=$1
    shift
    LD_PRELOAD=$fault DTRAIN_TEST_FAULT=$kind start "$@"
}

# all_finite FOLDER: weights and moments of every checkpoint in it, also of those set aside.
all_finite() {
    /usr/bin/python3 -B - "$1"/checkpoint-* <<'END' || fail "a checkpoint in $1 is not finite"
import sys, numpy, h5py
for path in sys.argv[1:]:
    file = h5py.File(path)
    for group in ("weights", "optimizer"):
        file[group].visititems(lambda name, item: isinstance(item, h5py.Dataset) and
            (numpy.isfinite(item[()]).all() or sys.exit(f"{path}: {group}/{name}")))
END
}

# ---- one bad step ----

expect_exit 0 start 2 "${run[@]}" --out whole
expect_exit 0 faulty "nan 1 12 13" 2 "${run[@]}" --out once
expect_text err "warning: loss or gradient of step 12 is not finite: nothing was updated" "finished 30 steps"
[[ $(attribute once/latest.h5 state skipped) == 1 ]] || fail "not counted: $(attribute once/latest.h5 state skipped)"
[[ $(attribute once/latest.h5 state rollbacks) == 0 ]] || fail "went back for one bad step"
all_finite once
# All ranks leave the same update out, for a fault on any rank and any node.
expect_exit 0 faulty "nan 2 12 13" 4 "${run[@]}" --out once4 --ranks-per-node 2
compare_datasets once/latest.h5 once4/latest.h5 /weights /optimizer /state
/usr/bin/python3 -B - whole/latest.h5 once/latest.h5 <<'END' || fail "the curve is wrong"
import sys, math, h5py
whole, once = (h5py.File(name)["metrics/train"] for name in sys.argv[1:])
assert once["step"][()].tolist() == list(range(30))
assert whole["loss"][:12].tolist() == once["loss"][:12].tolist()
bad = [not math.isfinite(x) for x in once["grad_norm"][()]]
assert bad == [i == 12 for i in range(30)], bad
END
/usr/bin/python3 -B -c 'import json, sys
for line in open("once/log.jsonl"): json.loads(line, parse_constant=lambda word: sys.exit(f"{word} is no JSON"))' ||
    fail "log.jsonl is no JSON"
say "one bad step is left out"

# ---- three in a row ----

expect_exit 0 faulty "nan 1 12 15" 2 "${run[@]}" --out back
expect_text err "the run has diverged: it goes back from step 15 to 10 and continues with other texts" "finished 30 steps"
[[ $(attribute back/latest.h5 state skipped) == 3 ]] || fail "not counted: $(attribute back/latest.h5 state skipped)"
[[ $(attribute back/latest.h5 state rollbacks) == 1 ]] || fail "not counted: $(attribute back/latest.h5 state rollbacks)"
history back/latest.h5 changed | grep -qF "rolled back 15 -> 10" || fail "the history does not tell: $(history back/latest.h5 changed)"
[[ $(steps_of back) == "5 10 15 20 25 30" ]] || fail "checkpoints: $(steps_of back)"
all_finite back
/usr/bin/python3 -B - whole/latest.h5 back/latest.h5 <<'END' || fail "the curve is wrong"
import sys, numpy, h5py
whole, back = (h5py.File(name)["metrics/train"] for name in sys.argv[1:])
assert back["step"][()].tolist() == list(range(30)), "a gap, or a double point"
assert whole["loss"][:10].tolist() == back["loss"][:10].tolist()
assert numpy.isfinite(back["loss"][()]).all() and numpy.isfinite(back["grad_norm"][()]).all()
# The same weights, but other texts.
assert whole["loss"][10] != back["loss"][10] and abs(whole["loss"][10] - back["loss"][10]) < 0.5
END
say "three bad steps in a row: the run goes back and continues with other texts"

# Before the first checkpoint it is back to the beginning; a later start knows of it.
expect_exit 0 faulty "nan 0 2 5" 3 "${run[@]}" --steps 8 --checkpoint-every 50 --out start
expect_text err "back from step 5 to 0"
[[ $(attribute start/latest.h5 state rollbacks) == 1 ]] || fail "not counted"
all_finite start

# Muon's update has products: an error there reaches the weights before it is seen. No such checkpoint is written.
expect_exit 0 faulty "nan 1 13 14" 2 "${run[@]}" --optimizer muon --checkpoint-every 1 --out update
expect_text err "the run has diverged: it goes back from step" "finished 30 steps"
all_finite update
say "a state after a wrong update is dropped"

# What began with the weights of another run has no way back before its first checkpoint: it does not begin anew with random ones.
expect_exit 69 faulty "nan 1 2 5" 2 "${run[@]}" --init-from whole --checkpoint-every 20 --out fine
expect_text err "before its first checkpoint" "a lower --lr"
[[ ! -e fine/latest.h5 ]] || fail "a run was begun with other weights than those given"
say "no other weights than those given"

# ---- it keeps diverging ----

expect_exit 69 faulty "nan 1 12 1000" 2 "${run[@]}" --out lost
expect_text err "the run keeps diverging" "--lr" "--clip"
[[ $(grep -c "the run has diverged: it goes back from step" err) == 3 ]] || fail "not three returns"
[[ $(steps_of lost) == 5 && $(readlink lost/latest.h5) == checkpoint-00000005.h5 ]] || fail "left: $(steps_of lost)"
[[ -e lost/checkpoint-00000010.h5.diverged ]] || fail "the abandoned branch is gone"
all_finite lost
# The run can be continued.
expect_exit 0 start 3 "${run[@]}" --lr 1e-4 --out lost
expect_text err "resuming lost from step 5" "finished 30 steps"
say "gives up after three returns, and keeps what is healthy"

# Bad steps replace no healthy checkpoint, even if few are kept.
expect_exit 69 faulty "nan 1 12 1000" 2 "${run[@]}" --checkpoint-every 1 --keep 1 --out few
all_finite few
[[ -e few/latest.h5 ]] || fail "no checkpoint is left"
expect_exit 0 start 2 "${run[@]}" --out few
say "keep 1: went on from $(sed -n 's/.*resuming few from step \([0-9]*\).*/\1/p' err)"

# ---- the best model was on the abandoned branch ----

best=("${run[@]}" --eval-every 5 --eval-examples 64 --metric loss)
expect_exit 69 faulty "nan 1 15 1000" 2 "${best[@]}" --out branch
[[ $(readlink branch/best.h5) == "$(printf 'checkpoint-%08d.h5' "$(attribute branch/latest.h5 state best_step)")" ]] ||
    fail "best.h5 is $(readlink branch/best.h5), the state says $(attribute branch/latest.h5 state best_step)"
expect_exit 0 "$dtrain" info branch

# ---- silent drift ----

expect_exit 69 faulty "weight 1 7" 3 "${run[@]}" --out drift --ranks-per-node 1
expect_text err "at step 10 the weights on" "(node 1, from rank 1 on) differ from those of the other nodes"
[[ $(steps_of drift) == 5 ]] || fail "checkpoints after the nodes differed: $(steps_of drift)"
expect_exit 69 faulty "weight 0 7" 4 "${run[@]}" --out drift0 --ranks-per-node 1
expect_text err "(node 0, from rank 0 on) differ from those of the other nodes"
expect_exit 69 faulty "weight 1 7" 2 "${run[@]}" --out drift2 --ranks-per-node 1
expect_text err "(node 1, from rank 1 on) differ from those on" "one of them"
# Where a matrix is updated on one node for all, the difference is found before it spreads.
expect_exit 69 faulty "weight 1 7" 3 "${run[@]}" --out drift3 --ranks-per-node 1 --optimizer muon --updates job
expect_text err "at step 7 the weights on" "(node 1, from rank 1 on) differ from those of the other nodes"
[[ $(steps_of drift3) == 5 ]] || fail "checkpoints after the nodes differed: $(steps_of drift3)"
say "nodes that differ are named"

# ---- a lost message ----

# Collective operations, such as closing shared windows, are no longer possible: a replay ends like training, and does not wait.
expect_exit 0 start 2 "${run[@]}" --steps 20 --keep 0 --out replay
expect_exit 71 faulty "message 1 3" 2 verify --replay replay/checkpoint-00000010.h5 replay/checkpoint-00000020.h5
expect_text err "rank 1 on" "MPI_Gather failed"
say "a lost message ends a replay"
