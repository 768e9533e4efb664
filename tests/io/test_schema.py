"""Reads a checkpoint with h5py by the schema alone: names, types, shapes, values, and every digest computed again."""
import pathlib
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
    import signed
except ImportError as missing:
    print("SKIPPED: needs python", missing.name)
    sys.exit(77)

WIDTH, LAYERS, STEPS = 8, 2, 12
F, VOCABULARY = 4 * WIDTH, 58
ROOT = {"format": "|S17", "format_version": "<i8", "dtrain_version": None, "created": "|S20", "step": "<i8",
        "tokens": "<i8", "seed": "<i8", "shards": "<i8", "digest": "|S32"}
SETTINGS = {
    "<i8": "seed steps batch shards micro-batch digits dividend-digits divisor-digits train-examples layers width "
           "heads warmup eval-every eval-examples keep",
    "<f8": "dropout lr min-lr beta1 beta2 epsilon weight-decay clip average",
    "|S": "ops format optimizer schedule checkpoint-every"}
SHAPE = "layers width heads mlp_width vocabulary context places"
OPTIMIZER = {"kind": "|S4", "step": "<i8", "beta1": "<f8", "beta2": "<f8", "momentum": "<f8", "epsilon": "<f8",
             "weight_decay": "<f8"}
STATE = {"step": "<i8", "tokens": "<i8", "problems": "<i8", "seconds": "<f8", "best": "<f8", "best_step": "<i8",
         "stale": "<i8", "skipped": "<i8", "rollbacks": "<i8"}
METRICS = {
    "train": (STEPS, {"step": "<i8", "loss": "<f8", "lr": "<f8", "grad_norm": "<f8", "tokens": "<i8",
                      "seconds": "<f8", "joules": "<f8"}),
    "validation": (3, {"step": "<i8"} | dict.fromkeys(
        "loss perplexity token_accuracy exact_match exact_match_add exact_match_subtract exact_match_multiply "
        "exact_match_divide seconds".split(), "<f8")),
    "history": (2, {"step": "<i8", "ranks": "<i8", "nodes": "<i8", "host": "|S256", "time": "|S32", "stopped": "|S64",
                    "changed": "|S256", "seconds": "<f8", "processor_seconds": "<f8", "joules": "<f8",
                    "energy_source": "|S64"})}


def tensors(context, places):
    C = WIDTH
    names = {"tok_embed": (VOCABULARY, C), "pos_embed": (context, C), "place_embed": (places, C),
             "final_norm/scale": (C,), "final_norm/bias": (C,)}
    for layer in range(LAYERS):
        for name, shape in {"attn_norm/scale": (C,), "attn_norm/bias": (C,), "attn_qkv/weight": (3 * C, C),
                            "attn_qkv/bias": (3 * C,), "attn_out/weight": (C, C), "attn_out/bias": (C,),
                            "mlp_norm/scale": (C,), "mlp_norm/bias": (C,), "mlp_in/weight": (F, C),
                            "mlp_in/bias": (F,), "mlp_out/weight": (C, F), "mlp_out/bias": (C,)}.items():
            names[f"layers/{layer}/{name}"] = shape
    return names


def check_attributes(item, expected, more=False):
    """All that are expected; `more`: further settings are allowed."""
    found = set(item.attrs)
    assert found >= set(expected) and (more or found == set(expected)), (item.name, found ^ set(expected))
    for name in found - set(expected):
        assert item.attrs.get_id(name).dtype.str[:2] in ("<i", "<f", "|S"), (item.name, name)
    for name, kind in expected.items():
        attribute = item.attrs.get_id(name)
        assert attribute.shape == (), (item.name, name, attribute.shape)
        assert kind is None or attribute.dtype.str.startswith(kind), (item.name, name, attribute.dtype)


