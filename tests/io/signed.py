"""Checkpoints as h5py sees them; a script that changed a file can compute its digests again."""
import h5py
import numpy as np
import xxhash

GROUPS = ("config", "tokenizer", "weights", "optimizer", "metrics", "state")


def raw_attribute(item, name):
    """Type in numpy's notation, and the bytes as stored."""
    attribute = item.attrs.get_id(name)
    value = np.empty(attribute.shape, attribute.dtype)
    attribute.read(value)
    return attribute.dtype.str, value.tobytes()


def raw_bytes(dataset):
    value = np.empty(dataset.shape, dataset.dtype)
    if dataset.size:
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, value)
    return value.tobytes()


def items(file):
    """All objects that the file's digest covers, with their paths."""
    found = [("/", file)]
    for group in GROUPS:
        if group in file:
            found.append(("/" + group, file[group]))
            file[group].visititems(lambda name, item: found.append((item.name, item)))
    return found


def text(value):
    """For an attribute: text of fixed length, padded with NUL, as dtrain writes it."""
    value = value.encode() if isinstance(value, str) else value
    return np.array(value, dtype=h5py.string_dtype("utf-8", max(len(value), 1)))


def file_digest(file):
    lines = []
    for path, item in items(file):
        dataset = isinstance(item, h5py.Dataset)
        if dataset:
            shape = "x".join(map(str, item.shape)) or "scalar"
            digest = raw_attribute(item, "digest")[1].decode()
            lines.append(f"dataset {path} {item.dtype.str} {shape} {digest}\n".encode())
        for name in item.attrs:
            if name == "digest" and (dataset or path == "/"):
                continue
            kind, value = raw_attribute(item, name)
            lines.append(f"attribute {path} {name} {kind} {value.hex()}\n".encode())
    return xxhash.xxh3_128_hexdigest(b"".join(sorted(lines)))


def dataset_digest(dataset):
    return xxhash.xxh3_128_hexdigest(raw_bytes(dataset))


def sign(file):
    """Make all digests right again."""
    for path, item in items(file):
        if isinstance(item, h5py.Dataset):
            item.attrs["digest"] = text(dataset_digest(item))
    file.attrs["digest"] = text(file_digest(file))
