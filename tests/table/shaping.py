"""Moving elements about: reshape, transpose, broadcast, squeeze, cast, copy, real and imaginary parts; attributes and methods."""

from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

A = np.array
V = A([0.3, -0.7, 0.55, 1.2, -0.25, 0.9])
X = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45]])
T = np.sin(np.arange(24.0)).reshape(2, 3, 4) + 0.1
F = np.asfortranarray(T)
U = A([[[0.4], [0.7], [-0.9]]])
S = A(0.4)[()]
Z = X + 1j * A([[1.3, 0.2, -0.5], [0.4, -0.8, 0.35]])
ONCE = np.exp  # what follows the movement, so that second derivatives are not all zero


def _view_written_through(x: Any) -> Any:
    y = x * 1
    y.T[0] = 2 * x[:, 0]
    np.ravel(y)[3] *= x[0, 0]
    y.reshape(3, 2)[1] += x[0, 1]
    np.swapaxes(y, 0, 1)[2, 1] = x[1, 2] ** 2
    y[None][0, 0] *= 3.0
    return y


def _parts_written(z: Any) -> Any:
    w = z * 1
    w.real = np.imag(z)
    w.imag = np.real(z) ** 2
    return w


def _attributes(x: Any) -> Any:
    assert x.shape == (2, 3) and x.ndim == 2 and x.size == 6 and x.nbytes == 6 * x.dtype.itemsize and x.itemsize == x.dtype.itemsize
    assert len(x) == 2 and np.shape(x) == (2, 3) and np.ndim(x) == 2 and np.size(x) == 6 and np.size(x, 1) == 3
    return x.T @ x + x.mT @ x + (x.real * x.imag).sum()


