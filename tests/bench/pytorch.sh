#!/usr/bin/env bash
# How fast dtrain trains, compared with PyTorch: the same model on the same problems, one thread on one core each, in turns.
#
#   tests/bench/pytorch.sh [OPTIONS OF pytorch.py]      tests/bench/pytorch.sh --models small --rounds 3 --json
#
# PyTorch comes from PyPI into a virtual environment in build/torch, some gigabytes; DTRAIN_TORCH=FOLDER names another one;
# PyTorch is installed there if it is missing. CORE=N: the core to use; by default the last one allowed.
set -euo pipefail
# shellcheck source=jobs/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/peers/torch.sh
. "$repo/tests/peers/torch.sh"
cd "$repo"

ensure_packages build test
build build -DCMAKE_BUILD_TYPE=Release -DDTRAIN_TESTS=ON >&2
python=$(torch_python build/torch)
core=${CORE:-$(awk '/^Cpus_allowed_list/ { n = split($2, part, /[-,]/); print part[n] }' /proc/self/status)}
exec taskset -c "$core" "$python" -B tests/bench/pytorch.py build "$@"
