#!/usr/bin/python3 -B
"""How many questions of the kinds that public tests ask a calculator answers, and how many of these answers are right: a Markdown table.

Usage: asked.py DTRAIN RUN [--count N] [--seed S] [--ranks N] [--kinds LIST] [--asked FILE] [--keep FOLDER]

The questions are drawn anew, after the published descriptions of the tests, and their values are those of Python's fractions:
gpt3       Brown et al. 2020, arXiv:2005.14165, section 3.9.1: sums and differences of 2 to 5 digits, products of 2, three numbers of 1
bigbench   Srivastava et al. 2022, arXiv:2206.04615, task "arithmetic": + - * / of 1 to 5 digits, in words; quotients without a rest
bbh        Suzgun et al. 2022, arXiv:2210.09261, "multistep arithmetic": two brackets of four numbers of one digit each
goat       Liu and Low 2023, arXiv:2305.14201: sums and differences up to 16 digits, products of up to 12 together, 12 by 6 divided
mathglm    Yang et al. 2023, arXiv:2309.03241: up to ten operations, with decimals, percent, negative numbers, brackets
deepmind   Saxton et al. 2019, arXiv:1904.01557: add_or_sub, mul, div, add_sub_multiple, mixed; integers and decimals, in words
adder      sums of two numbers of up to 10 digits (AdderBoard)
5x5        products of two numbers of 5 digits
--asked takes questions of a file in their place, with the columns like, asked, formula and value.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from fractions import Fraction

OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def digits(draw, count):
    """A number of so many digits, 0 among those of one."""
    return draw.randrange(10 ** (count - 1) if count > 1 else 0, 10**count)


def in_words(a, operation, b):
    return f"What is {a} {WORDS[operation]} {b}?", OPERATIONS[operation](Fraction(a), b)


def gpt3(draw):
    kind = draw.randrange(10)
    if kind < 8:  # 2 to 5 digits, of which any may be 0
        most = 10 ** (2 + kind // 2)
        return in_words(draw.randrange(most), "+-"[kind % 2], draw.randrange(most))
    if kind == 8:
        return in_words(draw.randrange(100), "*", draw.randrange(100))
    a, b, c = (draw.randrange(10) for _ in range(3))
    first, second = draw.choice("+-*"), draw.choice("+-*")
    left, right = OPERATIONS[first], OPERATIONS[second]
    if draw.random() < 0.5:
        return f"What is ({a} {first} {b}) {second} {c}?", right(left(Fraction(a), b), c)
    return f"What is {a} {first} ({b} {second} {c})?", left(a, right(Fraction(b), c))


def bigbench(draw):
    count, operation = draw.randint(1, 5), draw.choice("+-*/")
    a, b = digits(draw, count), digits(draw, count)
    if operation == "/":
        b = max(b, 1)
        a = draw.randint(0, max((10**count - 1) // b, 1)) * b
    return in_words(a, operation, b)


def bbh(draw):
    def bracket():
        text, parts = str(draw.randint(-9, 9)), []
        for _ in range(3):
            text += f" {draw.choice('+-*')} {draw.randint(-9, 9)}"
        return f"({text})", parts

    text = f"({bracket()[0]} {draw.choice('+-*')} {bracket()[0]})"
    return text + " =", value_of(text)


def goat(draw):
    operation = draw.choice("+-*/")
    if operation in "+-":
        a, b = digits(draw, draw.randint(1, 16)), digits(draw, draw.randint(1, 16))
    elif operation == "*":
        count = draw.randint(1, 11)
        a, b = digits(draw, count), digits(draw, draw.randint(1, 12 - count))
    else:
        a, b = digits(draw, draw.randint(1, 12)), max(digits(draw, draw.randint(1, 6)), 1)
    return f"{a} {operation} {b}", OPERATIONS[operation](Fraction(a), b)


def mathglm_number(draw, kind):
    text = str(draw.randint(1, 9999))
    if kind == "decimal" and draw.random() < 0.6:
        text += "." + str(draw.randint(1, 10 ** draw.randint(1, 6) - 1))
    if kind == "percent" and draw.random() < 0.5:
        text += "%"
    return text


def mathglm(draw):
    kind = draw.choice(["integer", "integer", "decimal", "percent", "negative", "brackets"])
    count = draw.randint(2, 10)
    parts, opened = [], False
    for i in range(count):
        sign = "-" if draw.random() < {"negative": 0.5, "decimal": 0.2, "percent": 0.2}.get(kind, 0) else ""
        if kind == "brackets" and not opened and i + 1 < count and draw.random() < 0.35:
            parts.append("(")
            opened = True
            parts.append(mathglm_number(draw, kind))
        else:
            parts.append(sign + mathglm_number(draw, kind))
            if opened and draw.random() < 0.6:
                parts.append(")")
                opened = False
        if i + 1 < count:
            parts.append(draw.choice("+-*/"))
    text = "".join(parts) + (")" if opened else "")
    return text, value_of(text)


def deepmind_number(draw, count):
    """An integer or a decimal of so many digits."""
    count = max(1, count)
    number = digits(draw, count)
    places = draw.randint(0, count) if draw.random() < 0.5 else 0
    value = Fraction(number * draw.choice([1, -1]), 10**places)
    sign, whole = "-" if value < 0 else "", str(abs(number)).rjust(places + 1, "0")
    text = whole if places == 0 else f"{whole[:-places]}.{whole[-places:]}".rstrip("0").rstrip(".")
    return sign + text, value


PAIRS = {
    "+": ["{p} + {q}", "{p}+{q}", "Work out {p} + {q}.", "Add {p} and {q}.", "Put together {p} and {q}.", "Sum {p} and {q}.",
          "Total of {p} and {q}.", "Add together {p} and {q}.", "What is {p} plus {q}?", "Calculate {p} + {q}.", "What is {p} + {q}?"],
    "-": ["{p} - {q}", "Work out {p} - {q}.", "What is {p} minus {q}?", "What is {p} take away {q}?", "What is {q} less than {p}?",
          "Subtract {q} from {p}.", "Calculate {p} - {q}.", "What is {p} - {q}?"],
    "*": ["{p}*{q}", "{p} * {q}", "Calculate {p}*{q}.", "Work out {p} * {q}.", "Multiply {p} and {q}.", "Product of {p} and {q}.",
          "What is the product of {p} and {q}?", "{p} times {q}", "What is {p} times {q}?"],
    "/": ["Divide {p} by {q}.", "{p} divided by {q}", "What is {p} divided by {q}?", "Calculate {p} divided by {q}."],
}
WHOLES = ["{op}", "What is {op}?", "Evaluate {op}.", "Calculate {op}.", "What is the value of {op}?"]
GAPS = ["What is the difference between {p} and {q}?", "What is the distance between {p} and {q}?"]


def tree(draw, operations, count):
    if count == 0:
        number = draw.randint(-60, 60) if draw.random() < 0.8 else draw.randint(-999, 999)
        return str(number) if number >= 0 else f"({number})"
    left = draw.randrange(count)
    operation = draw.choice(operations)
    a, b = tree(draw, operations, left), tree(draw, operations, count - 1 - left)
    a = f"({a})" if left > 0 and (operation in "*/" or draw.random() < 0.3) else a
    b = f"({b})" if count - 1 - left > 0 else b
    return f"{a}{operation}{b}" if operation in "*/" else f"{a} {operation} {b}"


def deepmind(draw):
    kind = draw.randrange(5)
    if kind < 3:
        operation = ("+-"[draw.randrange(2)], "*", "/")[kind]
        both = draw.randint(4, 16) if kind == 0 else draw.randint(3, 10)
        left = draw.randint(1, both)
        (p, a), (q, b) = deepmind_number(draw, left), deepmind_number(draw, both - left)
        if operation == "/":  # of integers
            q, p = (str(digits(draw, min(n, 6)) * draw.choice([1, -1])) for n in (left, max(both - left, 1)))
            a, b = Fraction(p), Fraction(q)
            if draw.random() < 0.5:
                a *= b
                p = str(a)
        if operation == "-" and a >= b and draw.random() < 0.3:
            p, q = draw.choice([(p, q), (q, p)])
            return draw.choice(GAPS).format(p=p, q=q), a - b
        return draw.choice(PAIRS[operation]).format(p=p, q=q), OPERATIONS[operation](a, b)
    text = tree(draw, "+-" if kind == 3 else "+-*/", draw.randint(2, 7))
    return draw.choice(WHOLES).format(op=text), value_of(text)


def adder(draw):
    a, b = draw.randrange(10**10), draw.randrange(10**10)
    return f"{a}+{b}", Fraction(a + b)


def five_by_five(draw):
    a, b = digits(draw, 5), digits(draw, 5)
    return f"{a}*{b}", Fraction(a * b)


KINDS = {"gpt3": gpt3, "bigbench": bigbench, "bbh": bbh, "goat": goat, "mathglm": mathglm, "deepmind": deepmind, "adder": adder,
         "5x5": five_by_five}


def value_of(text):
    """The value of an expression, by a parser of its own."""
    at = 0
    text = text.replace(" ", "")

    def factor():
        nonlocal at
        if text[at] == "-":
            at += 1
            return -factor()
        if text[at] == "(":
            at += 1
            value = total()
            at += 1
            return value
        begin = at
        while at < len(text) and text[at] in "0123456789.":
            at += 1
        value = Fraction(text[begin:at])
        if text[at:at + 1] == "%":
            at += 1
            value /= 100
        return value

    def chain(signs, operand):
        nonlocal at
        value = operand()
        while at < len(text) and text[at] in signs:
            operation = text[at]
            at += 1
            value = OPERATIONS[operation](value, operand())
        return value

    def product():
        return chain("*/", factor)

    def total():
        return chain("+-", product)

    value = total()
    assert at == len(text), text
    return value


def questions(kind, count, seed):
    draw = random.Random(f"{kind} {seed}")
    while count > 0:
        try:
            asked, value = KINDS[kind](draw)
        except ZeroDivisionError:
            continue
        count -= 1
        yield asked, str(value)


def measure(options, name, lines, folder):
    """Questions, answered, right, and seconds."""
    path, wrong = os.path.join(folder, f"{name}.tsv"), os.path.join(folder, f"{name}.wrong.tsv")
    with open(path, "w", encoding="utf-8") as file:
        for asked, value in lines:
            file.write(f"{asked}\t{value}\n")
    begin = time.monotonic()
    command = ["mpirun", "--oversubscribe", "-np", str(options.ranks), options.dtrain, "eval", options.run, "--file", path, "--json",
               "--errors", wrong]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return told["questions"], told["answered"], told["right"], time.monotonic() - begin


def asked_in(path):
    """Questions of a file by what they are like."""
    found = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        next(file)
        for line in file:
            like, asked, _, value = line.rstrip("\n").split("\t")
            found[like].append((asked, value))
    return found


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("Usage: "))
    parser.add_argument("dtrain")
    parser.add_argument("run")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--asked")
    parser.add_argument("--keep")
    options = parser.parse_args()
    if options.asked:
        sets = asked_in(options.asked)
    else:
        sets = {kind: questions(kind, options.count, options.seed) for kind in options.kinds.split(",")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or temporary
        os.makedirs(folder, exist_ok=True)
        print("| like | questions | answered | right of these | seconds |\n|---|---|---|---|---|")
        sums = [0, 0, 0, 0.0]
        for name, lines in sets.items():
            told = measure(options, name, lines, folder)
            sums = [a + b for a, b in zip(sums, told)]
            show(name, *told)
        show("all", *sums)


def show(name, count, answered, right, seconds):
    share = f"{100 * right / answered:.2f} %" if answered else ""
    print(f"| {name} | {count:,} | {100 * answered / count:.2f} % | {share} | {seconds:.0f} |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
