"""What was measured, for people and for programs: a table, a JSON file and a plot, all from the same results."""
from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import Comparison, Result

INK, MUTED, PALE, RED, BLUE = "#22313f", "#6b7885", "#e3e8ec", "#c0392b", "#1b7f9c"
COLOURS = ["#e07a3f", "#7a5195", "#2f9e6e", "#8a8f3c", "#c2577a", "#b8860b"]

HEADER = ("case", "tool", "median", "least", "subject against it", "target", "reached")


def table(results: Iterable[Result]) -> str:
    """One line per case and tool; the subject of a case is marked with *, the others say how it stands against them."""
    lines: list[tuple[str, ...]] = [HEADER]
    for result in results:
        lines.append(("",) * len(HEADER))
        lines.extend(_rows(result))
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER))]
    align = [str.ljust, str.ljust, str.rjust, str.rjust, str.ljust, str.rjust, str.ljust]
    text = ["  ".join(put(cell, width) for put, cell, width in zip(align, line, widths)).rstrip() for line in lines]
    text.insert(1, "-" * len(text[0]))
    return "\n".join(text)


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    case = result.case
    name = case.name
    for tool, samples in result.samples.items():
        costs = quantity(np.median(samples), case.unit), quantity(np.min(samples), case.unit)
        if tool == result.subject:
            yield name, f"{tool} *", *costs, "", "", ""
        else:
            limit = case.targets.get(tool)
            reached = {None: "", True: "yes", False: "NO"}[result.reached(tool)]
            yield name, tool, *costs, _compared(result, tool), "" if limit is None else _limit(result, limit), reached
        name = ""
    for tool, limit in case.targets.items():
        if tool not in result.samples:
            yield name, tool, "", "", "not measured", _limit(result, limit), ""


def _compared(result: Result, tool: str) -> str:
    found = result.compare(tool)
    if result.case.difference:
        return f"{quantity(found.value, result.case.unit, sign=True)}  ({number(found.low)} to {number(found.high)})"
    return f"× {number(found.value)}  ({number(found.low)} to {number(found.high)})"


def _limit(result: Result, limit: float) -> str:
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
        limit = _limit(result, result.case.targets[tool])
        lines.append(f"Missed: {result.case.name}, against {tool}: {_compared(result, tool)}, target {limit}.")
    return "\n".join(lines)


# ---- files ---------------------------------------------------------------------------------------------------------


def as_json(results: Sequence[Result], about: dict[str, Any]) -> str:
    """Everything measured, every sample included."""
    return json.dumps(about | {"cases": [_as_dict(result) for result in results]}, indent=1, ensure_ascii=False) + "\n"


def _as_dict(result: Result) -> dict[str, Any]:
    case = result.case
    tools = {}
    for tool, samples in result.samples.items():
        tools[tool] = {"median": result.median(tool), "least": float(np.min(samples)), "samples": samples.tolist()}
        if tool != result.subject:
            found: Comparison = result.compare(tool)
            tools[tool] |= {
                "difference" if case.difference else "ratio": found.value,
                "interval": [found.low, found.high],
                "target": case.targets.get(tool),
                "reached": result.reached(tool),
            }
    return {"case": case.name, "unit": case.unit, "subject": result.subject, "tools": tools}


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


# ---- plot ----------------------------------------------------------------------------------------------------------


ROW = 0.62  # inches


def draw(figure_type: Callable[..., Any], path: Path, results: Sequence[Result], about: Sequence[str]) -> None:
    """Above, what other tools cost where the subject costs 1; below, how much of its allowance each other target uses.

    figure_type is matplotlib.figure.Figure, which needs no display; `about` are lines under the title.
    """
    races = [result for result in results if not _own(result) and len(_others(result)) > 0]
    budgets = [(result, tool) for result in results if _own(result) for tool in result.case.targets if tool in result.samples]
    parts: list[tuple[list, Callable]] = [pair for pair in ((races, _draw_races), (budgets, _draw_budgets)) if pair[0]]
    height = 0.95 + 0.2 * len(about) + sum(ROW * len(part) + 1.0 for part, _ in parts)
    figure = figure_type(figsize=(12.5, height), dpi=150, facecolor="white")
    figure.text(0.03, 1 - 0.36 / height, "What derivatives cost", size=18, weight="bold", color=INK, va="center")
    for k, line in enumerate(about):
        figure.text(0.03, 1 - (0.7 + 0.2 * k) / height, line, size=9, color=MUTED, va="center")
    top = height - 0.95 - 0.2 * len(about)
    for part, draw_part in parts:
        size = ROW * len(part)
        draw_part(figure.add_axes((0.29, (top - 0.3 - size) / height, 0.67, size / height)), part)
        top -= size + 1.0
    figure.savefig(path)


