#!/usr/bin/env bash
# jobs/quickstart.sh in a fresh copy of the sources: builds, trains, shows and asks; stops and goes on.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source=$(realpath "$here/../..")

mkdir copy
(cd "$source" && tar -cf - --exclude='./build*' --exclude=./.git --exclude=./runs .) | tar -xf - -C copy
cd copy
options=(--layers 1 --width 32 --heads 2 --batch 32 --steps 40 --eval-every 20 --eval-examples 64 --out "runs/a b")

expect_exit 0 env NP=2 jobs/quickstart.sh "${options[@]}"
expect_text "$work/out" "A few problems:" "273*274" "Train on:"
expect_text "$work/err" "Training on 2 ranks" "finished 40 steps"
[[ -L "runs/a b/latest.h5" ]] || fail "there is no runs/a b/latest.h5"

expect_exit 75 env NP=3 jobs/quickstart.sh "${options[@]}" --steps 100000 --time-limit 4s
expect_text "$work/err" "resuming runs/a b from step 40" "Run the same command again"

# What is wrong is said once, and the exit code is the program's.
expect_exit 64 env NP=2 jobs/quickstart.sh --widht 3
expect_text "$work/err" "widht"
expect_exit 64 env NP=two jobs/quickstart.sh
expect_text "$work/err" "NP=two"
