#!/usr/bin/env bash
# dtrain plan tells what a run takes, on these ranks and on others, and what to cut; it leaves nothing behind.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export DTRAIN_POWERCAP=$work/none
unset SLURM_JOB_ID

check() { /usr/bin/python3 -B -c "import json; plan = json.load(open('out')); $1" || fail "not as expected: $1; $(cat out)"; }

settings=("${small[@]}" --steps 5000 --out deep/er/run --watts 10 --price-kwh 31 --currency JPY)
expect_exit 0 start 2 plan "${settings[@]}"
expect_text out "plan        5000 steps of 61 problems on 2 ranks of 1 node" "parameters" "new problems throughout" "memory" \
    " a checkpoint, " "ms a step; computing" "until " "(processor time at 10 W a core)" " JPY"
[[ -z $(find . -name '.dtrain-plan*') && ! -e deep ]] || fail "plan leaves something behind"
say "for people"

expect_exit 0 start 2 plan "${settings[@]}" --steps 200 --checkpoint-every 40 --json --ranks 1,2,4 --nodes 2 --bandwidth 1GB/s --latency 10us --time-limit 30s
check '
assert plan["ranks"] == 2 and plan["nodes"] == 1 and plan["steps"] == 200
parts = sum(plan[name + "_seconds"] for name in "computing communicating waiting validating checkpointing starting".split())
assert abs(parts - plan["total_seconds"]) < 1e-6 * parts
assert [(o["ranks"], o["nodes"]) for o in plan["others"]] == [(1, 1), (2, 2), (4, 2)]
assert all(o["total_seconds"] > 0 and 0 < o["efficiency"] <= 1.5 for o in plan["others"])
assert plan["others"][1]["communicating_seconds"] >= plan["communicating_seconds"]
assert abs(plan["money"] - plan["joules"] / 3.6e6 * 31) < 1e-6 * plan["money"] > 0
assert plan["energy_source"].startswith("processor time")
assert plan["starts"] >= 1 and plan["checkpoint_bytes"] > 1e5 and plan["disk_bytes"] > 3 * plan["checkpoint_bytes"]
memory = plan["memory"]
assert memory["measured"] > 0 and memory["state"] > 0 and plan["memory_node"] > memory["state"]'
cp out plan.json
say "for programs, and on other ranks"

# The disk is predicted to two hundredths.
expect_exit 0 start 2 "${small[@]}" --steps 200 --checkpoint-every 40 --out real
/usr/bin/python3 -B -c '
import json, os
predicted = json.load(open("plan.json"))["checkpoint_bytes"]
real = os.path.getsize(os.path.realpath("real/latest.h5"))
assert abs(predicted / real - 1) < 0.02, (predicted, real)' || fail "the size of a checkpoint is not as predicted"
say "disk"

# ---- budgets ----

expect_exit 0 start 2 plan "${settings[@]}" --steps 1000000 --budget 0.01JPY --json
check '
budget = plan["budget"]
assert budget["exceeded"] and budget["fits"] and "--steps" in budget["line"]
assert budget["cuts"] and all(c["saved_seconds"] is None or c["saved_seconds"] > 0 for c in budget["cuts"])'
for bad in 5apples 24 h 0s -3h 5EUR; do
    expect_exit 64 start alone plan "${settings[@]}" --budget=$bad
    expect_text err "--budget"
done
expect_exit 64 start alone plan "${small[@]}" --budget 1kWh
expect_text err "--watts"
expect_exit 64 start alone plan "${small[@]}" --ranks 1,x
expect_text err "write at most"
say "what to cut"

# Processor time depends less than time on what else the machine does.
energy=(--watts 10 --budget 40J)
expect_exit 64 start alone "${small[@]}" --steps 100000 --out fitted "${energy[@]}"
expect_text err "--yes"
[[ ! -e fitted ]] || fail "a run was begun without leave"
expect_exit 0 start 2 "${small[@]}" --steps 100000 --out fitted "${energy[@]}" --yes --json
check 'assert plan["finished"] and plan["joules"] > 0, plan'
expect_text err "exceeds it" "these options fit (*): --" "finished "
steps=$("$dtrain" info fitted --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["step"])')
((steps < 100000)) || fail "nothing was cut"
expect_exit 0 start 1 "${small[@]}" --steps 100000 --out fitted "${energy[@]}" --yes # the same command
expect_text err "the run has begun" "is finished"
say "a run within its budget: $steps steps"

# ---- micro-batch ----

expect_exit 0 start 2 "${small[@]}" --batch 64 --steps 5 --micro-batch auto --out auto
expect_text err "micro-batch auto: 8 of the 8 texts"
expect_exit 0 "$dtrain" info auto
expect_text out "micro-batch 8"
expect_exit 0 start 1 "${small[@]}" --batch 64 --steps 8 --micro-batch auto --out auto
(
    ulimit -v 700000
    expect_exit 0 start alone --layers 24 --width 32 --batch 4096 --shards 1 --steps 1 --eval-every 0 --micro-batch auto --out tight
)
grep -q "micro-batch auto: .* of the 4096 texts" err || fail "nothing is said of the micro-batch"
! grep -q "micro-batch auto: 4096 of" err || fail "the micro-batch does not care for memory"
say "the micro-batch fits"
