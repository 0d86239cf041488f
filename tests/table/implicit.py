"""Linear systems solved by a black box: here one that asks for every column of A."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case
from table.contraction import complex_, real
from table.linalg import regular

from dualgrad import implicit


def by_columns(A: Any, b: Any) -> Any:
    return np.linalg.solve(np.stack([A @ e for e in np.eye(len(b), dtype=b.dtype)], 1), b)


def solved(a: Any, b: Any) -> Any:
    return implicit.linear_solve(lambda v: a @ v, b, by_columns)


ROWS = [
    Case("linear_solve", solved, (regular(3), real(3)), analytic=True),
    Case("linear_solve complex", solved, (regular(3, make=complex_), complex_(3))),
]
