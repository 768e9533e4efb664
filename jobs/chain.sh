#!/usr/bin/env bash
# Submits a chain of jobs that train one run, each going on where the one before it stopped: for sites that forbid requeueing.
#
#   jobs/chain.sh LINKS [OPTIONS OF SBATCH] jobs/dtrain.sbatch [OPTIONS OF DTRAIN]
#   jobs/chain.sh 7 --time=24:00:00 --nodes=2 jobs/dtrain.sbatch --steps 50000 --out runs/week
#
# What is left of the chain is cancelled when the run is finished, or when dtrain fails in a way that trying again does not mend.
# To cancel all of it: scancel --name=NAME, with the name that is printed.
set -euo pipefail

links=${1:-}
if [[ ! $links =~ ^[1-9][0-9]*$ ]] || (($# < 2)); then
    echo "usage: jobs/chain.sh LINKS [OPTIONS OF SBATCH] jobs/dtrain.sbatch [OPTIONS OF DTRAIN]; LINKS is a number of jobs" >&2
    exit 64
fi
shift

# By its name the chain is known, to itself as well.
name=dtrain-chain-$(date +%Y%m%d-%H%M%S)-$$
export CHAIN=yes
echo "chain $name; to cancel it: scancel --name=$name"
previous=()
for ((link = 1; link <= links; link++)); do
    job=$(sbatch --parsable --job-name="$name" --no-requeue "${previous[@]}" "$@" </dev/null) || {
        echo "jobs/chain.sh: link $link of $links was refused; the links before it stay" >&2
        exit 1
    }
    job=${job%%;*} # the name of the cluster may follow
    named=$(squeue -h -t all -j "$job" -o %j </dev/null)
    if [[ $named != "$name" ]]; then
        scancel "$job"
        echo "jobs/chain.sh: the job is called $named: leave --job-name out, a chain needs a name of its own" >&2
        exit 64
    fi
    echo "job $job: link $link of $links${previous[*]:+, after ${previous[*]##*:}}"
    # After any end: a link that ran out of time, was preempted or lost a node has left a checkpoint, too.
    previous=("--dependency=afterany:$job")
done
