"""What a test problem is: functions in plain NumPy, a start, and the minima that somebody published.

    Problem      minimize |residuals(x)|²
    Constrained  minimize objective(x) with lower <= x <= upper, equality(x) = 0, inequality(x) >= 0
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds


def fixed(values: Any) -> np.ndarray:
    """An array of float64, or of objects given as such, that nobody can write to."""
    array = np.array(values, order="C")
    array = array if array.dtype == object else array.astype(np.float64)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Minimum:
    """A published minimum: f(point) = value or, of one at infinity, f(point + t direction) -> value as t grows.

    The point is None where only the value is kept.
    """

    value: float
    point: np.ndarray | None = None
    direction: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """m residuals in n variables; the lowest of the known minima comes first."""

    name: str
    residuals: Callable[[Any], Any]
    start: np.ndarray
    m: int
    minima: tuple[Minimum, ...]

    @property
    def n(self) -> int:
        return len(self.start)

    def objective(self, x: Any) -> Any:
        return (self.residuals(x) ** 2).sum()


@dataclass(frozen=True, eq=False)
class Constrained:
    """An objective with constraints; the lowest of the known minima comes first."""

    name: str
    objective: Callable[[Any], Any]
    start: np.ndarray
    minima: tuple[Minimum, ...]
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    equality: Callable[[Any], Any] | None = None
    inequality: Callable[[Any], Any] | None = None

    @property
    def bounds(self) -> Bounds | None:
        """As SciPy's minimize takes them."""
        return None if self.lower is None else Bounds(self.lower, self.upper)

    @property
    def constraints(self) -> list[dict[str, Any]]:
        """As SciPy's minimize takes them, without derivatives."""
        both = {"eq": self.equality, "ineq": self.inequality}
        return [{"type": kind, "fun": function} for kind, function in both.items() if function is not None]
