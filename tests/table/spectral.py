"""eigh, eigvalsh, eig, svd: vectors through functions that do not depend on the gauge, or where it is fixed by continuity."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case
from table.contraction import real
from table.linalg import each, hermitian, matrix

linalg = np.linalg


def adjoint(x: Any) -> Any:
    return np.conjugate(np.swapaxes(x, -1, -2))


def exponential(x: Any, uplo: str = "L") -> tuple:
    w, v = linalg.eigh(x, uplo)
    return (v * np.exp(w / 3)[..., None, :]) @ adjoint(v), w


def stretched(x: Any, full: bool) -> tuple:
    u, s, vh = linalg.svd(x, full_matrices=full)
    k = s.shape[-1]
    return (u[..., :k] * np.sinh(s / 3)[..., None, :]) @ vh[..., :k, :], s


def null_space(x: Any) -> Any:
    u = linalg.svd(x)[0][..., x.shape[-1] :]
    return u @ adjoint(u)


def row_null_space(x: Any) -> Any:
    vh = linalg.svd(x).Vh[..., x.shape[-2] :, :]
    return adjoint(vh) @ vh


def lengths(x: Any) -> tuple:
    w, v = linalg.eig(x)
    return np.abs(w), np.abs(v), np.sum(w * w)


def tied(make: Any) -> np.ndarray:
    """A Hermitian matrix with the eigenvalues 1, 1, 2."""
    q = linalg.qr(make(3, 3))[0]
    return (q * np.array([1.0, 1.0, 2.0])) @ adjoint(q)


def separated(make: Any) -> np.ndarray:
    return 0.3 * make(3, 3) + np.diag([1.0, 2.5, 4.5])


ROWS: list[Case] = [
    *each("eigh", exponential, (3, 3)),
    *each("eigh of a stack, UPLO=U", lambda x: exponential(x, "U"), (2, 3, 3), float32=False),
    *each("eigh of equal eigenvalues", lambda x: exponential(x)[0], lambda make: tied(make=make)),
    Case("eigh eigenvectors", lambda x: tuple(linalg.eigh(x)), (separated(real),)),
    *each("eigvalsh", linalg.eigvalsh, (3, 3)),
    *each("eigvalsh of a stack, UPLO=U", lambda x: linalg.eigvalsh(x, UPLO="U"), (2, 3, 3)),
    *[
        row
        for full in (True, False)
        for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2))
        for row in each(f"svd {shape} full={full}", lambda x, full=full: stretched(x, full), shape)
    ],
    *each("svd of equal singular values", lambda x: stretched(x, True)[0], lambda make: tied(make=make)),
    *each("svd of rank one", lambda x: stretched(x, True)[0], lambda make: make(3, 1) @ make(1, 2, phase=1.1)),
    *each("svd left null space", null_space, (4, 2)),
    *each("svd right null space", row_null_space, (2, 4)),
    *[Case(f"svd vectors {shape}", lambda x: tuple(linalg.svd(x, False)), (real(*shape),)) for shape in ((3, 3), (4, 2), (2, 4))],
    Case("svd vectors full", lambda x: tuple(linalg.svd(x)), (real(3, 2),)),
    *each("svd hermitian", lambda x: (lambda u, s, vh: (u * s) @ vh)(*linalg.svd(x, hermitian=True)), hermitian(3)),
    *each("svd values", lambda x: linalg.svd(x, compute_uv=False), (3, 2)),
    *each("svdvals", linalg.svdvals, (2, 2, 3)),
    *each("eig", lengths, separated, float32=False),
    Case("eig eigenvectors", lambda x: tuple(linalg.eig(x)), (separated(real),)),
    *each("eigvals", lambda x: np.sum(linalg.eigvals(x) ** 3), matrix(3), float32=False),
]
