"""`python benchmarks [suite ...]` in a checkout is `python -m dualgrad bench [suite ...]`."""
from __future__ import annotations

import threads  # noqa: F401  first: a BLAS reads its number of threads when it is loaded

# isort: split
import argparse
import sys

import command

from dualgrad import bench

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python benchmarks", description=bench.SUMMARY)
    bench.describe(parser)
    sys.exit(command.run(parser.parse_args(), parser.prog))
