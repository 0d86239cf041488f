"""Products: matmul, which is linear in each operand, and dot, inner, outer, tensordot, kron, … which are made of it.

The transpose of x @ y is g y^T for x and x^T g for y (Giles, Collected matrix derivative results, 2008, section 2.2).
"""
from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from dualgrad.core.arrays import conjugate, unbroadcast
from dualgrad.core.inplace import assign
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import METHODS, UFUNCS, front, front_method, front_ufunc
from dualgrad.rules.declare import batch_core, multilinear

_ndarray = np.ndarray

# ---- matmul: (..., n, k) @ (..., k, m), and vectors on either side ----------------------------------------------------


def product(x: Any, y: Any) -> Any:
    """x @ y; for two plain matrices by the method, which starts in 0.3 us where np.matmul takes 0.8 us."""
    if type(x) is _ndarray and type(y) is _ndarray and x.ndim == y.ndim == 2:
        return x.dot(y)
    return np.matmul(x, y)


product.takes_traced = True  # type: ignore[attr-defined]


def _left(g: Any, x: Any, y: Any) -> Any:
    """The cotangent of x in x @ y: g y^T, summed over broadcast leading axes."""
    if type(g) is _ndarray and type(y) is _ndarray and g.ndim == y.ndim == 2:
        return g.dot(y.T)
    if g.ndim == y.ndim == 2:
        return np.matmul(g, y.T)
    if y.ndim == 1:
        return unbroadcast(g[..., None] * y, x.shape)
    if x.ndim == 1:
        return unbroadcast(np.matmul(y, g[..., None])[..., 0] if y.ndim > 2 else np.matmul(y, g), x.shape)
    return unbroadcast(np.matmul(g, np.swapaxes(y, -1, -2)), x.shape)


def _right(g: Any, x: Any, y: Any) -> Any:
    """The cotangent of y in x @ y: x^T g, summed over broadcast leading axes."""
    if type(x) is _ndarray and type(g) is _ndarray and x.ndim == g.ndim == 2:
        return x.T.dot(g)
    if x.ndim == g.ndim == 2:
        return np.matmul(x.T, g)
    if x.ndim == 1:
        return unbroadcast(x[:, None] * g[..., None, :], y.shape) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return unbroadcast(np.matmul(g[..., None, :], x)[..., 0, :] if x.ndim > 2 else np.matmul(g, x), y.shape)
    return unbroadcast(np.matmul(np.swapaxes(x, -1, -2), g), y.shape)


def _batch_matmul(primitive: Primitive, mapped: Any, x: Any, y: Any) -> Any:
    """Many vectors or matrices times one matrix are one product: 300 vectors of 300 take 1 ms, one by one 25 ms.

    So are, for each of several small matrices, all that are multiplied by it: 26 times 22 of 4 by 4 take 19 us, one by one 48 us.
    Otherwise a mapped vector becomes a matrix of one row or column first, so that the mapped axis is a leading one.
    """
    x_rank, y_rank = np.ndim(x) - mapped[0], np.ndim(y) - mapped[1]
    if not mapped[1] and y_rank == 2:
        if x_rank == 1:
            return primitive(x, y)
        return primitive(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[-1])
    if not mapped[0] and x_rank == 2 and y_rank == 1:
        return primitive(y, x.T)
    if not mapped[1] and x_rank == y_rank == 3 and y.shape[0] == x.shape[1] and y.shape[1] * y.shape[2] <= _SMALL:
        size, count, rows, inner = x.shape
        tall = primitive(x.swapaxes(0, 1).reshape(count, size * rows, inner), y)
        return tall.reshape(count, size, rows, y.shape[2]).swapaxes(0, 1)
    if x_rank == 1:
        x = x[..., None, :]
    if y_rank == 1:
        y = y[..., None]
    out = _batch_matrices(primitive, mapped, x, y)
    if x_rank == 1:
        out = out[..., 0, :]
    if y_rank == 1:
        out = out[..., 0]
    return out


_batch_matrices = batch_core(2, 2)
_SMALL = 64  # elements of a matrix that is quickly multiplied and slowly got at


UFUNCS[np.matmul] = matmul = multilinear(product, (_left, _right), batch=_batch_matmul, name="matmul")


# ---- products that are a matmul of rearranged operands, or a broadcast product -----------------------------------------


def array(x: Any) -> Any:
    """A NumPy function's operand, which may be a list or a number."""
    return x if isinstance(x, Value) else np.asarray(x)


def _into(out: Any, result: Any, function: str) -> Any:
    return result if out is None else assign(out, result, function)


