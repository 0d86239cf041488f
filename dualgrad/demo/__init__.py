"""Train a classifier of handwritten digits, check its gradient, time both modes, draw one figure.

On scikit-learn's bundled digits: 1797 images of 8 by 8 pixels, ten classes, a fifth of them held out.  The work is in
digits.py, the drawing in figure.py; here is the command: its options, what it refuses, what it prints.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad.demo.digits import (
    RECIPES,
    SIZES,
    check_gradient,
    classify,
    count_parameters,
    fit,
    initialize,
    split,
    time_modes,
)
from dualgrad.demo.figure import draw, duration
from dualgrad.errors import ArgumentError


def describe(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--optimizer",
        choices=RECIPES,
        default="adam",
        help="how to train (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("dualgrad-demo.png"),
        metavar="PATH",
        help="where the figure goes; the ending chooses the format (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="seed of the split, the weights and the batches (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """The whole demo; what can be refused is refused before the training starts."""
    try:
        extras = load_extras()
        check_writable(options.out, extras.Figure().canvas.get_supported_filetypes())
    except (ImportError, ArgumentError) as problem:
        print(f"python -m dualgrad demo: {problem}", file=sys.stderr)
        return 1

    rng = np.random.default_rng(options.seed)
    train, held_out = split(extras.load_digits(), rng)
    params = initialize(rng)
    _say("data", f"{len(train.labels)} digits to learn from, {len(held_out.labels)} held out (seed {options.seed})")
    _say("model", f"mlp {'-'.join(map(str, SIZES))}, tanh, {count_parameters(params)} parameters")

    exact, differences = check_gradient(params, train, rng)
    error = abs(exact / differences - 1)
    _say("gradient", f"along a random direction {exact:.12f}, finite differences {differences:.12f}: off by {error:.0e}")

    name = RECIPES[options.optimizer].name
    params, history = fit(options.optimizer, params, train, rng, extras.progress)
    price = f"{history.seconds[-1]:.1f} s, {history.gradients[-1]:.0f} gradients of all examples"
    _say("training", f"{name}: {len(history.loss)} steps, {price}")
    correct = int(np.sum(classify(params, held_out.images) == held_out.labels))
    _say("accuracy", f"{correct / len(held_out.labels):.1%} of the held-out digits, {correct} of {len(held_out.labels)}")

    costs = time_modes(params, train, rng)
    for cost in costs:
        times = cost.seconds / costs[0].seconds
        _say("cost", f"{cost.name:<36} {duration(cost.seconds):>8} {times:10,.1f} evaluations")

    draw(extras.Figure, options.out, name, history, costs, params, held_out)
    _say("figure", str(options.out.resolve()))
    return 0


@dataclass(frozen=True)
class Extras:
    """What the extra `demo` installs."""

    load_digits: Callable[..., Any]
    progress: Callable[..., Any]
    Figure: Any


def load_extras() -> Extras:
    """scikit-learn's digits, tqdm's progress bar and matplotlib's figure, or one line saying how to get them."""
    try:
        from matplotlib.figure import Figure
        from sklearn.datasets import load_digits
        from tqdm import tqdm
    except ImportError as missing:
        raise ImportError(f'{missing.name} is missing; pip install "dualgrad[demo]" brings it.') from None
    return Extras(load_digits, tqdm, Figure)


def check_writable(path: Path, formats: Iterable[str]) -> None:
    """Can a figure be written here?  Found out by opening the file, and leaving no trace."""
    if path.suffix[1:].lower() not in formats:
        raise ArgumentError(f"--out {path}: the ending must be one of {', '.join(sorted(formats))}.")
    existed = path.exists()
    try:
        with path.open("ab"):
            pass
    except OSError as problem:
        raise ArgumentError(f"--out {path}: cannot be written ({problem.strerror}).") from None
    if not existed:
        path.unlink()


def _seed(text: str) -> int:
    """argparse's type of --seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a non-negative integer, got {text!r}")
    return int(text)


def _say(what: str, text: str) -> None:
    print(f"{what:<10} {text}", flush=True)
