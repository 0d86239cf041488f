"""Hessian-free optimization: truncated Newton steps on the Gauss-Newton matrix, damped by success (Martens 2010).

    minimize  m(d) = g.d + d.(G + lambda I) d / 2        by conjugate gradients, from 0.95 times the last step

Conjugate gradients stop when m has gained less than k * 5e-4 of itself over the last k = max(10, i / 10) of i iterations.  Of its
iterates those at 1, 1.3, 1.3^2, ... are kept, and the search goes back over them while f falls: long before m is minimal, f may
have been lower.  A backtracking line search guards the step, and lambda follows the reduction ratio, by factors of 3/2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dualgrad import tree
from dualgrad.operators import GaussNewtonOperator
from dualgrad.optimize.descent import (
    Descent,
    Direction,
    Iterate,
    Local,
    Objective,
    check_fraction,
    composed,
    conjugate_gradients,
    subsample,
    undamped,
)
from dualgrad.optimize.search import Move, Search, adapt, along, exhausted, ratio
from dualgrad.optimize.solver import Solver, Tolerances, compose


def hessian_free(
    model: Callable,
    loss: Callable,
    damping: float = 1.0,
    fraction: float = 1.0,
    progress: float = 5e-4,
    cg_steps: int = 250,
    seed: int = 0,
    tol: float | None = None,
    step_tol: float = 0.0,
    decrease_tol: float = 0.0,
) -> Solver:
    """Hessian-free optimization: minimizes loss(model(params, x), *targets) for data (x, *targets).

    `loss` is convex in the model's output (mse, cross_entropy).  `damping` is the first lambda; `fraction` of the examples make the
    Gauss-Newton matrix, all of them the gradient and the line search; `progress` and `cg_steps` stop conjugate gradients.
    Cost of a step: two gradients, a product with G (about a gradient) for each CG iteration, an evaluation for each iterate tried.
    Memory: vectors.  (Martens, Deep learning via Hessian-free optimization, ICML 2010)

    >>> from dualgrad.optimize.solver import solve
    >>> x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])
    >>> line = lambda p, x: p["slope"] * x + p["offset"]
    >>> solver = hessian_free(line, lambda out, y: np.sum((out - y) ** 2), damping=1e-8)
    >>> result = solve(solver, {"slope": 0.0, "offset": 0.0}, x, y)
    >>> print(result.params["slope"].round(6), result.params["offset"].round(6))
    2.0 1.0
    """
    check_fraction("hessian_free", fraction)
    descent = truncated_gauss_newton(model, loss, fraction, progress, cg_steps, seed)
    return compose(descent, martens(damping), Tolerances(tol, step_tol, decrease_tol))


class Memory(NamedTuple):
    """The step before, from which conjugate gradients start, and what the next subsample is drawn from."""

    last: Any
    seed: int
    step: int


def truncated_gauss_newton(
    model: Callable, loss: Callable, fraction: float, progress: float, cg_steps: int, seed: int
) -> Descent:
    """The descent -(G + damping I)^-1 g, by conjugate gradients that stop for want of progress; its path holds their iterates."""

    def curvature(objective: Objective, data: tuple) -> GaussNewtonOperator:
        outer = lambda output: loss(output, *data[1:])
        return objective.counted(GaussNewtonOperator, model, outer, objective.params, *data[:1])

    def local(objective: Objective, memory: Memory) -> Local:
        data = subsample(objective.data, fraction, memory.seed, memory.step)
        operator = curvature(objective, data)
        if data is objective.data:
            value, gradient = operator.value, tree.ravel(operator.gradient)[0]
        else:
            value, gradient = objective.value_and_grad()

        def direction(damping: float) -> Direction:
            iterates = conjugate_gradients(objective.product(operator, damping), gradient, gradient.dtype.type(0.95) * memory.last)
            found = [
                Direction(i.step, undamped(i.model, i.step, damping), memory=Memory(i.step, memory.seed, memory.step + 1))
                for i in _spaced(_progressing(iterates, progress, cg_steps))
            ]
            return found[-1]._replace(path=tuple(found[:-1]))

        return Local(value, gradient, direction)

    return Descent(composed(model, loss), local, lambda objective: Memory(np.zeros_like(objective.x), seed, 0))


def _progressing(iterates: Iterator[Iterate], tolerance: float, limit: int) -> Iterator[Iterate]:
    """Iterates of conjugate gradients until the model gains too little (Martens 2010, section 4.4)."""
    models = []
    for i, iterate in enumerate(iterates):
        models.append(iterate.model)
        yield iterate
        window = max(10, i // 10)
        if i == limit or (i > window and models[i] < 0 and models[i] - models[i - window] > window * tolerance * models[i]):
            return


def _spaced(iterates: Iterator[Iterate]) -> list[Iterate]:
    """The iterates number 1, 2, 3, 4, 5, 7, 9, 12, ... (ceil of powers of 1.3), and the last."""
    kept: list[Iterate] = []
    wanted = 1.0
    last = None
    for i, last in enumerate(iterates):
        if i >= wanted:
            kept.append(last)
            while i >= wanted:
                wanted *= 1.3
    return kept if last is None or (kept and last is kept[-1]) else [*kept, last]


def martens(start: float = 1.0, limit: int = 30) -> Search:
    """Back over the iterates while f falls, then along the chosen one; lambda by factors of 3/2.  The radius is lambda.

    Where no step lowers f lambda is raised, tenfold, and the quadratic minimized again.  (Martens 2010, sections 4.1 and 4.6)
    """

    def advance(objective: Objective, local: Local, damping: float) -> Move:
        first = None
        for _ in range(limit):
            direction = local.direction(damping)
            first = first or direction
            value = objective.value(direction.step)
            for shorter in reversed(direction.path):
                before = objective.value(shorter.step)
                if before > value:
                    break
                direction, value = shorter, before
            move = along(objective, local, direction, 1e-2, 0.8, 60, value)
            if move.step is not None:
                reduction = ratio(float(local.value) - float(move.value), move.decrease, objective.rounding(local.value))
                damping = adapt(damping, reduction, 2 / 3, 3 / 2)
                return move._replace(radius=damping, memory=damping)
            if direction.step @ direction.step <= np.finfo(objective.x.dtype).eps ** 2 * (objective.x @ objective.x):
                break
            damping *= 10
        return Move(None, ending=exhausted(objective, local, first or direction))

    return Search(start, float, advance)