def check_dataset(item, kind, shape):
    assert item.dtype.str == kind and item.shape == shape, (item.name, item.dtype, item.shape)
    plan = item.id.get_create_plist()
    assert plan.get_layout() == h5py.h5d.CONTIGUOUS and plan.get_nfilters() == 0, item.name
    assert list(item.attrs) == ["digest"], item.name


def check_texts(item):
    """Fixed length, padded with NUL, UTF-8."""
    for kind in [item.id.get_type()] if isinstance(item, h5py.Dataset) else []:
        if isinstance(kind, h5py.h5t.TypeStringID):
            assert not kind.is_variable_str() and kind.get_strpad() == h5py.h5t.STR_NULLPAD, item.name
            assert kind.get_cset() == h5py.h5t.CSET_UTF8, item.name


def check_tensors(file):
    weights = file["weights"]
    check_attributes(weights, dict.fromkeys(SHAPE.split(), "<i8"))
    expected = tensors(weights.attrs["context"], weights.attrs["places"])
    for group in weights, file["optimizer/m"], file["optimizer/v"], file["optimizer/iterate"]:
        found = {}
        group.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        assert set(found) == set(expected), set(found) ^ set(expected)
        for name, shape in expected.items():
            check_dataset(found[name], "<f4", shape)
            assert np.isfinite(found[name][...]).all(), name
    assert not np.array_equal(weights["tok_embed"], file["optimizer/m/tok_embed"])
    assert not np.array_equal(weights["tok_embed"], file["optimizer/iterate/tok_embed"])


def check_values(file):
    root = file.attrs
    assert root["format"] == b"dtrain-checkpoint" and root["format_version"] == 1
    assert root["step"] == STEPS == file["state"].attrs["step"] == file["optimizer"].attrs["step"]
    assert file["config"].attrs["lr"] == 1 / 3 and file["config"].attrs["checkpoint-every"] == b"10m"
    ini = file["config/ini"][()].decode()
    assert "\nlr = 0.333" in ini and "\nout =" not in ini
    vocabulary = [token.decode() for token in file["tokenizer/vocab"]]
    assert vocabulary[0] == "$" and len(vocabulary) == len(set(vocabulary)) == VOCABULARY
    assert file["weights"].attrs["vocabulary"] == VOCABULARY
    assert list(file["metrics/train/step"]) == list(range(STEPS))
    assert np.array_equal(file["metrics/train/loss"], 2 / (1 + 0.1 * np.arange(STEPS)))
    assert list(file["metrics/validation/exact_match_subtract"]) == [0.25] * 3
    assert np.isnan(file["metrics/validation/exact_match_divide"]).all()
    assert file["metrics/history/host"][1].decode() == "nöde2"
    assert [stopped.decode() for stopped in file["metrics/history/stopped"]] == ["signal TERM", "running"]


def check(path):
    with open(path, "rb") as start:
        assert start.read(9)[8] == 0, "superblock version 0: every HDF5 reads it"
    with h5py.File(path, "r") as file:
        assert set(file) == set(signed.GROUPS)
        check_attributes(file, ROOT)
        check_attributes(file["config"], {name: kind for kind, names in SETTINGS.items() for name in names.split()},
                         more=True)
        check_attributes(file["optimizer"], OPTIMIZER)
        check_attributes(file["state"], STATE)
        check_tensors(file)
        for name, (rows, columns) in METRICS.items():
            assert set(file["metrics"][name]) == set(columns)
            for column, kind in columns.items():
                check_dataset(file["metrics"][name][column], kind, (rows,))
        check_values(file)
        datasets = 0
        for path, item in signed.items(file):
            check_texts(item)
            if isinstance(item, h5py.Dataset):
                assert item.attrs["digest"].decode() == signed.dataset_digest(item), path
                datasets += 1
        assert file.attrs["digest"].decode() == signed.file_digest(file)
        print(datasets, "datasets and the file: names, types, shapes and digests are right")


with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "x.h5"
    subprocess.run([sys.argv[1], "write", path], check=True)
    check(path)
