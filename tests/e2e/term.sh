#!/usr/bin/env bash
# TERM to the launcher, which kills one second later: the checkpoint of a model of ten million parameters is complete by then,
# also when the signal comes while another is being written.
# Usage: term.sh DTRAIN MPIRUN [TIMES [SEED]]
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
times=${3:-5}
seed=${4:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$seed
say "$times times, seed $seed"

# Muon's update takes longer than all the rest of such a step: the signal comes in the middle of it.
run=(--width 320 --layers 8 --heads 8 --optimizer muon --ops + --batch 8 --shards 2 --micro-batch 4 --eval-every 0
    --steps 1000000 --schedule constant --log-level debug --out ten)

worst=0 crowded=0
for ((k = 0; k < times; k++)); do
    # Always one in progress; now and then none.
    every=$((k % 3 == 2 ? 0 : 1))
    pause=$(calculate "$RANDOM / 32768 * 1.5")
    launch 2 "${run[@]}" --checkpoint-every "$every"
    wait_for 60 grep -q 'is complete$' err
    sleep "$pause"
    kill -TERM "$job"
    end_of_job
    made=$(last_made)
    step=$(newest_step ten)
    [[ $(readlink ten/latest.h5) == "$(printf 'checkpoint-%08d.h5' "$step")" ]] || fail "latest.h5 is $(readlink ten/latest.h5)"
    # From the moment at which the signal came to rank 0; mpirun leaves itself time before it passes it on.
    took=$(sed -n 's/.*signal TERM: answered after \([0-9.]*\) s$/\1/p' err)
    say "TERM $k, $pause s after the first step, $(grep -c 'checkpoint of step' err) checkpoints: step $made complete, step $step on disk after ${took:-more than a} s"
    if [[ -z $took ]] && busy; then
        say "not counted: the load is $(cut -d ' ' -f 1 /proc/loadavg) on $(nproc) processors"
        crowded=$((crowded + 1))
        continue
    fi
    [[ -n $took ]] || fail "no checkpoint was written in time; the history of step $step says $(last_stop ten/latest.h5)"
    [[ $(last_stop ten/latest.h5) == "signal TERM" ]] || fail "the history says $(last_stop ten/latest.h5)"
    ((step >= made - 1)) || fail "step $made was complete, and $step was saved"
    holds "$took < 1" || fail "$took s are more than the second there is"
    ! holds "$took > $worst" || worst=$took
done
((crowded * 2 <= times)) || skip "others use the processors: the load is $(cut -d ' ' -f 1 /proc/loadavg)"
say "at most $worst s"
launch 2 "${run[@]}" --checkpoint-every 0
wait_for 60 has_said "resuming ten from step $step "
kill -KILL "$job"
end_of_job
