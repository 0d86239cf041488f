"""The figure of the suite `modes`: above, which mode wins where; below, the nestings, loops, chunks and checkpoints.

A heat map is one family of functions.  Colour is forward's time over reverse's, on a scale of tens: blue where reverse wins, orange
where forward does, by the factor printed in the cell, = where they are equal within 10 %.  The crossover is a band: at its blue
edge reverse begins to win by 10 %, at its orange edge forward does.  The dashed line is m = n.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from measure import Result
from plot import INK, MUTED, PALE, RED
from report import number

REVERSE, FORWARD = "#1b6f9c", "#d9702b"
NESTING_INKS = {
    "auto": INK,
    "forward-reverse": "#7a5195",
    "reverse-reverse": REVERSE,
    "reverse-forward": "#2f9e6e",
    "forward-forward": FORWARD,
}
BAND = np.log10(1.1)
MOST = 2.0  # colours saturate at a factor of 100


def draw(
    figure_type: Callable[..., Any], path: Any, results: Sequence[Result], choices: Sequence[Any], about: Sequence[str]
) -> None:
    """Write the figure; figure_type is matplotlib.figure.Figure, `choices` are modes.Choice."""
    figure = figure_type(figsize=(14, 8.6), dpi=110, facecolor="white")
    figure.text(0.03, 0.962, "Forward or reverse? Measured on functions f: Rⁿ → Rᵐ", size=18, weight="bold", color=INK, va="center")
    for k, line in enumerate([*_sentences(choices), *about[:1]]):
        figure.text(0.03, 0.927 - 0.024 * k, line, size=10 if k < 2 else 8.5, color=INK if k < 2 else MUTED, va="center")
    families = list(dict.fromkeys(choice.family for choice in choices))
    jacobians = [result for result in results if result.case.tags.get("what") == "jacobian"]
    image = None
    for k, family in enumerate(families):
        axes = figure.add_axes((0.05 + 0.217 * k, 0.475, 0.2, 0.36))
        of_family = [result for result in jacobians if result.case.tags["family"] == family]
        image = _heat_map(axes, of_family, [choice for choice in choices if choice.family == family], first=k == 0)
        axes.set_title(family, size=10.5, color=INK, loc="left", pad=6)
    if image is not None:
        _scale(figure, image)
    parts = [
        ("hessian", _hessians, "Hessian: time over the quickest nesting"),
        ("looped", _loops, "A Python loop, over one mapped sweep"),
        ("chunked", _trade, "Jacobian in chunks of the basis"),
        ("checkpoint", _trade, "Gradient with checkpoints"),
    ]
    for k, (what, part, title) in enumerate(parts):
        if found := [result for result in results if result.case.tags.get("what") == what]:
            axes = figure.add_axes((0.05 + 0.244 * k, 0.085, 0.195, 0.27))
            part(axes, found)
            axes.set_title(title, size=10.5, color=INK, loc="left", pad=6)
    figure.savefig(path)


def _sentences(choices: Sequence[Any]) -> list[str]:
    right, within = sum(choice.right for choice in choices), sum(choice.cost <= 1.3 for choice in choices)
    return [
        f'mode="auto" picked the winner in {right} of {len(choices)} cases (red × marks the others) and took at most 1.3 times '
        f"its time in {within} (red ○ marks the others).",
        "In a cell: by how much the winner wins, = within 10 %. Blue and orange lines: from where reverse and forward win by 10 %. "
        "Dashed: m = n.",
    ]


def _heat_map(axes: Any, results: Sequence[Result], choices: Sequence[Any], first: bool) -> Any:
    ns, ms = sorted({choice.n for choice in choices}), sorted({choice.m for choice in choices})
    ratio = np.zeros((len(ms), len(ns)))
    for result in results:
        place = ms.index(result.case.tags["m"]), ns.index(result.case.tags["n"])
        ratio[place] = np.log10(result.median("forward") / result.median("reverse"))
    image = axes.imshow(np.clip(ratio, -MOST, MOST), cmap=_colours(), vmin=-MOST, vmax=MOST, origin="lower", aspect="auto")
    for (row, column), value in np.ndenumerate(ratio):
        factor = 10 ** abs(value)
        text = "=" if factor < 1.1 else number(factor)[:3].rstrip(".") if factor < 100 else f"{factor:.0f}"
        axes.text(column, row, text, size=7.5, ha="center", va="center", color="white" if abs(value) > 1.0 else INK, zorder=5)
    for choice in choices:
        place = ns.index(choice.n), ms.index(choice.m)
        marks = [mark for mark, shown in (("x", not choice.right), ("o", choice.cost > 1.3)) if shown]
        for k, mark in enumerate(marks):
            axes.plot(place[0] + 0.32 - 0.24 * k, place[1] + 0.3, mark, color=RED, markerfacecolor="none", markersize=4.5, zorder=6)
    if len(ns) > 1 and len(ms) > 1 and ratio.min() < -BAND and BAND < ratio.max():
        axes.contour(ratio, levels=[-BAND, BAND], colors=[FORWARD, REVERSE], linestyles="solid", linewidths=2.0)
    axes.plot([-0.5, len(ns) - 0.5], [-0.5, len(ms) - 0.5], "--", color=INK, linewidth=0.9, alpha=0.6)
    axes.set_xlim(-0.5, len(ns) - 0.5)
    axes.set_ylim(-0.5, len(ms) - 0.5)
    axes.set_xticks(range(len(ns)), [str(n) for n in ns])
    axes.set_yticks(range(len(ms)), [str(m) for m in ms] if first else [""] * len(ms))
    axes.set_xlabel("n, inputs", size=9.5, color=MUTED)
    if first:
        axes.set_ylabel("m, outputs", size=9.5, color=MUTED)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _colours() -> Any:
    """Orange, white, blue, from forward wins to reverse wins.  Imported here: matplotlib is an extra."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("modes", [FORWARD, "#f6d9c4", "#ffffff", "#c9dfec", REVERSE])


