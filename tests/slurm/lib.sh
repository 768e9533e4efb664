# shellcheck shell=bash
# Common functions of the tests on a Slurm cluster. To be sourced by a script that is called with DTRAIN.
#
# Runs that script on its own cluster (see cluster.sh for its settings), in a folder that looks like a checkout with jobs/ and
# build/dtrain. Everything is removed at the end.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dtrain=$(realpath "${1:?usage: $0 DTRAIN}")
if [[ -z ${DTRAIN_ON_TEST_CLUSTER:-} ]]; then
    DTRAIN_ON_TEST_CLUSTER=yes exec bash "$here/cluster.sh" bash "$here/$(basename "$0")" "$dtrain" </dev/null
fi
mkdir build
ln -s "$dtrain" build/dtrain
ln -s "$here/../../jobs" jobs
unset DTRAIN LAUNCHER MODULES CONTAINER BINDING MAX_RESTARTS RESERVE CHAIN SWEEP RUNS DTRAIN_SBATCH
unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS
# There are more ranks than cores.
export BINDING=none
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}

# A run of a few seconds, with every feature that a resume could break.
# shellcheck disable=SC2034 # for the scripts that source this
run=(--layers 2 --width 32 --heads 2 --batch 61 --micro-batch 3 --warmup 4 --dropout 0.1 --eval-every 20 --eval-examples 32
    --steps 120 --checkpoint-every 5 --keep 0)

say() { printf '%s\n' "$*"; }

# fail MESSAGE: prints the output of the jobs and ends the test.
fail() {
    {
        say "FAILED: $*"
        tail -n 25 ./*.out
        squeue -t all
        sinfo -N
    } >&2 || true
    exit 1
}

# submit ARGUMENT…: passes them to sbatch and prints the job's number.
submit() { sbatch --parsable "$@" || fail "sbatch refused: $*"; }

# wait_for SECONDS COMMAND…: waits until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail "it did not happen in time: $*"
        sleep 0.02
    done
}

# job_is JOB STATE: PENDING, RUNNING, COMPLETED, CANCELLED, FAILED …
job_is() { [[ $(squeue -h -t all -j "$1" -o %T) == "$2" ]]; }
has_ended() { [[ " PENDING RUNNING COMPLETING " != *" $(squeue -h -t all -j "$1" -o %T) "* ]]; }
# expect_end JOB STATE [EXIT]: waits for its end, and checks its state and the exit code of its script.
expect_end() {
    wait_for 60 has_ended "$1"
    job_is "$1" "$2" || fail "job $1 is not $2"
    [[ $(job_field "$1" ExitCode) == "${3:-0}:0" ]] || fail "job $1: exit code $(job_field "$1" ExitCode), not ${3:-0}:0"
}
job_field() { scontrol show job -o "$1" | sed -n "s/.* $2=\([^ ]*\).*/\1/p"; }

# newest FOLDER: the step of its newest checkpoint, 0 for none.
newest() {
    local file step=0
    for file in "$1"/checkpoint-*.h5; do
        [[ ! -e $file ]] || { step=${file##*checkpoint-} && step=${step%.h5}; }
    done
    echo $((10#$step))
}
is_past() { (($(newest "$1") > $2)); }

# has FILE TEXT…: the file contains each of the texts.
has() {
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qF -e "$text" "$file" || return 1
    done
}
expect() { has "$@" || fail "not in $1: one of $(printf '"%s" ' "${@:2}")"; }

# history FOLDER COLUMN: the column for all starts, one per line.
history() {
    /usr/bin/python3 -B - "$@" <<'END'
import sys, h5py
for value in h5py.File(sys.argv[1] + "/latest.h5")["metrics/history"][sys.argv[2]][()]:
    print(value.decode() if isinstance(value, bytes) else value)
END
}
# expect_history FOLDER COLUMN VALUE…: one value for each start.
expect_history() {
    local found
    mapfile -t found < <(history "$1" "$2")
    [[ $(printf '%s|' "${found[@]}") == "$(printf '%s|' "${@:3}")" ]] || fail "history of $1, $2: ${found[*]}; not ${*:3}"
}

# expect_same A B: compares all that training computes, byte by byte.
expect_same() {
    /usr/bin/python3 -B "$here/../e2e/compare.py" "$1/latest.h5" "$2/latest.h5" \
        /config /tokenizer /weights /optimizer /metrics/train /metrics/validation /state || fail "$1 and $2 differ"
}

# train_whole FOLDER OPTION…: the same run in one process, without a stop, outside of Slurm.
train_whole() {
    local folder=$1
    shift
    build/dtrain "${run[@]}" --out "$folder" "$@" >"$folder.out" 2>&1 || fail "exit code $? for $folder"
}

# signal_ranks SIGNAL FOLDER: signals all ranks that train there except the first, which continues to answer signals and to write
# checkpoints. Processes outside of this cluster are not visible here.
signal_ranks() {
    local process
    local -a lines
    # Of all processes these few are found at once: a fast run ends within seconds.
    mapfile -t lines < <(grep -lzxF -e "$2" /proc/[0-9]*/cmdline 2>/dev/null)
    for process in "${lines[@]%/cmdline}"; do
        if [[ $(readlink "$process/exe") == "$dtrain" ]] && tr '\0' ' ' <"$process/cmdline" | grep -qF -e "--out $2 " &&
            ! grep -qzx PMIX_RANK=0 "$process/environ"; then
            kill -s "$1" "${process#/proc/}" || true
        fi
    done 2>/dev/null # some processes end meanwhile
}
# freeze STEP FOLDER…: in each, stops all ranks except the first as soon as there is a checkpoint after that step. So no test
# depends on the speed of the machine: a run cannot end before its event.
freeze() {
    local step=$1 folder end=$((SECONDS + 60))
    local -A moving=()
    shift
    for folder; do moving[$folder]=yes; done
    while ((${#moving[@]})); do
        for folder in "${!moving[@]}"; do
            is_past "$folder" "$step" || continue
            signal_ranks STOP "$folder"
            unset "moving[$folder]"
        done
        ((SECONDS < end)) || fail "no step $step in time of ${!moving[*]}"
        sleep 0.02
    done
}
thaw() { signal_ranks CONT "$1"; }
