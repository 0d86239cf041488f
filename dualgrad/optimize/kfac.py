"""K-FAC: the natural gradient by Kronecker factors, rescaled by the exact quadratic, with momentum (Martens, Grosse 2015).

    Delta = -(A + pi gamma I)^-1 V (G + gamma / pi I)^-1          layer by layer, V the gradient by (weight over bias)
    delta = alpha Delta + mu delta_0                              delta_0 the step before
    M(delta) = h + g.delta + delta.(F + lambda I) delta / 2       alpha and mu minimize M, with the exact F of the data at hand

A and G are means over steps, of the last 20 in effect, so that they need no large batch; targets are drawn from the model.  The
two dampings are learnt: lambda by the reduction ratio, every 5 steps; gamma by trying a larger and a smaller one, every 20, and
keeping that of the lowest M.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dualgrad import tree
from dualgrad.errors import ArgumentError, user_line
from dualgrad.operators import FisherOperator
from dualgrad.optimize.kronecker import Factor, Layers, dense_layers, factors, inverted, mixed, propagate
from dualgrad.optimize.likelihood import loss_of, scores
from dualgrad.optimize.result import Ending
from dualgrad.optimize.search import adapt, ratio
from dualgrad.optimize.solver import Solver
from dualgrad.transforms.pullback import value_and_grad

#: lambda is adapted every 5 steps, gamma every 20, the inverses every 20 and in each of the first 3 (sections 6.5 to 8).
ADAPT_DAMPING, ADAPT_GAMMA, INVERT, WARM_UP = 5, 20, 20, 3
RATE = 19 / 20


@dataclass(frozen=True)
class KfacState:
    """What K-FAC remembers.  `gradient_norm` is that at the start of the last step, `value` that of `params` on its data."""

    params: Any
    value: Any
    gradient_norm: float
    radius: float  # the damping lambda
    evaluations: int
    ending: Ending | None
    step: int
    seed: int
    gamma: float
    factors: tuple[Factor, ...] | None
    inverses: tuple[Factor, ...]
    last: tuple[Any, ...]  # the step before, (inputs + 1, outputs) of every layer


def kfac(
    model: Callable,
    likelihood: str,
    damping: float = 1.0,
    penalty: float = 0.0,
    momentum: bool = True,
    seed: int = 0,
    tol: float = 0.0,
) -> Solver:
    """K-FAC for models of dense layers: minimizes the loss of the likelihood plus penalty |w|^2 / 2, for data (x, targets).

    `model(params, x)` uses every {"weight", "bias"} of params once, as x @ weight + bias: `mlp`, `sequential` of `dense` and plain
    functions.  `likelihood` is "categorical", "bernoulli" or "gaussian" (see natural_gradient.py).  `damping` is the first lambda.
    Ends where the gradient's norm is at most `tol`, and with NOT_FINITE.  For batches of a few hundred examples or more: the
    quadratic is that of the batch.  Cost of a step: about five gradients, and every 20 the inverses, O(width^3) a layer.
    Raises ArgumentError for other parameters, layers used twice, or a damping that is not positive.

    >>> from dualgrad.models import mlp
    >>> from dualgrad.optimize.solver import solve
    >>> init, apply = mlp([2, 8, 1], np.tanh)
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(64, 2))
    >>> result = solve(kfac(apply, "gaussian", damping=0.1), init(rng), x, x[:, :1] * x[:, 1:], max_steps=60)
    >>> result.history[0].value > 0.5, bool(result.value < 1e-3)
    (True, True)
    """
    loss = loss_of("kfac", likelihood)
    if not damping > 0:
        raise ArgumentError(f"kfac: damping must be positive, got {damping}{user_line()}.")

    def penalized(params: Any, x: Any, targets: Any) -> Any:
        value = loss(model(params, x), targets)
        return value + penalty / 2 * sum(np.sum(w * w) for w in _floating(params)) if penalty else value

    def init(params: Any, x: Any, targets: Any) -> KfacState:
        layers = dense_layers("kfac", params)
        with np.errstate(all="ignore"):
            value, gradient = value_and_grad(penalized)(params, x, targets)
        norm = _norm(layers.stacked(gradient))
        ending = _judge(value, norm, tol)
        zeros = tuple(np.zeros_like(block) for block in layers.stacked(params))
        return KfacState(params, value, norm, damping, 1, ending, 0, seed, (damping + penalty) ** 0.5, None, (), zeros)

    def update(state: KfacState, x: Any, targets: Any) -> KfacState:
        layers, step, total = dense_layers("kfac", state.params), state.step + 1, state.radius + penalty
        with np.errstate(all="ignore"):
            passed = propagate("kfac", model, layers, (x,))
            before, slope = value_and_grad(loss)(passed.output, targets)
            weights = layers.stacked(state.params)
            pulled = zip(passed.inputs, passed.gradients(slope), weights, strict=True)
            gradient = [inputs.T @ g + w.dtype.type(penalty) * w for inputs, g, w in pulled]
            before = before + penalty / 2 * _dot(weights, weights)
            norm = _norm(gradient)
            if not (np.isfinite(before) and np.isfinite(norm)):
                return replace(state, ending=Ending.NOT_FINITE, evaluations=state.evaluations + 3)
            drawn = scores(likelihood, passed.output, np.random.default_rng([state.seed, step]))
            current = mixed(min(1 - 1 / step, 0.95), state.factors, factors(passed, passed.gradients(drawn)))
            curvature = _product(FisherOperator(model, state.params, x, likelihood=likelihood), layers)

            candidates = _candidates(state, step, current)
            proposals = [_propose(gradient, inverses, state.last, curvature, total, momentum) for _, inverses in candidates]
            best = int(np.argmin([model_value for _, model_value in proposals]))
            (gamma, inverses), (delta, predicted) = candidates[best], proposals[best]

            params = _moved(layers, delta)
            value = penalized(params, x, targets)
        evaluations = state.evaluations + 6 + (1 + momentum) * len(candidates)
        if not np.isfinite(value):
            return replace(state, ending=Ending.NOT_FINITE, evaluations=evaluations)
        radius = state.radius
        if step % ADAPT_DAMPING == 0:
            factor = RATE**ADAPT_DAMPING
            radius = adapt(radius, ratio(float(before) - float(value), -predicted, 0.0), factor, 1 / factor)
        return KfacState(
            params, value, norm, radius, evaluations, _judge(value, norm, tol),
            step, state.seed, gamma, current, inverses, tuple(delta),
        )  # fmt: skip

    return Solver(init, update, lambda state: state.ending)


def _candidates(state: KfacState, step: int, current: tuple[Factor, ...]) -> list[tuple[float, tuple[Factor, ...]]]:
    """(gamma, inverses) to choose from: the old ones, new ones, or new ones for three gammas."""
    if step % ADAPT_GAMMA == 0:
        factor = RATE ** (ADAPT_GAMMA / 2)
        return [(g, inverted(current, g)) for g in (state.gamma, state.gamma * factor, state.gamma / factor)]
    if step <= WARM_UP or step % INVERT == 0:
        return [(state.gamma, inverted(current, state.gamma))]
    return [(state.gamma, state.inverses)]


def _propose(
    gradient: list[Any], inverses: tuple[Factor, ...], last: tuple[Any, ...], curvature: Callable, damping: float, momentum: bool
) -> tuple[list[Any], float]:
    """alpha Delta + mu delta_0, the minimum of M over alpha and mu, and M there minus h."""
    basis = [[-(a @ v @ g) for v, (a, g) in zip(gradient, inverses, strict=True)]]
    if momentum and any(np.any(block) for block in last):
        basis.append(list(last))
    curved = [curvature(direction) for direction in basis]
    matrix = np.array([[_dot(d, c) + damping * _dot(d, e) for e, c in zip(basis, curved, strict=True)] for d in basis])
    slopes = np.array([_dot(gradient, direction) for direction in basis])
    weights = -np.linalg.lstsq(matrix, slopes)[0]  # the two directions may be one
    delta = [
        sum((block.dtype.type(w) * block for w, block in zip(weights, blocks, strict=True)), start=np.zeros_like(blocks[0]))
        for blocks in zip(*basis, strict=True)
    ]
    return delta, float(slopes @ weights + weights @ matrix @ weights / 2)


def _product(operator: FisherOperator, layers: Layers) -> Callable[[list[Any]], list[Any]]:
    """F times a step, layer by layer."""
    return lambda blocks: layers.stacked(operator.apply(layers.tree(blocks)))


def _moved(layers: Layers, delta: list[Any]) -> Any:
    """The parameters plus a step; other leaves stay."""
    return layers.replaced(
        [layers.leaves[weight] + block[:-1] for (weight, _), block in zip(layers.places, delta, strict=True)],
        [layers.leaves[bias] + block[-1] for (_, bias), block in zip(layers.places, delta, strict=True)],
    )


def _judge(value: Any, norm: float, tol: float) -> Ending | None:
    if not (np.isfinite(value) and np.isfinite(norm)):
        return Ending.NOT_FINITE
    return Ending.CONVERGED if norm <= tol else None


def _floating(params: Any) -> list[Any]:
    return [leaf for leaf in tree.leaves(params) if tree.is_differentiable(leaf)]


def _dot(a: Any, b: Any) -> float:
    return float(sum(np.vdot(x, y) for x, y in zip(a, b, strict=True)))


def _norm(blocks: list[Any]) -> float:
    return float(np.sqrt(_dot(blocks, blocks)))
