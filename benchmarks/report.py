"""What was measured, for people and for programs: a table and a JSON file, and how files are written."""
from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import Comparison, Result

HEADER = ("case", "tool", "median", "least", "first call", "subject against it", "target", "reached")


def table(results: Iterable[Result]) -> str:
    """One line per case and tool; the subject of a case is marked with *, the others say how it stands against them."""
    lines: list[tuple[str, ...]] = [HEADER]
    for result in results:
        lines.append(("",) * len(HEADER))
        lines.extend(_rows(result))
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER))]
    align = [str.ljust, str.ljust, str.rjust, str.rjust, str.rjust, str.ljust, str.rjust, str.ljust]
    text = ["  ".join(put(cell, width) for put, cell, width in zip(align, line, widths)).rstrip() for line in lines]
    text.insert(1, "-" * len(text[0]))
    return "\n".join(text)


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    case = result.case
    name = case.name
    for tool, samples in result.samples.items():
        first = quantity(result.first[tool], case.unit) if tool in result.first else ""
        costs = quantity(np.median(samples), case.unit), quantity(np.min(samples), case.unit), first
        if tool == result.subject:
            yield name, f"{tool} *", *costs, "", "", ""
        else:
            limit = case.targets.get(tool)
            reached = {None: "", True: "yes", False: "NO"}[result.reached(tool)]
            yield name, tool, *costs, compared(result, tool), "" if limit is None else as_limit(result, limit), reached
        name = ""
    for tool, limit in case.targets.items():
        if tool not in result.samples:
            yield name, tool, "", "", "", "not measured", as_limit(result, limit), ""


def compared(result: Result, tool: str) -> str:
    found = result.compare(tool)
    if result.case.difference:
        return f"{quantity(found.value, result.case.unit, sign=True)}  ({number(found.low)} to {number(found.high)})"
    return f"× {number(found.value)}  ({number(found.low)} to {number(found.high)})"


def as_limit(result: Result, limit: float) -> str:
    return f"≤ {limit:g} {result.case.unit}" if result.case.difference else f"≤ {limit:g}"


def number(value: float) -> str:
    """Three significant digits, at most three decimals, no exponent.

    >>> number(0.0412), number(0.41), number(23.456), number(1234.5)
    ('0.041', '0.410', '23.5', '1234')
    """
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def quantity(value: Any, unit: str, sign: bool = False) -> str:
    """A number with its unit; microseconds beyond a thousand become ms or s.

    >>> quantity(12.3, "µs"), quantity(45678.0, "µs"), quantity(2.5e6, "µs"), quantity(3.0, "ms", sign=True)
    ('12.3 µs', '45.7 ms', '2.50 s', '+3.00 ms')
    """
    value = float(value)
    while abs(value) >= 1000 and unit in ("µs", "ms"):
        value, unit = value / 1000, {"µs": "ms", "ms": "s"}[unit]
    return f"{'+' if sign and value >= 0 else ''}{number(value)} {unit}"


def verdict(results: Iterable[Result]) -> str:
    """How many targets are reached, and which are not."""
    found = [(result, tool, result.reached(tool)) for result in results for tool in result.case.targets]
    if not found:
        return "No targets among these cases."
    reached, missed = sum(r is True for *_, r in found), [(result, tool) for result, tool, r in found if r is False]
    absent = sum(r is None for *_, r in found)
    lines = [f"{reached} of {len(found)} targets reached" + (f", {absent} not measured." if absent else ".")]
    for result, tool in missed:
        limit = as_limit(result, result.case.targets[tool])
        lines.append(f"Missed: {result.case.name}, against {tool}: {compared(result, tool)}, target {limit}.")
    return "\n".join(lines)


# ---- files ---------------------------------------------------------------------------------------------------------


def as_json(about: dict[str, Any], found: dict[str, Sequence[Result]]) -> str:
    """Everything measured, suite by suite, every sample included."""
    suites = {suite: [_as_dict(result) for result in results] for suite, results in found.items()}
    return json.dumps(about | {"suites": suites}, indent=1, ensure_ascii=False) + "\n"


def _as_dict(result: Result) -> dict[str, Any]:
    case = result.case
    tools = {}
    for tool, samples in result.samples.items():
        tools[tool] = {"median": result.median(tool), "least": float(np.min(samples)), "samples": samples.tolist()}
        if tool in result.first:
            tools[tool]["first"] = result.first[tool]
        if tool != result.subject:
            found: Comparison = result.compare(tool)
            tools[tool] |= {
                "difference" if case.difference else "ratio": found.value,
                "interval": [found.low, found.high],
                "target": case.targets.get(tool),
                "reached": result.reached(tool),
            }
    return {"case": case.name, "unit": case.unit, "subject": result.subject, "tags": case.tags, "tools": tools}


def check_writable(path: Path) -> None:
    """Raise OSError if no file can be written at this path; nothing is left behind."""
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    with tempfile.TemporaryFile(dir=path.parent):
        pass


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when all has been written, and vanishes if that fails."""
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
