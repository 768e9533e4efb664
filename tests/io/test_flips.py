"""Flips bits in every region of a checkpoint: each flip is noticed, with the name of the part, or has no effect, neither for dtrain
nor for h5py."""
import collections
import concurrent.futures
import os
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import h5py
    from regions import regions
except ImportError as missing:
    print("SKIPPED: needs python", missing.name)
    sys.exit(77)

# How many positions of each region: of each dataset, each value of an attribute, each header …
POSITIONS = collections.defaultdict(lambda: 12, {"superblock": 96, "attributes": 8, "headers": 6, "lists of links": 6})
GAPS = 200  # positions in no region
# Some flips in these regions that dtrain calls harmless are shown to h5py as well.
METADATA = "superblock", "headers", "lists of links"
SHOWN = 200


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


def contents(path):
    """All that HDF5's library finds in a file: by walking over the links, and by looking up each name."""
    found = {}
    with h5py.File(path) as file:
        names = ["/"]
        file.visit(names.append)
        for name in names:
            item = file[name]
            found[name] = {key: repr(item.attrs[key]) for key in item.attrs}
            if isinstance(item, h5py.Dataset):
                found[name]["data"] = item.dtype.str, item.shape, item[()].tobytes()
    return found


def is_same(path, expected):
    try:
        return contents(path) == expected
    except Exception:
        return False


def look(path, flips, expected):
    """Whether the library finds the same, flip by flip, as far as it comes: in a process of its own, since it may crash. Each
    file is a new one, since the library knows again those that it could not close."""
    whole = path.read_bytes()
    answers, to = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for number, (at, bit, _, _) in enumerate(flips):
                data = bytearray(whole)
                data[at] ^= 1 << bit
                damaged = path.with_name(f"damaged-{number}.h5")
                damaged.write_bytes(data)
                os.write(to, b"1" if is_same(damaged, expected) else b"0")
                damaged.unlink()
        finally:
            os._exit(0)
    os.close(to)
    with open(answers, "rb") as file:
        same = [answer == ord("1") for answer in file.read()]
    os.waitpid(child, 0)
    return same


def see_others(path, flips):
    """Those of the flips after which HDF5's library does not find the same as before."""
    expected = contents(path)
    assert len(expected) > 50 and is_same(path, expected), "the file cannot be read as it was written"
    found = []
    while flips:
        same = look(path, flips, expected)
        crashed = [False] * (len(same) < len(flips))
        found += [flip for flip, is_whole in zip(flips, same + crashed) if not is_whole]
        flips = flips[len(same) + len(crashed):]
    return found


def judge(probe, path, number, flips):
    """What dtrain says of each flip."""
    lines = "".join(f"{at} {bit}\n" for at, bit, _, _ in flips)
    result = subprocess.run([probe, "flips", path, path.with_name(f"damaged{number}.h5")], input=lines, capture_output=True,
                            text=True, check=True)
    answers = result.stdout.splitlines()
    assert len(answers) == len(flips), f"{len(answers)} answers to {len(flips)} flips: {result.stderr}"
    return answers


def main(probe):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "whole.h5"
        subprocess.run([probe, "write", path], check=True, stdout=subprocess.DEVNULL)
        chosen = choose(path)
        half = len(chosen) // 2
        with concurrent.futures.ThreadPoolExecutor() as both:
            parts = both.map(lambda number, flips: judge(probe, path, number, flips), (1, 2), (chosen[:half], chosen[half:]))
            answers = [answer for part in parts for answer in part]
        harmless = [flip for flip, answer in zip(chosen, answers) if answer == "harmless" and flip[2] in METADATA]
        harmless = random.sample(harmless, min(SHOWN, len(harmless)))
        others = see_others(path, harmless)
    table, wrong = collections.defaultdict(collections.Counter), []
    for (at, bit, kind, name), answer in zip(chosen, answers):
        verdict, _, part = answer.partition(" ")
        table[kind][verdict] += 1
        misses = ("datasets" in kind and part != name) or (kind == "attributes" and verdict != "noticed")
        if verdict not in ("noticed", "noticed-for-others", "harmless") or misses:
            wrong.append(f"bit {bit} of byte {at}, {kind} {name}: {answer}")
    for kind, counts in sorted(table.items()):
        print(f"{kind:24}{sum(counts.values()):6} flips:{counts['noticed']:6} noticed,{counts['noticed-for-others']:6} for others,"
              f"{counts['harmless']:6} without effect")
    print(f"h5py looked at {len(harmless)} of those without effect")
    wrong += [f"bit {bit} of byte {at}, {kind} {name}: harmless, and h5py finds something else" for at, bit, kind, name in others]
    print(*wrong, f"{len(chosen)} flips, {len(wrong)} of them treated wrongly", sep="\n")
    assert len(chosen) >= 2000 and len(table) >= 10
    return bool(wrong)


sys.exit(main(sys.argv[1]))