def _scale(figure: Any, image: Any) -> None:
    bar = figure.colorbar(image, cax=figure.add_axes((0.925, 0.475, 0.009, 0.36)))
    labels = ["forward wins\nby 100 ×", "10 ×", "equal", "10 ×", "reverse wins\nby 100 ×"]
    bar.set_ticks([-2, -1, 0, 1, 2], labels=labels)
    bar.ax.tick_params(labelsize=7.5, colors=MUTED, length=0)
    bar.outline.set_visible(False)


def _hessians(axes: Any, results: Sequence[Result]) -> None:
    families = list(dict.fromkeys(result.case.tags["family"] for result in results))
    for family, style in zip(families, ("-", "--", ":")):
        found = [result for result in results if result.case.tags["family"] == family]
        best = [min(result.median(tool) for tool in result.samples if tool != "auto") for result in found]
        for tool, ink in NESTING_INKS.items():
            points = [(r.case.tags["n"], r.median(tool) / b) for r, b in zip(found, best) if tool in r.samples]
            width, size = (3.2, 0) if tool == "auto" else (1.3, 4)
            alpha = 0.25 if tool == "auto" else 1.0
            label = tool if family == families[0] else None
            axes.plot(*zip(*points), style, marker="o", markersize=size, color=ink, linewidth=width, alpha=alpha, label=label)
        axes.plot([], [], style, color=MUTED, linewidth=1.3, label=family)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}×")
    axes.yaxis.set_minor_formatter(lambda y, _: f"{y:g}×" if round(y, 6) in (2, 5) else "")
    axes.legend(fontsize=7, frameon=False, labelcolor=INK, loc="upper left", handlelength=1.8, labelspacing=0.25)
    _frame(axes, "n, inputs")


def _loops(axes: Any, results: Sequence[Result]) -> None:
    for mode, loop, ink in (("reverse", "a loop of pullbacks", REVERSE), ("forward", "a loop of pushforwards", FORWARD)):
        points = [(r.case.tags["n"], r.median(loop) / r.median(f"one mapped sweep, {mode}")) for r in results]
        axes.plot(*zip(*points), "-o", color=ink, markersize=4, linewidth=1.3, label=loop)
    axes.axhline(1, color=MUTED, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}×")
    axes.legend(fontsize=7, frameon=False, labelcolor=INK, loc="upper left", handlelength=1.8)
    _frame(axes, "n = m, inputs and outputs")


def _trade(axes: Any, results: Sequence[Result]) -> None:
    """Peak memory against time, a point for each way."""
    times, peaks = sorted(results, key=lambda result: result.case.unit == "MB")
    names = list(times.samples)
    points = [(times.median(name) / 1e3, peaks.median(name)) for name in names]
    axes.plot(*zip(*points), "-", color=PALE, linewidth=2, zorder=1)
    for k, ((x, y), name) in enumerate(zip(points, names)):
        axes.plot(x, y, "o", color=RED if name == names[0] else REVERSE, markersize=6, zorder=2)
        axes.annotate(name, (x, y), (5, 5 if k < 2 else -11), textcoords="offset points", size=7, color=INK)
    xs, ys = zip(*points)
    axes.set_xlim(0.9 * min(xs), min(xs) + 1.45 * (max(xs) - min(xs) + 1e-9))
    axes.set_ylim(0, 1.25 * max(ys))
    _frame(axes, "time, ms")
    axes.set_ylabel("peak memory, MB", size=9, color=MUTED)


def _frame(axes: Any, xlabel: str) -> None:
    axes.set_xlabel(xlabel, size=9.5, color=MUTED)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=0, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(PALE)
