"""Equal eigenvalues or singular values: which they are, and what a derivative is where an eigenvector's slope is 0 / 0.

A function of eigenvectors that does not depend on the gauge (the choice of basis in the subspace of equal ones) has a
derivative there all the same.  In reverse mode the tape splits the spectrum formally (core/splitting.py) and `quotient` is the
limit.  In forward mode (`adapt` of a primitive) the basis inside each block is the one in which dA is diagonal, the basis that
moves smoothly with A; the rest of its motion inside the block cannot matter (Kato, Perturbation Theory, section II.6).  A
cotangent that depends on the gauge raises DegeneracyError: one whose product with a turn of the basis is not 0.  A function
that depends on the gauge but is stationary in the basis at hand (v[0, 0] at v = 1) has the cotangent of one that does not
(v[0] @ v[0] / 2), and cannot be told from it.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import any_true
from dualgrad.core.splitting import series, splitting_of
from dualgrad.rules.declare import constant
from dualgrad.rules.linalg import adjoint


def _blocks(w: Any, size: int, zero: bool) -> Any:
    """The number of the block of equal values that each of the sorted w is in; with `zero`, of w and a 0 at the end.

    Equal is what rounding leaves of it: within 4 size eps max|w|.
    """
    if zero:
        w = np.concatenate([w, np.zeros_like(w[..., :1])], -1)
    largest = np.max(np.abs(w), -1, keepdims=True, initial=0)
    gaps = np.abs(np.diff(w, axis=-1)) > 4 * max(size, 1) * np.finfo(w.dtype).eps * largest
    return np.concatenate([np.zeros_like(gaps[..., :1], dtype=int) if w.shape[-1] else gaps, np.cumsum(gaps, -1)], -1)


blocks = constant(_blocks, batch=lambda primitive, _mapped, w, **static: primitive(w, **static), name="blocks")


def pairs(block: Any) -> Any:
    """Which pairs i, j are in the same block."""
    return np.equal(block[..., :, None], block[..., None, :])


def mean_over(d: Any, same: Any) -> Any:
    """The mean of d over each block."""
    weights = same.astype(d.dtype)
    return (weights @ d[..., None])[..., 0] / np.sum(weights, -1)


def distinct(block: Any, dtype: Any) -> Any:
    """Distinct positive numbers for the members of blocks of several, 0 for the others."""
    several = np.greater(np.sum(pairs(block), -1), 1)
    return np.where(several, np.sqrt(np.arange(2.0, block.shape[-1] + 2)), 0.0).astype(dtype)


def quotient(n: Any, d: Any, equal: Any, w: Any, scale: Any) -> Any:
    """n / d, and where d is zero (`equal`) the limit: the quotient of the first orders in the splitting of w."""
    if not any_true(equal):
        return n / d
    splitting = splitting_of(w)
    if splitting is None:
        raise unsupported_order()
    (n, n1), (d, d1) = series(n, splitting), series(d, splitting)
    size = np.max(np.abs(series(scale, splitting)[0]), initial=0)
    if any_true(np.logical_and(equal, np.greater(np.abs(n), float(np.finfo(n.dtype).eps) ** 0.5 * size))):
        raise errors.DegeneracyError(
            f"the cotangent of a factorization of a matrix with equal eigenvalues or singular values{errors.user_line()} depends "
            "on the arbitrary basis of their subspace. Use a function that does not (v * h(w) @ v.T), or separate the spectrum."
        )
    return np.where(equal, 0 if n1 is None else n1 / np.where(equal, d1, 1), n / np.where(equal, 1, d))


def unsupported_order() -> errors.DegeneracyError:
    return errors.DegeneracyError(
        f"a second derivative of eigenvectors or singular vectors of equal eigenvalues or singular values{errors.user_line()}, or "
        "one such factorization of another's result, is not supported. eigvalsh and svdvals have theirs; or separate them."
    )


def skew_part(x: Any) -> Any:
    return 0.5 * (x - adjoint(x))


def diagonal_matrix(d: Any) -> Any:
    """The matrix with this diagonal."""
    return np.where(np.eye(d.shape[-1], dtype=bool), d[..., None], 0)


def off_diagonal(n: int) -> Any:
    return ~np.eye(n, dtype=bool)


def real_diagonal(k: Any) -> Any:
    return np.real(np.diagonal(k, 0, -2, -1))


def frobenius(k: Any) -> Any:
    """The Frobenius norm, and 1 for 0."""
    square = np.sum(np.real(k) ** 2 + np.imag(k) ** 2 if k.dtype.kind == "c" else k * k, (-2, -1))
    return np.where(np.equal(square, 0), 1, np.sqrt(np.where(np.equal(square, 0), 1, square)))
