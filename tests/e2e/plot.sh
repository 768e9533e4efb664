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
settings=("${small[@]}" --eval-every 20 --checkpoint-every 20 --keep 0 --watts 10)
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
expect_exit 64 "$dtrain" plot "$run" --html --ascii
expect_text err "leave --ascii out"
expect_exit 64 "$dtrain" plot "$run" --html --output curves.svg
expect_text err "let the name end in .html"
expect_exit 64 "$dtrain" plot --grid "$run" "$run"
expect_exit 64 "$dtrain" plot 1 2 3 4 5 6 7 8 9
expect_text err "9 runs are too many" "8 are the most"
expect_exit 66 "$dtrain" plot "$run" nobody
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

# ---- a page: needs nothing ----

# Text of users is shown as it is, whatever it holds.
evil='</pre><script>alert("&amp;")</script>'
for sample in "20:an earlier one" "40:given up" "40:東 $evil" "99:of a step that is not there"; do
    /usr/bin/python3 -c 'import json, sys
step, text = sys.argv[1].split(":", 1)
print(json.dumps({"event": "sample", "step": int(step), "text": text + "\n\n\x07 end"}))' "$sample" >>"$run/log.jsonl"
done
printf '{"event":"sample","st' >>"$run/log.jsonl"
expect_exit 0 env PATH=/nowhere "$dtrain" plot "$run" --html
[[ $(<out) == "$run/plot.html" && ! -s err ]] || fail "the name of the page is not what is printed"
cp "$run/plot.html" run.html
cp "$run/latest.h5" latest.h5
expect_exit 0 "$dtrain" plot "$run" "$run/checkpoint-00000040.h5" --output two.html

# page SCRIPT ARGUMENT…: a few lines of Python that check pages.
page() {
    local script=$1
    shift
    /usr/bin/python3 -B -c 'import html.parser, sys
class Page(html.parser.HTMLParser):
    """The elements of a page, and the text in them by the innermost element."""
    def __init__(self, name):
        super().__init__()
        self.elements, self.open, self.texts = [], [], {}
        self.feed(open(name, encoding="utf-8").read())
        self.close()
        assert not self.open, self.open
    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.texts.setdefault(tag, [])
        if tag not in ("meta", "path"):
            self.open.append(tag)
            self.texts[tag].append("")
    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]][-1] += data
    def of_class(self, name):
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]
def values(curve):
    return [[float(x) for x in point.split(" ")] for point in curve["data-values"].split(";")]
'"$script" "$@" || fail "not as expected: $script"
}
# shellcheck disable=SC2016 # the name holds backticks
page 'page = Page("run.html")
assert page.texts["h1"] == ["a <run> & \"more\", it\x27s `id` @x \\n \ufffd: step 60 of 60"], page.texts["h1"]
assert page.texts["pre"] == ["\n東 </pre><script>alert(\"&amp;\")</script>\n\n\ufffd end", "\nan earlier one\n\n\ufffd end"], page.texts["pre"]
# Nothing of the run became an element, and nothing is fetched.
assert len(page.texts["script"]) == len(page.texts["style"]) == 1
assert not [e for e in page.elements if {"src", "href", "srcset", "data", "onclick", "onload"} & set(e[1])]
assert "http:" not in page.texts["style"][0] + page.texts["script"][0].replace("http://www.w3.org/2000/svg", "")
titles = [t.strip() for t in page.texts["h3"]]
for title in ("loss (nats per token)", "exact match (%)", "learning rate", "gradient norm", "tokens per second", "energy used (Wh)", "optimizer"):
    assert title in titles, (title, titles)
marks = [m["data-step"] for m in page.of_class("mark")]
assert len(marks) >= 5 and set(marks) == {"40"}, marks
times = [t for t in page.texts["td"] if t.endswith("Z")]
assert len(times) == 2 and times == sorted(times), times'
page 'import h5py
page = Page("run.html")
curves = {c["data-name"]: values(c) for c in page.of_class("curve")}
with h5py.File("latest.h5") as file:
    train, validation = file["metrics/train"], file["metrics/validation"]
    for name, rows, column, factor in (("training", train, "loss", 1), ("energy", train, "joules", 1 / 3600), ("validation", validation, "loss", 1),
            ("learning rate", train, "lr", 1), ("gradient norm", train, "grad_norm", 1), ("all", validation, "exact_match", 100)):
        wanted = list(zip(rows["step"][()], factor * rows[column][()]))
        assert len(curves[name]) == len(wanted), name
        for (step, value), (at, measured) in zip(curves[name], wanted):
            assert step == at and abs(value - measured) <= 1e-5 * abs(measured), (name, step, value, measured)'
page 'page = Page("two.html")
names = {c["data-name"] for c in page.of_class("curve")}
assert {"checkpoint-00000040.h5, training", "checkpoint-00000040.h5"} <= names and len(names) == 6, names
assert "exact match of divide (%)" in [t.strip() for t in page.texts["h3"]]
marked = page.of_class("other")
assert len(marked) == 1, marked  # steps 60 and 40'
say "pages show the run, and nothing of its texts is obeyed"

# ---- what dtrain has not drawn is kept ----

expect_exit 0 "$dtrain" plot "$run" --html
[[ ! -s err ]] || fail "its own page was set aside"
echo mine >"$run/plot.html"
expect_exit 0 "$dtrain" plot "$run" --html
expect_text err "was not drawn by dtrain: it is now"
[[ $(cat "$run"/plot.html.*) == mine ]] || fail "a page of another program is lost"
rm "$run"/plot.html*

need "program gnuplot"

# ---- pictures ----

expect_exit 0 "$dtrain" plot "$run/"
[[ $(<out) == "$run/plot.svg" && ! -s err ]] || fail "the name of the picture is not what is printed"
cp "$run/plot.svg" run.svg
expect_exit 0 "$dtrain" plot "$run/"
[[ ! -s err ]] || fail "its own picture was set aside"
ln -sfn ../run.svg "$run/plot.svg"
expect_exit 0 "$dtrain" plot "$run"
expect_text err "was not drawn by dtrain"
[[ -f $run/plot.svg && ! -L $run/plot.svg ]] || fail "a link was followed"
rm "$run"/plot.svg.*
expect_exit 0 "$dtrain" plot "$run" "$run/checkpoint-00000040.h5" --output two.svg
check 'shown = texts("two.svg")
for text in ("checkpoint-00000040.h5", "...t-00000040.h5, training"):
    assert text in shown, (text, shown)
assert "started again" not in shown'
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
