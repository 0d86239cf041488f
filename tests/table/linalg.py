"""Solving, inverting, determinants, powers, least squares, Cholesky and QR."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case
from table.contraction import complex_, real

linalg = np.linalg


def regular(n: int, *lead: int, make: Any = real) -> np.ndarray:
    """Well-conditioned matrices."""
    return make(*lead, n, n) + 2 * np.eye(n)


def positive(n: int, *lead: int, make: Any = real) -> np.ndarray:
    """Hermitian positive definite matrices."""
    x = make(*lead, n, n)
    return x @ np.conjugate(np.swapaxes(x, -1, -2)) + 2 * np.eye(n)


def of_rank(rank: int, n: int, make: Any = real) -> np.ndarray:
    return make(n, rank) @ make(rank, n, phase=1.1)


def each(name: str, f: Any, *shapes: Any, **options: Any) -> list[Case]:
    """The row for real and for complex operands; a shape may be a function that makes the operand."""
    return [
        Case(name + label, f, tuple(s(make=make) if callable(s) else make(*s, phase=1.3) for s in shapes), **options)
        for label, make in (("", real), (" complex", complex_))
    ]


def matrix(n: int, *lead: int) -> Any:
    return lambda make: regular(n, *lead, make=make)


def singular(rank: int, n: int) -> Any:
    return lambda make: of_rank(rank, n, make=make)


def hermitian(n: int, *lead: int) -> Any:
    return lambda make: positive(n, *lead, make=make)


ROWS: list[Case] = [
    *each("solve", linalg.solve, matrix(3), (3, 2)),
    *each("solve a vector", linalg.solve, matrix(3), (3,)),
    *each("solve broadcast", linalg.solve, matrix(3, 2, 1), (4, 3, 2)),
    *each("solve a stack of matrices, one vector", linalg.solve, matrix(3, 2), (3,)),
    Case("solve one matrix, many right sides", linalg.solve, (regular(2), real(2, 2, 1))),
    Case("solve a list", lambda x: linalg.solve([[2.0, 1.0], [0.0, 3.0]], x), (real(2),), float32=False),
    *each("inv", linalg.inv, matrix(3, 2)),
    *each("tensorinv", lambda x: linalg.tensorinv(x, ind=1), lambda make: regular(4, make=make).reshape(4, 2, 2)),
    *each("tensorsolve", linalg.tensorsolve, lambda make: regular(4, make=make).reshape(2, 2, 4), (2, 2)),
    Case(
        "tensorsolve axes",
        lambda a, b: linalg.tensorsolve(a, b, axes=(0, 2)),
        (np.moveaxis(regular(4).reshape(4, 2, 2), 0, 1), real(4)),
    ),
    *[row for n in (1, 2, 3, 4) for row in each(f"det of size {n}", linalg.det, matrix(n))],
    *each("det of a stack", linalg.det, matrix(3, 2)),
    *[row for rank in (1, 2, 3) for row in each(f"det at rank {rank} of 4", linalg.det, singular(rank, 4))],
    Case("det at 0", lambda x: linalg.det(x), (np.zeros((3, 3)),)),
    *each("slogdet", lambda x: tuple(linalg.slogdet(x)), matrix(3)),
    *each("slogdet of a stack", lambda x: tuple(linalg.slogdet(x)), matrix(2, 3)),
    *each("pinv of a tall matrix", linalg.pinv, (4, 2)),
    *each("pinv of wide matrices", lambda x: linalg.pinv(x, rcond=1e-10), (2, 2, 4)),
    *each("pinv hermitian", lambda x: linalg.pinv(x, hermitian=True, rtol=1e-12), hermitian(3)),
    Case("pinv rtol", lambda x: linalg.pinv(x, rtol=None), (real(3, 2),)),
    *each("lstsq", lambda a, b: tuple(linalg.lstsq(a, b)), (5, 3), (5, 2)),
    *each("lstsq of a vector", lambda a, b: tuple(linalg.lstsq(a, b, rcond=1e-12)), (5, 2), (5,)),
    *each("lstsq underdetermined", lambda a, b: tuple(linalg.lstsq(a, b, rcond=-1)), (2, 3), (2,)),
    *[
        row
        for n in (-2, -1, 0, 1, 2, 3, 5)
        for row in each(f"matrix_power {n}", lambda x, n=n: linalg.matrix_power(x, n), matrix(2, 2))
    ],
    Case("matrix_rank", lambda x: linalg.matrix_rank(x) * np.sum(x), (real(3, 2),)),
    Case("matrix_rank of a stack", lambda x: linalg.matrix_rank(x, tol=1e-3) * np.sum(x, (-2, -1)), (real(2, 3, 2),)),
    *[row for p in (None, 2, -2, "fro", 1, np.inf) for row in each(f"cond {p}", lambda x, p=p: linalg.cond(x, p), matrix(3))],
    *each("cholesky", linalg.cholesky, hermitian(3)),
    *each("cholesky of a stack", linalg.cholesky, hermitian(2, 2)),
    *each("cholesky upper", lambda x: linalg.cholesky(x, upper=True), hermitian(3)),
    *each("qr", lambda x: tuple(linalg.qr(x)), (4, 3)),
    *each("qr of square matrices", lambda x: tuple(linalg.qr(x, mode="complete")), matrix(3, 2)),
    *each("qr of a wide matrix", lambda x: tuple(linalg.qr(x)), (2, 4)),
    *each("qr mode r", lambda x: linalg.qr(x, mode="r"), (3, 2)),
]
