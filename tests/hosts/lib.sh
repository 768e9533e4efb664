# shellcheck shell=bash
# Shared by the tests on hosts that are apart. To be sourced by a script that is called with DTRAIN SWITCH and has set HOSTS, the
# number of hosts it needs.
set -euo pipefail

here_hosts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${DTRAIN_ON_HOSTS:-} ]]; then
    DTRAIN_ON_HOSTS=yes exec bash "$here_hosts/apart.sh" "${2:?usage: $0 DTRAIN SWITCH}" "${HOSTS:?}" \
        bash "$here_hosts/$(basename "$0")" "$@" </dev/null
fi
set -- "$1" mpirun
# shellcheck source=tests/e2e/life.sh
. "$here_hosts/../e2e/life.sh"
# Each host has its own folder for shared memory.
unset OMPI_MCA_btl_vader_backing_directory OMPI_MCA_osc_sm_backing_directory
export OMPI_MCA_orte_tmpdir_base=/dev/shm

# place HOST:RANKS…: where the ranks of the next starts run, in this order; $ranks is their number.
place() {
    local each list=()
    ranks=0
    for each; do
        ranks=$((ranks + ${each#*:}))
        list+=("$each")
    done
    # Open MPI reads its parameters from the environment, but not -host.
    printf '%s\n' "${list[@]/:/ slots=}" >"$work/hostfile"
    export OMPI_MCA_orte_default_hostfile=$work/hostfile OMPI_MCA_rmaps_base_mapping_policy=slot
}

# network ORDER VALUE…: pairs for the switch.
network() {
    while (($#)); do
        echo "$1 $2" >"$HOSTS_NETWORK"
        shift 2
    done
    sleep 0.05
}
