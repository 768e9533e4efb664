#!/usr/bin/env bash
# Builds dtrain and its measuring programs, and measures this machine; README.md beside it says what and how.
#
#   tests/bench/run.sh [OPTIONS OF report.py]       tests/bench/run.sh --only training --json
set -euo pipefail
# shellcheck source=jobs/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
cd "$repo"

ensure_packages build test
build build -DCMAKE_BUILD_TYPE=Release -DDTRAIN_TESTS=ON >&2
exec /usr/bin/python3 -B tests/bench/report.py build "$@"
