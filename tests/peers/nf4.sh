#!/usr/bin/env bash
# Matrices in 4 bits have bitsandbytes' codes and scales.
# Usage: nf4.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with PyTorch and bitsandbytes, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/torch.sh
. "$here/../peers/torch.sh"
# shellcheck source=tests/peers/quantise_lib.sh
. "$here/../peers/quantise_lib.sh"
python=$(torch_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}")
"$python" -c 'import bitsandbytes' 2>/dev/null || "$python" -m pip install --quiet --disable-pip-version-check bitsandbytes >&2

odd_model
expect_exit 0 "$dtrain" quantise odd.h5 --to nf4 --out nf4.h5
"$python" -B "$here/../peers/quantise_peer.py" nf4 odd.h5 nf4.h5 || fail "other codes than bitsandbytes'"
! "$python" -B "$here/../peers/quantise_peer.py" nf4 model/best.h5 nf4.h5 >out 2>&1 || fail "another model is not noticed"
