"""Texts for byte-level BPE, and what Hugging Face's tokenizers make of them, beside what dtrain does.

Usage: bpe.py corpus FILE | strings FILE | learn CORPUS TOKENS JSON | save JSON FOLDER | ids JSON STRINGS IDS [added]
"""

import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
CODE = ["for (int i = 0; i < n; ++i) {\n", "    return x->next != NULL ? x : y;\n", "}\n\n", "def f(self, *args):\n", "\tpass\r\n",
        "if __name__ == '__main__':\n", "#include <stdio.h>\n", "x = {'a': [1, 2, 3]}\n", "//////////////// ====== ======= ======\n", "0x7fff_ffff\n"]
ENGLISH = "I'm we'll don't they've she'd it's you're ' 's 'S '' the The THE and, and. (and) \"and\" 3rd 1,000.50 e-mail".split()
JAPANESE = ["今日は", "東京", "に", "行きました", "。", "、", "「すごい！」", "ﾊﾝｶｸ", "１２３", "　", "カタカナ", "ー", "ひらがな", "🍣", "が好き"]
EMOJI = ["😀", "👩‍👩‍👧", "🇯🇵", "👍🏽", "❤️", "☃", "𝄞", "e\u0301", "ﬁ"]
SPACES = [" ", "  ", "   ", "\t", "\u00a0", "\u3000", "\u2003", "\u180e", "\u200b", "\u0085", "\u2028", "\x1c", "\v", "\f", "\r"]
# What both know; later characters have other properties in libraries of other versions.
ASSIGNED = [chr(code) for code in range(0x110000) if code != 10 and unicodedata.category(chr(code)) not in ("Cn", "Cs")]


def piece(draw):
    kind = draw.randrange(9)
    if kind == 0:
        return "".join(draw.choices(ASSIGNED, k=draw.randrange(1, 12)))
    if kind == 1:
        return "".join(draw.choices(JAPANESE, k=draw.randrange(1, 8)))
    if kind == 2:
        return draw.choice(EMOJI) * draw.randrange(1, 4)
    if kind == 3:
        return draw.choice(CODE).replace("\n", " ")
    if kind == 4:
        return "".join(draw.choices(SPACES, k=draw.randrange(1, 5)))
    if kind == 5:
        return chr(draw.choice([code for code in range(33) if code != 10] + [127, 128, 159, 173]))
    if kind == 6:
        return draw.choice("=-#a .0あ") * draw.randrange(1, 200 if draw.randrange(20) == 0 else 9)
    return " " * draw.randrange(2) + draw.choice(ENGLISH)


def write_corpus(path):
    draw = random.Random(5)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randrange(1, 9))) for _ in range(3000)]
    text = []
    for _ in range(30000):
        text.append(draw.choice(words[:draw.choice([30, 300, 3000])]) if draw.randrange(3) else piece(draw))
        text.append(draw.choice([" ", " ", " ", "", "\n", "\n\n", ", ", ". "]))
    text += CODE * 50 # many pairs are equally frequent
    pathlib.Path(path).write_bytes("".join(text).encode())


def write_strings(path):
    draw = random.Random(7)
    with open(path, "wb") as file:
        for number in range(100000):
            text = "".join(piece(draw) for _ in range(draw.randrange(1 + number % 8)))
            file.write((text + (END + " x" if number % 1000 == 0 else "")).encode() + b"\n")


def new_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def learn(corpus, tokens, path):
    """The same merges and ids as those that dtrain has learned from this corpus."""
    tokenizer = new_tokenizer()
    trainer = trainers.BpeTrainer(vocab_size=int(tokens), special_tokens=[END], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([pathlib.Path(corpus).read_bytes().decode()], trainer)
    wanted, found = json.loads(tokenizer.to_str())["model"], json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["model"]
    merges = [tuple(merge.split(" ")) for merge in found["merges"]]
    for rank, (one, other) in enumerate(zip(map(tuple, wanted["merges"]), merges)):
        assert one == other, f"merge {rank} is {other}, and theirs is {one}"
    assert len(wanted["merges"]) == len(merges), (len(wanted["merges"]), len(merges))
    assert wanted["vocab"] == found["vocab"]
    print(len(merges), "merges are the same")


def save(path, folder):
    """The same tokenizer as their own library writes it."""
    tokenizer = Tokenizer.from_file(path)
    pathlib.Path(folder).mkdir()
    tokenizer.save(f"{folder}/tokenizer.json")
    tokenizer.save(f"{folder}/compact.json", pretty=False)
    tokenizer.model.save(folder)


def compare_ids(path, strings, ids, added):
    tokenizer = Tokenizer.from_file(path)
    lines = pathlib.Path(strings).read_bytes().decode().split("\n")[:-1]
    with open(ids, encoding="ascii") as file:
        found = [list(map(int, line.split())) for line in file.read().split("\n")[:-1]]
    assert len(found) == len(lines), (len(found), len(lines))
    for number, encoding in enumerate(tokenizer.encode_batch(lines)):
        assert encoding.ids == found[number], (number, lines[number], encoding.ids, found[number])
    whole = "\n".join(lines[:2000])
    ends = sum(line.count(0) for line in found)
    assert not added or ends > 50, ends
    print(len(lines), "strings have the same", sum(map(len, found)), "tokens;", len(tokenizer.encode(whole).ids), "in a whole text")


COMMANDS = {"corpus": write_corpus, "strings": write_strings, "learn": learn, "save": save, "ids": compare_ids}

if __name__ == "__main__":
    arguments = sys.argv[2:]
    if sys.argv[1] == "ids":
        arguments = arguments[:3] + [len(arguments) > 3]
    COMMANDS[sys.argv[1]](*arguments)
