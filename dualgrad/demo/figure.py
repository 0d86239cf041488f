"""The figure: loss, gradient norms and mode timing above; below, digits and the pixels that decided them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dualgrad.demo.digits import Cost, Digits, History, classify, evidence

INK, MUTED, PALE = "#22313f", "#6b7885", "#e3e8ec"
BLUE, ORANGE, PURPLE = "#1b7f9c", "#e07a3f", "#7a5195"
LAYERS = {"first layer": BLUE, "second layer": ORANGE, "output layer": PURPLE}


def draw(
    figure_type: Any, path: Path, history: History, costs: list[Cost], params: Any, held_out: Digits
) -> None:
    """Draw everything and write it; figure_type is matplotlib.figure.Figure, which needs no display."""
    figure = figure_type(figsize=(13, 7.6), dpi=150, facecolor="white")
    accuracy = np.mean(classify(params, held_out.images) == held_out.labels)
    figure.text(0.035, 0.94, "dualgrad learns to read digits", size=19, weight="bold", color=INK)
    summary = f"{accuracy:.1%} of {len(held_out.labels)} held-out digits right after {len(history.loss)} steps of Adam"
    figure.text(0.035, 0.9, f"{summary}, on exact gradients of plain NumPy", size=11.5, color=MUTED)

    above = figure.add_gridspec(1, 3, left=0.06, right=0.975, top=0.815, bottom=0.445, wspace=0.22)
    _draw_loss(figure.add_subplot(above[0]), history.loss)
    _draw_norms(figure.add_subplot(above[1]), history.norms)
    _draw_costs(figure.add_subplot(above[2]), costs)

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


def _draw_loss(axes: Any, losses: Any) -> None:
    """The loss of every batch, and its running mean."""
    _style(axes, "Loss", "step")
    _draw_curve(axes, losses, BLUE)
    axes.set_yscale("log")


def _draw_norms(axes: Any, norms: Any) -> None:
    """The norm of the gradient over each layer."""
    _style(axes, "Norm of the gradient, layer by layer", "step")
    for (name, colour), values in zip(LAYERS.items(), norms.T, strict=True):
        _draw_curve(axes, values, colour, name)
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


def _draw_curve(axes: Any, values: Any, colour: str, name: str | None = None, window: int = 40) -> None:
    """A noisy curve, pale, under its running mean."""
    axes.plot(values, color=colour, alpha=0.18, linewidth=0.7)
    window = min(window, len(values))
    mean = np.convolve(values, np.ones(window) / window, mode="valid")
    axes.plot(np.arange(len(mean)) + (window - 1) / 2, mean, color=colour, linewidth=2, label=name)


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
