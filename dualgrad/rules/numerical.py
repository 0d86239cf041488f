"""Differences, gradients, integrals and interpolation of sampled functions; cross products; sinc, angle, unwrap, rounding.

Compositions of differentiable NumPy calls, and a few constants (an interval, a rounding) that carry no tangent.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualgrad.core.arrays import ZERO
from dualgrad.core.inplace import mutate
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import front, front_ufunc
from dualgrad.rules.declare import batch_axis, constant, elementwise
from dualgrad.rules.indexing import index_into
from dualgrad.rules.shaping import axes_of


def _array(x: Any) -> Any:
    return x if isinstance(x, Value) else np.asarray(x)


def _along(axis: int, index: Any) -> tuple:
    """The index that applies `index` to one axis."""
    return (*(slice(None),) * axis, index)


def _column(x: Any, axis: int, ndim: int) -> Any:
    """A vector laid along one axis of `ndim`."""
    return np.reshape(x, (-1,) + (1,) * (ndim - axis - 1))


# ---- differences ------------------------------------------------------------------------------------------------------


@front(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = _array(a)
    if n == 0:
        return a
    (axis,) = axes_of(axis, a.ndim)
    ends = []
    for end in (prepend, append):
        end = None if end is None or end is np._NoValue else _array(end)
        ends.append(np.broadcast_to(end, (*a.shape[:axis], 1, *a.shape[axis + 1 :])) if end is not None and end.ndim == 0 else end)
    parts = [x for x in (ends[0], a, ends[1]) if x is not None]
    if len(parts) > 1:
        a = np.concatenate(parts, axis)
    for _ in range(n):
        a = a[_along(axis, slice(1, None))] - a[_along(axis, slice(None, -1))]
    return a


@front(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    flat = np.ravel(ary)
    inner = flat[1:] - flat[:-1]
    ends = [None if end is None else np.ravel(_array(end)) for end in (to_begin, to_end)]
    for end in ends:
        if end is not None and not np.can_cast(end.dtype, flat.dtype, "same_kind"):
            raise TypeError("dtype of `to_end` and `to_begin` must be compatible with input `ary` under the `same_kind` rule.")
    return np.concatenate([x.astype(inner.dtype) for x in (ends[0], inner, ends[1]) if x is not None])


@front(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = _array(f)
    axes = tuple(range(f.ndim)) if axis is None else axes_of(axis, f.ndim)
    if len(varargs) not in (0, 1, len(axes)) or (len(varargs) == 1 and np.ndim(varargs[0]) and len(axes) != 1):
        raise TypeError("invalid number of arguments")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    spacings = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    found = tuple(_gradient_along(f, _array(h) if np.ndim(h) else h, k, edge_order) for h, k in zip(spacings, axes, strict=True))
    return found[0] if len(axes) == 1 else found


def _gradient_along(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    """Central differences inside, one-sided ones of the given order at the ends; `h` is a step, or the coordinates."""
    if f.shape[axis] < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are required."
        )

    def at(*places: Any) -> tuple:
        return tuple(f[_along(axis, place)] for place in places)

    if np.ndim(h):
        if np.ndim(h) != 1 or h.shape[0] != f.shape[axis]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        step = _column(h[1:] - h[:-1], axis, f.ndim)
        before, after = step[:-1], step[1:]
        first, last = step[:1], step[-1:]
    else:
        before = after = first = last = h
    low, middle, high = at(slice(None, -2), slice(1, -1), slice(2, None))
    if np.ndim(h):
        both = before + after
        inner = -after / (before * both) * low + (after - before) / (before * after) * middle + before / (after * both) * high
    else:
        inner = (high - low) / (2.0 * h)
    if edge_order == 1:
        start = (at(slice(1, 2))[0] - at(slice(0, 1))[0]) / first
        end = (at(slice(-1, None))[0] - at(slice(-2, -1))[0]) / last
    else:
        start = _parabola(at(slice(0, 1), slice(1, 2), slice(2, 3)), first, step[1:2] if np.ndim(h) else h)
        end = -_parabola(at(slice(-1, None), slice(-2, -1), slice(-3, -2)), last, step[-2:-1] if np.ndim(h) else h)
    return np.concatenate([start, inner, end], axis)


def _parabola(values: tuple, near: Any, far: Any) -> Any:
    """The slope at its first point of the parabola through three points, whose distances are `near` and `far`."""
    a, b, c = values
    return -(2.0 * near + far) / (near * (near + far)) * a + (near + far) / (near * far) * b - near / (far * (near + far)) * c


@front(np.trapezoid, *([np.trapz] if hasattr(np, "trapz") else []))
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = _array(y)
    (axis,) = axes_of(axis, y.ndim)
    if x is None:
        step = dx
    else:
        x = _array(x)
        step = _column(np.diff(x), axis, y.ndim) if x.ndim == 1 else np.diff(x, axis=axis)
    return np.sum(step * (y[_along(axis, slice(1, None))] + y[_along(axis, slice(None, -1))]) / 2.0, axis)


# ---- interpolation ----------------------------------------------------------------------------------------------------
def _batch_interval(primitive: Primitive, mapped: Any, x: Any, xp: Any) -> Any:
    return NotImplemented if mapped[1] else primitive(x, xp)


_interval = constant(
    lambda x, xp: np.clip(np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2), batch=_batch_interval, name="interval"
)


@front(np.interp)
def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The line through the two neighbours; at a node, the derivative to its right (both sides agree almost everywhere)."""
    x, xp, fp = (a if a.dtype.kind in "fc" and a.dtype.itemsize > 4 else a.astype(float) for a in map(_array, (x, xp, fp)))
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if period is not None:
        if period == 0:
            raise ValueError("period must be a non-zero value")
        period = abs(period)
        x, xp = np.mod(x, period), np.mod(xp, period)
        order = np.argsort(xp)
        xp, fp = index_into(xp, order), index_into(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    below, above = np.less(x, xp[0]), np.greater(x, xp[-1])
    if xp.shape[0] == 1:
        inner = np.broadcast_to(fp[0], x.shape)
    else:
        x = np.where(np.logical_or(below, above), xp[0], x)
        j = _interval(x, xp)
        x0, f0 = index_into(xp, j), index_into(fp, j)  # j may be mapped while xp is plain
        width = index_into(xp, j + 1) - x0
        flat = np.equal(width, 0)
        inner = (index_into(fp, j + 1) - f0) / np.where(flat, 1, width) * (x - x0) + f0
    return np.where(below, fp[0] if left is None else left, np.where(above, fp[-1] if right is None else right, inner))


# ---- vectors ----------------------------------------------------------------------------------------------------------


@front(np.cross)
def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """a x b; a vector of two components has third component 0, and the product of two such is their third component alone."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _array(a), _array(b)
    if a.ndim < 1 or b.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    (a0, a1, *a2), (b0, b1, *b2) = (tuple(v[..., k] for k in range(v.shape[-1])) for v in (a, b))
    third = a0 * b1 - a1 * b0
    if not a2 and not b2:
        return third
    if not a2:
        out = [a1 * b2[0], -a0 * b2[0], third]
    elif not b2:
        out = [-a2[0] * b1, a2[0] * b0, third]
    else:
        out = [a1 * b2[0] - a2[0] * b1, a2[0] * b0 - a0 * b2[0], third]
    return np.stack(out, axisc)


@front(np.linalg.cross)
def _linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    x1, x2 = _array(x1), _array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    return _cross(x1, x2, axis=axis)


# ---- sinc: every derivative is finite, also at 0 ----------------------------------------------------------------------


def _sinc_derivative(n: Any, x: Any) -> Any:
    """d^n sinc / dx^n.  With y = pi x, s_n = d^n/dy^n (sin y / y) = integral over [0, 1] of t**n cos(y t + n pi / 2):

        y s_n = sin(y + n pi / 2) - n s_(n-1)                                       for |y| > 3 + n / 2, where it is stable
        s_n = sum over 2 k >= n of (-1)**k y**(2k - n) / ((2k - n)! (2k + 1))       otherwise
    """
    n, kind = int(n), np.result_type(x)
    y = np.pi * np.asarray(x, np.result_type(kind, np.float64))
    near = np.abs(y) <= 3 + n / 2
    small, large = np.where(near, y, 0), np.where(near, 1, y)
    series = sum(
        (-1) ** k / (math.factorial(2 * k - n) * (2 * k + 1)) * small ** (2 * k - n) for k in range((n + 1) // 2, n // 2 + 20 + n)
    )
    waves = (np.sin(large), np.cos(large), -np.sin(large), -np.cos(large))
    recurrence = waves[0] / large
    for k in range(1, n + 1):
        recurrence = (waves[k % 4] - k * recurrence) / large
    return (np.pi**n * np.where(near, series, recurrence)).astype(kind)[()]


sinc_derivative: Any = elementwise(_sinc_derivative, ZERO, lambda _z, n, x: sinc_derivative(n + 1, x), name="sinc derivative")
_sinc_primitive = elementwise(np.sinc, lambda _z, x: sinc_derivative(1, x))


@front(np.sinc)
def _sinc(x: Any) -> Any:
    return _sinc_primitive(x)


# ---- angles -----------------------------------------------------------------------------------------------------------


@front(np.angle)
def _angle(z: Any, deg: bool = False) -> Any:
    """arctan2(imag, real), whose derivative at 0 is 0 (K6); a real number's angle is constant."""
    angle = np.arctan2(np.imag(z), np.real(z))
    return angle * (180 / math.pi) if deg else angle


_unwrapping = constant(  # the multiples of the period that unwrap adds
    lambda p, *, discont, axis, period: np.unwrap(p, discont, axis, period=period) - p, batch=batch_axis("axis"), name="unwrap"
)


@front(np.unwrap)
def _unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Any:
    p = _array(p)
    (axis,) = axes_of(axis, p.ndim)
    return p + _unwrapping(p, discont=discont, axis=axis, period=period)


# ---- rounding and repairing -------------------------------------------------------------------------------------------
_rounding = constant(
    lambda a, *, decimals: np.round(a, decimals),
    batch=lambda primitive, _mapped, a, decimals: primitive(a, decimals=decimals),
    name="round",
)


@front(np.round, np.around, method="round")
def _round(a: Any, decimals: int = 0) -> Any:
    return _rounding(a, decimals=int(decimals))


@front(np.fix)
def _fix(x: Any) -> Any:
    return np.trunc(x)


@front(np.nan_to_num)
def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """x with derivative 1 where it is finite, and numbers (derivative 0) elsewhere."""
    if x.dtype.kind == "c":
        out = _nan_to_num(np.real(x), True, nan, posinf, neginf) + 1j * _nan_to_num(np.imag(x), True, nan, posinf, neginf)
    else:
        limits = np.finfo(x.dtype)
        out = np.where(np.isnan(x), nan, x)
        out = np.where(np.equal(x, np.inf), limits.max if posinf is None else posinf, out)
        out = np.where(np.equal(x, -np.inf), limits.min if neginf is None else neginf, out).astype(x.dtype)
    if not copy:
        mutate(x, out)
        return x
    return out


@front_ufunc(np._core.umath.clip)  # type: ignore[attr-defined]
def _clip(x: Any, low: Any, high: Any) -> Any:
    """The ufunc behind ndarray.clip, which np.array(2.).clip(0, x) calls."""
    return np.minimum(np.maximum(x, low), high)


# ---- functions of slices ----------------------------------------------------------------------------------------------


@front(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """func1d of every slice along the axis, in a Python loop as in NumPy."""
    arr = _array(arr)
    (axis,) = axes_of(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    if 0 in rows.shape[:-1]:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    outs = [_array(func1d(rows[index], *args, **kwargs)) for index in np.ndindex(rows.shape[:-1])]
    inner = outs[0].ndim
    out = np.reshape(np.stack(outs), (*rows.shape[:-1], *outs[0].shape))
    return np.moveaxis(out, tuple(range(-inner, 0)), tuple(range(axis, axis + inner))) if inner else out


@front(np.apply_over_axes)
def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    a = _array(a)
    for axis in np.atleast_1d(axes).tolist():
        (axis,) = axes_of(axis, a.ndim)
        out = _array(func(a, axis))
        a = out if out.ndim == a.ndim else np.expand_dims(out, axis)
        if a.ndim != out.ndim and a.ndim != out.ndim + 1:
            raise ValueError("function is not returning an array of the correct shape")
    return a

