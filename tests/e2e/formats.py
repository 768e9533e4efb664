"""Reads `dtrain data --json` with an independent reader: every text asks its problem and ends with its answer, and no
held-out problem, with its operands in any order, is trained on. With start marks there is one before each number, and nowhere
else.

Usage: formats.py DTRAIN COUNT FORMAT...
"""
import json
import re
import subprocess
import sys

# (first operand, second operand) -> operation, as people say it; "/" has two answers.
QUESTIONS = {
    r"What is (\d+) plus (\d+)\?": "+", r"How much is (\d+) plus (\d+)\?": "+", r"Add (\d+) and (\d+)\.": "+",
    r"What is the sum of (\d+) and (\d+)\?": "+", r"(\d+)足す(\d+)は？": "+", r"(\d+)たす(\d+)はいくつですか？": "+",
    r"(\d+)に(\d+)を足すと？": "+", r"(\d+)と(\d+)の和は？": "+",
    r"What is (\d+) minus (\d+)\?": "-", r"How much is (\d+) minus (\d+)\?": "-",
    r"Subtract (?P<b>\d+) from (?P<a>\d+)\.": "-", r"What is left of (\d+) without (\d+)\?": "-",
    r"(\d+)引く(\d+)は？": "-", r"(\d+)ひく(\d+)はいくつですか？": "-", r"(\d+)から(\d+)を引くと？": "-",
    r"(\d+)から(\d+)を引いた差は？": "-",
    r"What is (\d+) times (\d+)\?": "*", r"How much is (\d+) times (\d+)\?": "*", r"Multiply (\d+) by (\d+)\.": "*",
    r"What is the product of (\d+) and (\d+)\?": "*", r"(\d+)掛ける(\d+)は？": "*",
    r"(\d+)かける(\d+)はいくつですか？": "*", r"(\d+)に(\d+)を掛けると？": "*", r"(\d+)と(\d+)の積は？": "*",
    r"What is (\d+) divided by (\d+)\?": "/", r"How much is (\d+) divided by (\d+)\?": "/",
    r"Divide (\d+) by (\d+)\.": "/", r"How often does (?P<b>\d+) go into (?P<a>\d+)\?": "/", r"(\d+)割る(\d+)は？": "/",
    r"(\d+)わる(\d+)はいくつですか？": "/", r"(\d+)を(\d+)で割ると？": "/", r"(\d+)を(\d+)で割った商と余りは？": "/",
}
QUESTIONS = [(re.compile(words), operation) for words, operation in QUESTIONS.items()]
JAPANESE = re.compile("[ぁ-ん]")


def number(digits, first):
    """first: the most significant digit comes first."""
    digits = digits if first else digits[::-1]
    assert digits == "0" or digits[0] != "0", digits
    return int(digits)


def read_question(text, format):
    first = format == "plain"
    if format != "chat":
        a, operation, b = re.fullmatch(r"(\d+)([-+*/])(\d+)=", text).groups()
        return number(a, first or operation == "/"), operation, number(b, first)
    found = [(m, operation) for words, operation in QUESTIONS if (m := words.fullmatch(text))]
    assert len(found) == 1, text
    match, operation = found[0]
    a, b = (match["a"], match["b"]) if match.groupdict() else match.groups()
    return number(a, operation == "/"), operation, number(b, False)


