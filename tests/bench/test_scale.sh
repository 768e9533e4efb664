#!/usr/bin/env bash
# What bench_replay says of networks on which nothing but the network takes time: as much as the bytes and messages are known to take.
# Usage: test_scale.sh BENCH_SCHEDULE BENCH_REPLAY
set -euo pipefail
# shellcheck source=jobs/there.sh
. "$(dirname "$0")/../../jobs/there.sh"
[[ -x $2 ]] || need "module simgrid"
schedule=$(realpath "$1") replay=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OPENBLAS_NUM_THREADS=1

# Passes and updates that take no time.
printf '%s\n' "micro 32" "tokens 47" "pass 32 1504 1e-12" "matrix 1e-30" >measured
# platform NODES: 10 us and 100 MB/s.
platform() {
    cat <<XML
<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="nodes" prefix="n" suffix="" radical="0-$(($1 - 1))" speed="1Gf" bw="1e8Bps" lat="5us" topology="FAT_TREE" topo_parameters="1;$1;1;1"/>
</platform>
XML
}
# run NODES EXCHANGE UPDATES: writes NODES-EXCHANGE-UPDATES.
run() {
    local way=program
    [[ $2 != rabenseifner ]] || way=rabenseifner
    "$schedule" plan "$1" 1 1e-5 1e8 exchange="${2/rabenseifner/tree}" updates="$3" <measured >"plan$1"
    platform "$1" >platform.xml
    "$replay" --cfg=network/model:CM02 --cfg=network/crosstraffic:0 --log=root.thres:error -e $way -o 0 -g 1e12 "plan$1" platform.xml >"$1-$2-$3"
}
for nodes in 2 3 4 8; do
    run "$nodes" tree node
    run "$nodes" tree job
    run "$nodes" direct node
done
for nodes in 2 4 8; do run "$nodes" rabenseifner node; done
! run 3 rabenseifner node 2>refusal || { echo "Rabenseifner's all-reduce was simulated between 3 nodes" >&2 && exit 1; }
grep -q '2^k nodes' refusal
# One node alone: each of its ranks adds a slice of all their gradients, and nothing is sent.
{ cat measured && printf '%s\n' "fold 1e-9"; } >measured_fold
"$schedule" plan 2 4 1e-5 1e8 updates=node <measured_fold >plan4
platform 1 >platform.xml
"$replay" --cfg=network/model:CM02 --log=root.thres:error -e none plan4 platform.xml >alone
/usr/bin/python3 -B - <<'END'
import json

LATENCY, RATE = 1e-5, 1e8

def read(*name):
    return json.load(open("-".join(map(str, name))))

alone = read("alone")
assert alone["nodes"] == 1 and alone["ranks"] == 4 and alone["messages"] == 0, alone
assert abs(alone["summed"] - alone["parameters"] * 3 / 4 * 1e-9) < 2e-5, alone

for nodes in 2, 3, 4, 8:
    one = read(nodes, "tree", "node")
    gradient = 4 * one["parameters"]
    least = 2 * (nodes - 1) / nodes * gradient / RATE
    power = nodes & (nodes - 1) == 0
    for exchange in "tree", "direct":
        run = read(nodes, exchange, "node")
        assert run["exchange"] == exchange and run["updates"] == "node"
        # Each node sends each sum but its own, and each it owns to all; 1 % is reports and what the last block lacks.
        if power:
            assert abs(run["bytes"] / (2 * (nodes - 1) * gradient) - 1) < 0.01, run
        assert least <= run["summed"] <= 2.1 * least + 100 * LATENCY, (run, least)
    job = read(nodes, "tree", "job")
    assert job["updates"] == "job"
    # The weights travel after the sums, and the first node gets those of all matrices in addition.
    assert one["step"] < job["step"] < 2.5 * one["step"], (job, one)
    if power:
        assert 0 < job["bytes"] - one["bytes"] < gradient, (job, one)
        other = read(nodes, "rabenseifner", "node")
        hops = 2 * (nodes.bit_length() - 1)
        assert abs(other["summed"] / (least + hops * LATENCY) - 1) < 0.01, (other, least)
print("as the bytes and messages take")
END
