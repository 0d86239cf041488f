"""log sum exp and its gradient, softmax: exact where entries are infinite, and overflow-free.

    L = log sum_i b_i exp(a_i),        dL/da_i = b_i exp(a_i) / S,      dL/db_i = exp(a_i) / S,      S = sum_i b_i exp(a_i)

Values are SciPy's; the slopes are computed with the largest a (of those that count) subtracted, and may be differentiated in turn.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp

from dualgrad.core.arrays import ONE, ZERO, any_true, conjugate, unbroadcast
from dualgrad.core.primitive import Primitive
from dualgrad.rules.declare import batch_axis, constant, elementwise, opaque
from dualgrad.rules.elementwise import inside

# a - m where m is a constant (it cancels in what is computed), and 0 where both are the same infinity
_shift = elementwise(lambda a, m: np.where(np.equal(a, m), 0, np.subtract(a, np.where(np.isinf(m), 0, m))), ONE, ZERO, name="shift")
_peak = constant(lambda a, *, axis: np.max(np.real(a), axis=axis, keepdims=True), batch=batch_axis("axis"), name="peak")


def _exponentials(a: Any, b: Any, axis: tuple[int, ...], signed: bool) -> tuple[Any, Any]:
    """(exp(a - m), S exp(-m)), m the largest a; and (0, 1) where all are -inf: no information (K6).

    Unless `signed`, the logarithm of a negative S is nan, and so is its slope (K5).
    """
    zero = np.equal(b, 0)
    peak = _peak(np.where(zero, -np.inf, a), axis=axis)
    empty = np.equal(peak, -np.inf)
    infinite = np.equal(peak, np.inf)
    shifted = np.where(np.logical_and(infinite, np.not_equal(np.real(a), peak)), -np.inf, _shift(a, np.where(empty, 0, peak)))
    # entries with weight 0 may lie far above the peak; exp of them is only the slope of b, and must not become 0 * inf
    large = np.log(np.finfo(shifted.dtype).max).item() - 1
    shifted = np.where(np.logical_and(zero, np.greater(np.real(shifted), large)), large, shifted)
    exponentials = np.exp(shifted)
    total = np.where(empty, 1, np.sum(b * exponentials, axis, keepdims=True))
    return exponentials, total if signed else total * inside(total, total >= 0)


def _slope_a(a: Any, b: Any, axis: tuple[int, ...], signed: bool) -> Any:
    exponentials, total = _exponentials(a, b, axis, signed)
    return b * exponentials / total


def _slope_b(a: Any, b: Any, axis: tuple[int, ...], signed: bool) -> Any:
    exponentials, total = _exponentials(a, b, axis, signed)
    return exponentials / total


def _logsumexp_jvp(tangents: tuple, out: Any, a: Any, b: Any, *, axis: tuple[int, ...], signed: bool) -> Any:
    """sum_i (b_i t_a_i + t_b_i) exp(a_i) / S."""
    t_a, t_b = tangents
    with np.errstate(all="ignore"):
        terms = [] if t_a is None else [np.sum(_slope_a(a, b, axis, signed) * t_a, axis, keepdims=True)]
        terms += [] if t_b is None else [np.sum(_slope_b(a, b, axis, signed) * t_b, axis, keepdims=True)]
    return sum(terms[1:], terms[0])


def _logsumexp_vjp(g: Any, out: Any, a: Any, b: Any, *, axis: tuple[int, ...], signed: bool) -> tuple:
    g_a = unbroadcast(g * conjugate(_slope_a(a, b, axis, signed)), np.shape(a))
    return g_a, unbroadcast(g * conjugate(_slope_b(a, b, axis, signed)), np.shape(b))


# Without weights the slope is exp(a - L), in two passes over a instead of ten.


def _share(a: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """exp(a - L), and its limit where L is infinite."""
    if any_true(np.isinf(out)):
        return _slope_a(a, np.ones((1,) * a.ndim, a.dtype), axis, False)
    return np.exp(a - out)


def _unweighted_jvp(t: Any, out: Any, a: Any, *, axis: tuple[int, ...]) -> Any:
    return np.sum(_share(a, out, axis) * t, axis, keepdims=True)


unweighted_logsumexp = opaque(  # keeps the reduced axes, as length 1
    lambda a, *, axis: sp.logsumexp(a, axis, keepdims=True),
    jvp=_unweighted_jvp,
    vjp=lambda g, out, a, *, axis: g * conjugate(_share(a, out, axis)),
    batch=batch_axis("axis"),
    name="logsumexp of a",
)


def _batch_logsumexp(primitive: Primitive, mapped: Any, a: Any, b: Any, *, axis: tuple[int, ...], **static: Any) -> Any:
    """`a` and `b` have equal ranks; one that is not mapped gets an axis to broadcast over."""
    a, b = (x if m else np.expand_dims(x, 0) for x, m in zip((a, b), mapped, strict=True))
    return primitive(a, b, axis=tuple(k + 1 for k in axis), **static)


logsumexp = opaque(  # keeps the reduced axes, as length 1
    lambda a, b, *, axis, signed: sp.logsumexp(a, axis, b, True, True)[0] if signed else sp.logsumexp(a, axis, b, True),
    jvp=_logsumexp_jvp,
    vjp=_logsumexp_vjp,
    batch=_batch_logsumexp,
    name="logsumexp",
)
logsumexp_sign = constant(
    lambda a, b, *, axis: sp.logsumexp(a, axis, b, keepdims=True, return_sign=True)[1],
    batch=_batch_logsumexp,
    name="sign of logsumexp",
)


def _softmax_jvp(t: Any, y: Any, _x: Any, *, axis: tuple[int, ...]) -> Any:
    """y (t - sum y t)."""
    return y * (t - np.sum(y * t, axis, keepdims=True))


def _softmax_vjp(g: Any, y: Any, _x: Any, *, axis: tuple[int, ...]) -> Any:
    y = conjugate(y)
    return y * (g - np.sum(y * g, axis, keepdims=True))


softmax = opaque(
    lambda x, *, axis: sp.softmax(x, axis=axis), jvp=_softmax_jvp, vjp=_softmax_vjp, batch=batch_axis("axis"), name="softmax"
)
log_softmax = opaque(
    lambda x, *, axis: sp.log_softmax(x, axis=axis),
    jvp=lambda t, y, _x, *, axis: t - np.sum(np.exp(y) * t, axis, keepdims=True),
    vjp=lambda g, y, _x, *, axis: g - conjugate(np.exp(y)) * np.sum(g, axis, keepdims=True),
    batch=batch_axis("axis"),
    name="log_softmax",
)
