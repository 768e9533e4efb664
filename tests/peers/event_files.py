"""Whether TensorBoard reads from the folder of a run what its newest checkpoint has: each step once, with the same values.

Usage: event_files.py RUN [--files N]
"""
import argparse
import json
import pathlib
import sys

import h5py
import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing import plugin_event_accumulator

TRAIN = {"loss": "loss", "learning_rate": "lr", "gradient_norm": "grad_norm"}
VALIDATION = ("loss", "perplexity", "token_accuracy", "exact_match", "exact_match_add", "exact_match_subtract",
              "exact_match_multiply", "exact_match_divide")


def compare(events, tag, steps, values):
    """The points of a curve are these, rounded to float32."""
    points = events.Scalars(tag) if tag in events.Tags()["scalars"] else []
    assert [p.step for p in points] == list(steps), (tag, [p.step for p in points], list(steps))
    got, expected = (numpy.array(v, "float32") for v in ([p.value for p in points], values))
    assert numpy.array_equal(got, expected, equal_nan=True), (tag, got, expected)
    return len(points)


def compare_samples(run):
    """The samples are those of the log, as Markdown shows them as they are. The other reader drops no texts of steps that are
    made again."""
    events = plugin_event_accumulator.EventAccumulator(str(run), tensor_size_guidance={"samples": 0})
    events.Reload()
    logged = {}
    log = run / "log.jsonl"
    for line in log.read_text().splitlines() if log.exists() else ():
        event = json.loads(line)
        if event["event"] == "sample":
            logged[event["step"]] = "\n".join("    " + part for part in event["text"].split("\n"))
    tensors = events.Tensors("samples") if "samples" in events.Tags()["tensors"] else []
    shown = {t.step: t.tensor_proto.string_val[0].decode() for t in tensors}
    assert shown == logged and len(tensors) == len(logged), (shown, logged)
    if logged:
        assert events.SummaryMetadata("samples").plugin_data.plugin_name == "text"
    return len(shown)


parser = argparse.ArgumentParser()
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("--files", type=int, help="how many event files there must be")
arguments = parser.parse_args()
files = sorted(arguments.run.glob("events.out.tfevents.*"))
assert arguments.files in (None, len(files)), files
events = EventAccumulator(str(arguments.run), size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
compared = 0
with h5py.File(arguments.run / "latest.h5") as file:
    train, validation = file["metrics/train"], file["metrics/validation"]
    steps = train["step"][()] + 1  # updates made
    for tag, name in TRAIN.items():
        compared += compare(events, f"train/{tag}", steps, train[name][()])
    compared += compare(events, "train/tokens_per_second", steps, train["tokens"][()] / train["seconds"][()])
    if "joules" in train and not numpy.isnan(train["joules"][()]).any():
        compared += compare(events, "train/joules", steps, train["joules"][()])
    for name in VALIDATION:
        if name not in validation:
            continue
        values = validation[name][()]
        known = ~numpy.isnan(values)
        compared += compare(events, f"validation/{name}", validation["step"][()][known], values[known])
compared += compare_samples(arguments.run)
print(f"{arguments.run}: {compared} values of {len(files)} files are those of the checkpoint")
sys.exit(compared == 0)
