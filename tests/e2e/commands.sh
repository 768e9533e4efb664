#!/usr/bin/env bash
# Every command does what its help says, for people, for scripts and on a terminal.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# check SCRIPT ARGUMENT…: a few lines of Python that check the output; json and re are imported.
check() {
    local script=$1
    shift
    /usr/bin/python3 -B -c "import json, re, sys
out, err = open('out').read(), open('err').read()
$script" "$@" || fail "not as expected: $script"
}

# ---- help ----

for command in "" eval ask sample info data export import merge quantise tokenize; do
    # shellcheck disable=SC2086 # none or one word
    expect_exit 0 "$dtrain" $command --help
    check "assert out.startswith(f'Usage: dtrain{sys.argv[1] and \" \" + sys.argv[1]} '), out[:60]
assert '  --' in out and not err" "$command"
done
expect_exit 0 "$dtrain" --help
check 'for name in "out config seed steps time-limit fresh resume init-from log-level batch shards ranks-per-node ops digits format " \
    "train-examples layers width heads dropout optimizer lr warmup schedule weight-decay clip eval-every eval-examples patience " \
    "min-delta checkpoint-every keep".split():
    assert re.search(rf"--{name}\b", out), name'
expect_exit 0 "$dtrain" --hel # options can be shortened; this one never begins to train
check 'assert out.startswith("Usage: dtrain ") and not err'
expect_exit 0 "$dtrain" --version
check 'assert re.fullmatch(r"dtrain \d+\.\d+\.\d+\n", out), out'
say "help is there"

# ---- data: the same problems for people, for spreadsheets and for programs ----

some=(--split validation --count 200 --first 7 --seed 3)
for format in plain reverse scratchpad; do
    expect_exit 0 "$dtrain" data "${some[@]}" --format "$format" --tokens
    mv out people
    expect_exit 0 "$dtrain" data "${some[@]}" --format "$format" --tsv
    mv out table
    expect_exit 0 "$dtrain" data "${some[@]}" --format "$format" --json
    check '
