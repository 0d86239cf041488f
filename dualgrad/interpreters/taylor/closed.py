"""Slopes that close on themselves, for elementwise functions whose own slope begins a new function at every order.

    z = x**p             p x**(p - 1), where w = x**(p - 1) has the slope (p - 1) w / x
    z = log(e**x + e**y) p = e**(x - z) and q = e**(y - z), where p' = p q (x' - y') = -q'

With them k orders take O(k**2); the slopes in the table, which are right at x = 0 too, would take O(k**3).
"""
from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core.arrays import any_true
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import UFUNCS


@functools.cache
def closed_slopes(primitive: Primitive) -> tuple[Callable, ...]:
    """The slopes to expand a primitive with."""
    slopes: Any = primitive.slopes
    if primitive in (UFUNCS[np.power], UFUNCS[np.float_power]):
        return _power_base(slopes[0]), slopes[1]
    if primitive in (UFUNCS[np.logaddexp], UFUNCS[np.logaddexp2]):
        share = _share(primitive, 1 if primitive is UFUNCS[np.logaddexp] else math.log(2))
        return lambda _z, x, y: share(x, y), lambda _z, x, y: share(y, x)
    return slopes


def _power_base(slope: Callable) -> Callable:
    """d x**p / dx.  A natural number p needs no other slope: its own end at order p, and they are exact at 0."""
    away_from_zero = _elementwise("power away from 0", operator.pow, lambda w, x, p: p * w / x, lambda w, x, _p: w * np.log(x))

    def closed(z: Any, x: Any, p: Any) -> Any:
        return slope(z, x, p) if _is_natural(p) or any_true(np.equal(x, 0)) else p * away_from_zero(x, p - 1)

    return closed


def _is_natural(p: Any) -> bool:
    return not isinstance(p, Value) and np.ndim(p) == 0 and np.result_type(p).kind in "iuf" and p >= 0 and p % 1 == 0


def _elementwise(name: str, function: Callable, *slopes: Callable) -> Primitive:
    """A primitive of this interpreter alone, made when it is first needed."""
    return Primitive(name, function, "elementwise", slopes=slopes)


def _share(logadd: Primitive, rate: float) -> Primitive:
    """p = e**x / (e**x + e**y), or to base 2; the share of y is q = 1 - p, without cancellation."""
    first = logadd.slopes[0]  # type: ignore[index]
    share = _elementwise(
        f"share of {logadd.name}",
        lambda x, y: first(logadd.function(x, y), x, y),
        lambda p, x, y: rate * p * share(y, x),
        lambda p, x, y: -rate * p * share(y, x),
    )
    return share
