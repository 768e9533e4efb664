#!/usr/bin/env bash
# When checkpoints are written, which of them are kept, and which one is the best.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

run=("${small[@]}" --eval-every 0 --keep 0 --log-level debug)

# ---- how often ----

# expect_steps FOLDER STEP…: the run that has just ended has checkpoints of these steps. If the disk was too slow for one,
# dtrain has said so, and a later step has it.
expect_steps() {
    local folder=$1 step late=0 taken
    shift
    taken=" $(steps_of "$folder") "
    say "$folder:$taken"
    for step in "$@"; do
        [[ $taken != *" $step "* ]] || continue
        has_said "the checkpoint of step $step has to wait" || fail "no checkpoint of step $step, but$taken"
        late=$((late + 1))
    done
    for step in $taken; do
        [[ " $* " == *" $step "* ]] || ((late-- > 0)) || fail "a checkpoint of step $step: $taken"
    done
}

expect_exit 0 start 2 "${run[@]}" --steps 22 --checkpoint-every 5 --out steps
expect_steps steps 5 10 15 20 22

# 2 epochs of 122 problems in batches of 61: 4 steps.
expect_exit 0 start 2 "${run[@]}" --steps 14 --train-examples 122 --checkpoint-every 2e --out epochs
expect_steps epochs 4 8 12 14
# Epochs that end within a step: 100 problems, so after steps 2, 4, 5, 7, 9, 10.
expect_exit 0 start 2 "${run[@]}" --steps 10 --train-examples 100 --checkpoint-every 1e --out uneven
expect_steps uneven 2 4 5 7 9 10

expect_exit 0 start 2 "${run[@]}" --steps 12 --checkpoint-every never --out never
expect_steps never 12
expect_exit 0 start 2 "${run[@]}" --steps 12 --checkpoint-every 0 --out automatic
expect_steps automatic 12

launch 2 "${run[@]}" --steps 1000000 --checkpoint-every 1s --out seconds
wait_for 60 has_said "new run in seconds"
sleep 5.5
kill -USR1 "$job"
end_of_job
count=$(steps_of seconds | wc -w)
say "every second for 5.5 s: $count checkpoints"
((count >= 3 && count <= 8)) || fail "every second for 5.5 s: $count checkpoints"

# ---- which are kept ----

expect_exit 0 start 2 "${run[@]}" --steps 40 --checkpoint-every 5 --keep 2 --out kept
expect_steps kept 35 40
expect_exit 0 start 2 "${run[@]}" --steps 20 --checkpoint-every 5 --keep 1 --out one
expect_steps one 20
# Pinned by a link of any name.
pinned=$(steps_of kept)
pinned=${pinned%% *}
ln -s "$(printf 'checkpoint-%08d.h5' "$pinned")" kept/paper
expect_exit 0 start 2 "${run[@]}" --steps 80 --checkpoint-every 5 --keep 2 --out kept
expect_steps kept "$pinned" 75 80
rm kept/paper
expect_exit 0 start 2 "${run[@]}" --steps 90 --checkpoint-every 5 --keep 2 --out kept
expect_steps kept 85 90

# ---- the best, by each metric ----

# It has the best value, ties are broken by loss, and its file is kept even if few are kept.
check_best() {
    /usr/bin/python3 -B - "$@" <<'END'
import os, sys, h5py
folder, metric, least = sys.argv[1], sys.argv[2], float(sys.argv[3])
with h5py.File(f"{folder}/latest.h5") as file:
    rows = file["metrics/validation"]
    steps, values, losses = (rows[name][()].tolist() for name in ("step", metric, "loss"))
    state = dict(file["state"].attrs)
sign = -1 if metric == "loss" else 1
best = better = 0
for i, value in enumerate(values):
    if sign * value > sign * values[best] + least:
        best = better = i
    elif value == values[best] and losses[i] < losses[best]:
        best = i
assert steps[best] == state["best_step"], (steps[best], state["best_step"], values)
assert values[best] == state["best"], (values[best], state["best"])
assert len(steps) - 1 - better == state["stale"], (better, state["stale"], len(steps))
link = os.readlink(f"{folder}/best.h5")
assert link == f"checkpoint-{steps[best]:08d}.h5", (link, steps[best])
with h5py.File(f"{folder}/best.h5") as file:
    assert file.attrs["step"] == steps[best]
    assert file["metrics/validation"][metric][()].tolist() == values[:best + 1]
print(f"best by {metric}: {values[best]:.4f} at {steps[best]} of {steps}")
END
}

# With a large learning rate the metric goes up and down.
run=("${small[@]}" --lr 0.02 --ops + --digits 2 --eval-every 6 --steps 120 --keep 1 --checkpoint-every 0)
for metric in exact-match token-accuracy loss; do
    expect_exit 0 start 2 "${run[@]}" --metric "$metric" --out "$metric"
    check_best "$metric" "${metric//-/_}" 0 || fail "the best by $metric is wrong"
    (($(steps_of "$metric" | wc -w) <= 2)) || fail "keep 1: $(steps_of "$metric")"
done
expect_exit 0 start 2 "${run[@]}" --metric loss --min-delta 0.3 --out delta
check_best delta loss 0.3 || fail "the best by at least 0.3 is wrong"
# The best value is that of the run's metric.
for metric in exact-match token-accuracy loss; do
    expect_exit 0 "$dtrain" info "$metric"
    expect_text out "best       ${metric/-/ } " "at step $(attribute "$metric/best.h5" / step)"
    expect_exit 0 "$dtrain" info "$metric" --json
    expect_text out "\"metric\":\"$metric\","
done
