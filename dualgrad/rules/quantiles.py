"""Median, quantile, percentile, and the versions that ignore nan: order statistics, interpolated.

Of n sorted elements x_(0) ≤ … ≤ x_(n-1) a quantile is (1 - w) x_(k) + w x_(k+1) with k + w = i(n, q), the virtual index of the
method (Hyndman & Fan, Sample quantiles in statistical packages, 1996).  Ties follow the stable order.  q may be
differentiated too: the derivative is the distance of two neighbours times di/dq.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import any_true
from dualgrad.core.primitive import Value
from dualgrad.core.registry import front
from dualgrad.rules.indexing import index_into
from dualgrad.rules.reductions import as_array, finish, keep, merged, reduced_axes, valued, without_derivative
from dualgrad.rules.sorting import order_of

# ---- virtual indices: i(n, q) for continuous methods, (k, w) for the others --------------------------------------------


def _between(alpha: float, beta: float) -> Callable:
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


CONTINUOUS: dict[str, Callable] = {
    "linear": lambda n, q: (n - 1) * q,
    "interpolated_inverted_cdf": _between(0, 1),
    "hazen": _between(0.5, 0.5),
    "weibull": _between(0, 0),
    "median_unbiased": _between(1 / 3, 1 / 3),
    "normal_unbiased": _between(3 / 8, 3 / 8),
}


def _inverted_cdf(n: Any, q: Any) -> tuple:
    return np.ceil(n * q - 1), 0


def _averaged_inverted_cdf(n: Any, q: Any) -> tuple:
    index = n * q - 1
    return np.floor(index), np.where(np.equal(index, np.floor(index)), 0.5, 1.0)


def _closest_observation(n: Any, q: Any) -> tuple:
    index = n * q - 1.5
    low = np.floor(index)
    even = np.logical_and(np.equal(index, low), np.equal(np.remainder(low, 2), 1))
    return np.where(even, low, low + 1), 0


def _midpoint(n: Any, q: Any) -> tuple:
    low = np.floor((n - 1) * q)
    return low, np.where(np.equal(low, (n - 1) * q), 0.0, 0.5)


STEPWISE: dict[str, Callable] = {
    "inverted_cdf": _inverted_cdf,
    "averaged_inverted_cdf": _averaged_inverted_cdf,
    "closest_observation": _closest_observation,
    "lower": lambda n, q: (np.floor((n - 1) * q), 0),
    "higher": lambda n, q: (np.ceil((n - 1) * q), 0),
    "midpoint": _midpoint,
    "nearest": lambda n, q: (np.rint((n - 1) * q), 0),
}

# ---- order statistics -------------------------------------------------------------------------------------------------


def _picker(y: Any, ranks: tuple[int, ...]) -> Callable:
    """pick(k): the k-th smallest along the leading axis of y, for k of shape `ranks`, or that and the shape of an element."""
    order, rest = order_of(y, axis=0), y.shape[1:]

    def pick(k: Any) -> Any:
        if np.ndim(k) == len(ranks):  # the same rank everywhere
            places = np.reshape(index_into(order, k), (-1, *rest))
        else:
            places = np.take_along_axis(order, np.reshape(np.broadcast_to(k, (*ranks, *rest)), (-1, *rest)), 0)
        return np.reshape(np.take_along_axis(y, places, 0), (*ranks, *rest))

    return pick


def _ranks(k: Any, n: Any) -> Any:
    return np.clip(k, 0, np.maximum(n - 1, 0)).astype(np.intp)


def _samples(a: Any, axis: Any, skip_nan: bool) -> tuple[Any, tuple[int, ...], Any, Any]:
    """(samples along the leading axis, reduced axes, their number, where the answer is nan)."""
    axes = reduced_axes(axis, a.ndim)
    y = merged(a, axes) if axes else a[None]
    if y.dtype.kind not in "fc":
        return y, axes, y.shape[0], None
    missing = np.isnan(y)
    if not skip_nan:
        return y, axes, y.shape[0], np.any(missing, 0)
    n = np.sum(np.logical_not(missing), 0)
    return y, axes, n, np.equal(n, 0)


def _mark(out: Any, bad: Any, skip_nan: bool) -> Any:
    """nan where `bad`: with nothing left the derivative is 0, with a nan among the samples it is nan too."""
    if bad is None:
        return out
    return np.where(bad, np.nan, out) if skip_nan else out * np.where(bad, np.nan, 1.0).astype(out.dtype)


def _restored(out: Any, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: Any, leading: tuple[int, ...] = ()) -> Any:
    return np.reshape(out, leading + keep(shape, axes)) if keepdims else out


# ---- median -----------------------------------------------------------------------------------------------------------


def _middle(function: Any, a: Any, axis: Any, keepdims: Any, skip_nan: bool) -> Any:
    """The mean of the two middle elements, or the middle one."""
    a = as_array(a)
    y, axes, n, bad = _samples(a, axis, skip_nan)
    if y.shape[0] == 0:
        raise ValueError(f"{errors.name_of(function)}: no elements along axis {axis} of an array of shape {a.shape}")
    if isinstance(n, int) and n % 2:
        out = _picker(y, ())(n // 2)
    else:
        pair = _picker(y, (2,))(np.stack((_ranks((n - 1) // 2, n), _ranks(n // 2, n))))
        out = np.mean(pair, 0)
        out = out if isinstance(n, int) else np.where(np.equal(np.remainder(n, 2), 1), pair[0], out)
    return finish(_mark(out, bad, skip_nan), a.shape, axes, keepdims)


@front(np.median)
def _median(a: Any, axis: Any = None, *, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    return _middle(np.median, a, axis, keepdims, False)


@front(np.nanmedian)
def _nanmedian(a: Any, axis: Any = None, *, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    return _middle(np.nanmedian, a, axis, keepdims, True)


# ---- quantile ---------------------------------------------------------------------------------------------------------


def _interpolated(low: Any, high: Any, weight: Any, differentiable: bool) -> Any:
    """NumPy's value with the derivative of (1 - w) low + w high; an element of weight 0 has no part in it."""
    a, b, w = without_derivative(low), without_derivative(high), without_derivative(weight)
    value = np.where(np.greater_equal(w, 0.5), b - (b - a) * (1 - w), a + (b - a) * w)
    carrier = (1 - weight) * low + weight * high
    if differentiable:
        return valued(value, carrier)
    carrier = np.where(np.equal(w, 0), low, np.where(np.equal(w, 1), high, carrier))
    return valued(np.where(np.equal(w, 0), a, np.where(np.equal(w, 1), b, value)), carrier)


