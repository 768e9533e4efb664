#!/usr/bin/env bash
# A chain of jobs that may not be queued again: each continues where the one before it stopped, and none is left at the end.
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

mapfile -t lines < <(jobs/chain.sh 4 --ntasks-per-node=2 --output=%j.out jobs/dtrain.sbatch "${run[@]}" --out run)
printf '%s\n' "${lines[@]}"
[[ ${lines[0]} == "chain dtrain-chain-"*"scancel --name="* ]] || fail "the chain is not named first"
links=()
for line in "${lines[@]:1:4}"; do
    line=${line#job }
    links+=("${line%%:*}")
done
[[ $(job_field "${links[0]}" Requeue) == 0 ]] || fail "a link may be queued again"

freeze 10 run
train_whole whole
scancel --batch --signal=USR1 "${links[0]}"
wait_for 60 has "${links[0]}.out" "signal USR1"
thaw run
expect_end "${links[0]}" FAILED 75
expect "${links[0]}.out" "the next job of the chain goes on"
stopped=$(newest run)
# The second one is killed without any warning.
freeze $((stopped + 5)) run
scancel --full --signal=KILL "${links[1]}"
expect_end "${links[2]}" COMPLETED
wait_for 60 job_is "${links[3]}" CANCELLED
expect "${links[1]}.out" "resuming run from step $stopped "
expect "${links[2]}.out" "resuming run from step" "the run is finished"
expect_same whole run
say "same bytes through three links; the fourth was cancelled"

# An error that would also occur in the next link.
mapfile -t lines < <(jobs/chain.sh 2 --ntasks-per-node=2 --output=%j.out jobs/dtrain.sbatch --out run --width 64)
[[ ${lines[1]} =~ ^job\ ([0-9]+): ]] || fail "${lines[1]}"
expect_end "${BASH_REMATCH[1]}" FAILED 64
[[ ${lines[2]} =~ ^job\ ([0-9]+): ]] || fail "${lines[2]}"
wait_for 60 job_is "${BASH_REMATCH[1]}" CANCELLED
say "a chain ends at an error"

# Jobs that a chain could not recognise as its own.
code=0
jobs/chain.sh 2 --hold -J mine jobs/dtrain.sbatch --out run 2>refused.out || code=$?
((code == 64)) || fail "exit code $code for a chain with another name"
expect refused.out "leave --job-name out"
[[ -z $(squeue -h -t PENDING) ]] || fail "a refused chain left a job"
# Without a script, sbatch would read one from standard input.
printf '#!/bin/sh\n' | { jobs/chain.sh 1 --hold >refused.out 2>&1 && fail "a chain without a script"; read -r rest && [[ $rest == '#!/bin/sh' ]]; } ||
    fail "the caller's input was read"
expect refused.out "link 1 of 1 was refused"
say "a chain refuses another name and a missing script"
