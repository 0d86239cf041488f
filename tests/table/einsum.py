"""np.einsum in every form: explicit and implicit, ellipses, traces, broadcasting, sublists, chains with a path."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case
from table.contraction import complex_, real


def einsum(subscripts: str, *shapes: tuple, make: Any = real, **keywords: Any) -> Case:
    arrays = tuple(make(*shape, phase=0.3 + k) for k, shape in enumerate(shapes))
    label = "".join(f" {name}" for name in keywords) + (" complex" if make is complex_ else "")
    name = f"einsum {subscripts} {' '.join(map(str, shapes))}{label}"
    return Case(name, lambda *xs: np.einsum(subscripts, *xs, **keywords), arrays, analytic=make is real)


X, Y = real(2, 3), real(3, 2, phase=2.1)

ROWS: list[Case] = [
    einsum("ij,jk->ik", (2, 3), (3, 4)),
    einsum("ij,jk", (2, 3), (3, 2), make=complex_),
    einsum("ji", (2, 3)),
    einsum("ij->", (2, 3)),
    einsum("ij->j", (2, 3)),
    einsum("ii", (3, 3)),
    einsum("ii->i", (3, 3)),
    einsum("ii->", (3, 3), make=complex_),
    einsum("iii->i", (3, 3, 3)),
    einsum("iijj->ij", (2, 2, 3, 3)),
    einsum("ijij->", (2, 3, 2, 3)),
    einsum("iij,jk->ik", (3, 3, 2), (2, 4)),
    einsum("ii,jj->ij", (2, 2), (3, 3)),
    einsum("ij,ij", (2, 3), (2, 3)),
    einsum("i,i", (2,), (2,)),
    einsum("i,j", (2,), (3,)),
    einsum("b,a", (2,), (3,)),
    einsum("i j, j -> i", (2, 3), (3,)),
    einsum("ij,kl->ik", (2, 3), (4, 5)),
    einsum("ij,j->", (2, 3), (3,)),
    einsum("i,i,i", (3,), (3,), (3,)),
    einsum(",ij->ji", (), (2, 3)),
    einsum("->", ()),
    einsum(",", (), ()),
    einsum("ij,jk->k", (0, 3), (3, 2)),
    einsum("bij,bjk->bik", (2, 3, 2), (2, 2, 3)),
    einsum("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    einsum("...i->...", (2, 3)),
    einsum("i...->...i", (2, 3)),
    einsum("...ii->...i", (2, 3, 3)),
    einsum("i...,i...", (3, 2), (3, 2)),
    einsum("...,...", (4, 2, 3), (3,)),
    einsum("...j,k...->j...k", (2, 3), (4, 2)),
    einsum("ij...->ji", (2, 3)),
    einsum("ij,jk", (2, 3), (1, 4)),
    einsum("ij,ij->ij", (2, 1), (2, 3)),
    einsum("i,i->i", (1,), (3,)),
    einsum("ii,i->i", (1, 1), (3,)),
    einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 2), make=complex_),
    einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 2), optimize=True),
    einsum("ab,bc,ac->", (2, 3), (3, 4), (2, 4), optimize="greedy"),
    einsum("ij,jk,kl", (2, 3), (3, 4), (4, 2), optimize=["einsum_path", (0, 1), (0, 1)]),
    einsum("ij,jk->ik", (48, 40), (40, 44)),  # large: its transposes go through BLAS
    Case("einsum sublists", lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), (X, Y), analytic=True),
    Case("einsum sublists without an output", lambda x, y: np.einsum(x, [5, 1], y, [1, 2]), (X, Y), analytic=True),
    Case("einsum sublists with ellipses", lambda x, y: np.einsum(x, [0, ...], y, [...], [..., 0]), (X, real(3)), analytic=True),
    Case("einsum with itself", lambda x: np.einsum("ij,kj->ik", x, x), (X,), analytic=True),
    Case("einsum with itself, alike", lambda x: np.einsum("ij,ij,ik->i", x, x, x), (X,), analytic=True),
    Case("einsum with a constant", lambda x: np.einsum("ij,jk", x, np.arange(6).reshape(3, 2)), (X,), analytic=True, float32=False),
    Case("einsum with a list", lambda x: np.einsum("ij,j", x, [1.0, 2.0, 3.0]), (X,), analytic=True, float32=False),
    Case("einsum dtype", lambda x, y: np.einsum("ij,jk", x, y, dtype=complex), (X, Y), float32=False),
    Case("einsum_path", lambda x, y: np.einsum("ij,jk", x, y, optimize=np.einsum_path("ij,jk", x, y)[0]), (X, Y), analytic=True),
]
