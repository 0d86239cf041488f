"""Reading and writing elements: x[index], y[index] = v, take, put_along_axis, where, select, clip.

Reading is linear, its transpose is a scatter-add; writing is linear in (array, values), and only the element that stays
receives a cotangent.  An index is a static pattern plus integer arrays, which are operands because they may be mapped.
"""
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import ZERO, plain, unbroadcast
from dualgrad.core.inplace import is_immutable, link, mutate
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import METHODS, front, front_method
from dualgrad.core.traced import Traced
from dualgrad.rules.declare import linear

ARRAY = "array"
_ALL = ("slice", None, None, None)

# ---- an index: a static pattern and array operands --------------------------------------------------------------------


class Pattern(NamedTuple):
    """A hashable index.  Entries: int, ("slice", start, stop, step), None, Ellipsis, or ARRAY for the next array operand."""

    entries: tuple[Any, ...]

    def fill(self, arrays: tuple) -> tuple:
        """The index NumPy understands."""
        if not arrays:  # for an element or a row the entries themselves
            if len(self.entries) == 1 and type(self.entries[0]) is int:
                return self.entries
            return tuple([slice(*e[1:]) if type(e) is tuple else e for e in self.entries])
        arrays_left = iter(arrays)
        return tuple(
            next(arrays_left) if e == ARRAY else slice(*e[1:]) if type(e) is tuple else e for e in self.entries
        )


_new_pattern = tuple.__new__  # half the time of Pattern(...)


def _parse(index: Any) -> tuple[Pattern, tuple]:
    if type(index) is int:
        return _new_pattern(Pattern, ((index,),)), ()
    entries: list[Any] = []
    arrays: list[Any] = []
    for item in index if type(index) is tuple else (index,):
        if type(item) is slice:
            bounds = item.start, item.stop, item.step
            entries.append(("slice", *[s if s is None or type(s) is int else int(s) for s in bounds]))
        elif item is None or item is Ellipsis:
            entries.append(item)
        elif isinstance(item, int | np.integer) and not isinstance(item, bool):
            entries.append(int(item))
        elif isinstance(item, Traced):
            if item.dtype.kind not in "iu":
                raise IndexError(
                    f"an index must be of integers, not a traced {errors.describe(item)}{errors.user_line()}; "
                    "for a mask use np.where."
                )
            entries.append(ARRAY)
            arrays.append(item)
        else:
            array = np.asarray(item)
            if array.size == 0 and array.dtype.kind == "f":
                array = array.astype(np.intp)
            parts = np.nonzero(array) if array.dtype.kind == "b" and array.ndim else (array,)
            entries.extend([ARRAY] * len(parts))
            arrays.extend(parts)
    return Pattern(tuple(entries)), tuple(arrays)


def _taken_axis(pattern: Pattern, arrays: tuple) -> int | None:
    """The axis that an array of integers picks from, if all other axes are whole."""
    if len(arrays) != 1 or type(arrays[0]) is not np.ndarray or arrays[0].dtype.kind not in "iu":
        return None
    axis = pattern.entries.index(ARRAY)
    return axis if all([entry == _ALL for k, entry in enumerate(pattern.entries) if k != axis]) else None


def _getitem(x: Any, *arrays: Any, pattern: Pattern) -> Any:
    if arrays and type(x) is np.ndarray and (axis := _taken_axis(pattern, arrays)) is not None:
        return np.take(x, arrays[0], axis)  # the same in a third of the time, 0.3 ms for (26, 544, 3)[:, 3200 of 544]
    return x[pattern.fill(arrays)]


def _batch_getitem(primitive: Primitive, mapped: Any, x: Any, *arrays: Any, pattern: Pattern) -> Any:
    if not arrays:
        return primitive(x, pattern=_leading(pattern))
    entries = pattern.entries
    if not any(mapped[1:]):
        out = primitive(x, *arrays, pattern=_leading(pattern))
        # NumPy moves separated index arrays in front, but the mapped axis must lead
        return np.moveaxis(out, max(np.ndim(a) for a in arrays), 0) if _separated(entries) else out
    if _separated(entries) or (mapped[0] and entries[0] != ARRAY):
        return NotImplemented
    size = next(a.shape[0] for a, m in zip(arrays, mapped[1:], strict=True) if m)
    rank = max(np.ndim(a) - m for a, m in zip(arrays, mapped[1:], strict=True))
    aligned = [
        np.reshape(a, (size,) + (1,) * (rank + 1 - np.ndim(a)) + np.shape(a)[1:]) if m else a
        for a, m in zip(arrays, mapped[1:], strict=True)
    ]
    if mapped[0]:
        rows = np.reshape(np.arange(size), (size,) + (1,) * rank)
        return primitive(x, rows, *aligned, pattern=Pattern((ARRAY, *entries)))
    return np.moveaxis(primitive(x, *aligned, pattern=pattern), _position(entries, np.ndim(x)), 0)


