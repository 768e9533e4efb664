"""The working of random expressions, parsed back: each line has the value of the one it stands for, and the answer is exact.

Usage: expressions.py DTRAIN COUNT [options of dtrain data]
Independent of the program: Python's fractions, and a parser of its own.
"""

import re
import subprocess
import sys
from fractions import Fraction

DECIMALS, EXACT = 4, 8
NEAR = "near" in sys.argv
NUMBER = re.compile(r"[\^~][0-9]*")
WORDS = [  # pattern of a question, order of its numbers and operation
    (r"^(?:What is |Calculate |Work out |How much is |)(N) plus (N)\??$", "1+2"),
    (r"^(?:What is |Calculate |Work out |How much is |)(N) (?:minus|take away) (N)\??$", "1-2"),
    (r"^(?:What is |Calculate |Work out |How much is |)(N) (?:times|multiplied by) (N)\??$", "1*2"),
    (r"^(?:What is |Calculate |Work out |How much is |)(N) divided by (N)\??$", "1/2"),
    (r"^What is (N) less than (N)\?$", "2-1"),
    (r"^(?:Sum |Add |Add together |Put together |Total of |What is the sum of )(N) (?:and|to) (N)\??$", "1+2"),
    (r"^Subtract (N) from (N)$", "2-1"),
    (r"^What is the (?:difference|distance) between (N) and (N)\?$", "1|2"), (r"^(N)と(N)の差は？$", "1|2"),
    (r"^(?:Multiply |Product of |What is the product of )(N) (?:and|by) (N)\??$", "1*2"),
    (r"^Divide (N) by (N)$", "1/2"),
    (r"^(N)(?:足す|たす)(N)(?:は？|はいくつですか？)$", "1+2"), (r"^(N)(?:引く|ひく)(N)(?:は？|はいくつですか？)$", "1-2"),
    (r"^(N)(?:掛ける|かける)(N)(?:は？|はいくつですか？)$", "1*2"), (r"^(N)(?:割る|わる)(N)(?:は？|はいくつですか？)$", "1/2"),
    (r"^(N)に(N)を(?:足す|たす)と？$", "1+2"), (r"^(N)から(N)を(?:引く|ひく)と？$", "1-2"),
    (r"^(N)に(N)を(?:掛ける|かける)と？$", "1*2"), (r"^(N)を(N)で(?:割る|わる)と？$", "1/2"),
    (r"^(N)と(N)の和は？$", "1+2"), (r"^(N)と(N)の積は？$", "1*2"),
    (r"^(?:What is the value of |What is |How much is |Calculate |Work out |Evaluate |Compute |)([-0-9.%+*/()]+)\??$", "1"),
    (r"^([-0-9.%+*/()]+)(?:は？|はいくつですか？|を計算して|を計算してください)$", "1"),
]
WORDS = [(re.compile(pattern.replace("N", r"-?[0-9.]+%?")), order) for pattern, order in WORDS]
ANSWERS = re.compile(r"^(?:It is |The (?:sum|difference|product|quotient) is |和は|差は|積は|)(.*?)(?:\.|です。|になります。|)$")
ZERO = {"division by zero", "Nothing can be divided by zero.", "0では割れません。"}


class ByZero(Exception):
    pass


def divided(a, b):
    if b == 0:
        raise ByZero
    return a / b


class Parser:
    """Numbers, + - * / and brackets; leaf takes a number off the text."""

    def __init__(self, text, leaf):
        self.text, self.at, self.leaf = text, 0, leaf

    def take(self, characters):
        if self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1
            return self.text[self.at - 1]
        return ""

    def factor(self):
        if self.take("("):
            value = self.ratio()
            assert self.take(")"), self.text
            return value
        value, self.at = self.leaf(self.text, self.at)
        return value

    def product(self):
        value = self.factor()
        while operation := self.take("*/"):
            factor = self.factor()
            value = value * factor if operation == "*" else divided(value, factor)
        return value

    def sum(self):
        value = self.product()
        while operation := self.take("+-"):
            term = self.product()
            value = value + term if operation == "+" else value - term
        return value

    def ratio(self):
        value = self.sum()
        return divided(value, self.sum()) if self.take(":") else value

    def whole(self):
        value = self.ratio()
        assert self.at == len(self.text), self.text
        return value


