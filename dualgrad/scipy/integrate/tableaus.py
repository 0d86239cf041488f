"""Runge-Kutta methods, explicit or implicit, as three arrays: one step of length h from (t, y) is

    K_i = f(t + c_i h, y + h sum_j a_ij K_j),        y_new = y + h sum_i b_i K_i

SciPy's explicit methods are replayed with their own coefficients; the steps of its implicit and multistep methods (Radau, BDF,
LSODA) as steps of Radau IIA of order 5, whose stages are at c_1, c_2, 1 (Hairer & Wanner, Solving Ordinary Differential
Equations II, sec. IV.5).
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.integrate

_EXPLICIT = scipy.integrate.RK45.__base__  # the class of all explicit methods, also a user's own


class Tableau(NamedTuple):
    """The coefficients of a Runge-Kutta method."""

    A: Any
    b: Any
    c: Any
    explicit: bool

    @property
    def stages(self) -> int:
        return len(self.b)


def _radau() -> Tableau:
    s = np.sqrt(6.0)
    A = np.array([
        [(88 - 7 * s) / 360, (296 - 169 * s) / 1800, (-2 + 3 * s) / 225],
        [(296 + 169 * s) / 1800, (88 + 7 * s) / 360, (-2 - 3 * s) / 225],
        [(16 - s) / 36, (16 + s) / 36, 1 / 9],
    ])  # fmt: skip
    return Tableau(A, A[2], np.array([(4 - s) / 10, (4 + s) / 10, 1.0]), False)


RADAU = _radau()


def tableau_of(solver: Any) -> Tableau:
    """The method that replays the steps of a solver class."""
    if not issubclass(solver, _EXPLICIT):
        return RADAU
    A = np.zeros((len(solver.B), len(solver.B)))
    A[:, : solver.A.shape[1]] = solver.A  # some leave out the last columns, which are zero
    return Tableau(A, solver.B, solver.C, True)


def explicit_step(f: Callable, tableau: Tableau, t: Any, y: Any, h: Any) -> Any:
    """One step of an explicit method; of many at once, for t and h of shape (q,) and y of shape (q, n)."""
    column = h[:, None] if np.ndim(h) else h
    slopes: list[Any] = []
    for weights, c in zip(tableau.A, tableau.c, strict=True):
        slopes.append(f(t + c * h, y + column * _sum(weights, slopes)))
    return y + column * _sum(tableau.b, slopes)


def _sum(weights: Any, slopes: list) -> Any:
    """The sum of weight * slope, without the zeros of the tableau."""
    terms = [float(w) * k for w, k in zip(weights, slopes) if w]  # the weights of later stages are zero
    return sum(terms[1:], terms[0]) if terms else 0.0
