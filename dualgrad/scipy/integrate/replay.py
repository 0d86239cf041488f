"""The steps a solver took, again, as a differentiable function of everything they depend on: the discrete adjoint.

The grid and its states y_k* are SciPy's, plain numbers.  They solve the equations of a Runge-Kutta method, explicit or implicit,

    K = f(t_k + c h_k, Y),    Y = y_k + h_k A K + constant,    y_(k+1) = y_k + h_k b K + constant

exactly, with constants of the size of rounding for an explicit method and of the tolerance for another (the *defects*: SciPy's
BDF is not Radau's method).  Frozen constants have no derivative, so that of the solution follows from the equations alone.
All steps at once are corrected by Newton's method in the ring of derivatives: with all Jacobians J taken at the plain solution,

    (I - h J A) dK = J dy + rho,     dy_(k+1) = M_k dy_k + W_k rho_k + sigma_k,     M = I + W J,   W = h b (I - h J A)^-1

rho and sigma the traced residuals, each round is right to one more order of derivatives.  A round is one evaluation of f mapped
over all stages of all steps, a few matrix products and a recurrence: neither f nor the tape see single steps.

Where that does not pay (large states), or cannot be (f branches on the state), steps of an explicit method are taken one by one.
Long runs are cut into segments, each a `checkpoint`: of the residuals on a tape, one segment's exist at a time.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.rules.creation import stacked
from dualgrad.rules.elementwise import valued
from dualgrad.scipy.integrate.levels import order, primal, silent
from dualgrad.scipy.integrate.steps import Steps
from dualgrad.scipy.integrate.tableaus import Tableau, explicit_step
from dualgrad.transforms.checkpoint import checkpoint
from dualgrad.transforms.pushforward import jvp
from dualgrad.transforms.vectorize import vmap

WIDTH = 96  # s * n up to which all stages are solved at once
SEGMENT = 1024  # steps that stay on the tape


class Field:
    """f(t, y) at many points, t of shape (q,) and y of shape (q, n): mapped over them, or one by one where f cannot be mapped."""

    def __init__(self, f: Callable) -> None:
        self.f, self.mapped = f, True

    def __call__(self, t: Any, y: Any) -> Any:
        if self.mapped:
            try:
                return vmap(lambda t, y: stacked(self.f(t, y)))(t, y)
            except (errors.DualgradError, ValueError):  # a branch on t or y, float(t), a function that cannot be mapped
                self.mapped = False
        return np.stack([stacked(self.f(t[i], y[i])) for i in range(np.shape(t)[0])])

    def linearized(self, t: Any, y: Any) -> tuple[Any, Any]:
        """f and df/dy at all points, of shapes (q, n) and (q, n, n)."""
        along = lambda v: jvp(lambda y: self(t, y), (y,), (np.broadcast_to(v, y.shape),))
        f, columns = vmap(along, out_axes=(None, 0))(np.eye(y.shape[-1]))
        return f, np.moveaxis(columns, 0, -1)


class Replay:
    """The accepted steps with their derivatives.  `t`: the grid, traced at the ends that are; `start`: the state at t[0]."""

    def __init__(self, f: Callable, args: tuple, primal_args: tuple, steps: Steps, t: Any, start: Any) -> None:
        self.f, self.args, self.steps, self.t = f, args, steps, t
        plain = self._field(primal_args)
        self.linearized = silent(plain.linearized)
        count, stages, n = len(steps.t) - 1, steps.tableau.stages, steps.y.shape[1]
        self.at_once = not steps.tableau.explicit or (stages * n <= WIDTH and steps.y.dtype.kind != "c" and self._mappable(plain))
        if self.at_once:
            self.size = max(1, min(SEGMENT, 2 * 10**6 // (stages * n) ** 2))  # inverses of 16 MB at most
        else:
            self.size = max(16, math.isqrt(count))
        self.states = self._propagated(start)

    def _field(self, args: tuple) -> Field:
        f = self.f
        return Field(lambda t, y: f(t, y, *args))

    def _mappable(self, plain: Field) -> bool:
        silent(plain)(self.steps.t[:1], self.steps.y[:1])
        return plain.mapped

    def _propagated(self, start: Any) -> Any:
        """The states at all grid points."""
        advance = self._all_at_once if self.at_once else self._one_by_one
        size, count = self.size, len(self.steps.t) - 1
        if count == 0:  # the first step has failed
            return start[None]
        if count <= size:
            return advance(0, count, start, self.t, self.args)
        found = [start[None]]
        for first in range(0, count, size):
            segment = checkpoint(lambda y, t, args, first=first: advance(first, min(first + size, count), y, t, args)[1:])
            found.append(segment(found[-1][-1], self.t, self.args))
        return np.concatenate(found)

    # ---- the chain of steps ------------------------------------------------------------------------------------------
    def _one_by_one(self, first: int, last: int, start: Any, t: Any, args: tuple) -> Any:
        y, f, found = start, self.f, [start]
        for k in range(first, last):
            y = explicit_step(lambda t, y: stacked(f(t, y, *args)), self.steps.tableau, t[k], y, t[k + 1] - t[k])
            y = valued(self.steps.y[k + 1], y)
            found.append(y)
        return np.stack(found)

    def _all_at_once(self, first: int, last: int, start: Any, t: Any, args: tuple) -> Any:
        field, y = self._field(args), self.steps.y[first : last + 1]
        t, h = t[first:last], np.diff(t[first : last + 1])
        stages = self._chained(slice(first, last), np.diff(self.steps.t[first : last + 1]))
        dy, dk, done = np.zeros_like(y), np.zeros_like(stages.slopes), 0
        while True:
            rho = stages.residual(field, t, dy[:-1], h, dk)
            sigma = dy[:-1] + stages.increments(h, dk) - dy[1:]
            sources = np.concatenate([(start - y[0] - dy[0])[None, :, None], stages.weights @ rho + sigma[..., None]])
            correction = recurrence(stages.transfer, sources)[..., 0]
            dy, done = dy + correction, done + 1
            if done >= order(dy, rho):
                return y + dy
            dk = dk + stages.solve(rho, correction[:-1])

    def _chained(self, k: slice, h: Any) -> Stages:
        """The stage equations of accepted steps."""
        if self.steps.slopes is None:
            return self._linearized(k, h, self.steps.states[k])
        slopes = self.steps.slopes[k]
        return self._linearized(k, h, self.steps.y[:-1][k][:, None] + h[:, None, None] * (self.steps.tableau.A @ slopes), slopes)

    def _linearized(self, k: Any, h: Any, states: Any, slopes: Any = None) -> Stages:
        """The stage equations of steps of length h from the grid points k."""
        times = self.steps.t[:-1][k][:, None] + self.steps.tableau.c * h[:, None]
        f, jacobians = self.linearized(np.ravel(times), _rows(states))
        return Stages(self.steps.tableau, h, states, np.reshape(f, states.shape) if slopes is None else slopes, jacobians)

    # ---- states between grid points ----------------------------------------------------------------------------------
    def at(self, t: Any, values: Any) -> Any:
        """The states at times t of shape (q,), which SciPy has found to be `values`, (q, n): a step from the grid point before."""
        if len(t) <= self.size:
            return self._at(t, values, self.states, self.t, self.args)
        pieces = [slice(first, first + self.size) for first in range(0, len(t), self.size)]
        return np.concatenate([
            checkpoint(lambda t, *rest, piece=piece: self._at(t, values[piece], *rest))(t[piece], self.states, self.t, self.args)
            for piece in pieces
        ])  # fmt: skip

    def _at(self, t: Any, values: Any, states: Any, grid: Any, args: tuple) -> Any:
        plain, times, field = self.steps.t, primal(t), self._field(args)
        ahead = np.searchsorted(plain, times) if plain[-1] >= plain[0] else np.searchsorted(-plain, -times)
        k = np.clip(ahead - 1, 0, len(plain) - 2)
        y, start, h = states[k], grid[k], t - grid[k]
        if self.steps.tableau.explicit:
            return valued(values, explicit_step(field, self.steps.tableau, start, y, h))
        length = times - plain[k]
        inner = plain[k][:, None] + self.steps.tableau.c * length[:, None]
        stages = self._linearized(k, length, self.steps.inside(k, inner))  # type: ignore[misc]
        dy, dk, done = y - self.steps.y[k], np.zeros_like(stages.slopes), 0
        while True:
            rho = stages.residual(field, start, dy, h, dk)
            dk, done = dk + stages.solve(rho), done + 1
            if done >= order(dk, dy, h):
                return valued(values, dy + stages.increments(h, dk))


class Stages:
    """The stage equations of q steps, linearized at plain states and slopes: (I - h J A) dK = J dy + rho."""

    def __init__(self, tableau: Tableau, h: Any, states: Any, slopes: Any, jacobians: Any) -> None:
        q, s, n = slopes.shape
        self.tableau, self.h, self.states, self.slopes = tableau, h, states, slopes
        jacobians = np.reshape(jacobians, (q, s, n, n))
        coupled = np.einsum("ij,kipq->kipjq", tableau.A, h[:, None, None, None] * jacobians)
        self.inverse = np.linalg.inv(np.eye(s * n) - np.reshape(coupled, (q, s * n, s * n)))
        by_stage = np.reshape(self.inverse, (q, s, n, s * n))
        self.weights = h[:, None, None] * np.einsum("i,kipq->kpq", tableau.b, by_stage)  # W, (q, n, s n)
        self.jacobians = np.reshape(jacobians, (q, s * n, n))
        self.transfer = np.eye(n) + self.weights @ self.jacobians  # M, (q, n, n)

    def residual(self, field: Field, t: Any, dy: Any, h: Any, dk: Any) -> Any:
        """rho = f(stages) - K without its primal part, which is frozen, of shape (q, s n, 1)."""
        times = t[:, None] + self.tableau.c * h[:, None]
        f = np.reshape(field(np.ravel(times), _rows(self.states + dy[:, None] + self._moved(self.tableau.A, h, dk))), dk.shape)
        return np.reshape(f - primal(f) - dk, (len(dk), -1, 1))

    def increments(self, h: Any, dk: Any) -> Any:
        """How much further than the plain steps these go, of shape (q, n)."""
        return self._moved(self.tableau.b[None], h, dk)[:, 0]

    def _moved(self, weights: Any, h: Any, dk: Any) -> Any:
        """h weights (K + dK) less its plain value."""
        return (h - self.h)[:, None, None] * (weights @ self.slopes) + h[:, None, None] * (weights @ dk)

    def solve(self, rho: Any, dy: Any = None) -> Any:
        """dK, of shape (q, s, n)."""
        right = rho if dy is None else rho + self.jacobians @ dy[..., None]
        return np.reshape(self.inverse @ right, self.slopes.shape)


def recurrence(transfer: Any, sources: Any) -> Any:
    """u_0 = r_0, u_(k+1) = M_k u_k + r_(k+1) for all k, by doubling: log2(N) products of stacks instead of N small ones.

    After each round u_k holds what the last `reach` sources contribute, and M_k takes u_k to u_(k + reach).  Sources of shape
    (N + 1, n, 1).
    """
    u, reach, count = sources, 1, len(transfer)
    while reach <= count:
        carried = transfer @ u[: count + 1 - reach]
        u = u + np.concatenate([np.zeros((reach, *carried.shape[1:])), carried])
        if 2 * reach <= count:
            transfer = transfer[reach:] @ transfer[:-reach]
        reach *= 2
    return u


def _rows(states: Any) -> Any:
    """(q, s, n) as (q s, n)."""
    return np.reshape(states, (-1, states.shape[-1]))
