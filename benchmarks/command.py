"""The command line that every benchmark shares: choose suites, measure their cases, print the table, write JSON and plot.

A suite is a function from the peers installed to its cases.  What can be refused is refused before anything is measured,
in one line, with exit status 2; files appear whole or not at all.
"""
from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from measure import Case, DisagreementError, Result, machine, measure, rounds_of
from peers import HINT, Peers, load
from report import as_json, check_writable, draw, table, verdict, whole

Suite = Callable[[Peers], Sequence[Case]]


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(description: str, suites: dict[str, Suite], stem: str, arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen suites and report; the exit status is 0, or 1 if something could not be done."""
    parser = Parser(description=description)
    parser.add_argument("suite", nargs="*", help=f"which to run, of {', '.join(suites)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="five rounds, not thirty: a look, not a measurement")
    parser.add_argument("--json", type=Path, default=f"{stem}.json", metavar="PATH", help="all samples (default: %(default)s)")
    parser.add_argument("--plot", type=Path, default=f"{stem}.png", metavar="PATH", help="the figure (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in options.suite:
        if name not in suites:
            parser.error(f"no suite {name!r}; there are {', '.join(suites)}")
    figure_type = _figure_type()
    for option, path in (("--json", options.json), ("--plot", options.plot)):
        try:
            check_writable(path)
        except OSError as problem:
            parser.error(f"{option} {path}: cannot be written ({problem.strerror})")
    formats = figure_type().canvas.get_supported_filetypes() if figure_type else ()
    if figure_type and options.plot.suffix[1:].lower() not in formats:
        parser.error(f"--plot {options.plot}: the ending must be one of {', '.join(sorted(formats))}")

    peers = load()
    if peers.missing():
        print(f"Left out, not installed: {', '.join(peers.missing())}. {HINT} brings them.")
    cases = [case for name in dict.fromkeys(options.suite or suites) for case in suites[name](peers)]
    about = {"benchmark": stem, "quick": options.quick, "started": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")}
    about["machine"] = machine()
    try:
        results = measure_all(cases, 5 if options.quick else 30)
    except DisagreementError as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 1

    where = described(about["machine"])
    print("\n".join([*where, "", table(results), "", LEGEND, "", verdict(results), *busy(about["machine"])]))
    with whole(options.json) as part:
        part.write_text(as_json(results, about), encoding="utf-8")
    print(f"written: {options.json}")
    if figure_type:
        with whole(options.plot) as part:
            draw(figure_type, part, results, where)
        print(f"written: {options.plot}")
    else:
        print(f"No plot without matplotlib; {HINT} brings it.")
    return 0


LEGEND = (
    "The subject of a case is marked *.  `subject against it`: its median over (+: minus) that of the tool in this line, and\n"
    "where 95 % of that lies when rounds are drawn again.  All tools of a case ran interleaved and gave the same answer."
)


def described(machine: dict[str, Any]) -> list[str]:
    """The machine in one line, what is installed in another."""
    facts = [value if name in ("processor", "system") else f"{name} {value}" for name, value in machine.items()]
    split = list(machine).index("python")
    return [", ".join(facts[:split]), ", ".join(facts[split:])]


def busy(machine: dict[str, Any]) -> list[str]:
    """A warning, if something else was running when this began."""
    load = machine.get("load average", 0.0)
    text = f"The machine was busy: load average {load} at the start. Trust ratios, and least those of a wide interval."
    return [text] if load > 0.5 else []


def measure_all(cases: Sequence[Case], rounds: int) -> list[Result]:
    """Every case in turn, under a progress bar where tqdm is installed, with a line for each where it is not."""
    results, bar = [], _progress_bar(sum(rounds_of(case, rounds) for case in cases))
    for case in cases:
        if bar is None:
            print(f"measuring: {case.name}", file=sys.stderr, flush=True)
            results.append(measure(case, rounds))
        else:
            bar.set_description(case.name)
            results.append(measure(case, rounds, bar.update))
    if bar is not None:
        bar.close()
    return results


def _progress_bar(total: int) -> Any:
    """tqdm's, or None if it is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="round", dynamic_ncols=True)


def _figure_type() -> Any:
    """matplotlib's Figure, which draws to a file without a display; None if it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    return Figure