def _batch_setitem(primitive: Primitive, mapped: Any, y: Any, values: Any, *arrays: Any, pattern: Pattern) -> Any:
    if any(mapped[2:]):
        return NotImplemented
    size = y.shape[0] if mapped[0] else values.shape[0]
    if not mapped[0]:
        y = np.broadcast_to(y, (size, *np.shape(y)))
    separated = _separated(pattern.entries)
    if mapped[1] or separated:
        rank = _region(y.shape[1:], arrays, pattern).ndim
        shape = np.shape(values)[1:] if mapped[1] else np.shape(values)
        shape = (1,) * (rank - len(shape)) + shape[max(len(shape) - rank, 0) :]  # NumPy drops leading axes of length 1
        values = np.reshape(values, (size if mapped[1] else 1, *shape))
        if separated:
            values = np.moveaxis(values, 0, max(np.ndim(a) for a in arrays))
    return primitive(y, values, *arrays, pattern=_leading(pattern))


def _region(shape: tuple, arrays: tuple, pattern: Pattern) -> Any:
    """A dummy array of the shape that the index selects."""
    return np.broadcast_to(np.False_, shape)[pattern.fill(arrays)]


def _position(entries: tuple, ndim: int) -> int:
    """The output axis at which the axes of contiguous index arrays appear."""
    position = 0
    for entry in entries[: entries.index(ARRAY)]:
        if entry is Ellipsis:
            position += ndim - sum(1 for e in entries if e is not None and e is not Ellipsis)
        elif not isinstance(entry, int):
            position += 1
    return position


def _separated(entries: tuple) -> bool:
    """Are there index arrays with something else between them (an integer beside an array counts as one)?"""
    places = [k for k, entry in enumerate(entries) if entry == ARRAY or isinstance(entry, int)]
    return ARRAY in entries and places[-1] - places[0] + 1 != len(places)


getitem_primitive = linear(
    _getitem,
    lambda g, x, *arrays, pattern: (scatter_add(g, *arrays, pattern=pattern, shape=x.shape), *(None,) * len(arrays)),
    batch=_batch_getitem,
    local=True,
    data=1,
    accumulate=lambda total, g, mapped, *, pattern: _add_at(total, g, _leading(pattern) if mapped else pattern),
    name="getitem",
)


def _leading(pattern: Pattern) -> Pattern:
    """The same index behind a mapped axis."""
    return Pattern((_ALL, *pattern.entries))


def _add_at(total: Any, g: Any, pattern: Pattern) -> None:
    total[pattern.fill(())] += g


def _scatter_add(g: Any, *arrays: Any, pattern: Pattern, shape: tuple) -> Any:
    """zeros(shape) with g added at the index, duplicates accumulating."""
    out = np.zeros(shape, np.result_type(g))
    if not arrays:
        out[pattern.fill(())] = g
    elif len(shape) > 1 and g.size > 1024 and (axis := _taken_axis(pattern, arrays)) is not None:
        _add_taken(out, g, arrays[0], axis)
    else:
        np.add.at(out, pattern.fill(arrays), g)
    return out


def _add_taken(out: Any, g: Any, indices: Any, axis: int) -> None:
    """The adjoint of np.take, added to out: on one axis np.add.at takes 3 ns an element, on several 16."""
    inner = math.prod(out.shape[axis + 1 :])
    rows, positions = out.reshape(-1, out.shape[axis] * inner), (indices % out.shape[axis]).ravel()
    if inner > 1:
        positions = (positions[:, None] * inner + np.arange(inner)).ravel()
    if positions.size < 512:  # a call takes 2 us
        positions = (np.arange(len(rows))[:, None] * rows.shape[1] + positions).ravel()
        rows = out.reshape(1, -1)
    for row, part in zip(rows, g.reshape(len(rows), -1), strict=True):
        np.add.at(row, positions, part)


def _batch_scatter_add(primitive: Primitive, mapped: Any, g: Any, *arrays: Any, pattern: Pattern, shape: tuple) -> Any:
    if any(mapped[1:]):
        return NotImplemented
    if _separated(pattern.entries):
        g = np.moveaxis(g, 0, max(np.ndim(a) for a in arrays))
        size = g.shape[max(np.ndim(a) for a in arrays)]
    else:
        size = g.shape[0]
    return primitive(g, *arrays, pattern=_leading(pattern), shape=(size, *shape))


scatter_add: Primitive = linear(
    _scatter_add,
    lambda g, x, *arrays, pattern, shape: (getitem_primitive(g, *arrays, pattern=pattern), *(None,) * len(arrays)),
    batch=_batch_scatter_add,
    local=True,
    data=1,
    name="scatter_add",
)


