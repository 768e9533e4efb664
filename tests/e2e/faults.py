"""Makes every operation on the folder of a run fail in turn, or ends the program there: nothing is lost, all files are whole,
and the run continues to the same bytes.

Usage: faults.py DTRAIN SHIM rotating|all
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
except ImportError as missing:
    print("SKIPPED: needs python", missing.name)
    sys.exit(77)

DTRAIN, SHIM, HOW = sys.argv[1:]
KINDS = ("enospc", "kill", "eio", "torn", "short", "full")
KILLED = -9
DONE, NO_INPUT, CANNOT_CREATE, IO_ERROR = 0, 66, 73, 74
# Every step has a validation that is better than the one before, so that a checkpoint of each is written.
RUN = ("--layers 1 --width 4 --heads 1 --batch 8 --digits 1 --ops + --format plain --warmup 0 --keep 1 "
       "--eval-every 1 --eval-examples 8 --metric loss --checkpoint-every 1").split()
BEFORE, AFTER = 2, 4  # steps
# One process needs no daemon of MPI, which takes longer than the run.
ENVIRONMENT = {**os.environ, "OMPI_MCA_ess_singleton_isolated": "1", "OPENBLAS_NUM_THREADS": "1"}


def train(folder, steps, at=0, kind="", log=None):
    # A separate folder for the files that MPI leaves when it is killed.
    temporary = folder.with_suffix(".tmp")
    temporary.mkdir(exist_ok=True)
    fault = {"LD_PRELOAD": SHIM, "FAULT_UNDER": str(folder), "FAULT_AT": str(at), "FAULT_KIND": kind}
    if log:
        fault["FAULT_LOG"] = str(log)
    return subprocess.run([DTRAIN, *RUN, "--steps", str(steps), "--out", str(folder)], capture_output=True, text=True,
                          timeout=60, env={**ENVIRONMENT, "TMPDIR": str(temporary), **(fault if at or log else {})})


def operations_of(log):
    """Pairs of an operation and the name of its file, without what differs from run to run."""
    lines = [line.split(maxsplit=2)[1:] for line in log.read_text().splitlines()]
    return [(operation, name.split(".tmp.")[0].lstrip(".")) for operation, name in lines]


def expected_code(operations, later, kind, folder):
    """The exit code after a fault in the last of these operations, behind which came the later ones."""
    *before, (operation, name) = operations
    if kind in ("kill", "torn"):
        return KILLED
    told = ("rename", "config.ini") in before  # the run has begun
    written = before.count(("rename", "best.h5")) == AFTER - BEFORE and \
        ("fsync", folder) in before[len(before) - before[::-1].index(("rename", "best.h5")):]
    fails = {"full": True, "short": operation not in ("write", "pwrite")}.get(kind, True)
    if name == "config.ini" and operation in ("pwrite", "fsync", "close", "rename") and fails:
        return IO_ERROR
    if told and before[-1] in (("rename", "config.ini"), ("open", folder)) and ("create", "log.jsonl") not in before:
        return IO_ERROR  # the folder is flushed
    if kind == "full":
        if (operation, name) == ("flock", "config.ini"):
            return IO_ERROR
        return DONE if written else CANNOT_CREATE
    if (operation, name) == ("unlink", f"checkpoint-{AFTER - 1:08d}.h5") and (operation, name) not in later:
        return IO_ERROR  # --keep 1, at the end
    if told or not fails:
        return DONE  # it is repeated, or is not needed
    if (operation, name.split("-")[0]) == ("open", "checkpoint"):
        return NO_INPUT
    lock = name == "lock" and operation in ("create", "ftruncate", "pwrite")
    folder_of_lock = (operation, name) == ("open", folder) and ("create", "lock") not in before
    return CANNOT_CREATE if operation == "create" or lock or folder_of_lock else DONE


def contents(path):
    """Digests of all that training computes."""
    found = {}
    with h5py.File(path) as file:
        def keep(name, item):
            if isinstance(item, h5py.Dataset) and not name.endswith(("seconds", "joules")) and "/history/" not in name:
                found[name] = item.attrs["digest"]
        file.visititems(keep)
    return found


def newest(folder):
    return max((int(path.stem.split("-")[1]) for path in folder.glob("checkpoint-*.h5")), default=-1)


def lines_of_log(folder):
    """A line that was being written may be cut off, but no later line is joined to it."""
    broken = 0
    for line in (folder / "log.jsonl").read_text().splitlines():
        try:
            json.loads(line)
        except ValueError:
            broken += 1
            assert '{"' not in line[1:], f"two lines in one: {line}"
    assert broken <= 1, f"{broken} broken lines in log.jsonl"


def check(folder, whole, result, code):
    """Checks what must hold after a fault, and after continuing without one."""
    says = result.stderr.strip()
    assert result.returncode == code, f"exit code {result.returncode} instead of {code}"
    assert code in (KILLED, DONE) or says.count("error: ") == 1, "not one sentence"
    step = newest(folder)
    assert step >= BEFORE, f"the newest checkpoint is {step}"
    assert result.returncode != DONE or step == AFTER, f"the last step is lost: {step}"
    verified = subprocess.run([DTRAIN, "verify", folder], capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert verified.returncode == 0, f"verify: {verified.stdout}{verified.stderr}"

    again = train(folder, AFTER)
    assert again.returncode == DONE, f"going on: exit code {again.returncode}: {again.stderr}"
    assert "warning" not in again.stderr, f"going on: {again.stderr}"
    assert step == AFTER or f"from step {step}" in again.stderr, f"going on: {again.stderr}"
    assert contents(folder / "latest.h5") == whole, "going on led to other bytes"
    assert (folder / "best.h5").resolve() == (folder / "latest.h5").resolve(), "best.h5 is another"
    names = {path.name for path in folder.iterdir()}
    expected = {"best.h5", "latest.h5", "config.ini", "log.jsonl", f"checkpoint-{AFTER:08d}.h5"}
    assert expected <= names, f"files: {sorted(names)}"
    # A run that finished before the fault is not touched again, except for its links.
    over = {name for name in names if name.startswith((".", "checkpoint-"))} if step == AFTER else set()
    assert names <= expected | over, f"files: {sorted(names)}"
    assert f"steps = {AFTER}\n" in (folder / "config.ini").read_text(), "config.ini is an old one"
    lines_of_log(folder)


def attempt(base, whole, work, at, operation, kind):
    folder = work / f"{at}-{kind}"
    shutil.copytree(base, folder, symlinks=True)
    # Which operation is hit is known afterwards: the thread that writes checkpoints and the loop take turns as they like.
    log = folder.with_suffix(".log")
    result = train(folder, AFTER, at, kind, log)
    done = operations_of(log)
    hit, later = done[:at], done[at:]
    try:
        assert len(hit) == at, "fewer operations than without a fault"
        operation = " ".join(hit[-1])
        check(folder, whole, result, expected_code(hit, later, kind, folder.name))
        failure = None
    except AssertionError as error:
        failure = f"operation {at} ({operation}), {kind}: {error}\n  it said: {result.stderr[-1500:]}"
    shutil.rmtree(folder)
    shutil.rmtree(folder.with_suffix(".tmp"))
    return operation.split()[0], kind, result.returncode, failure


def cases(operations):
    """Every operation, with every kind of fault, or with one of them in turn."""
    seen = collections.Counter()
    for at, operation in enumerate(operations, 1):
        if HOW == "all":
            yield from ((at, operation, kind) for kind in KINDS)
        else:
            yield at, operation, KINDS[seen[operation] % len(KINDS)]
            seen[operation] += 1


def main(work):
    base, whole = work / "base", work / "whole"
    assert train(base, BEFORE).returncode == DONE
    shutil.copytree(base, whole, symlinks=True)
    log = work / "operations"
    result = train(whole, AFTER, log=log)
    assert result.returncode == DONE and newest(whole) == AFTER, result.stderr
    operations = [operation for operation, _ in operations_of(log)]
    digests = contents(whole / "latest.h5")
    assert len(operations) > 100 and len(digests) > 50

    todo = list(cases(operations))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda case: attempt(base, digests, work, *case), todo))
    for what, column in (("operation", 0), ("kind", 1), ("exit code", 2)):
        counts = collections.Counter(str(each[column]) for each in done)
        print(f"by {what}:", ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    failures = [each[3] for each in done if each[3]]
    print(*failures, sep="\n")
    print(f"{len(operations)} operations, {len(done)} faults: after {len(done) - len(failures)} of them all held")
    return bool(failures)


with tempfile.TemporaryDirectory(prefix="dtrain-faults.") as temporary:
    sys.exit(main(pathlib.Path(temporary)))
