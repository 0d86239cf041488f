"""Newton's method where the Hessian may be indefinite: d = -(H + E)^-1 g, then backtracking.

E is zero where H is sufficiently positive definite, so that convergence is quadratic near a minimum; elsewhere it makes H + E
positive definite, so that d points downhill.  It comes from a factorization P H P^T = L B L^T with 1x1 and 2x2 blocks in B
(Bunch, Kaufman 1977), whose eigenvalues are replaced by max(|mu|, delta): the modified Cholesky factorization of Cheng and
Higham (1998), with the sign of a negative curvature turned rather than its size cut to delta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

from dualgrad import errors, tree
from dualgrad.operators import HessianOperator
from dualgrad.optimize.descent import Descent, Direction, Local, Objective
from dualgrad.optimize.result import Ending
from dualgrad.optimize.search import Search, backtracking
from dualgrad.optimize.solver import Solver, Tolerances, compose


def damped_newton(
    f: Callable, tol: float | None = None, step_tol: float = 0.0, decrease_tol: float = 0.0, search: Search | None = None
) -> Solver:
    """Newton's method with a modified Cholesky factorization and backtracking: minimizes f(params, *data).

    Ends with CONVERGED where the gradient's norm is at most `tol` and the Hessian has no negative eigenvalue, with INDEFINITE
    where it has one; see `Tolerances` for the others.  Cost of a step: one Hessian (n gradients in one batched sweep), O(n^3), one
    gradient.  (Nocedal, Wright, Numerical Optimization, section 3.4)

    >>> from dualgrad.optimize.solver import solve
    >>> result = solve(damped_newton(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2), np.array([-1.2, 1.0]))
    >>> result.params, result.message
    (array([1., 1.]), 'The norm of the gradient fell below its tolerance. After 21 steps the objective is ...')
    """
    return compose(newton(f), backtracking() if search is None else search, Tolerances(tol, step_tol, decrease_tol))


def newton(f: Callable) -> Descent:
    """The descent d = -(H + E + damping I)^-1 g."""

    def local(objective: Objective, memory: None) -> Local:
        hessian = objective.counted(HessianOperator, f, objective.params, *objective.data)
        gradient, matrix = tree.ravel(hessian.gradient)[0], symmetric(hessian)

        def direction(damping: float) -> Direction:
            if not np.all(np.isfinite(matrix)):
                return Direction(None, 0.0, ending=Ending.NOT_FINITE)
            damped = matrix + damping * np.eye(len(matrix), dtype=matrix.dtype) if damping else matrix
            step = -modified_cholesky(damped).solve(gradient)
            return Direction(step, -float(gradient @ step + step @ matrix @ step / 2))

        return Local(hessian.value, gradient, direction)

    def verdict(objective: Objective) -> Ending:
        """A stationary point is a minimum only if no curvature is negative there."""
        curvatures = np.linalg.eigvalsh(symmetric(objective.counted(HessianOperator, f, objective.params, *objective.data)))
        negative = curvatures[0] < -np.sqrt(np.finfo(curvatures.dtype).eps) * np.max(np.abs(curvatures))
        return Ending.INDEFINITE if negative else Ending.CONVERGED

    return Descent(f, local, verdict=verdict)


def symmetric(hessian: HessianOperator) -> Any:
    """The matrix, symmetric to the last bit."""
    matrix = hessian.to_dense()
    return (matrix + matrix.T) / 2


class ModifiedCholesky(NamedTuple):
    """A + E = L D L^T: L a row permutation of a unit lower triangle, D positive with 1x1 and 2x2 blocks."""

    lower: Any
    blocks: Any
    permutation: Any
    shift: Any  # E

    def solve(self, right: Any) -> Any:
        """(A + E)^-1 right."""
        triangle, (diagonal, below) = self.lower[self.permutation], _bands(self.blocks)
        inner = linalg.solve_triangular(triangle, right[self.permutation], lower=True, unit_diagonal=True)
        inner = linalg.solve_banded((1, 1), np.stack([np.append(0, below), diagonal, np.append(below, 0)]), inner)
        inner = linalg.solve_triangular(triangle, inner, lower=True, unit_diagonal=True, trans="T")
        return inner[np.argsort(self.permutation)]


def modified_cholesky(matrix: Any, delta: float | None = None) -> ModifiedCholesky:
    """The factorization of A + E for a symmetric A, with E = 0 if A is sufficiently positive definite.

    The eigenvalues mu of the blocks become max(|mu|, delta); delta is n eps |A| unless given.  Cost: n^3 / 3.
    Raises ArgumentError if A is not a square matrix of finite numbers.

    >>> A = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> factors = modified_cholesky(A)
    >>> bool(np.linalg.eigvalsh(A + factors.shift)[0] > 0), bool(np.any(modified_cholesky(A + 2 * np.eye(2)).shift))
    (True, False)
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.all(np.isfinite(matrix)):
        raise errors.ArgumentError(
            f"modified_cholesky: the matrix must be square and finite, got {errors.describe(matrix)}{errors.user_line()}."
        )
    lower, blocks, permutation = linalg.ldl(matrix)
    if delta is None:
        delta = len(matrix) * float(np.finfo(blocks.dtype).eps) * max(float(np.linalg.norm(matrix, 1)), np.finfo(blocks.dtype).tiny)
    curvatures, vectors = linalg.eigh_tridiagonal(*_bands(blocks)) if len(matrix) > 1 else (blocks[0], np.ones_like(blocks))
    wanted = np.maximum(np.abs(curvatures), delta)
    changed = wanted != curvatures
    change = (vectors[:, changed] * (wanted - curvatures)[changed]) @ vectors[:, changed].T
    return ModifiedCholesky(lower, blocks + change, permutation, lower @ change @ lower.T)


def _bands(blocks: Any) -> tuple[Any, Any]:
    """Diagonal and subdiagonal of a matrix of 1x1 and 2x2 blocks, of length n and n - 1."""
    return np.diagonal(blocks), np.diagonal(blocks, -1)
