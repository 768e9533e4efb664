"""Reads quantised checkpoints with numpy alone, as io/README.md says.

    quantise.py FLOATS QUANTISED OUT

OUT becomes FLOATS with the matrices that QUANTISED holds, in float32; all other weights must be the same in both.
"""
import pathlib
import shutil
import sys

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "io"))
import signed

NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])
POSITIVE = [10.0**(e - 6) * (0.1 + 0.9 * (j + 0.5) / 2**e) for e in range(7) for j in range(2**e)]
SCALE = np.array([-x for x in reversed(POSITIVE)] + [0.0] + POSITIVE + [1.0])


def q8_0(data):
    blocks = data.reshape(-1, 34)
    scale = blocks[:, :2].copy().view("<f2").astype(float)
    return scale * blocks[:, 2:].view("i1")


def nf4(data):
    # 4 + 4 groups + blocks + 32 blocks bytes
    blocks = next(n for n in range(len(data) // 33 + 1) if 4 + 4 * -(-n // 256) + 33 * n == len(data))
    groups = -(-blocks // 256)
    numbers = data[:4 + 4 * groups].copy().view("<f4").astype(float)
    codes, pairs = np.split(data[4 + 4 * groups:], [blocks])
    scale = SCALE[codes] * np.repeat(numbers[1:], 256)[:blocks] + numbers[0]
    values = NF4[np.stack([pairs >> 4, pairs & 15], 1).reshape(blocks, 64)]
    return scale[:, None] * values


def main(floats, quantised, out):
    shutil.copyfile(floats, out)
    with h5py.File(quantised) as source, h5py.File(out, "r+") as target:
        assert source.attrs["format_version"] == 4 and "m" not in source["optimizer"]
        kind = source["weights"].attrs["quantised"].decode()
        names = []
        target["weights"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            is_matrix = name.startswith("layers/") and name.endswith("/weight")
            found, wanted = source["weights"][name], target["weights"][name]
            assert found.dtype == ("u1" if is_matrix else "f4"), (name, found.dtype)
            if not is_matrix:
                assert (found[...] == wanted[...]).all(), name
                continue
            values = {"q8_0": q8_0, "nf4": nf4}[kind](found[...]).reshape(wanted.shape)
            error = abs(values - wanted[...]).max() / abs(wanted[...]).max()
            assert 0 < error < {"q8_0": 0.005, "nf4": 0.17}[kind], (name, error)
            wanted[...] = values.astype("f4")
        signed.sign(target)


main(*sys.argv[1:])
