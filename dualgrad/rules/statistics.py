"""Statistics: variance, weighted average, covariance, and the versions that ignore nan.

Compositions of sums, so every mode and order follows.  Zero variance gives std the derivative 0 (`norms.root`); a nan that is
ignored is replaced by a selection first, so it contributes exactly 0 whatever stands upstream of it.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.arrays import any_true
from dualgrad.core.primitive import Value
from dualgrad.core.registry import front
from dualgrad.rules.norms import root, square
from dualgrad.rules.reductions import as_array, count_of, divided, reduced_axes, size_of, valued, without_derivative
from dualgrad.rules.shaping import axes_of

# ---- variance ---------------------------------------------------------------------------------------------------------


def _freedom(ddof: Any, correction: Any) -> Any:
    """One of two names for the same number."""
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def _variance(a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: Any, where: Any, mean: Any) -> Any:
    """sum |x - mean|**2 / (n - ddof), by deviations: nothing cancels."""
    a = as_array(a)
    if dtype is not None or a.dtype.kind not in "fc":
        a = a.astype(float if dtype is None else dtype)
    axes = reduced_axes(axis, a.ndim)
    if mean is None:
        mean = divided(np.sum(a, axes, keepdims=True, where=where), count_of(a.shape, axes, where, True))
    count = count_of(a.shape, axes, where, keepdims)
    freedom = max(count - ddof, 0) if isinstance(count, int) else np.maximum(count - ddof, 0)
    return divided(np.sum(square(a - mean), axes, keepdims=keepdims, where=where), freedom)


@front(np.var, method="var")
def _var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    return _variance(a, axis, dtype, _freedom(ddof, correction), keepdims, where, mean)


@front(np.std, method="std")
def _std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    return root(_variance(a, axis, dtype, _freedom(ddof, correction), keepdims, where, mean))


# ---- ignoring nan -----------------------------------------------------------------------------------------------------


def _without_nan(a: Any, where: Any, neutral: Any) -> tuple[Any, Any]:
    """The array with nan replaced, and where it takes part."""
    a = as_array(a)
    missing = np.isnan(a)
    present = np.logical_not(missing)
    return np.where(missing, neutral, a), present if where is True else np.logical_and(present, where)


def _or_nan(bad: Any, x: Any) -> Any:
    return np.where(bad, np.nan, x)


@front(np.nansum)
def _nansum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    out = np.sum(_without_nan(a, True, 0)[0], axis, dtype, keepdims=keepdims, where=where)
    return out if initial is None else out + initial


@front(np.nanprod)
def _nanprod(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    out = np.prod(_without_nan(a, True, 1)[0], axis, dtype, keepdims=keepdims, where=where)
    return out if initial is None else out * initial


@front(np.nanmean)
def _nanmean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    a, present = _without_nan(a, where, 0)
    axes = reduced_axes(axis, a.ndim)
    count = count_of(a.shape, axes, present, keepdims)
    return _or_nan(np.equal(count, 0), divided(np.sum(a, axes, dtype, keepdims=keepdims, where=present), np.maximum(count, 1)))


def _nan_variance(a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: Any, where: Any, mean: Any) -> Any:
    a, present = _without_nan(a, where, 0)
    a = a if dtype is None else a.astype(dtype)
    axes = reduced_axes(axis, a.ndim)
    if mean is None:
        mean = divided(np.sum(a, axes, keepdims=True, where=present), np.maximum(count_of(a.shape, axes, present, True), 1))
    else:  # NumPy subtracts in place
        mean = as_array(mean).astype(a.dtype)
    freedom = count_of(a.shape, axes, present, keepdims) - ddof
    bad = np.less_equal(freedom, 0)
    squares = np.sum(square(a - mean), axes, keepdims=keepdims, where=present)
    return bad, divided(squares, np.where(bad, 1, freedom))


@front(np.nanvar)
def _nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    return _or_nan(*_nan_variance(a, axis, dtype, _freedom(ddof, correction), keepdims, where, mean))


@front(np.nanstd)
def _nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    bad, variance = _nan_variance(a, axis, dtype, _freedom(ddof, correction), keepdims, where, mean)
    return _or_nan(bad, root(variance))


# ---- weights ----------------------------------------------------------------------------------------------------------


def _aligned(weights: Any, a: Any, axis: Any) -> Any:
    """Weights of a's shape, or of its reduced axes in the order given, ready to broadcast."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = axes_of(axis, a.ndim)
    if weights.shape != tuple(a.shape[k] for k in axes):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    weights = np.transpose(weights, tuple(int(k) for k in np.argsort(axes)))
    return np.reshape(weights, tuple(n if k in axes else 1 for k, n in enumerate(a.shape)))


