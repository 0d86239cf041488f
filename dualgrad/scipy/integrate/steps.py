"""A run of a SciPy solver: its result, and the steps it accepted.

A subclass of the solver's class notes them, so the solver, its numbers and its counters are SciPy's own.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad.scipy.integrate.levels import Packing
from dualgrad.scipy.integrate.tableaus import Tableau


class Steps(NamedTuple):
    """N accepted steps of a Runge-Kutta method with s stages, in plain (or mapped) numbers."""

    t: Any  # (N + 1,)
    y: Any  # (N + 1, n)
    tableau: Tableau
    slopes: Any  # (N, s, n): the stage slopes of an explicit method, else None
    states: Any  # (N, s, n): the stage states of an implicit one, and
    inside: Callable | None  # inside(k, times): states at times (q, s) in the steps k, of shape (q, s, n)


def stage_times(t: Any, tableau: Tableau) -> Any:
    """The times of the stages of all steps of a grid, (N, s)."""
    return t[:-1, None] + tableau.c * np.diff(t)[:, None]


def evaluated(interpolants: list, times: Any) -> Any:
    """Each interpolant at its own times, (q, s) -> (q, s, n).

    Those of LSODA, whose steps are many and cheap, all together: y(t) = sum_p yh_p ((t - t_new) / h)**p.
    """
    if not all(hasattr(i, "yh") for i in interpolants):
        return np.stack([i(inner).T for i, inner in zip(interpolants, times, strict=True)])
    x = (times - np.array([[i.t] for i in interpolants])) / np.array([[i.h] for i in interpolants])
    history = np.zeros((len(interpolants), len(interpolants[0].yh), max(i.yh.shape[1] for i in interpolants)))
    for row, i in zip(history, interpolants, strict=True):
        row[:, : i.yh.shape[1]] = i.yh
    return np.einsum("qnp,qsp->qsn", history, x[..., None] ** np.arange(history.shape[2]))


class Recorder:
    """What is noted of a run; `solver` is the class to give to scipy.integrate.solve_ivp."""

    def __init__(self, solver: type, tableau: Tableau) -> None:
        recorder = self
        self.tableau = tableau
        self.t: list[Any] = []
        self.y: list[Any] = []
        self.slopes: list[Any] = []  # of an explicit method
        self.interpolants: list[Any] = []  # of an implicit one

        class Recording(solver):
            def step(self) -> Any:
                if not recorder.t:
                    recorder.t.append(self.t)
                    recorder.y.append(self.y)
                message = super().step()
                if self.status != "failed":
                    recorder.accept(self)
                return message

        self.solver = Recording

    def accept(self, solver: Any) -> None:
        """Note the step that the solver has just accepted."""
        if not self.tableau.explicit:
            self.interpolants.append(solver.dense_output())
        elif solver.t == solver.t_old:  # the only step of an interval of length zero
            self.slopes.append(np.tile(solver.f, (self.tableau.stages, 1)))
        else:
            self.slopes.append(solver.K[: self.tableau.stages].copy())
        self.t.append(solver.t)
        self.y.append(solver.y)

    def steps(self, packing: Packing) -> Steps:
        """All accepted steps."""
        t, y = np.array(self.t), np.array(self.y)
        shape = len(t) - 1, self.tableau.stages
        y = packing.states(y, (len(t),))
        if self.tableau.explicit or len(t) == 1:
            slopes = np.reshape(self.slopes, (*shape, -1)) if self.slopes else np.zeros((*shape, 1))
            return Steps(t, y, self.tableau, packing.states(slopes, shape), None, None)
        inside = lambda k, times: packing.states(evaluated([self.interpolants[i] for i in k], times), np.shape(times))
        return Steps(t, y, self.tableau, None, inside(range(shape[0]), stage_times(t, self.tableau)), inside)
