"""Estimates of a trace: catch the large eigenvalues by a low-rank approximation, and sample what is left.

    tr A = tr(Q^T A Q) + tr((I - Q Q^T) A (I - Q Q^T)),    Q an orthonormal basis of A times random vectors

    hutch++   Q from one third of the products, plain Hutchinson w^T (.) w for the rest with others   (Meyer et al. 2021)
    xtrace    for each of k vectors w_i: Q from A times the other k - 1, and w_i for the rest; the mean of the k estimates
              (Epperly, Tropp & Webber 2024, section 2)

Both are unbiased for any square A, and for a decaying spectrum their variance is far below that of w^T A w alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse.linalg import LinearOperator

from dualgrad.operators.dense import exact_diagonal
from dualgrad.operators.estimate import (
    Estimate,
    Seed,
    check_count,
    check_method,
    gaussians,
    mean_and_error,
    real_square,
    signs,
    working_dtype,
)


def trace(operator: Any, products: int = 60, method: str = "xtrace", rng: Seed = None) -> Estimate:
    """An estimate of tr A and its standard error, from about `products` products of A with random vectors.

    `method`: "xtrace", "hutch++", or "exact", which takes n products; so do the others, exactly and with error 0, where
    `products` >= n.  A is any real square matrix or LinearOperator, symmetric or not.  `rng` is a seed or a Generator.  Memory:
    `products` vectors.  Raises ArgumentError for an operator that is not square, an unknown method, or fewer than 6 products.

    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> value, error = trace(A, products=40, rng=0)
    >>> abs(value - 2) < 1e-5, error < 1e-5
    (np.True_, np.True_)
    >>> trace(A, method="exact")
    Estimate(value=np.float64(2.0), error=0.0)
    """
    operator = real_square("trace", operator)
    check_method("trace", method, ("xtrace", "hutch++", "exact"))
    products = check_count("trace", "products", products, 6)
    if method == "exact" or products >= operator.shape[0]:
        return Estimate(np.sum(exact_diagonal(operator)), 0.0)
    return (_xtrace if method == "xtrace" else _hutch)(operator, products, rng)


def _hutch(operator: LinearOperator, products: int, rng: Seed) -> Estimate:
    count = products // 3
    random = signs(rng, (operator.shape[0], 2 * count), working_dtype(operator))
    Q, _ = np.linalg.qr(operator.matmat(random[:, :count]))
    rest = random[:, count:]
    rest = rest - Q @ (Q.T @ rest)
    both = operator.matmat(np.hstack([Q, rest]))
    value, error = mean_and_error(dots(rest, both[:, count:]))
    return Estimate(value + np.sum(Q * both[:, :count]), error)


def _xtrace(operator: LinearOperator, products: int, rng: Seed) -> Estimate:
    n, count = operator.shape[0], products // 2
    W = gaussians(rng, (n, count), working_dtype(operator))
    Q, R = np.linalg.qr(operator.matmat(W))
    AQ = operator.matmat(Q)
    H, S = Q.T @ AQ, left_out(R)
    # column i: the basis without vector i is Q (I - s s^T); the rest of w is r = w - Q u, with A w = Q R
    QW = Q.T @ W
    U = QW - S * dots(S, QW)
    caught = np.trace(H) - dots(S, H @ S)
    rest = dots(QW, R) - dots(AQ.T @ W, U) - dots(U, R) + dots(U, H @ U)  # r^T A r
    length = dots(W, W) - dots(U, U)  # |r|^2; r is uniform on a sphere of dimension n - count + 1 whatever its length
    return mean_and_error(caught + (n - count + 1) * rest / length)


def left_out(R: Any) -> Any:
    """Columns s_i with range(Q (I - s_i s_i^T)) the range of all columns of Q R but number i: those of R^-T, normalized."""
    magnitude = np.abs(np.diagonal(R))
    largest = np.max(magnitude) or 1
    floor = np.finfo(R.dtype).eps * largest  # below it a column is in the span of the others, to rounding
    R = (R + np.diag(np.where(magnitude < floor, floor, 0).astype(R.dtype))) / largest
    S = solve_triangular(R, np.eye(len(R), dtype=R.dtype), trans="T")
    return S / np.linalg.norm(S, axis=0)


def dots(A: Any, B: Any) -> Any:
    """The inner products of corresponding columns."""
    return np.einsum("ij,ij->j", A, B)
