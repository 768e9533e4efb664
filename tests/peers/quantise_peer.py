"""Quantised checkpoints beside other programs that quantise. Usage: quantise_peer.py q8_0|nf4 FLOATS.h5 QUANTISED.h5"""

import sys

import h5py
import numpy as np


def matrices(floats, quantised):
    with h5py.File(floats) as wanted, h5py.File(quantised) as found:
        names = [name for layer in wanted["weights/layers"].values() for matrix in layer.values() for name in
                 [f"{matrix.name}/weight"] if name in wanted]
        assert len(names) == 4 * len(wanted["weights/layers"]), names
        for name in names:
            yield name, wanted[name][...], found[name][...]


def q8_0(floats, quantised):
    """The bytes are those of llama.cpp's Python package."""
    from gguf import GGMLQuantizationType, quants
    count = 0
    for name, matrix, data in matrices(floats, quantised):
        assert quants.quantize(matrix, GGMLQuantizationType.Q8_0).tobytes() == data.tobytes(), name
        count += len(data)
    print(f"{count} bytes of Q8_0 are gguf.quants'")


def nf4(floats, quantised):
    """Codes and scales are those of bitsandbytes.

    A value that is exactly between two codes may get either of them: dtrain multiplies by the inverse of the largest magnitude, as
    bitsandbytes does on GPUs, and on a processor it divides. It also finds codes of scales there in a table of 65536 equal parts of -1 to
    1, so that scales may get either code where they are within half a part of the middle. Nothing else may differ.
    """
    import torch
    from bitsandbytes.functional import quantize_4bit
    count = between = scales = 0
    for name, matrix, data in matrices(floats, quantised):
        packed, state = quantize_4bit(torch.from_numpy(matrix.copy()), blocksize=64, compress_statistics=True, quant_type="nf4")
        blocks = matrix.size // 64
        groups = -(-blocks // 256)
        numbers = data[:4 * (1 + groups)].copy().view("<f4")
        codes, pairs = np.split(data[4 * (1 + groups):], [blocks])
        # the mean, the scales of groups, and the codes of scales
        mean, magnitude = float(state.offset), np.abs(matrix.reshape(blocks, 64)).max(1)
        assert abs(numbers[0] - mean) <= 1e-6 * mean, (name, numbers[0], mean)
        assert np.allclose(numbers[1:], state.state2.absmax.numpy(), rtol=1e-5, atol=1e-6 * mean), name
        theirs, table = state.absmax.numpy().reshape(-1), state.state2.code.numpy().astype(float)
        off = np.nonzero(codes != theirs)[0]
        exact = (magnitude[off].astype(float) - mean) / np.repeat(numbers[1:], 256)[off]
        middle = (table[codes[off]] + table[theirs[off]]) / 2
        assert (abs(codes[off].astype(int) - theirs[off]) == 1).all() and (abs(exact - middle) < 1.6e-5).all(), (name, off)
        scales += len(off)
        # values
        ours = np.stack([pairs >> 4, pairs & 15], 1).reshape(-1)
        packed = packed.numpy().reshape(-1)
        theirs = np.stack([packed >> 4, packed & 15], 1).reshape(-1)
        off = np.nonzero(ours != theirs)[0]
        value = state.code.numpy().astype(float)
        exact = matrix.reshape(-1)[off].astype(float) / magnitude.astype(float)[off // 64]
        middle = (value[ours[off]] + value[theirs[off]]) / 2
        assert (abs(ours[off].astype(int) - theirs[off]) == 1).all() and (abs(exact - middle) < 2e-7).all(), (name, off)
        count, between = count + len(ours), between + len(off)
    assert between < count / 1000 and scales < count / 64 / 100, (count, between, scales)
    print(f"{count} codes of NF4 are bitsandbytes', but for {between} that are between two values, and {scales} of scales")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
