"""Differences, gradients, integrals, interpolation, cross products, sinc, angles, rounding, functions of slices."""
from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from table.case import Case

A = np.array
X = A([[0.3, -0.7, 0.55, 1.2], [-0.2, 0.8, -0.45, 0.1], [1.4, 0.05, -0.9, 0.6]])
V = A([0.3, -0.7, 0.55, 1.2, -0.4])
Z = A([0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j, -0.2 - 0.8j])
T = A([0.0, 1.0, 1.5, 3.0])  # coordinates
XP, FP = A([0.0, 1.0, 1.75, 3.0]), A([0.4, -1.0, 0.3, 0.8])
Q = A([0.3, 1.2, 2.9, -1.0, 4.0])
LEFT, RIGHT = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45]]), A([[1.1, 0.4, -0.6], [0.5, -0.3, 0.9]])


def _quiet(f: Any) -> Any:
    """NumPy deprecates what f does, before it drops it."""

    def call(*args: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return f(*args)

    return call


def _sampled(name: str, f: Any, *args: Any) -> Case:
    """A row with constants of double precision inside."""
    return Case(name, f, args, analytic=True, float32=False)


ROWS: list[Case] = [
    Case("diff", np.diff, (X,), analytic=True),
    Case("diff: n=2, axis=0", lambda x: np.diff(x, 2, 0), (X,), analytic=True),
    Case("diff: n=0", lambda x: np.diff(x, 0), (X,), analytic=True),
    Case("diff: n=3, prepend", lambda x: np.diff(x, n=3, axis=1, prepend=0.0), (X,), analytic=True),
    Case("diff: prepend and append traced", lambda x, p, a: np.diff(x, prepend=p, append=a),
         (X, X[:, :1] * 2, A(0.3)[()]), analytic=True),
    Case("diff: complex", np.diff, (Z,), analytic=True),
    Case("ediff1d", np.ediff1d, (X,), analytic=True),
    Case("ediff1d: ends", lambda x, e: np.ediff1d(x, to_end=e, to_begin=x[0, :2]), (X, A([1.0, 2.0]))),
    Case("gradient", np.gradient, (V,), analytic=True),
    Case("gradient: a spacing", lambda x, h: np.gradient(x, h), (V, A(0.7)[()])),
    Case("gradient: edge_order=2", lambda x, h: np.gradient(x, h, edge_order=2), (V, A(0.7)[()])),
    Case("gradient: all axes", lambda x: np.gradient(x), (X,), analytic=True),
    Case("gradient: coordinates", lambda x, h, t: np.gradient(x, h, t), (X, A(0.7)[()], T)),
    Case("gradient: coordinates, edge_order=2", lambda x, t: np.gradient(x, t, axis=1, edge_order=2), (X, T)),
    Case("gradient: axis=-1", lambda x: np.gradient(x, 2.0, axis=-1), (X,), analytic=True),
    Case("gradient: axes", lambda x: np.gradient(x, 2.0, 0.5, axis=(1, 0)), (X,), analytic=True),
    Case("gradient: only the coordinates", lambda t: np.gradient(X, t, axis=1, edge_order=2), (T,), float32=False),
    Case("gradient: complex", np.gradient, (Z,), analytic=True),
    Case("trapezoid", np.trapezoid, (X,), analytic=True),
    Case("trapezoid: dx, axis=0", lambda y, d: np.trapezoid(y, dx=d, axis=0), (X, A(0.3)[()]), analytic=True),
    Case("trapezoid: x", np.trapezoid, (X, T), analytic=True),
    Case("trapezoid: x of the shape of y", lambda y, x: np.trapezoid(y, x, axis=0), (X, X[::-1] * 2), analytic=True),
    _sampled("trapezoid: only x", lambda x: np.trapezoid(X, x), T),
    Case("interp", np.interp, (Q, XP, FP), float32=False),
    Case("interp: a scalar", np.interp, (A(0.3)[()], XP, FP), float32=False),
    Case("interp: a matrix, left and right", lambda x, xp, fp: np.interp(x, xp, fp, left=2.0, right=-1.0),
         (A([[0.3, 4.0], [-1.0, 2.2]]), XP, FP), float32=False),
    Case("interp: left and right traced", lambda x: np.interp(x, XP, FP, left=x[0], right=x[1] * 2), (Q,), float32=False),
    Case("interp: period", lambda x, xp, fp: np.interp(x, xp, fp, period=3.5), (Q, A([0.1, 2.2, 1.0, 3.0]), FP), float32=False),
    Case("interp: complex values", lambda x, fp: np.interp(x, XP, fp), (Q, Z), float32=False),
    Case("interp: one point", np.interp, (Q, XP[:1], FP[:1]), float32=False),
    Case("cross", np.cross, (LEFT, RIGHT), analytic=True),
    Case("cross: a vector and a stack", np.cross, (LEFT[0], RIGHT), analytic=True),
    Case("cross: axes", lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), (LEFT.T, RIGHT), analytic=True),
    Case("cross: axis", lambda a, b: np.cross(a, b, axis=0), (LEFT.T, RIGHT.T), analytic=True),
    Case("cross: a list", lambda b: np.cross([1.0, 2.0, 3.0], b), (RIGHT,), analytic=True, float32=False),
    Case("linalg.cross", np.linalg.cross, (LEFT, RIGHT), analytic=True),
    Case("linalg.cross: axis", lambda a, b: np.linalg.cross(a, b, axis=0), (LEFT.T, RIGHT.T), analytic=True),
    Case("sinc", np.sinc, (X,)),
    Case("sinc: near and at 0", np.sinc, (A([0.0, 1e-9, -1e-3, 1.0]),)),
    Case("sinc: far", np.sinc, (A([20.3, -7.1]),)),
    Case("sinc: complex", np.sinc, (Z,), float32=False),
    Case("angle", np.angle, (Z,)),
    Case("angle: degrees", lambda z: np.angle(z, deg=True), (Z,)),
    Case("angle: real", np.angle, (X,)),
    Case("unwrap", np.unwrap, (X * 9,)),
    Case("unwrap: axis=0, period", lambda p: np.unwrap(p, axis=0, period=3.0), (X * 8,)),
    Case("nan_to_num", np.nan_to_num, (X,)),
    Case("nan_to_num: values", lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0), (X,)),
    Case("nan_to_num: complex", np.nan_to_num, (Z,)),
    Case("round and fix", lambda x: (np.round(x, 1), np.around(x), x.round(), _quiet(np.fix)(x)), (X + 0.012,), order=1),
    Case("apply_along_axis", lambda x: np.apply_along_axis(lambda row: np.sum(row * row), 0, x), (X,), analytic=True),
    Case("apply_along_axis: vectors", lambda x: np.apply_along_axis(np.cumsum, 1, x), (X,), analytic=True),
    Case("apply_along_axis: matrices", lambda x: np.apply_along_axis(lambda row: np.outer(row, row), 0, x), (X,), analytic=True),
    Case("apply_over_axes", lambda x: np.apply_over_axes(np.sum, x, [0, 1]), (X,), analytic=True),
    Case("ndarray.clip with traced bounds", lambda x: A([1.0, 2.0]).clip(0.0, x), (A([1.5, 2.5]),), float32=False),
    Case("isclose and its kin", lambda x: (
        x, np.isclose(x, 0.3), np.isclose(x, x, equal_nan=True), np.isneginf(x), np.isposinf(x), np.isreal(x), np.iscomplex(x),
    ), (V,)),
    Case("decisions about an array", lambda x: (
        x, np.allclose(x, x), np.array_equal(x, x), np.array_equal(x, x[1:]), np.array_equiv(x, x[:2]),
        np.flatnonzero(x), np.argwhere(x),
    ), (V,), mapped=False),
    Case("indices from a shape", lambda x: (x, np.diag_indices_from(x), np.tril_indices_from(x), np.triu_indices_from(x)),
         (X[:, :3],)),
]  # fmt: skip

if np.lib.NumpyVersion(np.__version__) < "2.5.0":  # vectors of two components, which NumPy 2.5 refuses
    ROWS += [
        Case("cross: 2 and 2", _quiet(np.cross), (LEFT[:, :2], RIGHT[:, 1:]), analytic=True),
        Case("cross: 2 and 3", _quiet(np.cross), (LEFT[:, :2], RIGHT), analytic=True),
        Case("cross: 3 and 2", _quiet(np.cross), (LEFT, RIGHT[0, :2]), analytic=True),
    ]
