#!/usr/bin/env bash
# Steps on up to 1024 nodes that nobody has here, simulated: bench_schedule makes a dry run of the program, which plans who sends
# what to whom, and measures passes and updates on one core; bench_replay replays that with SimGrid on a network of 100 Gb/s.
#   scale.sh                the table of RESULTS.md, some minutes to an hour: what was measured and simulated is kept in build/scale
#   scale.sh --hosts        the same simulation of 2 to 4 hosts beside real runs on them (tests/hosts; root only)
# MODELS: "0.6 5 25 100" million parameters, NODES: "8 64 1024", RANKS: "1 64" on each, SCALING: "weak strong",
# EXCHANGES: "auto direct rabenseifner"; BUILD: build
set -euo pipefail
export LC_ALL=C
# shellcheck source=jobs/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
ensure_packages build test simulation
build=${BUILD:-$repo/build} folder=${BUILD:-$repo/build}/scale
[[ -x $build/bench_replay && -x $build/bench_schedule && -x $build/dtrain ]] || build "$build" -DCMAKE_BUILD_TYPE=Release -DDTRAIN_TESTS=ON >&2
mkdir -p "$folder"
mpi_environment 1

# Of the network: seconds between any two nodes, bytes per second of each.
latency=2e-6 bandwidth=12.5e9
# Texts of a rank where their number grows with the ranks, and of all ranks together where it does not.
weak=32 strong=65536

declare -A settings=([0.6]="" [5]="layers=3 width=384 heads=6" [25]="layers=8 width=512 heads=8" [100]="layers=14 width=768 heads=12")

# measure MODEL: what needs no network.
measure() {
    local file=$folder/$1.measured
    [[ -s $file ]] && return
    # shellcheck disable=SC2086 # words
    "$build/bench_schedule" measure precision=float32 ${settings[$1]} >"$file.new"
    mv "$file.new" "$file"
}

# platform NODES: a fat tree with as many links up as down.
platform() {
    local topology hops
    case $1 in
    [1-9] | [1-3][0-9]) topology="1;$1;1;1" hops=2 ;;
    64) topology="2;8,8;1,8;1,1" hops=4 ;;
    1024) topology="2;32,32;1,32;1,1" hops=4 ;;
    *)
        say "NODES=$1: 64, 1024, or fewer than 40"
        return 1
        ;;
    esac
    cat <<XML
<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="nodes" prefix="n" suffix="" radical="0-$(($1 - 1))" speed="1Gf" bw="${bandwidth}Bps"
    lat="$(awk "BEGIN { print $latency / $hops }")s" topology="FAT_TREE" topo_parameters="$topology"/>
</platform>
XML
}

# replay NAME ARGUMENT…: one simulation, once.
replay() {
    local file=$folder/$1.json
    shift
    [[ -s $file ]] || {
        "$build/bench_replay" --cfg=network/model:CM02 --cfg=network/crosstraffic:0 --cfg=contexts/stack-size:256 \
            --cfg=contexts/guard-size:0 --log=root.thres:error "$@" >"$file.new"
        mv "$file.new" "$file"
    }
}

# plan FILE MODEL NODES RANKS SETTING…
plan() {
    local file=$1 model=$2 nodes=$3 ranks=$4 message=()
    shift 4
    # Simulations of as many messages as there would be take hours: the pieces get longer, and messages as much more time.
    [[ $more == 1 ]] || message=(-m $((16000 * more)))
    # shellcheck disable=SC2086 # words
    "$build/bench_schedule" plan "$nodes" "$ranks" $latency $bandwidth "${message[@]}" precision=float32 ${settings[$model]} "$@" \
        <"$folder/$model.measured" >"$file"
}

# simulate MODEL NODES RANKS TEXTS NAME EXCHANGE
simulate() {
    local model=$1 nodes=$2 ranks=$3 texts=$4 name=$5 exchange=$6 more=1 options=() words=() pieces
    [[ -s $folder/$name.json ]] && return
    pieces=$(awk -v m="$model" 'BEGIN { print int(m * 1e6 / 16000) }')
    case $exchange in
    none | rabenseifner) words=(updates=node) options=(-e "$exchange") ;;
    *) words=("exchange=$exchange") ;;
    esac
    if ((nodes == 1024)); then
        local most=64
        [[ $exchange != direct && $ranks == 1 ]] || most=16
        ((pieces <= most)) || more=$((pieces / most + 1))
    fi
    # What is longer here only is sent like the rest.
    ((more == 1)) || options+=(-o "$(awk "BEGIN { print 1e-6 * $more }")" -g 1e12)
    plan "$folder/plan" "$model" $((nodes > 1 ? nodes : 2)) "$ranks" "${words[@]}"
    platform "$nodes" >"$folder/platform.xml"
    replay "$name" -t "$texts" "${options[@]}" "$folder/plan" "$folder/platform.xml"
}

[[ ${1:-} == --hosts ]] && {
    measure 0.6
    exec bash "$(dirname "${BASH_SOURCE[0]}")/scale_hosts.sh" "$build" "$folder"
}

read -ra models <<<"${MODELS:-0.6 5 25 100}"
read -ra all_nodes <<<"${NODES:-8 64 1024}"
read -ra all_ranks <<<"${RANKS:-1 64}"
read -ra exchanges <<<"${EXCHANGES:-auto direct rabenseifner}"
for model in "${models[@]}"; do
    measure "$model"
    for scaling in ${SCALING:-weak strong}; do
        for ranks in "${all_ranks[@]}"; do
            for nodes in 1 "${all_nodes[@]}"; do
                texts=$weak
                [[ $scaling == weak ]] || texts=$(awk "BEGIN { print $strong / ($nodes * $ranks) }")
                if ((nodes == 1)); then
                    simulate "$model" 1 "$ranks" "$texts" "$model-$scaling-1-$ranks" none
                    continue
                fi
                for exchange in "${exchanges[@]}"; do
                    simulate "$model" "$nodes" "$ranks" "$texts" "$model-$scaling-$nodes-$ranks-$exchange" "$exchange"
                done
            done
        done
    done
done

/usr/bin/python3 -B - "$folder" "${models[*]}" "${all_nodes[*]}" "${all_ranks[*]}" "${SCALING:-weak strong}" "${exchanges[*]}" <<'END'
import json, os, sys

folder = sys.argv[1]
models, nodes, ranks, scalings, exchanges = (text.split() for text in sys.argv[2:])

def read(*name):
    return json.load(open(os.path.join(folder, "-".join(name) + ".json")))

def cell(one, many, scaling, n):
    gain = one["step"] / many["step"]
    return f"{1e3 * many['step']:.5g} ms, {gain if scaling == 'weak' else gain / int(n):.3f}"

print("| million parameters | scaling | ranks a node | one node, ms | nodes | " + " | ".join(exchanges) + " | chosen | buffers of a rank, MB |")
print("|" + "---|" * (7 + len(exchanges)))
for model in models:
    for scaling in scalings:
        for r in ranks:
            one = read(model, scaling, "1", r)
            for n in nodes:
                many = [read(model, scaling, n, r, e) for e in exchanges]
                print(f"| {model} | {scaling} | {r} | {1e3 * one['step']:.5g} | {n} | "
                      + " | ".join(cell(one, m, scaling, n) for m in many)
                      + f" | {many[0]['exchange']}, {many[0]['updates']} | {many[0]['buffers'] / 1e6:.2f} |")
END
