"""Sums of squares f = |r|^2 / 2: Gauss-Newton, and Levenberg-Marquardt with geodesic acceleration.

    r(x + d) ~ r + J d          d = -(J^T J + lambda D^2)^-1 J^T r          a = -(J^T J + lambda D^2)^-1 J^T r''(d)

From one singular value decomposition of J D^-1 the step for any lambda costs O(n^2), without squaring the condition number.
With lambda = 0 d is the Gauss-Newton step; D holds the largest norms so far of the columns of J (More 1978), which makes the path
independent of the units of the parameters.  The geodesic acceleration a / 2 is the second-order term of the path that
follows d in the curved space of the residuals; r''(d), the second derivative along d, is a pushforward of a pushforward
(Transtrum, Sethna 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import tree
from dualgrad.operators import JacobianOperator
from dualgrad.optimize.descent import Descent, Direction, Local, Objective
from dualgrad.optimize.result import Ending
from dualgrad.optimize.search import Search, backtracking, levenberg
from dualgrad.optimize.solver import Solver, Tolerances, compose
from dualgrad.transforms.pushforward import jvp


def gauss_newton(
    residuals: Callable, tol: float | None = None, step_tol: float = 0.0, decrease_tol: float = 0.0, search: Search | None = None
) -> Solver:
    """Gauss-Newton with backtracking: minimizes |residuals(params, *data)|^2 / 2.

    `residuals` returns an array or a tree of them.  Ends with SINGULAR where the Jacobian has not full rank: the step is not
    determined there, and `levenberg_marquardt` goes on.  Fewer residuals than parameters have the shortest step.  Converges
    quadratically where the residuals vanish.  `tol` is that of the largest cosine between r and a column of J.
    Cost of a step: one Jacobian, O(m n^2), one gradient.  (Nocedal, Wright, section 10.3)

    >>> from dualgrad.optimize.solver import solve
    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> decay = lambda p, y: p["size"] * np.exp(-p["rate"] * t) - y
    >>> result = solve(gauss_newton(decay), {"size": 1.0, "rate": 1.0}, 3 * np.exp(-0.5 * t))
    >>> print(result.params["size"].round(12), result.params["rate"].round(12), result.success)
    3.0 0.5 True
    """
    descent = linearized(residuals)
    return compose(descent, backtracking() if search is None else search, Tolerances(tol, step_tol, decrease_tol))


def levenberg_marquardt(
    residuals: Callable,
    tol: float | None = None,
    step_tol: float = 0.0,
    decrease_tol: float = 0.0,
    acceleration: bool = True,
    damping: float = 1e-3,
    search: Search | None = None,
) -> Solver:
    """Levenberg-Marquardt: minimizes |residuals(params, *data)|^2 / 2, whatever the rank of the Jacobian.

    `damping` is the first lambda, relative to the squares of the columns of J.  With `acceleration` the second-order step is added,
    and a step is refused where that is longer than 3/4 of the first-order one: the residuals curve too much to be followed so far.
    `tol` is that of the largest cosine between r and a column of J.  Cost of a step: one Jacobian, O(m n^2), one gradient, and of a
    trial one evaluation and one of second order.  (Transtrum, Sethna 2012, arXiv:1201.5885)

    >>> from dualgrad.optimize.solver import solve
    >>> rosenbrock = lambda x: np.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    >>> solve(levenberg_marquardt(rosenbrock), np.array([-1.2, 1.0])).params.round(12)
    array([1., 1.])
    """
    descent = linearized(residuals, scaled=True, acceleration=0.75 if acceleration else None)
    return compose(descent, levenberg(damping) if search is None else search, Tolerances(tol, step_tol, decrease_tol))


def linearized(residuals: Callable, scaled: bool = False, acceleration: float | None = None) -> Descent:
    """The descent d = -(J^T J + damping D^2)^-1 J^T r, with D = I unless `scaled`.

    `acceleration` is the largest length of the second-order step, relative to the first; None leaves it out.
    """

    def half_squares(params: Any, *data: Any) -> Any:
        return sum(np.sum(r * r) for r in tree.leaves(residuals(params, *data)) if tree.is_differentiable(r)) / 2

    def scale(matrix: Any, before: Any) -> Any:
        """The norms of the columns, never less than before, and one for a column of zeros."""
        norms = np.linalg.norm(matrix, axis=0)
        norms = norms if before is None else np.maximum(norms, before)
        return np.where(norms > 0, norms, 1).astype(matrix.dtype)

    def start(objective: Objective) -> Any:
        return scale(_dense(objective.counted(JacobianOperator, residuals, objective.params, *objective.data)), None)

    def local(objective: Objective, memory: Any) -> Local:
        jacobian = objective.counted(JacobianOperator, residuals, objective.params, *objective.data)
        r, matrix = tree.ravel(jacobian.value)[0], _dense(jacobian)
        columns = scale(matrix, memory if scaled else None)
        finite = bool(np.all(np.isfinite(matrix)))
        units = columns if scaled else np.ones_like(columns)
        left, singular, right = np.linalg.svd(matrix / units, full_matrices=False) if finite else (matrix, matrix, matrix)

        def direction(damping: float) -> Direction:
            if not finite:
                return Direction(None, 0.0, ending=Ending.NOT_FINITE)
            if not damping and singular[-1] <= max(matrix.shape) * np.finfo(matrix.dtype).eps * singular[0]:
                return Direction(None, 0.0, ending=Ending.SINGULAR)
            inverse = singular / (singular**2 + matrix.dtype.type(damping))
            projected, kept = left.T @ r, singular * inverse
            step = -(inverse * projected) @ right  # in units of D
            decrease = float(np.sum(projected**2 * kept * (1 - kept / 2)))
            if acceleration is None:
                return Direction(step / units, decrease, memory=columns)
            along = jacobian.domain.tree(jacobian.domain.cut(step / units))
            curving = objective.counted(_second_derivative, residuals, objective.params, along, objective.data)
            second = -(inverse * (left.T @ curving)) @ right / 2
            refused = not 2 * np.linalg.norm(second) <= acceleration * np.linalg.norm(step)
            return Direction((step + second) / units, decrease, memory=columns, refused=refused)

        return Local(np.sum(r * r) / 2, r @ matrix, direction)

    def largest_cosine(objective: Objective, value: Any, gradient: Any, columns: Any) -> float:
        """max |J_j . r| / (|J_j| |r|), the measure of MINPACK: no units in it."""
        size = float(np.sqrt(2 * value))
        return float(np.max(np.abs(gradient) / columns)) / size if size else 0.0

    return Descent(half_squares, local, start, largest_cosine, precision=0.75)


def _dense(jacobian: JacobianOperator) -> Any:
    """The matrix, by pushforwards or pullbacks, whichever are fewer."""
    m, n = jacobian.shape
    return jacobian.to_dense() if m >= n else jacobian.T.to_dense().T


def _second_derivative(residuals: Callable, params: Any, along: Any, data: tuple) -> Any:
    """d^2/dt^2 r(x + t v) at t = 0, as a vector: forward over forward."""

    def slope(params: Any) -> Any:
        return jvp(lambda p: residuals(p, *data), (params,), (along,))[1]

    return tree.ravel(jvp(slope, (params,), (along,))[1])[0]
