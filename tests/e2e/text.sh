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
def residues(rows):
    return {text.index(row) % 255 for row in rows if len(row) == 256}
whole = -(-(len(text) * 9 // 10) // 255) # windows of an epoch, or one or two more
assert len(residues(rows["train"])) > 1, "all epochs begin at the same places"
assert len(residues(rows["train"][:whole - 2])) == 1, "an epoch's windows begin at several places"
expected = -(-len(rows["train"]) // (whole - 2))
assert len(residues(rows["train"])) <= expected, (whole, expected)
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
# A run that a program without --windows began goes on with windows that stay where they were.
expect_exit 0 start 2 "${tale[@]}" --windows fixed --out fixed
cp fixed/checkpoint-00000060.h5 earlier.h5
PYTHONPATH=$here/../io /usr/bin/python3 -B - <<'END' || fail "the checkpoint cannot be changed"
import h5py, signed
with h5py.File("earlier.h5", "r+") as file:
    del file["config"].attrs["windows"]
    signed.sign(file)
END
expect_exit 0 start 2 --resume earlier.h5 --out earlier
compare_datasets fixed/latest.h5 earlier/latest.h5 /weights /optimizer /metrics/train /metrics/validation /state
launch 2 "${tale[@]}" --out killed
wait_for 60 test -e killed/checkpoint-00000040.h5
signal_ranks KILL
end_of_job
expect_exit 0 start 3 "${tale[@]}" --windows auto --out killed # as decided when it began
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

# ---- another text is another run ----

checksums whole >before
sed -i '$s/e/i/' elsewhere/moved.txt
expect_exit 65 start 2 --out whole --steps 220 --text elsewhere/moved.txt
expect_text err "is not the text that the run learns from" "--text"
expect_exit 64 start 2 --out whole --steps 220 --text ""
expect_text err "cannot become arithmetic"
checksums whole >after
cmp before after || fail "a refused start touched the run"
say "another text is refused"
