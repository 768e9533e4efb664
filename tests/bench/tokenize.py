"""Measures tokenizing: dtrain and PyPI's tokenizers take turns on the same generated text. Prints a Markdown table.

Usage: tokenize.py DTRAIN [--megabytes 100] [--tokens 32000] [--rounds 3] [--ranks 2] [--folder build/bench/tokenize] [--json]
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

# Of sentences that have all sorts of characters.
JAPANESE = "今日 東京 学校 先生 電車 食べる 新しい 大きな カメラ テレビ 日本語 でした 。 、 「 」 です ました".split()


def write_text(path, megabytes):
    """Up to 50 MB of sentences; then the same in other letters, so that its words are others."""
    draw = random.Random(1)
    letters = bytearray(b"abcdefghijklmnopqrstuvwxyz")
    block = make_text(draw, min(megabytes, 50) * 1000000)
    with open(path, "wb") as file:
        while file.tell() < megabytes * 1000000:
            file.write(block.translate(bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", bytes(letters))))
            draw.shuffle(letters)


def make_text(draw, size):
    """Words by Zipf's law, as in natural text; some Japanese, numbers and code."""
    letters = "eeeeetttaaaooiinnsshhrrdlucmwfgypbvk"
    words = ["".join(draw.choices(letters, k=min(2 + int(draw.expovariate(0.25)), 18))) for _ in range(200000)]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    text, length = [], 0
    while length < size:
        line = draw.choices(words, cum_weights=weights, k=draw.randrange(5, 25))
        kind = draw.randrange(12)
        if kind == 0:
            line = ["".join(draw.choices(JAPANESE, k=12))]
        elif kind == 1:
            line.insert(1, str(draw.randrange(10 ** draw.randrange(1, 7))))
        elif kind == 2:
            line = ["    if (" + line[0] + " != NULL) {", line[1] + "(" + line[2] + ", 0x%x);" % draw.randrange(65536), "}"]
        line[0] = line[0].capitalize()
        text.append((" ".join(line) + draw.choice([".", ".", ",", "!", ";"]) + draw.choice(["\n", "\n", " ", "\n\n"])).encode())
        length += len(text[-1])
    return b"".join(text)


def run(arguments, environment=None):
    """Seconds, MiB and output of a program, in a process of its own so that its peak is its own."""
    script = ("import resource, subprocess, sys, time, json\nbegin = time.monotonic()\n"
              "out = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE, text=True).stdout\n"
              "print(json.dumps([time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, out]))")
    found = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True,
                           env={**os.environ, **(environment or {})})
    return json.loads(found.stdout)


ENCODE = """
import json, sys, time
from tokenizers import Tokenizer
tokenizer, tokens, seconds = Tokenizer.from_file(sys.argv[1]), 0, 0.0
with open(sys.argv[2], encoding="utf-8", newline="") as file:
    while lines := file.readlines(4 << 20):
        begin = time.monotonic()
        tokens += sum(map(len, tokenizer.encode_batch_fast(lines)))
        seconds += time.monotonic() - begin
print(json.dumps([seconds, tokens]))
"""
LEARN = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=int(sys.argv[2]), special_tokens=["<|endoftext|>"], show_progress=False,
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
tokenizer.train([sys.argv[1]], trainer)
tokenizer.save(sys.argv[3])
"""


def measure(options):
    folder = pathlib.Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    text, tokenizer = folder / f"{options.megabytes}.txt", folder / f"{options.megabytes}.json"
    if not text.exists():
        write_text(folder / "new.txt", options.megabytes)
        (folder / "new.txt").rename(text)
    size = text.stat().st_size / 1e6
    rows = {"learning": {"dtrain": [], "tokenizers": []}, "encoding": {"dtrain": [], "tokenizers": []}}
    threads = {"RAYON_NUM_THREADS": str(options.ranks), "TOKENIZERS_PARALLELISM": "true"}
    quiet = ["--log-level", "error"]
    for number in range(options.rounds):
        learned = run(["mpirun", "-np", options.ranks, options.dtrain, "tokenize", "--text", text, "--tokenizer",
                       f"bpe:{options.tokens}", "--out", tokenizer, *quiet])
        rows["learning"]["dtrain"].append((size / learned[0], learned[1]))
        if number == 0 and size <= options.learn_most:
            learned = run([sys.executable, "-c", LEARN, text, options.tokens, folder / "theirs.json"], threads)
            rows["learning"]["tokenizers"].append((size / learned[0], learned[1]))
        found = run([options.dtrain, "tokenize", "--tokenizer", tokenizer, "--text", text, "--summary", "--json", *quiet])
        summary = json.loads(found[2])
        rows["encoding"]["dtrain"].append((size / summary["seconds"], found[1]))
        found = run([sys.executable, "-c", ENCODE, tokenizer, text], threads)
        seconds, tokens = json.loads(found[2])
        rows["encoding"]["tokenizers"].append((size / seconds, found[1]))
    return size, summary["tokens"], tokens, rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dtrain")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=32000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--learn-most", type=float, default=200, help="megabytes of text from which tokenizers learn, too")
    parser.add_argument("--folder", default="build/bench/tokenize")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size, tokens, theirs, rows = measure(options)
    if options.json:
        print(json.dumps({"megabytes": size, "tokens": tokens, "rows": rows}))
        return
    print(f"{size:.0f} MB of text, {tokens / 1e6:.1f} million tokens of {options.tokens}; {options.rounds} rounds, medians\n")
    print("| | dtrain MB/s | MiB | tokenizers MB/s | MiB | ratio |\n|---|---|---|---|---|---|")
    for name, both in rows.items():
        cells = []
        for program in ("dtrain", "tokenizers"):
            runs = both[program]
            cells += [f"{statistics.median(rate for rate, _ in runs):.2f}", f"{max(memory for _, memory in runs):.0f}"] if runs else ["-", "-"]
        pairs = list(zip(both["dtrain"], both["tokenizers"]))
        ratio = f"{statistics.median(ours[0] / other[0] for ours, other in pairs):.1f}" if pairs else "-"
        where = f"{options.ranks} ranks" if name == "learning" else "1 rank"
        print(f"| {name}, {where}; tokenizers {options.ranks} threads | {' | '.join(cells)} | {ratio} |")
    if abs(tokens - theirs) > tokens / 100:
        sys.exit(f"{tokens} tokens and {theirs}: they have not encoded the same")


if __name__ == "__main__":
    main()
