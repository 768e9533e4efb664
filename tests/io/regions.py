"""Which bytes of a checkpoint belong to which part: superblock, object headers, attributes, lists of links, datasets.

Follows the HDF5 file format specification, for the parts that dtrain writes; independent of dtrain's own reader.
"""
import h5py

SUPERBLOCK, ATTRIBUTE, CONTINUATION, LINKS = 96, 0x0C, 0x10, 0x11


def number(data, at, size=8):
    return int.from_bytes(data[at:at + size], "little")


def messages(data, address):
    """Offset, type and size of each message of an object header, and the pieces that they lie in."""
    pieces = [(address + 16, number(data, address + 8, 4))]
    found = []
    for start, size in pieces:
        at = start
        while at + 8 <= start + size:
            kind, length = number(data, at, 2), number(data, at + 2, 2)
            found.append((at + 8, kind, length))
            if kind == CONTINUATION:
                pieces.append((number(data, at + 8), number(data, at + 16)))
            at += 8 + length
    return found, pieces


def attribute_value(data, at):
    """Offset and name: version 1 pads name, type and shape to 8 bytes each."""
    sizes = [number(data, at + 2 + 2 * i, 2) for i in range(3)]
    padded = [(size + 7) // 8 * 8 for size in sizes] if data[at] == 1 else sizes
    start = at + (9 if data[at] == 3 else 8)
    return start + sum(padded), data[start:start + sizes[0]].split(b"\0")[0].decode()


def link_tables(data, message):
    tree, heap = number(data, message), number(data, message + 8)
    yield heap, 32
    yield number(data, heap + 24), number(data, heap + 8)
    todo = [tree]
    for node in todo:
        if data[node:node + 4] == b"SNOD":
            yield node, 8 + 40 * number(data, node + 6, 2)
            continue
        children = number(data, node + 6, 2)
        yield node, 24 + 16 * children + 8
        todo += [number(data, node + 24 + 16 * i + 8) for i in range(children)]


def regions(path):
    """(kind, name, offset, size), in any order; a byte may lie in a header and in one of its attributes."""
    data = path.read_bytes()
    found = [("superblock", "", 0, SUPERBLOCK)]
    with h5py.File(path) as file:
        objects = [file]
        file.visititems(lambda _, item: objects.append(item))
        for item in objects:
            address = h5py.h5o.get_info(item.id).addr
            listed, pieces = messages(data, address)
            found.append(("headers", item.name, address, 16))
            found += [("headers", item.name, at, size) for at, size in pieces]
            for at, kind, size in listed:
                if kind == ATTRIBUTE:
                    value, name = attribute_value(data, at)
                    found.append(("attributes", f"{item.name} {name}", value, item.attrs.get_id(name).get_storage_size()))
                if kind == LINKS:
                    found += [("lists of links", item.name, *span) for span in link_tables(data, at)]
            if isinstance(item, h5py.Dataset) and item.size:
                top = item.name.split("/")[1]
                found.append((f"datasets of /{top}", item.name, item.id.get_offset(), item.id.get_storage_size()))
    return found
