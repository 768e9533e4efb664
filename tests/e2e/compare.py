"""Checks that two checkpoints have the same bytes in some groups, except for measured times.

Usage: compare.py A B GROUP...
"""

import sys

import h5py
import numpy

# Times, and energy that follows from them, differ from run to run.
MEASURED = {"seconds", "joules"}


def contents(path, groups):
    """Type, shape and bytes of every dataset and attribute under the groups, by name."""
    found = {}
    with h5py.File(path, "r") as file:
        for group in groups:
            def add(name, item, group=group):
                name = f"{group}/{name}" if name else group
                if name.rsplit("/", 1)[-1] in MEASURED:
                    return
                if isinstance(item, h5py.Dataset):
                    found[name] = (str(item.dtype), item.shape, numpy.asarray(item[()]).tobytes())
                for key in item.attrs:
                    if key not in MEASURED:
                        kind = item.attrs.get_id(key)
                        found[f"{name}: {key}"] = (str(kind.dtype), kind.shape,
                                                   numpy.asarray(item.attrs[key]).tobytes())

            before = len(found)
            add("", file[group])
            file[group].visititems(add)
            if len(found) == before:
                sys.exit(f"{path} has nothing in {group}")
    return found


def main():
    path_a, path_b, *groups = sys.argv[1:]
    a, b = contents(path_a, groups), contents(path_b, groups)
    if a.keys() != b.keys():
        sys.exit(f"only one of {path_a} and {path_b} has {', '.join(sorted(a.keys() ^ b.keys()))}")
    different = [name for name in a if a[name] != b[name]]
    if different:
        sys.exit(f"{path_a} and {path_b}: {len(different)} of {len(a)} differ: {', '.join(different)}")


if __name__ == "__main__":
    main()
