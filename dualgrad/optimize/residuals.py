"""What stands between SciPy's solvers for residuals and the function: the wall around its domain, the best point, the history.

SciPy's least_squares and root are handed r(x) and its Jacobian.  They evaluate the Jacobian once at every point that they move
to, so that is where a step is noted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.optimize.flat import Interrupt, Map
from dualgrad.optimize.result import Ending, Observer

#: Every residual where they are not finite: a step to there is no step, and the sum of squares is a number.
FAR = 1e100


class Walk:
    """The functions that SciPy calls, and what is noted of the points: `cost(r)` is the number to be made small.

    `far` is the wall, the value of every residual beyond the domain; None makes it twice the residuals at the start.  Powell's
    hybrid method needs that, for its Broyden update takes in every trial, and after 1e100 takes any point for a root; a
    Levenberg-Marquardt that overshot by far (NIST's BoxBOD) comes back from 1e100 only.
    """

    def __init__(
        self,
        residuals: Map,
        observer: Observer,
        cost: Callable[[Any], tuple[float, Any]],
        box: tuple[Any, Any] | None = None,
        far: float | None = FAR,
    ) -> None:
        self.residuals, self.observer, self.cost, self.box, self.far = residuals, observer, cost, box, far
        self.errstate = np.geterr()
        self.start = residuals.coordinates.start
        self.best: tuple[float, Any] | None = None
        self.previous: Any = None
        self.r_0: Any = None  # at the start
        self.beyond = 0  # the number of trials beyond the wall
        self.last_beyond = False  # none has lowered the cost since the last of them

    def begin(self) -> None:
        """The start as step 0.  Raises Interrupt if the residuals or their Jacobian are not finite there."""
        with np.errstate(**self.errstate):
            r = self.residuals.fun(self.start)
        if not np.all(np.isfinite(r)):
            count = np.count_nonzero(~np.isfinite(r))
            raise Interrupt(Ending.NOT_FINITE, f"At the start {count} of {r.size} residuals are not finite.")
        self.r_0 = self.fun(self.start)
        self.jac(self.start)

    def fun(self, x: Any) -> Any:
        """r(x), or the wall."""
        with np.errstate(**self.errstate):
            r = self.residuals.fun(x)
        if not np.all(np.isfinite(r)):
            self.beyond += 1
            self.last_beyond = True
            return 2 * self.r_0 if self.far is None else np.full_like(r, self.far)
        value = self.cost(r)[0]
        if np.isfinite(value) and (self.best is None or value < self.best[0]):
            self.best, self.last_beyond = (value, np.array(x)), False
        return r

    def jac(self, x: Any) -> Any:
        """The Jacobian at a point that SciPy moved to, which is noted as a step."""
        with np.errstate(**self.errstate):
            r, jacobian = self.residuals.fun(x), self.residuals.jac(x)
        if not np.all(np.isfinite(r)):
            return np.zeros_like(jacobian)
        if not np.all(np.isfinite(jacobian)):
            raise Interrupt(Ending.NOT_FINITE, "The Jacobian is not finite at a point where the residuals are.")
        if self.previous is None or not np.array_equal(x, self.previous):
            self._note(np.array(x), r, jacobian)
        return jacobian

    def _note(self, x: Any, r: Any, jacobian: Any) -> None:
        length = float("nan") if self.previous is None else float(np.linalg.norm(x - self.previous))
        self.previous = x
        value, norm = self.value_and_norm(x, r, jacobian)
        params = self.residuals.coordinates.own(x)
        if self.observer.step(params, value, norm, length, self.residuals.at.evaluations):
            raise Interrupt(Ending.STOPPED, "")

    def value_and_norm(self, x: Any, r: Any, jacobian: Any) -> tuple[float, float]:
        """The cost, and the norm of its gradient g (with bounds |x - P(x - g)|, P the projection on them); nan if not finite."""
        value, weighted = self.cost(r)
        if not np.all(np.isfinite(r)) or not np.all(np.isfinite(jacobian)):
            return value, float("nan")
        g = jacobian.T @ weighted
        return value, float(np.linalg.norm(g if self.box is None else x - np.clip(x - g, *self.box)))

    def judged(self, ending: Ending, note: str) -> tuple[Ending, str]:
        """The ending as it has to be called if the wall stood in the way."""
        if not self.last_beyond or ending in (Ending.CONVERGED, Ending.ROOT, Ending.STEP_LIMIT):
            return ending, note
        trials = f"{self.beyond} trial{'s' * (self.beyond != 1)}"
        return Ending.NOT_FINITE, f"The residuals were not finite at {trials}, and none has lowered the cost since. {note}"

    def chosen(self, x: Any | None) -> Any:
        """SciPy's point, unless a better one was seen: lower by more than rounding."""
        if self.best is None:
            return self.start
        value, best = self.best
        if x is None:
            return best
        last = self.cost(self.fun(x))[0]
        return best if value < last * (1 - 1e-14) else np.array(x, np.float64)
