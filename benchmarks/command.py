"""The command: choose suites, measure their cases, print the tables, write JSON, figures and RESULTS.md.

What can be refused is refused before anything is measured, in one line; files appear whole or not at all.  The exit status is 0,
1 if something could not be done, 2 if the arguments are wrong.
"""
from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import calibrate, calibration, described, machine, steadiness
from measure import BenchmarkError, Case, Result, measure
from peers import HINT, PACKAGES, installed
from plot import draw
from report import as_json, check_writable, table, verdict, whole
from results import as_markdown, summaries
from suites import SUITES, Suite
from suites import found as located
from workers import Worker, merged

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"

FULL = 30, 10.0, 5  # rounds, unless a case takes so many seconds; but never fewer than this
QUICK = 5, 1.0, 2

LEGEND = (
    "The subject of a case is marked *.  `subject against it`: its median over (+: minus) that of the tool in this line, and\n"
    "where 95 % of that lies when rounds are drawn again.  All tools of a case ran interleaved and gave the same answer."
)


class RefusedError(Exception):
    """Arguments that cannot be carried out."""


def run(options: argparse.Namespace, prog: str) -> int:
    """The whole of it."""
    try:
        chosen = check(options)
        return report(options, chosen, *measure_all(options, chosen))
    except RefusedError as problem:
        print(f"{prog}: {problem}", file=sys.stderr)
        return 2
    except BenchmarkError as problem:
        print(f"{prog}: {str(problem).rstrip('.')}. Nothing was written.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: stopped; nothing was written.", file=sys.stderr)
        return 130


def check(options: argparse.Namespace) -> dict[str, Suite]:
    """The chosen suites, if all that is asked for can be done."""
    for name in options.suites:
        if name not in SUITES:
            raise RefusedError(f"no suite {name!r}; there are {', '.join(SUITES)}.")
    chosen = {name: SUITES[name] for name in options.suites or SUITES}
    if options.data is not None:
        _check_folder(options.data)
    written = [("--json", options.json)]
    if figure_type := _figure_type():
        formats = figure_type().canvas.get_supported_filetypes()
        if options.plot.suffix[1:].lower() not in formats:
            raise RefusedError(f"--plot {options.plot}: the ending must be one of {', '.join(sorted(formats))}.")
        written += [("--plot", path) for path in figures(options.plot, chosen).values()]
    if options.results:
        written.append(("--results", RESULTS))
    for option, path in written:
        try:
            check_writable(path)
        except OSError as problem:
            raise RefusedError(f"{option} {path}: cannot be written ({problem.strerror}).") from None
    return chosen


def _check_folder(path: Path) -> None:
    try:
        next(path.iterdir(), None)
    except OSError as problem:
        raise RefusedError(f"--data {path}: cannot be read ({problem.strerror}).") from None


def figures(path: Path, chosen: dict[str, Suite]) -> dict[str, Path]:
    """Where the figure of each suite goes: `path` if it is the only one, else with its name before the ending."""
    return {name: path if len(chosen) == 1 else path.with_name(f"{path.stem}-{name}{path.suffix}") for name in chosen}


# ---- measuring -----------------------------------------------------------------------------------------------------


def measure_all(options: argparse.Namespace, chosen: dict[str, Suite]) -> tuple[dict[str, list[Result]], dict[str, Any]]:
    """The results of each suite, and about the run."""
    there = installed() if options.peers else []
    if absent := [name for name in PACKAGES if options.peers and name not in there]:
        print(f"Left out, not installed: {', '.join(absent)}. {HINT} brings them.")
    about = {
        "quick": options.quick,
        "peers": there,
        "data": "generated" if options.data is None else options.data.name,
        "started": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
        "machine": machine(),
    }
    begun, speeds = time.monotonic(), [calibrate() for _ in range(5)]
    found: dict[str, list[Result]] = {}
    with contextlib.ExitStack() as stack:
        workers = [Worker(name) for name in (None, *there)]
        for worker in workers:
            stack.callback(worker.close)
        cases = {name: _cases(workers, name, suite, options) for name, suite in chosen.items()}
        with _progress(sum(map(len, cases.values()))) as step:
            for name in chosen:
                found[name] = []
                for case in cases[name]:
                    step(f"{name}: {case.name}")
                    found[name].append(measure(case, *(QUICK if options.quick else FULL)))
                    speeds.append(calibrate())
    about["seconds"] = round(time.monotonic() - begun)
    about["calibration"] = calibration(speeds)
    return found, about


def _cases(workers: Sequence[Worker], name: str, suite: Suite, options: argparse.Namespace) -> list[Case]:
    """Every worker builds the suite; a file it cannot read or make sense of is said in one line."""
    given = {"quick": options.quick, "data": options.data}
    try:
        own, *others = [worker.cases(suite.cases, given) for worker in workers]
    except OSError as problem:
        raise BenchmarkError(f"{name}: {problem.filename}: cannot be read ({problem.strerror})") from None
    return merged(own, others)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A function that says what comes next: on tqdm's bar where it is installed, on a line of its own where it is not."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda text: print(f"measuring: {text}", file=sys.stderr, flush=True)
        return
    with tqdm(total=total, unit="case", dynamic_ncols=True) as bar:
        begun = False

        def step(text: str) -> None:
            nonlocal begun
            bar.update(int(begun))
            bar.set_description(text)
            begun = True

        yield step
        bar.update(int(begun))


# ---- reporting -----------------------------------------------------------------------------------------------------


def report(options: argparse.Namespace, chosen: dict[str, Suite], found: dict[str, list[Result]], about: dict[str, Any]) -> int:
    """Print the tables and write the files."""
    where = described(about["machine"])
    print("\n".join(where))
    for name, results in found.items():
        suite = chosen[name]
        texts = [f"{name}: {suite.about}", *([table(results)] if suite.tabulated else []), *summaries(suite, results)]
        print("\n" + "\n\n".join(texts))
    everything = [result for results in found.values() for result in results]
    print("\n".join(["", LEGEND, "", verdict(everything), steadiness(about)]))
    with whole(options.json) as part:
        part.write_text(as_json(about, found), encoding="utf-8")
    print(f"written: {options.json}")
    if figure_type := _figure_type():
        for name, path in figures(options.plot, chosen).items():
            _draw(figure_type, path, chosen[name], found[name], where)
    else:
        print(f"No figures without matplotlib; {HINT} brings it.")
    if options.results:
        shown = {}
        for name, suite in chosen.items():
            if figure_type and suite.figure:
                shown[name] = RESULTS.with_name(f"{name}.png")
                _draw(figure_type, shown[name], suite, found[name], where)
        with whole(RESULTS) as part:
            text = as_markdown(chosen, found, about, {name: path.name for name, path in shown.items()})
            part.write_text(text, encoding="utf-8")
        print(f"written: {RESULTS}")
    return 0


def _draw(figure_type: Any, path: Path, suite: Suite, results: Sequence[Result], where: Sequence[str]) -> None:
    """The suite's own figure, or the one for all."""
    with whole(path) as part:
        (located(suite.figure) if suite.figure else draw)(figure_type, part, results, where)
    print(f"written: {path}")


def _figure_type() -> Any:
    """matplotlib's Figure, which draws to a file without a display; None if it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    return Figure
