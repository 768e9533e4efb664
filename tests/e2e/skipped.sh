#!/usr/bin/env bash
# A skipped test must say what it needs, and that must really be missing: otherwise jobs/skipped.sh counts it as failed.
# Usage: skipped.sh DTRAIN MPIRUN CTEST
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
ctest=${3:?usage: $0 DTRAIN MPIRUN CTEST}

# expect_verdict CODE LINE…: the result for the tests in CTestTestfile.cmake.
expect_verdict() {
    local code=$1
    shift
    "$ctest" --test-dir "$work" >log 2>&1 || true
    expect_exit "$code" "$here/../../jobs/skipped.sh" "$work" log
    printf '%s\n' "$@" | diff - out || fail "the verdict is another one"
}

# pretend NAME COMMAND: a test.
pretend() {
    printf 'add_test(%s sh -c [[%s]])\nset_tests_properties(%s PROPERTIES SKIP_RETURN_CODE 77)\n' "$1" "$2" "$1"
}

# ---- justified ----
{
    pretend passes 'echo "SKIPPED: is not at the beginning of a test" | sed s/S/s/'
    pretend whole 'echo "SKIPPED: needs program no-such-program"; exit 77'
    pretend either 'echo "SKIPPED: needs program no-such-program or python no_such_module"; exit 77'
    pretend both 'echo "SKIPPED: needs program sh and header no/such.h"; exit 77'
    pretend cmocka 'echo "SKIPPED: needs icd no-such-driver"; echo "[  SKIPPED ] test_of_a_part"'
    pretend twice 'for k in 1 2; do echo "SKIPPED: needs module no-such-module"; done'
} >CTestTestfile.cmake
expect_verdict 0 \
    "both: skipped, needs program sh and header no/such.h" \
    "cmocka: skipped, needs icd no-such-driver" \
    "either: skipped, needs program no-such-program or python no_such_module" \
    "twice: skipped, needs module no-such-module" \
    "whole: skipped, needs program no-such-program"

# ---- not justified, one at a time ----

# refused COMMAND SENTENCE
refused() {
    pretend test "$1" >CTestTestfile.cmake
    expect_verdict 1 "test: FAILED: it was skipped $2"
}
refused 'echo "SKIPPED: needs program sh"; exit 77' "for want of program sh, which is there"
refused 'echo "SKIPPED: needs program no-such-program or program sh"; exit 77' \
    "for want of program no-such-program or program sh, which is there"
refused 'echo "SKIPPED: needs program sh and program cat"' "for want of program sh and program cat, which is there"
refused 'echo "SKIPPED: needs a good day"; exit 77' "for want of a good day, and there is no way to look for that"
refused 'echo "SKIPPED: needs ability flight"; exit 77' "for want of ability flight, and there is no way to look for that"
refused 'echo "not today"; exit 77' "and does not say what it needs"
refused 'echo "[  SKIPPED ] test_of_a_part"' "and does not say what it needs"
refused 'echo "OK (skipped=1)"' "and does not say what it needs"
printf 'add_test(test sh -c true)\nset_tests_properties(test PROPERTIES DISABLED TRUE)\n' >CTestTestfile.cmake
expect_verdict 1 "test: FAILED: it was skipped and does not say what it needs"

# ---- how tests say it ----

for way in have need; do
    code=0
    bash -c '. "$1/../../jobs/there.sh"; if "$2" "program sh" && "$2" "program no-such-program"; then exit 9; fi; echo on' \
        bash "$here" $way >out || code=$?
    if [[ $way == have ]]; then wanted="0 SKIPPED: needs program no-such-program on"; else wanted="77 SKIPPED: needs program no-such-program"; fi
    [[ "$code $(paste -sd ' ' out)" == "$wanted" ]] || fail "$way: $code $(<out)"
done
