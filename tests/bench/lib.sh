# shellcheck shell=bash
# Shared by the measurements of formats: training for a given time, and accuracy on unseen problems. To be sourced by a script
# that is called with DTRAIN [OPTION…]; the options are passed on to every training.
#
# RANKS: 2, MPIRUN: mpirun, SECONDS_EACH: 120, SEEDS: "1", FORMATS: all four, EVAL: 4096 problems of the test split,
# FOLDER: where runs and results are kept (build/bench); what is there already is not trained again.

dtrain=$(realpath "${1:?usage: $0 DTRAIN [OPTION…]}")
shift
options=("$@")
# shellcheck disable=SC2034 # for the scripts that source this
read -ra formats <<<"${FORMATS:-plain reverse scratchpad chat}"
read -ra seeds <<<"${SEEDS:-1}"
ranks=${RANKS:-2}
seconds=${SECONDS_EACH:-120}
folder=${FOLDER:-build/bench/$(basename "$0" .sh)}
mkdir -p "$folder"
# For root in a container, and for more ranks than cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1

# field FILE NAME…: numbers of a JSON object, on one line; "-" for a missing one.
field() {
    /usr/bin/python3 -B -c '
import json, sys
for name in sys.argv[2:]:
    value = json.load(open(sys.argv[1]))
    for part in name.split("."):
        value = value.get(part, "-") if isinstance(value, dict) else "-"
    print(value, end=" ")
print()' "$@"
}

train() { "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" "$@" --log-level warn --keep 1 --checkpoint-every 0 --eval-every 0; }

# steps_in SECONDS FORMAT: how many steps of the format take SECONDS here, so that the schedule of each run ends in time.
steps_in() {
    local probe=$folder/probe-$2
    [[ -e $probe/latest.h5 ]] || train --out "$probe" "${options[@]}" --format "$2" --steps 40 >&2
    "$dtrain" info "$probe" --json >"$probe.json"
    field "$probe.json" step seconds | awk -v seconds="$1" '{ n = int(seconds * $1 / $2); print (n > 1 ? n : 1) }'
}

# measure NAME FORMAT STEPS SEED OPTION…: train, and measure on the test split; the result is in $folder/NAME.json.
measure() {
    local name=$1 format=$2 steps=$3 seed=$4
    shift 4
    [[ ! -s $folder/$name.json ]] || return 0
    train --out "$folder/$name" "${options[@]}" "$@" --format "$format" --steps "$steps" --seed "$seed" >&2
    "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" eval "$folder/$name" --split test --count "${EVAL:-4096}" --json \
        >"$folder/$name.new"
    mv "$folder/$name.new" "$folder/$name.json"
}

# percent_median: of the numbers on standard input, as a percentage; "-" where there are none.
percent_median() {
    tr ' ' '\n' | grep -E '^[0-9]' | sort -g |
        awk '{ x[NR] = $1 } END { if (NR) printf "%.2f\n", 50 * (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]); else print "-" }'
}

where() {
    printf '%s s of training each on %s ranks, seeds %s; %s\n' "$seconds" "$ranks" "${seeds[*]}" \
        "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
}
