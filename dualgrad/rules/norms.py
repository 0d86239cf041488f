"""Norms of vectors and matrices, and the two functions behind them.

    root(q) = sqrt(q)           derivative 1 / (2 sqrt(q)), and 0 at q = 0
    magnitude(x, p) = |x|**p    derivative p sign(x) |x|**(p - 1), and 0 at x = 0 for p <= 1

A norm at 0 has the minimum-norm subgradient 0, and so has std; an extremum of |x| shares ties equally.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import ZERO
from dualgrad.core.primitive import Value
from dualgrad.core.registry import front, front_method
from dualgrad.rules.declare import elementwise, singular
from dualgrad.rules.elementwise import rooted
from dualgrad.rules.reductions import as_array, keep, reduced_axes, without_derivative
from dualgrad.rules.shaping import axes_of


def _half_inverse(z: Any, _q: Any) -> Any:
    """1 / (2 z), and a constant 0 where z = 0, so that the second derivative is no nan either."""
    zero = np.equal(z, 0)
    return np.where(zero, 0, 0.5 / np.where(zero, 1, z))


_root = elementwise(lambda q: np.sqrt(q), _half_inverse, name="root")


def root(q: Any) -> Any:
    """sqrt(q), which remembers q."""
    return rooted(_root(q), lambda: q)


def _magnitude_slope(_z: Any, x: Any, p: Any) -> Any:
    """p sign(x) |x|**(p - 1); at the cusp of |x|**p with p <= 1 it is 0."""
    return p * signed_magnitude(x, p - 1)


def _signed_magnitude(x: Any, p: Any) -> Any:
    zero = np.equal(x, 0)
    return np.where(zero, 0, np.sign(x) * np.power(np.abs(np.where(zero, 1, x)), p))


def _signed_slope(_z: Any, x: Any, p: Any) -> Any:
    """p |x|**(p - 1): infinite at 0 for 0 < p < 1, where |x|**(p + 1) has no second derivative, and 0 there for p <= 0."""
    zero = np.logical_and(np.equal(x, 0), np.less_equal(p, 0))
    return np.where(zero, 0, p * magnitude(np.where(zero, 1, x), p - 1))


magnitude = elementwise(lambda x, p: np.power(np.abs(x), p), singular(_magnitude_slope), ZERO, name="magnitude")
signed_magnitude = elementwise(_signed_magnitude, singular(_signed_slope), ZERO, name="signed_magnitude")


def square(x: Any) -> Any:
    """|x|**2, real."""
    return np.real(x * np.conjugate(x)) if x.dtype.kind == "c" else np.square(x)


# ---- vectors ----------------------------------------------------------------------------------------------------------


def _vector(x: Any, order: Any, axis: tuple[int, ...], keepdims: Any) -> Any:
    """(sum |x|**p)**(1/p) over `axis`, and its limits for p = inf, -inf, 0."""
    if isinstance(order, Value):
        raise errors.unsupported(np.linalg.norm, "the order of the norm must be a plain number")
    if order is None or order == 2:
        return root(np.sum(square(x), axis, keepdims=keepdims))
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    if order == np.inf:
        return np.max(np.abs(x), axis, keepdims=keepdims, initial=0)
    if order == -np.inf:
        return np.min(np.abs(x), axis, keepdims=keepdims)
    if order == 0:
        return np.sum(np.not_equal(x, 0).astype(np.real(np.zeros((), x.dtype)).dtype), axis, keepdims=keepdims)
    if order == 1:
        return np.sum(np.abs(x), axis, keepdims=keepdims)
    powers = magnitude(np.abs(x) if x.dtype.kind == "c" else x, float(order))
    return _outer_root(np.sum(powers, axis, keepdims=keepdims), 1 / float(order))


def _outer_root(q: Any, power: float) -> Any:
    """q**power with derivative 0 at q = 0, where all elements are 0, and at q = inf, where for a negative order one of them is."""
    flat = np.logical_or(np.equal(q, 0), np.isinf(q))
    return np.where(flat, np.power(without_derivative(q), power), np.power(np.where(flat, 1, q), power))


# ---- matrices ---------------------------------------------------------------------------------------------------------


def _matrix(x: Any, order: Any, axis: tuple[int, int], keepdims: Any) -> Any:
    """A norm of the matrices that stand in two axes, (rows, columns)."""
    rows, columns = axis
    if rows == columns:
        raise ValueError("Duplicate axes given.")
    if order in (None, "fro", "f"):
        return root(np.sum(square(x), axis, keepdims=keepdims))
    if order in (2, -2, "nuc"):
        values = np.linalg.svd(np.moveaxis(x, axis, (-2, -1)), compute_uv=False)
        out = np.max(values, -1) if order == 2 else np.min(values, -1) if order == -2 else np.sum(values, -1)
        return np.reshape(out, keep(x.shape, axis)) if keepdims else out
    if order not in (1, -1, np.inf, -np.inf):
        raise ValueError("Invalid norm order for matrices.")
    inner, outer = (rows, columns) if abs(order) == 1 else (columns, rows)
    sums = np.sum(np.abs(x), inner, keepdims=True)
    out = np.max(sums, outer, keepdims=True) if order > 0 else np.min(sums, outer, keepdims=True)
    return out if keepdims else np.squeeze(out, axis)


# ---- fronts -----------------------------------------------------------------------------------------------------------


@front(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    x = as_array(x)
    if x.dtype.kind not in "fc":
        x = x.astype(float)
    if axis is None:
        if ord is None:
            return _vector(x, None, tuple(range(x.ndim)), keepdims)
        axes = tuple(range(x.ndim))
    else:
        axes = axes_of(axis, x.ndim)
    if len(axes) == 1:
        return _vector(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix(x, ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@front(np.linalg.vector_norm)
def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
    return _vector(x, ord, reduced_axes(axis, x.ndim), keepdims)


@front(np.linalg.matrix_norm)
def _matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    return _matrix(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@front_method(np.hypot, "reduce")
def _hypot_reduce(
    array: Any, /, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """The 2-norm without under- or overflow: hypot(a, b, …) = s norm(x / s) with s the largest |x|."""
    x = as_array(array) if dtype is None else as_array(array).astype(dtype)
    if where is not True:
        x = np.where(where, x, 0)
    axes = reduced_axes(axis, x.ndim)
    scale = np.max(np.abs(without_derivative(x)), axes, keepdims=True)
    scale = np.where(np.logical_or(np.equal(scale, 0), np.isinf(scale)), 1, scale)
    out = scale * _vector(x / scale, 2, axes, True)
    out = out if keepdims else np.squeeze(out, axes)
    return out if initial is None else np.hypot(out, initial)
