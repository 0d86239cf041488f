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
from dualgrad.rules.linalg import adjoint, batch_matrices, from_triangle

# ---- svd: A = U diag(s) V^H -------------------------------------------------------------------------------------------


def _svd_blocks(s: Any, a: Any) -> tuple[Any, Any]:
    """(block of every singular value, the block of zeros)."""
    block = blocks(s, size=max(a.shape[-2:]), zero=True)
    return block[..., :-1], block[..., -1:]


def _svd_masks(s: Any, a: Any) -> tuple[Any, Any, Any]:
    """(pairs of equal positive values or of zeros, pairs of zeros, zeros); the pairs of the first kind are of different indices."""
    block, none = _svd_blocks(s, a)
    zero = np.equal(block, none)
    return np.logical_and(pairs(block), off_diagonal(s.shape[-1])), np.logical_and(zero[..., :, None], zero[..., None, :]), zero


def _svd_adapt(t: Any, out: tuple, a: Any, *, full: bool, shared: bool) -> tuple:
    """Turn the bases of degenerate blocks to those that diagonalize dA there: one SVD of P's diagonal blocks.

    In a block of equal positive values U and V turn together, to the eigenvectors of the Hermitian part of P; the left and
    right null spaces turn apart, to the singular vectors of P there.  The blocks are moved apart by multiples of the unit matrix.
    """
    u, s, vh = out
    equal, _, zero = _svd_masks(s, a)
    if t is None or not (any_true(equal) or any_true(zero)):
        return out
    if differentiated(s):
        raise unsupported_order()
    k, (rows, columns) = s.shape[-1], a.shape[-2:]
    if not full and rows != columns:
        u, _, vh = svd(a, full=True, shared=False)
    block, none = _svd_blocks(s, a)
    p = adjoint(u) @ t @ adjoint(vh)
    row = np.concatenate([block, np.broadcast_to(none, (*block.shape[:-1], rows - k))], -1)
    column = np.concatenate([block, np.broadcast_to(none, (*block.shape[:-1], columns - k))], -1)
    p = np.where(np.equal(row[..., :, None], column[..., None, :]), p, 0)
    square, both = p[..., :k, :k], np.logical_and(zero[..., :, None], zero[..., None, :])
    square = np.where(both, square, 0.5 * (square + adjoint(square)))
    square = square + diagonal_matrix(2 * frobenius(p)[..., None] * (none - block).astype(s.dtype))
    top = np.concatenate([square, p[..., :k, k:]], -1)
    left, _, right = svd(np.concatenate([top, p[..., k:, :]], -2), full=True, shared=False)
    u, vh = u @ left, right @ vh
    return (u, s, vh) if full else (u[..., :k], s, vh[..., :k, :])


def _svd_split(out: tuple, a: Any, *, full: bool, shared: bool) -> tuple | None:
    _, s, _ = out
    equal, _, zero = _svd_masks(s, a)
    if not (any_true(equal) or any_true(zero)) or differentiated(s):
        return None
    if splitting_of(s) is not None:
        raise unsupported_order()
    block = blocks(s, size=max(a.shape[-2:]), zero=True)
    return None, distinct(block, s.dtype)[..., :-1], None


def _svd_jvp(t: Any, out: tuple, a: Any, *, full: bool, shared: bool) -> tuple:
    u, s, vh = out
    k = s.shape[-1]
    u_thin, vh_thin = u[..., :k], vh[..., :k, :]
    equal, zeros, zero = _svd_masks(s, a)
    p = adjoint(u_thin) @ t @ adjoint(vh_thin)
    equal = np.logical_or(equal, ~off_diagonal(k))
    gap, total = s[..., None, :] - s[..., :, None], s[..., None, :] + s[..., :, None]
    together = np.where(equal, 0, 0.5 * (p + adjoint(p)) / np.where(equal, 1, gap))
    apart = np.where(zeros, 0, skew_part(p) / np.where(zeros, 1, total))
    size = np.where(zero, 1, s)
    du, dvh = u_thin @ (together + apart), (apart - together) @ vh_thin
    if a.shape[-2] > k:
        tv = t @ adjoint(vh_thin)
        du = du + np.where(zero[..., None, :], 0, (tv - u_thin @ (adjoint(u_thin) @ tv)) / size[..., None, :])
    if a.shape[-1] > k:
        ut = adjoint(u_thin) @ t
        dvh = dvh + np.where(zero[..., :, None], 0, (ut - (ut @ adjoint(vh_thin)) @ vh_thin) / size[..., :, None])
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


