#!/usr/bin/env bash
# Builds dtrain with its tests and runs them all; the same in CI.
#
#   jobs/test.sh            everything but what takes minutes each (label "long") and what needs PyTorch (label "peers")
#   LONG=1 jobs/test.sh     what takes minutes each as well
#   PEERS=1 jobs/test.sh    what is compared with PyTorch as well: it is fetched from PyPI into build/torch, unless DTRAIN_TORCH
#                           names a virtual environment that has it
set -euo pipefail
# shellcheck source=jobs/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repo"

passed=0 failed=0 skipped=0

# run_check TITLE PROGRAM TARGET: build a target that checks the sources; it counts as one test.
run_check() {
    if ! is_there "program $2"; then
        say "" "== $1: skipped, needs program $2"
        skipped=$((skipped + 1))
        return
    fi
    local log
    if log=$(cmake --build build --target "$3" 2>&1); then
        say "" "== $1: passed"
        passed=$((passed + 1))
    else
        say "" "== $1: FAILED (cmake --build build --target $3)" "$log"
        failed=$((failed + 1))
    fi
}

# run_tests TITLE FOLDER OPTION…: run ctest and count its tests. One that is skipped and has what it needs counts as failed.
run_tests() {
    local title=$1 folder=$2 log left_out left of bad unjustified
    shift 2
    log=$(mktemp)
    say "" "== $title"
    # Most tests wait as much as they compute, so that twice as many run as there are cores.
    # ctest's own code is taken from its last lines, which name every test that failed.
    ctest --test-dir "$folder" --output-on-failure --no-tests=error --parallel $((2 * $(nproc))) "$@" 2>&1 | tee "$log" || true
    if [[ $(grep -E 'tests? failed out of' "$log") =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
        bad=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]}
    else
        bad=1 of=1
    fi
    if ! left_out=$(jobs/skipped.sh "$folder" "$log") && [[ $left_out != *FAILED* ]]; then
        left_out+=$'\n'"jobs/skipped.sh: FAILED: it ended without a verdict"
    fi
    left=$(grep -c '\*\*\*Skipped' "$log" || true) # ctest counts them as passed
    rm -f "$log"
    say "" "Not tested:" "${left_out:-nothing}"
    unjustified=$(grep -c ': FAILED: ' <<<"$left_out" || true)
    skipped=$((skipped + $(grep -c ': skipped, ' <<<"$left_out" || true)))
    passed=$((passed + of - bad - left)) failed=$((failed + bad + unjustified))
}

ensure_packages build test
ensure_packages cluster || say "Going on without: the tests on a Slurm cluster will be skipped."
ensure_packages opencl || say "Going on without: the tests on OpenCL devices will be skipped."
ensure_packages style || say "Going on without: nothing that is built depends on these."
mpi_environment 8

build build -DCMAKE_BUILD_TYPE=Release -DDTRAIN_TESTS=ON -DDTRAIN_WERROR=ON
run_check "layout of the code" clang-format-14 format-check
run_check "scripts" shellcheck shellcheck
run_check "likely defects" run-clang-tidy-14 tidy
# Labels that are not asked for; no label is "none".
without=none
[[ -n ${LONG:-} ]] || without+="|long"
[[ -n ${PEERS:-} ]] || without+="|peers"
run_tests "all tests" build -LE "^($without)\$"

# The preset "sanitize" of CMakePresets.json.
build build-sanitize --preset sanitize
run_tests "unit and io tests with the address and undefined-behaviour sanitizers" build-sanitize -L '^(unit|io)$' -LE '^long$'
run_tests "operations of the CPU with the sanitizers" build-sanitize -R '^grad[.](operations|linear|attention)([.](blas|avx2|base))?$'

say "" "In all, in $SECONDS seconds:"
echo "$skipped not tested, or in part, for want of something"
echo "$passed passed, $failed failed"
((failed == 0))
