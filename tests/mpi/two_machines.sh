#!/bin/bash
# Runs a program on two simulated machines without shared memory: namespaces with their own host name and /dev/shm.
#   two_machines.sh MPIEXEC RANKS PROGRAM
# The first machine gets two ranks and the second the rest, in turn. Exit code 77: not possible here.
set -euo pipefail
mpiexec=$1 ranks=$2 program=$3

# shellcheck source=jobs/there.sh
. "$(dirname "$0")/../../jobs/there.sh"
need "ability namespaces" "ability openmpi"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/agent" <<'AGENT'
#!/bin/bash
# Replaces ssh: HOST COMMAND…
host=$1
shift
exec unshare -u -m bash -c "hostname $host && mount -t tmpfs tmpfs /dev/shm && $*"
AGENT
chmod +x "$folder/agent"

"$mpiexec" --mca plm rsh --mca plm_rsh_agent "$folder/agent" --mca oob_tcp_if_include lo \
  --mca btl self,vader,tcp --mca btl_tcp_if_include lo \
  -host "machine-a:2,machine-b:$ranks" --map-by node -n "$ranks" "$program"
