"""Derivatives of NumPy's ufuncs, one line each: slopes with respect to each operand, given (output, *operands).

Kinks and removable singularities follow the conventions: the minimum-norm subgradient at a kink (abs, hypot at 0), the exact
derivative where one exists (x**1 and 0**x at 0), +-inf at a one-sided infinite slope (sqrt at 0).
"""
from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core.arrays import FIRST, MINUS_ONE, ONE, SECOND, ZERO
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Value
from dualgrad.core.registry import METHODS, UFUNCS, front_ufunc
from dualgrad.core.traced import located
from dualgrad.rules.declare import constant, elementwise, opaque, select, singular

# ---- arithmetic -------------------------------------------------------------------------------------------------------


def _inverse(y: Any) -> Any:
    """1 / y; a Python 0 divides like NumPy's."""
    try:
        return 1 / y
    except ZeroDivisionError:
        return np.inf


_OWN_OPERATORS = frozenset((complex, list, tuple))


def _operator(operation: Callable, symbol: str, ufunc: Any) -> Callable:
    """Python's operator in place of the ufunc: of a scalar it takes 0.1 us, not 0.6; of a value one level down it is its handler.

    Not for what has an operator of its own for a np.float64, which is a float to it: a complex number, a list, a tuple.
    """

    def function(x: Any, y: Any) -> Any:
        return ufunc(x, y) if type(x) in _OWN_OPERATORS else operation(x, y)

    function.symbol, function.takes_traced = symbol, True  # type: ignore[attr-defined]
    return function


_times = lambda x, y: _square_of_root(x) if x is y else None
UFUNCS[np.add] = elementwise(_operator(operator.add, "+", np.add), ONE, ONE, name="add")
UFUNCS[np.subtract] = elementwise(_operator(operator.sub, "-", np.subtract), ONE, MINUS_ONE, name="subtract")
UFUNCS[np.multiply] = elementwise(_operator(operator.mul, "*", np.multiply), SECOND, FIRST, shortcut=_times, name="multiply")
UFUNCS[np.divide] = elementwise(
    _operator(operator.truediv, "/", np.divide), lambda _z, _x, y: _inverse(y), lambda z, _x, y: -z / y, name="divide"
)
elementwise(np.negative, lambda _z, _x: -1)
elementwise(np.positive, ONE)
elementwise(np.reciprocal, lambda z, _x: -z * z)
elementwise(np.square, lambda _z, x: 2 * x, shortcut=lambda x: _square_of_root(x))


_NUMBERS = frozenset((int, float, complex))


def _typed(x: Any, like: Any) -> Any:
    """A Python number in the dtype of an array, because np.where(mask, 1, 0.5) is float64."""
    return like.dtype.type(x) if type(x) in _NUMBERS else x


def power_base(_z: Any, x: Any, p: Any) -> Any:
    """d x**p / dx = p x**(p - 1); 0 where x and p are both 0, so that 0 * inf never arises."""
    if type(p) in _NUMBERS:
        return x + x if p == 2 else p * x ** (p - 1) if p else 0
    both = np.logical_and(np.equal(x, 0), np.equal(p, 0))
    return np.where(both, 0, p * np.where(both, 1, x) ** np.subtract(p, 1))


def power_exponent(z: Any, x: Any, p: Any) -> Any:
    """d x**p / dp = x**p log x, and its limit 0 at x = 0 for p >= 0 (there z (p > 0), which has the right slope in x)."""
    x = _typed(x, z)
    zero = np.logical_and(np.equal(x, 0), np.greater_equal(np.real(p), 0))
    return np.where(zero, z * np.greater(np.real(p), 0), z * np.log(np.where(zero, 1, x)))


_singular_power_base = singular(power_base)


def _power_slope(_z: Any, x: Any, p: Any) -> Any:
    """`power_base`; a number p >= 1 has no singularity to be quiet about (x**2 is everywhere)."""
    if (type(p) is int or type(p) is float) and p == 2:
        return x + x
    return power_base(_z, x, p) if type(p) in (int, float) and p >= 1 else _singular_power_base(_z, x, p)


