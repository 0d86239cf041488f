"""Factorizations by elimination and orthogonalization: Cholesky and QR.

    A = L L^H     dL = L low(L^-1 dA L^-H), low(M) the lower triangle of M with half its diagonal     (Murray, 2016, section 3)
    A = Q R       dQ = Q W + (1 - Q Q^H) dA R^-1, dR = (M - W) R, M = Q^H dA R^-1, W the skew matrix
                  with the strictly lower triangle of M                                                (Walter & Lehmann, 2018)
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.registry import front
from dualgrad.rules.declare import opaque
from dualgrad.rules.linalg import adjoint, batch_matrices, from_triangle, solve, to_triangle

# ---- Cholesky ---------------------------------------------------------------------------------------------------------


def _low(m: Any) -> Any:
    """The lower triangle with half the diagonal."""
    return 0.5 * (np.tril(m) + np.tril(m, -1))


def _cholesky_jvp(t: Any, lower: Any, _a: Any) -> Any:
    """L low(L^-1 dA L^-H)."""
    return lower @ _low(adjoint(solve(lower, adjoint(solve(lower, from_triangle(t))))))


def _cholesky_vjp(g: Any, lower: Any, _a: Any) -> Any:
    """L^-H low*(L^H g) L^-1, made Hermitian: the triangle that is read gets what the other one would."""
    m = _low(adjoint(lower) @ g)
    s = solve(adjoint(lower), adjoint(solve(adjoint(lower), m + adjoint(m))))
    return to_triangle(0.5 * s)


cholesky = opaque(np.linalg.cholesky, _cholesky_jvp, _cholesky_vjp, batch=batch_matrices)


@front(np.linalg.cholesky)
def _cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return adjoint(cholesky(adjoint(a))) if upper else cholesky(a)


# ---- QR ---------------------------------------------------------------------------------------------------------------


def _over(x: Any, r: Any) -> Any:
    """x R^-1."""
    return adjoint(solve(adjoint(r), adjoint(x)))


def _diagonal_part(m: Any, part: Any) -> Any:
    return np.where(np.eye(m.shape[-1], dtype=bool), part(m), 0)


def _qr_jvp(t: Any, out: tuple, _a: Any) -> tuple:
    q, r = out
    c = _over(t, r)
    m = adjoint(q) @ c
    low = np.tril(m, -1)
    w = low - adjoint(low)
    if m.dtype.kind == "c":  # the diagonal of R stays real
        w = w + 1j * _diagonal_part(m, np.imag)
    return q @ (w - m) + c, (m - w) @ r


def _qr_vjp(g: list, out: tuple, _a: Any) -> Any:
    """(g_Q + Q sym(M)) R^-H with M = R g_R^H - g_Q^H Q and sym(M) the Hermitian matrix of M's lower triangle."""
    (gq, gr), (q, r) = g, out
    m = -(adjoint(gq) @ q) if gr is None else r @ adjoint(gr) if gq is None else r @ adjoint(gr) - adjoint(gq) @ q
    inner = q @ from_triangle(m)
    return adjoint(solve(r, adjoint(inner if gq is None else inner + gq)))


qr = opaque(lambda a: tuple(np.linalg.qr(a)), _qr_jvp, _qr_vjp, batch=batch_matrices, multiple=True, name="qr")
QRResult: Any = type(np.linalg.qr(np.eye(1)))


@front(np.linalg.qr)
def _qr(a: Any, mode: str = "reduced") -> Any:
    """Of a wide matrix the leading square block is factored, and the rest of R is Q^H times the rest of A."""
    rows, columns = a.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise errors.unsupported(np.linalg.qr, f"mode={mode!r} is not; use 'reduced' or 'r'")
    if mode == "complete" and rows > columns:
        raise errors.unsupported(
            np.linalg.qr, "mode='complete' of a matrix with more rows than columns has arbitrary columns in Q; use 'reduced'"
        )
    q, r = qr(a[..., :rows] if columns > rows else a)
    if columns > rows:
        r = np.concatenate([r, adjoint(q) @ a[..., rows:]], -1)
    return r if mode == "r" else QRResult(q, r)
