#!/usr/bin/env bash
# Training in bfloat16: the same bits on any number of ranks and over a resume with another number; a change of precision on the
# way is kept in the history, and a replay follows it; results differ from those in float32 only by rounding.
# Usage: precision.sh DTRAIN MPIRUN DTRAIN_KERNELS
#        DTRAIN_KERNELS: the program with the kernels that DTRAIN_TEST_BACKEND names
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
with_kernels=${3:?usage: $0 DTRAIN MPIRUN DTRAIN_KERNELS}

run=("${small[@]}" --eval-every 6)

# ---- the same bits ----
for optimizer in muon adamw; do
    half=("${run[@]}" --precision bfloat16 --optimizer "$optimizer" --steps 12)
    expect_exit 0 start alone "${half[@]}" --out alone --fresh
    for ranks in 2 3 8; do
        expect_exit 0 start "$ranks" "${half[@]}" --out many --fresh --ranks-per-node 2
        compare_runs alone/latest.h5 many/latest.h5
    done
    expect_exit 0 start 3 "${half[@]}" --steps 5 --out parts --fresh
    expect_exit 0 start 2 --out parts --steps 12
    compare_datasets alone/latest.h5 parts/latest.h5 /weights /optimizer /metrics/train
    say "$optimizer: the same bytes"
done
grep -q '^precision = bfloat16$' alone/config.ini || fail "config.ini does not tell the precision"

# Not the bytes of float32, but nearly the same losses.
expect_exit 0 start 2 "${half[@]}" --precision float32 --out whole
! /usr/bin/python3 -B "$here/compare.py" alone/latest.h5 whole/latest.h5 /weights 2>err || fail "bfloat16 changed nothing"
/usr/bin/python3 -B - <<'PYTHON' || fail "the losses of bfloat16 are not those of float32"
import h5py
with h5py.File("alone/latest.h5") as half, h5py.File("whole/latest.h5") as whole:
    a, b = (f["metrics/train/loss"][:] for f in (half, whole))
    assert len(a) == len(b) == 12 and abs(a / b - 1).max() < 0.01, (a, b)
PYTHON

# ---- a change on the way ----
expect_exit 0 start 2 "${run[@]}" --precision float32 --steps 9 --checkpoint-every 3 --keep 0 --out change
expect_exit 0 start 3 --out change --steps 18 --precision bfloat16
expect_text err "precision float32 -> bfloat16"
expect_exit 0 "$dtrain" info change
expect_text out "precision float32 -> bfloat16"
expect_exit 0 start 2 verify --replay change/checkpoint-00000006.h5 change/checkpoint-00000018.h5
expect_text out "the same bytes"
expect_exit 0 start 2 verify --replay change/checkpoint-00000012.h5 change/checkpoint-00000018.h5

# ---- auto, the default: the precision that is faster on this processor ----
# The instruction has twice the rate of a float32 one on AMD's processors, half on Intel's, where bfloat16 does without.
fast=float32
if grep -q avx512_bf16 /proc/cpuinfo; then
    case $(sed -n 's/^vendor_id[^:]*: *//p' /proc/cpuinfo | head -n 1) in
    AuthenticAMD) fast=bfloat16 ;;
    GenuineIntel) ;;
    *) fast='(float32|bfloat16)' ;;
    esac
fi
for given in "" "--precision auto"; do
    # shellcheck disable=SC2086 # no word or two
    expect_exit 0 start 2 "${run[@]}" --steps 2 $given --out auto --fresh
    grep -Eq "^precision = $fast\$" auto/config.ini || fail "auto is not $fast on this processor"
done

# A warning where it is much slower than float32: without wide vectors.
expect_exit 0 start 2 "${run[@]}" --steps 2 --precision bfloat16 --out even
if grep -q "dtrain's own for" err; then
    ! grep -q "computes its products slowly" err || fail "bfloat16 is not slow on this processor"
fi
dtrain=$with_kernels DTRAIN_TEST_BACKEND=base expect_exit 0 start 2 "${run[@]}" --steps 2 --precision bfloat16 --out slow
expect_text err "computes its products slowly"
expect_exit 0 start 2 "${run[@]}" --steps 2 --backend blas --out blas
grep -q '^precision = float32$' blas/config.ini || fail "auto is not float32 where BLAS multiplies"
expect_exit 64 start 2 "${run[@]}" --steps 2 --backend blas --precision bfloat16 --out never
expect_text err "the backend blas computes in float32"

# ---- evaluating a model in either precision ----
for command in eval ask; do
    for precision in float32 bfloat16 auto; do
        case $command in
        eval) expect_exit 0 start 2 eval alone --precision "$precision" --count 200 --json ;;
        ask) "$dtrain" ask alone --precision "$precision" 1+2 >out 2>err || [[ $? == 65 ]] || fail "ask in $precision" ;;
        esac
        [[ $command != eval ]] || mv out "$precision.json"
    done
done
/usr/bin/python3 -B - <<'PYTHON' || fail "an evaluation in bfloat16 is not that in float32"
import json
loss = {name: json.load(open(f"{name}.json"))["loss"] for name in ("float32", "bfloat16", "auto")}
assert loss["float32"] != loss["bfloat16"] and abs(loss["float32"] / loss["bfloat16"] - 1) < 0.01, loss
assert loss["auto"] in (loss["float32"], loss["bfloat16"]), loss
PYTHON

# ---- options ----
expect_exit 64 start 1 "${run[@]}" --precision half --out never
expect_text err '--precision: "half" is none of float32|bfloat16|auto'