rows = [json.loads(line) for line in out.splitlines()]
table = [line.split("\t") for line in open("table").read().splitlines()]
people = open("people").read().splitlines()
assert table.pop(0) == ["index", "op", "a", "b", "answer", "text"]
assert len(rows) == len(table) == len(people) == 200
assert [row["index"] for row in rows] == list(range(7, 207))
assert {row["op"] for row in rows} == set("+-*/")
answers = {"+": lambda a, b: str(a + b), "-": lambda a, b: str(a - b), "*": lambda a, b: str(a * b),
           "/": lambda a, b: f"{a // b} r {a % b}" if a % b else str(a // b)}
for row, line, shown in zip(rows, table, people):
    a, b = row["a"], row["b"]
    right = answers[row["op"]](a, b)
    assert row["answer"] in (right, f"{a // b} r {a % b}" if row["op"] == "/" else right), row
    assert line == [str(row[key]) for key in ("index", "op", "a", "b", "answer", "text")], (line, row)
    assert shown.startswith("%d %s %d = %s" % (a, row["op"], b, row["answer"])), shown
    assert row["text"] in shown and shown.endswith(" ".join(map(str, row["tokens"]))), shown
    assert len(row["tokens"]) == len(row["text"]) and 0 < row["given"] < len(row["text"]), row
    assert row["text"].endswith("$") and row["text"][row["given"] - 1] == "=", row'
done
expect_exit 0 "$dtrain" data --count 3
(($(wc -l <out) == 3)) || fail "three problems are $(wc -l <out) lines"
say "data agrees with itself and with Python's arithmetic"

# ---- a model that knows its two hundred problems, in a folder with an unusual name ----

run='a run, "quoted"'
settings=(--ops '+*' --digits 1 --format scratchpad --layers 1 --width 48 --heads 2 --batch 64 --lr 1e-2 --warmup 20 --steps 300
    --eval-every 300 --eval-examples 64)
expect_exit 0 start 2 "${settings[@]}" --out "$run"
expect_text err "2 ranks on 1 node" OpenBLAS "kernels" "finished 300 steps"
if have "processor x86_64"; then
    flags=$(grep -m 1 '^flags' /proc/cpuinfo || true)
    widest=SSE
    [[ $flags != *" avx2"* || $flags != *" fma"* ]] || widest=AVX2
    [[ $flags != *" avx512dq"* || $flags != *" avx512bw"* || $flags != *" avx512vl"* ]] || widest=AVX-512
    expect_text err "$widest"
    say "the widest vectors of the processor are used: $widest"
fi

# ---- ask ----

questions=(3+4 7*8 "5 + 5" "9×9=" 2+2)
expect_exit 0 "$dtrain" ask "$run" "${questions[@]}"
cp out by_argument
check 'lines = open("by_argument").read().split("\n")
assert lines.pop() == "" and len(lines) == 5 and all(re.fullmatch(r"\d+", line) for line in lines), lines'
printf '%s\n' "${questions[@]}" >asked
expect_exit 0 "$dtrain" ask "$run" <asked
cmp out by_argument || fail "the same questions have other answers from standard input"
# Each answer is on the line of its question, also after a question without an answer; the last line needs no newline.
printf '3+4\n\nwhat?\n7*8\r\n1/0\n2+2' >asked
expect_exit 64 "$dtrain" ask "$run" <asked
check 'known = open("by_argument").read().split("\n")
assert out.split("\n") == [known[0], "", "", known[1], "", known[4], ""], out
assert "standard input:3:1: " in err and "standard input:5:1: 1/0" in err and "input:4" not in err, err'
# Other ways to write the same problem; a \r alone ends a line, too.
printf '\xef\xbb\xbf3+4\n３＋４\r\n\xc2\xa03\xe3\x80\x80+ 4=?\r\r\n3 plus 4\rWhat is 3+4？\n \xc2\xa0\n3+4\0005\n\x1b[31m3+4\n' >asked
expect_exit 65 "$dtrain" ask "$run" <asked
check 'known = open("by_argument").read().split("\n")
assert out.split("\n") == [known[0]] * 5 + [""] * 4, out
assert "standard input:7:4: byte 4 (0x00)" in err and "\n  3+4?5\n     ^\n" in err, err
assert "standard input:8:1: a number is missing" in err and "\n  ?[31m3+4\n  ^\n" in err and "\x1b" not in err, err'
expect_exit 0 "$dtrain" ask "$run" $'\xef\xbb\xbf3+4\r\n7*8\n' 2+2
check 'known = open("by_argument").read().split("\n")
assert out.split("\n") == [known[0], known[1], known[4], ""], out'
expect_exit 0 "$dtrain" ask "$run" --show-work 7*8 3+4
check 'known = open("by_argument").read().split("\n")
lines = out.splitlines()
assert lines[-1] == known[0] and lines[-2] == f"3 + 4 = {known[0]}", lines
assert known[1] in lines[:-2] and f"7 * 8 = {known[1]}" in lines[:-2], lines'
# Each answer of a file is flushed, and the last flush has nothing left to fail with.
expect_exit 74 bash -c '"$@" <<<3+4 >/dev/full' bash "$dtrain" ask "$run"
grep -q "standard output cannot be written" err || fail "nothing is said of answers that are lost"
# By file, from any folder, and by the name of a link.
file=$run/$(readlink "$run/best.h5")
expect_exit 0 "$dtrain" ask "$file" "${questions[@]}"
cmp out by_argument || fail "the file answers otherwise than its folder"
(cd / && expect_exit 0 "$dtrain" ask "$work/$run/best.h5" "${questions[@]}")
cmp out by_argument || fail "best.h5 answers otherwise than its folder"
say "ask answers"

/usr/bin/python3 -B - "$dtrain" "$run" by_argument <<'END' || fail "the prompt on a terminal does not work"
import os, pty, select, sys, time
program, run, known = sys.argv[1:]
known = open(known).read().split("\n")
child, terminal = pty.fork()
if child == 0:
    os.execv(program, [program, "ask", run])
seen = ""
def wait_for(text):
    global seen
    until = time.monotonic() + 30
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
        assert ready, f"{text!r} did not come in time after {seen!r}"
        seen += os.read(terminal, 4096).decode()
    before, seen = seen.split(text, 1)
    return before
def ask(line):
    os.write(terminal, line.encode() + b"\n")
    return wait_for("\r\n> ").split("\r\n", 1)[1]
assert "such as" in wait_for("> ")
assert ask("3+4") == known[0]
assert "a number is missing" in ask("three")
assert "zero" in ask("1/0")
assert ask("7*8") == known[1]
os.write(terminal, b"\n")
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
END
say "the prompt answers"

# ---- info and eval ----

expect_exit 0 "$dtrain" info "$run"
expect_text out parameters "of 300" "starts" "2 ranks" finished "[optimizer]"
expect_text out "not read   the bytes of weights and of the optimizer's state"
expect_exit 0 "$dtrain" info "$run/latest.h5" --json
check 'd = json.loads(out)
assert d["checkpoint"] == sys.argv[1] and d["step"] == 300 and d["problems"] == 300 * 64, d
assert d["layers"] == 1 and d["width"] == 48 and d["settings"]["ops"] == "+*" and d["settings"]["lr"] == 0.01, d
assert d["unread"] == ["weights", "optimizer"], d' "$run/latest.h5"

expect_exit 0 start alone eval "$run" --count 200 --split train --json
cp out alone
for ranks in 1 3; do
    expect_exit 0 start "$ranks" eval "$run" --count 200 --split train --json
    cmp out alone || fail "eval on $ranks ranks has another result"
done
check 'd = json.loads(out)
assert d["problems"] == 200 and d["split"] == "train" and "divide" not in d, d
parts = [d["add"], d["multiply"]]
assert sum(p["problems"] for p in parts) == 200
assert abs(sum(p["problems"] * p["exact_match"] for p in parts) - 200 * d["exact_match"]) < 1e-6, d
for p in parts:
    assert sum(c["problems"] for c in p["cells"]) == p["problems"]
    assert sum(c["right"] for c in p["cells"]) == round(p["problems"] * p["exact_match"])'
expect_exit 0 start alone eval "$run" --count 100
expect_text out "exact match" "add" "multiply" "nats per token"
expect_exit 0 start alone eval "$run" --count 100 --ops '*' --json
check 'd = json.loads(out)
assert d["problems"] == d["multiply"]["problems"] == 100 and "add" not in d, d'
expect_exit 64 start alone eval "$run" --ops '+-'
expect_text err "trained on +* only, not on '-'"
say "info and eval tell the same everywhere"

# ---- debugging ----

expect_exit 0 start alone --check-gradients "${small[@]}"
expect_text out layers/1/mlp_out/weight "gradients agree"
expect_exit 0 start 2 --check-gradients "${small[@]}"
[[ ! -e runs ]] || fail "--check-gradients left a run folder"

tiny=(--steps 2 --layers 1 --width 8 --heads 2 --batch 8 --eval-every 0)
expect_exit 0 start 3 "${tiny[@]}" --out debug --log-level debug
expect_text err "dtrain[0]: " "dtrain[1]: debug: " "dtrain[2]: debug: "
expect_exit 0 start 3 "${tiny[@]}" --out quiet --log-level error
[[ ! -s err && ! -s out ]] || fail "--log-level error speaks"
threads=$(($(nproc) > 16 ? $(nproc) : 16))
export OPENBLAS_NUM_THREADS=$threads
expect_exit 0 start 2 "${tiny[@]}" --out threads
expect_text err "warning: OPENBLAS_NUM_THREADS=$threads"
export OPENBLAS_NUM_THREADS=1
compare_runs quiet/latest.h5 threads/latest.h5

# ---- settings from a file; the command line wins; a run's own config.ini makes the same run ----

printf '; by hand\n[model]\nlayers = 1\nwidth = 8\nheads = 2\n[run]\nsteps = 50\n[batch]\nbatch = 8\n[evaluation]\neval-every = 0\n' >by_hand.ini
expect_exit 0 start alone --config by_hand.ini --steps 2 --out by_hand
compare_runs quiet/latest.h5 by_hand/latest.h5
expect_exit 0 start alone --config by_hand/config.ini --out again
compare_runs quiet/latest.h5 again/latest.h5
say "settings come from files"
