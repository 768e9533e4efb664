"""Malicious files: each must be refused with a message that names the part, without a crash, a hang or much memory.

By default a file is signed again after the change, so that the digests do not catch it first.
"""
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import signed
    from signed import text
except ImportError as missing:
    print("SKIPPED: needs python", missing.name)
    sys.exit(77)

EMBED, STEP = "weights/tok_embed", "metrics/train/step"
cases = []


def case(*words, sign=True):
    """A change to a file, and what the refusal must say; without words, the file must be readable."""
    def keep(change):
        cases.append((change.__name__, words, sign, change))
        return change
    return keep


def replace(file, name, value, **options):
    del file[name]
    file.create_dataset(name, data=value, **options)


def edit_ini(file, old, new):
    replace(file, "config/ini", text(file["config/ini"][()].decode().replace(old, new)))


# ---- the file as a whole ----

@case()
def untouched(file):
    pass


@case("newer dtrain")
def newer_version(file):
    file.attrs["format_version"] = np.int64(1000)


@case("no format version 0")
def version_0(file):
    file.attrs["format_version"] = np.int64(0)


@case("not a checkpoint of dtrain")
def another_format(file):
    file.attrs["format"] = text("llama-checkpoint!")


@case("attribute format_version", "another type")
def version_as_text(file):
    file.attrs["format_version"] = text("1")


@case("/: names, types or attributes are damaged", sign=False)
def unsigned_attribute(file):
    file["state"].attrs["best"] = 0.99


@case("/weights/tok_embed", "damaged", sign=False)
def unsigned_weights(file):
    file[EMBED][0, 0] += 1


@case("/: attribute digest", "is missing", sign=False)
def no_digest(file):
    del file.attrs["digest"]


@case("/weights/tok_embed: attribute digest", "is missing", sign=False)
def no_dataset_digest(file):
    del file[EMBED].attrs["digest"]


@case()
def unknown_extras(file):
    """They are ignored, whatever they contain."""
    notes = file.create_group("notes")
    notes.attrs["by"] = "someone"
    notes.create_dataset("picture", data=np.zeros((4, 4)), chunks=(2, 2), compression="gzip")
    file["shortcut"] = h5py.SoftLink("/weights")


# ---- features of HDF5 that dtrain does not use ----

@case("/weights/tok_embed", "symbolic link")
def soft_link(file):
    file["notes"] = file[EMBED][...]
    del file[EMBED]
    file[EMBED] = h5py.SoftLink("/notes")


@case("links of a newer format", sign=False)
def external_link(file):
    del file[EMBED]
    file[EMBED] = h5py.ExternalLink("/etc/passwd", "/x")


@case("2 names")
def hard_link(file):
    file["weights/again"] = file[EMBED]


@case("2 names", sign=False)
def circle(file):
    file["weights/layers/again"] = file["weights"]


@case("one piece")
def chunked(file):
    replace(file, EMBED, file[EMBED][...], chunks=(2, 2))


@case("/weights/tok_embed", "filter")
def compressed(file):
    replace(file, EMBED, file[EMBED][...], chunks=(2, 2), compression="gzip", shuffle=True)


@case("one piece", sign=False)
def compact(file):
    value = file[EMBED][...]
    del file[EMBED]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(file.id, EMBED.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(value.shape), plan)


@case("another file", sign=False)
def external_storage(file):
    shape = file[EMBED].shape
    del file[EMBED]
    file.create_dataset(EMBED, shape, "<f4", external=[("/etc/passwd", 0, 4 * shape[0] * shape[1])])


@case("shared between objects", sign=False)
def named_type(file):
    shape = file[EMBED].shape
    del file[EMBED]
    file["notes"] = np.dtype("<f4")
    file.create_dataset(EMBED, shape, file["notes"], data=np.zeros(shape))


@case("none of those", sign=False)
def text_of_any_length(file):
    file["state"].attrs["note"] = "h5py writes texts of variable length"


@case("none of those", sign=False)
def compound(file):
    file["state"].attrs["note"] = np.zeros((), dtype=[("x", "<i8"), ("y", "<f8")])


