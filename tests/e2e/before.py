"""The result of a run: digests of all that training computes, and its loss at each step.

Usage: before.py keep FILE.json NAME KERNELS CHECKPOINT      add to the expected results
       before.py compare FILE.json NAME KERNELS CHECKPOINT   the same bytes; with unknown kernels about the same loss
       before.py settings BEFORE.h5 CHECKPOINT               only settings that the earlier program knows

The checkpoint may contain more than the file names: later programs write more.
"""
import hashlib
import json
import pathlib
import sys

import h5py
import numpy
from compare import contents

GROUPS = ("tokenizer", "weights", "optimizer", "metrics/train", "metrics/validation", "state")
# Of the losses, relative. Between the kernels known so far it is below 1e-8.
TOLERANCE = 1e-5


def digests(path):
    return {name: hashlib.sha256(repr(found[:2]).encode() + found[2]).hexdigest()[:16]
            for name, found in contents(path, GROUPS).items() if not name.endswith(": digest")}


def losses(path):
    with h5py.File(path, "r") as file:
        return [float(loss) for loss in file["metrics/train/loss"][()]]


def keep(expected, name, kernels, path):
    expected.setdefault("loss", {}).setdefault(name, losses(path))
    expected.setdefault("digests", {}).setdefault(kernels, {})[name] = digests(path)


def compare(expected, name, kernels, path):
    """Describes the differences; None if there are none."""
    here, before = numpy.array(losses(path)), numpy.array(expected["loss"][name])
    if here.shape != before.shape or not numpy.allclose(here, before, rtol=TOLERANCE, atol=0):
        return f"the losses are {here}, and were {before}"
    if kernels not in expected["digests"]:
        print(f"SKIPPED: needs digests {kernels}")
        print(f"{name}: the loss differs by {numpy.max(abs(here / before - 1)):.1e} at most; the bits with these kernels are not known")
        return None
    found = digests(path)
    different = [each for each, digest in expected["digests"][kernels][name].items() if found.get(each) != digest]
    return f"these differ: {', '.join(different)}" if different else None


def unknown(before, path):
    """Describes settings in `path` that are missing in `before`, which the earlier program wrote."""
    with h5py.File(before, "r") as known, h5py.File(path, "r") as file:
        more = set(file["config"].attrs) - set(known["config"].attrs)
        lines = [each["config/ini"][()].decode().splitlines() for each in (known, file)]
    keys = [{line.split(" = ")[0] for line in each} for each in lines]
    more |= keys[1] - keys[0]
    return f"the earlier program knows nothing of {', '.join(sorted(more))}" if more else None


def main():
    if sys.argv[1] == "settings":
        return unknown(*sys.argv[2:])
    how, file, name, kernels, path = sys.argv[1:]
    file = pathlib.Path(file)
    expected = json.loads(file.read_text()) if file.exists() else {}
    if how == "keep":
        keep(expected, name, kernels, path)
        file.write_text(json.dumps(expected, indent=0) + "\n")
        return None
    difference = compare(expected, name, kernels, path)
    return f"{name}, {kernels}: {difference}" if difference else None


if __name__ == "__main__":
    sys.exit(main())