def _setitem(y: Any, values: Any, *arrays: Any, pattern: Pattern) -> Any:
    out = np.array(y)
    out[pattern.fill(arrays)] = values
    return out


def _setitem_transpose(g: Any, y: Any, values: Any, *arrays: Any, pattern: Pattern) -> tuple:
    """The written region belongs to the values, and of several writes to one element to the last."""
    region = getitem_primitive(g, *arrays, pattern=pattern)
    if arrays and not any(isinstance(a, Value) for a in arrays):
        order = np.arange(region.size).reshape(region.shape)
        last = np.zeros(y.shape, np.intp)
        last[pattern.fill(arrays)] = order
        region = np.where(last[pattern.fill(arrays)] == order, region, 0)
    shape = np.shape(values)
    if len(shape) > region.ndim:  # leading axes of length 1 are dropped by an assignment
        region = np.reshape(region, (1,) * (len(shape) - region.ndim) + region.shape)
    rest = setitem_primitive(g, np.zeros((), g.dtype), *arrays, pattern=pattern)
    return (rest, unbroadcast(region, shape), *(None,) * len(arrays))


setitem_primitive = linear(_setitem, _setitem_transpose, batch=_batch_setitem, local=True, data=2, name="setitem")


# ---- reading ----------------------------------------------------------------------------------------------------------


def index_into(x: Any, index: Any) -> Any:
    """x[index]; a basic index of an array gives a view, as in NumPy."""
    pattern, arrays = _parse(index)
    out = getitem_primitive(x, *arrays, pattern=pattern)
    if arrays or not isinstance(x, Value):
        return out
    if out.shape or not pattern.entries or not all([type(e) is int for e in pattern.entries]):
        link(out, x, _read_at, _write_at, pattern)
    return out


def _read_at(owner: Any, pattern: Pattern) -> Any:
    return getitem_primitive(owner, pattern=pattern)


def _write_at(owner: Any, view: Any, pattern: Pattern) -> Any:
    return setitem_primitive(owner, view, pattern=pattern)


METHODS["__getitem__"] = index_into


def assign_at(y: Any, index: Any, values: Any) -> None:
    """y[index] = values, in place (NumPy's meaning: with duplicates the last write wins)."""
    if is_immutable(y):
        raise TypeError(
            f"a 0-d traced value does not support item assignment{errors.user_line()}: it stands for an immutable NumPy scalar."
        )
    if isinstance(index, Value) and index.dtype.kind == "b":
        mutate(y, np.where(index, values, y))
        return
    pattern, arrays = _parse(index)
    if not isinstance(values, Value):
        values = np.asarray(values)
    if not np.can_cast(np.result_type(values), y.dtype, "same_kind"):
        values = np.real(values) if values.dtype.kind == "c" and y.dtype.kind == "f" else values
    mutate(y, setitem_primitive(y, values if values.dtype == y.dtype else values.astype(y.dtype), *arrays, pattern=pattern))


METHODS["__setitem__"] = assign_at


@front(np.take, method="take")
def _take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    if out is not None:
        raise errors.unknown_keyword(np.take, "out")
    if axis is None:
        a, axis = np.ravel(a), 0
    if mode != "raise":
        size = a.shape[axis]
        indices = np.mod(indices, size) if mode == "wrap" else np.clip(indices, 0, size - 1)
    return index_into(a, (slice(None),) * (axis % a.ndim) + (indices if isinstance(indices, Value) else np.asarray(indices),))


