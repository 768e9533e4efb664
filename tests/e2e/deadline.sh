#!/usr/bin/env bash
# A run ends in time: with a checkpoint, exit code 75 and the reason in its history.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

run=(--steps 1000000 --schedule constant --checkpoint-every 0 "${small[@]}")

# in_time SECONDS COMMAND…: its last checkpoint is on disk before the time is over, and it does not end too early. The time
# begins with the program; config.ini is written soon after. The launcher's time at the end does not count.
in_time() {
    local allowed=$1 start took saved
    shift
    start=$(now)
    expect_exit 75 "$@"
    took=$(calculate "$(now) - $start")
    saved=$(calculate "$(date -r "$out/latest.h5" +%s.%N) - $(date -r "$out/config.ini" +%s.%N)")
    say "limit $allowed s: saved after $saved s at step $(newest_step "$out"), ended after $took s"
    holds "$saved < $allowed" || fail "saved after $saved s with a limit of $allowed s"
    holds "$took > $allowed / 4" || fail "ended after $took s already, with a limit of $allowed s"
    (($(newest_step "$out") > 0)) || fail "not a single step in $allowed s"
}

# ---- --time-limit ----

out=limited
in_time 8 start 2 "${run[@]}" --eval-every 20 --out limited --time-limit 8s
expect_text err "stopped at step" "(time limit)" "start dtrain again to go on"
[[ $(last_stop limited/latest.h5) == "time limit" ]] || fail "the history says $(last_stop limited/latest.h5)"
first=$(newest_step limited)
in_time 6 start 3 "${run[@]}" --eval-every 20 --out limited --time-limit 6s
expect_text err "resuming limited from step $first "
[[ $(history limited/latest.h5 stopped | grep -c '^time limit$') == 2 ]] || fail "not two starts in the history"

# With a limit that is too short, one step is made nevertheless; otherwise the run would never make progress.
before=$(newest_step limited)
expect_exit 75 start 2 "${run[@]}" --out limited --time-limit 1s
(($(newest_step limited) == before + 1)) || fail "from step $before to $(newest_step limited) with no time at all"

# A validation for which there is no time is left to the next start.
expect_exit 75 start 2 "${run[@]}" --out judged --eval-every 3 --steps 3 --eval-examples 3000000 --time-limit 6s
expect_text err "stopped at step 3 of 3 (time limit)"
expect_exit 0 start 2 "${run[@]}" --out judged --eval-every 3 --steps 3
expect_text err "validation at 3:" "finished 3 steps"

# ---- a Slurm allocation that ends ----

# mpirun reads these variables itself, so this is a process without mpirun.
out=allocated
in_time 8 env SLURM_JOB_ID=123 SLURM_JOB_END_TIME=$(($(date +%s) + 8)) "$dtrain" "${run[@]}" --out allocated
expect_text err "(end of the Slurm allocation)"
[[ $(last_stop allocated/latest.h5) == "end of the Slurm allocation" ]] ||
    fail "the history says $(last_stop allocated/latest.h5)"
# The earlier of the two limits counts.
expect_exit 75 env SLURM_JOB_ID=123 SLURM_JOB_END_TIME=$(($(date +%s) + 300)) "$dtrain" "${run[@]}" --out allocated --time-limit 3s
expect_text err "(time limit)"

# ---- the end comes first ----

expect_exit 0 start 2 "${run[@]}" --out whole --steps 20 --time-limit 1h
[[ $(last_stop whole/latest.h5) == finished ]] || fail "the history says $(last_stop whole/latest.h5)"
