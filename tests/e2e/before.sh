#!/usr/bin/env bash
# An earlier program (commit 75523d3) trained runs to half their steps. They continue to the same bytes that it computed itself,
# on any number of ranks and with the kernels of each instruction set; a replay confirms them.
#
# The folder "before" has their checkpoints of step 20 of 40, the text of one of them, and expected.json with digests of their
# results. Bits depend on kernels, compiler and C library: if these differ, only the losses are compared, with a message.
# Usage: before.sh DTRAIN MPIRUN DTRAIN_KERNELS BUILD
#        DTRAIN_KERNELS: the program with the kernels that DTRAIN_TEST_BACKEND names; BUILD: compiler and options, in words
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
with_kernels=${3:?usage: $0 DTRAIN MPIRUN DTRAIN_KERNELS BUILD}
build=${4:?usage: $0 DTRAIN MPIRUN DTRAIN_KERNELS BUILD}
cp "$here"/before/*.h5 "$here/before/lines.txt" .
unset OPENBLAS_L2_SIZE

# kernels: the kernels of the last run, with everything else that bits depend on.
kernels() {
    local fused=without
    ! has_flags fma || fused=with
    printf '%s; %s; %s; %s fused operations\n' "$(sed -n 's/.*backend cpu: \(.*\), 1 thread.*/\1/p' err | sed 's/ and /, /g')" \
        "$build" "$(getconf GNU_LIBC_VERSION)" $fused
}

# goes_on WHAT RANKS OPTION…
goes_on() {
    local what=$1 ranks=$2
    shift 2
    rm -rf new
    expect_exit 0 start "$ranks" --resume "$what.h5" --out new "$@"
    expect_text err "from step 20" "finished 40 steps"
    /usr/bin/python3 -B "$here/before.py" compare "$here/before/expected.json" "$what" "$(kernels)" new/latest.h5 ||
        fail "$what ends with other bytes than before, on $ranks ranks"
    /usr/bin/python3 -B "$here/before.py" settings "$what.h5" new/latest.h5 || fail "$what has become useless to the earlier program"
    expect_exit 0 start 2 verify --replay "$what.h5" new/latest.h5 "$@"
}

# each_kind: arithmetic and lines, on one rank and on three.
each_kind() {
    local ranks
    for ranks in alone 3; do
        goes_on arithmetic "$ranks"
        goes_on lines "$ranks" --train-file lines.txt
    done
}

# OpenBLAS kernels that every processor of the kind supports. The normal program chooses those for AVX-512 itself.
plain=$dtrain
declare -A blas=([avx512]=SkylakeX [avx2]=Haswell [base]=Nehalem)
for isa in avx512 avx2 base; do
    case $isa in
    base) have "processor x86_64" || continue ;;
    *) have "processor $isa" || continue ;;
    esac
    export DTRAIN_TEST_BACKEND=$isa OPENBLAS_CORETYPE=${blas[$isa]}
    dtrain=$with_kernels
    each_kind
    dtrain=$plain
    [[ $isa != avx512 ]] || each_kind
    say "compared: $(kernels)"
done