def _along(shape: tuple, indices: Any, axis: int) -> tuple:
    """The full index of take_along_axis: every other axis by its own position."""
    if np.ndim(indices) != len(shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    return tuple(
        indices if k == axis else np.reshape(np.arange(n), (-1,) + (1,) * (len(shape) - k - 1)) for k, n in enumerate(shape)
    )


@front(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    return index_into(arr, _along(arr.shape, indices, axis % arr.ndim))


@front(np.compress)
def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    return _take(a, np.nonzero(condition)[0], axis)


METHODS["compress"] = lambda a, condition, axis=None: _compress(condition, a, axis)


@front(np.extract)
def _extract(condition: Any, arr: Any) -> Any:
    return np.ravel(arr)[np.nonzero(np.ravel(condition))[0]]


@front(np.choose, method="choose")
def _choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    stacked = np.stack(np.broadcast_arrays(*choices))
    a = np.broadcast_to(a, stacked.shape[1:])
    return np.take_along_axis(stacked, a[None], 0)[0]


# ---- writing ----------------------------------------------------------------------------------------------------------


def _flat_write(y: Any, positions: Any, values: Any) -> None:
    flat = setitem_primitive(np.ravel(y), values, positions, pattern=Pattern((ARRAY,)))
    mutate(y, np.reshape(flat, y.shape))


def _needs_traced(function: Any, target: Any) -> None:
    if not isinstance(target, Value):
        raise errors.TracedConversionError(
            f"{errors.name_of(function)}: traced values cannot be written into a plain NumPy buffer{errors.user_line()}. "
            "Make the buffer with np.zeros_like(x) or np.zeros(shape, like=x), where x is traced."
        )


@front(np.put, method="put")
def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    _needs_traced(np.put, a)
    positions = np.ravel(ind)
    if mode != "raise":
        positions = np.mod(positions, a.size) if mode == "wrap" else np.clip(positions, 0, a.size - 1)
    _flat_write(a, positions, np.resize(v, positions.shape) if np.size(v) != positions.size else np.reshape(v, positions.shape))


@front(np.put_along_axis)
def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    _needs_traced(np.put_along_axis, arr)
    if axis is None:
        _flat_write(arr, np.ravel(indices), np.ravel(values) if np.ndim(values) else values)
    else:
        arr[_along(arr.shape, indices, axis % arr.ndim)] = values


@front(np.putmask)
def _putmask(a: Any, /, mask: Any, values: Any) -> None:
    _needs_traced(np.putmask, a)
    if np.shape(values) != a.shape:
        values = np.reshape(np.resize(values, a.size), a.shape)
    mutate(a, np.where(mask, values, a).astype(a.dtype))


@front(np.place)
def _place(arr: Any, mask: Any, vals: Any) -> None:
    _needs_traced(np.place, arr)
    positions = np.nonzero(np.ravel(mask))[0]
    _flat_write(arr, positions, np.resize(vals, positions.shape))


@front(np.copyto)
def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    _needs_traced(np.copyto, dst)
    mutate(dst, np.where(where, src, dst).astype(dst.dtype))


@front(np.fill_diagonal)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    _needs_traced(np.fill_diagonal, a)
    if wrap:
        raise errors.unknown_keyword(np.fill_diagonal, "wrap")
    k = np.arange(min(a.shape))
    a[(k,) * a.ndim] = val if np.ndim(val) == 0 else np.resize(val, k.shape)


@front(method="fill")
def _fill(a: Any, value: Any) -> None:
    mutate(a, np.broadcast_to(value, a.shape).astype(a.dtype) if isinstance(value, Value) else np.full(a.shape, value, a.dtype))


def _ufunc_at(combine: Any) -> Any:
    def at(a: Any, indices: Any, b: Any = None) -> None:
        """a[indices] += b, duplicates accumulating."""
        _needs_traced(combine, a)
        pattern, arrays = _parse(indices)
        region = _region(a.shape, arrays, pattern).shape
        b = np.broadcast_to(b if isinstance(b, Value) else np.asarray(b, a.dtype), region)
        mutate(a, combine(a, scatter_add(b, *arrays, pattern=pattern, shape=a.shape)).astype(a.dtype))

    return at


front_method(np.add, "at")(_ufunc_at(np.add))
front_method(np.subtract, "at")(_ufunc_at(np.subtract))

# ---- choosing ---------------------------------------------------------------------------------------------------------
where_primitive = Primitive(
    "where", np.where, "select", slopes=(ZERO, lambda _z, c, _x, _y: c, lambda _z, c, _x, _y: np.logical_not(c))
)


@front(np.where)
def _where(condition: Any, /, *choices: Any) -> Any:
    if not choices:
        return np.nonzero(condition)
    if not (isinstance(condition, np.ndarray | Value | np.bool) and condition.dtype == bool):
        condition = np.not_equal(condition, 0)
    return where_primitive(condition, *choices)


@front(np.nonzero, method="nonzero")
def _nonzero(a: Any) -> Any:
    return np.nonzero(plain(a))


@front(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = np.where(condition, choice, out)
    return out


@front(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    if np.isscalar(condlist) or (not isinstance(condlist[0], list | np.ndarray | Value) and x.ndim):  # as NumPy decides
        condlist = [condlist]
    conditions = [np.broadcast_to(plain(c), x.shape) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    elif len(funclist) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y = np.zeros_like(np.atleast_1d(x))
    x_rows = np.atleast_1d(x)
    for condition, function in zip(conditions, funclist, strict=True):
        chosen = np.atleast_1d(condition)
        if np.any(chosen):
            y[chosen] = function(x_rows[chosen], *args, **kw) if callable(function) else function
    return np.reshape(y, x.shape)


@front(np.clip, method="clip")
def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = a_min if min is None else min, a_max if max is None else max
    if low is not None:
        a = np.maximum(a, low)
    if high is not None:
        a = np.minimum(a, high)
    return a if low is not None or high is not None else np.positive(a)
