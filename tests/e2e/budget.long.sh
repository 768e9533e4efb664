#!/usr/bin/env bash
# Finish in time: a job of hours is cut to three minutes, ends within them, and has the accuracy that was predicted, within two
# hundredths (jobs/plan.md has the same for a week and a day).
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
limit=900
export DTRAIN_POWERCAP=$work/none

began=$SECONDS
expect_exit 0 start 2 --steps 2000000 --watts 10 --budget 3m --yes --out run
took=$((SECONDS - began))
expect_text err "exceeds it" "these options fit (*): " "finished "
predicted=$(sed -nE 's/^then it takes .*, exact answers ([0-9.]+) %.*/\1/p' err)
[[ -n $predicted ]] || fail "no accuracy is predicted"
((took <= 180)) || fail "it took $took seconds"
expect_exit 0 start 2 eval run --count 4096 --json --log-level warn
/usr/bin/python3 -B -c 'import json, sys
exact = 100 * json.load(open("out"))["exact_match"]
assert abs(exact - float(sys.argv[1])) <= 2, (exact, sys.argv[1])
print(f"predicted {sys.argv[1]} %, measured {exact:.2f} %")' "$predicted" || fail "the accuracy is not as predicted"
say "three minutes: $took s"
