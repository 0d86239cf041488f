"""`python papers [NAME …] [--quick]`: reproduce these papers, or all, one after the other; the first that fails ends the run."""
from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import frame

HERE = Path(__file__).resolve().parent
PAPERS = [path.parent.name for path in sorted(HERE.glob("*/reproduce.py"))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen papers, each in a process of its own; the exit status is that of the first that fails."""
    parser = frame.Parser(prog="python papers", description=__doc__, allow_abbrev=False)
    parser.add_argument("name", nargs="*", help=f"which, of {', '.join(PAPERS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="the short versions that the tests run; no figures")
    parser.add_argument("--readme", action="store_true", help="write the tables into the papers' README.md, too")
    options = parser.parse_args(arguments)
    for name in options.name:
        if name not in PAPERS:
            parser.error(f"no paper {name!r}; there are {', '.join(PAPERS)}")
    if options.quick and options.readme:
        parser.error("--readme: a README holds the table of the full run; leave out --quick")
    passed_on = [flag for flag, given in (("--quick", options.quick), ("--readme", options.readme)) if given]
    for name in dict.fromkeys(options.name or PAPERS):
        print(f"== {name}", flush=True)
        status = subprocess.run([sys.executable, str(HERE / name / "reproduce.py"), *passed_on], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
