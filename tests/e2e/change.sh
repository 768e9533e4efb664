#!/usr/bin/env bash
# Settings that may change at a resume are listed and kept in the history; others may not change. New runs from old weights.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

base=(--layers 2 --width 32 --heads 2 --batch 40 --micro-batch 8 --ops '+-*/' --digits 3 --optimizer adamw --lr 2e-3 --schedule cosine --dropout 0 --metric exact-match
    --eval-every 10 --eval-examples 64 --checkpoint-every 10 --keep 5 --steps 20)
expect_exit 0 start 2 "${base[@]}" --out run

# change TEXT OPTION…: continue for ten steps; the text is printed and kept in the history.
stood=20
change() {
    local text=$1
    shift
    expect_exit 0 start 2 --out run --steps $((stood + 10)) "$@"
    expect_text err "changed: " "$text" "steps $stood -> $((stood + 10))"
    stood=$((stood + 10))
    history run/latest.h5 changed | tail -n 1 | grep -qF -e "$text" || fail "the history does not say $text"
    [[ $(newest_step run) == "$stood" ]] || fail "it ended at step $(newest_step run)"
}
change "lr 0.002 -> 0.001" --lr 0.001
change "schedule cosine -> constant" --schedule constant
change "batch 40 -> 64" --batch 64
change "ops +-*/ -> *" --ops '*'
change "digits 3 -> 2" --digits 2
change "checkpoint-every 10 -> 5" --checkpoint-every 5
change "keep 5 -> 4" --keep 4
change "metric exact-match -> loss" --metric loss
# The best exact match says nothing about the best loss.
(($(attribute run/latest.h5 state best_step) > stood - 10)) || fail "the best is from before the change of what it means"
holds "$(attribute run/latest.h5 state best) > 0.5" || fail "the best loss is $(attribute run/latest.h5 state best)"
change "dropout 0 -> 0.1" --dropout 0.1

# Settings that are not given keep their values, also those changed on the way.
expect_exit 0 start 2 --out run --steps $((stood + 10))
! grep -q "lr \|ops \|batch " <(grep "changed:" err) || fail "$(grep changed: err)"
/usr/bin/python3 -B - run/latest.h5 <<'END' || fail "the curve does not show the changes"
import sys, h5py
file = h5py.File(sys.argv[1])
train = file["metrics/train"]
assert train["step"][()].tolist() == list(range(len(train["step"]))), "steps are missing or doubled"
lr = train["lr"][()].tolist()
assert max(lr[20:30]) <= 0.001 and lr[-1] == 0.001, lr[-5:]
assert file["config"].attrs["batch"] == 64
assert file["state"].attrs["problems"] == 40 * 40 + 64 * (len(lr) - 40), file["state"].attrs["problems"]
changed = [c.decode().rstrip("\0") for c in file["metrics/history/changed"][()]]
assert changed[0] == "" and all(changed[1:]), changed
END
say "$(history run/latest.h5 step | wc -l) starts, each with its changes"

# ---- refused changes ----

checksums run >before
# refuse NAME OLD NEW
refuse() {
    expect_exit 64 start 2 --out run --steps 1000 "--$1" "$3"
    expect_text err "--$1 $2" "cannot become $3" "--out DIR" "--fresh"
}
refuse layers 2 3
refuse width 32 64
refuse heads 2 4
refuse seed 1 2
refuse shards 8 4
refuse format scratchpad plain
refuse optimizer adamw muon
refuse average 0.06 0
# Numbers that are longer than the model has places for.
expect_exit 64 start 2 --out run --steps 1000 --digits 5
expect_text err "--context 111" "lower --digits"
checksums run >after
cmp before after || fail "a refused start touched the run"
say "changes that would make another run are refused"

# ---- a new run from old weights ----

# At this rate one step changes next to nothing.
frozen=(--steps 1 --lr 1e-12 --weight-decay 0 --eval-every 0 --batch 8)
expect_exit 0 start 2 "${frozen[@]}" --init-from run --out tuned --ops '+' --seed 5
expect_text err "new run in tuned" "weights from run/best.h5, step "
history tuned/latest.h5 changed | grep -q "weights from run/best.h5" || fail "the history does not tell where the weights are from"
/usr/bin/python3 -B - run/best.h5 tuned/latest.h5 <<'END' || fail "it is not a new run from old weights"
import sys, numpy, h5py
old, new = (h5py.File(name) for name in sys.argv[1:])
def check(name, item):
    if isinstance(item, h5py.Dataset):
        assert numpy.abs(item[()] - new["weights"][name][()]).max() < 1e-6, name
old["weights"].visititems(check)
assert new.attrs["step"] == 1 and len(new["metrics/train/step"]) == 1
assert len(new["metrics/history/step"]) == 1
assert new["config"].attrs["ops"] in ("+", b"+") and new["config"].attrs["seed"] == 5
assert new["state"].attrs["problems"] == 8
END
# Its own checkpoints come before the weights of another.
expect_exit 0 start 2 "${frozen[@]}" --steps 2 --init-from run --out tuned
expect_text err "tuned has checkpoints already" "resuming tuned from step 1"
# Shapes follow from the weights; others do not fit.
expect_exit 64 start 2 "${frozen[@]}" --init-from run --out other --width 64
expect_text err "--width 32" "do not fit --width 64"
[[ ! -e other ]] || fail "a refused start made a folder"
expect_exit 66 start 2 "${frozen[@]}" --init-from nowhere --out other
expect_text err "nowhere"
expect_exit 64 start 2 "${frozen[@]}" --init-from run --resume run --out other
expect_text err "--init-from" "--resume"
say "new runs from old weights"