def people_leaf(text, at):
    found = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(%?)").match(text, at)
    value = Fraction(found.group().rstrip("%")) / (100 if found.group(1) else 1)
    return value, found.end()


def number(text):
    digits = text[1:][::-1]
    return (-1 if text[0] == "~" else 1) * int(digits or "0")


def line_leaf(text, at):
    found = NUMBER.match(text, at)
    assert found, text
    value, end = Fraction(number(found.group())), found.end()
    if text[end:end + 1] == ":" and text[end + 1:end + 2] in ("^", "~"):
        below = NUMBER.match(text, end + 1)
        value, end = divided(value, number(below.group())), below.end()
    return value, end


def value_of(line):
    """Of an expression; that an operation comes next is no matter."""
    return Parser(line.replace("[", "").replace("]", ""), line_leaf).whole()


def asked_value(asked):
    for pattern, order in WORDS:
        if found := pattern.match(asked):
            if len(order) == 1:
                return Parser(found.group(1), people_leaf).whole(), re.fullmatch(r"\d+/\d+", found.group(1))
            a, b = (people_leaf(found.group(int(i)), 0)[0] for i in (order[0], order[2]))
            natural = order[1] == "/" and all(re.fullmatch(r"\d+", found.group(i)) for i in (1, 2))
            return {"+": lambda: a + b, "-": lambda: a - b, "|": lambda: abs(a - b), "*": lambda: a * b, "/": lambda: divided(a, b)}[order[1]](), natural
    raise AssertionError(f"unknown wording: {asked}")


