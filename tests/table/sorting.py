"""Sorting, partitioning, positions, searches: the elements move, the order is a constant."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

A = np.array
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
N = A([[0.3, np.nan, 0.55, 1.1], [np.nan, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
CUBE = np.linspace(-1.4, 1.7, 24)[np.arange(24) * 7 % 24].reshape(2, 3, 4)  # well apart, so that differences see no tie
Z = A([[0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j], [-0.2 - 0.8j, 0.8 + 0.1j, 0.45j]])
TABLE = A([-1.0, 0.0, 0.5, 1.0])


def _in_place(method: str, *args: Any, **kwargs: Any) -> Any:
    def f(x: Any) -> Any:
        y = x * x
        assert getattr(y, method)(*args, **kwargs) is None
        return y

    return f


ROWS: list[Case] = [
    Case("sort", np.sort, (X,), order=1),
    Case("sort axis", lambda x: np.sort(np.exp(x), axis=0), (X,)),
    Case("sort axis=None", lambda x: np.sort(np.exp(x), axis=None), (X,)),
    Case("sort stable", lambda x: np.sort(np.exp(x), axis=-2, stable=True), (CUBE,)),
    Case("sort kind", lambda x: np.sort(x, 1, "heapsort"), (CUBE,), order=1),
    Case("sort complex", lambda z: np.sort(z * z, axis=1), (Z,), analytic=True),
    Case("sort method", _in_place("sort", axis=0), (X,)),
    Case("argsort", lambda x: np.take_along_axis(np.exp(x), np.argsort(x, axis=0), 0), (X,)),
    Case("argsort method", lambda x: x.argsort(axis=None, kind="stable") * np.sum(x), (X,), order=1),
    Case("partition", lambda x: np.partition(np.exp(x), 2), (X,)),
    Case("partition axis=None", lambda x: np.partition(x, (3, 7), axis=None), (X,), order=1),
    Case("partition method", _in_place("partition", 1, axis=0), (X,)),
    Case("argpartition", lambda x: np.take_along_axis(np.exp(x), np.argpartition(x, 1, axis=1), 1), (X,)),
    Case("argpartition method", lambda x: x.argpartition(1, axis=0) * x, (X,), order=1),
    Case("lexsort", lambda x: x[0] * np.lexsort((x[1], x[2])), (X,), order=1),
    Case("lexsort axis", lambda x: x * np.lexsort((x, -x), axis=0), (X,), order=1),
    Case("argmax", lambda x: x * np.argmax(x), (X,), order=1),
    Case("argmax axis", lambda x: x * np.argmax(x, axis=-1, keepdims=True), (CUBE,), order=1),
    Case("argmax method", lambda x: x * x.argmax(0), (X,), order=1),
    Case("argmin", lambda x: x * np.argmin(x, axis=0), (X,), order=1),
    Case("argmin keepdims", lambda x: x * np.argmin(x, keepdims=True), (X,), order=1),
    Case("argmin method", lambda x: x * x.argmin(), (X,), order=1),
    Case("nanargmax", lambda x: np.where(np.isnan(x), 0, x) * np.nanargmax(x, axis=0), (N,), order=1),
    Case("nanargmin", lambda x: np.where(np.isnan(x), 0, x) * np.nanargmin(x, axis=1, keepdims=True), (N,), order=1),
    Case("searchsorted", lambda x: x * np.searchsorted(TABLE, x), (X,), order=1),
    Case("searchsorted table", lambda x, t: x * np.searchsorted(t, x[0, 0], side="right"), (X, TABLE), order=1),
    Case("searchsorted sorter", lambda x: x * np.searchsorted(TABLE[::-1], x, sorter=A([3, 2, 1, 0])), (X,), order=1),
    Case("searchsorted method", lambda t: t * t.searchsorted(0.7), (TABLE,), order=1),
    Case("digitize", lambda x: x * np.digitize(x, TABLE, right=True), (X,), order=1),
    Case("digitize bins", lambda x, t: x * np.digitize(x, t), (X, TABLE), order=1),
    Case("unique", lambda x: np.unique(np.exp(x)), (X,), mapped=False),
    Case("unique with indices", lambda x: np.unique(x, True, True, True), (X,), order=1, mapped=False),
    Case("unique axis", lambda x: np.unique(np.exp(x), axis=0), (X,), mapped=False),
]
