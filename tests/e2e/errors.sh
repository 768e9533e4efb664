#!/usr/bin/env bash
# An error that ends a run loses no complete step, a killed launcher loses little, and changes of a run's bits or learning rate
# are reported.
# Usage: errors.sh DTRAIN MPIRUN FAULT
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
fault=$(realpath "${3:?usage: $0 DTRAIN MPIRUN FAULT}")

/usr/bin/python3 -B -c '
import random
random.seed(3)
for _ in range(3000):
    a, b = random.randint(0, 99), random.randint(0, 99)
    print(f"{a} + {b}\t{a + b}")' >lines.txt
run=(--layers 1 --width 32 --heads 2 --batch 16 --shards 4 --eval-every 0 --checkpoint-every never --log-level debug
    --schedule constant --steps 1000000)
readonly BAD_INPUT=65

# ---- the text of a run ----

# expect_saved FOLDER: the run that has just ended has saved its last completed step, and says why it ended.
expect_saved() {
    local folder=$1
    ((code == BAD_INPUT)) || fail "exit code $code instead of $BAD_INPUT"
    expect_text err "lines.txt has been written to while it was trained on" "the last completed step, $(last_made), has been saved"
    (($(newest_step "$folder") == $(last_made))) || fail "step $(last_made) was complete, $(newest_step "$folder") was saved"
    [[ $(last_stop "$folder/latest.h5") == "error, exit code $BAD_INPUT" ]] || fail "the history says $(last_stop "$folder/latest.h5")"
}

cp -p lines.txt original.txt
launch 2 "${run[@]}" --train-file lines.txt --out touched
wait_for 60 has_made 20
touch lines.txt
at=$(last_made)
wait_for 60 has_made $((at + 20))
say "touched at step $at, and on to $(last_made)"
echo "1 + 1	2" >>lines.txt
end_of_job
expect_saved touched
say "changed: ended at $(last_made), with a checkpoint"
# Put back, it goes on: the same bits as those of a run that was never disturbed.
cp -p original.txt lines.txt
last=$(($(newest_step touched) + 10))
expect_exit 0 start 2 "${run[@]}" --out touched --steps "$last"
expect_exit 0 start 1 "${run[@]}" --train-file lines.txt --out undisturbed --steps "$last"
compare_runs touched/latest.h5 undisturbed/latest.h5

# The same if a validation finds it; the validation takes longer than the steps.
launch 2 "${run[@]}" --train-file lines.txt --eval-every 1 --eval-examples 150 --metric loss --keep 1 --out judged
wait_for 60 has_made 10
echo "1 + 1	2" >>lines.txt
end_of_job
expect_saved judged
cp -p original.txt lines.txt
say "changed in a validation: ended at $(last_made), with a checkpoint"

# Only one rank notices: all end, and rank 0 saves. Each rank has its own folder with the text.
mkdir first second
cp lines.txt first
cp lines.txt second
: >err
timeout -k 5 120 "$mpirun" -np 1 -wdir "$work/first" "$dtrain" "${run[@]}" --train-file lines.txt --out alone : \
    -np 1 -wdir "$work/second" "$dtrain" "${run[@]}" --train-file lines.txt --out alone >out 2>err &
job=$!
wait_for 60 has_made 20
echo "1 + 1	2" >>second/lines.txt
code=0
wait "$job" || code=$?
expect_saved first/alone
expect_text err "rank 1 on"
say "what rank 1 alone noticed: ended at $(last_made), with a checkpoint"

# ---- rank 0 alone has no memory for the row of its step ----

readonly NO_MEMORY=71
LD_PRELOAD=$fault DTRAIN_TEST_FAULT="memory 0 64" expect_exit $NO_MEMORY start 2 "${run[@]}" --out full --steps 200
expect_text err "error: out of memory: training metrics need" "the last completed step, 64, has been saved"
[[ $(newest_step full) == 64 ]] || fail "step $(newest_step full) was saved"
[[ $(last_stop full/latest.h5) == "error, exit code $NO_MEMORY" ]] || fail "the history says $(last_stop full/latest.h5)"
say "no memory on rank 0 alone: ended at step 64, with a checkpoint"

# ---- a start that is refused ----

expect_exit 64 start 2 "${run[@]}" --backend opencl --precision bfloat16 --out refused
[[ ! -e refused ]] || fail "a refused start has left a folder: $(ls -A refused)"
mkdir refused
expect_exit 64 start 2 "${run[@]}" --backend opencl --precision bfloat16 --out refused
[[ -d refused ]] || fail "a refused start has removed a folder of others"
say "a refused start leaves nothing behind"

# ---- at most the time between two checkpoints is lost ----

launch 2 "${run[@]}" --checkpoint-every 1s --out killed
wait_for 60 has_made 5
sleep 4
kill -KILL "$job"
age=$(calculate "$(now) - $(stat -c %.Y "$(realpath killed/latest.h5)")")
end_of_job
say "killed: step $(newest_step killed) of $(last_made) was saved $age s before"
holds "$age < 3" || fail "the newest checkpoint is $age s old"

# ---- changes of a run's course are reported ----

curve=("${small[@]}" --eval-every 0 --steps 20 --out curve)
expect_exit 0 start 1 "${curve[@]}"
expect_exit 0 start 1 --out curve --steps 30
expect_text err "changed: steps 20 -> 30" "the learning rate of the next step is" "it would have been 0.0003" \
    "--schedule constant --lr 0.0003"
# A run cannot continue with a rate of 0.
expect_exit 0 start 1 "${small[@]}" --eval-every 0 --steps 20 --min-lr 0 --out zero
expect_exit 0 start 1 --out zero --steps 30
expect_text err "it would have been 0"
! grep -q -e "--schedule constant" err || fail "a rate of 0 is recommended"
expect_exit 0 start 1 --out curve --steps 40 --schedule constant --lr 0.0003
! grep -q "the learning rate of the next step" err || fail "a rate that was asked for is said to be another one"
rates=$(/usr/bin/python3 -B -c '
import h5py
print(*h5py.File("curve/latest.h5")["metrics/train/lr"][30:])')
[[ $rates == "$(printf '0.0003 %.0s' {1..10} | sed 's/ $//')" ]] || fail "the rate is not constant: $rates"
say "another --steps: ${rates%% *} to the end"

kernels=$(sed -n 's/.*OpenBLAS [0-9.]*, \([A-Za-z0-9]*\) kernels.*/\1/p' err | head -n 1)
other=Haswell
[[ $kernels != Haswell ]] || other=Sandybridge
OPENBLAS_CORETYPE=$other expect_exit 0 start 1 --out curve --steps 41
if grep -q "$other kernels" err; then
    expect_text err "the run was computed with cpu: OpenBLAS" "$kernels kernels" "and goes on with" "$other kernels" "other bits"
    expect_exit 0 "$dtrain" info curve
    expect_text out "$kernels kernels" "$other kernels"
    OPENBLAS_CORETYPE=$other expect_exit 0 start 1 --out curve --steps 42
    ! grep -q "the run was computed with" err || fail "the same kernels are said to be others"
    say "other kernels are named: $kernels, then $other"
fi
