#!/usr/bin/env bash
# An error that would occur again stops the job, and the message says what to do.
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

# refuse EXIT TEXT ARGUMENT…: a job with these arguments starts once and ends with this code and this text.
refuse() {
    local code=$1 text=$2 job
    shift 2
    job=$(submit --ntasks-per-node=2 "$@")
    expect_end "$job" FAILED "$code"
    [[ $(job_field "$job" Restarts) == 0 ]] || fail "job $job was started again"
    expect "dtrain-$job.out" "$text"
    say "$text"
    last="dtrain-$job.out"
}

refuse 64 "4 ranks are more than the 2 shards of the run: start at most 2 ranks" --nodes=2 jobs/dtrain.sbatch "${run[@]}" --shards 2
expect "$last" "what it said is in $PWD/$last"
job=$(submit --output="the log of %j" --ntasks-per-node=1 jobs/dtrain.sbatch --shards 3)
expect_end "$job" FAILED 64
expect "the log of $job" "what it said is in $PWD/the log of $job"$'\n'
DTRAIN=build/nothing refuse 66 "build/nothing is not there" jobs/dtrain.sbatch
LAUNCHER=prun refuse 64 "LAUNCHER=prun: must be srun or mpirun" jobs/dtrain.sbatch
code=0
jobs/dtrain.sbatch 2>by_hand.out || code=$?
expect by_hand.out "sbatch jobs/dtrain.sbatch"
((code == 64)) || fail "exit code $code"

# The defaults of a job.
job=$(submit jobs/dtrain.sbatch "${run[@]}" --steps 1 --out plain)
expect_end "$job" COMPLETED
[[ $(job_field "$job" NumNodes)/$(job_field "$job" NumTasks)/$(job_field "$job" TimeLimit) == 1/4/1-00:00:00 ]] || fail "other defaults"
expect_history plain ranks 4

# A job stops when it has been queued again often enough, or at a site that forbids it.
for words in "MAX_RESTARTS=0 0 restarts are enough" "ANY= the job may not be queued again"; do
    read -r setting text <<<"$words"
    [[ $setting != ANY= ]] && more=() || more=(--no-requeue)
    job=$(env "$setting" sbatch --parsable --ntasks-per-node=2 "${more[@]}" jobs/dtrain.sbatch "${run[@]}" --steps 5000 --out "run-$setting")
    wait_for 60 is_past "run-$setting" 5
    scancel --batch --signal=USR1 "$job"
    expect_end "$job" FAILED 75
    expect "dtrain-$job.out" "$text" "submit again to go on"
    say "$text"
done
