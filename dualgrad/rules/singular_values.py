"""The singular value decomposition and the singular values alone.

    A = U diag(s) V^H,  U^H dA V = P_1 + P_2 (Hermitian and skew part):
    ds = diag P_1       dU = U (P_1 / (s_j - s_i) + P_2 / (s_i + s_j)) + (1 - U U^H) dA V / s
                        dV = V (P_1 / (s_j - s_i) - P_2 / (s_i + s_j)) + (1 - V V^H) dA^H U / s

(Townsend, Differentiating the SVD, 2016, in other words.)  At equal singular values, and at those that are 0, see `degenerate`:
a 0 is tied with its mirror image -0.  Values alone (svdvals) share among equal ones, and one at 0 has slope 0, as a norm at 0.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import errors
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
    untied,
)
from dualgrad.rules.linalg import adjoint, batch_matrices, from_triangle

# ---- svd: A = U diag(s) V^H -------------------------------------------------------------------------------------------


def _blocks(s: Any, a: Any) -> tuple[Any, Any]:
    """(block of every singular value, the block of zeros)."""
    block = blocks(s, size=max(a.shape[-2:]), zero=True)
    return block[..., :-1], block[..., -1:]


def _degenerate(block: Any, none: Any) -> bool:
    """Are there equal singular values, or zeros?"""
    equal = np.logical_and(pairs(block), off_diagonal(block.shape[-1]))
    return any_true(equal) or any_true(np.equal(block, none))


def _untied(s: Any, block: Any, none: Any) -> list:
    """Equal singular values and zeros, exactly so, and how they are split."""
    first, second = untied(np.concatenate([s, np.zeros_like(s[..., :1])], -1), np.concatenate([block, none], -1))
    return [np.where(np.equal(block, none), 0, first[..., :-1]), second[..., :-1]]


def _svd_adapt(t: Any, out: tuple, a: Any, *, full: bool, order: int) -> tuple:
    """Turn the bases of degenerate blocks to those that diagonalize dA there: one SVD of P's diagonal blocks.

    In a block of equal positive values U and V turn together, to the eigenvectors of the Hermitian part of P; the left and
    right null spaces turn apart, to the singular vectors of P there.  The blocks are moved apart by multiples of the unit matrix.
    """
    u, s, vh = out
    block, none = _blocks(s, a)
    if not _degenerate(block, none):
        return out
    if order > 1:
        raise unsupported_order()
    k, (rows, columns), zero = s.shape[-1], a.shape[-2:], np.equal(block, none)
    if not full and rows != columns:
        u, _, vh = svd(a, full=True, order=order)
    p = adjoint(u) @ t @ adjoint(vh)
    row = np.concatenate([block, np.broadcast_to(none, (*block.shape[:-1], rows - k))], -1)
    column = np.concatenate([block, np.broadcast_to(none, (*block.shape[:-1], columns - k))], -1)
    p = np.where(np.equal(row[..., :, None], column[..., None, :]), p, 0)
    square, both = p[..., :k, :k], np.logical_and(zero[..., :, None], zero[..., None, :])
    square = np.where(both, square, 0.5 * (square + adjoint(square)))
    square = square + diagonal_matrix(2 * frobenius(p)[..., None] * (none - block).astype(s.dtype))
    top = np.concatenate([square, p[..., :k, k:]], -1)
    p = np.concatenate([top, p[..., k:, :]], -2)
    left, _, right = svd(p, full=True, order=derivative_order(p))
    u, s, vh = u @ left, _untied(s, block, none)[0], right @ vh
    return (u, s, vh) if full else (u[..., :k], s, vh[..., :k, :])


def _svd_split(out: tuple, a: Any, *, full: bool, order: int) -> tuple | None:
    u, s, vh = out
    block, none = _blocks(s, a)
    return ([u], _untied(s, block, none), [vh]) if _degenerate(block, none) else None


def _svd_jvp(t: Any, out: tuple, a: Any, *, full: bool, order: int) -> tuple:
    u, s, vh = out
    k = s.shape[-1]
    u_thin, vh_thin = u[..., :k], vh[..., :k, :]
    p = adjoint(u_thin) @ t @ adjoint(vh_thin)
    together = ratio(0.5 * (p + adjoint(p)), s[..., None, :] - s[..., :, None])
    apart = ratio(skew_part(p), s[..., None, :] + s[..., :, None])
    du, dvh = u_thin @ (together + apart), (apart - together) @ vh_thin
    if a.shape[-2] > k:
        tv = t @ adjoint(vh_thin)
        du = du + ratio(tv - u_thin @ (adjoint(u_thin) @ tv), s[..., None, :])
    if a.shape[-1] > k:
        ut = adjoint(u_thin) @ t
        dvh = dvh + ratio(ut - (ut @ adjoint(vh_thin)) @ vh_thin, s[..., :, None])
    if full and a.shape[-2] > k:
        du = np.concatenate([du, -(u_thin @ adjoint(adjoint(u[..., k:]) @ du))], -1)
    if full and a.shape[-1] > k:
        dvh = np.concatenate([dvh, -(adjoint(dvh @ adjoint(vh[..., k:, :])) @ vh_thin)], -2)
    return du, real_diagonal(p), dvh


def _thin(g: Any, basis: Any, k: int) -> Any:
    """The cotangent of the first k columns of an orthogonal basis, the rest of which follows: dB_2 = - B_1 (dB_1^H B_2)."""
    if g is None or basis.shape[-1] == k:
        return g
    first, rest = basis[..., :k], basis[..., k:]
    inside = skew_part(adjoint(rest) @ g[..., k:])
    if any_true(np.greater(np.abs(inside), float(np.finfo(g.dtype).eps) ** 0.5 * np.max(np.abs(g)))):
        raise errors.DegeneracyError(
            f"the cotangent of the singular vectors beyond min(m, n) of svd(full_matrices=True){errors.user_line()} depends on the "
            "arbitrary choice of basis there. Use full_matrices=False, or a projector onto them."
        )
    return g[..., :k] - rest @ (adjoint(g[..., k:]) @ first)


def _svd_vjp(g: list, out: tuple, a: Any, *, full: bool, order: int) -> Any:
    """U (skew(Q_U + Q_V) / (s_j - s_i) + skew(Q_U - Q_V) / (s_i + s_j) + diag(g_s)) V^H with Q_U = U^H g_U, Q_V = V^H g_V,
    and (1 - U U^H) g_U / s V^H and U / s g_V^H (1 - V V^H) of a matrix that is not square."""
    (gu, gs, gvh), (u, s, vh) = g, out
    k, v = s.shape[-1], adjoint(vh)
    gu, gv = _thin(gu, u, k), None if gvh is None else _thin(adjoint(gvh), v, k)
    u, v, vh = u[..., :k], v[..., :k], vh[..., :k, :]
    if gu is None and gv is None:
        return (u * (_equal_share(gs, s, a) if order == 1 else gs)[..., None, :]) @ vh
    qu = 0 * (vh @ gv) if gu is None else adjoint(u) @ gu
    qv = 0 * qu if gv is None else vh @ gv
    middle = ratio(skew_part(qu + qv), s[..., None, :] - s[..., :, None])
    middle = middle + ratio(skew_part(qu - qv), s[..., None, :] + s[..., :, None])
    if gs is not None:
        middle = middle + diagonal_matrix(gs)
    found = u @ middle @ vh
    if gu is not None and a.shape[-2] > k:
        found = found + ratio(gu - u @ qu, s[..., None, :]) @ vh
    if gv is not None and a.shape[-1] > k:
        found = found + u @ adjoint(ratio(gv - v @ qv, s[..., None, :]))
    return found


svd = opaque(
    lambda a, *, full, order: tuple(np.linalg.svd(a, full)),
    _svd_jvp,
    _svd_vjp,
    batch=batch_matrices,
    multiple=True,
    name="svd",
    split=_svd_split,
    adapt=_svd_adapt,
)


def _equal_share(d: Any, s: Any, a: Any) -> Any:
    """Equal singular values alone share, as every tie, and those that are 0 have slope 0."""
    block, none = _blocks(s, a)
    return np.where(np.equal(block, none), 0, mean_over(d, pairs(block))) if _degenerate(block, none) else d


def _svdvals_jvp(t: Any, s: Any, a: Any) -> Any:
    """Re diag(U^H dA V), shared among equal singular values, 0 at a singular value 0."""
    u, _, vh = svd(a, full=False, order=1)
    return _equal_share(np.real(np.sum(np.conjugate(u) * (t @ adjoint(vh)), -2)), s, a)


def _svdvals_vjp(g: Any, s: Any, a: Any) -> Any:
    """U diag(g) V^H."""
    u, _, vh = svd(a, full=False, order=1)
    return (u * _equal_share(g, s, a)[..., None, :]) @ vh


svdvals = opaque(
    lambda a: np.linalg.svd(a, compute_uv=False),
    _svdvals_jvp,
    _svdvals_vjp,
    batch=batch_matrices,
    name="svdvals",
)
SVDResult: Any = type(np.linalg.svd(np.eye(1)))


@front(np.linalg.svd)
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = from_triangle(a) if hermitian else a
    return SVDResult(*svd(a, full=bool(full_matrices), order=derivative_order(a))) if compute_uv else _svdvals(a)


@front(np.linalg.svdvals)
def _svdvals(x: Any, /) -> Any:
    """Equal ones share in a first derivative; for a second, and in a series, each needs its own first one, as svd has it."""
    order = derivative_order(x)
    if not holds_series(x):
        s = svdvals(x)
        if order < 2 or not _degenerate(*_blocks(s, x)):
            return s
    return svd(x, full=False, order=order)[1]
