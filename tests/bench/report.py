"""Measures this machine with the benchmark programs, and reports as text or JSON.

Usage: report.py BUILD [--only SECTION,...] [--rounds N] [--quick] [--shared] [--json] [--into FILE]; run.sh builds, then calls this.
"""

import argparse
import contextlib
import io
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# The reference models: the default job, and a wide one. Settings of dtrain.
MODELS = {
    "small": {"layers": 4, "width": 128, "heads": 4, "precision": "float32"},
    "wide": {"layers": 6, "width": 256, "heads": 8, "precision": "float32"},
}
# So small that everything takes seconds: to test that it runs.
QUICK_MODELS = {
    "small": {"layers": 1, "width": 32, "heads": 2, "precision": "float32"},
    "wide": {"layers": 1, "width": 64, "heads": 2, "precision": "float32"},
}


def cores():
    return len(os.sched_getaffinity(0))


def settings(values):
    return [f"{name}={value}" for name, value in values.items()]


class Machine:
    """Starts programs, with or without ranks, and reads the JSON objects that they print."""

    def __init__(self, build, quick=False, rounds=3, shared=False):
        self.build = pathlib.Path(build).resolve()
        self.quick = quick
        self.rounds = 1 if quick else rounds
        self.models = QUICK_MODELS if quick else MODELS
        self.batch = 16 if quick else 256
        self.clock = ["-c"] if shared else []

    @staticmethod
    def environment(ranks):
        env = dict(os.environ)
        # Kernels for an older processor would not show the machine's speed.
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            env.pop(name, None)
        env.update(OPENBLAS_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   HWLOC_COMPONENTS="-opencl")
        if ranks > cores():
            env.update(OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1")
        return env

    def command(self, ranks, program, *arguments):
        launcher = ["mpirun", "-np", str(ranks)] if ranks else []
        return [*launcher, str(self.build / program), *map(str, arguments)]

    def run(self, ranks, program, *arguments):
        """The JSON objects that a program prints, one a line."""
        command = self.command(ranks, program, *arguments)
        result = subprocess.run(command, env=self.environment(ranks), text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, check=False, timeout=600)
        if result.returncode:
            sys.exit(f"report.py: exit code {result.returncode} from {' '.join(command)}")
        return [json.loads(line) for line in result.stdout.splitlines()]

    def ranks(self):
        """Numbers of ranks to measure. If others use the processors too, only one rank can be measured."""
        if self.clock:
            return [1]
        return [1, 2] if self.quick else [1, 2, 4]


def median_of(rows, name):
    return statistics.median(row[name] for row in rows)


# ---- training ----

def merge_steps(rows):
    """Several runs of bench_step as one: medians of rates and parts."""
    merged = dict(rows[0])
    for name in ("step_seconds", "tokens_per_second", "problems_per_second", "model_gflops", "sgemm_gflops", "ratio"):
        merged[name] = median_of(rows, name)
    merged["split"] = {
        part: [statistics.median(row["split"][part][way] for row in rows) for way in (0, 1)] for part in merged["split"]}
    for i, product in enumerate(merged["products"]):
        for rate in ("gflops", "own_gflops"):
            product[rate] = statistics.median(row["products"][i][rate] for row in rows)
    return merged


def measure_training(machine):
    """Rates and splits by model and number of ranks; the numbers of ranks take turns."""
    result = {}
    for name, model in machine.models.items():
        rows = {ranks: [] for ranks in machine.ranks()}
        for _ in range(machine.rounds):
            for ranks, found in rows.items():
                arguments = ["-r", 1 if machine.quick else 5, *machine.clock, *settings(model),
                             f"batch={machine.batch}"]
                found += machine.run(ranks, "bench_step", *arguments)
        result[name] = {str(ranks): merge_steps(found) for ranks, found in rows.items()}
        for ranks, found in rows.items():
            pairs = zip(found, rows[1])
            result[name][str(ranks)]["speedup"] = statistics.median(
                row["tokens_per_second"] / one["tokens_per_second"] for row, one in pairs)
            result[name][str(ranks)]["oversubscribed"] = ranks > cores()
    return result


def print_training(result):
    print(f"{'model':6} {'ranks':>5} {'tokens/s':>10} {'problems/s':>10} {'model GFLOP/s':>13} {'sgemm GFLOP/s':>13} "
          f"{'ratio':>6} {'speed-up':>8}")
    for name, by_ranks in result.items():
        for ranks, row in by_ranks.items():
            note = "  more ranks than cores" if row["oversubscribed"] else ""
            print(f"{name:6} {ranks:>5} {row['tokens_per_second']:10.0f} {row['problems_per_second']:10.0f} "
                  f"{row['model_gflops']:13.1f} {row['sgemm_gflops']:13.1f} {row['ratio']:6.3f} {row['speedup']:8.2f}{note}")
    for name, by_ranks in result.items():
        for ranks, row in by_ranks.items():
            print_split(name, ranks, row)
    for name, by_ranks in result.items():
        print_products(name, by_ranks["1"])


def print_split(name, ranks, row):
    step, tokens = row["step_seconds"], row["tokens_per_second"] * row["step_seconds"] / int(ranks)
    print(f"\nA step of {name} on {ranks} rank{'s' if ranks != '1' else ''}: {1e3 * step:.2f} ms, "
          f"{row['tokens_per_pass']} tokens per micro-batch")
    print(f"  {'part':11} {'forward ms':>10} {'backward ms':>11} {'share':>7} {'GFLOP/s of its products':>23}")
    for part, (forward, backward) in row["split"].items():
        # One product in the forward pass means two in the backward pass.
        work = sum(2 * p["n"] * p["k"] * p["times"] for p in row["products"]
                   if p["of"] == "forward" and p["name"].startswith(part))
        rates = f"{1e-9 * tokens * work / forward:9.1f} {2e-9 * tokens * work / backward:9.1f}" if work else ""
        print(f"  {part:11} {1e3 * forward:10.3f} {1e3 * backward:11.3f} {100 * (forward + backward) / step:6.2f}%    {rates}".rstrip())
    update = sum(row["split"]["update"])
    print(f"  beside sgemm alone: {row['ratio']:.3f}, without the update {row['ratio'] * step / (step - update):.3f}")


def print_products(name, row):
    print(f"\nMatrix products of {name} alone, one rank, GFLOP/s")
    print(f"  {'product':10} {'of':15} {'M':>5} {'N':>5} {'K':>5} {'BLAS':>8} {'dtrain':>8} {'ratio':>6}")
    for p in row["products"]:
        print(f"  {p['name']:10} {p['of']:15} {p['m']:5} {p['n']:5} {p['k']:5} {p['gflops']:8.1f} {p['own_gflops']:8.1f} "
              f"{p['own_gflops'] / p['gflops']:6.2f}")


# ---- precision ----

def measure_precision(machine):
    """Steps in float32 and bfloat16, on one rank and on two, all in turn; and the kernel compared with its peak."""
    result = {}
    for name, model in machine.models.items():
        runs = {(precision, ranks): [] for ranks in machine.ranks()[:2] for precision in ("float32", "bfloat16")}
        kernel = []
        for _ in range(machine.rounds):
            for (precision, ranks), found in runs.items():
                found += machine.run(ranks, "bench_step", "-r", 1 if machine.quick else 5, *machine.clock,
                                     *settings({**model, "precision": precision}), f"batch={machine.batch}")
            kernel += machine.run(0, "bench_bfloat16", "-r", 1 if machine.quick else 11, *machine.clock, *settings(model))
        steps = {f"{precision} {ranks}": merge_steps(found) for (precision, ranks), found in runs.items()}
        for (precision, ranks), found in runs.items():
            row = steps[f"{precision} {ranks}"]
            row["oversubscribed"] = ranks > cores()
            for other, beside in (("float32", ("float32", ranks)), ("one_rank", (precision, 1))):
                row["beside_" + other] = statistics.median(
                    mine["tokens_per_second"] / its["tokens_per_second"] for mine, its in zip(found, runs[beside]))
        result[name] = {"steps": steps, "kernel": merge_kernels(kernel)}
    return result


def merge_kernels(rows):
    """Several runs of bench_bfloat16 as one: medians, or None for missing values."""
    merged = dict(rows[0])
    for name, value in merged.items():
        if name == "ratio" or name.endswith("_gflops"):
            merged[name] = None if value is None else median_of(rows, name)
    for i, product in enumerate(merged["products"]):
        for name in product:
            if name.endswith("_gflops"):
                product[name] = statistics.median(row["products"][i][name] for row in rows)
    return merged


def number(value, form="8.1f"):
    """As a column; "-" for a missing value."""
    return "-".rjust(int(form.split(".")[0])) if value is None else format(value, form)


def print_precision(result):
    print(f"{'model':6} {'precision':9} {'ranks':>5} {'tokens/s':>10} {'model GFLOP/s':>13} {'beside float32':>14} "
          f"{'beside one rank':>15} {'activations MB':>14}")
    for name, row in result.items():
        for steps in row["steps"].values():
            note = "  more ranks than cores" if steps["oversubscribed"] else ""
            print(f"{name:6} {steps['precision']:9} {steps['ranks']:5} {steps['tokens_per_second']:10.0f} "
                  f"{steps['model_gflops']:13.1f} {steps['beside_float32']:14.2f} {steps['beside_one_rank']:15.2f} "
                  f"{steps['activation_bytes'] / 1e6:14.1f}{note}")
    for name, row in result.items():
        print_split(name + " in bfloat16", "1", row["steps"]["bfloat16 1"])
    ways = ("blas", "float32", "layer", "bfloat16", "plain", "onednn")
    for name, row in result.items():
        kernel = row["kernel"]
        print(f"\nMatrix products of {name} alone, one core, GFLOP/s: BLAS and the kernel in float32, packing included; bfloat16 as a "
              "layer computes them,\nrounding and packing included, and by the kernel alone, also without the instruction"
              + (f"; oneDNN ({kernel['onednn']}), both sides packed before" if kernel["onednn"] else ""))
        print(f"  {'product':10} {'of':15} {'M':>5} {'N':>5} {'K':>5} {'BLAS':>8} {'float32':>8} {'layer':>8} {'bfloat16':>8} "
              f"{'plain':>8} {'oneDNN':>8}")
        for p in kernel["products"]:
            print(f"  {p['name']:10} {p['of']:15} {p['m']:5} {p['n']:5} {p['k']:5} "
                  + " ".join(number(p.get(way + "_gflops")) for way in ways))
        print(f"  {'all of them':44} " + " ".join(number(kernel.get(way + "_gflops")) for way in ways))
        print(f"  {'multiplications and additions in registers':44} {'':8} {number(kernel['float32_peak_gflops'])} {'':8} "
              f"{number(kernel['bfloat16_peak_gflops'])}")
        if not kernel["instruction"]:
            print("  This processor, or the compiler, has no instruction for products of bfloat16.")


# ---- the sum of gradients ----

def measure_reduction(machine):
    largest = 1 if machine.quick else 64
    repetitions = 3 if machine.quick else 11
    return [row for ranks in machine.ranks() if ranks > 1
            for row in machine.run(ranks, "bench_reduce", "-j", "-r", repetitions, "-m", largest)]


def print_reduction(rows):
    print(f"{'ranks':>5} {'MB':>6} {'dtrain ms':>10} {'MPI_Allreduce ms':>16} {'memcpy ms':>10} {'dtrain / MPI_Allreduce':>22}")
    for row in rows:
        print(f"{row['ranks']:5} {row['bytes'] / 1e6:6.1f} {1e3 * row['reducer_seconds']:10.3f} "
              f"{1e3 * row['allreduce_seconds']:16.3f} {1e3 * row['memcpy_seconds']:10.3f} {row['ratio']:22.3f}")


# ---- between nodes ----

def measure_overlap(machine):
    repetitions = 3 if machine.quick else 15
    result = {}
    for name, model in machine.models.items():
        result[name] = [row for ranks in machine.ranks() if 1 < ranks <= cores()
                        for row in machine.run(ranks, "bench_overlap", "-r", repetitions, *settings(model),
                                               f"batch={machine.batch}")]
    return result


def print_overlap(result):
    print(f"{'model':6} {'nodes':>5} {'MB':>6} {'step ms':>9} {'overlapped':>10} {'after passes ms':>15} {'overlapped':>10} "
          f"{'hidden':>7}")
    for name, rows in result.items():
        for row in rows:
            step, after = row["step_seconds"], row["after_seconds"]
            print(f"{name:6} {row['nodes']:5} {row['bytes'] / 1e6:6.1f} {1e3 * step[0]:9.2f} {1e3 * step[1]:10.2f} "
                  f"{1e3 * after[0]:15.2f} {1e3 * after[1]:10.2f} {100 * (1 - after[1] / after[0]):6.0f}%")


# ---- checkpoints ----

def measure_checkpoints(machine):
    with tempfile.TemporaryDirectory() as folder:
        largest, repetitions = (1, 1) if machine.quick else (10, 11)
        return machine.run(0, "bench_checkpoint", "-j", "-r", repetitions, "-m", largest, "-d", f"{folder}/run")


def print_checkpoints(rows):
    print(f"{'parameters':>10} {'MB':>6} {'training waits ms':>17} {'memcpy ms':>10} {'on disk after ms':>16}")
    for row in rows:
        print(f"{row['parameters']:10} {row['bytes'] / 1e6:6.1f} {1e3 * row['wait_seconds']:17.3f} "
              f"{1e3 * row['memcpy_seconds']:10.3f} {1e3 * row['write_seconds']:16.1f}")


# ---- validation and answers ----

def measure_answers(machine):
    result = {}
    problems, repetitions = (64, 1) if machine.quick else (512, 5)
    for name, model in machine.models.items():
        result[name] = machine.run(0, "bench_answer", "-r", repetitions, "-n", problems, *settings(model))[0]
        result[name]["ask_seconds"] = time_ask(machine, model)
    return result


def time_ask(machine, model):
    """Seconds of one `dtrain ask`, from the start of the program to its end."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        options = [f"--{name}={value}" for name, value in model.items()]
        run = f"{folder}/run"
        train(machine, 0, *options, "--steps=1", "--batch=16", "--eval-every=0", f"--out={run}")
        for _ in range(1 if machine.quick else 7):
            start = time.monotonic()
            # An untrained model may write something that is not an answer.
            subprocess.run(machine.command(0, "dtrain", "ask", run, "12+34"), env=machine.environment(1),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            seconds.append(time.monotonic() - start)
    return statistics.median(seconds)


def print_answers(result):
    print(f"{'model':6} {'validation problems/s':>21} {'share of sgemm':>14} {'answers/s, 64 at once':>21} "
          f"{'one by one':>10} {'one dtrain ask, ms':>18}")
    for name, row in result.items():
        print(f"{name:6} {row['validation_problems_per_second']:21.0f} {row['ratio']:14.3f} "
              f"{row['answers_per_second']:21.0f} {row['ask_answers_per_second']:10.0f} {1e3 * row['ask_seconds']:18.0f}")


# ---- whole runs: memory, start ----

def train(machine, ranks, *options, watch=None):
    """A run of dtrain; watch(process) is called during the run."""
    command = machine.command(ranks, "dtrain", *options)
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, env=machine.environment(max(ranks, 1)), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=errors) as process:
            if watch:
                watch(process)
            code = process.wait()
        if code:
            errors.seek(0)
            sys.exit(f"report.py: exit code {code} from {' '.join(command)}\n{errors.read()}")


def resident(process):
    """Proportional memory in bytes of the children of mpirun, by kind; {} if a process has ended."""
    total = {}
    try:
        children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for child in children:
            for line in pathlib.Path(f"/proc/{child}/smaps_rollup").read_text().splitlines():
                kind, _, rest = line.partition(":")
                if kind.startswith("Pss"):
                    total[kind] = total.get(kind, 0) + 1024 * int(rest.split()[0])
    except (OSError, IndexError):
        return {}
    return total


def peak_memory(machine, ranks, model, batch, steps):
    peak = {"Pss": 0}

    def watch(process):
        nonlocal peak
        while process.poll() is None:
            now = resident(process.pid)
            if now.get("Pss", 0) > peak["Pss"]:
                peak = now
            time.sleep(0.02)

    with tempfile.TemporaryDirectory() as folder:
        options = [f"--{name}={value}" for name, value in model.items()]
        train(machine, ranks, *options, f"--batch={batch}", f"--steps={steps}", f"--eval-every={steps}",
              "--eval-examples=256", "--checkpoint-every=1", f"--out={folder}/run", watch=watch)
    return peak


def activation_bytes(model, tokens):
    """What one pass over this many tokens keeps: of each layer the stream twice, two norms, queries, keys and values, the
    attended values, and the hidden layer before and after GELU; beside it logits, and gradients of the widest layer."""
    width, heads, layers, vocabulary = model["width"], model["heads"], model["layers"], 20
    return 4 * tokens * (layers * (16 * width + heads + 4) + 9 * width + vocabulary)


def measure_memory(machine):
    ranks, shards = 2 if machine.quick else 4, 8
    model = machine.models["wide"]
    step = machine.run(1, "bench_step", "-r", 1, *settings(model), f"batch={machine.batch}")[0]
    parameters = step["parameters"]
    activations = activation_bytes(model, step["most_tokens_per_pass"])
    # Both use the same micro-batches, so that none is larger by chance.
    peak = peak_memory(machine, ranks, model, machine.batch, 4)
    larger = peak_memory(machine, ranks, model, 4 * machine.batch, 1)
    allowed = 12 * parameters + ranks * (4 * parameters * (1 + math.log2(shards / ranks)) + activations + 40e6)
    return {"ranks": ranks, "shards": shards, "parameters": parameters, "activation_bytes": activations,
            "allowed_bytes": allowed, "batch": machine.batch, "peak_bytes": peak["Pss"], "by_kind": peak,
            "larger_batch": 4 * machine.batch, "larger_peak_bytes": larger["Pss"]}


def print_memory(row):
    print(f"{row['ranks']} ranks, {row['shards']} shards, {row['parameters']} parameters; activations of a micro-batch: "
          f"{row['activation_bytes'] / 1e6:.1f} MB")
    kinds = ", ".join(f"{kind[4:].lower()} {row['by_kind'][kind] / 1e6:.1f}" for kind in ("Pss_Anon", "Pss_File", "Pss_Shmem")
                      if kind in row["by_kind"])
    print(f"  peak of the sum over ranks, batch {row['batch']}: {row['peak_bytes'] / 1e6:.1f} MB ({kinds}); "
          f"formula: {row['allowed_bytes'] / 1e6:.1f} MB")
    print(f"  batch {row['larger_batch']}: {row['larger_peak_bytes'] / 1e6:.1f} MB")


def first_times(machine, ranks, program, *arguments, marks):
    """Seconds until each of the texts was printed."""
    start = time.monotonic()
    found = {}
    with subprocess.Popen(machine.command(ranks, program, *arguments), env=machine.environment(ranks), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            for mark in marks:
                if mark in line:
                    found.setdefault(mark, time.monotonic() - start)
    if process.returncode or len(found) < len(marks):
        sys.exit(f"report.py: exit code {process.returncode} from {program}, or it does not say: {', '.join(marks)}")
    return [found[mark] for mark in marks]


def measure_start(machine):
    """Seconds until the first step begins: until it is complete, minus the time of the second step."""
    ranks = 2 if machine.quick else 4
    beyond, alone = [], []
    for _ in range(1 if machine.quick else 7):
        nothing = first_times(machine, ranks, "bench_start", marks=["started"])[0]
        with tempfile.TemporaryDirectory() as folder:
            first, second = first_times(
                machine, ranks, "dtrain", "--steps=3", "--eval-every=0", "--checkpoint-every=0", "--log-level=debug",
                f"--out={folder}/run", marks=["step 1 is complete", "step 2 is complete"])
        alone.append(nothing)
        beyond.append(2 * first - second - nothing)
    return {"ranks": ranks, "mpirun_seconds": statistics.median(alone), "beyond_seconds": statistics.median(beyond)}


def print_start(row):
    print(f"{row['ranks']} ranks: mpirun with a program that does nothing {row['mpirun_seconds']:.3f} s; dtrain's first step "
          f"begins {row['beyond_seconds']:.3f} s later")


# ---- energy ----

def read_joules():
    """Energy of all processor packages so far; None if the system does not report it."""
    total = 0.0
    packages = list(pathlib.Path("/sys/class/powercap").glob("intel-rapl:?"))
    try:
        for package in packages:
            total += 1e-6 * int((package / "energy_uj").read_text())
    except OSError:
        return None
    return total if packages else None


def measure_energy(machine):
    before, start = read_joules(), time.monotonic()
    if before is None:
        return {"watts": None}
    ranks = min(2, cores())
    row = machine.run(ranks, "bench_step", "-r", 1 if machine.quick else 9, *settings(machine.models["wide"]),
                      f"batch={machine.batch}")[0]
    watts = (read_joules() - before) / (time.monotonic() - start)
    # The counters wrap around from time to time.
    return {"watts": watts if watts >= 0 else None, "joules_per_1000_tokens": 1e3 * watts / row["tokens_per_second"]}


def print_energy(row):
    if row["watts"] is None:
        print("This machine does not report energy (no readable RAPL counters).")
    else:
        print(f"{row['watts']:.1f} W for the processor, {row['joules_per_1000_tokens']:.2f} J per 1000 tokens of wide")


# ---- all of it ----

# name: (title, measure, print)
SECTIONS = {
    "training": ("Training beside sgemm alone", measure_training, print_training),
    "precision": ("bfloat16 beside float32", measure_precision, print_precision),
    "reduction": ("The sum of gradients inside a node", measure_reduction, print_reduction),
    "overlap": ("The sum of gradients between nodes, a rank each", measure_overlap, print_overlap),
    "checkpoints": ("Checkpoints", measure_checkpoints, print_checkpoints),
    "answers": ("Validation and answers, one rank", measure_answers, print_answers),
    "memory": ("Memory, wide", measure_memory, print_memory),
    "start": ("Start", measure_start, print_start),
    "energy": ("Energy", measure_energy, print_energy),
}


def describe():
    """When and where this is measured."""
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "processor": model, "cores": cores(),
            "memory_bytes": memory, "load": os.getloadavg()[0]}


def share(row, part):
    return sum(row["split"][part]) / row["step_seconds"]


def precision_targets(result):
    rows = []
    for name, least in (("wide", 1.75), ("small", 1.6)):
        if name in result:
            steps, kernel = result[name]["steps"], result[name]["kernel"]
            half = steps["bfloat16 1"]
            rows.append((f"model GFLOP/s bfloat16 / float32, one rank, {name}", f">= {least}", f"{half['beside_float32']:.2f}"))
            if kernel["ratio"] is not None:
                rows.append((f"bfloat16 kernel / its peak in registers, {name}", ">= 0.8", f"{kernel['ratio']:.2f}"))
            rows.append((f"activations of a micro-batch bfloat16 / float32, {name}", "<= 0.6",
                         f"{half['activation_bytes'] / steps['float32 1']['activation_bytes']:.3f}"))
            if "bfloat16 2" in steps:
                rows.append((f"two ranks / one rank in bfloat16, tokens per second, {name}", ">= 1.9",
                             f"{steps['bfloat16 2']['beside_one_rank']:.2f}"))
    return rows


def targets(report):
    """Rows (figure, target, measured) of the measured sections."""
    rows = []
    training = report.get("training", {})
    for name, least in (("wide", 0.85), ("small", 0.75)):
        if name in training:
            rows.append((f"training rate / sgemm rate, one rank, {name}", f">= {least}", f"{training[name]['1']['ratio']:.3f}"))
    if "2" in training.get("wide", {}):
        rows.append(("two ranks / one rank, tokens per second, wide", ">= 1.9", f"{training['wide']['2']['speedup']:.2f}"))
    if training:
        rows.append(("making data, share of a step, small", "< 1 %", f"{100 * share(training['small']['1'], 'data'):.2f} %"))
    rows += precision_targets(report.get("precision", {}))
    for ranks in sorted({row["ranks"] for row in report.get("reduction", [])}):
        ratios = [row["ratio"] for row in report["reduction"] if row["ranks"] == ranks]
        rows.append((f"gradient sum / MPI_Allreduce, {ranks} ranks, 1 to 64 MB", "<= 0.25",
                     f"{min(ratios):.3f} to {max(ratios):.3f}"))
    for name, row in report.get("answers", {}).items():
        rows.append((f"validation / what sgemm allows, {name}", ">= 0.9", f"{row['ratio']:.3f}"))
    if "memory" in report:
        row = report["memory"]
        rows.append((f"memory, wide, {row['ranks']} ranks", f"<= {row['allowed_bytes'] / 1e6:.0f} MB",
                     f"{row['peak_bytes'] / 1e6:.0f} MB"))
        rows.append((f"growth of memory, batch {row['batch']} to {row['larger_batch']}", "none",
                     f"{(row['larger_peak_bytes'] - row['peak_bytes']) / 1e6:.1f} MB"))
    if "start" in report:
        rows.append((f"first step after mpirun's own start, {report['start']['ranks']} ranks", "< 0.5 s",
                     f"{report['start']['beyond_seconds']:.2f} s"))
    return [{"figure": figure, "target": target, "measured": measured} for figure, target, measured in rows]


def print_report(report):
    """As Markdown, with tables that are readable as plain text."""
    machine = report["machine"]
    print(f"{machine['time']}, {machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB, load "
          f"{machine['load']:.1f} before; OpenBLAS kernels: {machine.get('kernels', 'not measured')}")
    print("\n| figure | target | measured |\n|---|---|---|")
    for row in report["targets"]:
        print(f"| {row['figure']} | {row['target']} | {row['measured']} |")
    for name, (title, _, show) in SECTIONS.items():
        if name in report:
            print(f"\n### {title}\n\n```")
            show(report[name])
            print("```")


BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def around_results(path):
    """The text before and after the two marks of a file."""
    try:
        before, begin, rest = pathlib.Path(path).read_text().partition(BEGIN)
    except OSError as error:
        sys.exit(f"report.py: --into {path}: {error.strerror}")
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"report.py: --into {path}: there are no lines {BEGIN} and {END} to put results between")
    return before, after


def measure(machine, chosen):
    report = {"machine": describe()}
    for name, (_, measure_section, _) in SECTIONS.items():
        if name in chosen:
            start = time.monotonic()
            report[name] = measure_section(machine)
            print(f"report.py: {name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    for name in ("training", "answers"):
        if name in report:
            some = report[name]["small"]
            report["machine"]["kernels"] = some.get("1", some)["kernels"]
    report["targets"] = targets(report)
    return report


def main():
    parser = argparse.ArgumentParser(description="Measure this machine.")
    parser.add_argument("build", help="folder in which the programs are")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, of " + ", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3, help="how often training is measured")
    parser.add_argument("--quick", action="store_true", help="see that it runs: tiny models, numbers without meaning")
    parser.add_argument("--shared", action="store_true",
                        help="others use this machine, too: training on one rank by processor time instead of real time")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--into", metavar="FILE", help="put the report between the marks of a file, such as RESULTS.md")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    for name in chosen:
        if name not in SECTIONS:
            parser.error(f"--only {name}: the sections are {', '.join(SECTIONS)}")
    if options.into:
        around_results(options.into)  # check the file before minutes of measuring
    report = measure(Machine(options.build, options.quick, options.rounds, options.shared), chosen)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print_report(report)
    if options.into:
        before, after = around_results(options.into)
        pathlib.Path(options.into).write_text(f"{before}{BEGIN}\n{text.getvalue()}{END}{after}")
    sys.stdout.write(json.dumps(report) + "\n" if options.json else text.getvalue())


if __name__ == "__main__":
    main()
