# shellcheck shell=bash
# What the tests of a run's life share: starting in the background, signals, what a checkpoint says.
# To be sourced by a script that is called with DTRAIN MPIRUN.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Killed jobs leave their shared memory behind: in a folder of its own it goes with the test.
shm=$(mktemp -d "/dev/shm/dtrain-e2e.XXXXXX" 2>/dev/null || mktemp -d "$work/shm.XXXXXX")
export OMPI_MCA_btl_vader_backing_directory=$shm OMPI_MCA_osc_sm_backing_directory=$shm
mkdir "$work/mpi"
export OMPI_MCA_orte_tmpdir_base=$work/mpi
finish_life() {
    local code=$?
    [[ -z ${KEEP:-} ]] || cp -a "$work" "$KEEP"
    rm -rf "$shm"
    finish "$code"
}
trap finish_life EXIT

now() { date +%s.%N; }
# calculate EXPRESSION: of numbers with a point; prints the value.
calculate() { awk "BEGIN { printf \"%.3f\", $* }"; }
# holds EXPRESSION
holds() { awk "BEGIN { exit !($*) }"; }

# Where others compete for the processors a time on the clock says little of a program. What counts is the time less what it has
# waited for a processor.

# watch_waiting PROCESS: until the process is gone or says that it has answered a signal. The file "watched" has for how many
# seconds it was watched, and for how many of them that one of its threads which had to wait for a processor longest has waited.
watch_waiting() {
    local thread wait most=0 begin=${EPOCHREALTIME/./}
    local -A waited_at=()
    # What watches is not to wait itself, if that may be.
    renice -n -5 -p "$BASHPID" >/dev/null 2>&1 || true
    while [[ -e /proc/$1 ]]; do
        for thread in /proc/"$1"/task/*; do
            { read -r _ wait _ <"$thread/schedstat"; } 2>/dev/null || continue
            : "${waited_at[$thread]:=$wait}"
            wait=$((wait - waited_at[$thread]))
            ((wait <= most)) || most=$wait
        done
        echo "$(calculate "(${EPOCHREALTIME/./} - $begin) / 1e6") $(calculate "$most / 1e9")" >watched.new
        mv watched.new watched
        ! has_said "answered after" || return 0
        sleep 0.02
    done
}

# watch PROCESS: begins to; $watch is the job that does it.
watch() {
    rm -f watched
    watch_waiting "$1" &
    # shellcheck disable=SC2034 # for the scripts that source this
    watch=$!
    wait_for 10 test -e watched
}

# own_seconds SECONDS: of them, those in which the process under watch did not wait; at most those in which it was watched.
own_seconds() {
    local seen waited
    read -r seen waited <watched
    awk "BEGIN { s = $1 < $seen ? $1 : $seen; s -= $waited; printf \"%.3f\", (s > 0 ? s : 0) }"
}

# answered SIGNAL: seconds after which the program says that its checkpoint for the signal was on disk; nothing if it does not.
answered() { sed -n "s/.*signal $1: answered after \([0-9.]*\) s\$/\1/p" "$work/err"; }

# launch RANKS ARGUMENT…: like start, but in the background and without a time limit; $job is mpirun, or the program itself.
launch() {
    local ranks=$1
    shift
    # What was said before must not be taken for this start's.
    : >"$work/out"
    : >"$work/err"
    if [[ $ranks == alone ]]; then
        "$dtrain" "$@" >"$work/out" 2>"$work/err" &
    else
        "$mpirun" -np "$ranks" "$dtrain" "$@" >"$work/out" 2>"$work/err" &
    fi
    job=$!
    # Until then it is this shell, which a signal would make clean up.
    wait_for 10 is_started "$job"
}
is_started() { [[ $(readlink "/proc/$1/exe") != "$(readlink "/proc/$$/exe")" ]]; }

is_over() { ! kill -0 "$1" 2>/dev/null; }

# end_of_job: wait for it, for at most 60 s; $code is its exit code.
end_of_job() {
    local until=$((SECONDS + 60))
    while kill -0 "$job" 2>/dev/null; do
        if ((SECONDS >= until)); then
            signal_ranks KILL
            kill -KILL "$job" 2>/dev/null
            fail "the job has not ended in time"
        fi
        sleep 0.02
    done
    code=0
    wait "$job" || code=$?
}

# rank_process RANK: the process of a rank of $job.
rank_process() {
    local process
    for process in $(pgrep -P "$job"); do
        if grep -qxz "OMPI_COMM_WORLD_RANK=$1" "/proc/$process/environ" 2>/dev/null; then
            echo "$process"
            return
        fi
    done
    return 1
}
signal_rank() {
    local process
    process=$(rank_process "$2") || fail "there is no process of rank $2"
    kill "-$1" "$process"
}
signal_ranks() { pkill "-$1" -P "$job" || true; }

# newest_step FOLDER: of its checkpoints, 0 if there is none.
newest_step() {
    local file step=0
    for file in "$1"/checkpoint-*.h5; do
        [[ ! -e $file ]] || { step=${file##*checkpoint-} && step=${step%.h5}; }
    done
    echo $((10#$step))
}
is_past() { (($(newest_step "$1") > $2)); }

# steps_of FOLDER: those of its checkpoints, in one line.
steps_of() {
    local file steps=()
    for file in "$1"/checkpoint-*.h5; do
        [[ -e $file ]] || continue
        file=${file##*checkpoint-}
        steps+=($((10#${file%.h5})))
    done
    echo "${steps[*]}"
}

# last_made: the last step that $job has announced as completed (at --log-level debug).
last_made() { sed -n 's/^dtrain\[0\]: debug: step \([0-9]*\) is complete$/\1/p' "$work/err" | tail -n 1; }
has_made() { (($(last_made || echo 0) + 0 >= $1)); }
has_said() { grep -qF -e "$1" "$work/err"; }

# history FILE COLUMN: one line per start.
history() {
    /usr/bin/python3 -B - "$@" <<'END'
import sys, h5py
for value in h5py.File(sys.argv[1])["metrics/history/" + sys.argv[2]][()]:
    print(value.decode().rstrip("\0") if isinstance(value, bytes) else value)
END
}
last_stop() { history "$1" stopped | tail -n 1; }

# attribute FILE GROUP NAME
attribute() {
    /usr/bin/python3 -B - "$@" <<'END'
import sys, h5py
value = h5py.File(sys.argv[1])[sys.argv[2]].attrs[sys.argv[3]]
print(value.decode() if isinstance(value, bytes) else value)
END
}
