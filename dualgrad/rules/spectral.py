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
from dualgrad.core.splitting import differentiated, series, splitting_of
from dualgrad.rules.declare import opaque
from dualgrad.rules.degenerate import (
    blocks,
    diagonal_matrix,
    distinct,
    frobenius,
    mean_over,
    off_diagonal,
    pairs,
    quotient,
    real_diagonal,
    skew_part,
    unsupported_order,
)
from dualgrad.rules.linalg import adjoint, batch_matrices, from_triangle, solve, to_triangle

# ---- eigh: A = V diag(w) V^H ------------------------------------------------------------------------------------------


def _eigh_equal(w: Any) -> Any:
    """Pairs of different indices with equal eigenvalues."""
    return np.logical_and(pairs(blocks(w, size=w.shape[-1], zero=False)), off_diagonal(w.shape[-1]))


def _eigh_adapt(t: Any, out: tuple, _a: Any, *, uplo: str, shared: bool) -> tuple:
    """Turn the basis of each degenerate block to the one that diagonalizes dA there."""
    w, v = out
    if t is None:
        return out
    block = blocks(w, size=w.shape[-1], zero=False)
    same = pairs(block)
    if not any_true(np.logical_and(same, off_diagonal(w.shape[-1]))):
        return out
    if differentiated(w):
        raise unsupported_order()
    k = adjoint(v) @ from_triangle(t, uplo) @ v
    # eigenvalues of different blocks are moved apart, so that no eigenvector mixes them
    apart = diagonal_matrix(2 * frobenius(k)[..., None] * block.astype(w.dtype))
    _, turn = eigh(np.where(same, k, 0) + apart, uplo="L", shared=False)
    return w, v @ turn


def _eigh_split(out: tuple, _a: Any, *, uplo: str, shared: bool) -> tuple | None:
    w, _ = out
    if not any_true(_eigh_equal(w)) or differentiated(w):
        return None
    if splitting_of(w) is not None:
        raise unsupported_order()
    return distinct(blocks(w, size=w.shape[-1], zero=False), w.dtype), None


def _eigh_jvp(t: Any, out: tuple, _a: Any, *, uplo: str, shared: bool) -> tuple:
    w, v = out
    k = adjoint(v) @ from_triangle(t, uplo) @ v
    equal = np.logical_or(_eigh_equal(w), ~off_diagonal(w.shape[-1]))
    gap = w[..., None, :] - w[..., :, None]
    return real_diagonal(k), v @ np.where(equal, 0, k / np.where(equal, 1, gap))


def _eigh_vjp(g: list, out: tuple, _a: Any, *, uplo: str, shared: bool) -> Any:
    """V (skew(V^H g_V) / (w_j - w_i) + diag(g_w)) V^H, in the triangle that is read."""
    (gw, gv), (w, v) = g, out
    off, equal = off_diagonal(w.shape[-1]), _eigh_equal(w)
    if any_true(equal):
        gw = series(gw, splitting_of(w))[0]
    if gv is None:
        middle = diagonal_matrix(_eigenvalues_share(gw, w) if shared else gw)
    else:
        gap = np.where(off, w[..., None, :] - w[..., :, None], 1)
        middle = np.where(off, quotient(skew_part(adjoint(v) @ gv), gap, equal, w, gv), 0)
        middle = middle if gw is None else middle + diagonal_matrix(gw)
    return to_triangle(v @ middle @ adjoint(v), uplo)


eigh = opaque(
    lambda a, *, uplo, shared: tuple(np.linalg.eigh(a, uplo)),
    _eigh_jvp,
    _eigh_vjp,
    batch=batch_matrices,
    multiple=True,
    name="eigh",
    split=_eigh_split,
    adapt=_eigh_adapt,
)


def _eigenvalues_share(d: Any, w: Any) -> Any:
    """Equal eigenvalues alone share, as every tie; for a second derivative each has its own first one."""
    equal = _eigh_equal(w)
    return d if differentiated(w) or not any_true(equal) else mean_over(d, np.logical_or(equal, ~off_diagonal(w.shape[-1])))


def _eigvalsh_jvp(t: Any, w: Any, a: Any, *, uplo: str) -> Any:
    """diag(V^H dA V), shared among equal eigenvalues."""
    _, v = eigh(a, uplo=uplo, shared=False)
    return _eigenvalues_share(np.real(np.sum(np.conjugate(v) * (from_triangle(t, uplo) @ v), -2)), w)


def _eigvalsh_vjp(g: Any, w: Any, a: Any, *, uplo: str) -> Any:
    """V diag(g) V^H."""
    _, v = eigh(a, uplo=uplo, shared=False)
    return to_triangle((v * _eigenvalues_share(g, w)[..., None, :]) @ adjoint(v), uplo)


def _eigvalsh_adapt(_t: Any, w: Any, a: Any, *, uplo: str) -> Any:
    """For a second derivative each eigenvalue needs its own first one, as eigh has it."""
    return eigh(a, uplo=uplo, shared=False)[0] if differentiated(w) and any_true(_eigh_equal(w)) else w


eigvalsh = opaque(
    lambda a, *, uplo: np.linalg.eigvalsh(a, uplo),
    _eigvalsh_jvp,
    _eigvalsh_vjp,
    batch=batch_matrices,
    name="eigvalsh",
    adapt=_eigvalsh_adapt,
)
EighResult: Any = type(np.linalg.eigh(np.eye(1)))


def _triangle(uplo: str) -> str:
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return uplo.upper()


@front(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    return EighResult(*eigh(a, uplo=_triangle(UPLO), shared=True))


@front(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigvalsh(a, uplo=_triangle(UPLO))


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
