#!/usr/bin/env bash
# The curves of a run, as SVG and PNG and in the terminal; across a resume; and the messages when gnuplot cannot draw them.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# check SCRIPT ARGUMENT…: a few lines of Python that check the output or pictures.
check() {
    local script=$1
    shift
    /usr/bin/python3 -B -c "import re, sys
import xml.etree.ElementTree as xml
out, err = (open(name, errors='replace').read() for name in ('out', 'err'))
def texts(name):
    return [''.join(e.itertext()).strip() for e in xml.parse(name).iter() if e.tag.endswith('}text')]
$script" "$@" || fail "not as expected: $script"
}

# A name with characters that are special for gnuplot or XML; the last byte is not UTF-8.
run=$'a <run> & "more", it\'s `id` @x \\n \xff'
settings=("${small[@]}" --eval-every 20 --checkpoint-every 20 --keep 0)
expect_exit 0 start 2 "${settings[@]}" --steps 40 --out "$run"
expect_exit 0 "$dtrain" plot "$run" --ascii
cp out before
expect_exit 0 start 3 "${settings[@]}" --steps 60 --out "$run"

# ---- in the terminal: needs nothing ----

for columns in 40 100; do
    expect_exit 0 env PATH=/nowhere COLUMNS=$columns "$dtrain" plot "$run" --ascii
    check 'lines, columns = out.splitlines(), int(sys.argv[1])
assert max(map(len, lines)) <= columns and max(map(len, lines)) > columns - 3, max(map(len, lines))
assert out.isascii() and not err, err
for text in "loss (nats per token)", "exact match (%)", "learning rate", "gradient norm", "+ add", "/ divide", "step 60 of 60":
    assert text in out, text
assert sum(re.fullmatch(r" +\+[-+]+", line) is not None for line in lines) == 4  # a horizontal axis each
assert re.search(r"^ +0 .* 60$", out, re.M) and re.search(r"^ +100 \+", out, re.M)
assert re.search(r": started again at\s+40 \(3 ranks\)", out)
marks = [line.index(":") for line in lines if re.match(r" .{8}[|+][^-]* *:", line)]
assert len(marks) > 20 and len(set(marks)) == 1, marks' "$columns"
done
grep -q "started again" before && fail "a run that was started once shows a restart"
expect_exit 0 env -u COLUMNS "$dtrain" plot "$run" --ascii
check 'assert max(map(len, out.splitlines())) <= 80'
/usr/bin/python3 -B - "$dtrain" "$run" <<'END' || fail "the width of a terminal is not that of the plot"
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    os.environ.pop("COLUMNS", None)
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 53, 0, 0))
    os.execv(sys.argv[1], [sys.argv[1], "plot", sys.argv[2], "--ascii"])
seen = b""
try:
    while more := os.read(terminal, 4096):
        seen += more
except OSError: # the end, on a terminal
    pass
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
widest = max(map(len, seen.decode().splitlines()))
assert 50 < widest <= 53, widest
END
say "the terminal's plot is as wide as it should be"

# ---- help ----

expect_exit 0 "$dtrain" plot --help
expect_text out "Usage: dtrain plot " "--output=FILE" "--ascii"

# ---- errors, and no file harmed ----

files() { (cd "$1" && find . | sort); }

files "$run" >before
expect_exit 69 env PATH=/nowhere "$dtrain" plot "$run"
expect_text err "gnuplot was not found" gnuplot-nox "--ascii"
expect_exit 64 "$dtrain" plot "$run" --output curves.pdf
expect_text err curves.pdf .svg .png
expect_exit 64 "$dtrain" plot "$run" --output curves.svg --ascii
expect_text err "--ascii"
expect_exit 64 "$dtrain" plot
expect_exit 64 "$dtrain" plot "$run" twice
expect_exit 66 "$dtrain" plot nobody
expect_text err nobody
expect_exit 73 "$dtrain" plot "$run" --output nowhere/plot.svg
expect_text err nowhere/plot.svg
printf 'no checkpoint' >foreign.h5
expect_exit 65 "$dtrain" plot foreign.h5
expect_text err foreign.h5