def _own(result: Result) -> bool:
    """Is the subject held against itself (another size, its own absence), and not against another tool?"""
    return result.case.difference or all(_library(tool) == _library(result.subject) for tool in result.case.targets)


def _library(tool: str) -> str:
    """`PyTorch, 2 threads` is PyTorch."""
    return tool.split(",")[0]


def _others(result: Result) -> list[str]:
    """The tools that are not ways to measure the subject."""
    return [tool for tool in result.samples if _library(tool) != _library(result.subject)]


def _draw_races(axes: Any, results: Sequence[Result]) -> None:
    """Per case a dot for each tool, at its cost in units of the subject's; pale dots are the single rounds.

    Tools with a target have their figure above the dot, the others, hollow, below it.
    """
    libraries = list(dict.fromkeys(_library(tool) for result in results for tool in _others(result)))
    colour = dict(zip(libraries, COLOURS * len(libraries)))
    axes.axvline(1, color=BLUE, linewidth=1.5)
    for row, result in enumerate(results):
        subject = result.samples[result.subject]
        axes.plot(1, row, "o", color=BLUE, markersize=10, zorder=4)
        _label(axes, row, result.case.name, f"{result.subject}: {quantity(np.median(subject), result.case.unit)}")
        for tool in _others(result):
            ink, times = colour[_library(tool)], 1 / result.compare(tool).value
            limit = result.case.targets.get(tool)
            axes.plot(result.samples[tool] / subject, [row] * len(subject), "o", color=ink, alpha=0.12, markersize=4, zorder=1)
            axes.plot(times, row, "o", color=ink, markerfacecolor="white" if limit is None else ink, markersize=8, zorder=3)
            lift, align = (0.22, "top") if limit is None else (-0.21, "bottom")
            axes.text(times, row + lift, f"{number(times)}×", size=8.5, color=ink, ha="center", va=align)
            if limit is not None:
                _draw_target(axes, row, 1 / limit, ink if result.reached(tool) else RED)
    for library in ["dualgrad", *libraries]:
        axes.plot([], [], "o", color=colour.get(library, BLUE), label=library)
    _draw_target(axes, -9, 1, MUTED, "target: reached by a dot right of it, red if missed")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(libraries) + 2, frameon=False, fontsize=9,
                handletextpad=0.1, columnspacing=1.2, labelcolor=INK)  # fmt: skip
    axes.set_xscale("log")
    _frame(axes, len(results), "cost, in units of dualgrad's")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}×")


def _draw_target(axes: Any, row: float, place: float, ink: str, label: str | None = None) -> None:
    """A bar with a caret to the side where the dot must be."""
    axes.plot([place, place], [row - 0.27, row + 0.27], color=ink, linewidth=1.5, zorder=2)
    axes.plot(place, row, marker=9, linestyle="", color=ink, markersize=6, zorder=2, label=label)


def _draw_budgets(axes: Any, pairs: Sequence[tuple[Result, str]]) -> None:
    """Per target a bar: measured over allowed, with its interval."""
    most = 1.0
    for row, (result, tool) in enumerate(pairs):
        found, limit = result.compare(tool), result.case.targets[tool]
        part = found.value / limit
        axes.barh(row, part, height=0.4, color=BLUE if result.reached(tool) else RED, linewidth=0)
        axes.plot([found.low / limit, found.high / limit], [row, row], color=INK, linewidth=1.2)
        measured = quantity(found.value, result.case.unit) if result.case.difference else f"× {number(found.value)}"
        text = f"{measured}, allowed {_limit(result, limit)[2:]}"
        axes.text(part, row - 0.23, text, size=8.5, color=INK, ha="right", va="bottom")
        _label(axes, row, result.case.name, f"against {tool}")
        most = max(most, part)
    axes.axvline(1, color=INK, linewidth=1.5)
    axes.set_xlim(0, 1.25 * most)
    _frame(axes, len(pairs), "part of the allowance used")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")


def _label(axes: Any, row: int, name: str, detail: str) -> None:
    """The name of a row and what stands small under it, left of the axes."""
    for text, lift, style in ((name, -0.14, {"size": 10, "color": INK}), (detail, 0.2, {"size": 8.5, "color": MUTED})):
        axes.annotate(text, (0, row + lift), xycoords=("axes fraction", "data"), xytext=(-12, 0), textcoords="offset points",
                      ha="right", va="center", annotation_clip=False, **style)


def _frame(axes: Any, rows: int, xlabel: str) -> None:
    axes.set_ylim(rows - 0.5, -0.6)
    axes.set_yticks([])
    axes.set_xlabel(xlabel, size=9.5, color=MUTED)
    axes.grid(axis="x", color=PALE, linewidth=0.8)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, which="both")
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
