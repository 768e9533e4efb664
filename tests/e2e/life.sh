# shellcheck shell=bash
# Shared by the tests of a run's life: starting in the background, signals, reading checkpoints. To be sourced by a script that
# is called with DTRAIN MPIRUN.

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Killed jobs leave their shared memory behind: it is in a separate folder, which is removed with the test.
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

# If others use the processors too, real time says little about a program. These tests use the real time minus the time that the
# program waited for a processor.

# watch_waiting PROCESS: watches until the process has ended or says that it has answered a signal. The file "watched" holds two
# numbers: the seconds of watching, and the seconds that its thread with the longest wait for a processor has waited.
watch_waiting() {
    local thread wait most=0 begin=${EPOCHREALTIME/./}
    local -A waited_at=()
    # The watcher itself should not have to wait, if its priority may be raised.
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

# watch PROCESS: starts watch_waiting; $watch is its job.
watch() {
    rm -f watched
    watch_waiting "$1" &
    # shellcheck disable=SC2034 # for the scripts that source this
    watch=$!
    wait_for 10 test -e watched
}

# own_seconds SECONDS: SECONDS, at most the time of watching, minus the time that the process waited.
own_seconds() {
    local seen waited
    read -r seen waited <watched
    awk "BEGIN { s = $1 < $seen ? $1 : $seen; s -= $waited; printf \"%.3f\", (s > 0 ? s : 0) }"
}

# answered SIGNAL: the seconds after which the checkpoint for the signal was on disk, as the program reports; empty if it does
# not.
answered() { sed -n "s/.*signal $1: answered after \([0-9.]*\) s\$/\1/p" "$work/err"; }

# launch RANKS ARGUMENT…: like start, but in the background and without a time limit; $job is mpirun, or the program itself.
launch() {
    local ranks=$1
    shift
    # Remove the messages of earlier starts.
    : >"$work/out"
    : >"$work/err"
    if [[ $ranks == alone ]]; then
        "$dtrain" "$@" >"$work/out" 2>"$work/err" &
    else
        "$mpirun" -np "$ranks" "$dtrain" "$@" >"$work/out" 2>"$work/err" &
    fi
    job=$!
    # Until exec it is a copy of this shell, which would clean up at a signal.
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

# newest_step FOLDER: the step of its newest checkpoint, 0 if there is none.
newest_step() {
    local file step=0
    for file in "$1"/checkpoint-*.h5; do
        [[ ! -e $file ]] || { step=${file##*checkpoint-} && step=${step%.h5}; }
    done
    echo $((10#$step))
}
is_past() { (($(newest_step "$1") > $2)); }

# steps_of FOLDER: the steps of its checkpoints, on one line.
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
