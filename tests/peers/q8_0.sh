#!/usr/bin/env bash
# Matrices in 8 bits have the bytes that llama.cpp's own package writes.
# Usage: q8_0.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with gguf, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/small.sh
. "$here/../peers/small.sh"
# shellcheck source=tests/peers/quantise_lib.sh
. "$here/../peers/quantise_lib.sh"
small_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}" numpy h5py gguf

odd_model
expect_exit 0 "$dtrain" quantise odd.h5 --to q8_0 --out q8_0.h5
"$python" -B "$here/../peers/quantise_peer.py" q8_0 odd.h5 q8_0.h5 || fail "other bytes than gguf.quants'"
! "$python" -B "$here/../peers/quantise_peer.py" q8_0 model/best.h5 q8_0.h5 >out 2>&1 || fail "another model is not noticed"
