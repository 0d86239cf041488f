"""Solvers as values: (init, update, done), the composition that makes one, and the loop that runs one.

    state = init(params, *data)         the state is a frozen, picklable value: stop, store it, go on from it
    state = update(state, *data)        one step
    done(state) -> Ending | None        how it ended, or None to go on

    compose(descent, search)            damped Newton is compose(newton(f), backtracking())

A solver is a search composed with a descent: descent.py finds directions (Newton, Gauss-Newton, natural gradient, truncated
CG), search.py decides how far to go (backtracking, damping, a fixed rate).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from dualgrad import errors, tree
from dualgrad.optimize.descent import Descent, Direction, Local, Objective
from dualgrad.optimize.result import Callback, Ending, Observer, Result
from dualgrad.optimize.search import Search, exhausted


class State(Protocol):
    """What every state of a solver tells."""

    @property
    def params(self) -> Any: ...
    @property
    def value(self) -> Any: ...  # the objective at params
    @property
    def gradient_norm(self) -> float: ...
    @property
    def radius(self) -> float: ...  # step length, damping or trust radius; nan if there is none
    @property
    def evaluations(self) -> int: ...  # of the objective, its gradient, or a product with a Jacobian or Hessian; a whole one is one


class Solver(NamedTuple):
    """The triple (init, update, done)."""

    init: Callable[..., Any]
    update: Callable[..., Any]
    done: Callable[[Any], Ending | None]


@dataclass(frozen=True)
class Tolerances:
    """When a composed solver ends.

    gradient    the norm of the gradient (for residuals their largest cosine with a column of J) is at most this; the default is a
                power of the machine epsilon of the parameters: 1.5e-8 in float64, 3.5e-4 in float32; for residuals 1.8e-12, 6.4e-6
    step        no parameter changes by more than this, relatively
    decrease    the objective falls by no more than this, relatively, and so the quadratic predicts

    Whatever these are, a solve ends where a step changes nothing but the last digits, or where rounding hides any decrease and the
    gradient falls no further.
    """

    gradient: float | None = None
    step: float = 0.0
    decrease: float = 0.0


@dataclass(frozen=True)
class Point:
    """The state of a composed solver: where it is, and what descent and search remember."""

    params: Any
    value: Any
    gradient_norm: float
    radius: float
    evaluations: int
    ending: Ending | None
    descent: Any
    search: Any


def compose(descent: Descent, search: Search, tolerances: Tolerances = Tolerances()) -> Solver:
    """The solver that goes along a descent's direction as far as a search says.

    A step costs one local quadratic, what the search tries, and one gradient at the new point.  The objective is evaluated anew
    in every step, so each may be given other data.

    >>> from dualgrad.optimize.newton import newton
    >>> from dualgrad.optimize.search import backtracking
    >>> solver = compose(newton(lambda x: np.sum((x - 3.0) ** 2)), backtracking())
    >>> state = solver.update(solver.init(np.zeros(2)))
    >>> state.params, state.gradient_norm, solver.done(state)
    (array([3., 3.]), 0.0, <Ending.CONVERGED: 'The norm of the gradient fell below its tolerance.'>)
    """

    def init(params: Any, *data: Any) -> Point:
        objective = Objective(descent.f, params, data)
        value, gradient = objective.value_and_grad()
        norm, memory, ending = float(np.linalg.norm(gradient)), None, None
        if not (np.isfinite(value) and np.isfinite(norm)):
            ending = Ending.NOT_FINITE
        else:
            memory = descent.start(objective)
            ending = stationary(objective, value, gradient, memory)
        return Point(params, value, norm, search.radius(search.start), objective.evaluations, ending, memory, search.start)

    def update(state: Point, *data: Any) -> Point:
        objective = Objective(descent.f, state.params, data, state.evaluations)
        local = descent.local(objective, state.descent)
        if not (np.isfinite(local.value) and np.all(np.isfinite(local.gradient))):
            return replace(state, ending=Ending.NOT_FINITE, evaluations=objective.evaluations)
        move = search.advance(objective, local, state.search)
        if move.step is None or move.direction is None:
            return replace(state, ending=move.ending, evaluations=objective.evaluations)
        there, memory = objective.at(move.step), move.direction.memory
        value, gradient = there.value_and_grad()
        norm = float(np.linalg.norm(gradient))
        if not np.isfinite(value):
            return replace(state, ending=Ending.NOT_FINITE, evaluations=there.evaluations)
        if not np.isfinite(norm):
            ending: Ending | None = Ending.NOT_FINITE
        else:
            ending = stationary(there, value, gradient, memory)
            ending = ending or stalled(objective, local, move.direction, move.step, value, norm)
        return Point(there.params, value, norm, move.radius, there.evaluations, ending, memory, move.memory)

    def stationary(objective: Objective, value: Any, gradient: Any, memory: Any) -> Ending | None:
        limit = tolerances.gradient
        if limit is None:
            limit = float(np.finfo(objective.x.dtype).eps) ** descent.precision
        return descent.verdict(objective) if descent.stationarity(objective, value, gradient, memory) <= limit else None

    def stalled(objective: Objective, local: Local, whole: Direction, step: Any, value: Any, norm: float) -> Ending | None:
        """Has the direction, or what it promised, become too small?  A small part of a long one is another matter."""
        rounding = 4 * float(np.finfo(objective.x.dtype).eps)
        if np.all(np.abs(whole.step) <= max(tolerances.step, rounding) * np.abs(objective.x)):
            return Ending.SMALL_STEP
        before = float(local.value)
        gained = max(abs(before - float(value)), abs(whole.decrease))
        if tolerances.decrease and gained <= tolerances.decrease * abs(before):
            return Ending.SMALL_DECREASE
        if gained <= objective.rounding(before) and norm >= np.linalg.norm(local.gradient):
            return Ending.SMALL_DECREASE
        return exhausted(objective, local, whole) if np.all(np.abs(step) <= rounding * np.abs(objective.x)) else None

    return Solver(init, update, lambda state: state.ending)


def solve(
    solver: Solver,
    params: Any,
    *data: Any,
    max_steps: int = 100,
    batches: Iterable[tuple] | None = None,
    callback: Callback | None = None,
    progress: bool = False,
    state: Any = None,
) -> Result:
    """Run a solver until it is done or `max_steps` have been taken; the best point is kept.

    `data` are handed to every step (the objective is f(params, *data)); `batches`, an iterable of tuples, gives each step its own
    instead, and ends the run when it ends.  `callback(progress, params)` is called after every step and stops the run by
    returning True; `progress` shows a bar (tqdm) with value, gradient norm and radius.  `state`, from an earlier `result.state`
    or from a pickle of it, goes on from there, and then `params` are not looked at.

    The best point is the one of lowest value; with batches it is the last, because values on two batches do not compare.  A solver
    that ends on bad input does not raise: the ending says so.  Raises ArgumentError for settings out of range, and what
    the transforms raise: OutputError for an objective that is no scalar, InputTypeError for parameters without a float.

    >>> from dualgrad.optimize.newton import damped_newton
    >>> result = solve(damped_newton(lambda p, a: (p["x"] ** 2 - a) ** 2), {"x": 3.0}, 2.0)
    >>> result.params["x"].round(8), result.success
    (np.float64(1.41421356), True)
    """
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 0:
        raise errors.ArgumentError(f"solve: max_steps must be a non-negative int, not {max_steps!r}{errors.user_line()}.")
    supply = itertools.repeat(data) if batches is None else _checked(batches, data)
    with Observer("solve", callback, progress, max_steps) as observer:
        if state is None:
            first = next(supply)
            supply = itertools.chain([first], supply)
            state = solver.init(params, *first)
        ending = solver.done(state)
        stopped = _note(observer, state)
        steps = 0
        while ending is None and not stopped and steps < max_steps:
            given = next(supply, None)
            if given is None:
                break
            state = solver.update(state, *given)
            steps += 1
            stopped = _note(observer, state)
            ending = solver.done(state)
    if ending is None:
        ending = Ending.STOPPED if stopped else Ending.STEP_LIMIT
    best, value, norm = state.params, state.value, float(state.gradient_norm)
    if batches is None and observer.best is not None and observer.best[1] is not best:
        value, best = observer.best
        norm = next(progress.gradient_norm for progress in observer.history if progress.value == value)
    detail = f"After {steps} steps the objective is {float(value):.6g}, the norm of its gradient {norm:.2g}."
    owned = tree.map(lambda leaf: leaf.copy() if hasattr(leaf, "copy") else leaf, best)
    return Result(owned, value, norm, ending, steps, state.evaluations, tuple(observer.history), detail, state)


def _checked(batches: Iterable[tuple], data: tuple) -> Any:
    """An iterator of batches; there must be one, and no other data."""
    if data:
        raise errors.ArgumentError(f"solve: give data or batches, not both{errors.user_line()}.")
    supply = iter(batches)
    first = next(supply, None)
    if not isinstance(first, tuple):
        got = "it is empty" if first is None else f"its first item is {errors.describe(first)}"
        raise errors.ArgumentError(f"solve: batches must be an iterable of tuples, but {got}{errors.user_line()}.")
    return itertools.chain([first], supply)


def _note(observer: Observer, state: Any) -> bool:
    return observer.step(state.params, float(state.value), float(state.gradient_norm), float(state.radius), state.evaluations)
