#!/usr/bin/env bash
# An evaluation ends soon after a signal, also if only one rank gets it, and when its output is no longer read.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# A model that has learned nothing generates every answer to its end: an exchange between ranks comes once in minutes.
expect_exit 0 start alone --layers 2 --width 128 --heads 4 --steps 1 --batch 8 --shards 4 --eval-every 0 --log-level error --out slow

# watch RANK COMMAND…: start a long evaluation, and, once its ranks have worked for two seconds, send TERM to this one alone. Prints
# the seconds of processor time that all used after that, and the exit code.
watch() {
    /usr/bin/python3 -B - "$@" <<'PYTHON'
import os, signal, subprocess, sys, time
signalled, command = sys.argv[1], sys.argv[2:]
tick = os.sysconf("SC_CLK_TCK")

def used(process):
    try:
        words = open(f"/proc/{process}/stat").read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / tick
    except OSError:
        return 0

def ranks():
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            words = open(f"/proc/{name}/environ").read().split("\0")
            program = os.readlink(f"/proc/{name}/exe")
        except OSError:
            continue
        if os.path.basename(program) == os.path.basename(os.environ["PROGRAM"]) and f"WATCHED={os.getpid()}" in words:
            rank = [word.split("=")[1] for word in words if word.startswith("OMPI_COMM_WORLD_RANK=")]
            found[rank[0] if rank else "0"] = int(name)
    return found

os.environ["WATCHED"] = str(os.getpid())
with open("out", "w") as out, open("err", "w") as err:
    child = subprocess.Popen(command, stdout=out, stderr=err)
    until = time.monotonic() + 60
    while not (found := ranks()) or min(map(used, found.values())) < 2:
        assert time.monotonic() < until and child.poll() is None, "it does not work"
        time.sleep(0.05)
    before = {rank: used(process) for rank, process in found.items()}
    after = dict(before)
    os.kill(found[signalled], signal.SIGTERM)
    while child.poll() is None:
        for rank, process in found.items():
            after[rank] = max(after[rank], used(process))
        time.sleep(0.02)
print(f"{sum(after.values()) - sum(before.values()):.1f} {child.returncode}")
PYTHON
}
export PROGRAM=$dtrain

# soon CODE WHAT: watch has printed this exit code and little processor time.
soon() {
    local spent code
    read -r spent code <watched
    ((code == $1)) || fail "exit code $code instead of $1"
    awk -v spent="$spent" 'BEGIN { exit !(spent < 10) }' || fail "it worked for $spent s after it was told to stop"
    say "$2: stopped after $spent s of work"
}

for rank in 0 1; do
    watch "$rank" timeout -k 5 120 "$mpirun" -np 2 "$dtrain" eval slow --count 200000 >watched || fail "not watched"
    soon 75 "a signal to rank $rank"
    expect_text err "after 0 of 200000 problems"
done
watch 0 timeout -k 5 120 "$dtrain" eval slow --count 200000 >watched || fail "not watched"
soon 75 "a signal to the only process"

# Lines are called lines; without answers none of them is wrong.
seq -f '%08.0f is the number of this line' 400000 >lines.txt
expect_exit 0 start alone --train-file lines.txt --layers 2 --width 128 --heads 4 --steps 1 --batch 8 --shards 4 --eval-every 0 \
    --log-level error --out lines
watch 0 timeout -k 5 120 "$dtrain" eval lines --split train --count 300000 >watched || fail "not watched"
soon 75 "a signal while lines are evaluated"
expect_text err "of 300000 lines"
! grep -qE "problems|wrong" err || fail "lines are called problems, or wrong"

# ---- the reader of its output goes away ----

{ timeout -k 5 60 "$dtrain" eval slow --count 200000 2>err || echo $? >ended; } | true
read -r code <ended
((code == 74)) || fail "exit code $code instead of 74 where nothing reads the output"
expect_text err "stopped by the end of the program that reads the output" "standard output cannot be written"
# A list of errors is still written when nobody reads standard output.
{ timeout -k 5 60 "$dtrain" eval slow --count 64 --errors wrong 2>err || true; } | true
[[ -s wrong ]] || fail "the list of errors was given up with standard output"
say "an evaluation whose output is not read ends"
