#!/usr/bin/env bash
# What a model writes: for people, pipes and scripts, whole characters, the same with the same seed, from any kind of model.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

/usr/bin/python3 -B - <<'END' || fail "no text"
import random
random.seed(7)
with open("tale.txt", "w") as text:
    for i in range(700):
        text.write(f"The {random.choice(['cat', 'dog'])} sees {random.choice(['the moon', '水と月', 'nothing'])}.\n")
END
settings=(--layers 2 --width 48 --heads 2 --batch 24 --lr 1e-2 --warmup 20 --steps 180 --eval-every 60)
expect_exit 0 start 2 --text tale.txt --context 32 "${settings[@]}" --out chars
cp err said
expect_exit 0 start 2 --text tale.txt --context 32 "${settings[@]}" --tokenizer bytes --out bytes

# check SCRIPT ARGUMENT…: a few lines of Python that check the output.
check() {
    local script=$1
    shift
    /usr/bin/python3 -B -c "import json, re, sys
out = open('out', 'rb').read().decode()
$script" "$@" || fail "not as expected: $script"
}

# ---- running text, longer than the context ----

for model in chars bytes; do
    expect_exit 0 "$dtrain" sample "$model" "The cat " --tokens 400 --seed 3 --temperature 0.5
    check 'line = r"The (cat|dog) sees (the moon|水と月|nothing)\."
assert out.startswith("The cat ") and out.endswith("\n") and not out.endswith("\n\n"), out
right = [bool(re.fullmatch(line, l)) for l in out.splitlines()[:-1]]
assert len(right) > 8 and sum(right) > 0.7 * len(right), out'
done
expect_exit 0 "$dtrain" sample chars --tokens 100
check 'assert re.match("The (cat|dog) ", out), out' # as a document begins
say "text goes on beyond the context"

# ---- the same seed, the same text ----

expect_exit 0 "$dtrain" sample chars "The " --count 3 --seed 5 --tokens 90 --temperature 1.5
mv out three
expect_exit 0 "$dtrain" sample chars "The " --count 1 --seed 5 --tokens 90 --temperature 1.5
cp out first
expect_exit 0 "$dtrain" sample chars "The " --count 3 --seed 5 --tokens 90 --temperature 1.5 --json
check 'rows = [json.loads(line) for line in out.splitlines()]
assert [row["sample"] for row in rows] == [0, 1, 2] and len({row["text"] for row in rows}) == 3, rows
assert all(row["prompt"] == "The " and row["tokens"] == len(row["text"]) == 90 and not row["ended"] for row in rows), rows
end = lambda text: text if text.endswith("\n") else text + "\n"
texts = [end("The " + row["text"]) for row in rows]
assert open("three").read() == "---\n".join(texts), texts
assert open("first").read() == texts[0]'
expect_exit 0 "$dtrain" sample chars "The " --seed 6 --tokens 90 --temperature 1.5
! cmp -s out first || fail "another seed gives the same text"
expect_exit 0 "$dtrain" sample chars "The " --seed 5 --tokens 90 --top-k 1
mv out likeliest
expect_exit 0 "$dtrain" sample chars "The " --seed 8 --tokens 90 --temperature 0
cmp out likeliest || fail "without a temperature and with one candidate there is one text"
expect_exit 0 "$dtrain" ask chars "The "
check 'first = open("likeliest").read().split("\n")[0]
assert "The " + out == first + "\n", (out, first)'
say "a seed repeats its texts"

# ---- prompts from standard input ----

printf 'The dog' >prompt
for way in "" -; do
    # shellcheck disable=SC2086 # none or one word
    expect_exit 0 "$dtrain" sample chars $way --tokens 40 <prompt
    mv out "by_file$way"
    # shellcheck disable=SC2086
    expect_exit 0 "$dtrain" sample chars $way --tokens 40 < <(cat prompt)
    cmp out "by_file$way" || fail "a pipe gives another text than a file"
done
cmp by_file by_file- || fail "a file is read otherwise with -"
expect_exit 0 "$dtrain" sample chars "The dog" --tokens 40
cmp out by_file || fail "standard input gives another text than an argument"
expect_exit 65 "$dtrain" sample chars "The fox"
expect_text err '"f" begins no token of the model' "  The fox" "      ^"
expect_exit 65 "$dtrain" sample chars - < <(printf 'The \xff')
expect_text err "standard input:1:5: byte 5 (0xff)"
say "prompts come from anywhere"

# ---- bytes that are no text: whole characters all the same ----

printf 'x\xff\xe3\x81' >mixed
for i in {1..300}; do cat mixed; printf '月\n'; done >mixed.txt
expect_exit 0 start 2 --text mixed.txt --context 16 --layers 1 --width 8 --heads 2 --batch 8 --steps 2 --eval-every 1 --tokenizer bytes \
    --out mixed.run
expect_exit 0 "$dtrain" sample mixed.run --tokens 3000 --temperature 1
check 'assert "\ufffd" in out'
expect_exit 0 "$dtrain" sample mixed.run --tokens 3000 --temperature 1 --json
check 'assert "\ufffd" in json.loads(out)["text"]'
check 'rows = [json.loads(line) for line in open("mixed.run/log.jsonl")]
assert [row["step"] for row in rows if row["event"] == "sample"] == [1, 2], rows'
say "nothing but characters is printed"

# ---- documents: a text begins and ends as they do ----

