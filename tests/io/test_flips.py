"""Flips bits in every region of a checkpoint: each flip is noticed, with the name of the part, or has no effect."""
import collections
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import h5py  # noqa: F401
    from regions import regions
except ImportError as missing:
    print("SKIPPED: needs python", missing.name)
    sys.exit(77)

# How many positions of each region: of each dataset, each value of an attribute, each header …
POSITIONS = collections.defaultdict(lambda: 12, {"superblock": 96, "attributes": 8, "headers": 6, "lists of links": 6})
GAPS = 200  # positions in no region


def choose(path):
    """Offset and bit of each flip, with the kind and name of its region."""
    random.seed(4)
    covered = set()
    chosen = []
    for kind, name, offset, size in regions(path):
        covered.update(range(offset, offset + size))
        count = min(size, POSITIONS[kind])
        chosen += [(offset + (i * size + random.randrange(size)) // count % size if count < size else offset + i,
                    random.randrange(8), kind, name) for i in range(count)]
    gaps = [at for at in range(path.stat().st_size) if at not in covered]
    chosen += [(at, random.randrange(8), "between them", "") for at in random.sample(gaps, min(GAPS, len(gaps)))]
    return chosen


def main(probe):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "whole.h5"
        subprocess.run([probe, "write", path], check=True, stdout=subprocess.DEVNULL)
        chosen = choose(path)
        lines = "".join(f"{at} {bit}\n" for at, bit, _, _ in chosen)
        result = subprocess.run([probe, "flips", path, path.with_name("damaged.h5")], input=lines, capture_output=True,
                                text=True, check=True)
    answers = result.stdout.splitlines()
    assert len(answers) == len(chosen), f"{len(answers)} answers to {len(chosen)} flips: {result.stderr}"
    table, wrong = collections.defaultdict(collections.Counter), []
    for (at, bit, kind, name), answer in zip(chosen, answers):
        verdict, _, part = answer.partition(" ")
        table[kind][verdict] += 1
        misses = ("datasets" in kind and part != name) or (kind == "attributes" and verdict != "noticed")
        if verdict not in ("noticed", "harmless") or misses:
            wrong.append(f"bit {bit} of byte {at}, {kind} {name}: {answer}")
    for kind, counts in sorted(table.items()):
        print(f"{kind:24}{sum(counts.values()):6} flips:{counts['noticed']:6} noticed,{counts['harmless']:6} without effect")
    print(*wrong, f"{len(chosen)} flips, {len(wrong)} of them treated wrongly", sep="\n")
    assert len(chosen) >= 2000 and len(table) >= 10
    return bool(wrong)


sys.exit(main(sys.argv[1]))
