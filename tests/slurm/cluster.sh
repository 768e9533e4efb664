#!/usr/bin/env bash
# Runs a command on a real Slurm cluster of a few nodes, which it creates on this machine and removes afterwards.
#
#   cluster.sh COMMAND…      for example: cluster.sh bash
#
# Exit code 77: not possible here. Settings: NODES=2 (called n1, n2 …); CPUS=4 per node, which may be more than this machine
# has; TASK=none or affinity (binding, with no more CPUS than the machine has); SLURMD_TIMEOUT=60 seconds until a silent node is
# lost.
#
# The cluster has its own namespaces of processes, network and mounts. A node has its own too, except for the network, with its
# own host name and /dev/shm (Open MPI treats processes that share these as one node). So every port is free, all files are in
# memory, and all processes end with the first one. All nodes share the files of the cluster.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=jobs/there.sh
. "$here/../../jobs/there.sh"

if [[ ${1:-} != --inside ]]; then
    need "ability root" # for Slurm's daemons
    for program in unshare ip munged slurmctld slurmd sbatch srun; do need "program $program"; done
    need "ability network-namespaces"
    namespaces=(unshare --mount --uts --net --pid --fork --kill-child=KILL --mount-proc)
    exec "${namespaces[@]}" bash "$here/cluster.sh" --inside "$@"
fi
shift

nodes=${NODES:-2} cluster=/run/cluster names=()
for ((k = 1; k <= nodes; k++)); do names+=("n$k"); done

hostname login
ip link set lo up
# Names are looked up only if there is an address besides the loopback.
ip address add 192.0.2.1/32 dev lo
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$cluster"/{state,munge,work} "${names[@]/#/$cluster/}"
printf '127.0.0.1 %s\n' localhost login "${names[@]}" >"$cluster/hosts"
mount --bind "$cluster/hosts" /etc/hosts

# This script may itself run in a job of another cluster.
for name in $(compgen -e | grep -E '^(SLURM|SBATCH|SRUN|OMPI|PRTE|PMIX?)_'); do unset "$name"; done
export SLURM_CONF=$cluster/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=login(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
# A job that is queued again waits for this many seconds; 5 is the minimum.
AuthInfo=cred_expire=5,socket=$cluster/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/${TASK:-none}
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
# Nodes may have more CPUs than the machine.
SlurmdParameters=config_overrides
# The scripts request requeueing themselves.
JobRequeue=0
MessageTimeout=5
SlurmdTimeout=${SLURMD_TIMEOUT:-60}
# Seconds from TERM to KILL.
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
StateSaveLocation=$cluster/state
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdPidFile=$cluster/%n/slurmd.pid
SlurmdLogFile=$cluster/%n/slurmd.log
SlurmdSpoolDir=$cluster/%n/spool
# For the sockets of PMIx.
TmpFS=$cluster/%n
$(for ((k = 1; k <= nodes; k++)); do
    echo "NodeName=n$k NodeAddr=127.0.0.1 Port=$((7000 + k)) CPUs=${CPUS:-4} RealMemory=1000"
done)
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE
PartitionName=spare Nodes=ALL MaxTime=INFINITE PriorityTier=0 GraceTime=30 PreemptMode=REQUEUE
PartitionName=scavenge Nodes=ALL MaxTime=INFINITE PriorityTier=0 GraceTime=30 PreemptMode=CANCEL
END

# Ranks run as root, communicate over the loopback, outnumber the cores, and may not read each other's memory.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_orte_tmpdir_base=/dev/shm

# until_true COMMAND…: waits until it succeeds, at most 20 s.
until_true() {
    local end=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || {
            echo "cluster.sh: it did not happen in time: $*" >&2
            tail -n 5 "$cluster"/*.log "$cluster"/*/*.log >&2
            return 1
        }
        sleep 0.05
    done
}

start_node() {
    # The first process of a node collects orphaned processes; when it ends, all of the node end.
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --uts --pid --fork --kill-child=KILL --mount-proc bash -c '
        hostname "$1"
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm
        slurmd -D -N "$1" &
        wait $!' node "$1" </dev/null >"$cluster/$1/out.log" 2>&1 &
    echo $! >"$cluster/$1/pid" # killing this process loses the node
    disown
}

# shellcheck disable=SC2317 # called by until_true
all_idle() { [[ $(sinfo -h -N -p batch -t idle -o %N | wc -l) == "$nodes" ]]; }

head -c 128 /dev/urandom >"$cluster/munge/key"
chmod 600 "$cluster/munge/key"
munged --foreground --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" --pid-file="$cluster/munge/pid" \
    --log-file="$cluster/munge/munged.log" --seed-file="$cluster/munge/seed" </dev/null >"$cluster/munge/out.log" 2>&1 &
until_true munge -n -S "$cluster/munge/socket"
slurmctld -D -i </dev/null >/dev/null 2>&1 &
until_true scontrol ping
for name in "${names[@]}"; do start_node "$name"; done
until_true all_idle

cd "$cluster/work"
code=0
"$@" || code=$?
exit "$code"
