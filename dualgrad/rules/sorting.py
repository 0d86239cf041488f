"""Order: sort, partition, positions of extrema, searches.

An order is data without a derivative; sorting is a permutation of the elements, linear, and its transpose is the inverse
permutation.  Ties follow the stable permutation in both modes.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import any_true, plain
from dualgrad.core.inplace import mutate
from dualgrad.core.primitive import Primitive
from dualgrad.core.registry import front
from dualgrad.rules.declare import batch_axes, batch_axis, constant, linear
from dualgrad.rules.reductions import as_array, finish, reduced_axes
from dualgrad.rules.shaping import axes_of

# ---- an order, and a permutation --------------------------------------------------------------------------------------
order_of = constant(lambda x, *, axis: np.argsort(x, axis=axis, kind="stable"), batch=batch_axis("axis"), name="order_of")

permuted: Primitive = linear(
    lambda x, order, *, axis: np.take_along_axis(x, order, axis),
    lambda g, _x, order, *, axis: (returned(g, order, axis=axis), None),
    batch=batch_axes("axis"),
    local=True,
    data=1,
    name="permuted",
)


def _returned(x: Any, order: Any, *, axis: int) -> Any:
    """The inverse permutation, by a scatter (a gather through argsort(order) takes 4 times as long)."""
    out = np.empty_like(x)
    np.put_along_axis(out, order, x, axis)
    return out


returned: Primitive = linear(
    _returned,
    lambda g, _x, order, *, axis: (permuted(g, order, axis=axis), None),
    batch=batch_axes("axis"),
    local=True,
    data=1,
    name="returned",
)


def _partition_order(x: Any, *, kth: Any, axis: int) -> Any:
    """The order that makes x what np.partition gives, equal elements in stable order."""
    order = np.argsort(x, axis=axis, kind="stable")
    places = np.argsort(np.partition(x, kth, axis=axis), axis=axis, kind="stable")
    out = np.empty_like(order)
    np.put_along_axis(out, places, order, axis)
    return out


partition_order = constant(_partition_order, batch=batch_axis("axis"), name="partition_order")
arg_partition = constant(lambda x, *, kth, axis: np.argpartition(x, kth, axis=axis), batch=batch_axis("axis"), name="argpartition")


def _line(function: Any, a: Any, axis: Any, order: Any = None) -> tuple[Any, int]:
    """The array and a non-negative axis; axis None means all elements in order."""
    if order is not None:
        raise errors.unknown_keyword(function, "order")
    a = as_array(a)
    if axis is None:
        return np.ravel(a), 0
    return a, axes_of(axis, a.ndim)[0]


def _known_kind(kind: Any, stable: Any) -> None:
    """All kinds of sorting give the same values, and here the same order: the stable one."""
    if kind not in (None, "quicksort", "mergesort", "heapsort", "stable"):
        raise ValueError(f"sort kind must be one of 'quick', 'heap', or 'stable' (got {kind!r})")
    if kind is not None and stable is not None:
        raise ValueError("`kind` and `stable` parameters can't be provided at the same time. Use only one of them.")


@front(np.sort)
def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    _known_kind(kind, stable)
    a, axis = _line(np.sort, a, axis, order)
    return permuted(a, order_of(a, axis=axis), axis=axis)


@front(method="sort")
def _sort_in_place(a: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    mutate(a, _sort(a, axis, kind, order, stable=stable))


@front(np.argsort, method="argsort")
def _argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    _known_kind(kind, stable)
    a, axis = _line(np.argsort, a, axis, order)
    return order_of(a, axis=axis)


def _ranks(kth: Any) -> Any:
    """kth as a static argument."""
    kth = np.asarray(plain(kth))
    return int(kth) if kth.ndim == 0 else tuple(int(k) for k in kth)


@front(np.partition)
def _partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    a, axis = _line(np.partition, a, axis, order)
    return permuted(a, partition_order(a, kth=_ranks(kth), axis=axis), axis=axis)


@front(method="partition")
def _partition_in_place(a: Any, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    mutate(a, _partition(a, kth, axis, kind, order))


@front(np.argpartition, method="argpartition")
def _argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
    a, axis = _line(np.argpartition, a, axis, order)
    return arg_partition(a, kth=_ranks(kth), axis=axis)


lex_order = constant(lambda *keys, axis: np.lexsort(keys, axis=axis), name="lexsort")


@front(np.lexsort)
def _lexsort(keys: Any, axis: int = -1) -> Any:
    keys = tuple(keys)
    return lex_order(*keys, axis=axes_of(axis, np.ndim(keys[0]))[0] - np.ndim(keys[0]))  # from the end: a mapped axis leads


# ---- positions of extrema ---------------------------------------------------------------------------------------------
position = constant(lambda x, *, function, axis: function(x, axis=axis), batch=batch_axis("axis"), name="position")


def _position(function: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    a = as_array(a)
    axes = reduced_axes(axis, a.ndim)
    flat, place = (np.ravel(a), 0) if axis is None else (a, axes[0])
    return finish(position(flat, function=function, axis=place), a.shape, axes, keepdims)


@front(np.argmax, method="argmax")
def _argmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _position(np.argmax, a, axis, keepdims)


@front(np.argmin, method="argmin")
def _argmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _position(np.argmin, a, axis, keepdims)


def _nan_position(function: Callable, fill: float, a: Any, axis: Any, keepdims: Any) -> Any:
    a = as_array(a)
    missing = np.isnan(a)
    if any_true(np.all(missing, axis)):
        raise ValueError("All-NaN slice encountered")
    return _position(function, np.where(missing, fill, a), axis, keepdims)


@front(np.nanargmax)
def _nanargmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _nan_position(np.argmax, -np.inf, a, axis, keepdims)


@front(np.nanargmin)
def _nanargmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _nan_position(np.argmin, np.inf, a, axis, keepdims)


# ---- searches ---------------------------------------------------------------------------------------------------------


def _batch_values(primitive: Primitive, mapped: Any, values: Any, table: Any, **static: Any) -> Any:
    """The values may have any shape; a mapped table goes one by one."""
    return NotImplemented if mapped[1] else primitive(values, table, **static)


search = constant(
    lambda v, a, *, side, sorter: np.searchsorted(a, v, side, sorter), batch=_batch_values, name="searchsorted"
)
bin_of = constant(lambda x, bins, *, right: np.digitize(x, bins, right), batch=_batch_values, name="digitize")


@front(np.searchsorted)
def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return search(v, a, side=side, sorter=None if sorter is None else tuple(int(k) for k in plain(sorter)))


@front(method="searchsorted")
def _searchsorted_method(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return _searchsorted(a, v, side, sorter)


@front(np.digitize)
def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    return bin_of(x, bins, right=bool(right))


# ---- distinct elements ------------------------------------------------------------------------------------------------


@front(np.unique)
def _unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The distinct elements; of several equal ones the first is taken, and it receives the derivative."""
    distinct: Any = np.unique if sorted else functools.partial(np.unique, sorted=False)  # NumPy 2.3
    _, index, *rest = distinct(plain(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    values = np.ravel(ar)[index] if axis is None else np.take(ar, index, axis)
    found = (values, *((index,) if return_index else ()), *rest)
    return found if len(found) > 1 else values
