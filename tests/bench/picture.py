"""Draws README.md's picture of a run: exact answers and loss over its steps, and how its ranks share the work of a step.

Usage: /usr/bin/python3 tests/bench/picture.py RUN [--until STEP] > tests/bench/picture.svg

RUN is a run's folder, or a checkpoint. Steps, losses, validations, the number of shards, and the ranks of the first and the
last start come from the checkpoint, so that the picture shows what happened. The one in README.md is of such a run:

    mpirun -np 4 build/dtrain --out runs/picture --eval-every 50     # Ctrl-C after step 350
    mpirun -np 3 build/dtrain --out runs/picture
    /usr/bin/python3 tests/bench/picture.py runs/picture --until 1000 > tests/bench/picture.svg

Needs h5py (Debian: python3-h5py).
"""

import argparse
import math
import pathlib
import sys
from xml.sax.saxutils import escape

import h5py

OPERATIONS = (("add", "+", "#1f77b4"), ("subtract", "−", "#2ca02c"), ("multiply", "×", "#d62728"), ("divide", "÷", "#9467bd"))
RANKS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#eeca3b", "#9d755d")
INK, PALE = "#24292f", "#8c959f"
WIDTH, HEIGHT = 960, 400


# ---- the run ----

class Run:
    """What is drawn of a run."""

    def __init__(self, path, until):
        if path.is_dir():
            path = path / "latest.h5"
        with h5py.File(path) as file:
            self.loss = file["metrics/train/loss"][:until]
            self.until = len(self.loss)
            validation = file["metrics/validation"]
            self.validated = [int(step) for step in validation["step"] if step <= self.until]
            self.exact = {name: validation[f"exact_match_{name}"][:len(self.validated)] for name, _, _ in OPERATIONS}
            self.batch = int(file["config"].attrs["batch"])
            self.shards = int(file["config"].attrs["shards"])
            history = file["metrics/history"]
            starts = [(int(step), int(ranks)) for step, ranks in zip(history["step"], history["ranks"])]
        self.starts = [start for start in starts if start[0] < self.until]

    def ranks(self):
        """Numbers of ranks of the first and the last start, larger first; one number if they are the same."""
        return sorted({self.starts[0][1], self.starts[-1][1]}, reverse=True)


