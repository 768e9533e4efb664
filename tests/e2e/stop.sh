#!/usr/bin/env bash
# TERM and USR1 to the launcher lose at most the step in flight, and do not change the result of the run.
# Usage: stop.sh DTRAIN MPIRUN [STOPS [SEED]]
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
stops=${3:-8}
choose_random "${4:-}"

# The signal's checkpoint is the only one; validations are interrupted, too.
run=(--eval-every 5 --checkpoint-every 0 --keep 2 "${small[@]}" --eval-examples 512 --schedule constant
    --log-level debug)

step=0
for ((k = 0; k < stops; k++)); do
    ranks=$((RANDOM % 4 + 1))
    node=$((RANDOM % 3)) # ranks of a simulated node, 0: one node
    signals=(TERM USR1)
    signal=${signals[k % 2]}
    pause=$(calculate "$RANDOM / 32768 * 0.7")
    launch "$ranks" "${run[@]}" --steps 1000000 --out parts --ranks-per-node "$node"
    wait_for 30 has_made $((step + 1))
    sleep "$pause"
    kill "-$signal" "$job"
    end_of_job
    made=$(last_made)
    step=$(newest_step parts)
    say "stop $k: $signal to $ranks ranks, nodes of $node, $pause s after their first step: announced $made, saved $step"
    if [[ $signal == USR1 ]]; then
        ((code == 75)) || fail "exit code $code instead of 75"
        ((step == made)) || fail "step $made was complete, and $step was saved"
    else
        # KILL may come before the step in flight at TERM is written.
        ((step >= made - 1)) || fail "step $made was complete, and $step was saved"
    fi
    [[ $(last_stop parts/latest.h5) == "signal $signal" ]] || fail "the history says $(last_stop parts/latest.h5)"
done
run+=(--steps $((step + 5)))
expect_exit 0 start 3 "${run[@]}" --out parts
[[ $(history parts/latest.h5 step | wc -l) == $((stops + 1)) ]] || fail "not $((stops + 1)) starts in the history"
expect_exit 0 start 2 "${run[@]}" --out whole
compare_runs whole/latest.h5 parts/latest.h5
say "same bytes after $stops stops"
