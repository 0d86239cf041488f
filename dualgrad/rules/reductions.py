"""Reductions: sum, mean, product, extrema, logaddexp, and the constant ones (any, all, count_nonzero).

A front function turns NumPy's arguments (axis, keepdims, where, initial, dtype) into one static form, `axis`: a sorted
tuple of non-negative ints; the primitive reduces over it and drops the axes.

    sum      d = sum dx                                      product      d = sum (product of the others) dx
    max      d = mean of dx over the elements that tie       logaddexp    d = sum softmax(x) dx

Products of the others are exact with zeros, one or many, at every order.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core.arrays import conjugate, stretch, unbroadcast
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import front, front_method
from dualgrad.rules.declare import batch_axes, batch_axis, batch_core, constant, linear, multilinear, opaque
from dualgrad.rules.elementwise import valued, without_derivative
from dualgrad.rules.shaping import axes_of

add_reduce = np.add.reduce

# ---- axes -------------------------------------------------------------------------------------------------------------


def as_array(a: Any) -> Any:
    """A traced value as it is, anything else as an array."""
    return a if isinstance(a, Value) else np.asarray(a)


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """NumPy's axis argument (None, int, tuple) as a sorted tuple of non-negative ints."""
    if axis is None:
        return _ALL[ndim] if ndim < 4 else tuple(range(ndim))
    return (axis,) if type(axis) is int and 0 <= axis < ndim else tuple(sorted(axes_of(axis, ndim)))


_ALL = ((), (0,), (0, 1), (0, 1, 2))


