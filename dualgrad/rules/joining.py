"""Joining, splitting, repeating, rolling; triangles and diagonals: compositions of indexing, reshaping and concatenation."""
from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.primitive import Value
from dualgrad.core.registry import METHODS, front
from dualgrad.rules.shaping import axes_of, concatenate, reshape

# ---- joining ----------------------------------------------------------------------------------------------------------


_ARRAYS = (Value, np.ndarray, np.generic)  # an isinstance with a tuple takes half the time of one with a union


def _arrays(xs: Any) -> list[Any]:
    xs = [x if isinstance(x, _ARRAYS) else np.asarray(x) for x in xs]
    if any([x.dtype.hasobject for x in xs]):
        raise errors.unsupported(np.concatenate, "an array of dtype object cannot carry derivatives")
    return xs


def _dtyped(xs: list[Any], dtype: Any) -> list[Any]:
    return xs if dtype is None else [x.astype(dtype) for x in xs]


@front(np.concatenate, np.concat)
def _concatenate(arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = _dtyped(_arrays(arrays), dtype)
    if axis is None:
        xs, axis = [np.ravel(x) for x in xs], 0
    (axis,) = axes_of(axis, xs[0].ndim)
    return concatenate(*xs, axis=axis)


@front(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = _dtyped(_arrays(arrays), dtype)
    if len({x.shape for x in xs}) > 1:
        raise ValueError("all input arrays must have the same shape")
    (axis,) = axes_of(axis, xs[0].ndim + 1)
    shape = xs[0].shape
    shape = (*shape[:axis], 1, *shape[axis:])
    return concatenate(*[reshape(x, shape=shape) for x in xs], axis=axis)


@front(np.vstack)
def _vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return _concatenate([np.atleast_2d(x) for x in _dtyped(_arrays(tup), dtype)], 0)


@front(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    xs = [np.atleast_1d(x) for x in _dtyped(_arrays(tup), dtype)]
    return _concatenate(xs, 0 if xs[0].ndim == 1 else 1)


@front(np.dstack)
def _dstack(tup: Any) -> Any:
    return _concatenate([np.atleast_3d(x) for x in _arrays(tup)], 2)


@front(np.column_stack)
def _column_stack(tup: Any) -> Any:
    xs = _arrays(tup)
    return _concatenate([x if x.ndim > 1 else np.reshape(x, (-1, 1)) for x in xs], 1)


@front(np.block)
def _block(arrays: Any) -> Any:
    def depth(x: Any) -> int:
        return 1 + max(depth(y) for y in x) if isinstance(x, list) else 0

    levels = depth(arrays)

    def leaves(x: Any) -> list[Any]:
        return [leaf for y in x for leaf in leaves(y)] if isinstance(x, list) else [x]

    rank = max(levels, max(np.ndim(x) for x in leaves(arrays)))

    def join(x: Any, level: int) -> Any:
        if not isinstance(x, list):
            x = x if isinstance(x, Value) else np.asarray(x)
            return np.reshape(x, (1,) * (rank - x.ndim) + x.shape)
        return _concatenate([join(y, level + 1) for y in x], level - levels)

    return join(arrays, 0)


@front(np.append)
def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return _concatenate([arr, values], axis)


@front(np.insert)
def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    (axis,) = axes_of(axis, arr.ndim)
    count = arr.shape[axis]
    positions = np.arange(count)
    if np.ndim(obj):
        raise errors.unsupported(np.insert, "several positions at once are not; insert one after another or use np.concatenate")
    at = int(obj) + count if int(obj) < 0 else int(obj)
    before = (slice(None),) * axis
    values = values if isinstance(values, Value) else np.asarray(values, arr.dtype)
    if values.ndim < arr.ndim:
        values = np.expand_dims(values, axis) if values.ndim == arr.ndim - 1 else values
    length = values.shape[axis] if values.ndim == arr.ndim else 1
    values = np.broadcast_to(values, (*arr.shape[:axis], length, *arr.shape[axis + 1 :]))
    return _concatenate([arr[(*before, positions[:at])], values, arr[(*before, positions[at:])]], axis)


@front(np.delete)
def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    (axis,) = axes_of(axis, arr.ndim)
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis)


# ---- splitting --------------------------------------------------------------------------------------------------------


@front(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    (axis,) = axes_of(axis, ary.ndim)
    parts = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    edges = [0, *(int(e) for e in np.cumsum([len(p) for p in parts]))]
    if np.ndim(indices_or_sections):
        cuts = [0, *(int(i) for i in indices_or_sections), ary.shape[axis]]
        return [ary[(slice(None),) * axis + (slice(a, b),)] for a, b in itertools.pairwise(cuts)]
    return [ary[(slice(None),) * axis + (slice(a, b),)] for a, b in itertools.pairwise(edges)]


@front(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if not np.ndim(indices_or_sections) and ary.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return _array_split(ary, indices_or_sections, axis)


@front(np.hsplit)
def _hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@front(np.vsplit)
def _vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 0)


@front(np.dsplit)
def _dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 2)


@front("unstack")
def _unstack(x: Any, /, *, axis: int = 0) -> tuple:
    return tuple(np.moveaxis(x, axis, 0))


# ---- repeating and rolling --------------------------------------------------------------------------------------------


@front(np.repeat)
def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis)


METHODS["repeat"] = _repeat


@front(np.tile)
def _tile(A: Any, reps: Any) -> Any:
    reps = tuple(reps) if np.iterable(reps) else (reps,)
    rank = max(A.ndim, len(reps))
    reps = (1,) * (rank - len(reps)) + reps
    shape = (1,) * (rank - A.ndim) + A.shape
    pairs = np.reshape(A, tuple(n for s in shape for n in (1, s)))
    repeated = np.broadcast_to(pairs, tuple(n for r, s in zip(reps, shape, strict=True) for n in (r, s)))
    return reshape(repeated, shape=tuple(r * s for r, s in zip(reps, shape, strict=True)))


@front(np.resize)
def _resize(a: Any, new_shape: Any) -> Any:
    shape = tuple(new_shape) if np.iterable(new_shape) else (new_shape,)
    return np.reshape(np.ravel(a)[np.resize(np.arange(np.size(a)), math.prod(shape))], shape)


@front(np.roll)
def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(_roll(np.ravel(a), int(np.sum(shift)), 0), a.shape)
    shifts, axes = np.broadcast_arrays(shift, axis)
    for s, k in zip(shifts.ravel().tolist(), axes.ravel().tolist(), strict=True):
        a = np.take(a, np.roll(np.arange(a.shape[k]), s), k)
    return a


@front(np.flip)
def _flip(m: Any, axis: Any = None) -> Any:
    axes = tuple(range(m.ndim)) if axis is None else axes_of(axis, m.ndim)
    return m[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(m.ndim))]


