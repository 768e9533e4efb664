#!/usr/bin/env bash
# The default job on two ranks learns all four operations; prints how long it took.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

limit=1000
SECONDS=0
expect_exit 0 start 2
say "trained in $SECONDS s"
tail -n 3 err
expect_exit 0 start 2 eval runs/default --split test --json
/usr/bin/python3 -B -c '
import json, sys
result = json.load(open(sys.argv[1]))
shares = {name: result[name]["exact_match"] for name in ("add", "subtract", "multiply", "divide")}
print(shares)
for name, a, b in (("add", 3, 3), ("subtract", 3, 3), ("multiply", 3, 3), ("divide", 4, 2)):
    cell = next(c for c in result[name]["cells"] if (c["a_digits"], c["b_digits"]) == (a, b))
    print("the longest,", a, "by", b, "digits:", name, cell["right"] / cell["problems"])
assert all(share >= 0.999 for share in shares.values())' out || fail "an operation was not learnt"
