#!/usr/bin/env bash
# Runs a program's kernels in oclgrind, which finds races and accesses outside of buffers.
# Usage: oclgrind.sh PROGRAM
set -euo pipefail
program=${1:?usage: $0 PROGRAM}
# shellcheck source=jobs/there.sh
. "$(dirname "$0")/../../jobs/there.sh"
need "program oclgrind"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Without --uninitialized, which changes the results of kernels. With the largest work-groups that the kernels use, and with
# small ones, as some devices have.
for size in 64 8; do
    code=0
    oclgrind --data-races --check-api --max-wgsize "$size" --log "$work/log" "$program" | tee "$work/out" || code=$?
    grep -q "on Oclgrind" "$work/out" || {
        echo "the kernels did not run in oclgrind"
        exit 1
    }
    if [[ -s $work/log || $code != 0 ]]; then
        head -n 60 "$work/log"
        exit 1
    fi
done
