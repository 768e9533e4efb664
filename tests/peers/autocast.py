"""Compares dtrain's logits in bfloat16 with those of torch.autocast, by their distance from the exact logits.

    autocast.py CHECKPOINT BFLOAT16.json FLOAT32.json

`dtrain eval --dump-logits` writes the files, one in each precision, for the same problems. Exit code 0: dtrain's bfloat16 is as
far from the exact logits as PyTorch's, within a factor of two, and float32 is much nearer.
"""
import json
import pathlib
import sys

import numpy as np
import torch

import gpt

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
import logits as exact  # noqa: E402 pylint: disable=wrong-import-position


def rms(differences):
    return float(np.sqrt(np.mean(np.concatenate([d.ravel() for d in differences]) ** 2)))


def require(condition, sentence):
    if not condition:
        sys.exit(f"autocast.py: {sentence}")


def peer(checkpoint, dtype):
    weights = checkpoint.weights
    model = gpt.Model(checkpoint.layers, checkpoint.width, checkpoint.heads, len(checkpoint.vocabulary),
                      len(weights["pos_embed"]), len(weights["place_embed"])).to(dtype)
    model.load(weights)
    return model.eval()


def autocast_logits(model, inputs):
    """As torch.autocast computes them, but not rounded: sums in float32, as in dtrain."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = model.features(*inputs)
    weight = model.tok_embed.weight.bfloat16().float()
    return features.bfloat16().float() @ weight.T


def main(path, half_file, single_file):
    checkpoint = exact.Checkpoint(path)
    with open(half_file, encoding="utf-8") as file:
        half = json.load(file)
    with open(single_file, encoding="utf-8") as file:
        single = json.load(file)
    require(half["problems"] == single["problems"], "the files are of other problems")
    double, rounded = peer(checkpoint, torch.float64), peer(checkpoint, torch.float32)
    off = {"float64 of PyTorch": [], "bfloat16 of PyTorch": [], "bfloat16 of dtrain": [], "float32 of dtrain": []}
    with torch.no_grad():
        for ids, half_rows, single_rows in zip(half["tokens"], half["logits"], single["logits"]):
            right = checkpoint.logits(ids)
            inputs = [torch.tensor([values]) for values in (ids, *checkpoint.places(ids))]
            off["float64 of PyTorch"].append(double(*inputs)[0].numpy() - right)
            off["bfloat16 of PyTorch"].append(autocast_logits(rounded, inputs)[0].double().numpy() - right)
            off["bfloat16 of dtrain"].append(np.array(half_rows) - right)
            off["float32 of dtrain"].append(np.array(single_rows) - right)
    distance = {name: rms(differences) for name, differences in off.items()}
    for name, value in distance.items():
        print(f"{name}: {value:.3g} from the exact logits (root mean square)")
    ratio = distance["bfloat16 of dtrain"] / distance["bfloat16 of PyTorch"]
    print(f"bfloat16 of dtrain / of PyTorch: {ratio:.3f}")
    # Both compute the same model, and the errors come from bfloat16.
    require(distance["float64 of PyTorch"] < 1e-9, "PyTorch computes another model")
    require(distance["float32 of dtrain"] < distance["bfloat16 of dtrain"] / 30, "float32 is no better than bfloat16")
    require(0.5 <= ratio <= 2, "the error of bfloat16 is not of the size of PyTorch's")


if __name__ == "__main__":
    main(*sys.argv[1:])
