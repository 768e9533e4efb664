#!/usr/bin/env bash
# Training ends when validations no longer improve, stops keep the count, and the best model is the result.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

# Nothing is learned at this rate: no validation is better than the first by more than 0.01.
run=("${small[@]}" --lr 1e-9 --metric loss --min-delta 0.01 --eval-every 20 --patience 5 --steps 100000
    --schedule constant --checkpoint-every 10)

expect_exit 0 start 2 "${run[@]}" --out whole
expect_text err "stopped early: no better loss in the last 5 validations" "finished 120 steps" "the model is whole/best.h5"
[[ $(readlink whole/best.h5) == checkpoint-00000020.h5 ]] || fail "the best is $(readlink whole/best.h5)"
[[ $(last_stop whole/latest.h5) == "finished (early stopping)" ]] || fail "the history says $(last_stop whole/latest.h5)"

# Stopped on the way: the count is kept.
launch 3 "${run[@]}" --out parts
wait_for 60 has_said "validation at 60:"
kill -USR1 "$job"
end_of_job
((code == 75)) || fail "exit code $code after USR1"
stale=$(attribute parts/latest.h5 state stale)
step=$(newest_step parts)
say "stopped at step $step after $stale validations without a better one"
((stale == step / 20 - 1)) || fail "$stale at step $step"
expect_exit 0 start 1 "${run[@]}" --out parts
compare_runs whole/latest.h5 parts/latest.h5
[[ $(readlink parts/best.h5) == checkpoint-00000020.h5 ]] || fail "the best is $(readlink parts/best.h5)"

# It is finished, and says how to continue.
checksums parts >before
expect_exit 0 start 2 "${run[@]}" --out parts
expect_text err "parts is finished: 120 steps" "--patience 0 or a larger one"
checksums parts >after
cmp before after || fail "starting a finished run touched it"
expect_exit 0 start 2 "${run[@]}" --out parts --patience 7
expect_text err "changed: patience 5 -> 7" "finished 160 steps"

# With min-delta 0 a falling curve counts as better, with a large min-delta it does not.
expect_exit 0 start 2 "${run[@]}" --lr 1e-3 --min-delta 0 --steps 200 --out learning
expect_text err "finished 200 steps"
expect_exit 0 start 2 "${run[@]}" --lr 1e-3 --min-delta 100 --steps 200 --out demanding
expect_text err "stopped early" "finished 120 steps"
