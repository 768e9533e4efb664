#!/usr/bin/env bash
# Where running text comes from: files, folders, documents, pipes; the files of tokens that are made of it; what is wrong with it.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir elsewhere
/usr/bin/python3 -B -c '
import random
random.seed(7)
print("\n".join(random.choice(["the cat", "猫", "Käthe"]) + " sees " + random.choice(["the moon", "水"]) + "." for _ in range(2600)))' >elsewhere/moved.txt
tiny=(--steps 2 --layers 1 --width 8 --heads 2 --batch 8 --eval-every 2)

# ---- several files, documents, parts ----

/usr/bin/python3 -B - <<'END' || fail "no texts"
import os, random
random.seed(11)
os.makedirs("tales/b/c")
def words(count): return "".join(random.choice(["ab", "é ", "猫", "x\n", chr(random.randrange(97, 120))]) for _ in range(count))
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
vocabulary = ["\n"] + sorted((set("".join(documents)) | {"\t"}) - {"\n"}) # characters have the tab, too
end = len(vocabulary)
ids = [end] + [token for text in documents for token in [vocabulary.index(c) for c in text] + [end]]
found, order = [], {}
for split in "train", "validation", "test":
    order[split] = [tuple(json.loads(line)["tokens"]) for line in open(f"{split}.json")]
    assert split == "train" or sum(len(window) < 12 for window in order[split]) <= 1
# 900 windows of training are several epochs: the first ends where each token of the part but its first has been predicted.
left = len(ids) - 1 - sum(1 + sum(len(w) - 1 for w in order[split]) for split in ("validation", "test"))
first = []
for window in order["train"]:
    if left > 0:
        first.append(window)
        left -= len(window) - 1