# ---- a root remembers its square --------------------------------------------------------------------------------------


def _value(value: Any, carrier: Any) -> Any:
    return value if np.shape(value) == np.shape(carrier) else np.broadcast_to(value, np.shape(carrier))


valued = elementwise(_value, ZERO, ONE, name="valued")  # valued(value, carrier): the value of one, the derivative of the other


without_derivative = constant(lambda x: np.array(x)[()], name="stop_gradient")


def rooted(root: Any, square: Callable[[], Any]) -> Any:
    """A norm, std or modulus that knows its square: norm(x)**2 is smooth at 0, where the norm is not and has a derivative of 0.

    No rule on values alone can do it: 2 n n' and its derivatives are 0 there, and the Hessian of |x|**2 is 2.
    """
    if isinstance(root, Value):
        root.square = square
    return root


def _square_of_root(x: Any, p: Any = 2) -> Any:
    """NumPy's value of x**2 with the derivatives of the remembered square."""
    if (type(p) is not int and type(p) is not float) or p != 2:
        return None
    forgetful = snapshot(x)
    forgetful.square = None
    return valued(forgetful**p, x.square())


# x ** 2 is a square: 0.1 us, np.power 1.1 us
_raised = _operator(operator.pow, "**", np.power)
UFUNCS[np.power] = elementwise(_raised, _power_slope, singular(power_exponent), shortcut=_square_of_root, name="power")
elementwise(np.float_power, singular(power_base), singular(power_exponent))

_LOG2, _LOG10, _DEGREE = np.log(np.longdouble(2)), np.log(np.longdouble(10)), np.arctan(np.longdouble(1)) / 45


def _exact(constant: Any, like: Any) -> Any:
    """A constant to the precision of an array (a Python float would cost longdouble its last digits)."""
    return like.dtype.type(constant)


# ---- exponentials and logarithms --------------------------------------------------------------------------------------
elementwise(np.exp, lambda z, _x: z)
elementwise(np.exp2, lambda z, _x: z * _exact(_LOG2, z))
elementwise(np.expm1, lambda _z, x: np.exp(x))


def inside(x: Any, domain: Any) -> Any:
    """1 where the mask `domain` is true and nan elsewhere, in the precision of x, to multiply a slope that does not know its
    domain: 1 / x is finite at -1, where log is nan (K5).  Complex x has no outside."""
    if x.dtype.kind == "c":
        return 1
    if type(domain) is np.bool:
        return 1.0 if domain else np.nan
    return np.where(domain, x.dtype.type(1), x.dtype.type(np.nan))


elementwise(np.log, lambda _z, x: inside(x, x >= 0) / x)
elementwise(np.log2, lambda _z, x: inside(x, x >= 0) / (x * _exact(_LOG2, x)))
elementwise(np.log10, lambda _z, x: inside(x, x >= 0) / (x * _exact(_LOG10, x)))
elementwise(np.log1p, lambda _z, x: inside(x, x >= -1) / (1 + x))
elementwise(np.sqrt, singular(lambda z, _x: 0.5 / z))
elementwise(np.cbrt, singular(lambda z, _x: 1 / z / (3 * z)))  # in z * z the second derivative at 0 would meet 0 * inf

# 1 - x**2 without cancellation; its factors' own slopes would meet 0 * inf in a second derivative at -1 and 1
_one_minus_square = elementwise(lambda x: (1 - x) * (1 + x), lambda _z, x: -2 * x, name="one_minus_square")

