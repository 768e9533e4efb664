#!/usr/bin/env bash
# Every problem of a small domain: the same result on any number of ranks, and operation by operation; Python gets the same
# counts from the list of errors; a signal ends the evaluation in time.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Enough training for some right answers, too little for only right answers.
expect_exit 0 start 2 --ops '+-*/' --digits 1 --dividend-digits 2 --divisor-digits 1 --layers 2 --width 48 --heads 2 --batch 64 \
    --lr 8e-3 --warmup 20 --steps 250 --eval-every 250 --eval-examples 128 --out run

# ---- the same everywhere ----

expect_exit 0 start alone eval run --exhaustive --json --errors alone.tsv
cp out alone.json
for ranks in 1 2 3; do
    expect_exit 0 start "$ranks" eval run --exhaustive --json --errors "$ranks.tsv"
    cmp out alone.json || fail "$ranks ranks count otherwise than one process"
    cmp "$ranks.tsv" alone.tsv || fail "$ranks ranks list other errors than one process"
    [[ ! -e $ranks.tsv.partial ]] || fail "the name of the unfinished list is left"
done
say "the same on 1, 2 and 3 ranks"

# ---- one operation at a time ----

parts=0
for op in + - '*' /; do
    expect_exit 0 start 2 eval run --exhaustive --ops "$op" --json --errors "part.tsv"
    cp out "part$((++parts)).json"
    sed 1d part.tsv >>parts.tsv
done
/usr/bin/python3 -B - alone.json alone.tsv parts.tsv part?.json <<'END' || fail "the operations one by one give other counts"
import json, sys
whole, told = json.load(open(sys.argv[1])), {}
for path in sys.argv[4:]:
    part = json.load(open(path))
    name, = (n for n in ("add", "subtract", "multiply", "divide") if n in part)
    assert part["problems"] == part[name]["problems"], part
    told[name] = part[name]
assert told == {name: whole[name] for name in told} and len(told) == 4, told
unnumbered = [[line.split("\t", 1)[1] for line in open(path)] for path in sys.argv[2:4]]
assert unnumbered[0][1:] == unnumbered[1], unnumbered
END
expect_exit 0 start 2 eval run --exhaustive --ops +
expect_text out "all 100 problems of its domain with +:"
expect_exit 64 start 2 eval run --ops '+%'
expect_text err "'%'"
say "the operations one by one add up to the whole"

# ---- counted again from the list of errors ----

expect_exit 0 start alone eval run --exhaustive
/usr/bin/python3 -B - alone.json alone.tsv out <<'END' || fail "the counts are not those of the list"
import collections, json, re, sys
told = json.load(open(sys.argv[1]))
lines = open(sys.argv[2]).read().splitlines()
text = open(sys.argv[3]).read()
assert lines.pop(0).split("\t") == "index split op a b right model slip step text right_text".split()
names = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}

domain = [(op, a, b) for op in "+-*/" for a in range(100 if op == "/" else 10) for b in range(op == "/", 10)]
assert told["problems"] == len(domain) == 300 + 900 and told["split"] == "all"

def digit_sum(n):
    return sum(map(int, str(n)))

