#!/usr/bin/env bash
# The test of invariance can fail: it does so with a program that sums gradients with MPI_Allreduce.
#   allreduce.sh DTRAIN MPIRUN DTRAIN_ALLREDUCE
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
variant=$(realpath "$3")

# Except for the order of its sums that program is right: the same bytes every time, and nearly those of dtrain.
run=(--steps 12 --eval-every 4 "${small[@]}")
expect_exit 0 start alone "${run[@]}" --out canonical
dtrain=$variant
expect_exit 0 start alone "${run[@]}" --out first
expect_exit 0 start 1 "${run[@]}" --out second
compare_runs first/latest.h5 second/latest.h5
/usr/bin/python3 -B - <<'END' || fail "the program with MPI_Allreduce does not train like dtrain"
import h5py, numpy
a, b = (h5py.File(f"{name}/latest.h5")["metrics/train/loss"][()] for name in ("canonical", "first"))
numpy.testing.assert_allclose(a, b, rtol=1e-5)
END

# Rounding alone changes the result.
for ranks in 2 3 4; do
    expect_exit 0 start "$ranks" "${run[@]}" --out "np$ranks"
    same=yes
    /usr/bin/python3 -B "$here/compare.py" first/latest.h5 "np$ranks/latest.h5" /weights 2>err || same=no
    say "MPI_Allreduce on $ranks ranks: same bytes as on one: $same"
    [[ $same == yes ]] || different=yes
done
[[ ${different:-} ]] || fail "MPI_Allreduce gave the same weights on 1, 2, 3 and 4 ranks: this test proves nothing"

expect_exit 1 bash "$here/invariance.sh" "$variant" "$mpirun"
seen=$(grep -m 1 'differ: .*/weights/' err) || fail "invariance.sh failed, but not over weights"
say "invariance.sh sees it: ${seen:0:160} ..."
