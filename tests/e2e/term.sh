#!/usr/bin/env bash
# TERM to the launcher, which kills its ranks one second later: by then the checkpoint of a model with ten million parameters is
# complete, even if the signal comes while another one is being written. If others use the processors, the checkpoint may come
# too late, but only because the program waited for a processor; an older one is kept.
# Usage: term.sh DTRAIN MPIRUN [TIMES [SEED]]
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
times=${3:-3}
choose_random "${4:-}"
# The most seconds, without waiting for a processor, until the program answers; the launcher allows one second.
readonly MOST=0.7

# Muon's update takes longer than the rest of such a step, so most signals come during an update.
run=(--width 320 --layers 8 --heads 8 --optimizer muon --ops + --batch 8 --shards 2 --micro-batch 4 --eval-every 0
    --steps 1000000 --schedule constant --log-level debug)

# begin FOLDER EVERY: start in the background and wait for the first step; $rank0 is the process of rank 0.
begin() {
    launch 2 "${run[@]}" --out "$1" --checkpoint-every "$2"
    wait_for 120 grep -q 'is complete$' err
    rank0=$(rank_process 0)
}

# watched SIGNAL COMMAND…: the command sends the signal; $took is the time until it was answered.
watched() {
    local signal=$1
    shift
    watch "$rank0"
    "$@"
    end_of_job
    wait "$watch"
    took=$(answered "$signal")
    made=$(last_made)
}

# expect_answer FOLDER: the last step was saved, in time, and the history says why.
expect_answer() {
    local own
    step=$(newest_step "$1")
    own=$(own_seconds "$took")
    say "step $made complete, step $step on disk after $took s, $own s of them its own"
    [[ $(last_stop "$1/latest.h5") == "signal TERM" ]] || fail "the history says $(last_stop "$1/latest.h5")"
    ((step >= made - 1)) || fail "step $made was complete, and $step was saved"
    holds "$own < $MOST" || fail "$own s of its own are more than $MOST s"
    ! holds "$own > $worst" || worst=$own
}

worst=0
for ((k = 0; k < times; k++)); do
    # In two of three turns a checkpoint is always in progress.
    every=$((k % 3 == 2 ? 0 : 1))
    pause=$(calculate "$RANDOM / 32768 * 1.5")

    # ---- to the ranks, which have enough time: the first checkpoint may be in progress, with none on disk ----

    begin "first$k" "$every"
    sleep "$pause"
    say "TERM $k to the ranks $pause s after the first step"
    watched TERM signal_ranks TERM
    ((code == 75)) || fail "exit code $code after TERM to the ranks"
    [[ -n $took ]] || fail "the signal was not answered"
    expect_answer "first$k"
    rm -rf "first$k"

    # ---- to the launcher: an older checkpoint is on disk ----

    begin ten "$every"
    [[ -e ten/latest.h5 ]] || {
        kill -USR2 "$job"
        wait_for 120 test -e ten/latest.h5
    }
    before=$(newest_step ten)
    sleep "$pause"
    say "TERM $k to the launcher $pause s after that, $(grep -c 'checkpoint of step' err) checkpoints"
    watched TERM kill -TERM "$job"
    ((code == 1)) || fail "exit code $code of mpirun after TERM"
    if [[ -n $took ]]; then
        expect_answer ten
    else
        own=$(own_seconds 1)
        step=$(newest_step ten)
        say "killed after $own s of its own: step $made complete, step $step on disk"
        holds "$own < $MOST" || fail "no checkpoint was written in time"
    fi
    ((step >= before)) || fail "step $before was on disk, and $step is left"
    [[ $(readlink ten/latest.h5) == "$(printf 'checkpoint-%08d.h5' "$step")" ]] || fail "latest.h5 is $(readlink ten/latest.h5)"
    expect_exit 0 "$dtrain" verify ten/latest.h5
done
say "at most $worst s of its own"
launch 2 "${run[@]}" --out ten --checkpoint-every 0
wait_for 60 has_said "resuming ten from step $step "
kill -KILL "$job"
end_of_job
