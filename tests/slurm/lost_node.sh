#!/usr/bin/env bash
# Two jobs of two nodes; each loses a node with everything on it. One loses the node of its script, so Slurm starts it again; the
# other loses the second node, so its script notices. Both finish on the remaining nodes.
export NODES=6 CPUS=2 SLURMD_TIMEOUT=5
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

declare -A job
for launcher in srun mpirun; do
    job[$launcher]=$(LAUNCHER=$launcher submit --nodes=2 --ntasks-per-node=2 jobs/dtrain.sbatch "${run[@]}" --out "$launcher")
done
freeze 20 srun mpirun
train_whole whole
for launcher in srun mpirun; do
    mapfile -t nodes < <(scontrol show hostnames "$(job_field "${job[$launcher]}" NodeList)")
    [[ $launcher == srun ]] && node=${nodes[0]} || node=${nodes[1]}
    kill -KILL "$(cat "/run/cluster/$node/pid")"
    thaw "$launcher"
    say "$launcher: lost $node of ${nodes[*]}"
done
for launcher in srun mpirun; do
    expect_end "${job[$launcher]}" COMPLETED
    [[ $(job_field "${job[$launcher]}" Restarts) == 1 ]] || fail "$launcher: not started again once"
    expect "dtrain-${job[$launcher]}.out" "start 2, on" "resuming $launcher from step" "the run is finished"
    expect_same whole "$launcher"
done
expect "dtrain-${job[mpirun]}.out" "a node was lost; the job is queued again"
say "same bytes on other nodes: $(history srun host | tail -n 1); $(history mpirun host | tail -n 1)"
