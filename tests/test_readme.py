"""The README's table for PyTorch users: every line of its right-hand column is a line of the examples that run below it."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Coming from PyTorch\n", 1)[1].split("\n## ", 1)[0]
ROWS = [row.split(" | ") for row in re.findall(r"^\| (`.*?) \|$", SECTION, flags=re.M)]
IDIOMS = [
    "requires_grad",
    "backward()",
    ".grad`",
    "zero_grad",
    "no_grad",
    "detach",
    "nn.Sequential",
    "autograd.Function",
    "ctx.save_for_backward",
    "clip_grad_norm_",
    "optimizer.step",
]


def test_every_line_of_the_table_is_run_below_it():
    examples = "".join(example.source for example in doctest.DocTestParser().get_examples(SECTION))
    lines = [code for _, cell in ROWS for code in re.findall(r"`([^`]+)`", cell)]
    assert len(lines) >= len(ROWS)
    missing = [line for line in lines if line not in examples]
    assert not missing, f"in the table, but not run: {missing}"


def test_every_idiom_has_its_line():
    left = " ".join(cells[0] for cells in ROWS)
    missing = [idiom for idiom in IDIOMS if idiom not in left]
    assert not missing, f"without a line: {missing}"