def read_answer(text, a, operation, b, format):
    """One number, or quotient and remainder; after a working, padded to a fixed width that fits any answer."""
    assert text[-1] == "$", text
    padded = format in ("scratchpad", "chat")
    if padded:
        assert text.count("=") == 1, text
        text = text.split("=")[-1]
    numbers = re.findall(r"-?\d+", text)
    if padded:
        digits = len(str(a)), len(str(b))
        widths = {"+": [max(digits) + 1], "-": [max(digits)], "*": [sum(digits)], "/": digits}[operation]
        assert [len(n.lstrip("-")) for n in numbers] == list(widths), text
        most_first = operation == "/"
        numbers = [re.sub(r"^0+(?=\d)" if most_first and i == 0 else r"(?<=\d)0+$", "", n) for i, n in enumerate(numbers)]
    if format != "chat":
        assert re.fullmatch(r"\d+r\d+\$" if operation == "/" else r"-?\d+\$", text), text
    signs = [-1 if n[0] == "-" else 1 for n in numbers]
    read = [number(n.lstrip("-"), format == "plain" or (operation == "/" and i == 0)) for i, n in enumerate(numbers)]
    return tuple(sign * n for sign, n in zip(signs, read))


def right_answer(a, operation, b):
    return {"+": lambda: (a + b,), "-": lambda: (a - b,), "*": lambda: (a * b,), "/": lambda: divmod(a, b)}[operation]()


def key(a, operation, b):
    return (operation, min(a, b), max(a, b)) if operation in "+*" else (operation, a, b)


def unmark(text, working):
    """The text without its marks. In a working letters are digits that carry, or carries between the digits of a product."""
    number = r"[0-9j-qst](?:[0-9j-qst]|[a-i][K-T]?)*" if working else r"\d+"
    plain = text.replace("^", "")
    assert re.sub(number, r"^\g<0>", plain) == text, text
    return plain


def unmark_produced(text, format):
    working, equals, answer = text.rpartition("=") if format in ("scratchpad", "chat") else ("", "", text)
    return unmark(working, True) + equals + unmark(answer, False)


def rows(program, format, split, count, ops, *options):
    """Problem, question and what is produced, without marks, of each text."""
    out = subprocess.run([program, "data", "--format", format, "--split", split, "--count", str(count), "--json", "--ops", ops,
                          *options], capture_output=True, check=True).stdout
    for line in out.splitlines():
        row = json.loads(line)
        text = row["text"].encode()
        question, produced = text[:row["given"]].decode(), text[row["given"]:].decode()
        if "start" in options:
            question, produced = unmark(question, False), unmark_produced(produced, format)
        yield row, question, produced


def check(program, format, split, count, ops, *options):
    """The problems of a split, ignoring the order of commuting operands."""
    problems, wordings = set(), set()
    for row, question, produced in rows(program, format, split, count, ops, *options):
        a, operation, b = read_question(question, format)
        assert (a, operation, b) == (row["a"], row["op"], row["b"]), row
        assert read_answer(produced, a, operation, b, format) == right_answer(a, operation, b), row
        assert row["answer"] == " r ".join(map(str, right_answer(a, operation, b))), row
        if format == "chat":
            assert bool(JAPANESE.search(question)) == bool(JAPANESE.search(produced)), row
            wordings.add(re.sub(r"\d+", "#", question))
        assert len(row["tokens"]) == len(row["text"]), row
        problems.add(key(a, operation, b))
    assert format != "chat" or len(wordings) == sum(operation in ops for _, operation in QUESTIONS), wordings
    return problems


def check_long(program, format, count):
    """Numbers as long as they may be, with start marks and without."""
    for ops, digits, *options in (("+-", 200, "--digits", "200"), ("*", 24, "--digits", "24"),
                                  ("/", 18, "--dividend-digits", "18", "--divisor-digits", "18")):
        for marks in ("none", "start"):
            problems = check(program, format, "train", count, ops, *options, "--marks", marks)
            assert max(len(str(n)) for problem in problems for n in problem[1:]) == digits


program, count, formats = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
for format in formats:
    train = check(program, format, "train", count, "+-*/")
    held_out = {split: check(program, format, split, count // 10, "+-*/") for split in ("validation", "test")}
    for split, problems in held_out.items():
        assert not problems & train, (split, min(problems & train))
    assert not held_out["validation"] & held_out["test"]
    check_long(program, format, count // 20)
    print(format, "-", count, "problems are right;", len(train), "different ones, none of them held out")
