"""The figure: loss against time and gradients, gradient norms and mode timing; below, digits and the pixels that decided them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dualgrad.demo.digits import Cost, Digits, History, classify, evidence

INK, MUTED, PALE = "#22313f", "#6b7885", "#e3e8ec"
BLUE, ORANGE, PURPLE = "#1b7f9c", "#e07a3f", "#7a5195"
COLOURS = (BLUE, ORANGE, PURPLE)


def draw(
    figure_type: Any, path: Path, optimizer: str, history: History, costs: list[Cost], params: Any, held_out: Digits
) -> None:
    """Draw everything and write it; figure_type is matplotlib.figure.Figure, which needs no display."""
    figure = figure_type(figsize=(16, 7.6), dpi=150, facecolor="white")
    accuracy = np.mean(classify(params, held_out.images) == held_out.labels)
    figure.text(0.035, 0.94, "dualgrad learns to read digits", size=19, weight="bold", color=INK)
    summary = f"{accuracy:.1%} of {len(held_out.labels)} held-out digits right after {len(history.loss)} steps of {optimizer}"
    figure.text(0.035, 0.9, f"{summary}, on exact gradients of plain NumPy", size=11.5, color=MUTED)

    above = figure.add_gridspec(1, 4, left=0.05, right=0.975, top=0.815, bottom=0.445, wspace=0.2)
    time_axes = figure.add_subplot(above[0])
    _draw_loss(time_axes, "Loss against time", "seconds", history.seconds, history.loss)
    gradients_axes = figure.add_subplot(above[1], sharey=time_axes)
    _draw_loss(gradients_axes, "Loss against gradients", "gradient evaluations, of all examples", history.gradients, history.loss)
    gradients_axes.tick_params(labelleft=False)
    _draw_norms(figure.add_subplot(above[2]), history.norms)
    _draw_costs(figure.add_subplot(above[3]), costs)

    figure.text(0.035, 0.335, "What the network looks at", size=12, weight="bold", color=INK)
    caption = (
        "held-out digits and the answers given; below, the slope of the winning logit in each pixel: "
        "ink on blue speaks for it, on orange against"
    )
    figure.text(0.235, 0.336, caption, size=9.5, color=MUTED)
    below = figure.add_gridspec(2, 10, left=0.035, right=0.985, top=0.315, bottom=0.03, wspace=0.1, hspace=0.06)
    _draw_evidence(figure, below, params, held_out)
    figure.savefig(path)


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> duration(0.00012), duration(0.0123), duration(4.56)
    ('120 µs', '12.3 ms', '4.6 s')
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _draw_loss(axes: Any, title: str, price: str, paid: Any, losses: Any) -> None:
    """The loss of every batch against what was paid until then, and its running mean."""
    _style(axes, title, price)
    _draw_curve(axes, paid, losses, BLUE)
    axes.set_yscale("log")


def _draw_norms(axes: Any, norms: dict[str, Any]) -> None:
    """The norm of the gradient, over each layer or all."""
    _style(axes, "Norm of the gradient", "step")
    for (name, values), colour in zip(norms.items(), COLOURS, strict=False):
        _draw_curve(axes, np.arange(len(values)), values, colour, name)
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=9.5, labelcolor="linecolor", handlelength=0, loc="lower left")


def _draw_costs(axes: Any, costs: list[Cost]) -> None:
    """Bars on a logarithmic axis, each under its name and beside its time; hatched where it is an estimate."""
    _style(axes, "What a derivative costs", "")
    shortest, longest = min(cost.seconds for cost in costs), max(cost.seconds for cost in costs)
    start = shortest / 3
    for row, (cost, colour) in enumerate(zip(costs, (MUTED, ORANGE, BLUE, PALE), strict=True)):
        hatch = {"edgecolor": MUTED, "hatch": "////"} if cost.estimated else {}
        axes.barh(row, cost.seconds - start, left=start, height=0.36, color=colour, linewidth=0, **hatch)
        axes.text(start, row - 0.25, cost.name, size=9.5, color=INK)
        axes.text(cost.seconds * 1.2, row, duration(cost.seconds), size=9.5, color=INK, va="center", weight="bold")
    axes.set_xscale("log")
    axes.set_xlim(start, longest * 15)
    axes.set_ylim(len(costs) - 0.6, -0.6)
    axes.set_axis_off()
    axes.title.set_visible(True)


def _draw_evidence(figure: Any, grid: Any, params: Any, held_out: Digits) -> None:
    """One held-out digit of each class, and under it the derivative of the winning logit by its pixels."""
    chosen = [int(np.argmax(held_out.labels == digit)) for digit in range(10)]
    images = held_out.images[chosen]
    slopes, answers = evidence(params, images), classify(params, images)
    for column, (image, slope, answer) in enumerate(zip(images, slopes, answers, strict=True)):
        above, below = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        above.imshow(image.reshape(8, 8), cmap="Greys", vmin=0, vmax=1.1)
        right = answer == held_out.labels[chosen[column]]
        above.text(-0.7, 0, str(answer), size=12, weight="bold", color=INK if right else ORANGE, ha="right", va="center")
        limit = np.max(np.abs(slope))
        below.imshow(_tint(slope.reshape(8, 8) / limit))
        for axes in (above, below):
            axes.set_axis_off()


def _draw_curve(axes: Any, along: Any, values: Any, colour: str, name: str | None = None) -> None:
    """A noisy curve, pale, under its running mean over a twentieth of it."""
    axes.plot(along, values, color=colour, alpha=0.18, linewidth=0.7)
    window = max(1, min(40, len(values) // 20))
    mean = np.convolve(values, np.ones(window) / window, mode="valid")
    axes.plot(np.convolve(along, np.ones(window) / window, mode="valid"), mean, color=colour, linewidth=2, label=name)


def _tint(values: Any) -> Any:
    """Values in [-1, 1] as colours from orange over white to blue, shape (..., 3)."""
    blue, orange = (np.array([int(name[k : k + 2], 16) / 255 for k in (1, 3, 5)]) for name in (BLUE, ORANGE))
    strength = np.abs(values)[..., np.newaxis]
    return 1 - strength * (1 - np.where(values[..., np.newaxis] > 0, blue, orange))


def _style(axes: Any, title: str, xlabel: str) -> None:
    """A quiet frame: title at the left, no box, a faint grid."""
    axes.set_title(title, loc="left", size=12, weight="bold", color=INK, pad=10)
    axes.set_xlabel(xlabel, size=9.5, color=MUTED)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, which="both")
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(PALE)
