"""Convolution and correlation in all modes, either operand the shorter; polynomials."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

V = np.array([0.3, -0.7, 0.55, 1.2, -0.4])
Z = np.array([0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j, -0.2 - 0.8j])
X = np.array([[0.3, -0.7], [0.55, 1.2]])


def _mode(f: Any, mode: str) -> Any:
    return lambda a, v: f(a, v, mode)


ROWS: list[Case] = [
    *(
        Case(f"{f.__name__}: {mode}, {n} and {m}", _mode(f, mode), (V[:n], V[-m:] * 1.1), analytic=f is np.convolve)
        for f in (np.convolve, np.correlate)
        for mode in ("full", "same", "valid")
        for n, m in ((5, 3), (2, 5), (4, 4), (1, 2))
    ),
    *(
        Case(f"{f.__name__}: {mode}, complex", _mode(f, mode), (Z, 1j * Z[:3]), analytic=f is np.convolve)
        for f in (np.convolve, np.correlate)
        for mode in ("full", "same", "valid")
    ),
    Case("convolve: a list", lambda a: np.convolve(a, [1.0, 2.0]), (V,), analytic=True, float32=False),
    Case("convolve: real with complex", np.convolve, (V, Z)),
    Case("polyval", np.polyval, (V, X), analytic=True),
    Case("polyval: at a number", lambda p: np.polyval(p, 2.0), (V,), analytic=True, float32=False),
    Case("polyval: of a list", lambda x: np.polyval([1.0, 2.0, 3.0], x), (X,), analytic=True, float32=False),
    Case("polyadd", np.polyadd, (V, V[:2] * 2), analytic=True),
    Case("polysub", np.polysub, (V[:2] * 2, V), analytic=True),
    Case("polymul", np.polymul, (V[:3], V[2:]), analytic=True),
    Case("polymul: leading zeros", lambda p: np.polymul(p, [0.0, 0.0, 1.0, 2.0]), (V,), analytic=True, float32=False),
    Case("polyder", lambda p: np.polyder(p, 2), (V,), analytic=True, float32=False),
    Case("polyint", lambda p: np.polyint(p, 2, p[:2]), (V,), analytic=True, float32=False),
    Case("polyint: no constants", np.polyint, (V,), analytic=True, float32=False),
    Case("polyint: one constant", lambda p: np.polyint(p, 2, k=1.0), (V,), analytic=True, float32=False),
]