# ---- trigonometric and hyperbolic -------------------------------------------------------------------------------------
elementwise(np.sin, lambda _z, x: np.cos(x))
elementwise(np.cos, lambda _z, x: -np.sin(x))
elementwise(np.tan, lambda z, _x: 1 + z * z)
elementwise(np.arcsin, singular(lambda _z, x: 1 / np.sqrt(_one_minus_square(x))))
elementwise(np.arccos, singular(lambda _z, x: -1 / np.sqrt(_one_minus_square(x))))
elementwise(np.arctan, singular(lambda _z, x: 1 / (1 + x * x)))
elementwise(np.sinh, lambda _z, x: np.cosh(x))
elementwise(np.cosh, lambda _z, x: np.sinh(x))
elementwise(np.tanh, lambda z, _x: 1 - z * z)
elementwise(np.arcsinh, lambda _z, x: 1 / (np.sqrt(x * x + 1) if x.dtype.kind == "c" else np.hypot(x, 1)))
elementwise(np.arccosh, singular(lambda _z, x: 1 / np.sqrt(x - 1) / np.sqrt(x + 1)))
elementwise(np.arctanh, singular(lambda _z, x: inside(x, np.absolute(x) <= 1) / _one_minus_square(x)))
elementwise(np.deg2rad, lambda z, _x: _exact(_DEGREE, z))
elementwise(np.radians, lambda z, _x: _exact(_DEGREE, z))
elementwise(np.rad2deg, lambda z, _x: _exact(1 / _DEGREE, z))
elementwise(np.degrees, lambda z, _x: _exact(1 / _DEGREE, z))


def _angle_slope(leg: Any, other: Any) -> Any:
    """leg / (leg**2 + other**2) without under- or overflow, and 0 where both are 0 (K6) or one is infinite."""
    scale = np.hypot(leg, other)
    flat = np.logical_or(np.equal(scale, 0), np.isinf(scale))
    scale = np.where(flat, 1, scale)
    return np.where(flat, 0, leg / scale / scale)


elementwise(np.arctan2, singular(lambda _z, y, x: _angle_slope(x, y)), singular(lambda _z, y, x: -_angle_slope(y, x)))


def _share_of_norm(x: Any, z: Any) -> Any:
    """x / z; 0 where z is 0 (the minimum-norm subgradient), and where z is infinite all of the slope is an infinite x's."""
    special = np.logical_or(np.equal(z, 0), np.isinf(z))
    return np.where(special, np.where(np.isinf(x), np.sign(x), 0), x / np.where(special, 1, z))


elementwise(np.hypot, lambda z, x, _y: _share_of_norm(x, z), lambda z, _x, y: _share_of_norm(y, z))


def _logadd_slope(exp: Any, logadd: Any) -> Any:
    def slope(z: Any, x: Any, y: Any) -> Any:
        """The share of x, 1 / (1 + e**(y - x)) = e**-log(1 + e**(y - x)), finite at every order.

        No information (0) where both are -inf, half each where both are inf.
        """
        x, y = _typed(x, z), _typed(y, z)
        infinite = np.logical_and(np.equal(x, y), np.isinf(x))
        share = exp(-logadd(0, np.where(infinite, 0, y) - np.where(infinite, 0, x)))
        return np.where(np.logical_and(infinite, np.less(x, 0)), 0, share)

    return slope


for _logadd, _exp in ((np.logaddexp, np.exp), (np.logaddexp2, np.exp2)):
    _share = _logadd_slope(_exp, _logadd)
    elementwise(_logadd, singular(_share), singular(lambda z, x, y, share=_share: share(z, y, x)))

# ---- kinks ------------------------------------------------------------------------------------------------------------
def _more(_z: Any, x: Any, y: Any) -> Any:
    return np.heaviside(x if type(y) is float and y == 0 else x - y, 0.5)  # relu saves the subtraction


def _less(_z: Any, x: Any, y: Any) -> Any:
    return np.heaviside(y - x, 0.5)


_equal = lambda _z, x, y: np.equal(x, y)
select(np.maximum, lambda _z, x, y: np.greater(x, y), lambda _z, x, y: np.less(x, y), ties=_equal, weights=(_more, _less))
select(np.minimum, lambda _z, x, y: np.less(x, y), lambda _z, x, y: np.greater(x, y), ties=_equal, weights=(_less, _more))


