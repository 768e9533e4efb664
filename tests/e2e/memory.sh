#!/usr/bin/env bash
# Too little memory is reported at the start, in one sentence, with exit code 71; the program neither hangs nor is killed.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
unset OPENBLAS_NUM_THREADS # each thread needs a buffer
readonly MEMORY=71
limit=20 # seconds: a program that hangs is exit code 124

# within KILOBYTES COMMAND…: in an address space of that size.
within() (
    ulimit -v "$1"
    shift
    "$@"
)
# says_once: one line with "out of memory", of one rank.
says_once() { [[ $(grep -c 'error: .*out of memory' err) == 1 ]] || fail "not one sentence about memory"; }

tiny=(--layers 1 --width 32 --heads 2 --batch 16 --shards 4 --eval-every 0 --digits 2)
expect_exit 0 start alone "${tiny[@]}" --steps 3 --out run
for command in "ask run 1+2" "eval run --count 8" "info run" "verify run"; do
    # shellcheck disable=SC2086 # words of a command
    expect_exit $MEMORY within 200000 start alone $command
    says_once
    expect_text err "raise the limit (ulimit -v)"
done
expect_exit 0 within 400000 start alone info run
# With any limit each command ends, with an answer or with the message.
for size in 240000 280000 320000 400000 600000; do
    code=0
    within $size start alone eval run --count 8 >out 2>err || code=$?
    ((code == 0 || code == MEMORY)) || fail "exit code $code within $size KB"
    ((code == 0)) || says_once
done
say "an address space that is too small for the libraries"

large=(--layers 8 --width 512 --heads 8 --steps 1 --batch 8 --eval-every 0 --out large)
expect_exit $MEMORY within 900000 start alone "${large[@]}"
says_once
expect_text err "maps about" "weights and moments" "gradients of 1 rank" "activations" "--width"
expect_exit $MEMORY within 900000 start 2 "${large[@]}"
says_once
say "a model that is too large for its ranks"

# ---- the memory of a job or a container ----

have "ability control-groups" || exit 0
limit_file=$(memory_group "dtrain-e2e.$$")
group=${limit_file%/*}
# shellcheck disable=SC2317 # called by expect_exit
grouped() (
    echo $BASHPID >"$group/cgroup.procs"
    "$@"
)
echo 800000000 >"$limit_file"
code=0
grouped start 2 "${large[@]}" >out 2>err || code=$?
rmdir "$group" 2>/dev/null || true
((code == MEMORY)) || fail "exit code $code in a control group of 800 MB"
says_once
expect_text err "on each node" "gradients of 2 ranks" "the memory limit of its job or container"
say "a job or container with too little memory"
