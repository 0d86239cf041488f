"""Where to go: a descent models the objective around a point by a quadratic, and points to its minimum.

    m(d) = f + g.d + d.B d / 2          direction(damping) = argmin m(d) + damping |d|^2 / 2 = -(B + damping I)^-1 g

B is the Hessian (newton.py), J^T J of residuals (gauss_newton.py), the Gauss-Newton matrix J^T H_L J (hessian_free.py,
natural_gradient.py), exactly or from a subsample; the minimum is found by a factorization, or by conjugate gradients that
stop early.  How far to go along the direction is the business of search.py.  Everything here is about vectors: the
differentiable leaves of the parameters, ravelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors, tree
from dualgrad.optimize.result import Ending
from dualgrad.transforms.pullback import value_and_grad


class Objective:
    """f(params, *data) at one point and fixed data; x is the vector of the differentiable leaves of params."""

    def __init__(self, f: Callable, params: Any, data: tuple, evaluations: int = 0) -> None:
        self.f, self.params, self.data, self.evaluations = f, params, data, evaluations
        self.x, self.unravel = tree.ravel(params)
        if self.x.dtype.kind == "c":
            raise errors.InputTypeError(
                f"solve: params has complex leaves{errors.user_line()}, and the solvers of second order need a real Hessian. "
                "Make the real and the imaginary part two real leaves."
            )

    def at(self, step: Any) -> Objective:
        """The same at x + step."""
        return Objective(self.f, self.unravel(self.x + step), self.data, self.evaluations)

    def value(self, step: Any) -> Any:
        """f(x + step) for a trial; inf where it is not finite, so that a search turns back."""
        self.evaluations += 1
        with np.errstate(all="ignore"):
            value = self.f(self.unravel(self.x + step), *self.data)
        return value if np.isfinite(value) else np.inf

    def value_and_grad(self) -> tuple[Any, Any]:
        """f(x) and its gradient as a vector."""
        value, gradient = self.counted(value_and_grad(self.f), self.params, *self.data)
        return value, tree.ravel(gradient)[0]

    def counted(self, evaluate: Callable, *arguments: Any) -> Any:
        """evaluate(*arguments), which is one evaluation; not finite is an answer, and no reason for a warning."""
        self.evaluations += 1
        with np.errstate(all="ignore"):
            return evaluate(*arguments)

    def product(self, operator: Any, damping: float = 0.0) -> Callable[[Any], Any]:
        """v -> (B + damping I) v, each counted as an evaluation."""
        damping = self.x.dtype.type(damping)
        return lambda v: self.counted(operator.matvec, v) + damping * v

    def rounding(self, value: Any) -> float:
        """What rounding may change in a value: 8 units in the last place."""
        return 8 * float(np.finfo(self.x.dtype).eps) * abs(float(value))


class Direction(NamedTuple):
    """A step proposed by a descent, and the decrease of the objective that its (undamped) quadratic predicts."""

    step: Any
    decrease: float
    path: tuple[Direction, ...] = ()  # the shorter ones found on the way, to which a search may turn back
    memory: Any = None  # what the descent remembers if the step is taken
    refused: bool = False  # the quadratic is not to be trusted this far: damp more
    ending: Ending | None = None  # there is no such step


class Local(NamedTuple):
    """A quadratic around a point: its value and gradient, and its minimizer under a damping."""

    value: Any
    gradient: Any
    direction: Callable[[float], Direction]


def nothing(objective: Objective) -> None:
    """The memory of a descent that remembers nothing."""
    return None


def gradient_norm(objective: Objective, value: Any, gradient: Any, memory: Any) -> float:
    """The measure of stationarity unless a descent has a better one."""
    return float(np.linalg.norm(gradient))


def converged(objective: Objective) -> Ending:
    """What a stationary point is, unless a descent can tell minima from saddles."""
    return Ending.CONVERGED


class Descent(NamedTuple):
    """f(params, *data), its local quadratic, and what the descent remembers and measures."""

    f: Callable
    local: Callable[[Objective, Any], Local]  # of the objective at its x, and the memory
    start: Callable[[Objective], Any] = nothing
    stationarity: Callable[[Objective, Any, Any, Any], float] = gradient_norm
    verdict: Callable[[Objective], Ending] = converged
    precision: float = 0.5  # the power of the machine epsilon to which it can be stationary


# ---- models, losses and samples --------------------------------------------------------------------------------------


def composed(model: Callable, loss: Callable) -> Callable:
    """f(params, x, *targets) = loss(model(params, x), *targets); without data loss(model(params)).

    This is how all solvers with a Gauss-Newton matrix read their data: the first is the model's input (a tree, if it has several).
    """


    def objective(params: Any, *data: Any) -> Any:
        return loss(model(params, *data[:1]), *data[1:])

    objective.__name__ = getattr(loss, "__name__", "loss")  # what a message calls it
    return objective


def subsample(data: tuple, fraction: float, seed: int, step: int) -> tuple:
    """A random part of the examples, rows of every array whose first axis is as long as the longest one; the whole for 1.

    Without replacement; the draw depends on (seed, step) alone, so that a solve goes on from its state as it would have.
    """
    count = max((len(leaf) for leaf in tree.leaves(data) if np.ndim(leaf)), default=0)
    if fraction >= 1 or not count:
        return data
    rows = np.random.default_rng([seed, step]).choice(count, max(1, round(fraction * count)), replace=False)
    return tree.map(lambda leaf: leaf[rows] if np.ndim(leaf) and len(leaf) == count else leaf, data)


def check_fraction(name: str, fraction: float) -> None:
    """A part of the data is more than nothing and at most all."""
    if not 0 < fraction <= 1:
        raise errors.ArgumentError(f"{name}: fraction must be in (0, 1], got {fraction}{errors.user_line()}.")


# ---- conjugate gradients ----------------------------------------------------------------------------------------------


class Iterate(NamedTuple):
    """A point d of conjugate gradients, m(d) - m(0), the norm of the residual B d + g, and p.B p of the last direction p."""

    step: Any
    model: float
    residual: float
    curvature: float


def conjugate_gradients(product: Callable[[Any], Any], gradient: Any, start: Any = None) -> Iterator[Iterate]:
    """Minimize m(d) = g.d + d.B d / 2, an iterate at a time, from `start` or zero (Hestenes, Stiefel 1952).

    The consumer decides when to stop.  Where a direction p has p.B p <= 0, the quadratic has no minimum: the iterate then stays
    where it was, `curvature` says so, and that is the last.  Cost: one product an iterate (and one for a start).

    >>> B = np.diag([1.0, 4.0])
    >>> iterates = conjugate_gradients(lambda d: B @ d, np.array([1.0, 4.0]))
    >>> [next(iterates).step.round(6) + 0.0 for _ in range(3)]
    [array([0., 0.]), array([-0.261538, -1.046154]), array([-1., -1.])]
    """
    if start is None:
        step, residual = np.zeros_like(gradient), gradient
    else:
        step, residual = start, product(start) + gradient
    along, square = -residual, float(residual @ residual)
    yield Iterate(step, _model(step, residual, gradient), np.sqrt(square), np.inf)
    for _ in range(2 * gradient.size):  # n in exact arithmetic
        if square == 0:
            return
        curved = product(along)
        curvature = float(along @ curved)
        if not curvature > 0:
            yield Iterate(step, _model(step, residual, gradient), np.sqrt(square), curvature)
            return
        rate = gradient.dtype.type(square / curvature)
        step, residual = step + rate * along, residual + rate * curved
        before, square = square, float(residual @ residual)
        along = gradient.dtype.type(square / before) * along - residual
        yield Iterate(step, _model(step, residual, gradient), np.sqrt(square), curvature)


def _model(step: Any, residual: Any, gradient: Any) -> float:
    """m(d) = d.(r + g) / 2 with r = B d + g."""
    return float(step @ (residual + gradient)) / 2


def truncated(product: Callable[[Any], Any], gradient: Any, damping: float, forcing: float, limit: int) -> Direction:
    """-B^-1 g by conjugate gradients until |B d + g| <= forcing |g|, for a product with B = curvature + damping I.

    At the first direction of negative curvature it stops where it is, or with -g if that is the very first (Dembo, Steihaug 1983).
    """
    target = forcing * float(np.linalg.norm(gradient))
    step, model = np.zeros_like(gradient), 0.0
    for count, iterate in enumerate(conjugate_gradients(product, gradient)):
        step, model = iterate.step, iterate.model
        if iterate.curvature <= 0 and count == 1:
            step, model = -gradient, iterate.curvature / 2 - float(gradient @ gradient)
        if iterate.residual <= target or count == limit:
            break
    return Direction(step, undamped(model, step, damping))


def undamped(model: float, step: Any, damping: float) -> float:
    """m(0) - m(d) of the quadratic without its damping."""
    return damping * float(step @ step) / 2 - model
