#!/usr/bin/env bash
# No command leaks memory or accesses memory that is not its own, whether it succeeds or fails.
# Under valgrind; a build with the address sanitizer checks itself.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

support=$here/../support
if ldd "$dtrain" | grep -q libasan; then
    watch=(env ASAN_OPTIONS=detect_leaks=1:exitcode=99:fast_unwind_on_malloc=0
        "LSAN_OPTIONS=suppressions=$support/lsan.supp:print_suppressions=0")
else
    need "program valgrind"
    watch=(valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite
        --errors-for-leak-kinds=definite --num-callers=60 "--suppressions=$support/valgrind.supp")
fi
# Valgrind takes four times as long over fused multiply-add.
[[ $(uname -m) != x86_64 ]] || export OPENBLAS_CORETYPE=Nehalem
# MPI lists handles that were not freed.
export OMPI_MCA_mpi_show_handle_leaks=1

# watched NAME CODE ARGUMENT…: dtrain ends with this code, and without complaints.
watched() {
    local name=$1 wanted=$2 code=0
    shift 2
    timeout -k 5 200 "${watch[@]}" "$dtrain" "$@" >"$name.out" 2>"$name.err" || code=$?
    if ((code != wanted)) || grep -q 'handle leak\|were not freed\|leaked' "$name.err"; then
        tail -n 100 "$name.err"
        say "FAILED: exit code $code instead of $wanted, or handles not given back: dtrain $*"
        return 1
    fi
    say "no leak: $name"
}

# both JOB JOB: wait for two jobs that run at the same time.
both() {
    local job bad=
    for job in "$@"; do wait "$job" || bad=yes; done
    [[ ! $bad ]] || fail "memory"
}

tiny=(--layers 1 --width 16 --heads 2 --batch 8 --eval-every 2 --eval-examples 16 --checkpoint-every 1 --keep 1)
expect_exit 0 start alone "${tiny[@]}" --steps 2 --out run
head -c 40000 run/latest.h5 >truncated.h5

watched train 0 "${tiny[@]}" --dropout 0.1 --steps 2 --out new &
first=$!
watched info-damaged 65 info truncated.h5 &
both $first $!
watched resume 0 "${tiny[@]}" --steps 3 --out new &
first=$!
watched ask 64 ask run --show-work 1/0 &
both $first $!
watched eval 0 eval run --count 16 &
first=$!
watched resume-damaged 65 "${tiny[@]}" --resume truncated.h5 --out none &
both $first $!
