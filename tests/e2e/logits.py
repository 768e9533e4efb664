#!/usr/bin/python3
"""Recomputes a batch's logits from a checkpoint with numpy, in double precision, using only the file's schema.

    dtrain eval CHECKPOINT --dump-logits FILE.json
    logits.py CHECKPOINT FILE.json

Prints the largest difference. Exit code 0: every logit agrees to 1e-4, absolute plus relative; 1: one does not, or
a file cannot be read or does not fit the schema.
"""
import json
import sys

import h5py
import numpy as np

TOLERANCE = 1e-4
NORM_EPSILON = 1e-5


class Mismatch(Exception):
    """A file that is not what the schema says."""


def require(condition, sentence):
    if not condition:
        raise Mismatch(sentence)


class Checkpoint:
    """The parts of a checkpoint that the forward pass needs."""

    def __init__(self, path):
        with h5py.File(path, "r") as file:
            kind = file.attrs["format"]
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
            require(kind == "dtrain-checkpoint", f"{path}: format is {kind!r}")
            require(int(file.attrs["format_version"]) == 1, f"{path}: unknown format_version")
            self.layers = int(file["config"].attrs["layers"])
            self.heads = int(file["config"].attrs["heads"])
            self.width = int(file["config"].attrs["width"])
            embedding = file["config"].attrs.get("place-embedding", "learned")
            self.rotary = (embedding.decode() if isinstance(embedding, bytes) else str(embedding)) == "rotary"
            self.window = int(file["config"].attrs.get("place-window", 0))
            self.vocabulary = [
                word.decode() if isinstance(word, bytes) else str(word)
                for word in file["tokenizer/vocab"][:]
            ]
            self.weights = {}
            file["weights"].visititems(self._keep)
        self._check_shapes()

    def _keep(self, name, item):
        if isinstance(item, h5py.Dataset):
            require(item.dtype == np.float32, f"/weights/{name} is {item.dtype}, not float32")
            self.weights[name] = item[:].astype(np.float64)

    def _check_shapes(self):
        width, hidden = self.width, self.weights["layers/0/mlp_in/weight"].shape[0]
        require(width % self.heads == 0, f"{self.heads} heads do not divide the width {width}")
        positions, places = self.weights["pos_embed"].shape[0], self.weights["place_embed"].shape[0]
        expected = {
            "tok_embed": (len(self.vocabulary), width),
            "pos_embed": (positions, width),
            "place_embed": (places, width),
            "final_norm/scale": (width,),
            "final_norm/bias": (width,),
        }
        for layer in range(self.layers):
            for name, shape in {
                "attn_norm/scale": (width,),
                "attn_norm/bias": (width,),
                "attn_qkv/weight": (3 * width, width),
                "attn_qkv/bias": (3 * width,),
                "attn_out/weight": (width, width),
                "attn_out/bias": (width,),
                "mlp_norm/scale": (width,),
                "mlp_norm/bias": (width,),
                "mlp_in/weight": (hidden, width),
                "mlp_in/bias": (hidden,),
                "mlp_out/weight": (width, hidden),
                "mlp_out/bias": (width,),
            }.items():
                expected[f"layers/{layer}/{name}"] = shape
        actual = {name: value.shape for name, value in self.weights.items()}
        for name in sorted(set(expected) | set(actual)):
            require(
                actual.get(name) == expected.get(name),
                f"/weights/{name} is {actual.get(name)}, the schema says {expected.get(name)}",
            )

    def linear(self, name, x):
        return x @ self.weights[name + "/weight"].T + self.weights[name + "/bias"]

    def norm(self, name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + NORM_EPSILON)
        return scaled * self.weights[name + "/scale"] + self.weights[name + "/bias"]

    def places(self, tokens):
        """Positions: how many tokens before are not part of a number. Places: 1 for the first digit of a number, 2 for the next, and so
        on to the token after the number; otherwise 0. A carry in a number, and the letter after it, have the number's next position."""
        positions, places, of_number, digits, carried = [0], [], [], 0, False
        for token in tokens:
            is_digit = self.vocabulary[token] in tuple("0123456789jklmnopqst")
            places.append(digits + 1 if is_digit or digits else 0)
            behind_carry = carried and self.vocabulary[token] in tuple("KLMNOPQRST")
            carried = bool(digits) and self.vocabulary[token] in tuple("abcdefghi")
            of_number.append(is_digit or carried or behind_carry)
            if carried or behind_carry:
                positions.append(positions[-1])
                continue
            digits = digits + 1 if is_digit else 0
            positions.append(positions[-1] + (not is_digit))
        return positions[:-1], np.array(places), np.array(of_number)

    def seen(self, places, of_number):
        """In a window a token that is part of a number sees what is near and what has no place; another one no digit that is not near."""
        count = len(places)
        seen = np.tril(np.ones((count, count), dtype=bool))
        if self.window == 0:
            return seen
        for i in range(count):
            for j in range(i + 1):
                near = places[i] and places[j] and abs(places[i] - places[j]) <= self.window
                seen[i, j] = near or (not places[j] if of_number[i] else not of_number[j])
        return seen

    def turned(self, x, places):
        """Queries or keys (n, C). In the first half of each head a pair of channels turns once in a wavelength of pi to 100 places."""
        pairs = self.width // self.heads // 2
        turning = pairs // 2
        step = np.arange(turning) * self.heads + np.arange(self.heads)[:, None]
        turn = np.zeros((self.heads, pairs))
        turn[:, :turning] = 2 * np.pi / (np.pi * (100 / np.pi) ** (step / (turning * self.heads - 1)))
        complex_x = x.reshape(len(x), self.heads, pairs, 2) @ np.array([1, 1j])
        complex_x = complex_x * np.exp(1j * turn * np.maximum(places, 1)[:, None, None])
        return np.stack([complex_x.real, complex_x.imag], axis=-1).reshape(x.shape)

    def attention(self, qkv, seen):
        """Causal, over the whole of one problem: (n, 3C) to (n, C)."""
        count, depth = len(qkv), self.width // self.heads
        q, k, v = (
            part.reshape(count, self.heads, depth).transpose(1, 0, 2) for part in np.split(qkv, 3, axis=1)
        )
        score = q @ k.transpose(0, 2, 1) / np.sqrt(depth)
        score = np.where(seen, score, -np.inf)
        share = np.exp(score - score.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        return (share @ v).transpose(1, 0, 2).reshape(count, self.width)

    def logits(self, tokens):
        """Of one problem: (n tokens) to (n, V)."""
        weights = self.weights
        positions, places, of_number = self.places(tokens)
        seen = self.seen(places, of_number)
        x = weights["tok_embed"][tokens] + weights["pos_embed"][positions]
        if not self.rotary:
            x = x + weights["place_embed"][places]
        for layer in range(self.layers):
            at = f"layers/{layer}/"
            qkv = self.linear(at + "attn_qkv", self.norm(at + "attn_norm", x))
            if self.rotary:
                q, k, v = np.split(qkv, 3, axis=1)
                qkv = np.concatenate([self.turned(q, places), self.turned(k, places), v], axis=1)
            attended = self.attention(qkv, seen)
            x = x + self.linear(at + "attn_out", attended)
            hidden = gelu(self.linear(at + "mlp_in", self.norm(at + "mlp_norm", x)))
            x = x + self.linear(at + "mlp_out", hidden)
        return self.norm("final_norm", x) @ weights["tok_embed"].T


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def compare(checkpoint, batch):
    """The largest difference, the largest share of the allowed difference, and the number of logits."""
    largest, excess, count = 0.0, 0.0, 0
    texts, tokens, logits = batch["problems"], batch["tokens"], batch["logits"]
    require(len(texts) > 0, "the batch is empty")
    require(len(texts) == len(tokens) == len(logits), "problems, tokens and logits differ in number")
    for text, ids, rows in zip(texts, tokens, logits):
        written = "".join(checkpoint.vocabulary[token] for token in ids)
        require(text.startswith(written), f"the tokens say {written!r}, the problem is {text!r}")
        actual = np.array(rows, dtype=np.float64)
        expected = checkpoint.logits(ids)
        require(actual.shape == expected.shape, f"logits are {actual.shape}, not {expected.shape}: {text}")
        difference = np.abs(actual - expected)
        # A NaN does not agree.
        difference[~np.isfinite(actual)] = np.inf
        largest = max(largest, float(difference.max()))
        excess = max(excess, float((difference / (TOLERANCE * (1 + np.abs(expected)))).max()))
        count += actual.size
    return largest, excess, count


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        checkpoint = Checkpoint(arguments[1])
        with open(arguments[2], encoding="utf-8") as file:
            batch = json.load(file)
        largest, excess, count = compare(checkpoint, batch)
    except (Mismatch, OSError, KeyError, IndexError, ValueError) as error:
        print(f"logits.py: {error!r}", file=sys.stderr)
        return 1
    verdict = "agree" if excess <= 1 else "DIFFER"
    print(f"{count} logits of {len(batch['problems'])} problems {verdict}: largest difference {largest:.3g}, "
          f"{excess:.3g} of what is allowed")
    return 0 if excess <= 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
