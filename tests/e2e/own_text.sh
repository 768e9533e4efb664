#!/usr/bin/env bash
# A user's own lines: learned, asked, evaluated, replayed and continued like arithmetic; the file may not change.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Words and their reversals, with letters of several bytes; some lines twice; one line has a word that occurs only there.
/usr/bin/python3 -B - <<'END' || fail "no text"
import random
random.seed(5)
words = {"".join(random.choice("abcあいう") for _ in range(random.randint(2, 4))) for _ in range(3000)}
with open("words.txt", "w") as text:
    text.writelines(f"{word}\t{word[::-1]}\n" for word in sorted(words))
    text.write("bbaabbaabb\tbbaabbaabb\n")
    text.writelines(f"{word}\t{word[::-1]}\n" for word in sorted(words)[:100])
END
lines=$(wc -l <words.txt)

# ---- data ----

for split in train validation test; do
    expect_exit 0 "$dtrain" data --train-file words.txt --split "$split" --count 3000 --json
    mv out "$split.json"
done
expect_exit 0 "$dtrain" data --train-file words.txt --split test --count 3000 --tsv
/usr/bin/python3 -B - <<'END' || fail "data shows other lines than the file has"
import collections, json
text = open("words.txt").read().splitlines()
rows = {split: [json.loads(line) for line in open(f"{split}.json")] for split in ("train", "validation", "test")}
def line(row):
    assert row["text"].endswith("\n") and row["text"].encode()[:row["given"]].endswith(b"\t"), row
    assert len(row["tokens"]) == len(row["text"]), row
    return row["text"][:-1]
held_out = {split: collections.Counter(map(line, rows[split])) for split in ("validation", "test")}
train = set(map(line, rows["train"]))
assert not train & set(held_out["validation"]) and not train & set(held_out["test"]), "a line is in two splits"
assert not set(held_out["validation"]) & set(held_out["test"])
assert train | set(held_out["validation"]) | set(held_out["test"]) == set(text)
for split in held_out.values():
    assert all(split[line] == text.count(line) for line in split)
table = [row.split("\t") for row in open("out").read().splitlines()]
assert table[0] == ["index", "prompt", "answer"]
assert ["\t".join(row[1:]) for row in table[1:]] == [line(row) for row in rows["test"]]
END
say "$lines lines are in the right splits"

# Of a large file only the offsets of some lines are kept in memory.
seq 1 3000000 >numbers.txt
/usr/bin/python3 -B - "$dtrain" <<'END' || fail "a large file is kept in memory"
import os, resource, subprocess, sys
subprocess.run([sys.argv[1], "data", "--train-file", "numbers.txt", "--count", "5"], check=True, stdout=subprocess.DEVNULL)
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{os.path.getsize('numbers.txt') / 2**20:.0f} MiB of lines in {memory:.0f} MiB of memory")
assert memory < 35 or b"__asan_init" in open(sys.argv[1], "rb").read(), memory
END
rm numbers.txt

# ---- learning ----

words=(--train-file words.txt --layers 2 --width 48 --heads 2 --lr 1e-2 --warmup 20 --batch 64 --steps 200 --eval-every 100
    --checkpoint-every 100)
expect_exit 0 start 2 "${words[@]}" --out words
expect_text err "text: words.txt, " "lines to train on" "64 lines in 8 shards" "validation at 200"
expect_exit 0 start 2 eval words --json
/usr/bin/python3 -B - <<'END' || fail "words were not learnt"
import json
result = json.load(open("out"))
lines = [json.loads(line)["text"] for line in open("test.json")]
print("exact match on", result["problems"], "lines never seen:", result["exact_match"])
assert result["problems"] == len(lines) and result["split"] == "test" and result["exact_match"] > 0.8, result
open("questions", "w").writelines(line.split("\t")[0] + "\n" for line in lines[:20])
open("answers", "w").writelines(line.split("\t")[1] for line in lines[:20])
END
expect_exit 0 "$dtrain" ask words <questions
same=$(paste out answers | awk -F '\t' '$1 == $2' | wc -l)
((same >= 14)) || fail "only $same of 20 answers are right"
expect_exit 64 start 2 eval words --ops +
expect_text err "--ops is for problems" "words.txt"
expect_exit 64 start 2 eval words --train-file ""
expect_text err "--train-file is empty" "words.txt"
expect_exit 65 "$dtrain" ask words "abxy"
expect_text err "\"x\" begins no token" "  abxy" "    ^"
! grep -qF 'ab\t' err || fail "an error quotes what was not asked"
printf '\xef\xbb\xbfab\nba\0b\n\n猫ab\n' >questions.txt
expect_exit 65 "$dtrain" ask words <questions.txt
expect_text err "standard input:2:3: byte 3 (0x00)" "  ba?b" "standard input:4:1: \"猫\" begins no token" "some lines have no answer"
(($(wc -l <out) == 4)) || fail "four lines have $(wc -l <out) answers"
expect_exit 64 "$dtrain" ask words "abcabcabcabcabcabcabcabcabcabcabcabc"
expect_text err "37 tokens"

