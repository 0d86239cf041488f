"""An estimate of a diagonal: that of a low-rank approximation, and a sample of what is left.

    diag A = diag(Q Q^T A) + E[w * (I - Q Q^T) A w],    w of independent signs

    xdiag   for each of k vectors w_i: Q from A times the other k - 1; the mean of the k estimates
            (Epperly, Tropp & Webber 2024, section 4)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.operators.dense import exact_diagonal
from dualgrad.operators.estimate import (
    Estimate,
    Seed,
    check_count,
    check_method,
    mean_and_error,
    real_square,
    signs,
    working_dtype,
)
from dualgrad.operators.traces import dots, left_out


def diagonal(operator: Any, products: int = 60, method: str = "xdiag", rng: Seed = None) -> Estimate:
    """An unbiased estimate of diag A and its standard errors, two vectors, from about `products` products.

    `method`: "xdiag", or "exact", which takes n products; so does the other, exactly and with errors 0, where `products` >= n.
    A is any real square matrix or LinearOperator; half of the products are with its transpose, so one that is not symmetric
    needs `rmatvec`.  `rng` is a seed or a Generator.  Memory: `products` vectors.
    Raises ArgumentError for an operator that is not square, an unknown method, or fewer than 4 products.

    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> value, error = diagonal(A, products=40, rng=0)
    >>> np.allclose(value, np.diag(A), atol=1e-5), error.max() < 1e-5
    (True, np.True_)
    """
    operator = real_square("diagonal", operator)
    check_method("diagonal", method, ("xdiag", "exact"))
    products = check_count("diagonal", "products", products, 4)
    n, count = operator.shape[0], products // 2
    if method == "exact" or products >= n:
        return Estimate(exact_diagonal(operator), np.zeros(n))
    W = signs(rng, (n, count), working_dtype(operator))
    Q, R = np.linalg.qr(operator.matmat(W))
    B, S = operator.rmatmat(Q), left_out(R)  # A^T Q
    left = Q @ S  # column i is what the basis without vector i lacks
    return mean_and_error(np.sum(Q * B, axis=1)[:, None] + left * (W * dots(S, R) - B @ S))