assert left == 0 and len(first) < len(order["train"]) // 2, (left, len(first))
order["train"] = first
# The windows of a part, joined where one ends with the token that the next begins with, are a stretch of the text.
at = 0
for split in "train", "validation", "test":
    left, predicted = list(order[split]), 0
    begin = at
    while left:
        window = next((w for w in left if tuple(ids[at:at + len(w)]) == w and (len(w) == 12 or at == begin or len(left) == 1)), None)
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
grep -q "^text = tales$" docs/config.ini || fail "config.ini lacks a path"
grep -q "^text = late.txt$" docs/config.ini || fail "config.ini lacks the other path"
[[ $(find docs/tokens -type f | wc -l) == 1 ]] || fail "there is not one file of tokens"
early=(docs/checkpoint-*.h5)
expect_exit 0 start 3 --resume "${early[0]}" --out docs2 --ranks-per-node 1
compare_runs docs/latest.h5 docs2/latest.h5
cp -r docs again
sed -i 's/^out = .*/out = again/' again/config.ini
rm again/*.h5 again/log.jsonl
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

state=(/tokenizer /weights /optimizer /metrics/train /metrics/validation /state)

expect_exit 0 start 2 "${tiny[@]}" --text elsewhere/moved.txt --context 32 --steps 4 --out file
expect_exit 0 start 2 "${tiny[@]}" --text - --context 32 --steps 4 --out pipe <elsewhere/moved.txt
cmp elsewhere/moved.txt pipe/text-1.txt || fail "the pipe is not kept"
compare_datasets file/latest.h5 pipe/latest.h5 "${state[@]}"
mkfifo fifo
cat elsewhere/moved.txt >fifo &
expect_exit 0 start 2 "${tiny[@]}" --text fifo --context 32 --steps 2 --out fifos
expect_exit 0 start 2 --text - --steps 4 --out fifos </dev/null
compare_datasets file/latest.h5 fifos/latest.h5 "${state[@]}"
expect_exit 65 start 2 "${tiny[@]}" --text - --out bad </dev/null
expect_text err "has 0 tokens to train on"
[[ ! -e bad ]] || fail "an empty pipe makes a folder"
# A start that waits for a pipe in which nothing comes, or that nobody writes into, can be stopped, and leaves nothing.
exec {silent}<>fifo
mkfifo lonely
for pipe in "/dev/fd/$silent" lonely; do
    : >err
    "$dtrain" "${tiny[@]}" --text "$pipe" --out waiting >out 2>err &
    wait_for 30 grep -q "waiting for the pipe" err
    kill -TERM $!
    code=0
    wait $! || code=$?
    ((code == 75)) || fail "exit code $code of a start that was stopped"
    expect_text err "stopped by signal TERM while waiting for the pipe"
    [[ ! -e waiting ]] || fail "a stopped start leaves a folder"
done
exec {silent}>&-
say "pipes are kept"

# ---- files of tokens ----

# A run that lost them, or may not write, goes on; those of a process that was killed are not used.
rm -r file/tokens
expect_exit 0 start 2 --steps 6 --out file
expect_exit 0 start 2 --steps 6 --out pipe
compare_datasets file/latest.h5 pipe/latest.h5 "${state[@]}"
cp -r pipe sealed
rm -r sealed/tokens
chmod a-w sealed
expect_exit 0 start 2 eval sealed
chmod u+w sealed
head -c 9000000 /dev/urandom | base64 >large.txt
expect_exit 0 start 1 "${tiny[@]}" --text large.txt --context 32 --out larger
cut=0
for pause in 0 0 0 0.02; do
    rm -rf large
    "$dtrain" "${tiny[@]}" --text large.txt --context 32 --out large >out 2>err &
    # As soon as it writes its tokens, or a moment later.
    until compgen -G 'large/tokens/.*.tmp' >/dev/null; do [[ -e /proc/$! ]] || fail "no tokens were seen being written"; done
    sleep "$pause"
    kill -KILL $! 2>/dev/null || true
    wait $! || true
    ! compgen -G 'large/tokens/.*.tmp' >/dev/null || cut=$((cut + 1))
    expect_exit 0 start 2 "${tiny[@]}" --text large.txt --context 32 --out large
    compare_runs large/latest.h5 larger/latest.h5
    [[ -z $(find large -name '*.tmp') ]] || fail "a killed start leaves a part of a file"
done
((cut > 0)) || fail "no start was killed in the middle of a file"
# A file that says that its tokens have eight bytes each is made again, although its digest is right.
/usr/bin/python3 -B - file/tokens/*.tokens <<'END' || fail "no file of tokens to change"
import re, struct, sys, xxhash
data = bytearray(open(sys.argv[1], "rb").read())
size, width = struct.unpack_from("<2I", data, 20)
assert width == 2 and size < 4096, (size, width)
check = [m.start() for m in re.finditer(rb"[0-9a-f]{32}\0", data[:size])][-1]
def digest():
    return xxhash.xxh3_128_hexdigest(bytes(data[:check]) + bytes(33) + bytes(data[check + 33:size])).encode()
assert data[check:check + 32] == digest(), "the digest is computed in another way"
first = 4096 # byte of the ids: the header and a small vocabulary take a page
struct.pack_into("<I", data, 24, 8)
data[check:check + 32] = digest()
open(sys.argv[1], "wb").write(data + bytes(3 * (len(data) - first)))
END
expect_exit 0 start 2 --steps 8 --out file
expect_exit 0 start 2 --steps 8 --out pipe
compare_datasets file/latest.h5 pipe/latest.h5 "${state[@]}"
say "files of tokens are made again"

# ---- long windows ----

/usr/bin/python3 -B - "$dtrain" <<'END' || fail "a window of 4096 tokens takes memory with the square of its length"
import os, subprocess, sys
def memory(context):
    command = [sys.argv[1], "--text", "elsewhere/moved.txt", "--context", str(context), "--layers", "1", "--width", "8", "--heads", "2", "--steps", "1",
               "--batch", "1", "--shards", "1", "--eval-every", "0", "--out", f"long{context}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, status
    return usage.ru_maxrss / 1024
short, long = memory(256), memory(4096)
print(f"{short:.0f} MiB with 256 tokens, {long:.0f} with 4096")
assert long < short + 50 or b"__asan_init" in open(sys.argv[1], "rb").read()
END

# ---- the preset; what else a run has ----

expect_exit 0 start 2 --config "$here/../../jobs/text.ini" --text elsewhere/moved.txt --layers 1 --width 16 --steps 2 --out preset
expect_text err "context 128"
expect_exit 0 start 2 "${tiny[@]}" --text elsewhere/moved.txt --context 16 --steps 40 --eval-every 2 --patience 2 --lr 1e-12 --weight-decay 0 \
    --average 0 --min-delta 1 --out patient
expect_text err "stopped early"
say "the preset runs, and patience ends"

# ---- bad input ----

printf 'latin \xe9\xff %s\n' {1..900} >latin.txt

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
say "bad input is named"