def _quantile(function: Any, a: Any, q: Any, axis: Any, method: str, keepdims: Any, skip_nan: bool, scale: float = 1) -> Any:
    a = as_array(a)
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    weak = isinstance(q, int | float) and not isinstance(q, np.generic)  # then the result has the precision of a
    q = as_array(q) / scale if scale != 1 else as_array(q)
    if q.dtype.kind not in "f":
        q = q.astype(float)
    if any_true(np.logical_not(np.logical_and(np.greater_equal(q, 0), np.less_equal(q, 1)))):
        raise ValueError("Percentiles must be in the range [0, 100]" if scale != 1 else "Quantiles must be in the range [0, 1]")
    y, axes, n, bad = _samples(a, axis, skip_nan)
    if y.shape[0] == 0:
        raise ValueError(f"{errors.name_of(function)}: no elements along axis {axis} of an array of shape {a.shape}")
    ranks = q.shape
    if not isinstance(n, int):
        q = np.reshape(q, (*ranks, *(1,) * (y.ndim - 1)))
    if method in CONTINUOUS:
        index = CONTINUOUS[method](n, q)
        k = np.floor(index)
        weight = index - k
    elif method in STEPWISE:
        k, weight = STEPWISE[method](n, q)
    else:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {[*CONTINUOUS, *STEPWISE]}")
    pick = _picker(y, ranks)
    out = pick(_ranks(k, n))
    if method in CONTINUOUS or method in ("averaged_inverted_cdf", "midpoint"):
        if y.dtype.kind in "fc" and weak:
            weight = weight.astype(y.dtype)
        if isinstance(n, int):
            weight = np.reshape(weight, (*ranks, *(1,) * (y.ndim - 1)))
        out = _interpolated(out, pick(_ranks(k + 1, n)), weight, isinstance(weight, Value))
    return _restored(_mark(out, bad, skip_nan), a.shape, axes, keepdims, ranks)


def _quantile_front(function: Any, skip_nan: bool, scale: float) -> None:
    @front(function)
    def quantile(
        a: Any,
        q: Any,
        axis: Any = None,
        *,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = False,
        weights: Any = None,
    ) -> Any:
        if weights is not None:
            raise errors.unknown_keyword(function, "weights")
        return _quantile(function, a, q, axis, method, keepdims, skip_nan, scale)


_quantile_front(np.quantile, False, 1)
_quantile_front(np.percentile, False, 100)
_quantile_front(np.nanquantile, True, 1)
_quantile_front(np.nanpercentile, True, 100)
