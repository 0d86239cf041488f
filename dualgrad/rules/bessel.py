"""Derivatives of scipy.special's Bessel functions in their argument.

    C_v'(x) = (C_(v-1) - C_(v+1)) / 2    for J, Y, H;     I_v' = (I_(v-1) + I_(v+1)) / 2,     K_v' = -(K_(v-1) + K_(v+1)) / 2

These recurrences, not v C_v / x, because they hold at x = 0 and so at every order there.  The order v itself has no slope: a
real v that is differentiated raises, never 0.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from dualgrad import errors
from dualgrad.core.registry import front
from dualgrad.rules.declare import elementwise
from dualgrad.rules.special import no_slope


def _neighbours(function: Any, below: float, above: float, correction: Callable | None = None) -> None:
    """C_v' = below C_(v-1) + above C_(v+1) + correction(z, x)."""

    def slope(z: Any, v: Any, x: Any) -> Any:
        out = below * function(v - 1, x) + above * function(v + 1, x)
        return out if correction is None else out + correction(z, x)

    elementwise(function, no_slope(function, "v"), slope)


def _scaled_by_modulus(function: Any, rate: Callable) -> Callable:
    """The slope of the factor exp(-|Re x|) or its like, which is not holomorphic."""

    def correction(z: Any, x: Any) -> Any:
        if x.dtype.kind == "c":
            raise errors.unsupported(function, "its scaling is not holomorphic; use the unscaled function for complex arguments")
        return rate(z, x)

    return correction


_neighbours(sp.jv, 0.5, -0.5)
_neighbours(sp.yv, 0.5, -0.5)
_neighbours(sp.iv, 0.5, 0.5)
_neighbours(sp.kv, -0.5, -0.5)
_neighbours(sp.hankel1, 0.5, -0.5)
_neighbours(sp.hankel2, 0.5, -0.5)
_neighbours(sp.kve, -0.5, -0.5, lambda z, _x: z)
_neighbours(sp.ive, 0.5, 0.5, _scaled_by_modulus(sp.ive, lambda z, x: -np.sign(x) * z))
_neighbours(sp.jve, 0.5, -0.5, _scaled_by_modulus(sp.jve, lambda _z, _x: 0))
_neighbours(sp.yve, 0.5, -0.5, _scaled_by_modulus(sp.yve, lambda _z, _x: 0))
elementwise(sp.kn, no_slope(sp.kn, "n"), lambda _z, n, x: -(sp.kv(n - 1, x) + sp.kv(n + 1, x)) / 2)
elementwise(sp.yn, no_slope(sp.yn, "n"), lambda _z, n, x: (sp.yv(n - 1, x) - sp.yv(n + 1, x)) / 2)

elementwise(sp.j0, lambda _z, x: -sp.j1(x))
elementwise(sp.j1, lambda _z, x: (sp.j0(x) - sp.jv(2, x)) / 2)
elementwise(sp.y0, lambda _z, x: -sp.y1(x))
elementwise(sp.y1, lambda _z, x: (sp.y0(x) - sp.yv(2, x)) / 2)
elementwise(sp.i0, lambda _z, x: sp.i1(x))
elementwise(sp.i1, lambda _z, x: (sp.i0(x) + sp.iv(2, x)) / 2)
elementwise(sp.k0, lambda _z, x: -sp.k1(x))
elementwise(sp.k1, lambda _z, x: -(sp.k0(x) + sp.kv(2, x)) / 2)
elementwise(sp.i0e, lambda z, x: sp.i1e(x) - np.sign(x) * z)
elementwise(sp.i1e, lambda z, x: (sp.i0e(x) + sp.ive(2, x)) / 2 - np.sign(x) * z)
elementwise(sp.k0e, lambda z, x: z - sp.k1e(x))
elementwise(sp.k1e, lambda z, x: z - (sp.k0e(x) + sp.kve(2, x)) / 2)



def _numpy_i0_slope(_z: Any, x: Any) -> Any:
    """I_1(x), which SciPy has in single and double precision only."""
    return sp.i1(x) if x.dtype.char in "fd" else sp.i1(x.astype(float)).astype(x.dtype)


_numpy_i0 = elementwise(np.i0, _numpy_i0_slope, name="i0 of NumPy")


@front(np.i0)
def _i0(x: Any) -> Any:
    return _numpy_i0(x)
