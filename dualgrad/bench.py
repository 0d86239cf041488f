"""Measure dualgrad, alone or beside PyTorch, JAX and HIPS autograd.

The suites live in the folder benchmarks/ of a checkout, beside the package; here is the command: its options, and the way there.
"""
from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

SUMMARY = (__doc__ or "").splitlines()[0]
FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def describe(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("suites", nargs="*", metavar="suite", help="which to run (default: all; an unknown one lists them)")
    parser.add_argument("--peers", action="store_true", help="measure PyTorch, JAX and HIPS autograd too, as far as installed")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds: a look, not a measurement")
    samples = "all samples (default: %(default)s)"
    parser.add_argument("--json", type=Path, default=Path("dualgrad-bench.json"), metavar="PATH", help=samples)
    plot = "the figures; of several suites each has its name before the ending (default: %(default)s)"
    parser.add_argument("--plot", type=Path, default=Path("dualgrad-bench.png"), metavar="PATH", help=plot)
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder with the original files of ADBench (default: generated)")
    parser.add_argument("--results", action="store_true", help="write RESULTS.md and the figures it shows, in benchmarks/")


def run(options: argparse.Namespace) -> int:
    """Hand over to benchmarks/command.py; 1 if it is not there."""
    prog = "python -m dualgrad bench"
    if not (FOLDER / "command.py").is_file():
        print(f"{prog}: the benchmarks come with a checkout of dualgrad, and there is none at {FOLDER.parent}.", file=sys.stderr)
        return 1
    sys.path.insert(0, os.fspath(FOLDER))
    importlib.import_module("threads")
    return importlib.import_module("command").run(options, prog)
