"""np.pad in all modes, one axis after the other as NumPy does.

Modes that copy elements are a gather whose index is np.pad of 0, 1, 2, …; the others concatenate what they compute.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.primitive import Value
from dualgrad.core.registry import front

_KEYWORDS = {
    "constant": ("constant_values",), "linear_ramp": ("end_values",),
    "maximum": ("stat_length",), "mean": ("stat_length",), "median": ("stat_length",), "minimum": ("stat_length",),
    "reflect": ("reflect_type",), "symmetric": ("reflect_type",), "edge": (), "wrap": (), "empty": (),
}  # fmt: skip
_STATISTICS: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


@front(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    if callable(mode):
        raise errors.unsupported(np.pad, "with a function as mode it writes in place; use np.concatenate")
    if mode not in _KEYWORDS:
        raise ValueError(f"mode '{mode}' is not supported")
    unknown = set(kwargs) - set(_KEYWORDS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    widths = _pairs(pad_width, array.ndim)
    option = next(iter(kwargs.values()), None)
    options = _pairs(option, array.ndim) if mode not in ("reflect", "symmetric") else [option] * array.ndim
    for axis, (before, after) in enumerate(widths):
        before, after = int(before), int(after)
        if before < 0 or after < 0:
            raise ValueError("index can't contain negative values")
        if (before or after) and array.shape[axis] == 0 and mode not in ("constant", "empty"):
            raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
        if before or after:
            array = _AXIS[mode](array, axis, before, after, options[axis])
    return np.copy(array) if all(int(b) == int(a) == 0 for b, a in widths) else array


def _pairs(x: Any, ndim: int) -> list[Any]:
    """(before, after) for every axis, from a number, a pair, a sequence of pairs, or a dictionary from axes to them."""
    if isinstance(x, dict):
        pairs: list[Any] = [(0, 0)] * ndim
        for axis, width in x.items():
            pairs[axis] = tuple(width) if np.iterable(width) else (width, width)
        return pairs
    if isinstance(x, list | tuple):
        rows = [tuple(row) if isinstance(row, list | tuple) or np.ndim(row) else row for row in x]
        if not any(isinstance(row, tuple) for row in rows):
            rows = [tuple(rows)]
    elif x is None or np.ndim(x) == 0:
        return [(x, x)] * ndim
    else:
        rows = [tuple(row) for row in np.atleast_2d(x)]
    rows = [row * 2 if len(row) == 1 else row for row in rows]
    if len(rows) not in (1, ndim) or any(len(row) != 2 for row in rows):
        raise ValueError(f"np.pad: {x!r} does not give a pair (before, after) for each of {ndim} axes")
    return rows * ndim if len(rows) == 1 else rows


def _strip(array: Any, axis: int, size: int, value: Any) -> Any:
    """`size` entries along the axis, all equal to a number or to an array of length 1 there."""
    shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
    value = value if isinstance(value, Value) else np.asarray(value)
    return np.broadcast_to(value.astype(array.dtype), shape)


def _between(before: Any, array: Any, after: Any, axis: int) -> Any:
    return np.concatenate([before, array, after], axis)


def _constant(array: Any, axis: int, before: int, after: int, values: Any) -> Any:
    left, right = (0 if v is None else v for v in values)
    return _between(_strip(array, axis, before, left), array, _strip(array, axis, after, right), axis)


def _gather(mode: Any) -> Callable:
    def extend(array: Any, axis: int, before: int, after: int, reflect_type: Any) -> Any:
        if reflect_type in ("odd",) and mode in ("reflect", "symmetric"):
            return _odd(array, axis, before, after, mode)
        return np.take(array, np.pad(np.arange(array.shape[axis]), (before, after), mode), axis)

    return extend


def _odd(array: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """The extension that is odd about both ends: 2 last - x[2 end - i] right of the end, continued with the linear trend.

    With the period p = 2 (n - 1) for reflect and 2 n for symmetric: x(i + p) = x(i) + 2 (last - first).
    """
    n = array.shape[axis]
    first, last = np.take(array, [0], axis), np.take(array, [n - 1], axis)
    period = 2 * (n - 1) if mode == "reflect" else 2 * n
    if not period:
        return np.take(array, np.zeros(before + n + after, int), axis)
    turns, place = np.divmod(np.arange(-before, n + after), period)
    mirrored = place >= n
    along = (-1,) + (1,) * (array.ndim - axis - 1)
    inner = np.take(array, np.where(mirrored, period - place - (mode == "symmetric"), place), axis)
    inner = np.where(np.reshape(mirrored, along), 2 * last - inner, inner)
    return inner + np.reshape(2 * turns, along).astype(array.dtype) * (last - first)


def _ramp(array: Any, axis: int, before: int, after: int, ends: Any) -> Any:
    """From the end value (at the outermost entry) linearly to the edge."""

    def ramp(size: int, end: Any, edge: Any) -> Any:
        end = 0 if end is None else end
        weights = (np.arange(size) / max(size, 1)).astype(array.dtype)
        return (end + np.reshape(weights, (-1,) + (1,) * (array.ndim - axis - 1)) * (edge - end)).astype(array.dtype)

    left = ramp(before, ends[0], np.take(array, [0], axis))
    right = np.flip(ramp(after, ends[1], np.take(array, [-1], axis)), axis)
    return _between(left, array, right, axis)


def _statistic(mode: str) -> Callable:
    def extend(array: Any, axis: int, before: int, after: int, lengths: Any) -> Any:
        n = array.shape[axis]
        left, right = (n if k is None else min(int(k), n) for k in lengths)
        if (left == 0 or right == 0) and mode in ("maximum", "minimum"):
            raise ValueError("stat_length of 0 yields no value for padding")
        here = (slice(None),) * axis
        function = _STATISTICS[mode]
        low = function(array[(*here, slice(0, left))], axis=axis, keepdims=True)
        high = function(array[(*here, slice(n - right, n))], axis=axis, keepdims=True)
        return _between(_strip(array, axis, before, low), array, _strip(array, axis, after, high), axis)

    return extend


_AXIS: dict[str, Callable] = {
    "constant": _constant,
    "empty": lambda array, axis, before, after, _: _constant(array, axis, before, after, (0, 0)),
    "linear_ramp": _ramp,
    **{mode: _gather(mode) for mode in ("edge", "reflect", "symmetric", "wrap")},
    **{mode: _statistic(mode) for mode in _STATISTICS},
}
