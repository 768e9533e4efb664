"""Files of exported models, read and changed by other means than dtrain's. Usage: export.py ACTION ARGUMENT…"""

import json
import pathlib
import struct
import sys

import numpy as np


def load(path):
    """The tensors of a safetensors file, by name: (dtype, shape, bytes); and its metadata."""
    data = pathlib.Path(path).read_bytes()
    length, = struct.unpack("<Q", data[:8])
    assert length % 8 == 0, length
    header = json.loads(data[8:8 + length])
    facts = header.pop("__metadata__", {})
    body, end = data[8 + length:], 0
    tensors = {}
    for name, entry in header.items():
        begin, last = entry["data_offsets"]
        assert begin == end, (name, begin, end)
        end = last
        tensors[name] = (entry["dtype"], entry["shape"], body[begin:last])
    assert end == len(body), (end, len(body))
    return tensors, facts


def save(path, tensors):
    header, body = {}, b""
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def same(one, other):
    """Both files have the same tensors, byte by byte."""
    a, b = load(one)[0], load(other)[0]
    assert list(a) == list(b), (list(a), list(b))
    for name, tensor in a.items():
        assert tensor == b[name], name


def halve(path, kind):
    """Store all values in 16 bits."""
    tensors = load(path)[0]
    for name, (_, shape, data) in tensors.items():
        values = np.frombuffer(data, "<f4")
        halves = values.astype("<f2").tobytes() if kind == "F16" else (values.view("<u4") >> 16).astype("<u2").tobytes()
        tensors[name] = (kind, shape, halves)
    save(path, tensors)


def wide(path):
    """All values in float32 again, as numpy reads them."""
    tensors = load(path)[0]
    for name, (kind, shape, data) in tensors.items():
        if kind == "F16":
            data = np.frombuffer(data, "<f2").astype("<f4").tobytes()
        elif kind == "BF16":
            data = (np.frombuffer(data, "<u2").astype("<u4") << 16).tobytes()
        tensors[name] = ("F32", shape, data)
    save(path, tensors)


def checkpoint(path, model):
    """The tensors of an exported GPT-2 are those of the checkpoint, in the way of GPT-2."""
    import h5py
    tensors, facts = load(model)
    names = {"attn_norm/scale": "ln_1.weight", "attn_norm/bias": "ln_1.bias", "attn_qkv/weight": "attn.c_attn.weight",
             "attn_qkv/bias": "attn.c_attn.bias", "attn_out/weight": "attn.c_proj.weight", "attn_out/bias": "attn.c_proj.bias",
             "mlp_norm/scale": "ln_2.weight", "mlp_norm/bias": "ln_2.bias", "mlp_in/weight": "mlp.c_fc.weight",
             "mlp_in/bias": "mlp.c_fc.bias", "mlp_out/weight": "mlp.c_proj.weight", "mlp_out/bias": "mlp.c_proj.bias"}
    with h5py.File(path) as file:
        weights = file["weights"]
        expected = {"transformer.wte.weight": weights["tok_embed"][()],
                    "transformer.wpe.weight": weights["pos_embed"][()] + weights["place_embed"][()][0],
                    "transformer.ln_f.weight": weights["final_norm/scale"][()], "transformer.ln_f.bias": weights["final_norm/bias"][()]}
        for layer in weights["layers"]:
            for own, name in names.items():
                value = weights[f"layers/{layer}/{own}"][()]
                expected[f"transformer.h.{layer}.{name}"] = value.T if value.ndim == 2 else value
        assert facts == {"format": "pt", "dtrain.checkpoint": file.attrs["digest"].decode(), "dtrain.step": str(file.attrs["step"])}, facts
    assert set(tensors) == set(expected), set(tensors) ^ set(expected)
    for name, value in expected.items():
        kind, shape, data = tensors[name]
        assert (kind, tuple(shape)) == ("F32", value.shape), (name, kind, shape, value.shape)
        assert data == np.ascontiguousarray(value).tobytes(), name


def damage(path):
    """Change one bit of the tokens of a checkpoint."""
    import h5py
    with h5py.File(path) as file:
        at = file["weights/tok_embed"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def edit(path, *changes):
    """Change members of a JSON file: NAME=VALUE in JSON, or NAME= to remove it."""
    file = pathlib.Path(path)
    value = json.loads(file.read_text())
    for change in changes:
        name, text = change.split("=", 1)
        if text:
            value[name] = json.loads(text)
        else:
            del value[name]
    file.write_text(json.dumps(value))


def tensor(path, action, name):
    """Change one tensor of a file: drop, add, flatten, nan, head (a copy of the tokens as output), other (that, but changed)."""
    tensors = load(path)[0]
    if action == "drop":
        del tensors[name]
    elif action == "add":
        tensors[name] = ("F32", [1], struct.pack("<f", 1))
    elif action == "flatten":
        kind, shape, data = tensors[name]
        tensors[name] = (kind, [int(np.prod(shape))], data)
    elif action == "nan":
        kind, shape, data = tensors[name]
        tensors[name] = (kind, shape, struct.pack("<f", float("nan")) + data[4:])
    else:
        kind, shape, data = tensors["transformer.wte.weight"]
        tensors[name] = (kind, shape, data if action == "head" else struct.pack("<f", 1) + data[4:])
    save(path, tensors)


def short_names(path):
    """As some files on the hub: without "transformer.", and with masks of attention."""
    tensors = {name.removeprefix("transformer."): value for name, value in load(path)[0].items()}
    tensors["h.0.attn.bias"] = ("F32", [1, 1, 2, 2], struct.pack("<4f", 1, 0, 1, 1))
    save(path, tensors)


def close(one, other, most):
    """The logits that eval has written agree."""
    a, b = (json.loads(pathlib.Path(path).read_text()) for path in (one, other))
    assert a["problems"] == b["problems"] and a["tokens"] == b["tokens"]
    worst = max(np.abs(np.array(x) - np.array(y)).max() for x, y in zip(a["logits"], b["logits"]))
    assert worst <= float(most), worst


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
