#!/usr/bin/env bash
# Jobs that Slurm preempts with TERM: they write the last step, queue themselves again, and finish later. One uses srun in a
# partition where Slurm would requeue it, one uses mpirun where Slurm would cancel it. (That one has one node: on several, TERM
# ends Open MPI's daemons at once, and the last step may not be written.)
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

declare -A job partition=([srun]=spare [mpirun]=scavenge) nodes=([srun]=2 [mpirun]=1)
for launcher in srun mpirun; do
    job[$launcher]=$(LAUNCHER=$launcher submit --partition="${partition[$launcher]}" --nodes="1-${nodes[$launcher]}" \
        --ntasks-per-node=2 jobs/preemptible.sbatch "${run[@]}" --checkpoint-every 25 --out "$launcher")
done
freeze 20 srun mpirun
train_whole whole --checkpoint-every 25
urgent=$(submit --nodes=2 --exclusive --output=urgent.out --wrap "sleep 1")
is_preempted() { [[ $(job_field "$1" PreemptTime)/$(job_field "$1" Restarts) == @(2*/0|*/1) ]]; }
for launcher in srun mpirun; do
    wait_for 60 is_preempted "${job[$launcher]}"
    thaw "$launcher"
done
for launcher in srun mpirun; do
    wait_for 60 has "dtrain-preemptible-${job[$launcher]}.out" "the job is queued again"
done
for launcher in srun mpirun; do
    expect_end "${job[$launcher]}" COMPLETED
    mapfile -t stopped < <(history "$launcher" stopped)
    [[ ${stopped[*]} == signal\ *\ finished ]] || fail "$launcher: ${stopped[*]}"
    say "$launcher: preempted, ${stopped[0]}; continued from step $(history "$launcher" step | tail -n 1)"
    expect_same whole "$launcher"
done
[[ $(history srun nodes | head -n 1) == 2 ]] || fail "not on all free nodes"
job_is "$urgent" COMPLETED || fail "the urgent job did not run"
say "same bytes after preemption"
