"""Newton's method for sums over many examples: the Hessian of a few, the gradient of many (Byrd et al. 2011).

    (H_S + damping I) d = -g        H_S the Hessian over a random part S of the examples, by truncated conjugate gradients

A Hessian needs fewer examples than a gradient for the same relative accuracy, and its product costs in proportion to them.
Conjugate gradients stop at a relative residual of min(1/2, sqrt |g|), or at a direction of negative curvature, which makes d point
downhill whatever the Hessian.  Backtracking is on the examples of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad.operators import HessianOperator
from dualgrad.optimize.descent import Descent, Direction, Local, Objective, check_fraction, subsample, truncated
from dualgrad.optimize.search import Search, backtracking
from dualgrad.optimize.solver import Solver, Tolerances, compose


def subsampled_newton(
    f: Callable,
    fraction: float = 0.1,
    damping: float = 0.0,
    cg_steps: int = 20,
    seed: int = 0,
    search: Search | None = None,
    tol: float | None = None,
    step_tol: float = 0.0,
    decrease_tol: float = 0.0,
) -> Solver:
    """Newton-CG with a subsampled Hessian: minimizes f(params, *data), a mean over the examples in the first axis of the data.

    Every step draws `fraction` of the examples it is given (all data, or a batch), without replacement, from (seed, step).
    Cost of a step: two gradients of all examples, and up to `cg_steps` Hessian products of that fraction of them.
    (Bollapragada, Byrd, Nocedal 2019; Roosta-Khorasani, Mahoney 2019, who prove convergence at rates independent of the
    conditioning)

    >>> from dualgrad.optimize.solver import solve
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = x @ np.array([1.0, -2.0, 3.0])
    >>> solver = subsampled_newton(lambda w, x, y: np.mean((x @ w - y) ** 2), fraction=0.5)
    >>> solve(solver, np.zeros(3), x, y).params.round(6)
    array([ 1., -2.,  3.])
    """
    check_fraction("subsampled_newton", fraction)
    search = backtracking(damping=damping) if search is None else search
    return compose(subsampled(f, fraction, cg_steps, seed), search, Tolerances(tol, step_tol, decrease_tol))


class Memory(NamedTuple):
    """What the next subsample is drawn from."""

    seed: int
    step: int


def subsampled(f: Callable, fraction: float, cg_steps: int, seed: int) -> Descent:
    """The descent -(H_S + damping I)^-1 g, truncated."""

    def local(objective: Objective, memory: Memory) -> Local:
        value, gradient = objective.value_and_grad()
        data = subsample(objective.data, fraction, memory.seed, memory.step)
        hessian = objective.counted(HessianOperator, f, objective.params, *data)
        forcing = min(0.5, float(np.linalg.norm(gradient)) ** 0.5)

        def direction(damping: float) -> Direction:
            found = truncated(objective.product(hessian, damping), gradient, damping, forcing, cg_steps)
            return found._replace(memory=Memory(memory.seed, memory.step + 1))

        return Local(value, gradient, direction)

    def start(objective: Objective) -> Any:
        return Memory(seed, 0)

    return Descent(f, local, start)
