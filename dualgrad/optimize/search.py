"""How far to go: a search takes a descent's local quadratic, and returns the step taken.

    backtracking   the first of d, d/2, d/4, ... that lowers f by a fraction of its slope along d          (Armijo 1966)
    levenberg      -(B + lambda I)^-1 g, lambda raised until f falls, lowered where m is right    (Levenberg 1944, Marquardt 1963)
    fixed          a rate or a schedule times d, as in stochastic optimization

The quality of the quadratic is its reduction ratio, (f(x) - f(x + d)) / (m(0) - m(d)): near 1 the model may be trusted further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad.errors import ArgumentError
from dualgrad.optimize.descent import Direction, Local, Objective
from dualgrad.optimize.result import Ending
from dualgrad.optimize.schedules import Schedule


class Move(NamedTuple):
    """The step taken (None: there is none), the direction it is part of, and what the search remembers."""

    step: Any
    direction: Direction | None = None
    value: Any = None  # the objective there; None if it was not looked at
    decrease: float = 0.0  # as predicted for the step
    radius: float = np.nan
    memory: Any = None
    ending: Ending | None = None


class Search(NamedTuple):
    """The memory before the first step, the radius to report of it, and the search itself."""

    start: Any
    radius: Callable[[Any], float]
    advance: Callable[[Objective, Local, Any], Move]


def backtracking(decrease: float = 1e-4, factor: float = 0.5, damping: float = 0.0, limit: int = 60) -> Search:
    """The first t in 1, factor, factor^2, ... with f(x + t d) <= f(x) + decrease t g.d (Armijo 1966; Nocedal, Wright, alg. 3.1).

    A full step that changes f by rounding only is taken too: the gradient may still fall.  The radius is t.
    Ends with NO_DESCENT where d does not point downhill, or no t of `limit` does.
    """
    _check_fraction("backtracking", "decrease", decrease)
    _check_fraction("backtracking", "factor", factor)

    def advance(objective: Objective, local: Local, memory: None) -> Move:
        direction = local.direction(damping)
        if direction.ending is not None:
            return Move(None, ending=direction.ending)
        return along(objective, local, direction, decrease, factor, limit)

    return Search(None, lambda memory: 1.0, advance)


def along(
    objective: Objective, local: Local, direction: Direction, decrease: float, factor: float, limit: int, value: Any = None
) -> Move:
    """Backtracking along one direction, at whose end the value may be known already."""
    slope = float(local.gradient @ direction.step)
    if not slope < 0:
        return Move(None, ending=Ending.NO_DESCENT)
    length = 1.0
    for _ in range(limit):
        step = objective.x.dtype.type(length) * direction.step
        if value is None or length < 1:
            value = objective.value(step)
        slack = objective.rounding(local.value) if length == 1.0 else 0.0
        if float(value) - float(local.value) <= decrease * length * slope + slack:
            curving = -slope - direction.decrease  # d.B d / 2
            predicted = -length * slope - length**2 * curving
            return Move(step, direction, value, predicted, length)
        length *= factor
    return Move(None, ending=exhausted(objective, local, direction))


def exhausted(objective: Objective, local: Local, direction: Direction) -> Ending:
    """Why nothing lowers the objective: what was wanted is within rounding (of what f adds up, not of f), or it is no minimum.

    Rounding is taken as eps^(3/4), 2e-12 in float64: a sum of terms a thousand times larger than f has such noise.
    """
    small = float(np.finfo(objective.x.dtype).eps) ** 0.75
    if np.linalg.norm(direction.step) <= small * np.linalg.norm(objective.x):
        return Ending.SMALL_STEP
    return Ending.SMALL_DECREASE if direction.decrease <= small * abs(float(local.value)) else Ending.NO_DESCENT


def levenberg(start: float = 1e-3, lower: float = 1 / 3, higher: float = 2.0, limit: int = 100) -> Search:
    """Damping by success: lambda is lowered after a good step and raised until a step lowers the objective.

    A step is taken if its reduction ratio exceeds 1e-4.  Then lambda is multiplied by `lower` where the ratio is above 3/4, and by
    `higher` where it is below 1/4; a refused step multiplies it by `higher`, twice that the next time, and so on, so that a lambda
    off by powers of ten is soon right (Nielsen 1999).  The radius is lambda.
    """
    _check_fraction("levenberg", "lower", lower)
    if not higher > 1:
        raise ArgumentError(f"levenberg: higher must be above 1, got {higher}.")

    def advance(objective: Objective, local: Local, damping: float) -> Move:
        growth, slack, first = higher, objective.rounding(local.value), None
        for _ in range(limit):
            direction = local.direction(damping)
            if direction.ending is not None:
                return Move(None, ending=direction.ending)
            first = direction if first is None else first
            if not direction.refused and np.all(np.isfinite(direction.step)):
                value = objective.value(direction.step)
                actual = float(local.value) - float(value)
                if actual >= 1e-4 * direction.decrease - slack and value <= local.value + slack:
                    damping = adapt(damping, ratio(actual, direction.decrease, slack), lower, higher)
                    return Move(direction.step, direction, value, direction.decrease, damping, damping)
                smallest = np.finfo(objective.x.dtype).eps * np.linalg.norm(objective.x)
                if np.linalg.norm(direction.step) <= smallest or damping > 1e30:
                    break  # hardly a floating-point number lies between
            damping, growth = max(damping, 1e-16) * growth, 2 * growth
        return Move(None, ending=exhausted(objective, local, first or direction))

    return Search(start, float, advance)


def ratio(actual: float, predicted: float, slack: float) -> float:
    """The reduction ratio; 1 where both are lost in rounding."""
    if max(abs(actual), abs(predicted)) <= slack:
        return 1.0
    return actual / predicted if predicted > 0 else -np.inf


def adapt(damping: float, reduction: float, lower: float, higher: float) -> float:
    """The next damping: lowered where the quadratic was right, raised where it was not, never quite zero."""
    factor = lower if reduction > 0.75 else higher if reduction < 0.25 else 1.0
    return max(damping * factor, 1e-30)


def fixed(rate: float | Schedule, damping: float = 0.0) -> Search:
    """rate d, or rate(k) d at the k-th step, whatever the objective does.  The radius is the rate."""

    def at(step: int) -> float:
        return rate(step) if callable(rate) else rate

    def advance(objective: Objective, local: Local, step: int) -> Move:
        direction = local.direction(damping)
        if direction.ending is not None:
            return Move(None, ending=direction.ending)
        taken = objective.x.dtype.type(at(step)) * direction.step
        return Move(taken, direction, None, direction.decrease, at(step), step + 1)

    return Search(0, at, advance)


def _check_fraction(name: str, argument: str, value: float) -> None:
    if not 0 < value < 1:
        raise ArgumentError(f"{name}: {argument} must be in (0, 1), got {value}.")
