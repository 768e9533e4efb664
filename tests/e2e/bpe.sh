#!/usr/bin/env bash
# Byte-level BPE from end to end: learned on any number of ranks, read from files, trained with, kept in the checkpoint; bad files
# are refused by name. That ids and merges are right is what tests/peers/bpe.sh checks.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# ---- texts: Japanese sentences, and many words, which several ranks count ----

/usr/bin/python3 -B - <<'END' || fail "no texts"
import random
draw = random.Random(3)
who, what, where = "私 猫 先生 子供 友達 彼女 鳥 犬".split(), "本 ご飯 魚 手紙 歌 夢 空 花🌸".split(), "東京 公園 学校 海 駅 台所".split()
verb, mood = "読む 食べる 見る 書く 歌う 探す".split(), "とても 少し ゆっくり 毎日 たまに".split()
with open("japanese.txt", "w", encoding="utf-8") as text:
    while text.tell() < 250_000:
        a, b, c, d, e = map(draw.choice, (who, what, where, verb, mood))
        text.write(draw.choice([f"{a}は{c}で{b}を{d}。", f"{e}、{a}が{b}を{d}！", f"「{b}はどこ？」と{a}が{c}で言った。", f"{c}の{a}は{draw.randrange(100)}歳です。"]))
        text.write(draw.choice(["", "", "\n", "\n\n"]))
letters = "etaoinshrdlu"
words = ["".join(draw.choices(letters, k=draw.randrange(2, 9))) for _ in range(20000)]
with open("words.txt", "w", encoding="utf-8") as text:
    for _ in range(220):
        text.write(" ".join(draw.choices(words, k=15000)) + "\n")
draw = random.Random(4)
with open("random.bin", "wb") as file:
    file.write(draw.randbytes(50000) + "日本 ".encode() * 100 + bytes(50) + b"\xe3\x81 \xff")
END

# ---- the same tokenizer on any number of ranks ----

for ranks in 1 2 3; do
    expect_exit 0 start "$ranks" tokenize --text words.txt --text japanese.txt --tokenizer bpe:3000 --out "$ranks.json"
    cmp 1.json "$ranks.json" || fail "$ranks ranks learn another tokenizer"
done
expect_exit 0 start alone tokenize --text words.txt --text japanese.txt --tokenizer bpe:3000 --out folder
cmp 1.json folder/tokenizer.json || fail "without mpirun another tokenizer is learned"
[[ -s folder/vocab.json && -s folder/merges.txt ]] || fail "files are missing"
say "$(stat -c %s words.txt) bytes are learned from, the same on 1, 2 and 3 ranks"

# ---- an error of one rank is that of all ----

# start_apart RANKS: each rank learns in a folder with its number.
# shellcheck disable=SC2016 # for the shell of each rank
start_apart() {
    timeout -k 5 60 "$mpirun" -np "$1" bash -c 'cd "$OMPI_COMM_WORLD_RANK" && exec "$0" tokenize --text text --tokenizer bpe:300 --out x' "$dtrain"
}
mkdir -p 0/text 1/text 2/text
for rank in 0 1 2; do ln -s "$PWD/words.txt" $rank/text/words.txt; done
# Nothing is at the address 0: the last file can be opened, and not be read, after several parts have been counted.
for case in "2 0" "2 1" "3 2"; do
    read -r ranks bad <<<"$case"
    ln -s /proc/self/mem "$bad/text/z"
    expect_exit 74 start_apart "$ranks"
    expect_text err "text/z cannot be read: Input/output error"
    ((bad == 0)) || expect_text err "rank $bad on "
    rm "$bad/text/z"
done
mv 1/text 1/gone
expect_exit 66 start_apart 3
expect_text err "rank 1 on " "cannot read text"
[[ ! -e 0/x ]] || fail "a tokenizer was written all the same"
say "an error of one rank ends all of them"

# ---- any bytes come back ----

for file in random.bin japanese.txt; do
    expect_exit 0 "$dtrain" tokenize --tokenizer folder --text "$file" --ids
    mv out ids
    expect_exit 0 "$dtrain" tokenize --tokenizer folder --text ids --decode
    cmp out "$file" || fail "$file does not come back"
done
printf '%s\n' 'one line' '' 'zwei' >lines
expect_exit 0 "$dtrain" tokenize --tokenizer folder --text lines --lines --json
/usr/bin/python3 -B -c 'import json, sys
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
text = ["".join(row["tokens"]).replace("Ġ", " ") for row in rows]
assert text == ["one line", "", "zwei"], text' || fail "lines are not texts of their own"
expect_exit 0 "$dtrain" tokenize --tokenizer folder --text japanese.txt --summary --json
/usr/bin/python3 -B -c 'import json, os
row = json.load(open("out"))
assert row["bytes"] == os.path.getsize("japanese.txt") and row["vocabulary"] == 3000 and row["bytes"] > 3 * row["tokens"], row' ||
    fail "the summary is wrong"

