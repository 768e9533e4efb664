#!/usr/bin/env bash
# How fast a text becomes tokens, and how fast a vocabulary is learned, beside Hugging Face's tokenizers on the same text.
#
#   tests/bench/tokenize.sh [OPTIONS OF tokenize.py]      tests/bench/tokenize.sh --megabytes 1000 --rounds 1
#
# tokenizers comes from PyPI into a virtual environment in build/small; DTRAIN_SMALL=FOLDER names another one.
set -euo pipefail
# shellcheck source=jobs/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=jobs/there.sh
. "$repo/jobs/there.sh"
# shellcheck source=tests/peers/small.sh
. "$repo/tests/peers/small.sh"
cd "$repo"

ensure_packages build
build build -DCMAKE_BUILD_TYPE=Release >&2
small_python build/small tokenizers
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OPENBLAS_NUM_THREADS=1
exec "$python" -B tests/bench/tokenize.py "${DTRAIN:-build/dtrain}" "$@"
