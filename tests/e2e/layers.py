"""Who may include what: each folder's real compiler command takes what its row allows and refuses the rest.

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

# The table of folders and, beside dtrain/*.h and the standard library, what each may include.
MAY_INCLUDE = {
    "src/core": {"ini.h", "Random123/philox.h"},
    "src/data": set(),
    "src/model": set(),
    "src/optim": set(),
    "src/backend": {"cblas.h", "CL/cl.h", "clblast_c.h"},
    "mpi": {"mpi.h"},
    "io": {"hdf5.h", "xxhash.h"},
    "src/app": set(),
}
OTHERS = set().union(*MAY_INCLUDE.values())
# Where they were not there when it was built, nobody may.
OPTIONAL = {"CL/cl.h", "clblast_c.h"}
# The folders that do not know each other.
STRANGERS = {
    "mpi": {"dtrain/checkpoint.h", "dtrain/metrics.h"},
    "io": {"dtrain/comm.h"},
}
TOP_LEVEL = {"src", "include", "mpi", "io", "tests", "jobs", "CMakeLists.txt", "CMakePresets.json",
             "README.md", "LICENSE"}

SOURCE = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()


def command_of(folder):
    """The compiler command of one file of a folder, without its input and output."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if file.is_relative_to(SOURCE / folder):
            words = shlex.split(entry["command"])
            for option in ("-o", "-c"):
                if option in words:
                    at = words.index(option)
                    del words[at:at + (2 if option == "-o" else 1)]
            return [word for word in words if not word.endswith(".c")], entry["directory"]
    raise AssertionError(f"compile_commands.json has no file of {folder}")


def compile_include(folder, header):
    words, directory = command_of(folder)
    return subprocess.run([*words, "-fsyntax-only", "-x", "c", "-"], cwd=directory, text=True,
                          input=f"#include <{header}>\n", capture_output=True, check=False)


def is_built(name):
    return name in (BUILD / "compile_commands.json").read_text()


def includes_of(path):
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def is_theirs(header):
    """Whether a header belongs to a library that only some folders may see; HDF5 has many."""
    return header in OTHERS or re.match(r"(Random123/|CL/|clblast|H5|hdf5|mpi|cblas|openblas|lapack)", header)


class Layers(unittest.TestCase):
    def test_every_folder_compiles_what_it_may_include_and_nothing_else(self):
        absent = set() if is_built("opencl/table.c") else OPTIONAL
        for folder, allowed in MAY_INCLUDE.items():
            for header in sorted(OTHERS):
                with self.subTest(folder=folder, header=header):
                    result = compile_include(folder, header)
                    if header in allowed - absent:
                        self.assertEqual(result.returncode, 0, result.stderr)
                    else:
                        self.assertNotEqual(result.returncode, 0, "it compiles")
                        self.assertIn("may not be included here", result.stderr)
            with self.subTest(folder=folder, header="dtrain/status.h"):
                self.assertEqual(compile_include(folder, "dtrain/status.h").returncode, 0)

    def test_every_file_keeps_to_its_row(self):
        for folder, allowed in MAY_INCLUDE.items():
            root = SOURCE / folder
            for path in [*root.rglob("*.c"), *root.rglob("*.h")]:
                for header in includes_of(path):
                    with self.subTest(file=str(path.relative_to(SOURCE)), header=header):
                        self.assertNotIn("..", header)
                        self.assertNotIn(header, STRANGERS.get(folder, set()))
                        if header.startswith("dtrain/"):
                            self.assertTrue((SOURCE / "include" / header).is_file())
                        elif is_theirs(header) and not (path.parent / header).is_file():
                            self.assertTrue(header in allowed or
                                            folder == "io" and header.startswith("H5"))

    def test_public_headers_show_no_library(self):
        for path in (SOURCE / "include" / "dtrain").glob("*.h"):
            for header in includes_of(path):
                with self.subTest(file=path.name, header=header):
                    self.assertFalse(is_theirs(header))

    def test_folders_are_those_of_the_table(self):
        folders = {f"src/{path.name}" for path in (SOURCE / "src").iterdir() if path.is_dir()}
        self.assertEqual(folders, {name for name in MAY_INCLUDE if name.startswith("src/")})

    def test_nothing_else_stands_at_the_top(self):
        if not shutil.which("git"):
            self.skipTest("git is not there")
        listing = subprocess.run(["git", "-C", str(SOURCE), "ls-files"], text=True,
                                 capture_output=True, check=False)
        if listing.returncode != 0:
            self.skipTest("not a git work tree")
        top = {line.split("/")[0] for line in listing.stdout.splitlines()}
        self.assertEqual({name for name in top if not name.startswith(".")} - TOP_LEVEL, set())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
