"""Constraints low <= c(params) <= high on functions of a tree, with the Jacobian of c and the Hessian of v . c.

    {"type": "eq", "fun": c}               c(params) = 0                  SciPy's dictionaries, "args" included
    {"type": "ineq", "fun": c}             c(params) >= 0
    NonlinearConstraint(c, low, high)      c may return a number, an array or a tree; low and high are over its vector
    LinearConstraint(A, low, high)         low <= A x <= high, x the vector of `tree.ravel(params)`
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import LinearConstraint, NonlinearConstraint, lsq_linear

from dualgrad import errors
from dualgrad.optimize.flat import Coordinates, Interrupt, Map
from dualgrad.optimize.result import Ending

_KINDS = {"eq": (0.0, 0.0), "ineq": (0.0, np.inf)}


class Constraint:
    """One constraint; `violation(x)` is how far c(x) is outside of [low, high], in the maximum norm."""

    def __init__(self, which: str, c: Any, low: Any, high: Any, keep_feasible: Any) -> None:
        self.which, self.c = which, c  # c is a Map, or a matrix
        self.low, self.high, self.keep_feasible = low, high, keep_feasible

    def value(self, x: Any) -> Any:
        """c at the vector x, of shape (m,)."""
        return self.c.fun(x) if isinstance(self.c, Map) else self.c @ x

    def violation(self, x: Any) -> float:
        """max(low - c, c - high, 0) over all elements."""
        value = self.value(x)
        return float(np.max(np.maximum(self.low - value, value - self.high), initial=0.0))

    @property
    def is_inequality(self) -> bool:
        return bool(np.any(self.low != self.high))

    def jacobian(self, x: Any) -> Any:
        """The Jacobian of c, of shape (m, n)."""
        return self.c.jac(x) if isinstance(self.c, Map) else self.c

    def _finite(self, function: Any) -> Any:
        """A function for SciPy, which raises from deep inside where a constraint or its derivative is not finite."""

        def checked(*arguments: Any) -> Any:
            found = function(*arguments)
            if not np.all(np.isfinite(found)):
                raise Interrupt(Ending.NOT_FINITE, f"At a trial {self.which} or a derivative of it is not finite.")
            return found

        return checked

    def for_trust_constr(self) -> Any:
        """SciPy's constraint over the vector, with Jacobian and Hessian."""
        if not isinstance(self.c, Map):
            return LinearConstraint(self.c, self.low, self.high, self.keep_feasible)
        fun, jac, hess = (self._finite(function) for function in (self.c.fun, self.c.jac, self.c.hess))
        return NonlinearConstraint(fun, self.low, self.high, jac, hess, self.keep_feasible)

    def for_slsqp(self) -> list[dict[str, Any]]:
        """SciPy's constraint as dictionaries, equalities and inequalities apart: SciPy warns where it has to part them."""
        equal = self.low == self.high
        rows = [
            ("eq", equal, 1.0, self.low),
            ("ineq", ~equal & np.isfinite(self.low), 1.0, self.low),
            ("ineq", ~equal & np.isfinite(self.high), -1.0, self.high),
        ]
        value, jacobian = self._finite(self.value), self._finite(self.jacobian)
        return [
            {
                "type": kind,
                "fun": lambda x, w=which, sign=sign, limit=limit: sign * (value(x) - limit)[w],
                "jac": lambda x, w=which, sign=sign: sign * jacobian(x)[w],
            }
            for kind, which, sign, limit in rows
            if np.any(which)
        ]


def read(name: str, constraints: Any, coordinates: Coordinates) -> list[Constraint]:
    """The constraints, each checked at the start.

    Raises ArgumentError for what is no constraint, and for a Jacobian or Hessian given by hand; StructureError where the limits
    do not have the length of c(params).
    """
    if isinstance(constraints, dict | NonlinearConstraint | LinearConstraint):
        constraints = [constraints]
    if not isinstance(constraints, list | tuple):
        raise errors.ArgumentError(
            f"{name}: constraints must be a list of constraints, not {errors.describe(constraints)}{errors.user_line()}."
        )
    return [_one(name, given, f"constraints[{k}]", coordinates) for k, given in enumerate(constraints)]


