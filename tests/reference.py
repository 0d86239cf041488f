"""Derivatives that know nothing of dualgrad: they only evaluate a function on plain arrays.

    complex step          f'(x) v = Im f(x + i h v) / h, h = 1e-30: exact to rounding where f is analytic
    central differences   (8 (f(x + hv) - f(x - hv)) - (f(x + 2hv) - f(x - 2hv))) / 12 h + O(h^4)

Each returns (derivative, error): the difference between two step sizes says how far a difference quotient can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[Any]
_STENCIL = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))


def moved(xs: Arrays, v: Arrays, distance: complex) -> list[Any]:
    """x + distance v, scalars staying scalars."""
    return [x + distance * t for x, t in zip(xs, v, strict=True)]


def complex_step(f: Callable[..., Arrays], xs: Arrays, v: Arrays, h: float = 1e-30) -> list[Any]:
    """The derivative along v of a function of real arrays that is analytic and takes complex ones."""
    return [np.imag(y) / h for y in f(*moved(xs, v, 1j * h))]


def central(f: Callable[..., Arrays], xs: Arrays, v: Arrays, h: float) -> list[Any]:
    """The derivative along v by differences of fourth order."""
    terms = [[(weight / h) * y for y in f(*moved(xs, v, k * h))] for k, weight in _STENCIL]
    return [sum(column) for column in zip(*terms, strict=True)]


def _with_error(quotient: Callable[[float], list[Any]], h: float) -> tuple[list[Any], float]:
    coarse, fine = quotient(h), quotient(h / 2)
    error = max((float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(coarse, fine, strict=True)), default=0.0)
    return fine, error


def directional(f: Callable[..., Arrays], xs: Arrays, v: Arrays, analytic: bool = False) -> tuple[list[Any], float]:
    """(d f(x + t v) / dt at 0, its error), for every output of f."""
    if analytic and all(np.isrealobj(x) for x in xs):
        return complex_step(f, xs, v), 0.0
    return _with_error(lambda h: central(f, xs, v, h), 1e-3)


def second(f: Callable[..., Arrays], xs: Arrays, u: Arrays, v: Arrays, analytic: bool = False) -> tuple[list[Any], float]:
    """(d^2 f(x + s u + t v) / ds dt at 0, its error)."""
    if analytic and all(np.isrealobj(x) for x in xs):
        return _with_error(lambda h: central(lambda *ys: complex_step(f, ys, v), xs, u, h), 1e-3)
    return _with_error(lambda h: central(lambda *ys: central(f, ys, v, h), xs, u, h), 6e-3)
