#!/usr/bin/env bash
# A dead or stuck rank ends the whole job soon, with a message that names it; a suspended job goes on.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

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

# A rank that is alone on its node is named by the others.
launch 2 "${run[@]}" --out alone --stall-timeout 3s --ranks-per-node 1
wait_for 60 has_made 5
signal_rank STOP 1
end_of_job
((code == STALLED)) || fail "exit code $code after a node was stuck"
expect_text err "have waited" "those of other nodes: rank 1 on $host"

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
