"""Reading and writing elements: every kind of index, with duplicates; take, put, where, select, clip, piecewise, choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from table.case import Case

A = np.array
V = A([0.3, -0.7, 0.55, 1.2, -0.25])
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.15], [0.9, -1.3, 0.65, 0.05]])
T = np.sin(np.arange(24.0)).reshape(2, 3, 4) + 0.1
Y = A([[1.3, 0.2, -0.5, 0.7], [0.4, -0.8, 0.35, 1.6], [-0.3, 0.25, 2.1, -1.4]])
ZX = X + 1j * Y
ROWS_MASK = A([True, False, True])
MASK = X > 0
ROW_NUMBERS = A([2, 0, 2])
COLUMNS = A([1, 3, 1])
GRID = A([[0, 2], [1, 0]])

_READS: dict[str, tuple[Any, Any]] = {
    "an integer": (V, 2),
    "a negative integer": (V, -1),
    "a NumPy integer": (X, np.int64(1)),
    "a zero-dimensional integer array": (X, A(1)),
    "all integers": (X, (1, 2)),
    "an integer of a matrix": (X, 1),
    "a slice": (V, slice(1, 4)),
    "a negative step": (V, slice(None, None, -1)),
    "a step": (X, (slice(None, None, 2), slice(3, 0, -2))),
    "an empty slice": (X, (slice(2, 2), slice(None))),
    "newaxis": (X, (None, slice(None), None, 1)),
    "an ellipsis": (T, (Ellipsis, 1)),
    "an ellipsis between": (T, (1, Ellipsis, slice(0, 2))),
    "an ellipsis alone": (X, Ellipsis),
    "the empty tuple": (X, ()),
    "an integer array": (V, A([3, 0, 1])),
    "a list": (V, [3, 0, 1]),
    "duplicates": (V, A([1, 1, 1, 4])),
    "negative entries and duplicates": (V, A([-1, 4, 0, -5])),
    "an array of two dimensions": (V, GRID),
    "an array of a matrix": (X, GRID),
    "two arrays": (X, (ROW_NUMBERS, COLUMNS)),
    "two arrays that broadcast": (X, (A([[0], [2]]), A([1, 1, 3]))),
    "an array and a slice": (X, (ROW_NUMBERS, slice(1, 3))),
    "a slice and an array": (X, (slice(None), COLUMNS)),
    "a slice between arrays": (T, (A([0, 1, 1]), slice(1, 3), A([3, 3, 0]))),
    "separated by a new axis": (X, (ROW_NUMBERS, None, COLUMNS)),
    "an integer beside an array": (T, (slice(None), 1, COLUMNS)),
    "an integer away from an array": (T, (0, slice(None), COLUMNS)),
    "an integer array in front and an integer behind": (T, (A([1, 0]), slice(None), 2)),
    "adjacent arrays in the middle": (
        np.sin(np.arange(24.0)).reshape(2, 3, 2, 2),
        (slice(None), ROW_NUMBERS, A([1, 0, 1]), slice(None)),
    ),
    "an ellipsis and an array": (T, (Ellipsis, COLUMNS)),
    "an empty array": (V, A([], int)),
    "a mask": (X, MASK),
    "a mask of rows": (X, ROWS_MASK),
    "a mask of columns": (X, (slice(None), A([True, False, False, True]))),
    "a mask and an integer array": (X, (ROWS_MASK, A([1, 2]))),
    "an all-false mask": (X, np.zeros((3, 4), bool)),
    "a list of booleans": (V, [True, False, False, True, True]),
}

_WRITES: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "an integer": (V, 2, ()),
    "a row": (X, 1, (4,)),
    "a row from a scalar": (X, 1, ()),
    "a slice": (V, slice(1, 4), (3,)),
    "a slice that broadcasts": (X, (slice(None), slice(1, 3)), (3, 1)),
    "a slice from a longer shape": (X, (slice(1, 2), slice(1, 3)), (1, 1, 2)),
    "a negative step": (V, slice(None, None, -2), (3,)),
    "an ellipsis": (T, (Ellipsis, 1), (2, 3)),
    "everything": (X, Ellipsis, (3, 4)),
    "newaxis": (X, (slice(None), None, 2), (3, 1)),
    "an integer array": (V, A([3, 0, 1]), (3,)),
    "duplicates: the last wins": (V, A([1, 1, 4, 1]), (4,)),
    "duplicates from a scalar": (V, A([1, 1]), ()),
    "negative duplicates": (V, A([4, -1]), (2,)),
    "rows with duplicates": (X, A([0, 0]), (2, 4)),
    "two arrays": (X, (ROW_NUMBERS, COLUMNS), (3,)),
    "two arrays that broadcast": (X, (A([[0], [2]]), A([1, 3])), (2, 2)),
    "a slice between arrays": (T, (A([0, 1]), slice(1, 3), A([3, 0])), (2, 2)),
    "an array and a slice": (X, (ROW_NUMBERS, slice(1, 3)), (3, 2)),
    "an array and a slice, values that broadcast": (X, (ROW_NUMBERS, slice(1, 3)), (2,)),
    "a mask": (X, MASK, (int(MASK.sum()),)),
    "a mask from a scalar": (X, MASK, ()),
    "a mask of rows": (X, ROWS_MASK, (2, 4)),
    "a mask of columns": (X, (slice(None), A([True, False, False, True])), (3, 2)),
}


def _reading(index: Any) -> Callable:
    return lambda x: x[index]


def _writing(index: Any) -> Callable:
    def write(x: Any, v: Any) -> Any:
        y = x * 1 + 0 * np.sum(v)
        y[index] = v
        return y

    return write


def _values(shape: tuple[int, ...]) -> Any:
    return np.cos(np.arange(1.0, 1.0 + int(np.prod(shape)))).reshape(shape)[()]


def _complex_into_real_parts(x: Any, v: Any) -> Any:
    """A complex buffer that began real: its tangent must be able to hold what is written later."""
    y = x + 0j + 0 * v
    y[1] = 1j * v
    return y


def _real_into_complex(z: Any, v: Any) -> Any:
    y = z * 1 + 0 * v[0]
    y[1] = v
    return y


def _through_views(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    inner = y[1:, ::2][:, ::-1]
    inner[0] = v
    y.T[1] *= 2
    np.reshape(y, (-1,))[4] += v[1]
    inner += inner[::-1]
    return y


def _in_buffers(x: Any) -> Any:
    y = np.zeros_like(x)
    for i in range(x.shape[0]):
        y[i] = x[i] * x[i - 1]
    z = np.zeros((2, *x.shape), like=x)
    z[0], z[1] = x, y
    return z


def _swap(x: Any) -> Any:
    y = x.copy() if hasattr(x, "copy") else x
    y[0], y[1] = y[1] * 2, y[0] * 3
    return y


def _put(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.put(y, [0, 5, 0], v)
    return y


def _put_modes(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.put(y, [13, -14], v[:2], mode="wrap")
    np.put(y, [99, 3], v[0], mode="clip")
    return y


def _put_along_axis(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.put_along_axis(y, A([[0], [2], [1]]), v[:, None], axis=1)
    np.put_along_axis(y, A([[1, 1, 0, 2]]), v[1], axis=0)
    return y


def _put_along_flat(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.put_along_axis(y, A([1, 7, 4]), v, axis=None)
    return y


def _putmask(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.putmask(y, MASK, v)
    return y


def _place(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.place(y, MASK, v)
    return y


def _copyto(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.copyto(y, v[:, None], where=MASK)
    return y


def _fill_diagonal(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.fill_diagonal(y, v)
    return y


def _fill(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * v
    y.fill(v)
    return y * x


def _accumulated(x: Any, v: Any) -> Any:
    y = x * 1 + 0 * np.sum(v)
    np.add.at(y, (A([0, 0, 2]), A([1, 1, 3])), v)
    np.subtract.at(y, A([1, 1]), v[0])
    return y


ROWS: list[Case] = [
    *[Case(f"getitem: {name}", _reading(index), (x,), analytic=True) for name, (x, index) in _READS.items()],
    *[Case(f"setitem: {name}", _writing(index), (x, _values(shape)), analytic=True) for name, (x, index, shape) in _WRITES.items()],
    Case("getitem: complex", lambda z: z[GRID, COLUMNS[:2]] * z[0, 1], (ZX,)),
    Case("setitem: complex", _writing((slice(None), A([1, 1]))), (ZX, A([1j, 2.0]))),
    Case("setitem: complex into what was real", _complex_into_real_parts, (X, V[:4])),
    Case("setitem: real into complex", _real_into_complex, (ZX, V[:4])),
    Case("setitem: a traced mask", lambda x: _writing(x > 0)(x, 2.5), (X,), float32=True),
    Case("setitem: through views", _through_views, (X, V[:2]), analytic=True),
    Case("setitem: buffers made like x", _in_buffers, (X,), analytic=False),
    Case("setitem: a swap", _swap, (V,), analytic=True),
    Case("setitem: a Python list", lambda x: _writing([0, 1])(x, [1.5, 2.5]), (V,), analytic=True),
    Case("getitem: a mask computed from the values", lambda x: x[x > 0] ** 2, (X,), mapped=False),
    Case("getitem: an index computed from the values", lambda x: x[np.argmax(x)] ** 2, (V,)),
    Case("iteration", lambda x: sum(row * k for k, row in enumerate(x, 1)), (X,), analytic=True),
    Case("unpacking", lambda x: (lambda a, b, c: a * b - c)(*x), (X,), analytic=True),
    Case("len", lambda x: x * len(x), (X,), analytic=True),
    # ---- take and its kin
    Case("take", lambda x: np.take(x, [2, 0, 2]), (X,), analytic=True),
    Case("take: axis", lambda x: np.take(x, GRID, axis=-1), (T,), analytic=True),
    Case("take: a scalar index", lambda x: np.take(x, 1, axis=0), (X,), analytic=True),
    Case("take: wrap", lambda x: x.take([7, -9, 1], axis=1, mode="wrap"), (X,), analytic=True),
    Case("take: clip", lambda x: x.take([7, -9, 1], 1, mode="clip"), (X,), analytic=True),
    Case("take_along_axis", lambda x: np.take_along_axis(x, A([[1, 1], [0, 3], [2, 2]]), axis=1), (X,), analytic=True),
    Case("take_along_axis: first axis", lambda x: np.take_along_axis(x, A([[1, 1, 0, 2]]), axis=0), (X,), analytic=True),
    Case("take_along_axis: flat", lambda x: np.take_along_axis(x, A([1, 7, 7]), axis=None), (X,), analytic=True),
    Case("take_along_axis: three dimensions", lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1), (T,)),
    Case(
        "compress",
        lambda x: (np.compress([True, False, True], x, axis=0), x.compress([False, True, True, False], axis=1)),
        (X,),
        analytic=True,
    ),
    Case("extract", lambda x: np.extract(MASK, x), (X,), analytic=True),
    Case("choose", lambda x, y: np.choose(A([[0, 1, 1, 0]] * 3), [x, y]), (X, Y), analytic=True),
    Case("nonzero", lambda x: x[np.nonzero(MASK)] * len(np.nonzero(x)), (X,), mapped=False),
    # ---- put and its kin
    Case("put", _put, (X, V[:3]), analytic=True),
    Case("put: modes", _put_modes, (X, V[:3]), analytic=True),
    Case("put: the method", lambda x: (lambda y: (y.put([1, 2], [3.0, 4.0]), y)[1])(x * 1), (X,), analytic=True),
    Case("put_along_axis", _put_along_axis, (X, V[:3]), analytic=True),
    Case("put_along_axis: flat", _put_along_flat, (X, V[:3]), analytic=True),
    Case("putmask", _putmask, (X, V), analytic=True),
    Case("place", _place, (X, V[:2]), analytic=True),
    Case("copyto", _copyto, (X, V[:3]), analytic=True),
    Case("fill_diagonal", _fill_diagonal, (X, V[:3]), analytic=True),
    Case("fill_diagonal: a scalar", _fill_diagonal, (X, A(0.7)[()]), analytic=True),
    Case("fill", _fill, (X, A(0.7)[()]), analytic=True),
    Case("scatter_add: add.at and subtract.at", _accumulated, (X, V[:3]), analytic=True),
    # ---- choosing
    Case("where", lambda x, y: np.where(MASK, x, y), (X, Y), analytic=True),
    Case("where: a condition of the values", lambda x, y: np.where(x > y, x * y, x + y), (X, Y)),
    Case("where: broadcasting", lambda x, y: np.where(ROWS_MASK[:, None], x, y), (A(0.7)[()], V[:4]), analytic=True),
    Case("where: the condition is larger", lambda x: np.where(ROWS_MASK[:, None], x, 0), (V[:4],), analytic=True),
    Case("where: Python numbers", lambda x: np.where(MASK, x, 1) + np.where(MASK, 2.0, x), (X,), analytic=True),
    Case("where: a list as condition", lambda x: np.where([1, 0, 2, 0], x, -x), (X,), analytic=True),
    Case("where: complex and real", lambda x, z: np.where(MASK, x, z), (X, ZX)),
    Case("where: nonzero", lambda x: x[np.where(x > 0)], (X,), mapped=False),
    Case("select", lambda x, y: np.select([x > 0.5, x > 0], [x * 2, y**2], default=x * y), (X, Y)),
    Case("select: default", lambda x: np.select([MASK], [x]), (X,), analytic=True),
    Case("clip", lambda x: np.clip(x, -0.3, 0.6), (X,)),
    Case("clip: traced bounds", lambda x, low, high: np.clip(x, low, high), (X, A(-0.31)[()], V[:4] + 1)),
    Case("clip: one bound", lambda x: (np.clip(x, None, 0.5), x.clip(-0.3), np.clip(x, a_min=None, a_max=0.4)), (X,)),
    Case("clip: keywords", lambda x: (np.clip(x, min=-0.3), x.clip(max=0.6)), (X,)),
    Case("piecewise", lambda x: np.piecewise(x, [x > 0.5, x < 0], [lambda t: t**2, np.sin, 3.0]), (X,), mapped=False),
    Case("piecewise: one condition", lambda x: np.piecewise(x, x > 0, [np.sin, np.exp]), (V,), mapped=False),
    Case("piecewise: a scalar", lambda x: np.piecewise(x, [x > 0, x <= 0], [np.sin, np.cos]), (A(0.4)[()],), mapped=False),
    Case(
        "piecewise: arguments",
        lambda x: np.piecewise(x, [x > 0], [lambda t, a, b=1: a * t**b, lambda t, a, b=1: a + t], 3.0, b=2),
        (V,),
        mapped=False,
    ),
]
