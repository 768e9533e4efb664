#!/usr/bin/env bash
# jobs/quickstart.sh in a fresh copy of the sources: builds, trains, shows and asks; stops and continues. However the settings
# are given, it asks the run that was trained, with problems that it has learned.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source=$(realpath "$here/../..")

mkdir copy
(cd "$source" && tar -cf - --exclude='./build*' --exclude=./.git --exclude=./runs .) | tar -xf - -C copy
cd copy
model=(--layers 1 --width 32 --heads 2 --batch 32 --eval-every 20 --eval-examples 64)
options=("${model[@]}" --steps 40 --out 'runs/a "b\c')

expect_exit 0 env NP=2 jobs/quickstart.sh "${options[@]}"
expect_text "$work/out" "A few problems:" "See the working:" "Train on:" "build/dtrain ask $(printf %q 'runs/a "b\c')"
expect_text "$work/err" "Training on 2 ranks" "finished 40 steps"
[[ -L 'runs/a "b\c/latest.h5' ]] || fail 'there is no runs/a "b\c/latest.h5'

expect_exit 75 env NP=3 jobs/quickstart.sh "${options[@]}" --steps 100000 --time-limit 4s
expect_text "$work/err" 'resuming runs/a "b\c from step 40' 'To go on from the last checkpoint in runs/a "b\c:' "  jobs/quickstart.sh --layers 1"

# What it says of going on begins nothing anew.
expect_exit 0 env NP=2 jobs/quickstart.sh --fresh "${options[@]}" --steps 20
expect_text "$work/out" "Train on:            jobs/quickstart.sh --layers 1" "Start from nothing:  jobs/quickstart.sh --layers 1"
! grep -q "Train on:.*--fresh" "$work/out" || fail "what trains on would start over"

# An error is reported once, and the exit code is the program's.
expect_exit 64 env NP=2 jobs/quickstart.sh --widht 3
expect_text "$work/err" "widht"
expect_exit 64 env NP=two jobs/quickstart.sh
expect_text "$work/err" "NP=two"

# asked: the problems that were asked.
asked() { sed -n '/^A few problems:/,/^$/s/^  \(.*[^ ]\)  *[=…].*/\1/p' "$work/out"; }

# Settings from a file, and shortened options.
printf '[run]\nout = runs/mine\n[data]\ndigits = 1\nops = +-\n' >my.ini
expect_exit 0 env NP=2 jobs/quickstart.sh "${model[@]}" --steps 20 --config my.ini
expect_text "$work/out" "build/dtrain ask runs/mine"
[[ $(asked | grep -cE '^[0-9][+-][0-9]$') == 4 ]] || fail "of one digit were asked: $(asked)"
expect_exit 0 env NP=2 jobs/quickstart.sh train "${model[@]}" --steps 20 --ou runs/short --dig 2
expect_text "$work/out" "build/dtrain ask runs/short"
[[ $(asked | tr -d '0-9\n' | grep -o . | sort -u | tr -d '\n') == "$(printf '%s\n' + - '*' / | sort | tr -d '\n')" ]] ||
    fail "not one of each operation: $(asked)"

# A model of text is asked texts.
for i in {1..60}; do printf 'question %s\tanswer %s\n' "$i" "$i"; done >pairs.txt
expect_exit 0 env NP=2 jobs/quickstart.sh "${model[@]}" --steps 20 --train-file pairs.txt --out runs/pairs
asked | grep -qE '^question [0-9]+$' || fail "of pairs were asked: $(asked)"
for i in {1..60}; do printf 'the line %s of a text\n' "$i"; done >plain.txt
expect_exit 0 env NP=2 jobs/quickstart.sh "${model[@]}" --steps 20 --train-file plain.txt --out runs/plain
asked | grep -qx 'the line' || fail "of plain text were begun: $(asked)"

# The script does not read the standard input of a loop around it.
printf '%s\n' 3 4 | while read -r seed; do
    expect_exit 0 env NP=2 jobs/quickstart.sh "${model[@]}" --steps 20 --seed "$seed" --out "runs/seed$seed"
done
[[ -L runs/seed3/latest.h5 && -L runs/seed4/latest.h5 ]] || fail "one of two seeds was left out"