@front(np.fliplr)
def _fliplr(m: Any) -> Any:
    return m[:, ::-1]


@front(np.flipud)
def _flipud(m: Any) -> Any:
    return m[::-1]


@front(np.rot90)
def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    for _ in range(k % 4):
        m = np.swapaxes(np.flip(m, axes[1]), *axes)
    return m


# ---- triangles and diagonals ------------------------------------------------------------------------------------------

_tri: Callable[..., Any] = np.tri  # its overloads do not know tri(*shape, k=k)


@front(np.tril)
def _tril(m: Any, k: int = 0) -> Any:
    return np.where(_tri(*m.shape[-2:], k=k, dtype=bool), m, np.zeros((), m.dtype))


@front(np.triu)
def _triu(m: Any, k: int = 0) -> Any:
    return np.where(_tri(*m.shape[-2:], k=k - 1, dtype=bool), np.zeros((), m.dtype), m)


@front(np.diagonal, method="diagonal")
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    k = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return a[..., k - min(offset, 0), k + max(offset, 0)]


@front(np.linalg.diagonal)
def _linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return _diagonal(x, offset, -2, -1)


@front(np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return _diagonal(v, k)
    n = v.shape[0] + abs(k)
    out = np.zeros((n, n), v.dtype, like=v)
    i = np.arange(v.shape[0])
    out[i + max(-k, 0), i + max(k, 0)] = v
    return out


@front(np.diagflat)
def _diagflat(v: Any, k: int = 0) -> Any:
    return _diag(np.ravel(v), k)


@front(np.trace, method="trace")
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    return np.sum(_diagonal(a, offset, axis1, axis2), -1, dtype=dtype)


@front(np.linalg.trace)
def _linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return _trace(x, offset, -2, -1, dtype)


@front(np.vander)
def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    powers = np.arange(x.shape[0] if N is None else N)
    return x[:, None] ** (powers if increasing else powers[::-1])


@front(np.meshgrid)
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple:
    n = len(xi)
    outs = [np.reshape(x, (1,) * k + (-1,) + (1,) * (n - k - 1)) for k, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        outs = [np.swapaxes(x, 0, 1) for x in outs]
    return tuple(outs) if sparse else tuple(np.broadcast_arrays(*outs))
