# shellcheck shell=bash
# Shared by the tests of the whole program. To be sourced by a script that is called with DTRAIN MPIRUN.
#
# Sets $dtrain and $mpirun, and $here, the folder of these scripts; goes to an empty folder that is removed at the end.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=jobs/there.sh
. "$here/../../jobs/there.sh"
dtrain=$(realpath "${1:?usage: $0 DTRAIN MPIRUN}")
mpirun=$(command -v "${2:?usage: $0 DTRAIN MPIRUN}")
[[ -x $dtrain ]] || {
    echo "$dtrain is no program" >&2
    exit 1
}

# MPI's files are in a folder with a short path, since sockets are there.
work=$(mktemp -d "${TMPDIR:-/tmp}/dtrain-e2e.XXXXXX")
cd "$work" || exit
# finish CODE
finish() {
    local code=$1
    trap - EXIT
    local job
    # A job is a shell that waits for timeout, which passes the signal on to its children.
    for job in $(jobs -p); do { pkill -TERM -P "$job" || kill -TERM "$job"; } 2>/dev/null || true; done
    wait
    cd /
    rm -rf "$work"
    exit "$code"
}
trap 'finish "$?"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# No input: mpirun would read what the caller of the script types.
exec </dev/null

# More ranks than cores, as root in containers, one BLAS thread each.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OPENBLAS_NUM_THREADS=1
# If PoCL is installed, hwloc's OpenCL plugin replaces the handler of signal USR1.
export HWLOC_COMPONENTS=-opencl
# A longer time than the default delays the signals themselves, and every exit with an error, by about twice as much.
unset OMPI_MCA_odls_base_sigkill_timeout
# Leaks of MPI and BLAS are not what most of these tests look for.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
unset OMP_NUM_THREADS HDF5_USE_FILE_LOCKING

# A model so small that a run takes a second, on all operations.
# shellcheck disable=SC2034 # for the scripts that source this
small=(--layers 2 --width 32 --heads 2 --batch 61 --micro-batch 3 --lr 2e-3 --warmup 4 --dropout 0.1 --ops '+-*/'
    --average 0.3 --eval-examples 128)

# choose_random [SEED]: RANDOM starts with the same seed in every short run, so that the result is stable, and with a new seed
# in every long run, which should find new defects. SEED repeats a printed one.
choose_random() {
    local seed=${1:-1}
    [[ -n ${1:-} || -z ${DTRAIN_LONG_TEST:-} ]] || seed=$((RANDOM * 32768 + RANDOM))
    RANDOM=$seed
    say "seed $seed"
}

say() { printf '%s\n' "$*"; }

# fail SENTENCE: end, with the output of the last command.
fail() {
    {
        say "FAILED: $*"
        local file
        for file in out err; do
            [[ ! -s $work/$file ]] || tail -n 30 "$work/$file" | cut -c 1-400 | sed "s/^/  std$file: /"
        done
    } >&2
    exit 1
}

# start RANKS ARGUMENT…: dtrain under mpirun; RANKS "alone": without mpirun. A hang gives exit code 124.
start() {
    local ranks=$1
    shift
    if [[ $ranks == alone ]]; then
        timeout -k 5 "${limit:-120}" "$dtrain" "$@"
    else
        timeout -k 5 "${limit:-120}" "$mpirun" -np "$ranks" "$dtrain" "$@"
    fi
}

# expect_exit CODE COMMAND…: run it; its output is in the files $work/out and $work/err.
expect_exit() {
    local wanted=$1 code=0
    shift
    "$@" >"$work/out" 2>"$work/err" || code=$?
    ((code == wanted)) || fail "exit code $code instead of $wanted: $*"
}

# expect_text FILE TEXT…: the file contains each of the texts.
expect_text() {
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qF -e "$text" "$file" || fail "\"$text\" is not in $(basename "$file")"
    done
}

# compare_datasets A B GROUP…: every dataset and attribute under the groups of two checkpoints is the same, byte by byte, except
# for measured times.
compare_datasets() {
    /usr/bin/python3 -B "$here/compare.py" "$@" || fail "$1 and $2 differ"
}

# compare_runs A B: the same for all that training computes.
compare_runs() {
    compare_datasets "$1" "$2" /config /tokenizer /weights /optimizer /metrics/train /metrics/validation /state
}

# mute FILE: the model of a checkpoint then writes only the first token, which is never an answer.
mute() {
    PYTHONPATH=$here/../io /usr/bin/python3 -B - "$1" <<'END' || fail "$1 cannot be changed"
import sys, h5py, signed
with h5py.File(sys.argv[1], "r+") as file:
    file["weights/tok_embed"][...] = 0 # of which the logits are products
    signed.sign(file)
END
}

# checksums FOLDER: names, contents, sizes and times of its files, to see whether any was touched.
checksums() (
    cd "$1" || exit
    find . -printf '%p %y %s %T@ %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 -r sha256sum
)

# wait_for SECONDS CONDITION…: until a command succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < until)) || fail "it did not happen in time: $*"
        sleep 0.02
    done
}
