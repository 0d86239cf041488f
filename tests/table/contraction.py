"""Products of arrays: matmul and what is made of it, and the outer products of ufuncs."""
from __future__ import annotations

import numpy as np
from table.case import Case


def real(*shape: int, phase: float = 0.3) -> np.ndarray:
    """Numbers of size one without a pattern."""
    return np.sin(phase + 1.7 * np.arange(1.0, np.prod(shape, dtype=int) + 1) ** 1.1).reshape(shape)


def complex_(*shape: int, phase: float = 0.3) -> np.ndarray:
    return real(*shape, phase=phase) + 1j * real(*shape, phase=phase + 1)


def pair(first: tuple, second: tuple) -> tuple:
    return real(*first), real(*second, phase=2.1)


ROWS: list[Case] = [
    *[
        Case(f"matmul {a} {b}", np.matmul, pair(a, b), analytic=True)
        for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((5, 1, 2, 3), (4, 3, 2)), ((4, 2, 3), (3,)),
                     ((3,), (2, 3, 4)), ((2, 0), (0, 3))]
    ],
    Case("matmul complex", lambda x, y: x @ y, (complex_(2, 3), complex_(3, 2, phase=0.9))),
    Case("matmul of complex and real", np.linalg.matmul, (complex_(2, 3), real(2, 3, 2))),
    Case("matmul with itself", lambda x: x @ x @ x.T, (real(3, 3),), analytic=True),
    Case("matmul with a constant", lambda x: np.arange(6.0).reshape(2, 3) @ x, (real(3, 2),), analytic=True, float32=False),
    *[
        Case(f"dot {a} {b}", np.dot, pair(a, b), analytic=True)
        for a, b in [((3,), (3,)), ((2, 3), (3, 4)), ((2, 3), (3,)), ((3,), (3, 2)), ((), (3, 2)), ((2, 3), ()), ((2, 3, 4), (4,)),
                     ((3,), (2, 3, 4)), ((2, 3), (4, 3, 2)), ((2, 2, 3), (4, 3, 2)), ((2, 2, 3), (3, 2))]
    ],
    Case("ndarray.dot", lambda x, y: (x + 0 * y[0]).dot(y), pair((2, 3), (3,)), analytic=True),
    Case("dot complex", np.dot, (complex_(2, 3), complex_(3, phase=0.9))),
    Case("vdot", np.vdot, pair((2, 3), (2, 3))),
    Case("vdot complex", np.vdot, (complex_(2, 3), complex_(2, 3, phase=0.9))),
    Case("vdot of complex and real", np.vdot, (complex_(2, 3), real(2, 3))),
    *[
        Case(f"inner {a} {b}", np.inner, pair(a, b), analytic=True)
        for a, b in [((3,), (3,)), ((2, 3), (4, 3)), ((), (3, 2)), ((2, 3, 4), (5, 4)), ((2, 4), (3, 2, 4)), ((4,), (3, 4))]
    ],
    Case("outer", np.outer, pair((2, 2), (3,)), analytic=True),
    Case("outer complex", np.outer, (complex_(2), complex_(3))),
    Case("linalg.outer", np.linalg.outer, pair((2,), (3,)), analytic=True),
    *[
        Case(f"tensordot axes={axes}", lambda x, y, axes=axes: np.tensordot(x, y, axes), pair(a, b), analytic=True)
        for axes, a, b in [(0, (2, 3), (2,)), (1, (2, 3), (3, 4)), (2, (5, 2, 3), (2, 3, 4)), (([1], [0]), (2, 3), (3, 4)),
                           (([0, -1], [1, 0]), (2, 5, 3), (3, 2, 4)), ((0, 1), (3, 2), (2, 3))]
    ],
    Case("linalg.tensordot", lambda x, y: np.linalg.tensordot(x, y, axes=1), (complex_(2, 3), real(3, 2))),
    *[
        Case(f"kron {a} {b}", np.kron, pair(a, b), analytic=True)
        for a, b in [((2, 3), (3, 2)), ((3,), (2, 2)), ((2, 1, 2), (3,)), ((), (2, 2)), ((2,), (3,))]
    ],
    Case("vecdot", np.vecdot, (complex_(2, 3), complex_(3))),
    Case("vecdot axis", lambda x, y: np.vecdot(x, y, axis=0), pair((3, 2), (3, 2))),
    Case("linalg.vecdot", lambda x, y: np.linalg.vecdot(x, y, axis=-2), (complex_(3, 2), complex_(3, 2, phase=0.9))),
    Case("multi_dot", lambda *xs: np.linalg.multi_dot(xs), (real(4, 3), real(3, 2), real(2, 5), real(5, 1)), analytic=True),
    Case("multi_dot of vectors at the ends", lambda *xs: np.linalg.multi_dot(xs), (real(3), real(3, 2), real(2)), analytic=True),
    Case("add.outer", np.add.outer, pair((2,), (3, 2)), analytic=True),
    Case("subtract.outer of a number", np.subtract.outer, pair((2, 2), ()), analytic=True),
    Case("multiply.outer complex", np.multiply.outer, (complex_(2), complex_(3))),
    Case("hypot.outer", np.hypot.outer, pair((2,), (3,))),
    Case("divide.outer of a list", lambda x: np.divide.outer([1.0, 2.0], x), (real(3),), analytic=True, float32=False),
]  # fmt: skip

if hasattr(np, "matvec"):  # NumPy 2.2
    ROWS += [
        Case("matvec", np.matvec, pair((2, 3, 4), (4,)), analytic=True),
        Case("vecmat", np.vecmat, (complex_(3), complex_(2, 3, 4))),
    ]
