#!/usr/bin/env bash
# TensorBoard reads each step of a run once, with the values of its checkpoint, also after a run was stopped, resumed from an
# older checkpoint, took itself back, or could not write.
# Usage: event_files.sh DTRAIN MPIRUN FOLDER FAULT; FOLDER gets a virtual environment with TensorBoard, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/small.sh
. "$here/../peers/small.sh"
small_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER FAULT}" tensorboard h5py
fault=$(realpath "${4:?usage: $0 DTRAIN MPIRUN FOLDER FAULT}")

# as_stored RUN OPTION…: TensorBoard reads what the run's newest checkpoint has.
as_stored() {
    expect_exit 0 "$python" -B "$here/../peers/event_files.py" "$@"
    say "$(<out)"
}
newest_events() { find "$1" -name 'events.out.tfevents.*' | sort | tail -n 1; }
# forget RUN STEP…: the run is as if these checkpoints had never been written.
forget() {
    local run=$1 step
    shift
    for step in "$@"; do rm "$run/checkpoint-000000$step.h5"; done
    rm "$run"/{latest,best}.h5
}

run=("${small[@]}" --layers 1 --eval-every 20 --checkpoint-every 20 --keep 0 --metric loss --watts 10)
expect_exit 0 start 2 "${run[@]}" --steps 30 --out off
! compgen -G 'off/events*' >/dev/null || fail "event files that were not asked for"
expect_exit 0 start 2 "${run[@]}" --steps 50 --out run --tensorboard
as_stored run --files 1

# ---- from an older checkpoint: the setting is the run's ----

forget run 40 50
expect_exit 0 start 1 --lr 1e-3 --steps 70 --out run
expect_text err "resuming run from step 20"
as_stored run --files 2
# Of steps that are not made again nothing is left.
forget run 60 70 40
expect_exit 0 start 1 --steps 27 --out run
as_stored run --files 3

# ---- what was lost is written again; a file's damaged end is skipped ----

truncate -s -9 "$(newest_events run)"
expect_exit 1 "$python" -B "$here/../peers/event_files.py" run
expect_exit 0 start 2 --steps 36 --out run
as_stored run --files 4
rm run/events*
expect_exit 0 start 2 --steps 40 --out run
as_stored run --files 1

# ---- another folder, or begun later: the whole curve ----

expect_exit 0 start 1 --resume run/checkpoint-00000020.h5 --out branch --steps 24
as_stored branch --files 1
expect_exit 0 start 2 --out off --steps 45 --tensorboard
as_stored off --files 1
expect_exit 0 start 2 --out off --steps 50 --tensorboard=off
expect_exit 0 start 2 --out off --steps 55
[[ $(find off -name 'events*' | wc -l) == 1 ]] || fail "event files that were turned off"
expect_exit 0 start 2 --out off --steps 60 --tensorboard
as_stored off --files 2

# ---- back to an earlier state after a divergence ----

expect_exit 0 env LD_PRELOAD="$fault" DTRAIN_TEST_FAULT="nan 1 12 15" "$mpirun" -np 2 "$dtrain" "${small[@]}" --backend blas \
    --optimizer adamw --eval-every 0 --checkpoint-every 5 --keep 0 --steps 30 --out back --tensorboard
expect_text err "it goes back from step 15 to 10"
as_stored back --files 2

# ---- running text: samples, and bits per byte ----

/usr/bin/python3 -c 'print("\n".join(f"東 {i} <b>and</b> *{i * i}*" for i in range(400)))' >text.txt
text=(--text text.txt --context 32 --layers 1 --width 16 --heads 2 --batch 8 --eval-every 10 --eval-examples 8 --checkpoint-every 10 --keep 0)
expect_exit 0 start 2 "${text[@]}" --steps 30 --out text --tensorboard
grep -q '"event":"sample"' text/log.jsonl || fail "no sample in the log"
forget text 30
expect_exit 0 start 1 "${text[@]}" --steps 40 --out text
as_stored text --files 2
"$python" -c 'import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator("text")
events.Reload()
points = events.Scalars("validation/bits_per_byte")
sys.exit([p.step for p in points] != [20, 30, 40] and [p.step for p in points] != [10, 20, 30, 40])' 2>err || fail "no bits per byte"

# ---- a disk that fails: said once, and made good by the next start ----

has_events() { [[ -s $(newest_events full) ]]; }
mkdir full
timeout -k 5 120 "$dtrain" "${run[@]}" --batch 8 --eval-every 0 --checkpoint-every never --steps 1000000 --out full --tensorboard \
    >out 2> >(cat >err) &
job=$!
wait_for 30 has_events
process=$(pgrep -P "$job" -x dtrain)
prlimit --pid "$process" --fsize=20000:unlimited
wait_for 60 grep -q "goes on without events for TensorBoard" err
prlimit --pid "$process" --fsize=unlimited:unlimited
sleep 1
kill -TERM "$process"
code=0
wait "$job" || code=$?
((code == 75)) || fail "exit code $code instead of 75"
[[ $(grep -c "without events for TensorBoard" err) == 1 ]] || fail "said more than once"
expect_exit 75 timeout 60 "$dtrain" --out full --time-limit 1s
as_stored full --files 2

expect_exit 64 "$dtrain" --tensorboard=perhaps --out no
expect_text err "--tensorboard" "off|on"