def check_answer(asked, answer):
    """The number in an answer, checked; None: division by zero."""
    try:
        value, natural = asked_value(asked)
    except ByZero:
        assert answer in ZERO, (asked, answer)
        return None
    text = ANSWERS.match(answer).group(1)
    if text.startswith("≈ "):
        assert not natural, (asked, answer)
        twice = 2 * abs(value) * 10**DECIMALS
        rounded = Fraction((twice.numerator + twice.denominator) // (2 * twice.denominator), 10**DECIMALS)
        assert abs(Fraction(text[2:])) == rounded and (Fraction(text[2:]) < 0) == (value < 0 and rounded > 0), (asked, answer)
        assert len(text.split(".")[1]) == DECIMALS, (asked, answer)
        assert (value * 10**EXACT).denominator != 1, (asked, answer)
    elif " r " in text:
        quotient, rest = map(int, text.split(" r "))
        a, b = map(int, re.findall(r"\d+", asked))
        assert natural and (quotient, rest) == divmod(a, b) and rest > 0, (asked, answer)
        assert NEAR or (value * 10**EXACT).denominator != 1, (asked, answer)
    else:
        assert not NEAR or "." not in text, (asked, answer)
        assert Fraction(text) == value, (asked, answer)
        assert "." not in text or not text.endswith("0"), (asked, answer)
    return value


def decimals_of(text):
    return Fraction(int(text[1:][::-1]), 10**len(text[1:]))


def answer_value(text):
    """Of what R, W, A, C and H return: a number, or None if it is rounded or has a remainder."""
    if NEAR:
        assert re.fullmatch(r"c\^(0|[1-9]\d*)rd\^\d+", text), text
    if "≈" in text or "r" in text:
        return None
    if ".^" in text or ".~" in text:
        whole, decimals = re.split(r"\.(?=[\^~])", text)
        return (abs(number(whole)) + decimals_of(decimals)) * (-1 if text[0] == "~" else 1)
    digits = text[1:][::-1]
    return Fraction(digits) * (-1 if text[0] == "~" else 1)


def digit(letter):
    return str(ord(letter) - ord("K"))


def frame_value(line):
    """What a line stands for, so that lines that take its place must stand for the same; None: not a number."""
    letter, rest = line[0], line[1:]
    if letter == "L" and NEAR:
        assert re.fullmatch(r"a\^.*,b\^\d+,c(?:\^\d+|-),d\^\d+", rest), line
        rest = re.sub(r"c\^(\d*)", lambda part: "^" + part[1][::-1], rest)  # as it is read
        rest = re.sub("[a-d]", "", rest)
    if letter in "ML" and NEAR:  # the highest digit is a letter behind those below it, or alone behind !
        rest, found = re.subn(r"\^(?:(\d+),|!)([K-T])(?=[,+])", lambda part: "^" + (part[1] or "") + digit(part[2]), rest)
        assert found == 1, line
        rest = re.sub(r"(?<=[+,])-", "^", rest)  # nothing yet
    if letter in "EPBSD":
        return value_of(rest)
    if letter == "M":
        a, b, total = re.fullmatch(r"(\^\d+)\*(\^\d*)\+([\^~]\d*)", rest).groups()
        size = number(a) * number(b) + abs(number(total)) * 10**(len(b) - 1)
        return size * (-1 if total[0] == "~" else 1)
    if letter == "G":
        return divmod(*map(number, rest.split(",")))
    if letter == "L":
        left, divisor, quotient, now = map(number, rest.split(","))
        places = len(rest.split(",")[0]) - 1
        upper = quotient * divisor + now
        return divmod(upper * 10**places + left, divisor)
    if letter == "F":
        decimals, divisor, now = rest.split(",")
        size = len(decimals) - 1
        return decimals_of(decimals) + Fraction(number(now), number(divisor) * 10**size) if size else Fraction(number(now), number(divisor))
    if letter in "RW":
        return value_of(rest)
    if letter in "AC":
        whole, part = rest.split(",")
        return (abs(number(whole)) + value_of(part)) * (-1 if whole[0] == "~" else 1)
    return None


def returned_value(letter, text):
    if letter in "EPBSDM":
        return value_of(text)
    if letter == "G" and NEAR:
        text = re.sub("^[K-T]", lambda part: "^" + digit(part[0]), text)
    if letter in "GL":
        if NEAR:
            assert re.fullmatch(r"\^\d,d\^\d+" if letter == "G" else r"c\^\d+,d\^\d+", text), text
            text = re.sub(r"c\^(\d+)", lambda part: "^" + part[1][::-1], text).replace("d", "")
        return tuple(map(number, text.split(",")))
    return None


def check_return(letter, wanted, text):
    if text == "!":
        assert wanted is ByZero, (letter, text)
    elif letter == "F":
        got = decimals_of(text)
        assert got == wanted if text[0] == "^" else 0 < wanted - got < Fraction(1, 10**EXACT), (wanted, text)
    elif letter in "RWAC":
        got = answer_value(text.lstrip("="))
        assert got is None or got == wanted, (wanted, text)
    elif letter in "EPBSDMGL":
        assert returned_value(letter, text) == wanted, (letter, wanted, text)


def checked_value(line):
    try:
        return frame_value(line)
    except ByZero:
        return ByZero


def check_working(text):
    lines = text.rstrip("$").split("$")
    stack = [(lines[0], None)]
    for line in lines[1:]:
        at = max(line.rfind(mark) for mark in "{>}")
        assert at >= 0, line
        mark, rest = line[at], line[at + 1:]
        if mark == "{":
            stack.append((rest, checked_value(rest)))
        elif mark == ">":
            before, wanted = stack.pop()
            now = checked_value(rest)
            assert rest[0] == "H" or now == wanted, (before, line)
            stack.append((rest, None if rest[0] == "H" else now))
        else:
            frame, wanted = stack.pop()
            if stack:
                check_return(frame[0], wanted, rest)
    assert not stack, text


def main():
    program, count, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    command = [program, "data", "--format", "expression", "--split", "test", "--count", count, "--tsv", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        next(process.stdout)
        seen = 0
        for row in process.stdout:
            _, asked, answer, text = row.rstrip("\n").split("\t")
            try:
                check_answer(asked, answer)
                check_working(text)
            except AssertionError as error:
                raise SystemExit(f"{asked} = {answer}: {error}\n{text}") from error
            seen += 1
    assert process.returncode == 0 and seen == int(count), (process.returncode, seen)
    print(f"{seen} expressions are exact")


if __name__ == "__main__":
    main()