def shard_ranges(shards, ranks):
    """Which shards each rank computes, as dt_shard_range has it."""
    return [(rank * shards // ranks, (rank + 1) * shards // ranks) for rank in range(ranks)]


# ---- drawing ----

def text(x, y, words, anchor="start", size=12, colour=INK, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{extra}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour=PALE, width=1, extra=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{extra}/>'


def box(x, y, width, height, fill, words="", colour="#ffffff"):
    drawn = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" fill="{fill}"/>'
    return drawn + (text(x + width / 2, y + height / 2 + 4, words, "middle", 12, colour) if words else "")


def curve(points, colour, width):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


class Panel:
    """A frame with steps from left to right and values from bottom to top."""

    def __init__(self, left, top, width, height, steps, low, high):
        self.left, self.top, self.width, self.height = left, top, width, height
        self.steps, self.low, self.high = steps, low, high

    def at(self, step, value):
        share = (value - self.low) / (self.high - self.low)
        return self.left + self.width * step / self.steps, self.top + self.height * (1 - min(max(share, 0), 1))

    def grid(self, values):
        """Horizontal lines: (value, label)."""
        drawn = []
        for value, label in values:
            _, y = self.at(0, value)
            drawn += [line(self.left, y, self.left + self.width, y, "#d0d7de"),
                      text(self.left - 6, y + 4, label, "end", 11, PALE)]
        return drawn


def steps_of_axis(until):
    """About six round numbers from 0 on."""
    power = 10 ** int(math.log10(until))
    every = next(every for every in (power // 10, power // 5, power // 2, power, 2 * power) if every and until / every <= 6)
    return range(0, until + 1, every)


def draw_curves(run):
    exact = Panel(52, 44, 440, 190, run.until, 0, 100)
    low = math.floor(math.log10(min(run.loss)))
    high = math.ceil(math.log10(max(run.loss)))
    loss = Panel(52, 262, 440, 92, run.until, low, high)
    drawn = [text(52, 24, "Exact answers to problems never trained on, %", size=13, extra=' font-weight="600"'),
             text(loss.left, loss.top - 6, "training loss, nats per token", colour=PALE, size=11)]
    drawn += exact.grid([(value, str(value)) for value in (0, 25, 50, 75, 100)])
    drawn += loss.grid([(power, f"{10.0 ** power:g}") for power in range(low, high + 1)])
    for step in steps_of_axis(run.until):
        x, _ = loss.at(step, low)
        drawn.append(text(x, loss.top + loss.height + 16, str(step), "middle", 11, PALE))
    drawn.append(text(loss.left + loss.width / 2, loss.top + loss.height + 34,
                      f"steps of {run.batch} problems", "middle", 11, PALE))
    drawn.append(curve([loss.at(step, math.log10(value)) for step, value in enumerate(run.loss)], "#57606a", 1))
    for i, (name, symbol, colour) in enumerate(OPERATIONS):
        points = [(step, 100 * value) for step, value in zip(run.validated, run.exact[name]) if value == value]
        drawn.append(curve([exact.at(*point) for point in points], colour, 2.2))
        drawn.append(text(exact.left + exact.width - 84 + 22 * i, exact.top + exact.height - 12, symbol, "middle", 20, colour))
    return drawn + draw_starts(run, exact, loss)


def draw_starts(run, exact, loss):
    """Where the run was stopped and went on."""
    drawn = []
    for before, (step, ranks) in zip(run.starts, run.starts[1:]):
        x, _ = exact.at(step, 0)
        for panel in exact, loss:
            drawn.append(line(x, panel.top, x, panel.top + panel.height, INK, 1, ' stroke-dasharray="4 3"'))
        foot = exact.top + exact.height
        drawn.append(text(x + 6, foot - 22, f"stopped on {before[1]} ranks,"))
        drawn.append(text(x + 6, foot - 7, f"went on with {ranks}: the same bits"))
    return drawn


def draw_ranks(run, left, width, top):
    """A row for each number of ranks: which rank has which shards."""
    drawn, each = [], width / run.shards
    for row, ranks in enumerate(run.ranks()):
        y = top + 34 * row
        drawn.append(text(left - 10, y + 17, f"{ranks} ranks", "end"))
        for rank, (begin, end) in enumerate(shard_ranges(run.shards, ranks)):
            drawn.append(box(left + each * begin + 2, y, each * (end - begin) - 4, 26, RANKS[rank % len(RANKS)], f"rank {rank}"))
    return drawn


def draw_tree(run, left, width, top, bottom):
    """Shards, and the tree that adds their gradients."""
    drawn, each = [], width / run.shards
    drawn.append(text(left - 10, top + 17, f"{run.shards} shards", "end"))
    at = []
    for shard in range(run.shards):
        drawn.append(box(left + each * shard + 2, top, each - 4, 26, "#eaeef2", str(shard), INK))
        at.append(left + each * (shard + 0.5))
    levels = int(math.log2(run.shards))
    y, rise = top + 26, (bottom - top - 26) / max(levels, 1)
    for level in range(levels):
        above, y = y + (0 if level == 0 else 9), y + rise
        pairs = [(a + b) / 2 for a, b in zip(at[::2], at[1::2])]
        drawn += [line(x, above, pairs[i // 2], y, PALE, 1.4) for i, x in enumerate(at)]
        at = pairs
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="#ffffff" stroke="{INK}"/>' + text(x, y + 5, "+", "middle", 14)
                  for x in at]
    drawn.append(text(left - 10, (top + bottom) / 2 + 8, "sum of their", "end"))
    drawn.append(text(left - 10, (top + bottom) / 2 + 24, "gradients", "end"))
    drawn.append(text(at[0], bottom + 30, "one update of the weights", "middle"))
    return drawn


def draw(run):
    left, width = 632, 312
    last = 58 + 34 * len(run.ranks())
    words = "How ranks share a step" if len(run.ranks()) == 1 else "Any number of ranks, one sum"
    drawn = [text(548, 24, words, size=13, extra=' font-weight="600"')]
    drawn += draw_ranks(run, left, width, 44)
    drawn += draw_tree(run, left, width, last, 330)
    label = (f"Exact answers and loss of a run over {run.until} steps, and its {run.shards} shards, "
             f"which ranks share and one tree adds up")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" role="img" aria-label="{escape(label)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>', *draw_curves(run), *drawn, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description="Draw a run as SVG, on standard output.")
    parser.add_argument("run", type=pathlib.Path, help="a run's folder, or a checkpoint")
    parser.add_argument("--until", type=int, metavar="STEP", help="the steps up to this one")
    options = parser.parse_args()
    run = Run(options.run, options.until)
    if run.until < 2 or not run.validated:
        sys.exit(f"picture.py: {options.run}: too few steps, or no validation, to draw")
    sys.stdout.write(draw(run))


if __name__ == "__main__":
    main()
