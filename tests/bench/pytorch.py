"""Trains the same models on the same problems with dtrain and with PyTorch, in turns, and compares tokens per second.

Usage: pytorch.py BUILD [--models small,wide] [--rounds N] [--steps N] [--shared] [--json] [SETTING=VALUE ...]; pytorch.sh builds,
makes the virtual environment and pins this to one core.

A step is that of bench_step: 256 problems in micro-batches of 32, and one update by AdamW. PyTorch runs eagerly, one thread; it
pads each micro-batch to its longest problem ("padded"), or has micro-batches of 32 texts of the problems' mean length, all tokens
of which count ("dense"). Tokens per second are those of the problems, without padding. PyTorch's attention is in float32 under
autocast as well: its bfloat16 one (2.15, CPU) takes two to five times as long.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time
import types

import torch
from torch.nn import functional

import report

HERE = pathlib.Path(__file__).parent
sys.path += [str(HERE.parent / "peers"), str(HERE.parent / "e2e")]
import gpt  # noqa: E402 pylint: disable=wrong-import-position
import logits  # noqa: E402 pylint: disable=wrong-import-position

BATCH, MICRO_BATCH, WARM_UP = 256, 32, 1
KINDS = ("padded", "dense")
PRECISIONS = ("float32", "bfloat16")
TARGETS = {"padded": 2.0, "dense": 1.3}


# ---- the problems ----

def read_problems(machine, count):
    """Tokens, positions, places and targets of each problem, as dtrain packs them."""
    output = subprocess.run(machine.command(0, "dtrain", "data", "--json", "--split", "train", "--count", count),
                            env=machine.environment(1), text=True, stdout=subprocess.PIPE, check=True).stdout
    rows = [json.loads(line) for line in output.splitlines()]
    vocabulary = {token: character for row in rows for token, character in zip(row["tokens"], row["text"])}
    rule = types.SimpleNamespace(vocabulary=vocabulary)
    problems = []
    for row in rows:
        ids = row["tokens"][:-1]
        positions, places = logits.Checkpoint.places(rule, ids)
        targets = [token if i + 1 >= row["given"] else -1 for i, token in enumerate(row["tokens"][1:])]
        problems.append((ids, positions, places, targets))
    return problems


def padded(problems):
    """One micro-batch, as long as its longest problem."""
    longest = max(len(ids) for ids, *_ in problems)
    filling = (0, 0, 0, -1)
    return [torch.tensor([values + [fill] * (longest - len(values)) for values in column])
            for column, fill in zip(zip(*problems), filling)]


def dense(problems, length):
    """One micro-batch of texts of that length, filled with the tokens of the problems."""
    columns = []
    for column in zip(*problems):
        stream = [value for values in column for value in values]
        stream = (stream * (1 + length * len(problems) // len(stream)))[: length * len(problems)]
        columns.append(torch.tensor(stream).view(len(problems), length))
    return columns


def cut(problems):
    return [problems[i:i + MICRO_BATCH] for i in range(0, len(problems), MICRO_BATCH)]


# ---- PyTorch ----

class Trainer:
    """A model that is trained on the same step repeatedly."""

    def __init__(self, model, vocabulary, problems, precision, kind):
        torch.manual_seed(1)
        length = round(statistics.mean(len(ids) for ids, *_ in problems))
        self.batches = [padded(part) if kind == "padded" else dense(part, length) for part in cut(problems)]
        self.tokens = sum(len(ids) for ids, *_ in problems) if kind == "padded" else length * len(problems)
        self.computed = sum(tokens.numel() for tokens, *_ in self.batches)
        largest = [1 + max(int(batch[i].max()) for batch in self.batches) for i in (1, 2)]
        self.model = gpt.Model(model["layers"], model["width"], model["heads"], vocabulary, *largest,
                               float32_attention=True)
        for parameter in self.model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.02)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.autocast = precision == "bfloat16"

    def step(self, now):
        """Seconds of a step, and its loss in nats per scored token."""
        start = now()
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        scored = sum(int((batch[3] >= 0).sum()) for batch in self.batches)
        for tokens, positions, places, targets in self.batches:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
                rows = self.model(tokens, positions, places).flatten(0, 1)
                loss = functional.cross_entropy(rows, targets.flatten(), ignore_index=-1, reduction="sum") / scored
            loss.backward()
            total += float(loss.detach())
        self.optimizer.step()
        return now() - start, total


def measure_torch(trainer, steps, now):
    """Tokens per second: the median of some steps after the warm-up."""
    rows = [trainer.step(now) for _ in range(WARM_UP + steps)]
    if not rows[-1][1] < rows[0][1]:
        sys.exit(f"pytorch.py: PyTorch does not learn: its loss goes from {rows[0][1]:.3f} to {rows[-1][1]:.3f}")
    return trainer.tokens / statistics.median(seconds for seconds, _ in rows[WARM_UP:])


# ---- both of them, in turns ----

def measure_dtrain(machine, model, precision, options):
    return machine.run(0, "bench_step", "-r", options.steps, *machine.clock,
                       *report.settings({**model, "precision": precision, "batch": BATCH}), "optimizer=adamw",
                       *options.settings)[0]


def measure_model(machine, model, options):
    now = time.thread_time if options.shared else time.perf_counter
    first = measure_dtrain(machine, model, "float32", options)
    vocabulary = next(p["n"] for p in first["products"] if p["name"] == "logits" and p["of"] == "forward")
    problems = read_problems(machine, BATCH)
    trainers = {(precision, kind): Trainer(model, vocabulary, problems, precision, kind)
                for precision in PRECISIONS for kind in KINDS}
    rates = {key: [] for key in [*(("dtrain", precision) for precision in PRECISIONS), *trainers]}
    for _ in range(options.rounds):
        for precision in PRECISIONS:
            rates["dtrain", precision].append(measure_dtrain(machine, model, precision, options)["tokens_per_second"])
            for kind in KINDS:
                rates[precision, kind].append(measure_torch(trainers[precision, kind], options.steps, now))
    result = {"parameters": first["parameters"], "torch_parameters": sum(p.numel() for p in trainers["float32", "dense"].model.parameters()),
              "share_of_tokens_in_padded": trainers["float32", "padded"].tokens / trainers["float32", "padded"].computed,
              "precisions": {}}
    for precision in PRECISIONS:
        own = rates["dtrain", precision]
        row = result["precisions"][precision] = {"dtrain": statistics.median(own)}
        for kind in KINDS:
            peer = rates[precision, kind]
            row[kind] = statistics.median(peer)
            row["ratio_" + kind] = statistics.median(mine / its for mine, its in zip(own, peer))
    return result


def print_results(result):
    machine = result["machine"]
    print(f"{machine['time']}, {machine['processor']}, load {machine['load']:.1f} before; PyTorch {result['torch']}, one thread each"
          + (", seconds on the processor" if result["clock"] == "processor" else ""))
    print(f"\n{'model':6} {'precision':9} {'dtrain':>10} {'padded':>10} {'dense':>10} {'dtrain / padded':>15} {'dtrain / dense':>14}"
          "   tokens/s")
    for name, model in result["models"].items():
        for precision, row in model["precisions"].items():
            print(f"{name:6} {precision:9} {row['dtrain']:10.0f} {row['padded']:10.0f} {row['dense']:10.0f} "
                  f"{row['ratio_padded']:15.2f} {row['ratio_dense']:14.2f}")
    for name, model in result["models"].items():
        print(f"{name}: {100 * model['share_of_tokens_in_padded']:.0f} % of the tokens in padded batches are tokens of problems")
    print("\n| figure | target | measured |\n|---|---|---|")
    for name, model in result["models"].items():
        row = model["precisions"]["bfloat16"]
        for kind in KINDS:
            print(f"| tokens/s dtrain / PyTorch, bfloat16, {kind}, {name} | >= {TARGETS[kind]} | {row['ratio_' + kind]:.2f} |")


def main():
    parser = argparse.ArgumentParser(description="Compare the speed of training with PyTorch's.")
    parser.add_argument("build", help="folder in which the programs are")
    parser.add_argument("settings", nargs="*", help="more settings of dtrain, such as optimizer=muon")
    parser.add_argument("--models", default=",".join(report.MODELS), help="of " + ", ".join(report.MODELS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn")
    parser.add_argument("--steps", type=int, default=3, help="that are measured in a turn")
    parser.add_argument("--shared", action="store_true", help="others use this core, too: seconds on the processor")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    for name in options.models.split(","):
        if name not in report.MODELS:
            parser.error(f"--models {name}: there are {', '.join(report.MODELS)}")
    torch.set_num_threads(1)
    machine = report.Machine(options.build, shared=options.shared)
    result = {"machine": report.describe(), "torch": torch.__version__, "clock": "processor" if options.shared else "real", "models": {}}
    for name in options.models.split(","):
        result["models"][name] = measure_model(machine, report.MODELS[name], options)
    if options.json:
        print(json.dumps(result))
    else:
        print_results(result)


if __name__ == "__main__":
    main()