for i in {1..300}; do printf 'Once upon a time %d.\n<|endoftext|>\n' $((i % 10)); done >documents.txt
expect_exit 0 start 2 --text documents.txt --context 64 "${settings[@]}" --steps 100 --out documents
expect_exit 0 "$dtrain" sample documents --tokens 1000 --count 4 --temperature 0.5 --json
check 'rows = [json.loads(line) for line in out.splitlines()]
assert len(rows) == 4 and all(re.fullmatch(r"Once upon a time \d\.\n", row["text"]) and row["ended"] for row in rows), rows'
expect_exit 0 "$dtrain" ask documents ""
check 'assert re.fullmatch(r"Once upon a time \d\.\n", out), out'
check 'rows = [json.loads(line) for line in open("documents/log.jsonl")]
assert [row["text"][:17] for row in rows if row["event"] == "sample"][-1] == "Once upon a time ", rows'
say "documents begin and end"

# ---- at a terminal: characters as they come, and Ctrl-C ends it ----

/usr/bin/python3 -B - "$dtrain" <<'END' || fail "sampling at a terminal does not work"
import os, pty, sys, time
program = sys.argv[1]
child, terminal = pty.fork()
if child == 0:
    os.execv(program, [program, "sample", "bytes", "The ", "--tokens", "100000000"])
seen, until, sent = b"", time.monotonic() + 60, False
while time.monotonic() < until:
    try:
        got = os.read(terminal, 4096)
    except OSError:
        break
    if not got:
        break
    seen += got
    if len(seen) > 2000 and not sent:
        os.write(terminal, b"\x03")
        sent = True
_, status = os.waitpid(child, 0)
assert sent and os.waitstatus_to_exitcode(status) == 75, status
text = seen.decode()
assert "step 180\r\nThe " in text and text.endswith("\r\ndtrain: warning: stopped by signal INT\r\n"), text[-200:]
assert "水と月" in text, text[:500]
END
{ timeout -k 5 60 "$dtrain" sample bytes --tokens 100000000 2>err || echo $? >ended; } | head -c 100 >/dev/null
(($(cat ended) == 74)) || fail "exit code $(cat ended) where nothing reads the text"
say "text streams, and stops"

# ---- lines and arithmetic end by themselves ----

for i in {1..400}; do printf '%d%d\t%d%d\n' $((i % 7)) $((i % 10)) $((i % 10)) $((i % 7)); done >swap.txt
expect_exit 0 start 2 --train-file swap.txt "${settings[@]}" --out swap
expect_exit 0 "$dtrain" sample swap 34 --temperature 0
check 'assert out == "34\t43\n", out'
expect_exit 0 "$dtrain" sample swap --temperature 0 --json < <(echo 25)
check 'row = json.loads(out)
assert row["prompt"] == "25\t" and row["text"] == "52" and row["tokens"] == 2 and row["ended"], row'
expect_exit 64 "$dtrain" sample swap - < <(printf '12\n34\n')
expect_text err "standard input:1:3: a prompt for this model is one line"
expect_exit 64 "$dtrain" sample swap 1234512345
expect_text err "tokens, and the model reads and writes"
expect_exit 0 start 2 --ops + --digits 1 --format plain "${settings[@]}" --steps 20 --out sums
expect_exit 0 "$dtrain" sample sums "3 + 4" --count 2
check 'assert len(out.splitlines()) == 2 and all(re.fullmatch(r"3\+4=\d*", line) for line in out.splitlines()), out'
expect_exit 64 "$dtrain" sample sums
expect_text err "a number is missing"
say "lines and problems end"

# ---- validations show samples, the same on any number of ranks ----

expect_text said "sample at 60:" "sample at 120:" "sample at 180:"
grep -A 1 "sample at 180:" said | grep -q '^    [^ ]' || fail "a sample is not indented"
expect_exit 0 start 3 --text tale.txt --context 32 "${settings[@]}" --out other --log-level error
check 'rows = [[json.loads(line) for line in open(f"{run}/log.jsonl")] for run in ("chars", "other")]
rows = [[(row["step"], row["text"]) for row in run if row["event"] == "sample"] for run in rows]
assert rows[0] == rows[1] and [step for step, _ in rows[0]] == [60, 120, 180], rows
assert all(len(text) == 200 for _, text in rows[0]) and len({text for _, text in rows[0]}) == 3, rows'
compare_runs chars/latest.h5 other/latest.h5
for every in 0 2; do
    expect_exit 0 start 2 --text tale.txt --context 32 "${settings[@]}" --steps 6 --eval-every 2 --sample-every $every --out "every$every"
    grep -o "sample at [0-9]*" err >"every$every.said" || true
done
[[ ! -s every0.said && $(tr '\n' , <every2.said) == "sample at 4,sample at 6," ]] || fail "samples do not come as --sample-every says"
compare_datasets every2/latest.h5 every0/latest.h5 /weights /optimizer /metrics/train /metrics/validation
say "validations show samples"

# ---- bad input ----

expect_exit 64 "$dtrain" sample
expect_text err "which checkpoint?"
for wrong in --top-p=0 --top-p=1.5 --temperature=warm --temperature=-1 --temperature=inf --top-k=x; do
    expect_exit 64 "$dtrain" sample chars "$wrong"
    expect_text err "${wrong%%=*}"
done
expect_exit 66 "$dtrain" sample nothing
say "bad input is named"
