#!/usr/bin/env bash
# A dead or stuck rank ends the whole job soon, with a message that names it; a suspended job goes on.
# Usage: lost.sh DTRAIN MPIRUN FAULT
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
fault=$(realpath "${3:?usage: $0 DTRAIN MPIRUN FAULT}")

run=(--steps 1000000 --schedule constant --eval-every 0 --checkpoint-every 0 "${small[@]}" --log-level debug)
host=$(hostname)
readonly STALLED=71

# ---- dead ----

for rank in 2 1 0; do
    launch 3 "${run[@]}" --out dead
    wait_for 60 has_made $(($(newest_step dead) + 5))
    signal_rank KILL "$rank"
    end_of_job
    say "rank $rank killed: saved $(newest_step dead) of $(last_made)"
    # The rank's own exit code: 128 + KILL.
    ((code == 137)) || fail "exit code $code after rank $rank was killed"
    grep -qE "process rank $rank .*on node $host" err || fail "the rank and its host are not named"
done
(($(newest_step dead) > 0)) || fail "nothing was saved although rank 0 was alive"

# ---- stuck ----

for rank in 3 1 0; do
    # The other rank of rank 3's node names it, not those of the other node.
    launch 4 "${run[@]}" --out "stuck$rank" --stall-timeout 3s --ranks-per-node $((rank == 3 ? 2 : 0))
    wait_for 60 has_made 5
    signal_rank STOP "$rank"
    stopped=$(now)
    end_of_job
    took=$(calculate "$(now) - $stopped")
    say "rank $rank stopped: ended after $took s, saved $(newest_step "stuck$rank") of $(last_made)"
    ((code == STALLED)) || fail "exit code $code after rank $rank was stuck"
    expect_text err "rank $rank on $host has made no progress for" "--stall-timeout" "start it again to go on from the last checkpoint"
    holds "$took > 2.5" || fail "it was ended after $took s already"
    # Ending the job also wakes the rank, which may then complete one more step.
    sed -i '/the last completed step, [0-9]*, has been saved/q' err
    ((rank == 0)) || (($(newest_step "stuck$rank") >= $(last_made))) ||
        fail "step $(last_made) was complete, $(newest_step "stuck$rank") was saved"
done

# In a validation.
launch 3 "${run[@]}" --eval-every 3 --eval-examples 16000000 --out judging --stall-timeout 3s
wait_for 60 has_made 3
sleep 0.5
signal_rank STOP 1
end_of_job
((code == STALLED)) || fail "exit code $code after a rank was stuck in the validation"
expect_text err "rank 1 on $host has made no progress for"

# Nodes that do not answer are named by one of the others, in one sentence.
for stopped in "1 of 2" "2 of 4" "0 of 3"; do
    launch "${stopped##* }" "${run[@]}" --out silent --stall-timeout 3s --ranks-per-node 1
    wait_for 60 has_made $(($(newest_step silent) + 5))
    signal_rank STOP "${stopped%% *}"
    end_of_job
    ((code == STALLED)) || fail "exit code $code after a node was stuck"
    expect_text err "no answer from rank ${stopped%% *} on $host, for which the others have waited"
    [[ $(grep -c 'dtrain: error' err) == 1 ]] || fail "not one sentence: $(grep 'dtrain: error' err)"
    say "node $stopped stopped: named in one sentence"
done
# A node that has named its own rank speaks for all.
launch 6 "${run[@]}" --out named --stall-timeout 3s --ranks-per-node 2
wait_for 60 has_made 5
signal_rank STOP 2
end_of_job
expect_text err "rank 2 on $host has made no progress for"
[[ $(grep -c 'dtrain: error' err) == 1 ]] || fail "not one sentence: $(grep 'dtrain: error' err)"

# ---- suspended ----

launch 3 "${run[@]}" --out paused --stall-timeout 2s
wait_for 60 has_made 5
signal_ranks STOP
made=$(last_made)
sleep 5
signal_ranks CONT
wait_for 30 has_made $((made + 20))
sleep 3
! is_over "$job" || fail "a job that was suspended was taken for stuck"
kill -USR1 "$job"
end_of_job
((code == 75)) || fail "exit code $code after it had been suspended"
say "suspended for longer than the timeout, and on"

# ---- a rank that never starts ----

# The other program never calls MPI: without a limit the ranks of dtrain would wait for it without end.
expect_exit 71 timeout -k 5 60 "$mpirun" -np 2 "$dtrain" --steps 5 --out never --stall-timeout 3s : -np 1 sleep 100
[[ $(grep -c 'dtrain: error' err) == 1 ]] || fail "not one sentence"
expect_text err "rank 0 on $(hostname)" "for 20 s while starting MPI"
[[ ! -e never ]] || fail "a folder was made before the ranks were there"
say "a start that hangs is ended"

# ---- stopped at the start and at the end ----

# Between "2 ranks on" and the first step, after the last one, and where MPI is left. All at the same time, since a start may take 20 s.
start 2 "${run[@]}" --steps 3 --out begun >/dev/null 2>&1 || fail "exit code $? of a short run"
declare -A stopped=()
# stop_at NAME FAULT FOLDER STEPS. Each launcher in a folder of its own: those that start at the same time would all make the
# same one, and fail if another was faster.
stop_at() {
    mkdir "$work/mpi/$1"
    OMPI_MCA_orte_tmpdir_base=$work/mpi/$1 LD_PRELOAD=$fault DTRAIN_TEST_FAULT=$2 start 2 "${run[@]}" --out "$3" --steps "$4" \
        --stall-timeout 3s >"$1.out" 2>"$1.err" &
    stopped[$1]=$!
}
stop_at shared "share 1 3" shared 3
stop_at resumed "share 1 5" begun 6
stop_at freed "free 1 2" freed 3
stop_at left "leave 1 0" left 3
for name in shared resumed freed left; do
    code=0
    wait "${stopped[$name]}" || code=$?
    cp "$name.err" err
    ((code == STALLED)) || fail "$name: exit code $code"
    [[ $(grep -c 'dtrain: error' err) == 1 ]] || fail "$name: not one sentence"
    case $name in
    shared | resumed) expect_text err "rank 1 on $host has made no progress for" "s while the job starts" ;;
    freed) expect_text err "rank 1 on $host has made no progress for" "s while the job ends" ;;
    left) expect_text err "has made no progress for 20 s while leaving the job" ;;
    esac
    ! grep -q "could not be saved" err || fail "$name: it says that a step was lost"
done
[[ $(newest_step freed) == 3 && $(newest_step left) == 3 ]] || fail "the last step was not saved"
say "stopped at the start and at the end: ended"