@case("none of those", sign=False)
def reference(file):
    file["state"].attrs["note"] = file[EMBED].ref


@case("not a single value")
def array_attribute(file):
    file["state"].attrs["note"] = np.zeros(3)


@case("dimensions", sign=False)
def three_dimensions(file):
    file["weights/extra"] = np.zeros((2, 2, 2), "<f4")


@case("/weights/tok_embed", "is missing")
def group_for_dataset(file):
    del file[EMBED]
    file.create_group(EMBED)


# ---- tensors ----

@case("/weights/tok_embed", "is missing")
def missing_tensor(file):
    del file[EMBED]


@case("/optimizer/v", "is missing")
def missing_moments(file):
    del file["optimizer/v"]


@case("/optimizer/iterate", "is missing")
def missing_iterate(file):
    del file["optimizer/iterate"]


@case()
def before_averages(file):
    """A file of a program without averaged weights."""
    del file["optimizer/iterate"]
    edit_ini(file, "average = 0.06\n", "")
    del file["config"].attrs["average"]


@case("/weights: 30 tensors, but this model has 29")
def extra_tensor(file):
    file["weights/extra"] = np.zeros(8, "<f4")


@case("/weights/tok_embed", "extent 21 in dimension 0, not 58")
def other_shape(file):
    replace(file, EMBED, np.zeros((21, 8), "<f4"))


@case("/weights/tok_embed", "1 dimensions")
def flat_tensor(file):
    replace(file, EMBED, file[EMBED][...].ravel())


@case("/weights/tok_embed", "another type")
def double_tensor(file):
    replace(file, EMBED, file[EMBED][...].astype("<f8"))


@case("/weights/tok_embed", "none of those", sign=False)
def big_endian(file):
    replace(file, EMBED, file[EMBED][...].astype(">f4"))


@case("/weights/tok_embed", "nan at element 9")
def nan_weight(file):
    file[EMBED][1, 1] = np.nan


@case("/optimizer/v/final_norm/bias", "inf")
def infinite_moment(file):
    file["optimizer/v/final_norm/bias"][7] = np.inf


@case("/metrics/train/step", "beyond the end", sign=False)
def petabyte(file):
    """The values are never written, so that the file stays small."""
    del file[STEP]
    file.create_dataset(STEP, (1 << 47,), "<i8")


# ---- configuration and tokenizer ----

@case("/config/ini", "no setting")
def unknown_setting(file):
    edit_ini(file, "heads = 2", "hands = 2")


@case("/config/ini", "--heads")
def impossible_setting(file):
    edit_ini(file, "heads = 2", "heads = 3")


@case("/weights/", "extent")
def other_width(file):
    edit_ini(file, "width = 8", "width = 16")


@case("/weights", "1024 layers")
def a_thousand_layers(file):
    edit_ini(file, "layers = 2", "layers = 1024")
    edit_ini(file, "width = 8", "width = 65536")


@case("/config: attribute lr", "does not agree")
def two_learning_rates(file):
    edit_ini(file, "lr = 0.3", "lr = 0.4")


@case("/config/ini", "no text")
def nul_in_ini(file):
    edit_ini(file, "\n", "\0")


@case("/config/ini", "is missing")
def no_ini(file):
    del file["config/ini"]


@case("/config/ini")
def numeric_ini(file):
    replace(file, "config/ini", np.arange(5))


@case()
def setting_of_a_later_dtrain_missing(file):
    del file["config"].attrs["clip"]


@case("/tokenizer/vocab", "both")
def empty_tokens(file):
    file["tokenizer/vocab"][3:5] = b""


@case("/tokenizer/vocab", "both")
def double_token(file):
    file["tokenizer/vocab"][3] = file["tokenizer/vocab"][4]


@case("/tokenizer/vocab", "tokens")
def long_tokens(file):
    replace(file, "tokenizer/vocab", np.full(20, b"x" * 1000, h5py.string_dtype("utf-8", 1000)))


@case("/weights/tok_embed", "extent 58 in dimension 0, not 19")
def fewer_tokens(file):
    replace(file, "tokenizer/vocab", file["tokenizer/vocab"][:19].astype(file["tokenizer/vocab"].dtype))


