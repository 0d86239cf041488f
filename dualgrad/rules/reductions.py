"""Reductions: sums, products, extrema, variances, norms, cumulative versions, and their nan-ignoring kin.

A front function turns NumPy's arguments (axis, keepdims, where, initial, dtype) into one static form, `axis`: a sorted
tuple of non-negative ints; the primitive reduces over it and drops the axes.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.primitive import Primitive
from dualgrad.core.registry import front, front_method
from dualgrad.rules.declare import batch_axis, linear
from dualgrad.rules.shaping import axes_of

add_reduce = np.add.reduce


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """NumPy's axis argument (None, int, tuple) as a sorted tuple of non-negative ints."""
    return tuple(range(ndim)) if axis is None else tuple(sorted(axes_of(axis, ndim)))


def keep(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with reduced axes of length 1."""
    return tuple(1 if k in axis else n for k, n in enumerate(shape))


def spread_over(g: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """The transpose of a sum over `axis`: g repeated along it."""
    if len(axis) == len(shape):  # the common full sum needs no reshape
        return np.broadcast_to(g, shape)
    return np.broadcast_to(np.reshape(g, keep(shape, axis)), shape)


total = linear(
    lambda x, *, axis: add_reduce(x, axis=axis),
    lambda g, x, *, axis: spread_over(g, x.shape, axis),
    batch=batch_axis("axis"),
    local=True,
    name="sum",
)


def finish(out: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: Any) -> Any:
    """Put reduced axes back with length 1 if keepdims asks for it."""
    return np.reshape(out, keep(shape, axis)) if keepdims is True else out


@front(np.sum, method="sum")
def _sum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    if dtype is not None:
        a = a.astype(dtype)
    if where is not True:
        a = np.where(where, a, 0)
    axes = reduced_axes(axis, a.ndim)
    out = finish(total(a, axis=axes), a.shape, axes, keepdims)
    return out if initial is None else out + initial


@front_method(np.add, "reduce")
def _add_reduce(a: Any, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    return _sum(a, axis, dtype, keepdims=keepdims, initial=initial, where=where)


@front(np.mean, method="mean")
def _mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    axes = reduced_axes(axis, a.ndim)
    if where is not True:
        count = np.sum(np.broadcast_to(where, a.shape), axes, keepdims=keepdims is True)
        return _sum(a, axes, dtype, keepdims=keepdims, where=where) / count
    count = 1
    for k in axes:
        count *= a.shape[k]
    return _sum(a, axes, dtype, keepdims=keepdims) / count
