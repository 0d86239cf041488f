"""What a solve returns: the best parameters found, how it ended as a sentence, and the history of how it went.

An `Ending` is one of a fixed list of sentences; a `Result` adds the numbers to it.  Iterative methods report a `Progress`
after every step, SciPy's and our own alike: it is what a callback receives, what the progress bar shows, what the history
holds and what `Result.plot` draws.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dualgrad.errors import ArgumentError


class Ending(enum.Enum):
    """How a solve ended."""

    CONVERGED = "The norm of the gradient fell below its tolerance."
    SMALL_STEP = "The steps became smaller than their tolerance."
    SMALL_DECREASE = "The objective stopped decreasing by more than its tolerance."
    ROOT = "The norm of the residual fell below its tolerance."
    STEP_LIMIT = "The step limit was reached before the tolerance."
    NOT_FINITE = "The objective or its derivative is not finite."
    NO_DESCENT = "No step along the search direction lowers the objective."
    INDEFINITE = "The Hessian is indefinite: this point is no minimum."
    SINGULAR = "The Jacobian is singular."
    INFEASIBLE = "No point that satisfies the constraints was found."
    STOPPED = "The callback asked to stop."
    FAILED = "The method gave up before the tolerance was reached."

    @property
    def success(self) -> bool:
        """Is the point one that was asked for?"""
        return self in (Ending.CONVERGED, Ending.SMALL_STEP, Ending.SMALL_DECREASE, Ending.ROOT)


class Progress(NamedTuple):
    """One step of a solve, as callbacks and histories see it."""

    step: int
    value: float  # of the objective; of a root problem, half the squared norm of the residual
    gradient_norm: float  # Euclidean, over all leaves
    radius: float  # of the trust region, the step length or the damping; nan where a method has none
    evaluations: int  # of f or of its gradient, so far
    seconds: float  # since the start


@dataclass(frozen=True)
class Result:
    """The end of a solve.

    `params` are the best found, with `value` and `gradient_norm` there; `success` says whether they are what was asked for,
    `message` how the solve ended, in a sentence.  `history` holds a `Progress` per step.  `state` of our own solvers goes on
    from where it stopped; `scipy` is SciPy's own result, where SciPy did the work.  `aux` is what f returned beside its value,
    under has_aux.  A fit of data has the `covariance` of the vector of parameters and their `standard_errors`, a tree.
    """

    params: Any
    value: Any
    gradient_norm: float
    ending: Ending
    steps: int
    evaluations: int
    history: tuple[Progress, ...] = field(repr=False)
    detail: str = ""
    state: Any = field(default=None, repr=False)
    scipy: Any = field(default=None, repr=False)
    aux: Any = field(default=None, repr=False)
    covariance: Any = field(default=None, repr=False)
    standard_errors: Any = None

    @property
    def success(self) -> bool:
        """Did the solve end as it should?"""
        return self.ending.success

    @property
    def message(self) -> str:
        """How it ended, with the numbers."""
        return f"{self.ending.value} {self.detail}".rstrip()

    def plot(self, path: Any = None) -> Any:
        """Draw objective and gradient norm against steps and seconds; returns matplotlib's Figure, and writes it to `path`.

        Raises ImportError where matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError('Result.plot: matplotlib is missing; pip install "dualgrad[demo]" brings it.') from None
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        figure.suptitle(self.message, size=10)
        gap = [p.value - float(self.value) for p in self.history]
        for axes, (label, along) in zip(
            figure.subplots(1, 2, sharey=True),
            (("step", [p.step for p in self.history]), ("seconds", [p.seconds for p in self.history])),
            strict=True,
        ):
            axes.plot(along, [g if g > 0 else math.nan for g in gap], label="objective above its best value", color="#1b7f9c")
            axes.plot(along, [p.gradient_norm for p in self.history], label="norm of the gradient", color="#e07a3f")
            axes.set_xlabel(label)
            if any(y > 0 for line in axes.get_lines() for y in line.get_ydata()):
                axes.set_yscale("log")
            axes.grid(color="#e3e8ec")
        axes.legend(frameon=False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


Callback = Callable[[Progress, Any], Any]


class Observer:
    """Notes every step: the history, the best point, the callback, the progress bar."""

    def __init__(self, name: str, callback: Callback | None, progress: bool, steps: int | None) -> None:
        if callback is not None and not callable(callback):
            raise ArgumentError(f"{name}: callback must be a function of (progress, params), not {callback!r}.")
        self.callback, self.history = callback, []
        self.best: tuple[float, Any] | None = None
        self.start = time.perf_counter()
        self.bar = _progress_bar(name, steps) if progress else None

    history: list[Progress]

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def step(self, params: Any, value: float, gradient_norm: float, radius: float, evaluations: int) -> bool:
        """Note a step; True if the callback wants to stop (it returned True, or raised StopIteration)."""
        seconds = time.perf_counter() - self.start
        progress = Progress(len(self.history), value, gradient_norm, radius, evaluations, seconds)
        self.history.append(progress)
        if math.isfinite(value) and (self.best is None or value < self.best[0]):
            self.best = value, params
        if self.bar is not None:
            radius_text = {} if math.isnan(radius) else {"radius": f"{radius:.1e}"}
            self.bar.set_postfix(value=f"{value:.6g}", gradient=f"{gradient_norm:.1e}", **radius_text, refresh=False)
            self.bar.update()
        if self.callback is None:
            return False
        try:
            return self.callback(progress, params) is True
        except StopIteration:
            return True


def _progress_bar(name: str, steps: int | None) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError(f'{name}: progress=True needs tqdm; pip install "dualgrad[demo]" brings it.') from None
    return tqdm(total=steps, desc=name, unit=" steps", dynamic_ncols=True)
