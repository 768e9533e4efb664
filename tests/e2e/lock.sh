#!/usr/bin/env bash
# Only one training per folder: a second one is refused with a message that names the owner; after a crash the folder is free.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
readonly CREATE=73
run=(--steps 100000 --eval-every 0 --checkpoint-every 5 --keep 2 "${small[@]}" --out run)

newest() {
    local file step=0
    for file in run/checkpoint-*.h5; do
        [[ ! -e $file ]] || { step=${file##*checkpoint-} && step=${step%.h5}; }
    done
    echo $((10#$step))
}
is_past() { (($(newest) > $1)); }
owner() { sed -n 's/^process = //p' run/.lock; }
is_over() { ! kill -0 "$1" 2>/dev/null; }

# begin: the first one, in the background.
begin() {
    rm -f first.err
    start 2 "${run[@]}" >first.out 2>first.err &
    first=$!
    wait_for 30 test -s run/.lock
    wait_for 30 is_past "$(newest)"
}

begin
holder=$(owner)
for more in "" --fresh "--resume run/latest.h5"; do
    # Where a checkpoint comes between reading latest.h5 and looking at the folder, that is what is said.
    for _ in 1 2 3 4 5; do
        code=0
        # shellcheck disable=SC2086 # words
        start 3 "${run[@]}" $more >out 2>err || code=$?
        grep -q "newer than the step" err || break
    done
    ((code == CREATE)) || fail "exit code $code instead of $CREATE: $more"
    expect_text err "another dtrain trains in the folder run: process $holder on $(uname -n), 2 ranks, since 20" "--out DIR"
    (($(grep -c 'error: ' err) == 1)) || fail "not one error: $(cat err)"
    [[ -d run && $(owner) == "$holder" ]] || fail "the lock was taken away"
done
for command in info verify; do expect_exit 0 "$dtrain" $command run; done
expect_exit 0 "$dtrain" ask run 1+2
expect_exit 0 start 2 eval run --count 8
say "refused, with the name of the other; readers are not"

# The whole job is killed at once, as in a crash of the machine: the next start gets the folder immediately.
step=$(newest)
kill -STOP "$(pgrep -P "$first")" 2>/dev/null || true
for process in $(pgrep -f -- "--out run$" | grep -vx "$$" || true); do
    [[ $(readlink "/proc/$process/cwd") != "$work" ]] || kill -KILL "$process" 2>/dev/null || true
done
wait "$first" 2>/dev/null || true
[[ -s run/.lock ]] || fail "killed, and yet it has removed its lock"
expect_exit 0 start 1 "${run[@]}" --steps $((step + 20))
expect_text err "resuming run from step"
[[ ! -e run/.lock ]] || fail "the lock outlives its owner"
say "nothing is left in the way after a crash"

# A start waits for a training that is just ending, and continues from its last checkpoint.
begin
pkill -USR1 -P "$(pgrep -P "$first" -x timeout || echo "$first")"
expect_exit 75 start 2 "${run[@]}" --time-limit 4s
wait "$first" 2>/dev/null || true
last=$(sed -n 's/.*stopped at step \([0-9]*\) .*/\1/p' first.err)
grep -q "resuming run from step $last " err || fail "the first ended at step $last"
say "continues where the other ends"

# Names in the way.
mkdir -p odd/.lock
expect_exit $CREATE start 2 "${run[@]}" --out odd
expect_text err "the folder odd cannot be locked: .lock: a folder of that name is in the way"
rmdir odd/.lock
ln -s nowhere odd/.lock
expect_exit $CREATE start 2 "${run[@]}" --out odd
expect_text err "a symbolic link is in the way"
[[ ! -e odd/nowhere ]] || fail "a link was followed"
