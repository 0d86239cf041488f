"""Cumulative reductions: every prefix at once.

    cumsum     linear; its transpose is a cumsum from the other end
    cumprod    its derivative is an affine recurrence, solved by a scan (by a division where nothing is zero)
    others     a scan

A scan joins windows of length 1, 2, 4, … in log n steps of whole-array operations, so every order of derivative follows.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core.arrays import conjugate
from dualgrad.core.primitive import Primitive
from dualgrad.core.registry import front, front_method
from dualgrad.rules.declare import batch_axis, constant, linear, opaque
from dualgrad.rules.reductions import as_array, divided, ordinary, times, valued, without_derivative
from dualgrad.rules.shaping import axes_of


def _reversed(x: Any, axis: int) -> Any:
    return x[(slice(None),) * axis + (slice(None, None, -1),)]


def _sums(x: Any, *, axis: int, back: bool = False) -> Any:
    """Over all elements before, or with `back` behind, and the element itself."""
    return _reversed(np.cumsum(_reversed(x, axis), axis), axis) if back else np.cumsum(x, axis)


cumsum: Primitive = linear(
    _sums,
    lambda g, _x, *, axis, back=False: cumsum(g, axis=axis, back=not back),
    batch=batch_axis("axis"),
    local=True,
    name="cumsum",
)
prefixes = constant(lambda x, *, ufunc, axis: ufunc.accumulate(x, axis=axis), batch=batch_axis("axis"), name="accumulate")


def scan(combine: Callable, parts: tuple, axis: int) -> tuple:
    """combine(left, right) of tuples of arrays, over all prefixes along `axis` (associative; n log n operations)."""
    before, width = (slice(None),) * axis, 1
    while width < parts[0].shape[axis]:
        head = tuple(p[(*before, slice(width))] for p in parts)
        left = tuple(p[(*before, slice(-width))] for p in parts)
        right = tuple(p[(*before, slice(width, None))] for p in parts)
        joined = combine(left, right)
        parts = tuple(np.concatenate((h, j), axis) for h, j in zip(head, joined, strict=True))
        width *= 2
    return parts


def _line(a: Any, axis: int | None, dtype: Any) -> tuple[Any, int]:
    """The array and a non-negative axis; axis None means all elements in order."""
    a = as_array(a) if dtype is None else as_array(a).astype(dtype)
    if axis is None or a.ndim == 0:
        return np.ravel(a), 0
    return a, axes_of(axis, a.ndim)[0]


# ---- sums and products ------------------------------------------------------------------------------------------------


@front(np.cumsum, method="cumsum")
def _cumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    a, axis = _line(a, axis, dtype)
    return cumsum(a, axis=axis)


def _before(y: Any, axis: int) -> Any:
    """The products before each element: y shifted by one, beginning with 1."""
    edge = np.ones((*y.shape[:axis], 1, *y.shape[axis + 1 :]), y.dtype)
    return np.concatenate((edge, y[(slice(None),) * axis + (slice(-1),)]), axis)


def _affine(left: tuple, right: tuple) -> tuple:
    """(a, b) stands for s -> a s + b; left acts first."""
    return times(left[0], right[0]), times(left[1], right[0]) + right[1]


def _cumprod_jvp(t: Any, y: Any, x: Any, *, axis: int) -> Any:
    """dy_k = x_k dy_(k-1) + y_(k-1) dx_k: an affine recurrence; without zeros y cumsum(dx / x)."""
    if ordinary(x, y):
        return y * np.cumsum(t / x, axis)
    return scan(_affine, (x, times(_before(y, axis), t)), axis)[1] if x.shape[axis] else y


def _cumprod_vjp(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    """x'_i = y_(i-1) s_i with s_i = g_i + x_(i+1) s_(i+1): the same recurrence from the other end."""
    if ordinary(x, y):
        return _reversed(np.cumsum(_reversed(g * conjugate(y), axis), axis), axis) / conjugate(x)
    if not x.shape[axis]:
        return y
    x = conjugate(x)
    factors = _before(_reversed(x, axis), axis)
    _, found = scan(_affine, (factors, _reversed(g, axis)), axis)
    return times(conjugate(_before(y, axis)), _reversed(found, axis))


