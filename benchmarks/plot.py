"""What was measured, as a figure: costs side by side, and how much of its allowance each target uses."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import Result, is_objective
from report import as_limit, number, quantity

INK, MUTED, PALE, RED, BLUE = "#22313f", "#6b7885", "#e3e8ec", "#c0392b", "#1b7f9c"
COLOURS = ["#e07a3f", "#7a5195", "#2f9e6e", "#8a8f3c", "#c2577a", "#b8860b"]
ROW = 0.62  # inches


def draw(figure_type: Callable[..., Any], path: Path, results: Sequence[Result], about: Sequence[str]) -> None:
    """Above, what other tools cost where the subject costs 1; below, how much of its allowance each other target uses.

    figure_type is matplotlib.figure.Figure, which needs no display; `about` are lines under the title.
    """
    races = [result for result in results if not result.case.difference and _others(result)]
    targets = [(result, tool) for result in results for tool in result.case.targets if tool in result.samples]
    budgets = [(result, tool) for result, tool in targets if _own(result, tool)]
    parts: list[tuple[list, Callable]] = [pair for pair in ((races, _draw_races), (budgets, _draw_budgets)) if pair[0]]
    if not parts:
        parts = [(list(results), _draw_costs)]
    height = 0.95 + 0.2 * len(about) + sum(ROW * len(part) + 1.0 for part, _ in parts)
    figure = figure_type(figsize=(12.5, height), dpi=150, facecolor="white")
    figure.text(0.03, 1 - 0.36 / height, "What derivatives cost", size=18, weight="bold", color=INK, va="center")
    for k, line in enumerate(about):
        figure.text(0.03, 1 - (0.7 + 0.2 * k) / height, line, size=9, color=MUTED, va="center")
    top = height - 0.95 - 0.2 * len(about)
    for part, draw_part in parts:
        size = ROW * len(part)
        draw_part(figure.add_axes((0.36, (top - 0.3 - size) / height, 0.6, size / height)), part)
        top -= size + 1.0
    figure.savefig(path)


def _own(result: Result, tool: str) -> bool:
    """Is the subject held against itself (another size, its own gradient, its absence), and not against another library?"""
    return result.case.difference or _library(tool) == _library(result.subject)


def _library(tool: str) -> str:
    """`PyTorch, 2 threads` is PyTorch."""
    return tool.split(",")[0]


def _others(result: Result) -> list[str]:
    """The tools that are not ways to measure the subject, nor the function itself."""
    return [tool for tool in result.samples if _library(tool) != _library(result.subject) and not is_objective(tool)]


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
    axes.legend(loc="lower right", bbox_to_anchor=(1.01, 1.0), ncols=len(libraries) + 2, frameon=False, fontsize=9,
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
        text = f"{measured}, allowed {as_limit(result, limit)[2:]}"
        axes.text(part, row - 0.23, text, size=8.5, color=INK, ha="right", va="bottom")
        _label(axes, row, result.case.name, f"against {tool}")
        most = max(most, part)
    axes.axvline(1, color=INK, linewidth=1.5)
    axes.set_xlim(0, 1.25 * most)
    _frame(axes, len(pairs), "part of the allowance used")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")


def _draw_costs(axes: Any, results: Sequence[Result]) -> None:
    """Where there is nothing to compare with: the median of every subject."""
    for row, result in enumerate(results):
        samples = result.samples[result.subject]
        axes.plot(samples, [row] * len(samples), "o", color=BLUE, alpha=0.2, markersize=4)
        axes.plot(result.median(result.subject), row, "o", color=BLUE, markersize=8)
        _label(axes, row, result.case.name, quantity(result.median(result.subject), result.case.unit))
    axes.set_xscale("log")
    _frame(axes, len(results), "cost, each in its unit")


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
