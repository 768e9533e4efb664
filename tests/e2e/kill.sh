#!/usr/bin/env bash
# A run that is killed at random moments and started again with other numbers of ranks ends with the bytes of an undisturbed run.
# Usage: kill.sh DTRAIN MPIRUN [KILLS [SEED]]
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
kills=${3:-12}
choose_random "${4:-}"

# A checkpoint after every step: most kills come while one is written. How far it gets depends on the machine.
run=(--eval-every 7 --checkpoint-every 1 --keep 2 "${small[@]}" --layers 1 --batch 16 --eval-examples 64
    --schedule constant)

# Which processes are killed, one way after the other: all ranks, one of them, the launcher, or all at once, as in a crash of the machine.
kill_job() {
    local ranks process rank=$((RANDOM % $2))
    # A busy machine may not have started a rank that could be killed yet.
    [[ $1 != rank* ]] || wait_for 60 rank_process "$rank" >/dev/null
    # Without their launcher the ranks could no longer be found, and the launcher may be about to start them.
    [[ $1 == rank* ]] || kill -STOP "$job"
    ranks=$(pgrep -P "$job" || true)
    case $1 in
    ranks) signal_ranks KILL ;;
    rank) signal_rank KILL "$rank" ;;
    launcher) kill -KILL "$job" ;;
    all)
        signal_ranks KILL
        kill -KILL "$job" || true
        ;;
    esac
    end_of_job
    # Ranks notice by themselves that their launcher is gone; until then they train and write.
    for process in $ranks; do wait_for 10 is_over "$process"; done
}

before=-1
for ((k = 0; k < kills; k++)); do
    ranks=$((RANDOM % 4 + 1))
    ways=(ranks rank launcher all)
    way=${ways[k % 4]}
    # Counted from the start, so that some kills come while the checkpoint is read.
    pause=$(calculate "0.3 + $RANDOM / 32768 * 1.4")
    launch "$ranks" "${run[@]}" --steps 1000000 --out parts
    sleep "$pause"
    # The first one is killed when there is something to lose, so that each of the others goes on with it.
    ((k > 0)) || wait_for 60 is_past parts 0
    ! is_over "$job" || fail "it ended by itself"
    kill_job "$way" "$ranks"
    step=$(newest_step parts)
    say "kill $k: $ranks ranks, $way after $pause s, newest checkpoint $step"
    ((step >= before)) || fail "step $before was lost"
    ! grep -q "warning: .*checkpoint-" err || fail "a checkpoint was damaged"
    before=$step
done
run+=(--steps $((step + 10)))
expect_exit 0 start 3 "${run[@]}" --out parts
say "$(history parts/latest.h5 step | wc -l) starts in the history"
expect_exit 0 start 2 "${run[@]}" --out whole
[[ $(readlink parts/best.h5) == "$(readlink whole/best.h5)" ]] || fail "best.h5 is another step's"
compare_runs whole/latest.h5 parts/latest.h5
compare_datasets whole/best.h5 parts/best.h5 /weights /optimizer /metrics/train /metrics/validation /state
[[ -z $(find parts -name '.*tmp*') ]] || fail "temporary files are left: $(find parts -name '.*tmp*')"
say "same bytes after $kills kills"