def hardness(op, a, b):
    if op == "+": return (digit_sum(a) + digit_sum(b) - digit_sum(a + b)) // 9
    if op == "-": return (digit_sum(min(a, b)) + digit_sum(abs(a - b)) - digit_sum(max(a, b))) // 9
    return len(str(a // b)) if op == "/" else None

def answer(op, a, b):
    return {"+": lambda: str(a + b), "-": lambda: str(a - b), "*": lambda: str(a * b), "/": lambda: f"{a // b} r {a % b}"}[op]()

def steps_of(op, working):
    """The name and number of the step at each character of a working, with the operator after it."""
    if op == "+":
        return [("sum", 1) for _ in working + "="]
    if op == "-":
        parts = ("difference", "complement")
        chunks = re.findall("[^,=]*[,=]", working + "=")
        assert len(chunks) <= len(parts), working
        return [(part, step) for step, (part, chunk) in enumerate(zip(parts, chunks), 1) for _ in chunk]
    named = []
    for step, chunk in enumerate(re.findall("[^,=]*[,=]" if op == "*" else "[^;=]*[;=]", working + "="), 1):
        if op == "*":
            head, plus, tail = chunk.partition("+")
            named += [("partial product", step)] * len(head + plus) + [("running sum", step)] * len(tail)
        elif step == 1:
            named += [("multiple of the divisor", step)] * len(chunk)
        else:
            rest, bits, left, quotient = re.fullmatch(r"(/=|\d+,)(?:((?:[\dj-qst]+[A-T]){4})(\d+,)(\d+;))?", chunk).groups()
            assert (bits is None) == chunk.startswith("/") == chunk.endswith("="), chunk
            named += [("remainder so far", step)] * len(rest)
            named += [("quotient digit" if c.isupper() else "difference", step) for c in bits or ""]
            named += [("remainder of the step", step)] * len(left or "")
            named += [("quotient so far", step)] * len(quotient or "")
    return named

def first_slip(op, produced, right):
    working, equals, _ = right.rpartition("=")
    if not equals: return "answer", 0
    if produced.startswith(working + "="): return "copy", 0
    for i, step in enumerate(steps_of(op, working)):
        if produced[i:i + 1] != (working + "=")[i]: return step

wrong, last = set(), -1
slips = collections.Counter()
for line in lines:
    index, split, op, a, b, right, model, slip, step, produced, right_text = line.split("\t")
    index, a, b = int(index), int(a), int(b)
    assert index > last and domain[index] == (op, a, b), line
    last = index
    assert right == answer(op, a, b) and model != right, line
    assert right_text.endswith("$") and produced + "$" != right_text, line
    assert (slip, int(step)) == first_slip(op, produced, right_text), line
    slips[op, slip] += 1
    wrong.add(index)

problems, right = collections.Counter(), collections.Counter()
for index, (op, a, b) in enumerate(domain):
    for key in (op,), (op, "cell", len(str(a)), len(str(b))), (op, "hard", hardness(op, a, b)):
        problems[key] += 1
        right[key] += index not in wrong
assert 50 < len(wrong) < len(domain) - 50, len(wrong)
assert round(told["exact_match"] * len(domain)) == len(domain) - len(wrong)
for op, name in names.items():
    of = told[name]
    assert of["problems"] == problems[op,] and round(of["exact_match"] * of["problems"]) == right[op,]
    cells = {(op, "cell", c["a_digits"], c["b_digits"]): (c["problems"], c["right"]) for c in of["cells"]}
    if op != "*":
        hard, = [key[3:] for key in of if key.startswith("by_")]
        assert hard == {"+": "carries", "-": "borrows", "/": "quotient_digits"}[op]
        cells |= {(op, "hard", c[hard]): (c["problems"], c["right"]) for c in of["by_" + hard]}
    else:
        cells[op, "hard", None] = problems[op, "hard", None], right[op, "hard", None]
    assert cells == {key: (problems[key], right[key]) for key in problems if key[0] == op and len(key) > 1}, cells
    splits = of["splits"]
    assert sum(s["problems"] for s in splits.values()) == problems[op,]
    listed = collections.Counter(line.split("\t")[1] for line in lines if line.split("\t")[2] == op)
    assert all(s["problems"] - s["right"] == listed[split] for split, s in splits.items()), splits
    told_slips = dict(of["wrong_steps"], copy=of["wrong_copies"], answer=of["wrong_answers"])
    assert {k: v for k, v in told_slips.items() if v} == {k[1]: v for k, v in slips.items() if k[0] == op}, (told_slips, slips)
    assert sum(told_slips.values()) == problems[op,] - right[op,]
assert f"all {len(domain)} problems of its domain: {len(wrong)} wrong" in text, text
assert "quotient digits:" in text and "wrong by split:" in text
print(f"{len(wrong)} of {len(domain)} wrong, {sum(slips.values())} slips found again")
END

# ---- the same as a heat map ----

expect_exit 0 env COLUMNS=70 "$dtrain" plot --grid alone.json --ascii
/usr/bin/python3 -B - alone.json out <<'END' || fail "the heat map in the terminal is not that of the counts"
import json, re, sys
told = json.load(open(sys.argv[1]))
text = open(sys.argv[2]).read()
assert text.isascii() and max(map(len, text.splitlines())) <= 70
wrong = round(told["problems"] * (1 - told["exact_match"]))
assert f"alone.json: {wrong} of {told['problems']} problems wrong" in text

def symbol(cell):
    share = 1 - cell["right"] / cell["problems"]
    return next(s for s, end in zip(".:-=+*%#", (1e-300, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 0.5, 2)) if share < end)

panels = dict(part.split("\n", 1) for part in text.split("\n\n")[1:-1])
of = told["divide"]
rows = re.findall(r"^ +(\d+) \|(.*)$", panels["a / b, by lengths"], re.M)
assert [row for row, _ in rows] == ["2", "1"], rows
for row, cells in rows:
    assert cells.split() == [symbol(c) for c in of["cells"] if c["a_digits"] == int(row)], (row, cells)
strip, = re.findall(r"^ +\|(.*)$", panels["a / b, by digits of the quotient"], re.M)
assert strip.split() == [symbol(c) for c in of["by_quotient_digits"]], strip
assert "a - b, by borrows" in panels and "a * b, by lengths" in panels and len(panels) == 7
END
expect_exit 0 start 2 plot --grid run --count 500 --ascii
expect_text out "run, step 250, test split:" "of 500 problems wrong" "a + b, by carries"
printf '{"add":{"cells":[{"a_digits":99}]}}' >bad.json
expect_exit 65 "$dtrain" plot --grid bad.json --ascii
expect_text err 'bad.json: the counts of "add"'
printf '{"add":[1,2' >bad.json
expect_exit 65 "$dtrain" plot --grid bad.json --ascii
expect_text err "bad.json: line 1, column 12:"
printf '{"problems":3}' >bad.json
expect_exit 65 "$dtrain" plot --grid bad.json --ascii
expect_text err "holds no counts"
if have "program gnuplot"; then
    for file in grid.svg grid.png; do
        expect_exit 0 "$dtrain" plot --grid alone.json --output "$file"
    done
    expect_exit 0 "$dtrain" plot --grid alone.json
    cmp grid.svg alone-grid.svg || fail "the picture beside the counts is another one"
    /usr/bin/python3 -B - alone.json grid.svg grid.png <<'END' || fail "the pictures do not show the counts"
import json, sys
import xml.etree.ElementTree as xml
told = json.load(open(sys.argv[1]))
texts = ["".join(e.itertext()).strip() for e in xml.parse(sys.argv[2]).iter() if e.tag.endswith("}text")]
for name, title in (("add", "a + b, by carries"), ("divide", "a / b, by lengths")):
    assert title in texts, texts
    for cell in told[name]["cells"]:
        share = 100 * cell["right"] / cell["problems"]
        assert ("100 %" if share == 100 else f"{share:.2f} %") in texts, (cell, texts)
assert open(sys.argv[3], "rb").read(8) == b"\x89PNG\r\n\x1a\n"
END
fi
say "heat maps show the counts"

# ---- refused options ----

expect_exit 64 start alone eval run --exhaustive --count 5
expect_text err "leave out --count"
expect_exit 73 start alone eval run --exhaustive --errors nowhere/errors.tsv
expect_text err "nowhere/errors.tsv.partial cannot be created"
expect_exit 0 start 2 --ops + --digits 8 --format reverse --layers 1 --width 32 --heads 2 --steps 1 --eval-every 0 --out huge
expect_exit 64 start alone eval huge --exhaustive
expect_text err "lower --digits"

# ---- a signal ends it ----

expect_exit 0 start 2 --ops + --digits 4 --format reverse --layers 2 --width 64 --heads 2 --steps 1 --eval-every 0 --out long
for signal in TERM USR1; do
    "$dtrain" eval long --exhaustive --errors stopped.tsv >out 2>err &
    wait_for 60 test -e stopped.tsv.partial
    sleep 1
    kill -"$signal" $!
    code=0
    wait $! || code=$?
    ((code == 75)) || fail "exit code $code after a signal"
    expect_text err "stopped by signal $signal after" "of 100000000 problems" stopped.tsv.partial
    [[ ! -s out && ! -e stopped.tsv ]] || fail "a stopped evaluation leaves what looks like a whole one"
    rm stopped.tsv.partial
done
"$mpirun" -np 2 "$dtrain" eval long --exhaustive --errors ranks.tsv >out 2>err &
wait_for 60 test -e ranks.tsv.partial
sleep 1
kill -USR1 $!
code=0
wait $! || code=$?
((code == 75)) || fail "exit code $code of mpirun after a signal"
say "a signal ends it"
