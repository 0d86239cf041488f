"""Products: matmul, dot, vdot, inner, outer, tensordot, kron, einsum.  Each is linear in every operand."""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.arrays import unbroadcast
from dualgrad.core.primitive import Primitive
from dualgrad.rules.declare import batch_core, multilinear

# ---- matmul: (..., n, k) @ (..., k, m), and vectors on either side ----------------------------------------------------


def _left(g: Any, x: Any, y: Any) -> Any:
    """The cotangent of x in x @ y: g y^T, summed over broadcast leading axes."""
    if x.ndim == 2 and y.ndim == 2:
        return np.matmul(g, np.transpose(y))
    if y.ndim == 1:
        return unbroadcast(g[..., None] * y, x.shape)
    if x.ndim == 1:
        return unbroadcast(np.matmul(y, g[..., None])[..., 0], x.shape)
    return unbroadcast(np.matmul(g, np.swapaxes(y, -1, -2)), x.shape)


def _right(g: Any, x: Any, y: Any) -> Any:
    """The cotangent of y in x @ y: x^T g, summed over broadcast leading axes."""
    if x.ndim == 2 and y.ndim == 2:
        return np.matmul(np.transpose(x), g)
    if x.ndim == 1:
        return unbroadcast(x[:, None] * g[..., None, :], y.shape) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return unbroadcast(np.matmul(np.swapaxes(x, -1, -2), g[..., None])[..., 0], y.shape)
    return unbroadcast(np.matmul(np.swapaxes(x, -1, -2), g), y.shape)


def _batch_matmul(primitive: Primitive, mapped: Any, x: Any, y: Any) -> Any:
    """A mapped vector becomes a matrix of one row or column first, so that the mapped axis is a leading one."""
    x_vector, y_vector = np.ndim(x) - mapped[0] == 1, np.ndim(y) - mapped[1] == 1
    if x_vector:
        x = x[..., None, :]
    if y_vector:
        y = y[..., None]
    out = batch_core(2, 2)(primitive, mapped, x, y)
    if x_vector:
        out = out[..., 0, :]
    if y_vector:
        out = out[..., 0]
    return out


matmul = multilinear(np.matmul, (_left, _right), batch=_batch_matmul)
