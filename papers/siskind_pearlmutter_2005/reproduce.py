"""Nested derivatives need a perturbation each, or they are confused (Siskind & Pearlmutter 2005).

    D(f)(c) = the coefficient of e in f(c + e),  e^2 = 0
    D(x -> x D(y -> x + y)(1))(1) = 1

With one e for all, the inner D meets the e of the outer one in x, takes d(x + y)/dy for 2, and the result is 2.
"""
from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import Dual, derivative, directional_derivatives, grad, jacfwd, jacrev, jvp, linearize, vjp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame

Operator = Callable[[Callable], Callable]  # D: f -> f'


# ---- the mistake: dual numbers without tags -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Naive:
    """primal + tangent e, with the same e in all."""

    primal: Any
    tangent: Any

    def __add__(self, other: Any) -> Naive:
        other = other if isinstance(other, Naive) else Naive(other, 0.0)
        return Naive(self.primal + other.primal, self.tangent + other.tangent)

    def __mul__(self, other: Any) -> Naive:
        other = other if isinstance(other, Naive) else Naive(other, 0.0)
        return Naive(self.primal * other.primal, self.tangent * other.primal + self.primal * other.tangent)

    __radd__, __rmul__ = __add__, __mul__


def naive(f: Callable) -> Callable:
    """D by them."""
    return lambda c: (lambda y: y.tangent if isinstance(y, Naive) else 0.0)(f(Naive(c, 1.0)))


# ---- the library's ways to the same operator ---------------------------------------------------------------------------


def by_hand(f: Callable) -> Callable:
    """D by Dual, without a transform and so without a tag of its own: all duals made by hand share one, the outermost."""
    return lambda c: (lambda y: y.tangent if isinstance(y, Dual) and y.tangent is not None else 0.0)(f(Dual(c, np.ones_like(c))))


def by_vjp(f: Callable) -> Callable:
    return lambda c: (lambda y, pullback: pullback(np.ones_like(y))[0])(*vjp(f, c))


MODES: dict[str, Operator] = {
    "jvp": lambda f: lambda c: jvp(f, (c,), (np.ones_like(c),))[1],
    "jacfwd": jacfwd,
    "linearize": lambda f: lambda c: linearize(f, c)[1](np.ones_like(c)),
    "derivative": derivative,
    "Taylor": lambda f: lambda c: directional_derivatives(f, c, np.ones_like(c), order=2)[1],
    "grad": grad,
    "vjp": by_vjp,
    "jacrev": jacrev,
}
OUTERMOST = {"Dual": by_hand} | MODES


# ---- programs: the paper's, and others that capture an outer variable ------------------------------------------------------


@dataclass(frozen=True)
class Program:
    text: str
    run: Callable  # of an operator for each level, the outermost first
    levels: int
    right: float  # by hand


PROGRAMS = [
    Program("D(x -> x D(y -> x + y)(1))(1)", lambda D, E: D(lambda x: x * E(lambda y: x + y)(1.0))(1.0), 2, 1.0),
    Program("D(x -> x D(y -> x y)(2))(1)", lambda D, E: D(lambda x: x * E(lambda y: x * y)(2.0))(1.0), 2, 2.0),
    Program("D(x -> x D(y -> x)(x))(1)", lambda D, E: D(lambda x: x * E(lambda y: x)(x))(1.0), 2, 0.0),
    Program("D(x -> x D(y -> x + y)(x))(5)", lambda D, E: D(lambda x: x * E(lambda y: x + y)(x))(5.0), 2, 1.0),
    Program("D(x -> x x D(y -> x y y y)(x))(2)", lambda D, E: D(lambda x: x * x * E(lambda y: x * y * y * y)(x))(2.0), 2, 240.0),
    Program("D(D(x -> x x x))(2)", lambda D, E: D(E(lambda x: x * x * x))(2.0), 2, 12.0),
    Program(
        "D(x -> x D(y -> y D(z -> x y z)(1))(1))(1)",
        lambda D, E, F: D(lambda x: x * E(lambda y: y * F(lambda z: x * y * z)(1.0))(1.0))(1.0),
        3,
        4.0,
    ),
]


