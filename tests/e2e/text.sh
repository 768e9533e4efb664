#!/usr/bin/env bash
# Running text: learned with the same bits on any number of ranks, stopped, killed and replayed; the text may not change.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

# Sentences of a few words, with letters of several bytes: about 60 kB.
/usr/bin/python3 -B - <<'END' || fail "no text"
import random
random.seed(7)
subjects, verbs, objects = "the cat|a dog|猫|Käthe".split("|"), "sees|hört|likes".split("|"), "the moon|水|a tree|nothing".split("|")
with open("tale.txt", "w") as text:
    for line in range(2600):
        text.write(f"{random.choice(subjects)} {random.choice(verbs)} {random.choice(objects)}.\n")
END

tale=(--text tale.txt --context 48 --layers 2 --width 48 --heads 2 --batch 24 --micro-batch 5 --lr 1e-2 --warmup 20 --dropout 0.05
    --steps 200 --eval-every 50 --checkpoint-every 20 --keep 0)
expect_exit 0 start 2 "${tale[@]}" --out whole
grep -q "validation at 200: loss .* bits per byte [0-9.]* " err || fail "no bits per byte"
expect_text err "tale.txt is running text" "text: tale.txt, " "24 windows in 8 shards" "context 48" "validation at 200"
expect_exit 0 start 2 eval whole --json
/usr/bin/python3 -B - <<'END' || fail "the text was not learned"
import json, math
result = json.load(open("out"))
print("loss on", result["problems"], "windows never seen:", result["loss"])
assert result["split"] == "test" and result["loss"] < 1, result
# All windows of the test part: the loss of all its characters except the first, divided by their bytes.
bytes = open("tale.txt", "rb").read()
part = bytes[len(bytes) - len(bytes) // 20:].decode(errors="ignore")
expected = result["loss"] * (len(part) - 1) / len(part[1:].encode()) / math.log(2)
assert abs(result["bits_per_byte"] - expected) < 1e-12 * expected, (result, expected)
rows = [json.loads(line) for line in open("whole/log.jsonl")]
rows = [row for row in rows if row["event"] == "validation"]
assert len(rows) == 4 and all(0.5 < row["bits_per_byte"] / row["loss"] < 1.5 for row in rows), rows
END
expect_exit 0 "$dtrain" ask whole "the cat "
/usr/bin/python3 -B -c '
import re
line = open("out").read()
assert re.fullmatch("(sees|hört|likes) (the moon|水|a tree|nothing)[.]\n", line), line' || fail "the model does not continue the text"
say "the text is learned"

# ---- the windows are the text ----

for split in train validation test; do
    expect_exit 0 "$dtrain" data --text tale.txt --split "$split" --count 300 --json
    mv out "$split.json"
done
/usr/bin/python3 -B - <<'END' || fail "data shows other windows than the text has"
import json
text = open("tale.txt").read()
rows = {split: [json.loads(line)["text"] for line in open(f"{split}.json")] for split in ("train", "validation", "test")}
begins = {split: sorted(text.index(row) for row in rows[split] if len(row) == 256) for split in rows}
assert all(row in text for split in rows for row in rows[split])
assert max(begins["train"]) + 256 <= min(begins["validation"]) and max(begins["validation"]) + 256 <= min(begins["test"])
assert all(begin % 255 == 0 for begin in begins["train"])
assert len(rows["test"]) == len(set(rows["test"])) and len(rows["validation"]) == len(set(rows["validation"]))
END
say "windows are in the right splits"

# ---- the same bytes on any number of ranks, stopped within an epoch, killed, replayed ----

for ranks in 1 3; do
    expect_exit 0 start "$ranks" "${tale[@]}" --ranks-per-node 2 --out "ranks$ranks"
    compare_runs whole/latest.h5 "ranks$ranks/latest.h5"
done
expect_exit 0 start 3 --resume whole/checkpoint-00000060.h5 --out half
compare_runs whole/latest.h5 half/latest.h5
launch 2 "${tale[@]}" --out killed
wait_for 60 test -e killed/checkpoint-00000040.h5
signal_ranks KILL
end_of_job
expect_exit 0 start 3 "${tale[@]}" --out killed
compare_runs whole/latest.h5 killed/latest.h5
mkdir elsewhere
mv tale.txt elsewhere/moved.txt
replay=(verify --replay whole/checkpoint-00000060.h5 whole/checkpoint-00000200.h5)
expect_exit 66 start 3 "${replay[@]}"
expect_text err tale.txt
expect_exit 0 start 3 "${replay[@]}" --text elsewhere/moved.txt
expect_text out "the same bytes"
say "the same bytes on 1, 2 and 3 ranks, after a stop and a kill"

# ---- bytes as tokens: any text, with any characters ----

printf 'latin \xe9\xff %s\n' {1..900} >latin.txt
tiny=(--steps 2 --layers 1 --width 8 --heads 2 --batch 8 --eval-every 2)
expect_exit 0 start 2 "${tiny[@]}" --text latin.txt --tokenizer bytes --context 32 --out bytes
expect_text err "vocabulary 255"
expect_exit 0 "$dtrain" verify bytes
expect_exit 64 start 2 --text elsewhere/moved.txt --tokenizer bytes --steps 220 --out whole
expect_text err "--tokenizer chars, which cannot become bytes"
# --positions index works for any data.
expect_exit 0 start 2 "${tiny[@]}" --positions index --out index
expect_exit 0 start 3 --out index --steps 4
expect_exit 64 start 2 "${tiny[@]}" --positions index --places 9 --out places
expect_text err "--positions index"
say "bytes are tokens, too"

printf 'ab\0\xff%s\n' {1..400} >zeros.bin
expect_exit 0 start 2 "${tiny[@]}" --text zeros.bin --tokenizer bytes --context 32 --out zeros
expect_text err "vocabulary 256"
expect_exit 0 "$dtrain" verify zeros
expect_exit 0 start 2 --out zeros --steps 4
expect_exit 0 start 2 eval zeros

# ---- several files, documents, parts ----

/usr/bin/python3 -B - <<'END' || fail "no texts"
import os, random
random.seed(11)
os.makedirs("tales/b/c")
def words(count): return "".join(random.choice(["ab", "é ", "猫", "x\n", "q"]) for _ in range(count))
for name, texts in {"tales/a.txt": [900], "tales/b/2.txt": [300, 5, 700], "tales/b/10.txt": [400], "tales/b/c/z": [60, 80]}.items():
    with open(name, "w", newline="") as file:
        file.write("\ufeff" + "<|endoftext|>\n".join(words(count) + "\n" for count in texts))
open("tales/.hidden", "wb").write(b"\xff")
open("late.txt", "w").write("= part =\r\n".join(words(200) + "\n" for _ in range(3)))
END
docs=(--text tales --text late.txt --document-separator "= part =" --context 12)
for split in train validation test; do
    expect_exit 0 "$dtrain" data "${docs[@]}" --split "$split" --count 900 --json
    mv out "$split.json"
done
/usr/bin/python3 -B - <<'END' || fail "the windows are not the documents"
import json
files = ["tales/a.txt", "tales/b/10.txt", "tales/b/2.txt", "tales/b/c/z", "late.txt"]
documents = [text for file in files for text in
             open(file, encoding="utf-8-sig", newline="").read().replace("= part =\r\n", "<|endoftext|>\n").split("<|endoftext|>\n")]
assert len(documents) == 10, len(documents)
vocabulary = ["\n"] + sorted(set("".join(documents)) - {"\n"})
end = len(vocabulary)
ids = [end] + [token for text in documents for token in [vocabulary.index(c) for c in text] + [end]]
found, order = [], {}
for split in "train", "validation", "test":
    windows = [json.loads(line)["tokens"] for line in open(f"{split}.json")]
    # An epoch of training has each window once: 900 are more, and begin again.
    windows = list(dict.fromkeys(map(tuple, windows))) if split == "train" else windows
    assert all(len(window) == 12 for window in windows) or sum(len(window) < 12 for window in windows) == 1
    order[split] = windows
# The windows of a part, joined where one ends with the token that the next begins with, are a stretch of the text.
at = 0
for split in "train", "validation", "test":
    left, predicted = list(order[split]), 0
    begin = at
    while left:
        window = next((w for w in left if tuple(ids[at:at + len(w)]) == w and (len(w) == 12 or len(left) == 1)), None)
        assert window, (split, at, len(left))
        left.remove(window)
        at += len(window) - 1
        predicted += len(window) - 1
    assert predicted == at - begin
    at += 1
assert at == len(ids), (at, len(ids))
END
expect_exit 0 start 2 "${tiny[@]}" "${docs[@]}" --dropout 0.1 --steps 12 --checkpoint-every 5 --keep 0 --out docs
expect_text err "in 10 documents"
grep -q "^text = tales$" docs/config.ini && grep -q "^text = late.txt$" docs/config.ini || fail "config.ini lacks a path"
[[ $(find docs/tokens -type f | wc -l) == 1 ]] || fail "there is not one file of tokens"
expect_exit 0 start 3 --resume docs/checkpoint-00000005.h5 --out docs2 --ranks-per-node 1
compare_runs docs/latest.h5 docs2/latest.h5
cp -r docs again
sed -i 's/^out = .*/out = again/' again/config.ini
rm -r again/checkpoint-* again/*.h5 again/log.jsonl
expect_exit 0 start 1 --config again/config.ini --out again
compare_runs docs/latest.h5 again/latest.h5
# A text to validate on is not trained on; of the other nothing is left out.
expect_exit 0 "$dtrain" data --text tales/a.txt --validation-text late.txt --test-share 0 --context 12 --split validation --count 99 --json
/usr/bin/python3 -B - <<'END' || fail "another text is validated on"
import json
text = open("late.txt", newline="").read()
assert all(json.loads(line)["text"].strip("<|endoftext|>") in text for line in open("out"))
END
expect_exit 0 start 2 "${tiny[@]}" --text tales/a.txt --validation-text late.txt --test-share 0 --context 12 --out late
grep -q "0 for tests" err || fail "there is a part for tests"
say "documents, folders and parts"

# ---- pipes ----

expect_exit 0 start 2 "${tiny[@]}" --text elsewhere/moved.txt --context 32 --steps 4 --out file
expect_exit 0 start 2 "${tiny[@]}" --text - --context 32 --steps 4 --out pipe <elsewhere/moved.txt
cmp elsewhere/moved.txt pipe/text-1.txt || fail "the pipe is not kept"
compare_runs file/latest.h5 pipe/latest.h5
mkfifo fifo
cat elsewhere/moved.txt >fifo &
expect_exit 0 start 2 "${tiny[@]}" --text fifo --context 32 --steps 2 --out fifos
expect_exit 0 start 2 --text - --steps 4 --out fifos </dev/null
compare_runs file/latest.h5 fifos/latest.h5
expect_exit 65 start 2 "${tiny[@]}" --text - --out bad </dev/null
expect_text err "has 0 tokens to train on"
[[ ! -e bad ]] || fail "an empty pipe makes a folder"
say "pipes are kept"

# ---- files of tokens ----

# A run that lost them, or may not write, goes on; those of a process that was killed are not used.
rm -r file/tokens
expect_exit 0 start 2 --steps 6 --out file
expect_exit 0 start 2 --steps 6 --out pipe
compare_runs file/latest.h5 pipe/latest.h5
cp -r pipe sealed
rm -r sealed/tokens
chmod a-w sealed
expect_exit 0 start 2 eval sealed
chmod u+w sealed
head -c 9000000 /dev/urandom | base64 >large.txt
for pause in 0.02 0.1 0.2 0.3 0.4; do
    rm -rf large
    "$dtrain" "${tiny[@]}" --text large.txt --context 32 --out large >out 2>err &
    sleep "$pause"
    kill -KILL $! 2>/dev/null || true
    wait $! || true
done
expect_exit 0 start 2 "${tiny[@]}" --text large.txt --context 32 --out large
expect_exit 0 start 1 "${tiny[@]}" --text large.txt --context 32 --out larger
compare_runs large/latest.h5 larger/latest.h5
[[ -z $(find large -name '*.tmp') ]] || fail "a killed start leaves a part of a file"
say "files of tokens are made again"

# ---- the preset; what else a run has ----

expect_exit 0 start 2 --config "$here/../../jobs/text.ini" --text elsewhere/moved.txt --layers 1 --width 16 --steps 2 --out preset
expect_text err "context 128"
expect_exit 0 start 2 "${tiny[@]}" --text elsewhere/moved.txt --context 16 --steps 40 --eval-every 2 --patience 2 --lr 1e-12 --weight-decay 0 \
    --average 0 --min-delta 1 --out patient
expect_text err "early stopping"
say "the preset runs, and patience ends"

# ---- bad input ----

# bad CODE SENTENCE ARGUMENT…: nothing is begun.
mkdir books
printf 'fine\n' >books/a.txt
printf 'not\n\xff\n' >books/b.txt
bad() {
    local code=$1 sentence=$2
    shift 2
    expect_exit "$code" start 2 "${tiny[@]}" --out bad "$@"
    expect_text err "$sentence"
    [[ ! -e bad ]] || fail "bad input makes a folder"
}
bad 65 "latin.txt:1: byte 7 (0xe9)" --text latin.txt
mkdir empty
bad 66 "the folder empty has no file to read" --text empty
bad 66 "cannot read nothing.txt" --text elsewhere:nothing.txt
bad 66 "cannot read nothing.txt" --text nothing.txt
echo "too short" >short.txt
bad 65 "has 10 tokens to train on, and a window has 256" --text short.txt
bad 64 "no window for validation" --text short.txt --context 4
bad 64 "leave one out" --text short.txt --train-file short.txt
bad 64 "is none of chars, bytes" --text short.txt --tokenizer words
bad 64 "--positions none" --text elsewhere/moved.txt --positions none
bad 64 "--positions learned is for numbers" --text elsewhere/moved.txt --positions learned
bad 64 "leave nothing to train on" --text elsewhere/moved.txt --validation-share 0.5 --test-share 0.5
bad 64 "no window for validation (--validation-share 0)" --text elsewhere/moved.txt --validation-share 0
bad 64 "there is no --text to learn" --validation-text elsewhere/moved.txt
printf 'ab\0cd\n%.0s' {1..99} >zero.txt
bad 65 "zero.txt:1: byte 3 (0x00)" --text zero.txt --context 16
bad 65 "books/b.txt:2: byte 1 (0xff)" --text books --context 16
checksums whole >before
sed -i '$s/e/i/' elsewhere/moved.txt
expect_exit 65 start 2 --out whole --steps 220 --text elsewhere/moved.txt
expect_text err "is not the text that the run learns from" "--text"
expect_exit 64 start 2 --out whole --steps 220 --text ""
expect_text err "cannot become arithmetic"
checksums whole >after
cmp before after || fail "a refused start touched the run"
say "bad input is named"