cumprod = opaque(
    lambda x, *, axis: np.multiply.accumulate(x, axis=axis), _cumprod_jvp, _cumprod_vjp, batch=batch_axis("axis"), name="cumprod"
)


@front(np.cumprod, method="cumprod")
def _cumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    a, axis = _line(a, axis, dtype)
    return cumprod(a, axis=axis)


@front(np.nancumsum)
def _nancumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return _cumsum(np.where(np.isnan(a), 0, a), axis, dtype)


@front(np.nancumprod)
def _nancumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return _cumprod(np.where(np.isnan(a), 1, a), axis, dtype)


def _cumulative(x: Any, axis: int | None, include_initial: bool, accumulate: Callable, first: int) -> Any:
    """The array API's spelling: axis may be left out for vectors only, and the empty prefix may be included."""
    if axis is None and x.ndim != 1:
        raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
    out = accumulate(x, 0 if axis is None else axis)
    if not include_initial:
        return out
    (axis,) = axes_of(0 if axis is None else axis, x.ndim)
    edge = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), first, out.dtype)
    return np.concatenate((edge, out), axis)


@front("cumulative_sum")
def _cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    return _cumulative(x, axis, include_initial, lambda x, axis: _cumsum(x, axis, dtype), 0)


@front("cumulative_prod")
def _cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    return _cumulative(x, axis, include_initial, lambda x, axis: _cumprod(x, axis, dtype), 1)


@front_method(np.add, "accumulate")
def _add_accumulate(array: Any, /, axis: int = 0, dtype: Any = None) -> Any:
    return _cumsum(array, axis, dtype)


@front_method(np.multiply, "accumulate")
def _multiply_accumulate(array: Any, /, axis: int = 0, dtype: Any = None) -> Any:
    return _cumprod(array, axis, dtype)


# ---- running extrema and logarithms of sums ---------------------------------------------------------------------------


def _same(x: Any, y: Any) -> Any:
    return np.logical_or(np.equal(x, y), np.logical_and(np.isnan(x), np.isnan(y)))


def _accumulate_extremum(ufunc: Any) -> None:
    def join(left: tuple, right: tuple) -> tuple:
        """(extremum, sum, number) of the elements that attain it, over a window made of two."""
        top = ufunc(left[0], right[0])
        in_left, in_right = _same(left[0], top), _same(right[0], top)
        return (
            top,
            np.where(in_left, left[1], 0) + np.where(in_right, right[1], 0),
            np.where(in_left, left[2], 0) + np.where(in_right, right[2], 0),
        )

    @front_method(ufunc, "accumulate")
    def accumulate(array: Any, /, axis: int = 0, dtype: Any = None) -> Any:
        """Ties share equally among the elements seen so far."""
        a, axis = _line(array, axis, dtype)
        a_plain = without_derivative(a)
        with np.errstate(all="ignore"):
            _, attained, count = scan(join, (a_plain, a, np.ones_like(a_plain, int)), axis)
            return valued(prefixes(a, ufunc=ufunc, axis=axis), divided(attained, count))


for _ufunc in (np.maximum, np.minimum):
    _accumulate_extremum(_ufunc)


def _accumulate_logaddexp(ufunc: Any) -> None:
    @front_method(ufunc, "accumulate")
    def accumulate(array: Any, /, axis: int = 0, dtype: Any = None) -> Any:
        a, axis = _line(array, axis, dtype)
        (carrier,) = scan(lambda left, right: (ufunc(left[0], right[0]),), (a,), axis)
        return valued(prefixes(a, ufunc=ufunc, axis=axis), carrier)


_accumulate_logaddexp(np.logaddexp)
_accumulate_logaddexp(np.logaddexp2)
