#!/usr/bin/env bash
# How fast dtrain trains beside PyTorch: the same model on the same problems, one thread of one core each, in turns.
#
#   tests/bench/pytorch.sh [OPTIONS OF pytorch.py]      tests/bench/pytorch.sh --models small --rounds 3 --json
#
# PyTorch comes from PyPI into a virtual environment in build/torch, some gigabytes; DTRAIN_TORCH=FOLDER names another one, which
# is filled where it lacks PyTorch. CORE=N: on which core; the last one that may be used otherwise.
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
