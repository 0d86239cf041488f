"""Equal eigenvalues or singular values: which they are, and what a derivative is where an eigenvector's slope is 0 / 0.

A function of eigenvectors that does not depend on the gauge (the choice of basis in the subspace of equal ones) has all its
derivatives there all the same.  They are limits that the formal splitting of the spectrum finds (core/splitting.py): the rules are
the ordinary ones, with `ratio` for a slope.  For a first derivative in forward mode it is not needed (`adapt` of a primitive): the
basis inside each block is the one in which dA is diagonal, the basis that moves smoothly with A; the rest of its motion inside the
block cannot matter (Kato, Perturbation Theory, section II.6).  A derivative that depends on the gauge raises DegeneracyError: one
whose poles do not cancel.  A function that depends on the gauge but is stationary in the basis at hand (v[0, 0] at v = 1) has the
first derivative of one that does not (v[0] @ v[0] / 2), and cannot be told from it.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.splitting import vanishes
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


def tied(w: Any, block: Any) -> Any:
    """Values w, made exactly equal within each block."""
    same = pairs(block)
    return np.take_along_axis(mean_over(w, same), np.argmax(same, -1), -1)


def untied(w: Any, block: Any) -> list:
    """The coefficients of 1 and e of values w, split: exactly equal ones, moved apart by distinct numbers of the size of w."""
    largest = np.max(np.abs(w), -1, keepdims=True, initial=0)
    return [tied(w, block), distinct(block, w.dtype) * np.where(np.equal(largest, 0), 1, largest)]


def ratio(n: Any, d: Any) -> Any:
    """n / d, and 0 where d is nothing but zero: on a diagonal, and between equal values that a turned basis keeps apart."""
    none = vanishes(d)
    return np.where(none, 0, n / np.where(none, 1, d))


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
