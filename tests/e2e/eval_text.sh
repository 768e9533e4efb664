#!/usr/bin/env bash
# A model of running text measures any text: all of it, the same digits on any number of ranks; other programs find the same loss.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

/usr/bin/python3 -B - <<'END' || fail "no text"
import random
random.seed(7)
line = lambda: f"The {random.choice(['cat', 'dog'])} sees {random.choice(['the moon', '水と月', 'nothing'])}.\n"
open("tale.txt", "w").write("".join(line() for i in range(700)))
open("other.txt", "w").write("".join(line() for i in range(31)) + "The")
END
settings=(--text tale.txt --context 32 --layers 2 --width 32 --heads 2 --batch 16 --lr 1e-2 --warmup 10 --steps 60 --eval-every 60)
expect_exit 0 start 2 "${settings[@]}" --out chars
expect_exit 0 start 2 "${settings[@]}" --tokenizer bytes --out bytes

# ---- all of the text, whatever its tokens are ----

checksums chars >before
for model in chars bytes; do
    expect_exit 0 start 1 eval $model --text other.txt --json --dump-logits logits.json
    mv out alone
    /usr/bin/python3 -B - $model <<'END' || fail "not the loss of all the text"
import json, math, sys
import h5py
result, text = json.load(open("alone")), open("other.txt", "rb").read()
first = text.decode() if sys.argv[1] == "chars" else text
given = json.load(open("logits.json"))
with h5py.File(sys.argv[1] + "/best.h5") as file:
    vocabulary = file["tokenizer/vocab"][()]
number = {token.decode() if sys.argv[1] == "chars" else token[0]: i for i, token in enumerate(vocabulary)}
ids = [number[token] for token in first]
# The logits of a window tell the probability of its next tokens, of which the last one is the first of the window that follows in the
# text. Windows come in an order of their own.
places = {}
for begin in range(0, len(ids) - 1, 31):
    places.setdefault(tuple(ids[begin : min(begin + 31, len(ids) - 1)]), []).append(begin)
loss = right = count = 0
for window, logits in zip(given["tokens"], given["logits"]):
    begin = places[tuple(window)].pop()
    for row, target in zip(logits, ids[begin + 1 :]):
        top = max(row)
        loss += math.log(sum(math.exp(x - top) for x in row)) + top - row[target]
        right += row[target] == top
        count += 1
assert not any(places.values()), places
print(result)
windows = len(given["tokens"])
assert windows == math.ceil((len(first) - 1) / 31) and result["problems"] == windows, (windows, len(first))
assert result["tokens"] == len(first) - 1 == count, (result, count)
head = 1 if sys.argv[1] == "bytes" else len(first[0].encode())
assert result["bytes"] == len(text) - head, result
assert abs(result["bits_per_byte"] - result["loss"] * result["tokens"] / result["bytes"] / math.log(2)) < 1e-12, result
assert abs(result["perplexity"] - math.exp(result["loss"])) < 1e-9 and result["text"] == "other.txt" and result["split"] == "all", result
assert abs(loss / count - result["loss"]) < 1e-5 * result["loss"] and abs(right / count - result["token_accuracy"]) < 1e-3, (loss / count, right, result)
END
    for ranks in 2 3; do
        expect_exit 0 start $ranks eval $model --text other.txt --json
        cmp out alone || fail "eval on $ranks ranks has another result"
    done
done
expect_exit 0 start alone eval chars --text other.txt
expect_text out "windows of other.txt: " "nats per token" "bits per byte" "token accuracy"
! grep -q "exact match" out || fail "running text is right or wrong"
checksums chars >after
cmp before after || fail "eval left something in the run's folder"

# The text of the run, as a whole and its last part.
expect_exit 0 start 2 eval chars --json
mv out last
mv tale.txt moved.txt
expect_exit 0 start 2 eval chars --text moved.txt --split test --json
cmp out last || fail "the run's own text has another last part where it has moved"
expect_exit 0 start 2 eval chars --text moved.txt --json
/usr/bin/python3 -B -c '
import json
all, last, text = json.load(open("out")), json.load(open("last")), open("moved.txt").read()
assert all["tokens"] == len(text) - 1 and "tokens" not in last and last["problems"] < all["problems"] / 10, (all, last)' || fail "not all of the text"
# Several files, each a document.
mkdir folder
cp other.txt folder/1.txt
cp moved.txt folder/2.txt
expect_exit 0 start 2 eval bytes --text folder --json
/usr/bin/python3 -B -c '
import json, os
assert json.load(open("out"))["tokens"] == os.path.getsize("folder/1.txt") + os.path.getsize("folder/2.txt") - 1' || fail "not all files"
say "any text is measured"

# ---- bad input ----

printf 'The cat\nsees é' >bad.txt
expect_exit 65 start 2 eval chars --text bad.txt
expect_text err "bad.txt:2: byte 6 (0xc3) is no token of the model's vocabulary" "\"é\""
expect_exit 0 start 2 eval bytes --text bad.txt
printf 'T' >one.txt
expect_exit 65 start 2 eval chars --text one.txt
expect_text err "one.txt has no token that could be predicted"
expect_exit 66 start 2 eval chars --text nothing.txt
expect_exit 65 start 2 eval chars --text other.txt --split test
expect_text err "is not the text that the run learns from"
expect_exit 0 start 2 --steps 1 --layers 1 --width 8 --heads 2 --batch 8 --eval-every 0 --out sums
expect_exit 64 start 2 eval sums --text other.txt
expect_text err "--text other.txt: this model has learned arithmetic"
say "bad input is named"
