"""Sophia: Newton's method with a diagonal Hessian, each step clipped (Liu, Li, Hall, Liang, Ma 2023, arXiv:2305.14342).

    m <- b1 m + (1 - b1) g                         every step
    h <- b2 h + (1 - b2) h^                        every k steps, h^ an estimate of the diagonal of the Hessian
    w <- w - rate (decay w + clip(m / max(scale h, eps), -1, 1))

Where the curvature is small, negative or out of date the clipping makes it a step of the sign of m.  Estimates cost one product:

    hutchinson(f)                   u * (H u), u standard normal; unbiased
    bartlett(model, likelihood)     n g^ * g^, g^ the gradient of a batch of n at targets drawn from the model; unbiased for the
                                    diagonal of the Gauss-Newton matrix, and never negative
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.operators import HessianOperator
from dualgrad.optimize.descent import Objective
from dualgrad.optimize.likelihood import loss_of, scores
from dualgrad.optimize.result import Ending
from dualgrad.optimize.schedules import Schedule
from dualgrad.optimize.solver import Solver
from dualgrad.transforms.pullback import vjp

Estimator = Callable[..., Any]


@dataclass(frozen=True)
class SophiaState:
    """What Sophia remembers.  `gradient_norm` is that at the start of the last step, `value` that of `params` on its data."""

    params: Any
    value: Any
    gradient_norm: float
    radius: float  # the rate
    evaluations: int
    ending: Ending | None
    step: int
    seed: int
    mean: Any
    diagonal: Any


def sophia(
    f: Callable,
    rate: float | Schedule,
    estimate: Estimator | None = None,
    every: int = 10,
    scale: float = 0.01,
    mean_decay: float = 0.96,
    diagonal_decay: float = 0.99,
    decay: float = 0.0,
    eps: float = 1e-12,
    seed: int = 0,
    tol: float = 0.0,
) -> Solver:
    """Sophia: minimizes f(params, *data), for stochastic objectives; a Solver, because it needs f beside the gradient.

    `estimate(params, data, rng)` is a vector, `hutchinson(f)` unless given; for `bartlett` the paper has `scale=0.05`.  `decay` is
    the decoupled weight decay.  Ends where the gradient's norm is at most `tol`, and with NOT_FINITE.
    Cost of a step: a gradient and an evaluation, and every `every` steps an estimate (about two gradients).

    >>> from dualgrad.optimize.schedules import cosine_decay
    >>> from dualgrad.optimize.solver import solve
    >>> valley = lambda x: (x[0] ** 2 + 1e4 * x[1] ** 2) / 2
    >>> solver = sophia(valley, cosine_decay(0.05, 300), scale=1.0)
    >>> bool(np.all(np.abs(solve(solver, np.array([3.0, 2.0]), max_steps=300).params) < 0.02))
    True
    """
    if every < 1:
        raise errors.ArgumentError(f"sophia: every must be at least 1, got {every}{errors.user_line()}.")
    estimate = hutchinson(f) if estimate is None else estimate

    def at(step: int) -> float:
        return rate(step) if callable(rate) else rate

    def init(params: Any, *data: Any) -> SophiaState:
        objective = Objective(f, params, data)
        value, gradient = objective.value_and_grad()
        norm, zeros = float(np.linalg.norm(gradient)), np.zeros_like(objective.x)
        return SophiaState(params, value, norm, at(0), objective.evaluations, judged(value, norm), 0, seed, zeros, zeros)

    def update(state: SophiaState, *data: Any) -> SophiaState:
        objective = Objective(f, state.params, data, state.evaluations)
        number = objective.x.dtype.type
        value, gradient = objective.value_and_grad()
        norm = float(np.linalg.norm(gradient))
        if not (np.isfinite(value) and np.isfinite(norm)):
            return replace(state, ending=Ending.NOT_FINITE, evaluations=objective.evaluations)
        mean, diagonal = number(mean_decay) * state.mean + number(1 - mean_decay) * gradient, state.diagonal
        if state.step % every == 0:
            estimated = objective.counted(estimate, state.params, data, np.random.default_rng([state.seed, state.step]))
            diagonal = number(diagonal_decay) * diagonal + number(1 - diagonal_decay) * estimated.astype(diagonal.dtype)
        clipped = np.clip(mean / np.maximum(number(scale) * diagonal, number(eps)), -1, 1)
        step = -number(at(state.step)) * (number(decay) * objective.x + clipped)
        there = objective.at(step)
        value = there.value(np.zeros_like(step))
        if not np.isfinite(value):
            return replace(state, ending=Ending.NOT_FINITE, evaluations=there.evaluations)
        return SophiaState(
            there.params, value, norm, at(state.step), there.evaluations, judged(value, norm),
            state.step + 1, state.seed, mean, diagonal,
        )  # fmt: skip

    def judged(value: Any, norm: float) -> Ending | None:
        if not (np.isfinite(value) and np.isfinite(norm)):
            return Ending.NOT_FINITE
        return Ending.CONVERGED if norm <= tol else None

    return Solver(init, update, lambda state: state.ending)


def hutchinson(f: Callable) -> Estimator:
    """u * (H u) for a standard normal u: its mean is the diagonal of the Hessian of f(params, *data).

    >>> estimate = hutchinson(lambda x: np.sum(x**4))
    >>> draws = [estimate(np.array([1.0, 2.0]), (), np.random.default_rng(k)) for k in range(2000)]
    >>> bool(np.allclose(np.mean(draws, axis=0), [12.0, 48.0], rtol=0.1))
    True
    """

    def estimate(params: Any, data: tuple, rng: np.random.Generator) -> Any:
        operator = HessianOperator(f, params, *data)
        u = rng.standard_normal(operator.shape[0]).astype(operator.dtype)
        return u * operator.matvec(u)

    return estimate


def bartlett(model: Callable, likelihood: str) -> Estimator:
    """n g^ * g^, for the gradient g^ of the mean over n rows at targets drawn from model(params, x), data being (x, ...).

    Its mean is the diagonal of the Gauss-Newton matrix of the likelihood's loss, by Bartlett's identity.
    """
    loss_of("bartlett", likelihood)

    def estimate(params: Any, data: tuple, rng: np.random.Generator) -> Any:
        output, pullback = vjp(lambda p: model(p, *data[:1]), params)
        rows = output.size // output.shape[-1]
        gradient = tree.ravel(pullback(scores(likelihood, output, rng) / output.dtype.type(rows))[0])[0]
        return rows * gradient * gradient

    return estimate
