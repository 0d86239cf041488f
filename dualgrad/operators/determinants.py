"""An estimate of log det A = tr log A of a positive definite A, by stochastic Lanczos quadrature.

    tr log A = n E[w^T (log A) w],  w of random signs over sqrt(n)
    w^T (log A) w = integral of log over the spectral measure of A at w
                  ~ sum_j (first entry of y_j)^2 log(theta_j),  T y_j = theta_j y_j

T is the tridiagonal matrix of the Lanczos process started at w: Gauss quadrature (Golub & Meurant 1994; Ubaru, Chen & Saad 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator

from dualgrad import errors
from dualgrad.operators.dense import to_dense
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
from dualgrad.operators.traces import dots


def logdet(operator: Any, samples: int = 16, steps: int = 24, method: str = "lanczos", rng: Seed = None) -> Estimate:
    """An estimate of log det A of a symmetric positive definite A, and its standard error over the samples.

    `method`: "lanczos" runs `steps` steps of the Lanczos process for `samples` random vectors at once, one batched product a
    step; "exact" makes the matrix, n products, and so does the other, with error 0, where samples * steps >= n.  The error is
    that of sampling; that of quadrature comes on top, and decays like exp(-4 steps / sqrt(condition number)): more steps for an
    operator that is almost singular.  `rng` is a seed or a Generator.  Memory: samples * steps vectors.
    Raises ArgumentError for an operator that is not square or symmetric, and for one that is not positive definite, as far as
    the process sees: add a multiple of the identity.

    >>> A = np.diag(np.linspace(1.0, 2.0, 1000))
    >>> value, error = logdet(A, samples=4, steps=8, rng=0)
    >>> abs(value - np.sum(np.log(np.diag(A)))) < 1e-8
    np.True_
    """
    operator = real_square("logdet", operator)
    check_method("logdet", method, ("lanczos", "exact"))
    samples, steps = check_count("logdet", "samples", samples, 2), check_count("logdet", "steps", steps, 1)
    n = operator.shape[0]
    if method == "exact" or samples * steps >= n:
        A = to_dense(operator)
        _check_symmetric(A)
        eigenvalues = np.linalg.eigvalsh((A + A.T) / 2)
        _check_positive(eigenvalues, n)
        return Estimate(np.sum(np.log(eigenvalues)), 0.0)
    start = signs(rng, (n, samples), working_dtype(operator)) / np.sqrt(n)
    values = []
    for diagonal, off_diagonal in _lanczos(operator, start, steps):
        theta, y = eigh_tridiagonal(diagonal, off_diagonal)
        _check_positive(theta, n)
        values.append(n * np.sum(y[0] ** 2 * np.log(theta)))
    return mean_and_error(np.array(values))


def _lanczos(operator: LinearOperator, start: Any, steps: int) -> list[tuple[Any, Any]]:
    """(diagonal, off-diagonal) of T for every column of `start`, with full reorthogonalization."""
    n, samples = start.shape
    basis = np.zeros((steps, n, samples), start.dtype)
    alpha, beta = np.zeros((steps, samples)), np.zeros((steps, samples))
    length = np.full(samples, steps)  # of T: a process that has found an invariant subspace ends there
    basis[0] = start
    for j in range(steps):
        v = basis[j]
        product = operator.matmat(v)
        if j == 0:
            _check_symmetric(v.T @ product)
        alpha[j] = dots(v, product)
        scale = np.sqrt(dots(product, product))
        for _ in range(2):  # twice is enough (Parlett)
            product = product - np.einsum("jns,js->ns", basis[: j + 1], np.einsum("jns,ns->js", basis[: j + 1], product))
        beta[j] = np.sqrt(dots(product, product))
        ended = beta[j] <= n * np.finfo(start.dtype).eps * scale
        length = np.where(ended & (length == steps), j + 1, length)
        if j + 1 < steps:
            basis[j + 1] = np.where(ended, 0, product / np.where(ended, 1, beta[j]))
    return [(alpha[:m, k], beta[: m - 1, k]) for k, m in enumerate(length)]


def _check_symmetric(A: Any) -> None:
    """A, or W^T A W for a few vectors W, is symmetric to rounding."""
    asymmetry = np.max(np.abs(A - A.T), initial=0.0)
    if not asymmetry <= np.sqrt(np.finfo(A.dtype).eps) * np.max(np.abs(A), initial=0.0):
        raise errors.ArgumentError(
            f"logdet: the operator is not symmetric: x^T A y and y^T A x differ by {asymmetry:.3g}{errors.user_line()}. "
            "Of a matrix that is not, take half the log determinant of A.T @ A."
        )


def _check_positive(eigenvalues: Any, n: int) -> None:
    """Eigenvalues, or values between the smallest and the largest of them, are positive beyond rounding."""
    least, largest = np.min(eigenvalues), np.max(eigenvalues)
    if not least > n * np.finfo(eigenvalues.dtype).eps * abs(largest):
        kind = "indefinite" if least < 0 < largest else "negative definite" if largest < 0 else "singular"
        raise errors.ArgumentError(
            f"logdet: the operator must be positive definite, but it is {kind} to rounding: its spectrum reaches from at most "
            f"{least:.3g} to at least {largest:.3g}{errors.user_line()}. Add a multiple of the identity (damping), or take the "
            "Gauss-Newton matrix instead of the Hessian."
        )
