"""Eigenvalues and eigenvectors: eigh and eig, and the values alone.

    A = V diag(w) V^H       K = V^H dA V        dw = diag K     dV = V (K / (w_j - w_i)), so that V^H dV has a zero diagonal
    A V = V diag(w)         K = V^-1 dA V       the same, and the columns of V keep their length

(Giles, Collected matrix derivative results, 2008, section 3.)  At equal eigenvalues see `degenerate`.  Values alone
(eigvalsh) share among equal ones, as every tie here.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.arrays import any_true
from dualgrad.core.registry import front
from dualgrad.core.splitting import derivative_order, holds_series, unsupported_order
from dualgrad.rules.declare import opaque
from dualgrad.rules.degenerate import (
    blocks,
    diagonal_matrix,
    frobenius,
    mean_over,
    off_diagonal,
    pairs,
    ratio,
    real_diagonal,
    skew_part,
    tied,
    untied,
)
from dualgrad.rules.linalg import adjoint, batch_matrices, from_triangle, solve, to_triangle

# ---- eigh: A = V diag(w) V^H ------------------------------------------------------------------------------------------


def _blocks(w: Any) -> Any:
    return blocks(w, size=w.shape[-1], zero=False)


def _tied(block: Any) -> Any:
    """Pairs of different indices with equal eigenvalues."""
    return np.logical_and(pairs(block), off_diagonal(block.shape[-1]))


def _eigh_split(out: tuple, _a: Any, *, uplo: str, order: int) -> tuple | None:
    w, v = out
    block = _blocks(w)
    return (untied(w, block), [v]) if any_true(_tied(block)) else None


def _eigh_adapt(t: Any, out: tuple, _a: Any, *, uplo: str, order: int) -> tuple:
    """Turn the basis of each degenerate block to the one that diagonalizes dA there."""
    w, v = out
    block = _blocks(w)
    if not any_true(_tied(block)):
        return out
    if order > 1:
        raise unsupported_order()
    k = adjoint(v) @ from_triangle(t, uplo) @ v
    # eigenvalues of different blocks are moved apart, so that no eigenvector mixes them
    k = np.where(pairs(block), k, 0) + diagonal_matrix(2 * frobenius(k)[..., None] * block.astype(w.dtype))
    return tied(w, block), v @ eigh(k, uplo="L", order=derivative_order(k))[1]


def _eigh_jvp(t: Any, out: tuple, _a: Any, *, uplo: str, order: int) -> tuple:
    w, v = out
    k = adjoint(v) @ from_triangle(t, uplo) @ v
    return real_diagonal(k), v @ ratio(k, w[..., None, :] - w[..., :, None])


def _eigh_vjp(g: list, out: tuple, _a: Any, *, uplo: str, order: int) -> Any:
    """V (skew(V^H g_V) / (w_j - w_i) + diag(g_w)) V^H, in the triangle that is read."""
    (gw, gv), (w, v) = g, out
    if gv is None:
        middle = diagonal_matrix(_equal_share(gw, w) if order == 1 else gw)
    else:
        middle = ratio(skew_part(adjoint(v) @ gv), w[..., None, :] - w[..., :, None])
        middle = middle if gw is None else middle + diagonal_matrix(gw)
    return to_triangle(v @ middle @ adjoint(v), uplo)


eigh = opaque(
    lambda a, *, uplo, order: tuple(np.linalg.eigh(a, uplo)),
    _eigh_jvp,
    _eigh_vjp,
    batch=batch_matrices,
    multiple=True,
    name="eigh",
    split=_eigh_split,
    adapt=_eigh_adapt,
)


def _equal_share(d: Any, w: Any) -> Any:
    """Equal eigenvalues alone share, as every tie."""
    block = _blocks(w)
    return mean_over(d, pairs(block)) if any_true(_tied(block)) else d


def _eigvalsh_jvp(t: Any, w: Any, a: Any, *, uplo: str) -> Any:
    """diag(V^H dA V), shared among equal eigenvalues."""
    _, v = eigh(a, uplo=uplo, order=1)
    return _equal_share(np.real(np.sum(np.conjugate(v) * (from_triangle(t, uplo) @ v), -2)), w)


def _eigvalsh_vjp(g: Any, w: Any, a: Any, *, uplo: str) -> Any:
    """V diag(g) V^H."""
    _, v = eigh(a, uplo=uplo, order=1)
    return to_triangle((v * _equal_share(g, w)[..., None, :]) @ adjoint(v), uplo)


eigvalsh = opaque(
    lambda a, *, uplo: np.linalg.eigvalsh(a, uplo), _eigvalsh_jvp, _eigvalsh_vjp, batch=batch_matrices, name="eigvalsh"
)
EighResult: Any = type(np.linalg.eigh(np.eye(1)))


def _triangle(uplo: str) -> str:
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return uplo.upper()


@front(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    return EighResult(*eigh(a, uplo=_triangle(UPLO), order=derivative_order(a)))


@front(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Equal ones share in a first derivative; for a second, and in a series, each needs its own first one, as eigh has it."""
    uplo, order = _triangle(UPLO), derivative_order(a)
    if not holds_series(a):
        w = eigvalsh(a, uplo=uplo)
        if order < 2 or not any_true(_tied(_blocks(w))):
            return w
    return eigh(a, uplo=uplo, order=order)[0]


# ---- eig: A V = V diag(w) ---------------------------------------------------------------------------------------------


def _eig_jvp(t: Any, out: tuple, _a: Any) -> tuple:
    """K = V^-1 dA V; dw = diag K; dV = V X without its components along V, X = K / (w_j - w_i): columns keep their length."""
    w, v = out
    k = solve(v, t @ v)
    off = off_diagonal(w.shape[-1])
    turn = v @ np.where(off, k / np.where(off, w[..., None, :] - w[..., :, None], 1), 0)
    return np.diagonal(k, 0, -2, -1), turn - v * np.sum(np.conjugate(v) * turn, -2, keepdims=True)


def _eig_vjp(g: list, out: tuple, _a: Any) -> Any:
    (gw, gv), (w, v) = g, out
    off, middle = off_diagonal(w.shape[-1]), 0 if gw is None else diagonal_matrix(gw)
    if gv is not None:
        along = np.sum(np.conjugate(v) * gv, -2, keepdims=True)
        gap = np.where(off, np.conjugate(w[..., None, :] - w[..., :, None]), 1)
        middle = middle + np.where(off, (adjoint(v) @ (gv - v * along)) / gap, 0)
    return solve(adjoint(v), middle @ adjoint(v))


eig = opaque(lambda a: tuple(np.linalg.eig(a)), _eig_jvp, _eig_vjp, batch=batch_matrices, multiple=True, name="eig")
EigResult: Any = type(np.linalg.eig(np.eye(1)))


@front(np.linalg.eig)
def _eig(a: Any) -> Any:
    return EigResult(*eig(a))


@front(np.linalg.eigvals)
def _eigvals(a: Any) -> Any:
    return eig(a)[0]
