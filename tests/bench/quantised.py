"""Measures for quantised.sh. Usage: quantised.py corpus FILE | peak COMMAND… | answers LABEL=FILE…"""

import json
import pathlib
import random
import subprocess
import sys
import time


def corpus(path):
    """Random words, each twice, so that 50257 tokens can be learned from them."""
    generator = random.Random(1)
    with open(path, "w") as file:
        for _ in range(60000):
            word = "".join(generator.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(generator.randint(4, 9)))
            file.write(f"{word} {word}\n")


def resident(process):
    """Sum of the proportional set sizes of a process's children: the ranks of mpirun."""
    total = 0
    try:
        for child in pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split():
            for line in pathlib.Path(f"/proc/{child}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += 1024 * int(line.split()[1])
    except (OSError, IndexError):
        return 0
    return total


def peak(*command):
    """Prints the peak in MB; the command's output goes to standard error."""
    most = 0
    with subprocess.Popen(command, stdout=sys.stderr, stdin=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, resident(process.pid))
            time.sleep(0.05)
    if process.returncode:
        sys.exit(process.returncode)
    print(round(most / 1e6))


def answers(*files):
    """Rows of the table, from the results of eval."""
    for item in files:
        label, _, path = item.partition("=")
        bytes_of, result = path.split(":")
        told = json.loads(pathlib.Path(result).read_text())
        wrong = round(told["problems"] * (1 - told["exact_match"]))
        seconds = float(pathlib.Path(result + ".seconds").read_text())
        print(f"| {label} | {int(bytes_of) / 1e6:.2f} MB | {wrong} of {told['problems']} | {told['problems'] / seconds:.0f} |")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
