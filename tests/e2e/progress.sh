#!/usr/bin/env bash
# The progress that a run shows: a bar on a terminal, alone and under mpirun, that messages do not disturb; plain lines elsewhere.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >terminal.py <<'END'
"""terminal.py COLUMNS FILE COMMAND…: run a command on a terminal; what it sent goes to the file."""
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[3], sys.argv[3:])
seen = b""
try:
    while more := os.read(terminal, 4096):
        seen += more
except OSError: # the end, on a terminal
    pass
open(sys.argv[2], "wb").write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
END

cat >look.py <<'END'
"""Checks the text on a terminal at the end, and every state of its last line."""
import json, re, sys
columns, steps, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
lines, line, bars, column = [], "", [], 0
for part in re.findall("\x1b\\[K|\r|\n|[^\x1b\r\n]+|\x1b", open("seen", encoding="utf-8", newline="").read()):
    if part == "\r":
        column = 0
    elif part == "\n":
        lines.append(line)
        line, column = "", 0
    elif part == "\x1b[K":
        line = line[:column]
        if line:
            bars.append(line)
    else:
        line = line[:column] + part + line[column + len(part):]
        column += len(part)
assert line == "", line  # the bar is removed at the end
lines = [text for text in lines if text]
assert all(text.startswith("dtrain: ") for text in lines), lines
assert not any("left" in text for text in lines), lines
assert sum("validation at" in text for text in lines) == steps // 20 and any(text.endswith("(best)") for text in lines), lines
assert "finished" in lines[-1], lines
assert bars and max(map(len, bars)) < columns, bars
numbers = [int(re.search(rf"(\d+)/{steps}\b", bar)[1]) for bar in bars]
assert numbers == sorted(numbers) and numbers[-1] == steps, numbers
assert all("left" in bar and "loss" in bar and bar.startswith("[") for bar in bars), bars
assert columns < 100 or all(re.search(r"tokens/s  compute \d+% comm \d+% wait \d+%", bar) for bar in bars), bars
events = [json.loads(text) for text in open(f"{folder}/log.jsonl")]
assert [e["step"] for e in events if e["event"] == "validation"] == list(range(20, steps + 1, 20)), events
last = [e for e in events if e["event"] == "step"][-1]
assert last["step"] == steps and last["tokens_per_second"] > 0, last
assert abs(sum(last[name + "_percent"] for name in ("compute", "communication", "waiting")) - 100) < 1, last
END

settings=("${small[@]}" --steps 60 --eval-every 20)
for columns in 60 120; do
    expect_exit 0 timeout 60 /usr/bin/python3 -B terminal.py $columns seen "$dtrain" "${settings[@]}" --out "alone$columns"
    /usr/bin/python3 -B look.py $columns 60 "alone$columns" || fail "the bar of one rank on $columns columns"
done
say "one rank shows a bar"

# mpirun passes on what its ranks write: to a terminal, and to a file, which must contain no bar.
if "$mpirun" --version | grep -q "Open MPI\|PRRTE"; then
    expect_exit 0 timeout 60 /usr/bin/python3 -B terminal.py 120 seen "$mpirun" -np 2 "$dtrain" "${settings[@]}" --out ranks
    /usr/bin/python3 -B look.py 120 60 ranks || fail "the bar of two ranks"
    say "so do two under mpirun"
fi
# shellcheck disable=SC2016 # for the inner shell
expect_exit 0 timeout 60 /usr/bin/python3 -B terminal.py 120 seen sh -c '"$@" 2>file' sh "$mpirun" -np 2 "$dtrain" "${settings[@]}" \
    --out lines
[[ ! -s seen ]] || fail "something else than standard error is written"
grep -q $'\r\|\e' file && fail "a file holds a bar"
expect_text file "dtrain: step 60/60  loss " "  compute " "dtrain: validation at 20: loss " "(best)"

expect_exit 0 start alone "${settings[@]}" --log-level warn --out quiet
[[ ! -s err ]] || fail "--log-level warn says something"
[[ $(wc -l <quiet/log.jsonl) -ge 4 ]] || fail "a quiet run keeps no log"
say "elsewhere there are lines"