def _svd_vjp(g: list, out: tuple, a: Any, *, full: bool, shared: bool) -> Any:
    """U (skew(Q_U + Q_V) / (s_j - s_i) + skew(Q_U - Q_V) / (s_i + s_j) + diag(g_s)) V^H with Q_U = U^H g_U, Q_V = V^H g_V,
    and (1 - U U^H) g_U / s V^H and U / s g_V^H (1 - V V^H) of a matrix that is not square."""
    (gu, gs, gvh), (u, s, vh) = g, out
    k, v = s.shape[-1], adjoint(vh)
    equal, zeros, zero = _svd_masks(s, a)
    degenerate = any_true(equal) or any_true(zero)
    if degenerate:
        gs = series(gs, splitting_of(s))[0]
    gu, gv = _thin(gu, u, k), None if gvh is None else _thin(adjoint(gvh), v, k)
    u, v, vh = u[..., :k], v[..., :k], vh[..., :k, :]
    if gu is None and gv is None:
        return (u * (_singular_values_share(gs, s, a) if shared else gs)[..., None, :]) @ vh
    qu = 0 * (vh @ gv) if gu is None else adjoint(u) @ gu
    qv = 0 * qu if gv is None else vh @ gv
    off = off_diagonal(k)
    gap, total = np.where(off, s[..., None, :] - s[..., :, None], 1), s[..., None, :] + s[..., :, None]
    scale = gv if gu is None else gu if gv is None else np.maximum(np.max(np.abs(gu)), np.max(np.abs(gv)))
    middle = np.where(off, quotient(skew_part(qu + qv), gap, equal, s, scale), 0)
    middle = middle + quotient(skew_part(qu - qv), total, zeros, s, scale)
    if gs is not None:
        middle = middle + diagonal_matrix(gs)
    found = u @ middle @ vh
    if gu is not None and a.shape[-2] > k:
        found = found + quotient(gu - u @ qu, s[..., None, :], zero[..., None, :], s, scale) @ vh
    if gv is not None and a.shape[-1] > k:
        found = found + u @ adjoint(quotient(gv - v @ qv, s[..., None, :], zero[..., None, :], s, scale))
    return found


svd = opaque(
    lambda a, *, full, shared: tuple(np.linalg.svd(a, full)),
    _svd_jvp,
    _svd_vjp,
    batch=batch_matrices,
    multiple=True,
    name="svd",
    split=_svd_split,
    adapt=_svd_adapt,
)


def _singular_values_share(d: Any, s: Any, a: Any) -> Any:
    """Equal singular values share, those that are 0 have slope 0; for a second derivative each has its own first one."""
    equal, _, zero = _svd_masks(s, a)
    if differentiated(s) or not (any_true(equal) or any_true(zero)):
        return d
    return np.where(zero, 0, mean_over(d, pairs(_svd_blocks(s, a)[0])))


def _svdvals_jvp(t: Any, s: Any, a: Any) -> Any:
    """Re diag(U^H dA V), shared among equal singular values, 0 at a singular value 0."""
    u, _, vh = svd(a, full=False, shared=False)
    return _singular_values_share(np.real(np.sum(np.conjugate(u) * (t @ adjoint(vh)), -2)), s, a)


def _svdvals_vjp(g: Any, s: Any, a: Any) -> Any:
    """U diag(g) V^H."""
    u, _, vh = svd(a, full=False, shared=False)
    return (u * _singular_values_share(g, s, a)[..., None, :]) @ vh


def _svdvals_adapt(_t: Any, s: Any, a: Any) -> Any:
    """For a second derivative each singular value needs its own first one (see `_eigvalsh_adapt`)."""
    if not differentiated(s):
        return s
    equal, _, zero = _svd_masks(s, a)
    return svd(a, full=False, shared=False)[1] if any_true(equal) or any_true(zero) else s


svdvals = opaque(
    lambda a: np.linalg.svd(a, compute_uv=False),
    _svdvals_jvp,
    _svdvals_vjp,
    batch=batch_matrices,
    name="svdvals",
    adapt=_svdvals_adapt,
)
SVDResult: Any = type(np.linalg.svd(np.eye(1)))


@front(np.linalg.svd)
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = from_triangle(a) if hermitian else a
    return SVDResult(*svd(a, full=bool(full_matrices), shared=True)) if compute_uv else svdvals(a)


@front(np.linalg.svdvals)
def _svdvals(x: Any, /) -> Any:
    return svdvals(x)