def _f_wins(better: Any) -> Any:
    def first(_z: Any, x: Any, y: Any) -> Any:
        return np.logical_or(better(x, y), np.logical_and(np.isnan(y), np.logical_not(np.isnan(x))))

    return first, lambda _z, x, y: first(_z, y, x)


select(np.fmax, *_f_wins(np.greater), ties=lambda _z, x, y: np.equal(x, y))
select(np.fmin, *_f_wins(np.less), ties=lambda _z, x, y: np.equal(x, y))
elementwise(np.fabs, lambda _z, x: np.sign(x))
elementwise(np.copysign, lambda z, x, _y: np.sign(x) * np.sign(z), ZERO)
elementwise(np.heaviside, ZERO, lambda _z, x, _y: np.equal(x, 0))
elementwise(np.remainder, ONE, lambda _z, x, y: -np.floor_divide(x, y))
elementwise(np.fmod, ONE, lambda z, x, y: np.rint((z - x) / y))  # trunc(x / y) may round up to the next integer
elementwise(np.ldexp, lambda z, _x, n: np.ldexp(z.dtype.type(1), n), ZERO)
elementwise(np.nextafter, ONE, ZERO)

# ---- not holomorphic: one rule for real numbers, another for complex ones ----------------------------------------------


def _pointwise(primitive: Any, mapped: Any, x: Any) -> Any:
    return primitive(x)


def _sign_slope(t: Any, z: Any, x: Any) -> Any:
    """d(x/|x|) = i z Im(conj(z) t) / |x|, which is its own adjoint; 0 at 0."""
    size = np.absolute(x)
    return 1j * z * (np.imag(np.conjugate(z) * t) / np.where(np.equal(size, 0), 1, size))


_real_sign = constant(np.sign)
_complex_sign = opaque(np.sign, jvp=_sign_slope, vjp=_sign_slope, batch=_pointwise, local=True, name="complex sign")
_real_absolute = elementwise(np.absolute, lambda _z, x: np.sign(x))
_complex_absolute = opaque(
    np.absolute,
    jvp=lambda t, _z, x: np.real(np.conjugate(np.sign(x)) * t),  # 0 at 0 (K2)
    vjp=lambda g, _z, x: np.real(g) * np.sign(x),
    batch=_pointwise,
    local=True,
    name="complex absolute",
)
_conjugate = opaque(
    np.conjugate, jvp=lambda t, _z, _x: np.conjugate(t), vjp=lambda g, _z, _x: np.conjugate(g), batch=_pointwise, local=True
)


def _by_kind(ufunc: Any, real: Any, complex_: Any) -> Any:
    @front_ufunc(ufunc)
    def front(x: Any) -> Any:
        return located((complex_ if x.dtype.kind == "c" else real).fast[type(x)](x), sys._getframe(1))

    return front


_by_kind(np.sign, _real_sign, _complex_sign)


@front_ufunc(np.absolute)
def _absolute(x: Any) -> Any:
    if x.dtype.kind == "c":
        root, kept = _complex_absolute(x), snapshot(x)
        return rooted(root, lambda: np.real(kept * np.conjugate(kept)))
    root, kept = _real_absolute.fast[type(x)](x), snapshot(x)
    return located(rooted(root, lambda: kept * kept), sys._getframe(1))


METHODS["conj"] = METHODS["conjugate"] = _by_kind(np.conjugate, UFUNCS[np.positive], _conjugate)

# ---- no derivative ----------------------------------------------------------------------------------------------------
for _ufunc in (
    np.floor, np.ceil, np.trunc, np.rint, np.floor_divide, np.signbit, np.spacing,
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
    return np.fmod(np.where(np.isinf(x), 0, x), 1), np.trunc(x)


_exponent = constant(lambda x: np.frexp(x)[1], name="frexp")


@front_ufunc(np.frexp)
def _frexp(x: Any) -> tuple[Any, Any]:
    """x = mantissa 2**exponent, and the exponent is constant almost everywhere."""
    exponent = _exponent(x)
    return np.ldexp(x, -exponent), exponent
