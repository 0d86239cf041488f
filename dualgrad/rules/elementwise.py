"""Derivatives of NumPy's ufuncs, one line each: slopes with respect to each operand, given (output, *operands).

Kinks and removable singularities follow the conventions: the minimum-norm subgradient at a kink (abs, hypot at 0), the exact
derivative where one exists (x**1 and 0**x at 0), +-inf at a one-sided infinite slope (sqrt at 0).
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.core.arrays import MINUS_ONE, ONE, ZERO, conjugate, unbroadcast
from dualgrad.core.registry import front_ufunc
from dualgrad.rules.declare import constant, elementwise, opaque, select, singular

# ---- arithmetic -------------------------------------------------------------------------------------------------------
elementwise(np.add, ONE, ONE)
elementwise(np.subtract, ONE, MINUS_ONE)
elementwise(np.multiply, lambda _z, _x, y: y, lambda _z, x, _y: x)
elementwise(np.divide, lambda _z, _x, y: 1 / y, lambda z, _x, y: -z / y)
elementwise(np.negative, lambda _z, _x: -1)
elementwise(np.positive, ONE)
elementwise(np.reciprocal, lambda z, _x: -z * z)
elementwise(np.square, lambda _z, x: 2 * x)


def _power_base(_z: Any, x: Any, p: Any) -> Any:
    """d x**p / dx = p x**(p - 1), and 0 for p = 0 also at x = 0."""
    return np.where(np.equal(p, 0), 0, p * np.power(x, np.where(np.equal(p, 0), 1, np.subtract(p, 1))))


def _power_exponent(z: Any, x: Any, p: Any) -> Any:
    """d x**p / dp = x**p log x, and its limit 0 at x = 0 for p >= 0."""
    zero = np.logical_and(np.equal(x, 0), np.greater_equal(np.real(p), 0))
    return np.where(zero, 0, z * np.log(np.where(zero, 1, x)))


elementwise(np.power, singular(_power_base), singular(_power_exponent))
elementwise(np.float_power, singular(_power_base), singular(_power_exponent))

# ---- exponentials and logarithms --------------------------------------------------------------------------------------
elementwise(np.exp, lambda z, _x: z)
elementwise(np.exp2, lambda z, _x: z * float(np.log(2)))
elementwise(np.expm1, lambda z, _x: z + 1)
elementwise(np.log, lambda _z, x: 1 / x)
elementwise(np.log2, lambda _z, x: float(1 / np.log(2)) / x)
elementwise(np.log10, lambda _z, x: float(1 / np.log(10)) / x)
elementwise(np.log1p, lambda _z, x: 1 / (1 + x))
elementwise(np.sqrt, singular(lambda z, _x: 0.5 / z))
elementwise(np.cbrt, singular(lambda z, _x: 1 / (3 * z * z)))

# ---- trigonometric and hyperbolic -------------------------------------------------------------------------------------
elementwise(np.sin, lambda _z, x: np.cos(x))
elementwise(np.cos, lambda _z, x: -np.sin(x))
elementwise(np.tan, lambda z, _x: 1 + z * z)
elementwise(np.arcsin, singular(lambda _z, x: 1 / np.sqrt((1 - x) * (1 + x))))
elementwise(np.arccos, singular(lambda _z, x: -1 / np.sqrt((1 - x) * (1 + x))))
elementwise(np.arctan, lambda _z, x: 1 / (1 + x * x))
elementwise(np.sinh, lambda _z, x: np.cosh(x))
elementwise(np.cosh, lambda _z, x: np.sinh(x))
elementwise(np.tanh, lambda z, _x: 1 - z * z)
elementwise(np.arcsinh, lambda _z, x: 1 / np.sqrt(x * x + 1))
elementwise(np.arccosh, singular(lambda _z, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1))))
elementwise(np.arctanh, singular(lambda _z, x: 1 / ((1 - x) * (1 + x))))
elementwise(np.deg2rad, lambda _z, _x: float(np.pi / 180))
elementwise(np.radians, lambda _z, _x: float(np.pi / 180))
elementwise(np.rad2deg, lambda _z, _x: float(180 / np.pi))
elementwise(np.degrees, lambda _z, _x: float(180 / np.pi))


def _angle_slope(leg: Any, other: Any) -> Any:
    """leg / (leg**2 + other**2) without under- or overflow, and 0 where both are 0 (K6)."""
    scale = np.hypot(leg, other)
    scale = np.where(np.equal(scale, 0), 1, scale)
    return leg / scale / scale


elementwise(np.arctan2, lambda _z, y, x: _angle_slope(x, y), lambda _z, y, x: -_angle_slope(y, x))


def _ratio(x: Any, z: Any) -> Any:
    """x / z, and 0 where z is 0 (the minimum-norm subgradient of a norm)."""
    return x / np.where(np.equal(z, 0), 1, z)


elementwise(np.hypot, lambda z, x, _y: _ratio(x, z), lambda z, _x, y: _ratio(y, z))


def _weight(x: Any, z: Any) -> Any:
    """exp(x - z), and 0 where both are -inf, 1 where x alone decides (K6)."""
    same = np.equal(x, z)
    return np.exp(np.where(same, 0, x) - np.where(same, 0, z)), same


def _logadd_slope(exp: Any) -> Any:
    def slope(z: Any, x: Any, y: Any) -> Any:
        """The share of x: 1 / (1 + exp(y - x)); no information (0) when both are -inf, half each when both are inf."""
        infinite = np.logical_and(np.equal(x, y), np.isinf(x))
        share = 1 / (1 + exp(np.where(infinite, 0, y) - np.where(infinite, 0, x)))
        return np.where(np.logical_and(infinite, np.less(x, 0)), 0, share)

    return slope


for _ufunc, _exp in ((np.logaddexp, np.exp), (np.logaddexp2, np.exp2)):
    _share = _logadd_slope(_exp)
    elementwise(_ufunc, singular(_share), singular(lambda z, x, y, share=_share: share(z, y, x)))

# ---- kinks ------------------------------------------------------------------------------------------------------------
select(np.maximum, lambda _z, x, y: np.greater(x, y), lambda _z, x, y: np.less(x, y), ties=lambda _z, x, y: np.equal(x, y))
select(np.minimum, lambda _z, x, y: np.less(x, y), lambda _z, x, y: np.greater(x, y), ties=lambda _z, x, y: np.equal(x, y))


def _f_wins(better: Any) -> Any:
    def first(_z: Any, x: Any, y: Any) -> Any:
        return np.logical_or(better(x, y), np.logical_and(np.isnan(y), np.logical_not(np.isnan(x))))

    return first, lambda _z, x, y: first(_z, y, x)


select(np.fmax, *_f_wins(np.greater), ties=lambda _z, x, y: np.equal(x, y))
select(np.fmin, *_f_wins(np.less), ties=lambda _z, x, y: np.equal(x, y))
elementwise(np.fabs, lambda _z, x: np.sign(x))
elementwise(np.copysign, lambda _z, x, y: np.sign(x) * np.copysign(1.0, y), ZERO)
elementwise(np.heaviside, ZERO, lambda _z, x, _y: np.where(np.equal(x, 0), 1, 0))
elementwise(np.remainder, ONE, lambda _z, x, y: -np.floor_divide(x, y))
elementwise(np.fmod, ONE, lambda _z, x, y: -np.trunc(x / y))
elementwise(np.ldexp, lambda _z, _x, n: np.ldexp(1.0, n), ZERO)
elementwise(np.nextafter, ONE, ZERO)

# ---- complex ----------------------------------------------------------------------------------------------------------


def _unit(x: Any, z: Any) -> Any:
    """x / |x|, and 0 at 0: sign(x) for real x."""
    return np.sign(x)


def _absolute_jvp(t: Any, z: Any, x: Any) -> Any:
    """d|x| = Re(conj(x/|x|) t); 0 at 0 (K2)."""
    return np.real(np.conjugate(np.sign(x)) * t) if np.result_type(x).kind == "c" else np.sign(x) * t


def _batch_elementwise(primitive: Any, mapped: Any, x: Any, **static: Any) -> Any:
    return primitive(x, **static)


opaque(
    np.absolute,
    jvp=_absolute_jvp,
    vjp=lambda g, _z, x: np.real(g) * np.sign(x) if x.dtype.kind == "c" else g * np.sign(x),
    batch=_batch_elementwise,
)
opaque(np.conjugate, jvp=lambda t, _z, _x: np.conjugate(t), vjp=lambda g, _z, _x: conjugate(g), batch=_batch_elementwise)

# ---- no derivative ----------------------------------------------------------------------------------------------------
for _ufunc in (
    np.sign, np.floor, np.ceil, np.trunc, np.rint, np.floor_divide, np.signbit, np.spacing,
    np.isfinite, np.isinf, np.isnan, np.isnat,
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift, np.bitwise_count,
    np.gcd, np.lcm,
):  # fmt: skip
    constant(_ufunc)


@front_ufunc(np.divmod)
def _divmod(x: Any, y: Any) -> tuple[Any, Any]:
    return np.floor_divide(x, y), np.remainder(x, y)


@front_ufunc(np.modf)
def _modf(x: Any) -> tuple[Any, Any]:
    return np.fmod(x, 1.0), np.trunc(x)
