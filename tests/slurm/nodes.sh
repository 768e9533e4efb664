#!/usr/bin/env bash
# A job on two nodes with two ranks each: both launchers, binding, modules, a container.
# shellcheck source=jobs/there.sh
. "$(dirname "$0")/../../jobs/there.sh"
if have "ability cores"; then export TASK=affinity CPUS=2; fi
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

train_whole whole
topology="n1*2,n2*2; $(nproc) CPUs per rank"
if is_there "ability cores"; then
    unset BINDING
    topology="n1*2,n2*2; 1 CPU per rank"
fi

# Simulated environment modules and a simulated container program.
module() { printf 'module %s\n' "$*"; }
export -f module
mkdir bin
cat >bin/apptainer <<'END'
#!/bin/sh
echo "apptainer $*"
[ "$1 $3" = "exec dtrain" ] && shift 3 && exec build/dtrain "$@"
END
chmod +x bin/apptainer
export PATH=$PWD/bin:$PATH

for launcher in srun mpirun; do
    job=$(LAUNCHER=$launcher MODULES="gcc openmpi" submit --nodes=2 --ntasks-per-node=2 jobs/dtrain.sbatch "${run[@]}" --out "$launcher")
    expect_end "$job" COMPLETED
    expect "dtrain-$job.out" "module load gcc openmpi" "$launcher" "4 ranks on 2 nodes" "finished 120 steps" "the run is finished"
    expect_history "$launcher" ranks 4
    expect_history "$launcher" nodes 2
    kernels=$(sed -n 's/^dtrain: backend \(.* thread\) per rank.*/\1/p' "dtrain-$job.out")
    exchange=$(sed -n 's/^dtrain: exchange, updates and network: //p' "dtrain-$job.out")
    [[ $exchange == *us,*B/s ]] || fail "how nodes exchange is not said: $exchange"
    expect_history "$launcher" host "$topology, $exchange; $kernels"
    expect_same whole "$launcher"
    say "$launcher: $topology"
done

job=$(CONTAINER=dtrain.sif submit --nodes=2 --ntasks-per-node=1 jobs/dtrain.sbatch "${run[@]}" --out boxed --steps 20)
expect_end "$job" COMPLETED
expect "dtrain-$job.out" "apptainer exec dtrain.sif dtrain" "2 ranks on 2 nodes"
say "through a container"

# What needs no ranks is answered once; a script of each rank may ask for itself.
srun --mpi=none --nodes=2 --ntasks=2 build/dtrain info srun >answers 2>&1 || fail "exit code $? of info under srun"
[[ $(grep -c '^progress' answers) == 1 ]] || fail "info under srun answers $(grep -c '^progress' answers) times"
srun --mpi=none --nodes=2 --ntasks=2 sh -c 'build/dtrain info srun' >answers 2>&1 || fail "exit code $? of a script"
[[ $(grep -c '^progress' answers) == 2 ]] || fail "a script's info answers $(grep -c '^progress' answers) times, for 2 ranks"
say "info under srun answers once"
