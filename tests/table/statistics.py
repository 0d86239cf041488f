"""Variance, average, covariance, and the reductions that ignore nan."""
from __future__ import annotations

import numpy as np
from table.case import Case

A = np.array
nan = np.nan
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
CUBE = np.linspace(-1.4, 1.7, 24)[np.arange(24) * 7 % 24].reshape(2, 3, 4)  # well apart, so that differences see no tie
N = A([[0.3, nan, 0.55, 1.1], [nan, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
GAP = A([[0.3, nan, 0.55, 1.1], [nan, nan, nan, nan], [1.3, 0.65, -1.2, 0.25]])
Z = A([[0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j], [-0.2 - 0.8j, 0.8 + 0.1j, 0.45j]])
MASK = A([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
WEIGHTS = A([0.5, 1.5, 0.7, 0.2])

ROWS: list[Case] = [
    *[
        row
        for name, f in (("var", np.var), ("std", np.std))
        for row in (
            Case(name, f, (X,)),
            Case(f"{name} axis", lambda x, f=f: f(x, axis=0), (X,)),
            Case(f"{name} ddof", lambda x, f=f: f(x, axis=(0, 2), ddof=1, keepdims=True), (CUBE,)),
            Case(f"{name} correction", lambda x, f=f: f(x, axis=1, correction=1.5), (X,)),
            Case(f"{name} where", lambda x, f=f: f(x, axis=1, where=MASK), (X,)),
            Case(f"{name} dtype", lambda x, f=f: f(x, axis=1, dtype=np.float64), (X,), float32=False),
            Case(f"{name} mean", lambda x, m, f=f: f(x, axis=1, mean=m, keepdims=True), (X, A([[0.1], [0.4], [-0.2]]))),
            Case(f"{name} own mean", lambda x, f=f: f(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)), (X,)),
            Case(f"{name} complex", lambda z, f=f: f(z, axis=0), (Z,)),
        )
    ],
    Case("var method", lambda x: x.var(1, ddof=1), (X,)),
    Case("std method", lambda x: x.std(axis=0), (X,)),
    Case("var of length one", np.var, (A([0.7]),)),
    # ignoring nan
    Case("nansum", np.nansum, (N,)),
    Case("nansum axis", lambda x: np.nansum(x * x, axis=1, keepdims=True), (GAP,)),
    Case("nansum where", lambda x: np.nansum(x, axis=0, where=MASK, initial=1.5), (N,)),
    Case("nanprod", np.nanprod, (N,)),
    Case("nanprod axis", lambda x: np.nanprod(x, axis=1), (GAP,)),
    Case("nanmean", np.nanmean, (N,)),
    Case("nanmean axis", lambda x: np.nanmean(x * x, axis=0, keepdims=True), (N,)),
    Case("nanmean where", lambda x: np.nanmean(x, axis=1, where=MASK), (N,)),
    Case("nanvar", np.nanvar, (N,)),
    Case("nanvar axis", lambda x: np.nanvar(x, axis=1, ddof=1, keepdims=True), (N,)),
    Case("nanvar where", lambda x: np.nanvar(x, axis=1, where=MASK), (N,)),
    Case("nanvar mean", lambda x: np.nanvar(x, axis=1, mean=A([[0.5], [0.5], [0.5]])), (N,)),
    Case("nanstd", np.nanstd, (N,)),
    Case("nanstd axis", lambda x: np.nanstd(x, axis=0), (GAP,)),
    Case("nanmax", np.nanmax, (N,), order=1),
    Case("nanmax axis", lambda x: np.nanmax(np.exp(x), axis=0), (GAP,)),
    Case("nanmin", lambda x: np.nanmin(x, axis=1), (N,), order=1),
    Case("nanmin where", lambda x: np.nanmin(x, axis=1, initial=9.0, where=MASK), (N,), order=1),
    # weights
    Case("average", np.average, (X,), analytic=True),
    Case("average weights", lambda x, w: np.average(x, axis=1, weights=w), (X, WEIGHTS)),
    Case("average all weights", lambda x, w: np.average(x, weights=w, returned=True), (X, np.abs(X))),
    Case("average weights of two axes", lambda x, w: np.average(x, (2, 0), w, True, keepdims=True), (CUBE, np.abs(CUBE[:, 0].T))),
    Case("average returned", lambda x: np.average(x, axis=0, returned=True), (X,)),
    # covariance
    Case("cov", np.cov, (X,), float32=False),
    Case("cov of a vector", np.cov, (X[0],), float32=False),
    Case("cov of two", lambda x, y: np.cov(x, y), (X, X[0] * X[1]), float32=False),
    Case("cov in columns", lambda x, y: np.cov(x, y, rowvar=False, bias=True), (X, X * X), float32=False),
    Case("cov weighted", lambda x, w: np.cov(x, ddof=2, fweights=A([2, 1, 3, 1]), aweights=w), (X, WEIGHTS), float32=False),
    Case("cov repeated", lambda x: np.cov(x, fweights=A([2, 1, 3, 1])), (X,), float32=False),
    Case("cov ddof 0", lambda x, w: np.cov(x, ddof=0, aweights=w), (X, WEIGHTS), float32=False),
    Case("cov dtype", lambda x: np.cov(x, dtype=np.longdouble), (X,), float32=False),
    Case("cov complex", np.cov, (Z,), float32=False),
    Case("corrcoef", np.corrcoef, (X,), float32=False),
    Case("corrcoef of two", lambda x, y: np.corrcoef(x, y, rowvar=False), (X[:, 0], X[:, 1]), float32=False),
    Case("corrcoef complex", np.corrcoef, (Z,), float32=False),
]
