"""Runs the examples of io/README.md in their order, and compares what they print: "..." matches anything."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import h5py
    import xxhash
except ImportError as missing:
    print("SKIPPED: needs python", missing.name)
    sys.exit(77)


# Leaks of MPI are not tested here.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "OPENBLAS_NUM_THREADS": "1"}


def blocks(text):
    """Kind and contents of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def commands(block):
    """Each command of a console block with the output shown under it."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern(output):
    lines = [re.escape(line).replace(r"\.\.\.", ".*") for line in output.splitlines()]
    whole = "\n".join(lines)
    return re.sub(r"(^|\n)\.\*(?=\n|$)", r"\1(?:.*\n?)*?", whole).replace("(?:.*\n?)*?\n", "(?:.*\n)*?")


def prepare(probe, dtrain, folder):
    (folder / "build").mkdir()
    (folder / "build/dtrain").symlink_to(dtrain)
    run = folder / "runs/default"
    run.mkdir(parents=True)
    for path, steps, seed in (run / "checkpoint-00000012.h5", 12, 7), (run / "checkpoint-00000024.h5", 24, 8), (
            folder / "again.h5", 24, 8):
        subprocess.run([probe, "write", path, "8", "2", str(steps), str(seed)], check=True, stdout=subprocess.DEVNULL)
    (run / "best.h5").symlink_to("checkpoint-00000024.h5")


def run_examples(folder, text):
    count = 0
    for kind, block in blocks(text):
        if kind == "python":
            name = re.match(r"# (\w+\.py)", block).group(1)
            (folder / name).write_text(block)
            continue
        assert kind == "console", kind
        for command, output in commands(block):
            result = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60,
                                    env=ENVIRONMENT)
            if result.stderr or not re.fullmatch(pattern(output), result.stdout.rstrip("\n")):
                sys.exit(f"{command}\nprinted\n{result.stdout}{result.stderr}\nand README.md shows\n{output}")
            count += 1
    return count


def verify_notices(folder):
    """The README's verify.py reports damaged files."""
    path = folder / "again.h5"
    for change, part in ((lambda file: file["weights/pos_embed"].write_direct(file["weights/pos_embed"][...] + 1),
                          "damaged: /weights/pos_embed"),
                         (lambda file: file["state"].attrs.modify("best", 0.5), "attributes")):
        with h5py.File(path, "r+") as file:
            change(file)
        result = subprocess.run(["/usr/bin/python3", "verify.py", path], cwd=folder, capture_output=True, text=True)
        assert result.returncode == 1 and part in result.stderr, result


def main(probe, readme, dtrain):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        prepare(probe, dtrain, folder)
        count = run_examples(folder, pathlib.Path(readme).read_text())
        verify_notices(folder)
    print(count, "commands print what README.md shows")
    assert count > 10


main(*sys.argv[1:])