@front(np.average)
def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    """sum w x / sum w, differentiable in both."""
    a = as_array(a)
    axes = reduced_axes(axis, a.ndim)
    if weights is None:
        out = np.mean(a, axes, keepdims=keepdims)
        scale = np.broadcast_to(np.asarray(size_of(a.shape, axes), out.dtype), out.shape)
    else:
        weights = _aligned(as_array(weights), a, axis)
        dtype = np.result_type(a.dtype, weights.dtype, *(() if a.dtype.kind in "fc" else (float,)))
        scale = np.sum(weights, axes, dtype, keepdims=keepdims)
        if any_true(np.equal(scale, 0)):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        out = np.sum(a.astype(dtype) * weights.astype(dtype), axes, keepdims=keepdims) / scale
    if not returned:
        return out
    scale = np.broadcast_to(scale, out.shape)
    return out, scale if isinstance(scale, Value) else scale.copy()[()]


# ---- covariance -------------------------------------------------------------------------------------------------------


def _observations(m: Any, dtype: Any, rowvar: bool) -> Any:
    """Variables in rows, observations in columns."""
    m = as_array(m)
    if m.ndim > 2:
        raise ValueError(f"an array of observations has more than 2 dimensions: {m.shape}")
    m = m.astype(np.result_type(m.dtype, np.float64) if dtype is None else dtype)
    return m[None] if m.ndim == 1 else np.atleast_2d(m) if rowvar else np.transpose(m)


@front(np.cov)
def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """(X - mean) w (X - mean)^H / f with f the sum of the weights less the degrees of freedom."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    x = _observations(m, dtype, rowvar)
    if y is not None:
        x = np.concatenate((x, _observations(y, dtype, rowvar or np.shape(y)[:1] == (1,))), 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None and np.shape(w) != x.shape[1:]:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
    if fweights is not None and any_true(np.not_equal(fweights, np.rint(fweights))):
        raise TypeError("fweights must be integer")
    if any(w is not None and any_true(np.less(w, 0)) for w in (fweights, aweights)):
        raise ValueError("weights cannot be negative")
    weights = aweights if fweights is None else fweights if aweights is None else np.multiply(fweights, aweights)
    if weights is None:
        factor = x.shape[1] - ddof
        centred = x - np.mean(x, 1, keepdims=True)
        right = centred
    else:
        weights = as_array(weights).astype(x.dtype if x.dtype.kind == "f" else float)
        mass = np.sum(weights)
        lost = 1.0 if aweights is None else np.sum(weights * as_array(aweights)) / mass
        factor = mass - ddof * lost if ddof else mass
        centred = x - (np.sum(x * weights, 1) / mass)[:, None]
        right = centred * weights
    if not isinstance(factor, Value) and factor <= 0:
        factor = 0.0
    right = np.transpose(right)
    out = np.matmul(centred, np.conjugate(right) if right.dtype.kind == "c" else right)
    with np.errstate(divide="ignore"):
        return np.squeeze(out * np.true_divide(1, factor))


@front(np.corrcoef)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Covariance over the product of deviations.  NumPy clips rounding beyond [-1, 1]; the derivative does not see it."""
    c = _cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)) if c.dtype.kind == "c" else np.diagonal(c))
    c = c / deviation[:, None] / deviation[None, :]
    if c.dtype.kind == "c":
        return c  # |c| <= 1 up to rounding
    return valued(np.clip(without_derivative(c), -1, 1), c)

