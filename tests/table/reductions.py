"""Sums, means, products, extrema, logaddexp and the constant reductions: axis, keepdims, where, initial, dtype, empty and 0-d."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

A = np.array
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
CUBE = np.linspace(-1.4, 1.7, 24)[np.arange(24) * 7 % 24].reshape(2, 3, 4)  # well apart, so that differences see no tie
ZEROS = A([[0.3, 0.0, 0.55, 1.1], [0.0, 0.8, 0.0, 0.9], [1.3, 0.65, -1.2, 0.25]])
Z = A([[0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j], [-0.2 - 0.8j, 0.8 + 0.1j, 0.45j]])
MASK = A([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
ROW_MASK = A([True, False, True, True])
VECTOR = A([0.4, -1.3, 0.9, 0.2, 1.7])
SCALAR = np.float64(0.7)


def _forms(name: str, f: Any, **more: Any) -> list[Case]:
    """The ways every reduction may be called."""
    return [
        Case(name, f, (X,), **more),
        Case(f"{name} axis=0", lambda x: f(x, axis=0), (X,), **more),
        Case(f"{name} axis=-1 keepdims", lambda x: f(x, axis=-1, keepdims=True), (CUBE,), **more),
        Case(f"{name} axis tuple", lambda x: f(x, axis=(2, -3)), (CUBE,), **more),
        Case(f"{name} axis tuple keepdims", lambda x: f(x, axis=(0, 2), keepdims=True), (CUBE,), **more),
        Case(f"{name} axis=()", lambda x: f(x, axis=()), (X,), **more),
        Case(f"{name} of a scalar", f, (SCALAR,), **more),
        Case(f"{name} of length one", lambda x: f(x, axis=0), (X[:1],), **more),
    ]


def _reduce(ufunc: Any, **more: Any) -> list[Case]:
    name = f"{ufunc.__name__}.reduce"
    return [
        Case(name, ufunc.reduce, (X,), **more),
        Case(f"{name} axis=None", lambda x: ufunc.reduce(x, axis=None), (X,), **more),
        Case(f"{name} keepdims", lambda x: ufunc.reduce(x, axis=1, keepdims=True), (X,), **more),
        Case(f"{name} initial", lambda x: ufunc.reduce(x, axis=1, initial=0.5), (X,), **more),
        Case(f"{name} where", lambda x: ufunc.reduce(x, axis=1, initial=0.1, where=MASK), (X,), **more),
        Case(f"{name} dtype", lambda x: ufunc.reduce(x, dtype=np.float64), (X,), float32=False, **{**more, "analytic": False}),
    ]


ROWS: list[Case] = [
    *_forms("sum", np.sum, analytic=True),
    Case("sum where", lambda x: np.sum(x, where=MASK), (X,), analytic=True),
    Case("sum where broadcast", lambda x: np.sum(x, axis=0, where=ROW_MASK, initial=2.0), (X,), analytic=True),
    Case("sum where traced mask", lambda x: np.sum(x * x, axis=1, where=np.greater(np.real(x), 0)), (X,)),
    Case("sum dtype", lambda x: np.sum(x, dtype=np.longdouble), (X,), float32=False),
    Case("sum complex", lambda z: np.sum(z * z, axis=0), (Z,), analytic=True),
    Case("sum method", lambda x: x.sum(1, keepdims=True) * x, (X,), analytic=True),
    Case("sum empty", lambda x: np.sum(x[:0], axis=0) + x[0], (X,), analytic=True),
    Case("sum initial traced", lambda x, s: np.sum(x * s, initial=s), (VECTOR, SCALAR), analytic=True),
    *_reduce(np.add, analytic=True),
    *_forms("mean", np.mean, analytic=True),
    Case("mean where", lambda x: np.mean(x, axis=1, where=MASK, keepdims=True), (X,), analytic=True),
    Case("mean where, everything", lambda x: np.mean(x, where=ROW_MASK), (X,), analytic=True),
    Case("mean dtype", lambda x: np.mean(x, dtype=np.float64), (X,), float32=False),
    Case("mean method", lambda x: x.mean(0) * x, (X,), analytic=True),
    Case("mean complex", lambda z: np.mean(z * z, axis=0), (Z,), analytic=True),
    *_forms("prod", np.prod, analytic=True),
    Case("prod with zeros", lambda x: np.prod(x, axis=1), (ZEROS,), analytic=True),
    Case("prod with two zeros", np.prod, (ZEROS,), analytic=True),
    Case("prod where", lambda x: np.prod(x, axis=0, where=MASK, initial=1.5), (X,), analytic=True),
    Case("prod odd length", np.prod, (VECTOR,), analytic=True),
    Case("prod dtype", lambda x: np.prod(x, dtype=np.float64), (VECTOR,), float32=False),
    Case("prod method", lambda x: x.prod(axis=(0, 1)), (CUBE[..., :2],), analytic=True),
    Case("prod complex", lambda z: np.prod(z, axis=1), (Z,), analytic=True),
    Case("prod empty", lambda x: np.prod(x[:0], axis=0) * x[0], (X,), analytic=True),
    *_reduce(np.multiply, analytic=True),
    *_forms("max", np.max, order=1),
    *_forms("min", np.min, order=1),
    Case("max of something", lambda x: np.max(np.exp(x), axis=0), (X,)),
    Case("min of something", lambda x: np.min(np.exp(x), axis=1, keepdims=True) * x, (X,)),
    Case("amax", lambda x: np.amax(x, 1), (X,), order=1),
    Case("amin", lambda x: np.amin(x, 1), (X,), order=1),
    Case("max initial", lambda x: np.max(x, axis=0, initial=0.6), (X,), order=1),
    Case("max where", lambda x: np.max(x, axis=0, initial=-9.0, where=MASK), (X,), order=1),
    Case("min where", lambda x: np.min(x, initial=9.0, where=ROW_MASK), (X,), order=1),
    Case("max initial traced", lambda x, s: np.max(x * s, axis=0, initial=s), (X, SCALAR), order=1),
    Case("max where initial traced", lambda x, s: np.max(x * s, axis=0, initial=s, where=MASK), (X, SCALAR), order=1),
    Case("max empty initial", lambda x: np.max(x[:0], axis=0, initial=2.0) + x[0], (X,), order=1),
    Case("max method", lambda x: x.max(axis=-1), (CUBE,), order=1),
    Case("min method", lambda x: x.min(), (CUBE,), order=1),
    Case("max complex", lambda z: np.max(z, axis=0), (Z,), order=1),
    *_reduce(np.maximum, order=1),
    *_reduce(np.minimum, order=1),
    *_reduce(np.fmax, order=1),
    *_reduce(np.fmin, order=1),
    Case("ptp", np.ptp, (X,), order=1),
    Case("ptp axis", lambda x: np.ptp(np.exp(x), axis=(0, 2), keepdims=True), (CUBE,)),
    *_reduce(np.logaddexp),
    *_reduce(np.logaddexp2),
    Case("logaddexp.reduce axis tuple", lambda x: np.logaddexp.reduce(x, axis=(0, -1)), (CUBE,)),
    Case("hypot.reduce", np.hypot.reduce, (X,)),
    Case("hypot.reduce axis=None", lambda x: np.hypot.reduce(x, axis=None, initial=0.5), (X,)),
    Case("hypot.reduce where", lambda x: np.hypot.reduce(x, axis=1, where=MASK, keepdims=True), (X,)),
    Case("any", lambda x: x * np.any(x > 0.5, axis=0), (X,), order=1),
    Case("all", lambda x: x * np.all(x > -1, axis=1, keepdims=True), (X,), order=1),
    Case("any of floats", lambda x: x * np.any(x, axis=1, keepdims=True, where=MASK), (X,), order=1),
    Case("any method", lambda x: x * x.any(), (X,), order=1),
    Case("all method", lambda x: x * x.all(axis=-1, keepdims=True), (X,), order=1),
    Case("all where", lambda x: x * np.all(x, where=ROW_MASK), (X,), order=1),
    Case("logical_or.reduce", lambda x: x * np.logical_or.reduce(x, axis=0), (X,), order=1),
    Case("logical_and.reduce", lambda x: x * np.logical_and.reduce(x, axis=1, keepdims=True), (X,), order=1),
    Case("count_nonzero", lambda x: x * np.count_nonzero(x, axis=0), (X,), order=1),
    Case("count_nonzero of all", lambda x: x * np.count_nonzero(np.floor(x)), (X,), order=1),
]