@front(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    return _into(out, _dot_product(array(a), array(b)), "np.dot")


METHODS["dot"] = lambda a, b: _dot_product(a, array(b))


def _dot_product(a: Any, b: Any) -> Any:
    """sum_k a[..., k] b[..., k, :], without broadcasting."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim <= 2 or a.ndim == 1:
        return a @ b
    return _tensordot(a, b, (-1, -2))


@front(np.vdot)
def _vdot(a: Any, b: Any, /) -> Any:
    a, b = array(a), array(b)
    return np.ravel(conjugate(a)) @ np.ravel(b)


@front(np.inner)
def _inner(a: Any, b: Any, /) -> Any:
    a, b = array(a), array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return a @ b.T if b.ndim <= 2 else _tensordot(a, b, (-1, -1))


@front(np.outer)
def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return _into(out, np.ravel(array(a))[:, None] * np.ravel(array(b)), "np.outer")


@front(np.linalg.outer)
def _linalg_outer(x1: Any, x2: Any, /) -> Any:
    x1, x2 = array(x1), array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={x1.ndim} and x2.ndim={x2.ndim}.")
    return x1[:, None] * x2


@front(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Permute the contracted axes to the inside, one matmul of matrices, and the free axes back."""
    a, b = array(a), array(b)
    if np.iterable(axes):
        first, second = (tuple(int(k) for k in np.atleast_1d(side)) for side in axes)
    else:
        first, second = tuple(range(-int(axes), 0)), tuple(range(int(axes)))
    if len(first) != len(second) or any(a.shape[j] != b.shape[k] for j, k in zip(first, second, strict=True)):
        raise ValueError("shape-mismatch for sum")
    first, second = tuple(j % a.ndim for j in first), tuple(k % b.ndim for k in second)
    rows = tuple(j for j in range(a.ndim) if j not in first)
    columns = tuple(k for k in range(b.ndim) if k not in second)
    inside = math.prod(a.shape[j] for j in first)
    left = np.reshape(np.transpose(a, rows + first), (math.prod(a.shape[j] for j in rows), inside))
    right = np.reshape(np.transpose(b, second + columns), (inside, math.prod(b.shape[k] for k in columns)))
    return np.reshape(left @ right, tuple(a.shape[j] for j in rows) + tuple(b.shape[k] for k in columns))


@front(np.linalg.tensordot)
def _linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return _tensordot(x1, x2, axes)


@front(np.kron)
def _kron(a: Any, b: Any) -> Any:
    """The outer product with the axes of a and b interleaved and merged in pairs."""
    a, b = array(a), array(b)
    rank = max(a.ndim, b.ndim)
    rows, columns = (1,) * (rank - a.ndim) + a.shape, (1,) * (rank - b.ndim) + b.shape
    left = np.reshape(a, tuple(n for size in rows for n in (size, 1)))
    right = np.reshape(b, tuple(n for size in columns for n in (1, size)))
    return np.reshape(left * right, tuple(m * n for m, n in zip(rows, columns, strict=True)))


@front(np.linalg.matmul)
def _linalg_matmul(x1: Any, x2: Any, /) -> Any:
    return np.matmul(x1, x2)


@front_ufunc(np.vecdot)
def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """sum conj(x1) x2 over one axis."""
    product = conjugate(array(x1)) * array(x2)
    return np.sum(product if axis == -1 else np.moveaxis(product, axis, -1), -1)


@front(np.linalg.vecdot)
def _linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return _vecdot(x1, x2, axis=axis)


@front_ufunc("matvec")
def _matvec(x1: Any, x2: Any, /) -> Any:
    return (array(x1) @ array(x2)[..., None])[..., 0]


@front_ufunc("vecmat")
def _vecmat(x1: Any, x2: Any, /) -> Any:
    return (conjugate(array(x1))[..., None, :] @ array(x2))[..., 0, :]


@front(np.linalg.multi_dot)
def _multi_dot(arrays: Any) -> Any:
    """The product of a chain of matrices in the cheapest order; a vector may stand at either end."""
    xs = [array(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError("Expecting at least two arrays.")
    if any(x.ndim != 2 for x in xs[1:-1]) or any(x.ndim not in (1, 2) for x in (xs[0], xs[-1])):
        raise np.linalg.LinAlgError("multi_dot: the arrays must be two-dimensional, the first and last at least one-dimensional")
    sizes = [1 if xs[0].ndim == 1 else xs[0].shape[0]] + [x.shape[0] for x in xs[1:]] + [xs[-1].shape[1] if xs[-1].ndim == 2 else 1]
    return _chain(xs, tuple(sizes))


def _chain(xs: list[Any], sizes: tuple[int, ...]) -> Any:
    """x_0 @ ... @ x_(n-1), where x_k has sizes[k] rows and sizes[k + 1] columns."""

    @functools.cache
    def cost(i: int, j: int) -> tuple[int, int]:
        """(multiplications, where to cut) of the product of x_i ... x_(j-1)."""
        if j - i == 1:
            return 0, i
        return min((cost(i, k)[0] + cost(k, j)[0] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j))

    def product(i: int, j: int) -> Any:
        cut = cost(i, j)[1]
        return xs[i] if j - i == 1 else product(i, cut) @ product(cut, j)

    return product(0, len(xs))


# ---- ufunc.outer ------------------------------------------------------------------------------------------------------


def _outer_of(ufunc: np.ufunc) -> None:
    @front_method(ufunc, "outer")
    def outer(A: Any, B: Any, /) -> Any:
        """ufunc applied to every pair of an element of A and an element of B."""
        A, B = array(A), array(B)
        return ufunc(np.reshape(A, A.shape + (1,) * B.ndim), B)


for _ufunc in {f for f in vars(np).values() if isinstance(f, np.ufunc) and f.nin == 2 and f.signature is None}:
    _outer_of(_ufunc)
