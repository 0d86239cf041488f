"""Buffers that can hold traced values, arrays of traced scalars, ranges between traced ends, and questions about dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

A = np.array
V = A([0.3, -0.7, 0.55])
X = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45]])
S = A(0.4)[()]
R = A(1.3)[()]
Z = X + 1j * X[::-1]


def _filled(make: Any) -> Any:
    """A function that writes its argument into the middle of a new buffer."""

    def f(x: Any) -> Any:
        buffer = make(x)
        buffer[1] = x[0] * x[1]
        buffer += x[1]
        return buffer

    return f


def _empty(x: Any) -> Any:
    buffer, other = np.empty((2, 3), like=x), np.empty_like(x)
    buffer[...], other[...] = x**2, 2 * x
    return buffer * other


def _kinds(x: Any) -> Any:
    assert np.iscomplexobj(x + 0j) and not np.iscomplexobj(x) and np.isrealobj(x)
    assert np.result_type(x, np.complex64) == (x.dtype.type(0) + np.complex64(0)).dtype and np.common_type(x) == x.dtype
    assert np.can_cast(x, np.longdouble) and np.min_scalar_type(x) == x.dtype and np.iterable(x)
    assert np.zeros_like(x, dtype=int).dtype == int and np.arange(3, like=x).dtype == int
    return x**2


ROWS: list[Case] = [
    Case("zeros_like", _filled(np.zeros_like), (X,), analytic=True),
    Case("ones_like", _filled(np.ones_like), (X,), analytic=True),
    Case("full_like", lambda x, s: _filled(lambda y: np.full_like(y + 0 * s, s))(x) + np.full_like(x, 2.0, shape=(2, 1)), (X, S)),
    Case("empty_like", _empty, (X,), analytic=False),
    Case("zeros with like", _filled(lambda x: np.zeros((2, 3), x.dtype, like=x)), (X,), analytic=True),
    Case("ones with like", _filled(lambda x: np.ones((2, 3), x.dtype, like=x)), (X,), analytic=True),
    Case("full with like", lambda x, s: _filled(lambda y: np.full((2, 3), s, x.dtype, like=x + s))(x), (X, S)),
    Case("eye with like", _filled(lambda x: np.eye(3, dtype=x.dtype, like=x) * 1), (V,), analytic=True),
    Case("array with like", lambda x: np.array([[x[0, 0], 1.0], [2.0, x[1, 1] ** 2]], like=x), (X,), analytic=True, float32=True),
    Case(
        "array with like: rows",
        lambda x: np.asarray([x[0], x[1] * 2, [1.0, 2.0, 3.0]], like=x) ** 2,
        (X,),
        analytic=True,
        float32=False,
    ),
    Case("array with like: constants", lambda x: np.array([1.0, 2.0, 3.0], like=x) * x, (X,), analytic=True),
    Case("linspace", lambda s, r: np.linspace(s, r, 5) ** 2, (S, R), analytic=True, float32=False),
    Case("linspace: without the end", lambda s, r: np.linspace(s, r, 4, endpoint=False) ** 2, (S, R), analytic=True, float32=False),
    Case("linspace: arrays", lambda x, r: np.linspace(x, r, 3, axis=1) ** 2, (X, R), analytic=True, float32=False),
    Case("linspace: the step", lambda s, r: np.linspace(s, r, 5, retstep=True), (S, R), analytic=True, float32=False),
    Case("linspace: one point", lambda s, r: np.linspace(s, r, 1), (S, R), analytic=True, float32=False),
    Case("questions about kinds", _kinds, (X,)),
    Case("zeros_like: complex", _filled(np.zeros_like), (Z,)),
]
