"""Which headers each folder may include: its real compiler command accepts what its row allows and refuses the rest.

Usage: layers.py SOURCE BUILD [unittest options]
"""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import unittest

# The rooms of include/dtrain, and one header of each.
ROOMS = ["core", "bpe", "data", "arithmetic", "expression", "text", "backend", "model", "optim", "mpi", "file", "folder", "protobuf", "checkpoint", "export",
         "picture", "run", "train", "ui"]
# For each folder the rooms that it may include, and the headers of libraries other than the standard library.
MODEL = {"core", "data", "backend", "model"}
RUN = MODEL | {"mpi", "folder", "checkpoint", "run"}
MAY_INCLUDE = {
    "src/core": ({"core"}, {"ini.h", "Random123/philox.h", "xxhash.h"}),
    "src/data": ({"core", "data", "arithmetic", "expression", "text"}, set()),
    "src/data/batch": ({"core", "bpe", "data"}, set()),
    "src/data/bpe": ({"core", "bpe"}, {"cjson/cJSON.h", "pcre2.h"}),
    "src/data/arithmetic": ({"core", "data", "arithmetic"}, {"gmp.h"}),
    "src/data/expression": ({"core", "data", "expression"}, {"gmp.h"}),
    "src/data/text": ({"core", "bpe", "data", "text"}, set()),
    "src/backend": ({"core", "backend"}, {"cblas.h", "CL/cl.h", "clblast_c.h"}),
    "src/model": (MODEL, set()),
    "src/optim": (MODEL | {"optim"}, set()),
    "mpi": ({"core", "mpi"}, {"mpi.h"}),
    "io/file": ({"core", "file"}, set()),
    "io/run": ({"core", "file", "folder"}, set()),
    "io/protobuf": ({"core", "data", "protobuf"}, set()),
    "io/picture": ({"core", "data", "file", "protobuf", "picture"}, set()),
    "io/checkpoint": (MODEL | {"file", "checkpoint"}, {"hdf5.h"}),
    "io/export": (MODEL | {"bpe", "file", "protobuf", "checkpoint", "export"}, {"cjson/cJSON.h"}),
    "src/run": (RUN, set()),
    "src/train": (RUN | {"optim", "train"}, set()),
    "src/ui": (RUN | {"optim", "train", "picture", "ui"}, set()),
    "src/app": (set(ROOMS) - {"arithmetic", "expression", "text", "protobuf"}, set()),
}
OTHERS = set().union(*(libraries for _, libraries in MAY_INCLUDE.values()))
# If they were missing when this was built, no folder may include them.
OPTIONAL = {"CL/cl.h", "clblast_c.h"}
TOP_LEVEL = {"src", "include", "mpi", "io", "tests", "jobs", "CMakeLists.txt", "CMakePresets.json",
             "README.md", "LICENSE"}

SOURCE = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()


def command_of(folder):
    """The compiler command of one file of a folder, without input and output; its own files come before those of subfolders."""
    entries = [(pathlib.Path(entry["directory"], entry["file"]).resolve(), entry)
               for entry in json.loads((BUILD / "compile_commands.json").read_text())]
    for file, entry in sorted(entries, key=lambda entry: entry[0].parent != SOURCE / folder):
        if file.is_relative_to(SOURCE / folder):
            words = shlex.split(entry["command"])
            for option in ("-o", "-c"):
                if option in words:
                    at = words.index(option)
                    del words[at:at + (2 if option == "-o" else 1)]
            return [word for word in words if not word.endswith(".c")], entry["directory"]
    raise AssertionError(f"compile_commands.json has no file of {folder}")


def compile_includes(folder, headers):
    """A file of the folder that includes these headers."""
    words, directory = command_of(folder)
    return subprocess.run([*words, "-fsyntax-only", "-x", "c", "-"], cwd=directory, text=True,
                          input="".join(f"#include <{header}>\n" for header in headers), capture_output=True, check=False)


def is_built(name):
    return name in (BUILD / "compile_commands.json").read_text()


def includes_of(path):
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def is_theirs(header):
    """Whether a header belongs to a library that only some folders may see; HDF5 has many."""
    return header in OTHERS or re.match(r"(Random123/|gmp|CL/|cJSON|cjson/|clblast|H5|hdf5|mpi|cblas|openblas|lapack|pcre2)", header)


def row_of(path):
    """The row of a file: that of the deepest of its folders that has one."""
    folders = [str(above.relative_to(SOURCE)) for above in path.parents if above.is_relative_to(SOURCE)]
    return next((folder for folder in folders if folder in MAY_INCLUDE), None)


class Layers(unittest.TestCase):
    def test_every_folder_compiles_what_it_may_include_and_nothing_else(self):
        absent = set() if is_built("opencl/table.c") else OPTIONAL
        for folder, (rooms, libraries) in MAY_INCLUDE.items():
            may = {header: header in libraries - absent for header in sorted(OTHERS)}
            for room in ROOMS:
                for path in sorted((SOURCE / "include" / "dtrain" / room).glob("*.h")):
                    may[f"dtrain/{room}/{path.name}"] = room in rooms
            with self.subTest(folder=folder):
                result = compile_includes(folder, [header for header in may if may[header]])
                self.assertEqual(result.returncode, 0, result.stderr)
            # The compiler goes on after each header that is refused.
            refused = [line for line in compile_includes(folder, [header for header in may if not may[header]]).stderr.splitlines()
                       if "may not be included here" in line]
            for header in (header for header in may if not may[header]):
                with self.subTest(folder=folder, header=header):
                    self.assertTrue(any(f"/{header}:" in line for line in refused), "it compiles, or the compiler did not run")

    def test_every_file_keeps_to_its_row(self):
        for folder, (rooms, libraries) in MAY_INCLUDE.items():
            root = SOURCE / folder
            for path in [*root.rglob("*.c"), *root.rglob("*.h")]:
                if row_of(path) != folder:
                    continue
                for header in includes_of(path):
                    with self.subTest(file=str(path.relative_to(SOURCE)), header=header):
                        self.assertNotIn("..", header)
                        if header.startswith("dtrain/"):
                            self.assertTrue((SOURCE / "include" / header).is_file())
                            self.assertIn(header.split("/")[1], rooms)
                        elif is_theirs(header) and not (path.parent / header).is_file():
                            self.assertTrue(header in libraries or
                                            folder == "io/checkpoint" and header.startswith("H5"))

    def test_public_headers_show_no_library(self):
        for path in (SOURCE / "include" / "dtrain").rglob("*.h"):
            for header in includes_of(path):
                with self.subTest(file=path.name, header=header):
                    self.assertFalse(is_theirs(header))

    def test_folders_are_those_of_the_table(self):
        folders = {f"{above}/{path.name}" for above in ("src", "src/data", "io") for path in (SOURCE / above).iterdir() if path.is_dir()}
        self.assertEqual(folders | {"mpi"}, set(MAY_INCLUDE))
        self.assertEqual({path.name for path in (SOURCE / "include" / "dtrain").iterdir()}, set(ROOMS))

    def test_nothing_else_stands_at_the_top(self):
        if not shutil.which("git"):
            print("SKIPPED: needs program git")
            self.skipTest("git is not there")
        listing = subprocess.run(["git", "-C", str(SOURCE), "ls-files"], text=True,
                                 capture_output=True, check=False)
        if listing.returncode != 0:
            print("SKIPPED: needs ability worktree")
            self.skipTest("not a git work tree")
        top = {line.split("/")[0] for line in listing.stdout.splitlines()}
        self.assertEqual({name for name in top if not name.startswith(".")} - TOP_LEVEL, set())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
