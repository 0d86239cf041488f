"""Joining, splitting, repeating, rolling, flipping; triangles and diagonals; grids."""

from __future__ import annotations

import numpy as np
from table.case import Case

A = np.array
V = A([0.3, -0.7, 0.55])
W = A([1.2, -0.25, 0.9])
X = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45]])
Y = A([[1.3, 0.2, -0.5], [0.4, -0.8, 0.35]])
Q = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45], [1.1, 0.6, -0.9]])
T = np.sin(np.arange(24.0)).reshape(2, 3, 4) + 0.1
S = A(0.4)[()]
Z = X + 1j * Y
E = np.exp

ROWS: list[Case] = [
    Case("concatenate", lambda x, y: E(np.concatenate([x, y, x * y])), (X, Y), analytic=True),
    Case("concatenate: axis", lambda x, y: E(np.concatenate((x, y), axis=-1)) + np.concat((x, y), axis=1), (X, Y), analytic=True),
    Case("concatenate: flat", lambda x, v: E(np.concatenate([x, v, [1.0, 2.0]], axis=None)), (X, V), analytic=True),
    Case(
        "concatenate: with constants",
        lambda x: E(np.concatenate([np.ones((1, 3)), x, np.zeros((0, 3))])),
        (X,),
        analytic=True,
        float32=False,
    ),
    Case("concatenate: complex and real", lambda x, z: np.concatenate([x, z]) ** 2, (X, Z)),
    Case("stack", lambda x, y: E(np.stack([x, y])), (X, Y), analytic=True),
    Case("stack: axis", lambda x, y: E(np.stack([x, y, x], axis=-1)) * np.stack((x, y, y), 2), (X, Y), analytic=True),
    Case("stack: scalars", lambda s, t: E(np.stack([s, t, s * t])), (S, A(1.3)[()]), analytic=True),
    Case("vstack", lambda v, x: E(np.vstack([v, x, v])), (V, X), analytic=True),
    Case("hstack", lambda v, w: E(np.hstack([v, w])), (V, W), analytic=True),
    Case("hstack: matrices", lambda x, y: E(np.hstack([x, y])), (X, Y), analytic=True),
    Case("dstack", lambda v, w: E(np.dstack([v, w])), (V, W), analytic=True),
    Case("column_stack", lambda v, q: E(np.column_stack([v, q, v])), (V, Q), analytic=True),
    Case("block", lambda q, v, s: E(np.block([[q, v[:, None]], [v, s]])), (Q, V, S), analytic=True),
    Case("block: one row", lambda v, w: E(np.block([v, w])), (V, W), analytic=True),
    Case("append", lambda x, y: (E(np.append(x, y)), np.append(x, y, axis=0), np.append(x, y, axis=1)), (X, Y), analytic=True),
    Case("insert", lambda x, v: (E(np.insert(x, 1, v, axis=0)), np.insert(x, -1, 2.0, axis=1), np.insert(x, 2, v[0])), (X, V)),
    Case(
        "delete", lambda x: (E(np.delete(x, 1, axis=1)), np.delete(x, [0, 4]), np.delete(x, slice(0, 2), -1)), (X,), analytic=True
    ),
    # ---- splitting
    Case("split", lambda x: [E(part) for part in np.split(x, 3, axis=1)], (X,), analytic=True),
    Case("split: at indices", lambda v: [E(part) for part in np.split(v, [1, 1, 2])], (V,), analytic=True),
    Case("split: beyond the end", lambda v: [E(part) for part in np.split(v, [1, 7])], (V,), analytic=True),
    Case("split: negative indices", lambda v: [E(part) for part in np.array_split(v, [-2, -1])], (V,), analytic=True),
    Case("array_split", lambda v: [E(part) for part in np.array_split(v, 2)], (V,), analytic=True),
    Case("hsplit", lambda x, v: [E(part) for part in (*np.hsplit(x, 3), *np.hsplit(v, 3))], (X, V), analytic=True),
    Case("vsplit", lambda x: [E(part) for part in np.vsplit(x, 2)], (X,), analytic=True),
    Case("dsplit", lambda t: [E(part) for part in np.dsplit(t, [1, 3])], (T,), analytic=True),
    Case("unstack", lambda t: [E(part) for part in np.unstack(t, axis=1)], (T,), analytic=True),
    # ---- repeating, rolling, flipping
    Case("repeat", lambda x: (E(np.repeat(x, 2)), x.repeat(2), x.repeat([1, 0, 2], axis=1)), (X,), analytic=True),
    Case("repeat: axis", lambda x: E(np.repeat(x, 3, axis=0)), (X,), analytic=True),
    Case("repeat: an array of counts", lambda x: E(np.repeat(x, A([2, 0, 1]), axis=-1)), (X,), analytic=True),
    Case("tile", lambda x: (E(np.tile(x, 2)), np.tile(x, (2, 1, 2)), np.tile(x, (2, 1))), (X,), analytic=True),
    Case("tile: a scalar", lambda s: E(np.tile(s, 3)), (S,), analytic=True),
    Case("resize", lambda x: (E(np.resize(x, (3, 3))), np.resize(x, 4)), (X,), analytic=True),
    Case("roll", lambda x: (E(np.roll(x, 2)), np.roll(x, -1, axis=1), np.roll(x, 4, 0)), (X,), analytic=True),
    Case("roll: several axes", lambda x: E(np.roll(x, (1, 2), axis=(0, 1))) + np.roll(x, 1, axis=(0, 1)), (X,), analytic=True),
    Case("flip", lambda t: E(np.flip(t)) + np.flip(t, 1) + np.flip(t, (0, -1)), (T,), analytic=True),
    Case("fliplr and flipud", lambda x: E(np.fliplr(x)) + np.flipud(x), (X,), analytic=True),
    Case("rot90", lambda q: E(np.rot90(q)) + np.rot90(q, 2) + np.rot90(q, -1) + np.rot90(q, 5, axes=(1, 0)), (Q,), analytic=True),
    Case("rot90: three dimensions", lambda t: E(np.rot90(t, 1, axes=(1, 2))), (T,), analytic=True),
    # ---- triangles and diagonals
    Case("tril", lambda q: E(np.tril(q)) + np.tril(q, 1) + np.tril(q, k=-1), (Q,), analytic=True),
    Case("triu", lambda q: E(np.triu(q)) + np.triu(q, 1) + np.triu(q, k=-1), (Q,), analytic=True),
    Case("tril: a stack, not square", lambda t: E(np.tril(t, -1)) * np.triu(t, 1), (T,), analytic=True),
    Case("tril: a vector", lambda v: E(np.tril(v)) + np.triu(v), (V,), analytic=True),
    Case("diagonal", lambda t: (E(np.diagonal(t)), t.diagonal(1, 1, 2), np.diagonal(t, -1, axis1=2, axis2=0)), (T,), analytic=True),
    Case("diagonal: of matrices", lambda t: E(np.linalg.diagonal(t)) + np.linalg.diagonal(t, offset=1), (T,), analytic=True),
    Case("diag: of a matrix", lambda x: (E(np.diag(x)), np.diag(x, 1), np.diag(x, -1)), (X,), analytic=True),
    Case("diag: from a vector", lambda v: (E(np.diag(v)), np.diag(v, 2), np.diag(v, k=-1)), (V,), analytic=True),
    Case("diagflat", lambda x: E(np.diagflat(x)) + np.diagflat(x, 0), (X,), analytic=True),
    Case("trace", lambda t: E(np.trace(t)) + t.trace(1), (T,), analytic=True),
    Case("trace: axes", lambda t: E(np.trace(t, offset=-1, axis1=1, axis2=2)) + np.linalg.trace(t, offset=-1), (T,), analytic=True),
    Case("trace: a matrix", lambda q: np.trace(q @ q) * np.trace(q, dtype=q.dtype), (Q,), analytic=True),
    Case("trace: complex", lambda z: np.trace(z @ np.conjugate(z).T), (Z,)),
    Case("vander", lambda v: np.vander(v) + np.vander(v, 3, increasing=True), (V,), analytic=True),
    Case("vander: N", lambda v: np.vander(v, 5), (V,), analytic=True),
    Case("meshgrid", lambda v, w: (lambda a, b: E(a) * b)(*np.meshgrid(v, w)), (V, W[:2]), analytic=True),
    Case(
        "meshgrid: matrix indexing",
        lambda v, w: (lambda a, b: E(a) * b)(*np.meshgrid(v, w, indexing="ij")),
        (V, W[:2]),
        analytic=True,
    ),
    Case("meshgrid: sparse", lambda v, w: (lambda a, b: E(a) * b)(*np.meshgrid(v, w, sparse=True)), (V, W[:2]), analytic=True),
    Case("meshgrid: three", lambda v, w, s: [E(g) for g in np.meshgrid(v, w, s)], (V, W[:2], S), analytic=True),
]
