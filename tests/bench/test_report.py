"""The measurements run, and their report is complete; the numbers themselves are not checked.

Usage: test_report.py BUILD [unittest options]
"""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import unittest

import report

BUILD = sys.argv[1]
HERE = pathlib.Path(__file__).parent


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        output = subprocess.run([sys.executable, "-B", HERE / "report.py", BUILD, "--quick", "--json"], text=True,
                                stdout=subprocess.PIPE, check=True).stdout
        cls.report = json.loads(output)

    def test_every_section_is_there(self):
        self.assertLessEqual(set(report.SECTIONS), set(self.report))

    def test_every_part_of_a_step_takes_its_time(self):
        for by_ranks in self.report["training"].values():
            for row in by_ranks.values():
                parts = {name: sum(seconds) for name, seconds in row["split"].items()}
                for name in ("embedding", "norm", "qkv", "attention", "projection", "mlp", "logits", "loss", "copies",
                             "reduction", "update", "data", "waiting"):
                    self.assertGreater(parts[name], 0, name)
                self.assertIn("other", parts)

    def test_all_products_of_the_model_are_measured(self):
        for by_ranks in self.report["training"].values():
            self.assertEqual({(p["name"], p["of"]) for p in by_ranks["1"]["products"]},
                             {(name, of) for name in ("qkv", "projection", "mlp in", "mlp out", "logits")
                              for of in ("forward", "input gradient", "weight gradient")})

    def test_both_precisions_take_every_part_of_a_step(self):
        for row in self.report["precision"].values():
            self.assertEqual({(steps["precision"], steps["ranks"]) for steps in row["steps"].values()},
                             {(precision, ranks) for precision in ("float32", "bfloat16") for ranks in (1, 2)})
            for steps in row["steps"].values():
                for name in ("norm", "qkv", "attention", "projection", "mlp", "logits", "update"):
                    self.assertGreater(sum(steps["split"][name]), 0, name)
                self.assertGreater(steps["beside_float32"], 0)
            memory = {name: row["steps"][name]["activation_bytes"] for name in ("float32 1", "bfloat16 1")}
            # Operands of products take half the memory, the residual stream does not.
            self.assertLess(memory["bfloat16 1"], memory["float32 1"])
            self.assertGreater(memory["bfloat16 1"], memory["float32 1"] / 2)

    def test_the_kernel_stands_beside_its_peak(self):
        for row in self.report["precision"].values():
            kernel = row["kernel"]
            self.assertEqual(len(kernel["products"]), 15)
            for way in ("blas", "float32", "layer", "bfloat16", "plain"):
                self.assertGreater(kernel[way + "_gflops"], 0, way)
                for product in kernel["products"]:
                    self.assertGreater(product[way + "_gflops"], 0, way)
            flags = pathlib.Path("/proc/cpuinfo").read_text().split()
            if "avx512_bf16" not in flags:
                self.assertIsNone(kernel["bfloat16_peak_gflops"])
            if kernel["instruction"]:
                self.assertGreater(kernel["bfloat16_peak_gflops"], 0)
                self.assertGreater(kernel["ratio"], 0)

    def test_a_file_that_cannot_take_results_is_refused_at_once(self):
        for path, words in (("/nowhere/RESULTS.md", "No such file"), (HERE / "README.md", "there are no lines")):
            told = subprocess.run([sys.executable, "-B", HERE / "report.py", "/nowhere", "--into", path], text=True,
                                  stderr=subprocess.PIPE, check=False)
            self.assertEqual(told.returncode, 1)
            self.assertIn(words, told.stderr)

    def test_the_page_of_results_can_take_them(self):
        before, after = report.around_results(HERE / "RESULTS.md")
        self.assertIn("tests/bench/run.sh --into tests/bench/RESULTS.md", before)
        self.assertEqual(after, "\n")

    def test_every_target_has_a_figure(self):
        figures = [row["figure"] for row in self.report["targets"]]
        self.assertEqual(len(figures), len(set(figures)))
        for words in ("small", "wide", "two ranks", "data", "gradient sum", "validation", "memory", "growth", "first step",
                      "bfloat16 / float32, one rank", "activations of a micro-batch", "two ranks / one rank in bfloat16"):
            self.assertTrue(any(words in figure for figure in figures), words)

    def test_it_can_be_read(self):
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            report.print_report(self.report)
        for row in self.report["targets"]:
            self.assertIn(f"| {row['figure']} | {row['target']} | {row['measured']} |", text.getvalue())
        for title, _, _ in report.SECTIONS.values():
            self.assertIn(title, text.getvalue())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