# ---- training: learned on the fly, and with a file; the checkpoint has it ----

tiny=(--layers 1 --width 32 --heads 2 --batch 16 --context 48 --warmup 4 --steps 40 --eval-every 20 --eval-examples 32 --checkpoint-every 20)
expect_exit 0 start 2 "${tiny[@]}" --text japanese.txt --tokenizer bpe:2000 --out fly
expect_text err "vocabulary 2000" "bits per byte"
expect_exit 0 start 3 "${tiny[@]}" --text japanese.txt --tokenizer bpe:2000 --out fly3
compare_runs fly/latest.h5 fly3/latest.h5
expect_exit 0 "$dtrain" tokenize fly --out fly.json
/usr/bin/python3 -B - <<'END' || fail "the checkpoint has another tokenizer"
import h5py, json
with h5py.File("fly/latest.h5") as file:
    assert file.attrs["format_version"] == 2 and "vocab" not in file["tokenizer"]
    kept = file["tokenizer/json"][()].decode("utf-8")
    assert kept == open("fly.json", encoding="utf-8").read()
    model = json.loads(kept)["model"]
    assert len(model["vocab"]) == 2000 and len(file["weights/tok_embed"]) == 2000 and model["vocab"]["<|endoftext|>"] == 0
END
expect_exit 0 h5dump -d /tokenizer/json fly/latest.h5
expect_text out '"type": "BPE"' '"merges": ['
expect_exit 0 "$dtrain" verify fly
for command in "eval fly --count 16" "sample fly 猫は --tokens 40 --seed 3" "ask fly 猫は" "data --text japanese.txt --tokenizer fly.json --count 2 --tokens"; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 start alone $command
    iconv -f utf-8 -t utf-8 out >/dev/null || fail "no whole characters: $command"
done

# A tokenizer of a file gives the same run as one that is learned, and the file may go.
expect_exit 0 start 2 "${tiny[@]}" --text japanese.txt --tokenizer fly.json --out file
compare_datasets fly/latest.h5 file/latest.h5 /tokenizer /weights /optimizer /metrics/train /state
mv fly.json gone.json
expect_exit 0 start 2 "${tiny[@]}" --steps 60 --text japanese.txt --tokenizer fly.json --out file
rm -r file/tokens
expect_exit 0 start 2 "${tiny[@]}" --steps 70 --text japanese.txt --tokenizer fly.json --out file
cp 1.json fly.json
expect_exit 65 start 2 "${tiny[@]}" --steps 80 --text japanese.txt --tokenizer fly.json --out file
expect_text err "--tokenizer fly.json has another vocabulary than the run"
cp gone.json fly.json
expect_exit 0 start 2 "${tiny[@]}" --steps 80 --text japanese.txt --tokenizer fly.json --out file
# Another one is another run, also in the same folder.
cp 1.json fly.json
expect_exit 0 start 2 "${tiny[@]}" --text japanese.txt --tokenizer fly.json --out file --fresh
expect_text err "vocabulary 3000"
say "runs hold their tokenizers"

# ---- bad input ----

bad() {
    local code=$1 text=$2
    shift 2
    expect_exit "$code" start alone tokenize "$@"
    expect_text err "$text"
}
bad 64 "bpe:" --text lines --tokenizer bpe:256 --out x
bad 64 "bpe:" --text lines --tokenizer bpe:many --out x
bad 64 "--out" --text lines --tokenizer bpe:300
bad 64 "which tokenizer" --text lines
bad 64 "say with --text" --tokenizer folder
bad 64 "dtrain data" --text lines --tokenizer bytes
bad 64 "no file or folder" --text lines --tokenizer elsewhere
bad 66 "elsewhere" --text elsewhere --tokenizer folder
bad 66 "elsewhere" --text elsewhere --tokenizer bpe:300 --out x
bad 64 "is learned from running text" --tokenizer bpe:300 --out x
bad 73 "x/y" --text lines --tokenizer bpe:300 --out x/y.json
bad 66 "tokenizer.json" --text lines --tokenizer .
bad 65 "is no JSON" --text lines --tokenizer lines
bad 65 "byte 1 begins no id" --text lines --tokenizer folder --decode
printf '5 99999' >ids
bad 65 "99999" --text ids --tokenizer folder --decode
for change in 's/"normalizer": null/"normalizer": {"type": "NFC"}/ NFC' 's/"ignore_merges": false/"ignore_merges": true/ ignore_merges' \
    's/"add_prefix_space": false/"add_prefix_space": true/ add_prefix_space' 's/"<|endoftext|>": 0/"<|endoftext|>": 9/ 9'; do
    sed "${change% *}" 1.json >changed.json
    bad 65 "${change##* }" --text lines --tokenizer changed.json
    expect_text err changed.json
done
head -c 3000 1.json >cut.json
bad 65 cut.json --text lines --tokenizer cut.json
say "bad input is refused by name"
