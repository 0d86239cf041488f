"""Norms of every order over vectors and matrices."""
from __future__ import annotations

import numpy as np
from table.case import Case

A = np.array
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
CUBE = np.cos(np.arange(24.0)).reshape(2, 3, 4)
VECTOR = A([0.4, -1.3, 0.9, 0.2, 1.7])
Z = A([[0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j], [-0.2 - 0.8j, 0.8 + 0.1j, 0.45j]])

ROWS: list[Case] = [
    Case("norm", np.linalg.norm, (VECTOR,)),
    Case("norm of a matrix", np.linalg.norm, (X,)),
    Case("norm of a cube", lambda x: np.linalg.norm(x, keepdims=True), (CUBE,)),
    Case("norm axis", lambda x: np.linalg.norm(x, axis=-1, keepdims=True), (CUBE,)),
    Case("norm complex", lambda z: np.linalg.norm(z, axis=0), (Z,)),
    *[Case(f"norm order {p}", lambda x, p=p: np.linalg.norm(x, p), (VECTOR,)) for p in (1, 2, 3, 1.5, 0.5, -1, -2)],
    *[Case(f"norm order {p}", lambda x, p=p: np.linalg.norm(x, p), (VECTOR,), order=1) for p in (np.inf, -np.inf)],
    Case("norm order 0", lambda x: x * np.linalg.norm(x, 0, axis=0), (X,), order=1),
    *[
        Case(f"norm order {p} axis", lambda x, p=p: np.linalg.norm(x, p, axis=1, keepdims=True), (CUBE,), order=1)
        for p in (1, 2, 4, np.inf, -np.inf)
    ],
    Case("norm complex order inf", lambda z: np.linalg.norm(z, np.inf, axis=1), (Z,), order=1),
    *[Case(f"norm complex order {p}", lambda z, p=p: np.linalg.norm(z, p, axis=1), (Z,)) for p in (1, 2, 3)],
    *[Case(f"norm of a matrix, order {p}", lambda x, p=p: np.linalg.norm(x, p), (X,)) for p in ("fro", "f")],
    *[Case(f"norm of a matrix, order {p}", lambda x, p=p: np.linalg.norm(x, p), (X,), order=1) for p in (1, -1, np.inf, -np.inf)],
    *[Case(f"norm of a matrix, order {p}", lambda x, p=p: np.linalg.norm(x, p), (X,)) for p in (2, -2, "nuc")],
    *[
        Case(f"norm of matrices, order {p}", lambda x, p=p: np.linalg.norm(x, p, axis=(2, 0), keepdims=True), (CUBE,), order=1)
        for p in (1, -np.inf, 2, "nuc", None)
    ],
    Case("vector_norm", np.linalg.vector_norm, (X,)),
    Case("vector_norm order", lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3, keepdims=True), (CUBE,)),
    Case("matrix_norm", np.linalg.matrix_norm, (CUBE,)),
    Case("matrix_norm order", lambda x: np.linalg.matrix_norm(x, ord=1, keepdims=True), (CUBE,), order=1),
]