# ---- metrics and state ----

@case("/metrics/train/loss", "extent 11")
def short_column(file):
    replace(file, "metrics/train/loss", file["metrics/train/loss"][:11])


@case("/metrics/history/host", "is missing")
def missing_column(file):
    del file["metrics/history/host"]


@case("/metrics/train", "step 3 after step 3")
def double_step(file):
    file[STEP][4] = 3


@case("/metrics/train", "step -5")
def negative_step(file):
    file[STEP][0] = -5


@case()
def not_a_number_as_loss(file):
    """Allowed for a metric: a run that diverges measures it."""
    file["metrics/train/loss"][3] = np.nan


@case("/state", "no sense")
def negative_state(file):
    file["state"].attrs["tokens"] = np.int64(-1)


@case("/state", "no sense")
def best_is_nan(file):
    file["state"].attrs["best"] = np.nan


@case("/: attribute step", "does not agree")
def two_steps(file):
    file["state"].attrs["step"] = np.int64(13)


@case("/state", "is missing")
def no_state(file):
    del file["state"]


@case("/state: attribute best", "another type")
def best_as_integer(file):
    file["state"].attrs["best"] = np.int64(1)


# ---- files rewritten by other programs ----

def repack(whole, path, options):
    subprocess.run(["h5repack", *options, whole, path], check=True)


def userblock(whole, path):
    with h5py.File(path, "w", userblock_size=512) as file, h5py.File(whole) as source:
        for name in source:
            source.copy(name, file)


def links_at(data, header):
    """The span of the message 0x11 in an object header: it holds the addresses of its group's links."""
    at, end = header + 16, header + 16 + int.from_bytes(data[header + 8:header + 12], "little")
    while at < end:
        kind, size = int.from_bytes(data[at:at + 2], "little"), int.from_bytes(data[at + 2:at + 4], "little")
        if kind == 0x11:
            return slice(at + 8, at + 24)
        at += 8 + size


def inside_itself(whole, path):
    """Both groups of layers contain their own parent: followed blindly, that gives 2^40 objects."""
    with h5py.File(whole) as file:
        outer, *inner = [h5py.h5o.get_info(file["weights/layers" + name].id).addr for name in ("", "/0", "/1")]
    data = bytearray(whole.read_bytes())
    for group in inner:
        data[links_at(data, group)] = data[links_at(data, outer)]
    path.write_bytes(data)


REWRITTEN = [
    ("groups inside themselves", ("overlap",), inside_itself),
    ("h5repack", (), lambda whole, path: repack(whole, path, [])),
    ("h5repack --latest", ("superblock version",), lambda whole, path: repack(whole, path, ["--latest"])),
    ("a user block", ("not an HDF5 file",), userblock),
]


# ---- running the cases ----

def limits():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))


def read(probe, path):
    sanitized = os.environ.get("DTRAIN_SANITIZED")  # the sanitizer itself reserves terabytes
    return subprocess.run([probe, "read", path], capture_output=True, text=True, timeout=20,
                          preexec_fn=None if sanitized else limits)


def judge(name, words, result):
    expected = 65 if words else 0
    missing = [word for word in words if word not in result.stderr]
    if result.returncode == expected and not missing:
        return True
    print(f"{name}: exit {result.returncode}, not {expected}; {result.stderr.strip()!r} should say {missing}")
    return False


def main(probe):
    good = []
    with tempfile.TemporaryDirectory() as folder:
        whole, path = pathlib.Path(folder) / "whole.h5", pathlib.Path(folder) / "x.h5"
        subprocess.run([probe, "write", whole], check=True)
        for name, words, sign, change in cases:
            shutil.copy(whole, path)
            with h5py.File(path, "r+") as file:
                change(file)
                if sign:
                    signed.sign(file)
            good.append(judge(name, words, read(probe, path)))
        for name, words, rewrite in REWRITTEN:
            path.unlink()
            rewrite(whole, path)
            good.append(judge(name, words, read(probe, path)))
    print(f"{sum(good)} of {len(good)} files treated correctly")
    return not all(good)


sys.exit(main(sys.argv[1]))
