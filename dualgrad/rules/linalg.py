"""np.linalg: solving, inverting, powers, and what is composed of them.  All broadcast over leading dimensions.

    x = A^-1 b        dx = A^-1 (db - dA x)          b's cotangent A^-H g, A's the product - (A^-H g) x^H
    Y = A^-1          dY = - Y dA Y                  A's cotangent - Y^H g Y^H

(Giles, Collected matrix derivative results, 2008, sections 2.2 and 2.3; the pseudoinverse: Golub & Pereyra, 1973, eq. 4.12.)
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import any_true, conjugate, unbroadcast
from dualgrad.core.primitive import Primitive
from dualgrad.core.registry import front
from dualgrad.rules.contraction import array
from dualgrad.rules.declare import batch_core, constant, opaque


def adjoint(x: Any) -> Any:
    """The conjugate transpose of the last two axes."""
    return conjugate(np.swapaxes(x, -1, -2))


def batch_matrices(primitive: Primitive, mapped: Any, *values: Any, **static: Any) -> Any:
    """Batch rule of a function of matrices that broadcasts over leading dimensions."""
    return batch_core(*(2,) * len(values))(primitive, mapped, *values, **static)


# ---- solve and inv ----------------------------------------------------------------------------------------------------


def _solve_jvp(tangents: tuple, x: Any, a: Any, _b: Any) -> Any:
    """A^-1 (db - dA x)."""
    da, db = tangents
    change = db if da is None else -(da @ x) if db is None else db - da @ x
    return solve(a, change)


def _solve_vjp(g: Any, x: Any, a: Any, _b: Any) -> tuple:
    """(- (A^-H g) x^H, A^-H g), summed over the dimensions that were broadcast."""
    gb = solve(adjoint(a), g)
    return unbroadcast(-(gb @ adjoint(x)), a.shape), unbroadcast(gb, _b.shape)


solve = opaque(np.linalg.solve, _solve_jvp, _solve_vjp, batch=batch_matrices)
inv = opaque(np.linalg.inv, lambda t, y, _a: -(y @ t @ y), lambda g, y, _a: -(adjoint(y) @ g @ adjoint(y)), batch=batch_matrices)


@front(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    a, b = array(a), array(b)
    return solve(a, b[:, None])[..., 0] if b.ndim == 1 else solve(a, b)


@front(np.linalg.inv)
def _inv(a: Any) -> Any:
    return inv(a)


@front(np.linalg.tensorinv)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    rows = math.prod(a.shape[ind:])
    return np.reshape(inv(np.reshape(a, (rows, -1))), a.shape[ind:] + a.shape[:ind])


@front(np.linalg.tensorsolve)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = array(a), array(b)
    if axes is not None:
        last = [int(k) % a.ndim for k in axes]
        a = np.transpose(a, [k for k in range(a.ndim) if k not in last] + last)
    shape = a.shape[b.ndim :]
    if a.size != math.prod(shape) ** 2:
        raise np.linalg.LinAlgError("Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])")
    return np.reshape(_solve(np.reshape(a, (-1, math.prod(shape))), np.ravel(b)), shape)


@front(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    """Repeated squaring."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype, like=a), a.shape)
    if n < 0:
        a, n = inv(a), -n
    power = None
    while True:
        if n & 1:
            power = a if power is None else power @ a
        n >>= 1
        if not n:
            return np.copy(power) if power is a else power
        a = a @ a


# ---- pinv and least squares -------------------------------------------------------------------------------------------


def _turned(t: Any, p: Any, a: Any) -> Any:
    """P P^H T (1 - A P) + (1 - P A) T P^H P: how the row and column spaces of P turn with A, T = dA^H."""
    return p @ (adjoint(p) @ (t - t @ a @ p)) + ((t - p @ (a @ t)) @ adjoint(p)) @ p


# Of constant rank: dP = - P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P.
pinv = opaque(
    lambda a, *, rcond: np.linalg.pinv(a, rcond=rcond),
    jvp=lambda t, p, a, *, rcond: _turned(adjoint(t), p, a) - p @ t @ p,
    vjp=lambda g, p, a, *, rcond: adjoint(_turned(g, p, a)) - adjoint(p) @ g @ adjoint(p),
    batch=batch_matrices,
    name="pinv",
)


def _cutoff(function: Any, name: str, rcond: Any) -> float:
    if np.ndim(rcond):
        raise errors.unsupported(function, f"an array for {name} is not; give one number")
    return float(rcond)


@front(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if rtol is None else rtol
    elif rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    return pinv(from_triangle(a) if hermitian else a, rcond=_cutoff(np.linalg.pinv, "rtol", rcond))


@front(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> tuple:
    """(pinv(a) b, squared residuals, rank, singular values)."""
    a, b = array(a), array(b)
    rows, columns = a.shape
    eps = float(np.finfo(np.result_type(a, b, np.float32)).eps)
    rcond = eps * max(rows, columns) if rcond is None else _cutoff(np.linalg.lstsq, "rcond", rcond)
    x = pinv(a, rcond=eps if rcond < 0 else rcond) @ b
    s = np.linalg.svdvals(a)
    rank = np.sum(np.greater(s, s[:1] * (eps if rcond < 0 else rcond))).astype(np.int32)
    if rows <= columns or any_true(np.less(rank, columns)):
        return x, np.zeros((0,), np.result_type(s)), rank, s
    residual = np.atleast_1d(np.sum(_squared(b - a @ x), 0))
    return x, residual, rank, s


def _squared(x: Any) -> Any:
    return np.real(x) ** 2 + np.imag(x) ** 2 if x.dtype.kind == "c" else x * x


# ---- rank and condition -----------------------------------------------------------------------------------------------

matrix_rank = constant(
    lambda a, *, tol, hermitian, rtol: np.linalg.matrix_rank(a, tol, hermitian, rtol=rtol),
    batch=lambda primitive, _mapped, a, **static: NotImplemented if a.ndim < 3 else primitive(a, **static),
    name="matrix_rank",
)


@front(np.linalg.matrix_rank)
def _matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    return matrix_rank(A, tol=tol, hermitian=hermitian, rtol=rtol)


@front(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    """The ratio of the extreme singular values, or |x| |x^-1| in the norm p."""
    if p is None or p in (2, -2):
        s = np.linalg.svdvals(x)
        with np.errstate(all="ignore"):
            return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(inv(x), p, axis=(-2, -1))


# ---- Hermitian matrices given by one triangle -------------------------------------------------------------------------


def from_triangle(a: Any, uplo: str = "L") -> Any:
    """The Hermitian matrix whose lower (L) or upper (U) triangle is that of a; the imaginary part of the diagonal is not read."""
    strict, half = (np.tril(a, -1), np.tril(a)) if uplo == "L" else (np.triu(a, 1), np.triu(a))
    if a.dtype.kind != "c":
        return half + np.swapaxes(strict, -1, -2)
    return strict + adjoint(strict) + np.where(np.eye(a.shape[-1], dtype=bool), np.real(a), 0)


def to_triangle(g: Any, uplo: str = "L") -> Any:
    """The adjoint of `from_triangle`, for Hermitian g: an element off the diagonal stands for two of the matrix."""
    return np.tril(g) + np.tril(g, -1) if uplo == "L" else np.triu(g) + np.triu(g, 1)
