#!/usr/bin/env bash
# Energy and money: nothing is shown where nothing is known; a run that is stopped, killed and resumed adds up; the bits of
# training do not depend on it; simulated counters, and a simulated Slurm.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export DTRAIN_POWERCAP=$work/none
unset SLURM_JOB_ID

cat >look.py <<'EOT'
"""look.py FILE: sum of joules, sources, sum of seconds, last train joules, starts."""
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    h = file["metrics/history"]
    print(sum(h["joules"]), ",".join(sorted({s.decode() for s in h["energy_source"]})).replace(" ", "_") or "-", sum(h["seconds"]),
          file["metrics/train/joules"][-1], len(h["joules"]), sum(h["processor_seconds"]))
EOT
# look FILE: $joules $source $seconds $last $starts $worked
look() { read -r joules source seconds last starts worked < <(/usr/bin/python3 -B look.py "$1"); }
# holds CONDITION: in numbers.
holds() { awk "BEGIN { exit !($1) }" || fail "$1 does not hold"; }

run=("${small[@]}" --eval-every 10 --checkpoint-every 1 --keep 0)

# ---- no source ----

expect_exit 0 start 2 "${run[@]}" --steps 20 --out nothing --json
grep "energy is not shown" err && fail "costs are spoken of that nobody has asked for"
expect_text out '"joules":null,"energy_source":""'
look nothing/latest.h5
[[ $joules == nan && $source == - && $last == nan ]] || fail "energy of no source is $joules from $source"
holds "$worked > 0 && $seconds > 0"
expect_exit 0 "$dtrain" info nothing
grep -E "[0-9] (J|Wh|kWh)\b" out && fail "info shows energy that nothing knows"
expect_exit 64 start alone "${run[@]}" --price-kwh 31 --out refused
expect_text err "--currency JPY"
expect_exit 0 start 2 "${run[@]}" --steps 1 --price-kwh 31 --currency JPY --out priced
expect_text err "energy is not shown" "/none: No such file" "--watts W"
[[ $(grep -c "energy is not shown" err) == 1 ]] || fail "that energy is not known is said more than once"
say "no source, no figure"

# ---- processor time ----

cost=(--watts 10 --price-kwh 31 --currency JPY --co2 400)
expect_exit 0 start 2 "${run[@]}" "${cost[@]}" --steps 20 --out watts
expect_text err "used by all starts so far: " "(processor time at 10 W a core)" " JPY, " " g CO2"
look watts/latest.h5
[[ $source == processor_time_at_10_W_a_core ]] || fail "the source is $source"
holds "$joules > 9.999 * $worked && $joules < 10.001 * $worked && $last <= $joules && $last > 0"
compare_datasets nothing/latest.h5 watts/latest.h5 /weights /optimizer /metrics/train /metrics/validation /state
before=$joules
expect_exit 0 start 1 --out watts --steps 40
expect_text err "used by all starts so far: "
look watts/latest.h5
[[ $starts == 2 ]] || fail "$starts starts instead of 2"
holds "$joules > $before && $last > $before"
expect_exit 0 "$dtrain" info watts --json
/usr/bin/python3 -B -c '
import json, sys
told = json.load(open("out"))
joules = float(sys.argv[1])
assert abs(told["joules"] - joules) < 1e-6 * joules and told["currency"] == "JPY", told
assert abs(told["money"] - joules / 3.6e6 * 31) < 1e-9 and abs(told["co2_grams"] - joules / 3.6e6 * 400) < 1e-9, told' "$joules" ||
    fail "info adds up to something else"
expect_exit 0 "$dtrain" info watts
expect_text out "used  " "(processor time at 10 W a core)" "JPY"
say "two starts add up"

# ---- what was used for steps that are lost ----

expect_exit 0 start 1 "${run[@]}" "${cost[@]}" --checkpoint-every never --eval-every 0 --steps 20 --out lost
look lost/latest.h5
first=$joules
launch() { timeout -k 5 60 "$dtrain" --out lost --steps 1000000 >out 2>err & }
launch
pid=$!
for _ in $(seq 100); do
    sleep 0.2
    ! grep -q '"step":[0-9]\{3,\}' lost/log.jsonl || break
done
pkill -KILL -P $pid
wait $pid 2>/dev/null || true
logged=$(grep -o '"joules":[0-9.]*' lost/log.jsonl | tail -n 1 | cut -d : -f 2)
holds "$logged > $first"
expect_exit 0 start 1 --out lost --steps 30
look lost/latest.h5
holds "$joules > $logged || $joules == $logged"
say "the energy of lost steps counts: $first J in the checkpoint, $logged J in the log, $joules J at the end"

# ---- counters ----

mkdir -p rapl/intel-rapl:0 rapl/intel-rapl:0:0
echo package-0 >rapl/intel-rapl:0/name
echo core >rapl/intel-rapl:0:0/name
for domain in rapl/*; do
    echo 100000000 >"$domain/max_energy_range_uj"
    echo 99000000 >"$domain/energy_uj"
done
# It goes round once.
(
    for ((value = 99000000; ; value = (value + 700000) % 100000000)); do
        echo $value >rapl/now && mv rapl/now rapl/intel-rapl:0/energy_uj
        sleep 0.1
    done
) &
meter=$!
export DTRAIN_POWERCAP=$work/rapl
expect_exit 0 start 2 "${run[@]}" --steps 300 --checkpoint-every never --out rapl-run
{ kill $meter && wait $meter; } 2>/dev/null || true
expect_text err "used by all starts so far: " "(RAPL)"
look rapl-run/latest.h5
[[ $source == RAPL ]] || fail "the source is $source"
# At most 7 J in each second of the run, of which the ranks had their share.
holds "$joules > 0 && $joules < 7.5 * ($seconds + 2)"
say "counters: $joules J in $seconds s"

# ---- Slurm ----

export DTRAIN_POWERCAP=$work/none
mkdir bin
printf '#!/bin/sh\necho "AcctGatherEnergyType    = acct_gather_energy/ipmi"\n' >bin/scontrol
cat >bin/sstat <<'EOT'
#!/bin/sh
echo "$*" >>asked
n=$(wc -l <asked)
echo "77.extern|500000"
echo "77.batch|$((1000 * n))"
echo "77.0|4294967294"
EOT
printf '#!/bin/sh\nexit 1\n' >bin/squeue
chmod +x bin/*
expect_exit 0 env PATH="$work/bin:$PATH" SLURM_JOB_ID=77 timeout 60 "$dtrain" "${run[@]}" --steps 20 --out slurm
expect_text asked "-a -j 77 -o JobID,ConsumedEnergyRaw"
expect_text err "1e+03 J (Slurm)"
look slurm/latest.h5
[[ $source == Slurm ]] || fail "the source is $source"
holds "$joules == 1000 * ($(wc -l <asked) - 1)"
say "Slurm: $joules J"
