#!/usr/bin/env bash
# After scancel there is a checkpoint of the last step, with each launcher; the run continues in allocations of other sizes.
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

declare -A job
for launcher in srun mpirun; do
    job[$launcher]=$(LAUNCHER=$launcher submit --nodes=2 --ntasks-per-node=2 jobs/dtrain.sbatch "${run[@]}" --checkpoint-every 25 --out "$launcher")
done
freeze 20 srun mpirun
train_whole whole --checkpoint-every 25
# Slurm itself continues the stopped ranks.
scancel "${job[@]}"
declare -A step
for launcher in srun mpirun; do
    wait_for 60 job_is "${job[$launcher]}" CANCELLED
    expect "dtrain-${job[$launcher]}.out" "Slurm is ending the job"
    [[ $(history "$launcher" stopped) == signal* ]] || fail "$launcher: $(history "$launcher" stopped)"
    step[$launcher]=$(newest "$launcher")
    say "$launcher: cancelled at step ${step[$launcher]}"
done

# Three ranks on one node, and five on two.
job[srun]=$(submit --nodes=1 --ntasks-per-node=3 jobs/dtrain.sbatch "${run[@]}" --checkpoint-every 25 --out srun)
job[mpirun]=$(LAUNCHER=mpirun submit --nodes=2 --ntasks=5 --ntasks-per-node=4 jobs/dtrain.sbatch "${run[@]}" --checkpoint-every 25 --out mpirun)
for launcher in srun mpirun; do
    expect_end "${job[$launcher]}" COMPLETED
    expect "dtrain-${job[$launcher]}.out" "resuming $launcher from step ${step[$launcher]}" "the run is finished"
    expect_same whole "$launcher"
done
expect_history srun ranks 4 3
expect_history srun nodes 2 1
expect_history mpirun ranks 4 5
expect_history mpirun nodes 2 2
say "same bytes with three ranks on one node, and with five on two"