# The checkpoint has the name, size and digest of the file, but not its content.
/usr/bin/python3 -B - words/latest.h5 <<'END' || fail "the checkpoint does not say which file it was"
import os, sys
import h5py
with h5py.File(sys.argv[1]) as file:
    config, vocabulary = file["config"].attrs, [token.decode() for token in file["tokenizer/vocab"]]
    assert config["train-file"] == b"words.txt", config["train-file"]
    size, digest = config["train-digest"].decode().split("-")
    assert int(size) == os.path.getsize("words.txt") and len(digest) == 32, (size, digest)
    assert vocabulary == list("\n\tabcあいう"), vocabulary
try:
    import xxhash
    assert digest == xxhash.xxh3_128(open("words.txt", "rb").read()).hexdigest(), digest
except ImportError:
    print("without xxhash for Python, the digest is not computed again")
END
! grep -q bbaabbaabb words/*.h5 || fail "the checkpoint holds the text"
say "the model answers $same of 20, and its checkpoint names the file"

# ---- the same on any number of ranks, stopped or not, wherever the file is ----

expect_exit 0 start 3 "${words[@]}" --ranks-per-node 2 --out other
compare_runs words/latest.h5 other/latest.h5
expect_exit 0 start 1 --resume words/checkpoint-00000100.h5 --out half
compare_runs words/latest.h5 half/latest.h5
mkdir elsewhere
mv words.txt elsewhere/moved.txt
replay=(verify --replay words/checkpoint-00000100.h5 words/checkpoint-00000200.h5)
expect_exit 66 start 3 "${replay[@]}"
expect_text err words.txt
expect_exit 0 start 3 "${replay[@]}" --train-file elsewhere/moved.txt
expect_text out "the same bytes"
expect_exit 0 start 2 eval words --train-file elsewhere/moved.txt --count 50
expect_text out "50 lines of the test split" "exact match"
expect_exit 0 start 2 --out words --steps 210 --train-file elsewhere/moved.txt
expect_text err "changed: " "train-file words.txt -> elsewhere/moved.txt"
say "the file may move"

# ---- but it may not change ----

checksums words >before
sed -i '$s/a/b/' elsewhere/moved.txt
expect_exit 65 start 2 --out words --steps 220
expect_text err "is not the text that the run learns from" "--train-file" "--fresh"
expect_exit 65 start 2 eval words/latest.h5
expect_text err "is not the text"
expect_exit 64 start 2 --out words --steps 220 --train-file ""
expect_text err "cannot become arithmetic"
checksums words >after
cmp before after || fail "a refused start touched the run"
tiny=(--steps 1 --layers 1 --width 8 --heads 2 --batch 8 --eval-every 0)
expect_exit 0 start 2 "${tiny[@]}" --out arithmetic
expect_exit 64 start 2 --out arithmetic --steps 2 --train-file elsewhere/moved.txt
expect_text err "was trained on arithmetic" "cannot become elsewhere/moved.txt"
expect_exit 64 start 2 eval arithmetic --train-file elsewhere/moved.txt
expect_text err "--train-file elsewhere/moved.txt" "has learned arithmetic"
expect_exit 64 start 2 --out nothing --train-digest 12-34
expect_text err "--train-file"
# Another run may begin with those weights, on any text of the same characters.
expect_exit 0 start 2 --init-from words --train-file elsewhere/moved.txt --steps 2 --eval-every 0 --out tuned
expect_text err "weights from words/best.h5"
say "the text may not change"

# ---- bad lines ----

# bad TEXT SENTENCE…: a file that cannot be learned.
bad() {
    printf 'ab\tba\n%b' "$1" >bad.txt
    shift
    expect_exit 65 start 2 "${tiny[@]}" --context 8 --train-file bad.txt --out bad
    expect_text err "$@"
    [[ ! -e bad ]] || fail "a bad file makes a folder"
}
bad 'a\tb\tc\n' "bad.txt:2:4: 2 tabs" "  a b c" "     ^"
bad 'caf\xe9\tx\n' "bad.txt:2:4: byte 4 (0xe9)" "UTF-8" "  caf? x" "     ^"
bad 'ab\0\n' "bad.txt:2:3: byte 3 (0x00)" "  ab?"
bad 'a\tb\nabcde\tedcba\n' "bad.txt:3:8: the line needs 12 tokens" "--context" "  abcde edcba" "         ^"
bad '\x1b[31m\t\n' "bad.txt:2:7: there is no answer" "  ?[31m "
say "bad lines are shown"

# Line ends and marks of other systems, and empty lines: the same lines.
seq 10 59 | sed 's/.*/&\tx&/' >numbers.txt
expect_exit 0 "$dtrain" data --train-file numbers.txt --count 60 --json
mv out wanted
for end in '\r\n' '\r\r\n' '\r' '\n\n'; do
    {
        printf '\xef\xbb\xbf'
        while read -r line; do printf '%s%b' "$line" "$end"; done <numbers.txt
    } >ends.txt
    expect_exit 0 "$dtrain" data --train-file ends.txt --count 60 --json
    cmp out wanted || fail "with lines that end with $end there are others"
