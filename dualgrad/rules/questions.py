"""Questions about values: equal, close, infinite, where.  The answers look at primals and carry no tangent."""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.arrays import plain
from dualgrad.core.primitive import Value
from dualgrad.core.registry import front
from dualgrad.rules.declare import constant


def _array(x: Any) -> Any:
    return x if isinstance(x, Value) else np.asarray(x)


def _question(function: Any) -> None:
    primitive = constant(function)

    @front(function)
    def ask(x: Any) -> Any:
        return primitive(x)


for _function in (np.isneginf, np.isposinf, np.iscomplex, np.isreal):
    _question(_function)

_close = constant(np.isclose, name="isclose")
_close_or_nan = constant(lambda a, b, rtol, atol: np.isclose(a, b, rtol, atol, True), name="isclose or nan")


@front(np.isclose)
def _isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    return (_close_or_nan if equal_nan else _close)(_array(a), _array(b), rtol, atol)


@front(np.allclose)
def _allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> bool:
    return bool(np.all(_isclose(a, b, rtol, atol, equal_nan)))


def _equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    same = np.equal(a1, a2)
    if equal_nan:
        same = np.logical_or(same, np.logical_and(np.isnan(a1), np.isnan(a2)))
    return bool(np.all(same))


@front(np.array_equal)
def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    a1, a2 = _array(a1), _array(a2)
    return a1.shape == a2.shape and _equal(a1, a2, equal_nan)


@front(np.array_equiv)
def _array_equiv(a1: Any, a2: Any) -> bool:
    a1, a2 = _array(a1), _array(a2)
    try:
        np.broadcast_shapes(a1.shape, a2.shape)
    except ValueError:
        return False
    return _equal(a1, a2)


@front(np.flatnonzero)
def _flatnonzero(a: Any) -> Any:
    return np.flatnonzero(plain(a))


@front(np.argwhere)
def _argwhere(a: Any) -> Any:
    return np.argwhere(plain(a))


# ---- indices that depend on a shape alone -----------------------------------------------------------------------------


@front(np.diag_indices_from)
def _diag_indices_from(arr: Any) -> Any:
    return np.diag_indices_from(np.broadcast_to(0, arr.shape))


@front(np.tril_indices_from)
def _tril_indices_from(arr: Any, k: int = 0) -> Any:
    return np.tril_indices(arr.shape[-2], k, arr.shape[-1])


@front(np.triu_indices_from)
def _triu_indices_from(arr: Any, k: int = 0) -> Any:
    return np.triu_indices(arr.shape[-2], k, arr.shape[-1])