# ---- the experiment --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    naive: np.ndarray  # results without tags, per program
    results: list[np.ndarray]  # per program, by mode of each level
    wrong: np.ndarray  # of the programs of two levels, how many were wrong, per outer and inner mode


def experiment(quick: bool, progress: Any) -> Findings:
    confused = np.array([program.run(*[naive] * program.levels) for program in PROGRAMS])
    results = []
    for program in progress(PROGRAMS, desc="programs"):
        inner = [MODES[name] for name in ("jvp", "Taylor", "grad")] if quick and program.levels > 2 else list(MODES.values())
        levels = [list(OUTERMOST.values())] + [inner] * (program.levels - 1)
        found = [float(program.run(*operators)) for operators in itertools.product(*levels)]
        results.append(np.reshape(found, [len(operators) for operators in levels]))
    wrong = sum(np.abs(found - program.right) > 1e-12 for found, program in zip(results, PROGRAMS) if program.levels == 2)
    return Findings(confused, results, wrong)


def table(found: Findings) -> str:
    rows: list[tuple] = [("program", "right", "one e for all", "least", "largest", "ways")]
    for program, confused, results in zip(PROGRAMS, found.naive, found.results, strict=True):
        rows.append((program.text, *(f"{x:g}" for x in (program.right, confused, results.min(), results.max())), results.size))
    return frame.aligned(rows)


def check(found: Findings) -> None:
    for program, results in zip(PROGRAMS, found.results, strict=True):
        worst = np.max(np.abs(results - program.right))
        assert worst <= 1e-12, f"{program.text} is {program.right:g}, but in some modes off by {worst:g}"
    assert found.naive[0] == 2.0, f"without tags the paper's program gives {found.naive[0]}, not 2"
    confused = sum(found.naive != [program.right for program in PROGRAMS])
    assert confused >= 5, f"only {confused} of the programs tell dual numbers without tags from those with them"


def draw(found: Findings, figure: Any) -> None:
    title = "A perturbation for each derivative"
    frame.heading(figure, title, "nested derivatives that capture an outer variable, with one e for all, and in all pairs of modes")
    values, pairs = frame.panels(figure, 2, width_ratios=[1.25, 1])
    values.set_position((0.26, 0.2, 0.3, 0.53))
    frame.style(values, "Result, over the right one", "result, where the right one is 0")
    for k, (program, confused, results) in enumerate(zip(PROGRAMS, found.naive, found.results, strict=True)):
        scale = program.right or 1.0
        values.plot(results.ravel() / scale, np.full(results.size, k), "o", color=frame.BLUE, markersize=10)
        values.plot(confused / scale, k, "X", color=frame.ORANGE, markersize=7)
        left = {"ha": "right", "va": "center", "transform": values.get_yaxis_transform()}
        values.text(-0.04, k, program.text, color=frame.INK, size=10, **left)
    values.plot([], [], "o", color=frame.BLUE, label="dualgrad, every combination of modes")
    values.plot([], [], "X", color=frame.ORANGE, label="one e for all")
    values.set(ylim=(len(PROGRAMS) - 0.5, -1.7), yticks=[], xlim=(-0.1, 2.4))
    frame.legend(values, loc="upper left")
    pairs.set_position((0.68, 0.2, 0.3, 0.53))
    frame.style(pairs, "Programs that came out right", "inner mode")
    right = sum(program.levels == 2 for program in PROGRAMS) - found.wrong
    pairs.imshow(right, cmap="GnBu", vmin=0, vmax=2 * right.max(), aspect="auto")
    for i, j in np.ndindex(right.shape):
        pairs.text(j, i, right[i, j], color=frame.INK, size=9, ha="center", va="center")
    pairs.set_xticks(range(len(MODES)), MODES, rotation=30)
    pairs.set_yticks(range(len(OUTERMOST)), OUTERMOST)
    pairs.set_ylabel("outer mode", size=9.5, color=frame.MUTED)
    pairs.grid(visible=False)


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