done
expect_exit 0 start alone "${tiny[@]}" --train-file ends.txt --out empty
expect_text err "50 empty lines left out"

# More lines with the same text would not help.
seq 1000 | sed 's/.*/same/' >same.txt
expect_exit 64 start alone "${tiny[@]}" --eval-every 1 --train-file same.txt --out bad
expect_text err "all are equal" "more different lines"
printf '%s\n' d d1 d2 >letters.txt
expect_exit 64 start alone "${tiny[@]}" --eval-every 1 --train-file letters.txt --out bad
expect_text err "more different lines"
printf '%s\n' {a..z} {A..Z} >letters.txt # one character a line
expect_exit 0 start alone "${tiny[@]}" --eval-every 1 --train-file letters.txt --out letters
iconv -f UTF-8 -t UTF-16 <letters.txt >utf16.txt
expect_exit 65 start alone "${tiny[@]}" --train-file utf16.txt --out bad
expect_text err "utf16.txt:1:1: byte 1" "iconv -f UTF-16"
say "line ends, empty lines and equal lines are handled"

seq 10 59 | sed 's/.*/&\tx&/' >numbers.txt
expect_exit 64 start 2 "${tiny[@]}" --places 2 --train-file numbers.txt --out bad
expect_text err "numbers.txt needs a model with --places 3"
[[ ! -e bad ]] || fail "a file that does not fit the model makes a folder"
expect_exit 0 start 2 "${tiny[@]}" --places 3 --train-file numbers.txt --out fits
say "numbers have to fit the places"

# ---- plain text: all of it is learned, and the model continues it ----

for ((i = 0; i < 400; i++)); do
    if ((i % 3)); then say "$((i % 10)) if by land"; else say "$((i % 10)) if by sea, と言った"; fi
done >plain.txt
expect_exit 0 start 2 --train-file plain.txt --layers 1 --width 48 --heads 2 --batch 32 --lr 1e-2 --warmup 10 --steps 100 --eval-every 50 \
    --out plain
expect_text err "plain.txt has no answers" "0 with an answer"
expect_exit 0 "$dtrain" ask plain "7 if by s" ""
/usr/bin/python3 -B -c '
import re
goes_on, begins = open("out").read().splitlines()
assert goes_on == "ea, と言った" and re.fullmatch(r"\d if by (land|sea, と言った)", begins), (goes_on, begins)' || fail "the model does not continue the text"
expect_exit 0 start 2 eval plain
expect_text out "lines of the test split" "nats per token" "token accuracy"
! grep -q "exact match" out || fail "lines without answers are right or wrong"
say "the model continues plain text"

# ---- a line longer than any buffer ----

/usr/bin/python3 -B -c '
print("\n".join("ab" * (1 + i % 9) + f"\t{i}" for i in range(200)))
print("x\t" + "".join(chr(97 + i * i % 23) for i in range(6000)))' >long.txt
expect_exit 0 start 2 "${tiny[@]}" --train-file long.txt --steps 3 --eval-every 3 --out long
expect_text err "context 6003"
expect_exit 0 "$dtrain" data --train-file long.txt --count 200 --json
/usr/bin/python3 -B -c '
import json
assert max(len(json.loads(line)["tokens"]) for line in open("out")) == 6003' || fail "the long line is not trained on"
expect_exit 0 start 2 eval long --split train --count 200
expect_text out "lines of the train split"
expect_exit 65 start 2 "${tiny[@]}" --train-file long.txt --context 6002 --out short
expect_text err "long.txt:201:6002: the line needs 6003 tokens" "--context"
# Places of numbers may begin anywhere, so that longer numbers are known.
for i in $(seq 1 60); do printf '%d+%d\t%d\n' "$i" "$((7 * i))" "$((8 * i))"; done >sums.txt
expect_exit 0 start 2 --train-file sums.txt --place-offset 5 --layers 1 --width 16 --heads 1 --batch 8 --steps 3 --out moved
/usr/bin/python3 -B - moved/latest.h5 <<'END' || fail "--place-offset with --train-file: not as many places as needed"
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert f["weights/place_embed"].shape[0] == 3 + 1 + 5 + 1, f["weights/place_embed"].shape  # digits, the token behind, offset, none
END
expect_exit 0 start alone --train-file sums.txt --place-offset 5 --layers 1 --width 16 --heads 1 --batch 8 --steps 4 --out moved
expect_exit 64 start alone --train-file sums.txt --place-offset 5 --places 6 --layers 1 --width 16 --heads 1 --batch 8 --steps 3 --out small
expect_text err "need a model with --places 9, and this one has 6"
say "a line of 6002 bytes is learned and evaluated"
