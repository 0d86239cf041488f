"""The command line, `python -m dualgrad COMMAND`: a command is a module with `describe` and `run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dualgrad import bench, demo

COMMANDS = {"demo": demo, "bench": bench}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 could not be done, 2 wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m dualgrad", description="Differentiate the NumPy you already wrote."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        summary = (command.__doc__ or "").splitlines()[0]
        command.describe(commands.add_parser(name, help=summary, description=summary))
    options = parser.parse_args(arguments)
    return COMMANDS[options.command].run(options)


if __name__ == "__main__":
    sys.exit(main())