def keep(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with reduced axes of length 1."""
    return tuple(1 if k in axis else n for k, n in enumerate(shape))


def spread_over(g: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """The transpose of a sum over `axis`: g repeated along it."""
    if len(axis) == len(shape):  # the common full sum needs no reshape
        return stretch(g, shape)
    return stretch(np.reshape(g, keep(shape, axis)), shape)


def finish(out: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: Any) -> Any:
    """Put reduced axes back with length 1 if keepdims asks for it."""
    return np.reshape(out, keep(shape, axis)) if keepdims else out


def merged(a: Any, axis: tuple[int, ...]) -> Any:
    """The reduced axes as one leading axis, the others behind it."""
    if axis == (0,):
        return a
    rest = tuple(k for k in range(a.ndim) if k not in axis)
    moved = np.transpose(a, axis + rest)
    return moved if len(axis) == 1 else np.reshape(moved, (size_of(a.shape, axis), *moved.shape[len(axis) :]))


def size_of(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    """How many elements are reduced to one."""
    return math.prod([shape[k] for k in axis])


def count_of(shape: tuple[int, ...], axis: tuple[int, ...], where: Any, keepdims: Any = False) -> Any:
    """The same with a mask: an int, or an array of them."""
    return size_of(shape, axis) if where is True else _sum(np.broadcast_to(where, shape), axis, keepdims=keepdims)


def divided(x: Any, count: Any) -> Any:
    """x / count in the precision of x; division by 0 gives nan or inf, not an exception."""
    if x.dtype.kind not in "fc" or (isinstance(count, int | float) and count):
        return x / count
    return x / as_array(count).astype(x.dtype)


# ---- the value of one, the derivative of another ----------------------------------------------------------------------



# ---- sums -------------------------------------------------------------------------------------------------------------
total = linear(
    lambda x, *, axis: add_reduce(x, axis=axis),
    lambda g, x, *, axis: spread_over(g, x.shape, axis),
    batch=batch_axis("axis"),
    local=True, onto=True,
    name="sum",
)


def _mean_of(x: Any, *, axis: tuple[int, ...]) -> Any:
    return add_reduce(x, axis) / (x.size if len(axis) == x.ndim else size_of(x.shape, axis))


def _mean_transpose(g: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    shape = x.shape
    if len(axis) == len(shape):
        return stretch(g / math.prod(shape), shape)
    return spread_over(g / size_of(shape, axis), shape, axis)


mean = linear(
    _mean_of,
    _mean_transpose,
    batch=batch_axis("axis"),
    local=True,
    onto=True,
    name="mean",
)


@front(np.sum, method="sum")
def _sum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    if not isinstance(a, Value):
        a = np.asarray(a)
    if dtype is not None:
        a = a.astype(dtype)
    if where is not True:
        a = np.where(where, a, 0)
    axes = reduced_axes(axis, a.ndim)
    out = total(a, axis=axes)
    if keepdims:
        out = finish(out, a.shape, axes, keepdims)
    return out if initial is None else out + initial


@front_method(np.add, "reduce")
def _add_reduce(a: Any, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    return _sum(a, axis, dtype, keepdims=keepdims, initial=initial, where=where)


@front(np.mean, method="mean")
def _mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    if not isinstance(a, Value):
        a = np.asarray(a)
    axes = reduced_axes(axis, a.ndim)
    if where is True and dtype is None and a.dtype.char != "e":
        out = mean.handlers[type(a)](a.owner, (a,), {"axis": axes}) if isinstance(a, Value) else mean(a, axis=axes)
        return finish(out, a.shape, axes, keepdims) if keepdims else out
    half = a.dtype == np.float16 and dtype is None  # NumPy sums halves in single precision
    count = count_of(a.shape, axes, where, keepdims)
    out = divided(_sum(a, axes, np.float32 if half else dtype, keepdims=keepdims, where=where), count)
    return out.astype(np.float16) if half else out


# ---- extrema ----------------------------------------------------------------------------------------------------------


def _attained(x: Any, *, ufunc: Any, axis: tuple[int, ...]) -> tuple:
    """(extremum, where it is attained, how often, the array itself); a nan that wins is attained where there is nan."""
    top = ufunc.reduce(x, axis=axis)
    level = top if len(axis) == x.ndim else np.reshape(top, keep(x.shape, axis))
    hit = np.equal(x, level)
    if ufunc in (np.maximum, np.minimum) and x.dtype.kind in "fc" and np.any(np.isnan(top)):
        hit |= np.isnan(x)
    if np.count_nonzero(hit) == top.size:  # once each, for each is attained: in a tenth of the time of counting
        return top, hit, np.ones(top.shape, int)[()], x
    return top, hit, np.maximum(add_reduce(hit, axis=axis), 1), x


attained = constant(_attained, batch=batch_axis("axis"), name="attained", multiple=True)


def _share(x: Any, hit: Any, count: Any, top: Any, of: Any, *, axis: tuple[int, ...]) -> Any:
    """sum over `axis` of x / count where hit: the derivative of an extremum attained `count` times."""
    if x is of:  # the array with this extremum
        return top
    with np.errstate(all="ignore"):
        return divided(add_reduce(np.where(hit, x, 0), axis=axis), count)


def _share_transpose(g: Any, x: Any, hit: Any, count: Any, _top: Any, _of: Any, *, axis: tuple[int, ...]) -> tuple:
    part = divided(g, count)
    if any([isinstance(value, Value) for value in (part, hit)]):
        return np.where(hit, spread_over(part, x.shape, axis), 0), None, None, None, None
    out = np.zeros(x.shape, part.dtype)
    np.copyto(out, np.reshape(part, keep(x.shape, axis)), where=hit)  # half the time of np.where
    return out, None, None, None, None


share = linear(_share, _share_transpose, batch=batch_axes("axis"), local=True, data=1, name="share")


def _extremum(ufunc: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
    """max, min, fmax, fmin: ties share equally, among them `initial`; the value is NumPy's."""
    a = as_array(a)
    axes = reduced_axes(axis, a.ndim)
    if where is not True and initial is None:
        raise ValueError(
            f"reduction operation {ufunc.__name__!r} does not have an identity, so to use a where mask one has to specify 'initial'"
        )
    candidates = a if where is True else np.where(where, a, initial)
    traced = isinstance(initial, Value)
    if traced:
        return ufunc(_extremum(ufunc, candidates, axes, keepdims, None, True), initial)
    if initial is not None and size_of(a.shape, axes) == 0:
        return finish(np.full([n for k, n in enumerate(a.shape) if k not in axes], initial, a.dtype), a.shape, axes, keepdims)
    top, hit, count, of = attained(candidates, ufunc=ufunc, axis=axes)
    if initial is None:
        return finish(share(a, hit, count, top, of, axis=axes), a.shape, axes, keepdims)
    top = of = ufunc(top, initial).astype(a.dtype)
    hit = np.logical_and(np.logical_and(hit, where), np.equal(candidates, np.reshape(top, keep(a.shape, axes))))
    count = np.maximum(np.add.reduce(hit, axis=axes) + np.equal(top, initial), 1)
    return finish(valued(top, share(a, hit, count, top, of, axis=axes)), a.shape, axes, keepdims)


@front(np.max, np.amax, method="max")
def _max(a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    return _extremum(np.maximum, a, axis, keepdims, initial, where)


@front(np.min, np.amin, method="min")
def _min(a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    return _extremum(np.minimum, a, axis, keepdims, initial, where)


@front(np.ptp)
def _ptp(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _max(a, axis, keepdims=keepdims) - _min(a, axis, keepdims=keepdims)


def _nan_extremum(ufunc: Any) -> Callable:
    def nan_extremum(a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
        return _extremum(ufunc, a, axis, keepdims, initial, where)

    return nan_extremum


front(np.nanmax)(_nan_extremum(np.fmax))
front(np.nanmin)(_nan_extremum(np.fmin))


def _reduce_extremum(ufunc: Any) -> None:
    @front_method(ufunc, "reduce")
    def reduce(
        array: Any, /, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:
        array = array if dtype is None else array.astype(dtype)
        return _extremum(ufunc, array, axis, keepdims, initial, where)


for _ufunc in (np.maximum, np.minimum, np.fmax, np.fmin):
    _reduce_extremum(_ufunc)

# ---- products ---------------------------------------------------------------------------------------------------------


def _times(x: Any, y: Any) -> Any:
    """x y, and 0 where either is 0: an overflow elsewhere does not turn a factor of zero into nan."""
    with np.errstate(all="ignore"):
        return np.where(np.logical_or(np.equal(x, 0), np.equal(y, 0)), 0, x * y)


times: Primitive = multilinear(
    _times,
    (lambda g, x, y: unbroadcast(times(g, y), x.shape), lambda g, x, y: unbroadcast(times(g, x), y.shape)),
    batch=batch_core(0, 0),
    name="times",
)


def ordinary(x: Any, *products: Any) -> bool:
    """Are these plain products of x without zeros, over- and underflow, so that a factor may be divided out again?"""
    if type(x) is not np.ndarray or any(isinstance(p, Value) for p in products):
        return False
    least = np.finfo(x.dtype).smallest_normal / np.finfo(x.dtype).eps
    return all(np.all(np.isfinite(p)) and np.min(np.abs(p), initial=1) >= least for p in products)


def _others(y: Any) -> Any:
    """For each element the product of all others along axis 0, by a tree of pairs: no division, about 3 n multiplications.

    Pairs are multiplied, the others of a pair found in the same way, and then each partner multiplied in.
    """
    n = y.shape[0]
    if n == 1:
        return np.ones(y.shape, y.dtype)
    first, second = y[0 : n - 1 : 2], y[1::2]
    pairs = times(first, second)
    beyond = _others(np.concatenate((pairs, y[n - 1 :])) if n % 2 else pairs)
    outside = beyond[: n // 2]
    both = np.stack((times(outside, second), times(outside, first)), 1)
    both = np.reshape(both, (n - n % 2, *y.shape[1:]))
    return np.concatenate((both, beyond[n // 2 :])) if n % 2 else both


def product_of_others(x: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """d prod x / d x_i, exact with any number of zeros; an expression in x, so that every order follows."""
    if ordinary(x, out):
        return np.reshape(out, keep(x.shape, axis)) / x
    if not axis or not x.size:
        return np.ones(x.shape, x.dtype)
    order = axis + tuple(k for k in range(x.ndim) if k not in axis)
    moved = tuple(x.shape[k] for k in order)
    return np.transpose(np.reshape(_others(merged(x, axis)), moved), tuple(order.index(k) for k in range(x.ndim)))


product = opaque(
    lambda x, *, axis: np.multiply.reduce(x, axis=axis),
    lambda t, out, x, *, axis: np.add.reduce(times(product_of_others(x, out, axis), t), axis=axis),
    lambda g, out, x, *, axis: times(conjugate(product_of_others(x, out, axis)), spread_over(g, x.shape, axis)),
    batch=batch_axis("axis"),
    name="prod",
)


@front(np.prod, method="prod")
def _prod(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True) -> Any:
    a = as_array(a) if dtype is None else as_array(a).astype(dtype)
    if where is not True:
        a = np.where(where, a, 1)
    axes = reduced_axes(axis, a.ndim)
    out = finish(product(a, axis=axes), a.shape, axes, keepdims)
    return out if initial is None else out * initial


@front_method(np.multiply, "reduce")
def _multiply_reduce(
    array: Any, /, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    return _prod(array, axis, dtype, keepdims=keepdims, initial=initial, where=where)


# ---- logarithms of sums -----------------------------------------------------------------------------------------------


def _softmax(x: Any, ufunc: Any, axis: tuple[int, ...]) -> Any:
    """The weights exp(x) / sum exp(x); ties at +inf share equally, all -inf carry no information (0)."""
    top = np.max(without_derivative(x), axis, keepdims=True)
    infinite = np.isinf(top)
    hit = np.logical_and(np.equal(x, top), np.greater(top, 0))
    exponent = np.where(infinite, np.where(hit, 0, -np.inf).astype(x.dtype), x - np.where(infinite, 0, top))
    weight = np.exp(exponent) if ufunc is np.logaddexp else np.exp2(exponent)
    mass = np.add.reduce(weight, axis=axis, keepdims=True)
    return weight / np.where(np.equal(mass, 0), 1, mass)


log_total = opaque(
    lambda x, *, ufunc, axis: ufunc.reduce(x, axis=axis),
    lambda t, _out, x, *, ufunc, axis: np.add.reduce(_softmax(x, ufunc, axis) * t, axis=axis),
    lambda g, _out, x, *, ufunc, axis: _softmax(x, ufunc, axis) * spread_over(g, x.shape, axis),
    batch=batch_axis("axis"),
    name="logaddexp.reduce",
)


def _reduce_logaddexp(ufunc: Any) -> None:
    @front_method(ufunc, "reduce")
    def reduce(
        array: Any, /, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:
        a = as_array(array) if dtype is None else as_array(array).astype(dtype)
        if where is not True:
            a = np.where(where, a, -np.inf)
        axes = reduced_axes(axis, a.ndim)
        out = finish(log_total(a, ufunc=ufunc, axis=axes), a.shape, axes, keepdims)
        return out if initial is None else ufunc(out, initial)


_reduce_logaddexp(np.logaddexp)
_reduce_logaddexp(np.logaddexp2)

# ---- no derivative ----------------------------------------------------------------------------------------------------
logical = constant(lambda x, *, ufunc, axis: ufunc.reduce(x, axis=axis), batch=batch_axis("axis"), name="logical")


def _logical(ufunc: Any, a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    a = as_array(a)
    if where is not True:
        a = np.where(where, np.not_equal(a, 0), ufunc is np.logical_and)
    axes = reduced_axes(axis, a.ndim)
    return finish(logical(a, ufunc=ufunc, axis=axes), a.shape, axes, keepdims)


@front(np.any, method="any")
def _any(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    return _logical(np.logical_or, a, axis, keepdims, where)


@front(np.all, method="all")
def _all(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    return _logical(np.logical_and, a, axis, keepdims, where)


@front_method(np.logical_or, "reduce")
def _logical_or_reduce(array: Any, /, axis: Any = 0, *, keepdims: Any = False, where: Any = True) -> Any:
    return _logical(np.logical_or, array, axis, keepdims, where)


@front_method(np.logical_and, "reduce")
def _logical_and_reduce(array: Any, /, axis: Any = 0, *, keepdims: Any = False, where: Any = True) -> Any:
    return _logical(np.logical_and, array, axis, keepdims, where)


@front(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _sum(np.not_equal(a, 0), axis, keepdims=keepdims)