ROWS: list[Case] = [
    Case("reshape", lambda x: ONCE(np.reshape(x, (3, 4, 2))), (T,), analytic=True),
    Case("reshape: minus one", lambda x: ONCE(np.reshape(x, (4, -1))), (T,), analytic=True),
    Case("reshape: an integer", lambda x: ONCE(np.reshape(x, 24)), (T,), analytic=True),
    Case("reshape: Fortran order", lambda x: ONCE(np.reshape(x, (4, -1), order="F")), (T,), analytic=True),
    Case("reshape: the method", lambda x: x.reshape(6, 4) * x.reshape((6, -1)) + x.reshape(-1, 4, order="F"), (T,), analytic=True),
    Case("reshape: a scalar", lambda x: ONCE(np.reshape(x, (1, 1))) + x, (S,), analytic=True),
    Case("reshape: to rank zero", lambda x: ONCE(np.reshape(x, ())), (A([[0.3]]),), analytic=True),
    Case("reshape: empty", lambda x: np.reshape(x, (3, 0)), (np.zeros((0, 2)),), analytic=True),
    Case("ravel", lambda x: (np.ravel(x) * x.ravel(), x.flatten()), (X,), analytic=True),
    Case("ravel: Fortran order", lambda x: (np.ravel(x, order="F") ** 2, x.flatten("F"), x.ravel(order="F")), (X,), analytic=True),
    Case("ravel: of a Fortran array", lambda x: (np.ravel(x) ** 2, np.ravel(x.T)), (F,), analytic=True),
    Case("transpose", lambda x: ONCE(np.transpose(x)), (T,), analytic=True),
    Case("transpose: axes", lambda x: ONCE(np.transpose(x, (1, -1, 0))) + np.permute_dims(x, (1, 2, 0)), (T,), analytic=True),
    Case(
        "transpose: the method", lambda x: x.transpose() * x.T + x.transpose(2, 1, 0) + x.transpose((2, 1, 0)), (T,), analytic=True
    ),
    Case("transpose: rank one and zero", lambda x, s: (x.T * 2, s.T * 2, np.transpose(s)), (V, S), analytic=True),
    Case("matrix_transpose", lambda x: ONCE(np.matrix_transpose(x)) + x.mT + np.linalg.matrix_transpose(x), (T,), analytic=True),
    Case("swapaxes", lambda x: ONCE(np.swapaxes(x, 0, -1)) + x.swapaxes(-1, 0), (T,), analytic=True),
    Case("moveaxis", lambda x: ONCE(np.moveaxis(x, 0, -1)), (T,), analytic=True),
    Case("moveaxis: several", lambda x: ONCE(np.moveaxis(x, [0, -1], [-1, 0])), (T,), analytic=True),
    Case("rollaxis", lambda x: ONCE(np.rollaxis(x, 2)) + np.rollaxis(x, -1, 0), (T,), analytic=True),
    Case("rollaxis: start", lambda x: ONCE(np.rollaxis(x, 0, 3)) + np.rollaxis(x, 0, -1).mT, (T,), analytic=True),
    Case("squeeze", lambda x: (np.squeeze(x) ** 2, x.squeeze(), np.squeeze(x, 0), x.squeeze(axis=(0, -1))), (U,), analytic=True),
    Case("expand_dims", lambda x: np.expand_dims(x, 1) * np.expand_dims(x, (0, -1)), (X,), analytic=True),
    Case("expand_dims: a scalar", lambda s: np.expand_dims(s, 0) ** 2, (S,), analytic=True),
    Case(
        "atleast",
        lambda x, s: (np.atleast_1d(s) ** 2, np.atleast_2d(x), np.atleast_3d(x), np.atleast_2d(s, x)),
        (V, S),
        analytic=True,
    ),
    Case("atleast: matrices", lambda x: (np.atleast_1d(x) ** 2, np.atleast_2d(x), np.atleast_3d(x)), (X,), analytic=True),
    Case("broadcast_to", lambda x: ONCE(np.broadcast_to(x, (2, 4, 3))), (A([[0.3, -0.7, 0.5]]),), analytic=True),
    Case("broadcast_to: a scalar", lambda x: ONCE(np.broadcast_to(x, (2, 3))), (S,), analytic=True),
    Case("broadcast_to: an integer", lambda x: ONCE(np.broadcast_to(x, 3)), (A([0.2]),), analytic=True),
    Case("broadcast_to: the same shape", lambda x: ONCE(np.broadcast_to(x, (2, 3))), (X,), analytic=True),
    Case("broadcast_to: to nothing", lambda x: np.broadcast_to(x, (0, 3)), (A([[0.3, -0.7, 0.5]]),), analytic=True),
    Case("broadcast_arrays", lambda x, y: (lambda a, b: a * b)(*np.broadcast_arrays(x, y)), (X, A([[0.5], [0.7]])), analytic=True),
    Case("copy", lambda x: np.copy(x) * x.copy() + np.array(x, like=x, copy=True), (X,), analytic=True),
    Case("astype", lambda x: x.astype(np.float64) ** 2, (X,), float32=False),
    Case("astype: complex", lambda x: x.astype(complex) * 1j + np.astype(x, np.complex128), (X,), float32=False),
    Case("astype: half precision on the way", lambda x: x.astype(np.longdouble).astype(np.float64) ** 2, (X,), float32=False),
    Case("astype: integers", lambda x: x * (4 * x).astype(int) + x * x.astype(bool), (X,)),
    Case("real", lambda z: np.real(z) ** 2 + z.real, (Z,)),
    Case("real: of real numbers", lambda x: np.real(x) ** 2 + np.imag(x) + x.real * x.imag, (X,)),
    Case("imag", lambda z: np.imag(z) ** 2 + z.imag, (Z,)),
    Case("real_if_close", lambda x: np.real_if_close(x + 0j) ** 2, (X,), mapped=False),
    Case("complex views", lambda z: (z.T, z.reshape(-1)[::-1], z[0] * z.conj()[1], np.conj(z)), (Z,)),
    Case("attributes", _attributes, (X,)),
    Case("views written through", _view_written_through, (X,), analytic=True),
    Case("parts written", _parts_written, (Z,)),
]
