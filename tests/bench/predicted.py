"""Compares what dtrain plan predicts with what six runs then take: a Markdown table of time, memory and disk.

    tests/bench/predicted.py build/dtrain            RUNS="default,text" chooses some; QUICK=1: a tenth of the steps

Memory is the largest sum of proportional set sizes over ranks, sampled every second. Each run is preceded by its plan, on the
same ranks. A run with a budget is predicted by the plan's line of options.
"""
import glob
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

DTRAIN = os.path.realpath(sys.argv[1])
TOP = pathlib.Path(__file__).resolve().parents[2]
QUICK = 10 if os.environ.get("QUICK") else 1
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_mpi_yield_when_idle": "1", "OPENBLAS_NUM_THREADS": "1",
               "HWLOC_COMPONENTS": "-opencl"}


def steps(count):
    return ["--steps", str(max(60, count // QUICK))]


RUNS = {
    "default": (2, steps(4800), None),
    "wide": (2, ["--width", "256", "--layers", "6", "--batch", "64", "--eval-every", "50"] + steps(400), None),
    "text": (2, ["--text", "corpus.txt", "--context", "128", "--metric", "loss"] + steps(2000), None),
    "bfloat16": (2, ["--precision", "bfloat16"] + steps(4800), None),
    "4 ranks": (4, steps(4800), None),
    "budget": (2, ["--steps", str(100000 // QUICK)], f"{60 // QUICK + 14}s"),
}


def write_corpus(path):
    """Running text of a few hundred kilobytes: this repository's own."""
    names = sorted(glob.glob(str(TOP / "src/**/*.[ch]"), recursive=True) + glob.glob(str(TOP / "**/*.md"), recursive=True))
    text = "".join(pathlib.Path(name).read_text(encoding="utf-8") for name in names)
    path.write_text("".join(c for c in text if c.isascii()))


def launch(ranks, *words):
    return ["mpirun", "-np", str(ranks), DTRAIN, *words]


def plan(ranks, options, budget, folder):
    extra = ["--budget", budget] if budget else []
    done = subprocess.run(launch(ranks, "plan", *options, *extra, "--json", "--log-level", "warn"), cwd=folder, env=ENVIRONMENT,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def proportional_set_size():
    """Of all processes of the program, in bytes."""
    total = 0
    for path in glob.glob("/proc/[0-9]*/exe"):
        try:
            if os.readlink(path) == DTRAIN:
                lines = pathlib.Path(path).with_name("smaps_rollup").read_text().splitlines()
                total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def run(ranks, options, folder):
    start, peak = time.monotonic(), 0
    child = subprocess.Popen(launch(ranks, *options, "--fresh", "--out", "run", "--log-level", "warn"), cwd=folder,
                             env=ENVIRONMENT)
    while child.poll() is None:
        peak = max(peak, proportional_set_size())
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:
            pass
    if child.returncode:
        sys.exit(f"{options}: exit code {child.returncode}")
    return time.monotonic() - start, peak, os.path.getsize(os.path.realpath(folder / "run/latest.h5"))


def compare(name, folder):
    ranks, options, budget = RUNS[name]
    predicted = plan(ranks, options, budget, folder)
    if budget:
        line = predicted["budget"]["line"].split()
        options = options + line
        predicted = {**predicted, "total_seconds": predicted["budget"]["total_seconds"]}
        cut = plan(ranks, options, None, folder)
        predicted |= {name: cut[name] for name in ("memory_node", "checkpoint_bytes")}
    seconds, memory, disk = run(ranks, options, folder)
    cells = [name, " ".join(options) or "none"]
    for real, told, unit, scale in ((seconds, predicted["total_seconds"], "s", 1),
                                    (memory, predicted["memory_node"], "MB", 1e6),
                                    (disk, predicted["checkpoint_bytes"], "MB", 1e6)):
        digits = 1 if unit == "s" else 2 if real is disk else 0
        cells.append(f"{told / scale:.{digits}f} / {real / scale:.{digits}f} {unit} ({100 * (told / real - 1):+.1f} %)")
    print("| " + " | ".join(cells) + " |", flush=True)


with tempfile.TemporaryDirectory() as work:
    write_corpus(pathlib.Path(work) / "corpus.txt")
    print("| run | options | time, predicted / real | memory | checkpoint |\n|---|---|---|---|---|", flush=True)
    chosen = os.environ.get("RUNS")
    for each in RUNS:
        if not chosen or each in chosen.split(","):
            compare(each, pathlib.Path(work))
