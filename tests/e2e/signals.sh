#!/usr/bin/env bash
# Signals are answered at once at any time; USR2 asks for a checkpoint, and the run goes on; a second INT ends it immediately.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

# The most seconds, without waiting for a processor, until the program answers; it takes a few milliseconds.
SOON=0.3

# expect_soon SIGNAL: the run, which `watch` watches, answers it soon.
expect_soon() {
    local took own
    kill "-$1" "$job"
    wait_for 60 has_said "signal $1: answered after"
    took=$(answered "$1")
    own=$(own_seconds "$took")
    say "$1: on disk after $took s, $own s of them its own"
    holds "$own < $SOON" || fail "$own s of its own until the checkpoint was written"
}

# ---- USR2: a checkpoint, and the run goes on ----

run=(--steps 240 --eval-every 240 --checkpoint-every 0 --keep 0 "${small[@]}" --schedule constant --log-level debug)
expect_exit 0 start 2 "${run[@]}" --out whole
launch 2 "${run[@]}" --out asked
wait_for 30 has_made 5
kill -USR2 "$job"
wait_for 30 is_past asked 0
first=$(newest_step asked)
wait_for 60 has_made $((first + 5))
# Rank 0 also answers a USR2 that only another rank gets, after it had more of them itself.
for rank in 0 1; do
    signal_rank USR2 $rank
    wait_for 30 is_past asked "$first"
    first=$(newest_step asked)
    wait_for 60 has_made $((first + 5))
done
end_of_job
((code == 0)) || fail "exit code $code after USR2"
say "USR2: checkpoints $(steps_of asked)"
[[ $(newest_step asked) == 240 ]] || fail "it ended at step $(newest_step asked)"
[[ $(steps_of asked | wc -w) -ge 4 ]] || fail "only checkpoints $(steps_of asked)"
compare_runs whole/latest.h5 asked/latest.h5

# ---- HUP, as from a terminal that is closed ----

launch alone "${run[@]}" --steps 1000000 --out hung_up
wait_for 30 has_made 5
kill -HUP "$job"
end_of_job
((code == 75)) || fail "exit code $code after HUP"
[[ $(last_stop hung_up/latest.h5) == "signal HUP" ]] || fail "the history says $(last_stop hung_up/latest.h5)"
nohup_start() { nohup "$dtrain" "${run[@]}" --steps 1000000 --out nohup >out 2>err & job=$!; }
: >err # of the run before
nohup_start
wait_for 30 has_made 5
kill -HUP "$job"
made=$(last_made)
wait_for 60 has_made $((made + 5))
kill -INT "$job"
end_of_job
((code == 75)) || fail "exit code $code under nohup"

# ---- the soft limit of processor time of a batch system ----

(ulimit -S -t 3 && exec "$dtrain" "${run[@]}" --steps 1000000 --out limited) >out 2>err && fail "it ended without a signal" || code=$?
((code == 75)) || fail "exit code $code after XCPU"
[[ $(last_stop limited/latest.h5) == "signal XCPU" ]] || fail "the history says $(last_stop limited/latest.h5)"
(($(newest_step limited) == $(last_made))) || fail "step $(last_made) was complete, $(newest_step limited) was saved"
say "XCPU: stopped at step $(last_made)"

# ---- a long step ----

# One pass over the model takes seconds here; meanwhile the loop checks no flags.
long=(--layers 4 --width 128 --heads 4 --ops '*' --digits 4 --batch 800 --micro-batch 800 --shards 1 --eval-every 0
    --steps 100 --checkpoint-every 0 --log-level debug)
launch alone "${long[@]}" --out long
wait_for 100 has_made 1
sleep 0.3
watch "$job"
expect_soon INT
! is_over "$job" || fail "the step was over before the signal was answered"
[[ $(newest_step long) == 1 ]] || fail "step $(newest_step long) was saved"
[[ $(last_stop long/latest.h5) == "signal INT" ]] || fail "the history says $(last_stop long/latest.h5)"
# 75 would be its exit code at the end of the step.
kill -INT "$job"
end_of_job
((code == 130)) || fail "exit code $code after a second INT"
[[ $(last_made) == 1 ]] || fail "step $(last_made) was completed after a second INT"
say "a second INT ends it at once"

# ---- a validation ----

for ranks in alone 3; do
    launch "$ranks" "${small[@]}" --eval-every 3 --eval-examples 16000000 --steps 100 --checkpoint-every 0 --out "judged$ranks" \
        --log-level debug
    wait_for 60 has_made 3
    sleep 0.5
    if [[ $ranks == alone ]]; then watch "$job"; else watch "$(rank_process 0)"; fi
    expect_soon USR1
    end_of_job
    ((code == 75)) || fail "exit code $code after USR1 in a validation"
    [[ $(newest_step "judged$ranks") == 3 ]] || fail "step $(newest_step "judged$ranks") was saved"
done
# The next start makes the missing validation first.
expect_exit 0 start 2 "${small[@]}" --eval-every 3 --eval-examples 128 --steps 4 --out judged3
expect_text err "validation at 3:" "validation at 4:"
expect_exit 0 start alone "${small[@]}" --eval-every 3 --eval-examples 128 --steps 4 --out judged_whole --checkpoint-every 0
compare_runs judged_whole/latest.h5 judged3/latest.h5

# ---- before the first step, and in the last validation ----

# Before the program catches signals, USR1 would simply end it.
catches() { (((0x$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status") >> ($(kill -l "$2") - 1)) & 1)); }
launch alone "${small[@]}" --steps 1000000 --out early
wait_for 30 catches "$job" USR1
kill -USR1 "$job"
end_of_job
((code == 75)) || fail "exit code $code after USR1 at the start"
[[ $(last_stop early/latest.h5) == "signal USR1" ]] || fail "the history says $(last_stop early/latest.h5)"
last=("${small[@]}" --eval-every 50 --steps 5 --out last --log-level debug --checkpoint-every 0)
launch 2 "${last[@]}" --eval-examples 16000000
wait_for 60 has_made 5
sleep 0.3
kill -USR1 "$job"
end_of_job
((code == 75)) || fail "exit code $code after USR1 in the last validation"
expect_exit 0 start 3 "${last[@]}"
expect_text err "validation at 5:" "finished 5 steps"
expect_exit 0 start 3 "${last[@]}"
expect_text err "last is finished"
say "the next start makes the last validation"
