#!/usr/bin/env bash
# Real steps on hosts that are apart, beside what bench_replay says of the same ones: 2 to 4 hosts of tests/hosts with a rank each,
# on slow networks, on which the ranks' processors do not decide. Prints a table. Root only; started by scale.sh --hosts.
#   scale_hosts.sh BUILD FOLDER
# STEPS: 24 of each run, of which the first four do not count
HOSTS=4
build=$(realpath "${1:?usage: $0 BUILD FOLDER}") folder=$(realpath "${2:?usage: $0 BUILD FOLDER}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -n ${DTRAIN_ON_HOSTS:-} ]] || DTRAIN_ON_HOSTS=yes exec bash "$here/../hosts/apart.sh" "$build/hosts_switch" $HOSTS bash "$0" "$@" </dev/null
texts=4 shards=8
set -- "$build/dtrain" "$build/hosts_switch"
# shellcheck source=tests/hosts/lib.sh
. "$here/../hosts/lib.sh"
count=${STEPS:-24}
run=(--shards "$shards" --batch "$((shards * texts))" --micro-batch "$texts" --precision float32 --eval-every 0 --checkpoint-every 0 --steps "$count")

# seconds RUN: the median of its steps.
seconds() {
    /usr/bin/python3 -B -c 'import h5py, statistics, sys
print(statistics.median(h5py.File(sys.argv[1] + "/latest.h5")["metrics/train/seconds"][4:]))' "$1"
}

# chosen WHICH: what the run says of exchange, updates and network: word 1 or 2.
chosen() { sed -n 's/.*exchange, updates and network: //p' err | cut -d, -f"$1" | tr -d ' '; }

# platform HOSTS DELAY RATE: each host sends at its own rate to a switch that is as fast as can be.
platform() {
    local i j
    cat <<XML
<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <zone id="hosts" routing="Full">
XML
    for ((i = 0; i < $1; i++)); do
        # Of 9000 bytes of a frame 8948 are data, and Ethernet has 14 more.
        echo "    <host id=\"n$i\" speed=\"1Gf\"/><link id=\"l$i\" bandwidth=\"$(calculate "$3 * 1e6 / 8 * 8948 / 9014")Bps\" latency=\"$(calculate "$2")ms\"/>"
    done
    for ((i = 0; i < $1; i++)); do
        for ((j = 0; j < $1; j++)); do
            ((i == j)) || echo "    <route src=\"n$i\" dst=\"n$j\" symmetrical=\"NO\"><link_ctn id=\"l$i\"/></route>"
        done
    done
    printf '  </zone>\n</platform>\n'
}

echo "| hosts | delay, ms | Mbit/s | exchange, updates | real, ms | simulated, ms | ratio |"
echo "|---|---|---|---|---|---|---|"
network delay 0 rate 0 loss 0
for hosts in 2 3 4; do
    placement=()
    for ((i = 1; i <= hosts; i++)); do placement+=("h$i:1"); done
    # As many ranks on one host: what they compute, with the processors that they share.
    place "h1:$hosts"
    expect_exit 0 start "$hosts" "${run[@]}" --out "one$hosts"
    one=$(seconds "one$hosts")
    for link in "0 50" "0 200" "2 100"; do
        read -r delay rate <<<"$link"
        network delay "$delay" rate "$rate"
        place "${placement[@]}"
        expect_exit 0 start "$hosts" "${run[@]}" --out "apart$hosts-$delay-$rate"
        network delay 0 rate 0
        real=$(seconds "apart$hosts-$delay-$rate")
        exchange=$(chosen 1) updates=$(chosen 2)
        for words in "$hosts 1" "2 $hosts"; do
            read -r nodes ranks <<<"$words"
            env -u OMPI_MCA_oob_tcp_if_include -u OMPI_MCA_btl_tcp_if_include "$build/bench_schedule" plan "$nodes" "$ranks" "$(calculate "$delay / 1000 + 0.0001")" "$(calculate "$rate * 125000")" \
                shards=$shards batch=$((shards * texts)) exchange="$exchange" updates="$updates" \
                <"$folder/0.6.measured" >"plan$nodes-$ranks"
        done
        platform "$hosts" "$delay" "$rate" >platform.xml
        # replay FACTOR ARGUMENT…: seconds of the step.
        replay() {
            "$build/bench_replay" --cfg=network/model:CM02 --cfg=network/crosstraffic:0 --log=root.thres:error \
                -t "$((texts * ((shards + hosts - 1) / hosts)))" -m "$texts" -a "$@" | sed 's/.*"step":\([0-9.]*\).*/\1/'
        }
        factor=$(calculate "$one / $(replay 1 -e none "plan2-$hosts" platform.xml)")
        simulated=$(replay "$factor" "plan$hosts-1" platform.xml)
        echo "| $hosts | $delay | $rate | $exchange, $updates | $(calculate "1000 * $real") | $(calculate "1000 * $simulated") | $(calculate "$simulated / $real") |"
    done
done
