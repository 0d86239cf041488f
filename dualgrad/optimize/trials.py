"""What stands between SciPy's minimizers and the objective: the wall around its domain, the best point, the history.

Where f or its gradient is not finite SciPy sees a value above all that were seen, and no slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.optimize.constraints import Constraint, lagrangian_norm
from dualgrad.optimize.flat import Interrupt, Objective, ScalarPoint
from dualgrad.optimize.result import Ending, Observer, Result

#: A constraint counts as satisfied to this; it is the accuracy to which SLSQP satisfies its own.
FEASIBLE = 1e-6
#: Up to this many parameters a claimed minimum has its Hessian looked at, for n products in one sweep and O(n^3).
LOOK_AT_HESSIAN = 300


class Trials:
    """The functions that SciPy calls, and what is noted of its trials."""

    def __init__(self, objective: Objective, observer: Observer, box: tuple | None, constraints: list[Constraint]) -> None:
        self.objective, self.observer, self.box, self.constraints = objective, observer, box, constraints
        self.start = objective.coordinates.start
        self.errstate = np.geterr()
        self.highest = self.lowest = 0.0
        self.beyond = 0  # the number of trials beyond the wall
        self.last_beyond = False  # none has lowered the objective since the last trial beyond it
        self.best: tuple[float, float] | None = None  # (violation, value), the least in this order
        self.best_at: tuple[Any, ScalarPoint] | None = None
        self.previous = self.start
        self.stopped = False

    def begin(self) -> None:
        """The start as step 0.  Raises Interrupt if the objective or its gradient is not finite there."""
        point = self._at(self.start)
        if not _finite(point):
            raise Interrupt(Ending.NOT_FINITE, self._what(point))
        self.highest = self.lowest = point.value
        self._consider(self.start, point)
        self.step(self.start)

    @property
    def _wall(self) -> float:
        return self.highest + abs(self.highest) + 1.0

    def _within(self, x: Any) -> bool:
        return bool(np.all(np.isfinite(x))) and _finite(self._at(x))

    def _at(self, x: Any) -> ScalarPoint:
        with np.errstate(**self.errstate):
            return self.objective.at(x)

    # ---- what SciPy calls ---------------------------------------------------------------------------------------------

    def fun(self, x: Any) -> float:
        """The objective, or the wall."""
        if not np.all(np.isfinite(x)):  # trust-krylov goes there when rounding stops it; the objective is not to blame
            return self._wall
        point = self._at(x)
        if not _finite(point):
            self.beyond += 1
            self.last_beyond = True
            return self._wall
        self.highest, lowest = max(self.highest, point.value), min(self.lowest, point.value)
        if self.lowest - lowest > 1e-12 * abs(lowest):
            self.last_beyond = False
        self.lowest = lowest
        if not self.constraints:
            self._consider(x, point)
        return point.value

    def jac(self, x: Any) -> Any:
        """The gradient, zero on the wall."""
        return self._at(x).gradient.copy() if self._within(x) else np.zeros_like(self.start)

    def hess(self, x: Any) -> Any:
        """The Hessian, zero on the wall."""
        if not self._within(x):
            return np.zeros((self.start.size,) * 2)
        with np.errstate(**self.errstate):
            return self._checked(self.objective.hess(x))

    def hessp(self, x: Any, v: Any) -> Any:
        """The product with the Hessian, zero on the wall."""
        if not self._within(x):
            return np.zeros_like(self.start)
        with np.errstate(**self.errstate):
            return self._checked(self.objective.hessp(x, v))

    def _checked(self, second: Any) -> Any:
        if not np.all(np.isfinite(second)):
            raise Interrupt(Ending.NOT_FINITE, "The Hessian is not finite at a point where the gradient is.")
        return second

    def step(self, x: Any, state: Any = None) -> None:
        """SciPy's callback, after each step; trust-constr hands over its state too.  Raises StopIteration to stop."""
        point = self._at(x)
        if self.constraints:
            self._consider(x, point)
        length = float(np.linalg.norm(x - self.previous)) if self.observer.history else np.nan
        self.previous = np.array(x)
        self.stopped = self.observer.step(
            self.objective.coordinates.own(self.previous), point.value, self._gradient_norm(x, point),
            float(getattr(state, "tr_radius", length)), self.objective.at.evaluations,
        )  # fmt: skip
        if self.stopped:
            raise StopIteration

    # ---- the best point -----------------------------------------------------------------------------------------------

    def _violation(self, x: Any) -> float:
        """How far x is outside of the bounds, or of the constraints by more than their accuracy."""
        outside = 0.0 if self.box is None else float(np.max(np.maximum(self.box[0] - x, x - self.box[1]), initial=0.0))
        violation = self._largest_violation(x)
        return max(outside, 0.0 if violation <= FEASIBLE else violation)

    def _largest_violation(self, x: Any) -> float:
        with np.errstate(**self.errstate):
            return max((constraint.violation(x) for constraint in self.constraints), default=0.0)

    def _consider(self, x: Any, point: ScalarPoint) -> None:
        rank = (self._violation(x), point.value)
        if np.all(np.isfinite(rank)) and (self.best is None or rank < self.best):
            self.best, self.best_at = rank, (np.array(x), point._replace(hessian=None))

    def _chosen(self, success: bool, found: Any) -> tuple[Any, ScalarPoint]:
        """SciPy's point, unless a better one was seen: lower by more than rounding."""
        last = None
        if found is not None:  # trust-constr may end a rounding outside of the bounds
            x = np.array(found.x if self.box is None else np.clip(found.x, *self.box), np.float64)
            last = (x, self._at(x)) if np.all(np.isfinite(x)) else None
        if last is None or not _finite(last[1]):
            return (self.start, self._at(self.start)) if self.best_at is None else self.best_at
        if self.best is None or self.best_at is None or (success and self.constraints):
            return last
        x, point = last
        margin = 16 * np.finfo(np.float64).eps * abs(point.value)
        return self.best_at if self.best < (self._violation(x), point.value - margin) else last

    # ---- the end ------------------------------------------------------------------------------------------------------

    def result(self, ending: Ending, note: str, found: Any) -> Result:
        """The result of a run that ended so; `found` is SciPy's result, None if the run was interrupted."""
        x, point = self._chosen(ending.success, found)
        evaluations = self.objective.at.evaluations
        value, steps = point.value, max(len(self.observer.history) - 1, 0)
        if self.last_beyond and ending not in (Ending.CONVERGED, Ending.STOPPED, Ending.STEP_LIMIT):
            ending = Ending.NOT_FINITE
            note = f"It was not at {_count(self.beyond, 'trial')}, and none has lowered it since. {note}".rstrip()
        if ending.success and (curvature := self._negative_curvature(x)):
            ending, note = Ending.INDEFINITE, f"The least eigenvalue of the Hessian is {curvature:.2g}. {note}"
        detail = [f"After {_count(steps, 'step')} and {_count(evaluations, 'evaluation')} the objective is {value:.6g}"]
        norm = self._gradient_norm(x, point)
        if np.isfinite(norm):
            whose = "the Lagrangian's" if self.constraints else "its" if self.box is None else "its projected"
            detail.append(f", the norm of {whose} gradient {norm:.2g}")
        if self.constraints:
            violation = self._largest_violation(x)
            detail.append(f", the largest violation of a constraint {violation:.2g}")
            if violation > FEASIBLE and ending in (Ending.NO_DESCENT, Ending.SINGULAR, Ending.FAILED):
                ending = Ending.INFEASIBLE
            elif violation <= FEASIBLE and ending is Ending.INFEASIBLE:  # by a tolerance of 0, see minimize
                ending = Ending.SMALL_STEP
        coordinates, aux = self.objective.coordinates, None
        if self.objective.has_aux:
            aux = self.objective.f(coordinates.wide(x), *self.objective.args)[1]
        return Result(
            coordinates.own(x), value, norm, ending, steps, evaluations, tuple(self.observer.history),
            f"{''.join(detail)}. {note}".rstrip(), scipy=found, aux=aux,
        )  # fmt: skip

    def _gradient_norm(self, x: Any, point: ScalarPoint) -> float:
        """|g|; with bounds |x - P(x - g)|, P the projection on them; with constraints that of the Lagrangian's gradient."""
        g = point.gradient
        if g is None or not _finite(point):
            return float("nan")
        if self.constraints:
            with np.errstate(**self.errstate):
                return lagrangian_norm(g, x, self.box, self.constraints)
        return float(np.linalg.norm(g if self.box is None else x - np.clip(x - g, *self.box)))

    def _negative_curvature(self, x: Any) -> float:
        """The least eigenvalue of the Hessian at what claims to be an unconstrained minimum, 0 if it is not below rounding."""
        if self.objective.order < 2 or self.box is not None or self.constraints or x.size > LOOK_AT_HESSIAN:
            return 0.0
        eigenvalues = np.linalg.eigvalsh(self.hess(x))
        return float(eigenvalues[0]) if eigenvalues[0] < -1e-8 * np.max(np.abs(eigenvalues)) else 0.0

    def _what(self, point: ScalarPoint) -> str:
        """What is not finite at the start."""
        if not np.isfinite(point.value):
            return f"At the start the objective is {point.value}."
        k = int(np.flatnonzero(~np.isfinite(point.gradient))[0])
        return f"At the start its gradient is {point.gradient[k]} at params{self.objective.coordinates.entry(k)}."


def _finite(point: ScalarPoint) -> bool:
    return bool(np.isfinite(point.value)) and (point.gradient is None or bool(np.all(np.isfinite(point.gradient))))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