def _one(name: str, given: Any, which: str, coordinates: Coordinates) -> Constraint:
    if isinstance(given, LinearConstraint):
        matrix = given.A.toarray() if hasattr(given.A, "toarray") else np.asarray(given.A, np.float64)
        if matrix.shape[1] != coordinates.size:
            raise errors.StructureError(
                f"{name}: the matrix of {which} has {matrix.shape[1]} columns{errors.user_line()}, but there are "
                f"{coordinates.size} parameters. It acts on the vector of dualgrad.tree.ravel(params)."
            )
        return _of_right_length(name, which, matrix, (given.lb, given.ub), given.keep_feasible, coordinates)
    args: Any = ()
    if isinstance(given, NonlinearConstraint):
        fun, low, high, keep_feasible = given.fun, given.lb, given.ub, given.keep_feasible
        by_hand = callable(given.jac) or callable(given.hess)
    elif isinstance(given, dict):
        unknown = given.keys() - {"type", "fun", "args", "jac"}
        if unknown or given.get("type") not in _KINDS or "fun" not in given:
            raise errors.ArgumentError(
                f'{name}: {which} must be {{"type": "eq" or "ineq", "fun": c}}, with "args" if c has more arguments than params, '
                f"but it is {given!r}{errors.user_line()}."
            )
        (low, high), keep_feasible = _KINDS[given["type"]], False
        fun, args, by_hand = given["fun"], given.get("args", ()), given.get("jac") is not None
    else:
        raise errors.ArgumentError(
            f"{name}: {which} must be a dict, a NonlinearConstraint or a LinearConstraint, not {errors.describe(given)}"
            f"{errors.user_line()}."
        )
    if by_hand:
        raise errors.ArgumentError(
            f"{name}: {which} comes with a derivative of its own{errors.user_line()}. Leave jac and hess out: they are computed."
        )
    return _of_right_length(name, which, Map(f"{name}, {which}", fun, coordinates, args), (low, high), keep_feasible, coordinates)


def _of_right_length(name: str, which: str, c: Any, sides: tuple, keep_feasible: Any, coordinates: Coordinates) -> Constraint:
    m = c.fun(coordinates.start).shape[0] if isinstance(c, Map) else len(c)
    for side in sides:
        if np.shape(side) not in ((), (1,), (m,)):
            raise errors.StructureError(
                f"{name}: a limit of {which} has shape {np.shape(side)}, but there are {m} values{errors.user_line()}. "
                "The limits are over the vector of the values."
            )
    low, high = (np.broadcast_to(np.asarray(side, np.float64), m) for side in sides)
    return Constraint(which, c, low, high, keep_feasible)


def lagrangian_norm(gradient: Any, x: Any, box: tuple[Any, Any] | None, constraints: list[Constraint]) -> float:
    """min |g - J^T u| over the multipliers u of the active constraints and bounds, with the signs they may have: 0 at a KKT point.

    A limit is active where c comes within 1e-3 of it, relative to max(1, |limit|): interior points keep away from their limits.
    """
    found = [(c.value(x), c.jacobian(x), c.low, c.high) for c in constraints]
    if box is not None:
        found.append((x, np.eye(x.size), *box))
    value, jacobian, low, high = (np.concatenate(parts) for parts in zip(*found, strict=True))
    at_low = np.isfinite(low) & (value - low <= 1e-3 * np.maximum(1, np.abs(low)))
    at_high = np.isfinite(high) & (high - value <= 1e-3 * np.maximum(1, np.abs(high)))
    active = at_low | at_high
    if not np.all(np.isfinite(value)) or not np.all(np.isfinite(jacobian[active])):
        return float("nan")
    if not np.any(active):
        return float(np.linalg.norm(gradient))
    signs = np.where(at_high, -np.inf, 0.0)[active], np.where(at_low, np.inf, 0.0)[active]
    return float(np.sqrt(2 * lsq_linear(jacobian[active].T, gradient, signs, method="bvls").cost))
