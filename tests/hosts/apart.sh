#!/usr/bin/env bash
# Runs a command on a machine that pretends to be some hosts with a network of their own, and removes them afterwards.
#
#   apart.sh SWITCH HOSTS COMMAND…      for example: apart.sh build/hosts_switch 3 bash
#
# Exit code 77: not possible here. The hosts are h1, h2 …: each has namespaces of its own (network, mounts, host name), its own
# /dev/shm and an address 10.77.0.N; all see the same files and processes. SWITCH (switch.c) connects them: lines that the command writes
# to the file $HOSTS_NETWORK slow the network down or cut it. The command runs beside the hosts:
#   on HOST COMMAND…       runs on a host
#   mpirun ARGUMENT…       on h1, with Open MPI's settings for this network; -host h1:2,h2:1 says which hosts and how many slots
# Both are on the PATH.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=jobs/there.sh
. "$here/../../jobs/there.sh"

if [[ ${1:-} != --inside ]]; then
    need "ability root" "program ip" "program nsenter" "ability network-namespaces" "ability network-cards" "ability openmpi"
    switch=$(realpath "${1:?usage: $0 SWITCH HOSTS COMMAND…}")
    shift
    namespaces=(unshare --mount --uts --net --pid --fork --kill-child=KILL --mount-proc)
    exec "${namespaces[@]}" bash "$here/apart.sh" --inside "$switch" "$(command -v mpirun)" "$@"
fi
switch=$2 mpirun=$3 hosts=$4
shift 4

ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
folder=/run/hosts names=()
mkdir -p "$folder/bin"
for ((k = 1; k <= hosts; k++)); do names+=("h$k"); done
{
    echo "127.0.0.1 localhost"
    for ((k = 1; k <= hosts; k++)); do echo "10.77.0.$k h$k"; done
} >"$folder/names"
mount --bind "$folder/names" /etc/hosts

# A process for each host, which keeps its namespaces.
pids=()
for name in "${names[@]}"; do
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --uts --net bash -c '
        hostname "$1"
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm
        ip link set lo up
        echo $$ >"$2"
        exec sleep infinity' host "$name" "$folder/$name.pid" </dev/null &
    pids+=($!)
    until [[ -s $folder/$name.pid ]]; do sleep 0.01; done
done

# on HOST COMMAND…: Open MPI's rsh agent, too, which gives a command line for a shell.
cat >"$folder/bin/on" <<END
#!/usr/bin/env bash
host=\$1
shift
(((\$# > 1))) || set -- sh -c "\$1"
exec nsenter --target "\$(<"$folder/\$host.pid")" --mount --uts --net --wd="\$PWD" "\$@"
END
cat >"$folder/bin/agent" <<END
#!/usr/bin/env bash
host=\$1
shift
exec "$folder/bin/on" "\$host" "\$*"
END
cat >"$folder/bin/mpirun" <<END
#!/usr/bin/env bash
exec "$folder/bin/on" h1 "$mpirun" "\$@"
END
chmod +x "$folder"/bin/*
export PATH=$folder/bin:$PATH

mkfifo "$folder/orders"
export HOSTS_NETWORK=$folder/orders
# Open for both, so that the switch never sees an end.
exec {orders}<>"$HOSTS_NETWORK"
"$switch" "${pids[@]}" <&"$orders" >"$folder/ready" &
until [[ -s $folder/ready ]]; do
    kill -0 $! || exit 1
    sleep 0.01
done
for ((k = 1; k <= hosts; k++)); do
    on "h$k" "ip address add 10.77.0.$k/24 dev eth0 && ip link set eth0 mtu 9000 up"
done

# No ssh, no tree of daemons that start each other, and an end for connections that are cut.
export OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent=$folder/bin/agent OMPI_MCA_plm_rsh_no_tree_spawn=1
export OMPI_MCA_oob_tcp_if_include=eth0 OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_btl=self,vader,tcp
export OMPI_MCA_oob_tcp_keepalive_time=4 OMPI_MCA_oob_tcp_keepalive_intvl=2 OMPI_MCA_oob_tcp_keepalive_probes=3
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_orte_tmpdir_base=/dev/shm
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1

code=0
"$@" || code=$?
exit "$code"