# A gnuplot that fails half-way or is killed: its message is shown, the old picture is kept.
mkdir bin
printf '#!/bin/sh\nprintf half\nprintf "\\n  line 7: out of\\n  ink\\n" >&2\nexit 3\n' >bin/gnuplot
chmod +x bin/gnuplot
printf 'old' >kept.svg
expect_exit 69 env PATH="$work/bin:$PATH" "$dtrain" plot "$run" --output kept.svg
expect_text err "line 7: out of ink" "exit code 3" kept.svg
printf '#!/bin/sh\nprintf half\nkill -KILL $$\n' >bin/gnuplot
expect_exit 69 env PATH="$work/bin:$PATH" "$dtrain" plot "$run" --output kept.svg
expect_text err "signal 9"
printf '#!/bin/sh\n' >bin/gnuplot
expect_exit 69 env PATH="$work/bin:$PATH" "$dtrain" plot "$run" --output kept.svg
[[ $(<kept.svg) == old ]] || fail "a failed plot changed the old one"
files "$run" | cmp - before || fail "a plot that failed left a file in the run"
[[ -z $(find . -maxdepth 1 -name '.*.tmp.*') ]] || fail "a plot that failed left a temporary file"
say "failures are explained and harm nothing"

need "program gnuplot"

# ---- pictures ----

expect_exit 0 "$dtrain" plot "$run/"
[[ $(<out) == "$run/plot.svg" && ! -s err ]] || fail "the name of the picture is not what is printed"
cp "$run/plot.svg" run.svg
# shellcheck disable=SC2016 # the name holds backticks
check 'shown = texts("run.svg")
for text in ("loss (nats per token)", "exact match (%)", "learning rate", "gradient norm", "steps", "training", "validation",
             "add", "subtract", "multiply", "divide", "all", "started again", "2 ranks", "3 ranks"):
    assert text in shown, (text, shown)
title = "a <run> & \"more\", it\x27s `id` @x \\n ?/: step 60 of 60"
assert title in shown, shown
assert any(text.startswith("best: ") for text in shown)'

# The learning rate has one point per step, evenly spaced across the resume: no gap, no double point. The mark of the resume is
# in all four panels, at step 40.
check '
def lines(element):
    return [[tuple(map(float, p.split(","))) for p in re.findall(r"-?[\d.]+,-?[\d.]+", part)]
            for part in element.get("d").split("M")[1:]]
root = xml.parse("run.svg").getroot()
curves = {}
def walk(element, name):
    for child in element:
        if child.tag.endswith("}g") and child.get("id", "").startswith("gnuplot_plot_"):
            walk(child, child.get("id"))
        elif child.tag.endswith("}path") and child.get("d"):
            curves.setdefault(name, []).append(child)
            walk(child, name)
        else:
            walk(child, name)
walk(root, None)
# One unbroken line, in addition to the two points of its key.
rate = max((line for path in curves["gnuplot_plot_2c"] for line in lines(path)), key=len)
assert len(rate) == 60, len(rate)
step = (rate[-1][0] - rate[0][0]) / 59
assert all(abs(b[0] - a[0] - step) < 0.05 for a, b in zip(rate, rate[1:]))
dashed = [line for paths in curves.values() for path in paths if path.get("stroke-dasharray") for line in lines(path)]
marks = [line for line in dashed if line[0][0] == line[1][0]]
assert len(marks) == 4, dashed
assert all(abs(line[0][0] - (rate[0][0] + 40 * step)) < 0.05 for line in marks), marks'

file=$run/checkpoint-00000040.h5
expect_exit 0 "$dtrain" plot "$file"
cp "${file%.h5}.svg" 40.svg
check 'shown = texts("40.svg")
assert any("step 40 of 40" in text for text in shown) and "started again" not in shown, shown'

expect_exit 0 "$dtrain" plot "$run" --output curves.png
check 'picture = open("curves.png", "rb").read()
assert picture[:8] == b"\x89PNG\r\n\x1a\n" and picture[-8:-4] == b"IEND"
assert [int.from_bytes(picture[i:i + 4], "big") for i in (16, 20)] == [1000, 1120]'
expect_exit 0 "$dtrain" plot "$run" --output kept.svg
check 'assert "steps" in texts("kept.svg")'
say "pictures show the run"

# ---- a damaged newest checkpoint: named, and the one before it drawn ----

truncate -s 5000 "$run/checkpoint-00000060.h5"
expect_exit 0 "$dtrain" plot "$run" --ascii
expect_text err checkpoint-00000060.h5
expect_text out "step 40 of 40"
