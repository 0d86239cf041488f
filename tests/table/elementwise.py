"""Ufuncs: every one with a derivative, in its domain; broadcasting, scalars with arrays, operators, where=, out=, complex."""

from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

from dualgrad import stop_gradient

A = np.array
X = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45]])
P = A([[0.3, 1.7, 2.5], [1.2, 0.8, 0.45]])
Q = A([1.5, 0.6, 2.2])
COLUMN = A([[0.7], [1.4]])
Z = A([[0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j], [-0.2 - 0.8j, 0.8 + 0.1j, 0.45j]])
W = A([1.2 - 0.3j, -0.5 + 0.9j, 0.7 + 0.7j])
MASK = A([[True, False, True], [False, True, True]])
ROW_MASK = A([True, False, True])

_FREE = "negative positive square exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh arcsin arccos arctanh reciprocal"
_POSITIVE = "sqrt log log2 log10 log1p"
_REAL_FREE = "cbrt deg2rad radians rad2deg degrees absolute fabs conjugate"
_ANALYTIC_BINARY = "add subtract multiply divide power float_power"
_REAL_BINARY = "arctan2 hypot logaddexp logaddexp2 maximum minimum fmax fmin fmod remainder copysign nextafter"
_COMPLEX = (
    "negative positive reciprocal square exp exp2 expm1 log log2 log10 log1p sqrt sin cos tan arcsin arccos arctan "
    "sinh cosh tanh arcsinh arccosh arctanh absolute conjugate"
)
_COMPLEX_BINARY = "add subtract multiply divide power float_power"
_CONSTANT = "sign floor ceil trunc rint isfinite isinf isnan logical_not signbit spacing"
_CONSTANT_BINARY = "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor floor_divide"


def _unary(names: str, x: Any, analytic: bool, suffix: str = "") -> list[Case]:
    return [Case(f"{name}{suffix}", getattr(np, name), (x,), analytic=analytic) for name in names.split()]


def _binary(names: str, x: Any, y: Any, analytic: bool) -> list[Case]:
    rows = []
    for name in names.split():
        f = getattr(np, name)
        rows += [
            Case(name, f, (x, x[::-1, ::-1] * 1.1), analytic=analytic),
            Case(f"{name}: a row and a column", f, (y, COLUMN), analytic=analytic),
            Case(f"{name}: a matrix and a row", f, (x, y), analytic=analytic),
            Case(f"{name}: an array and a scalar", lambda x, s, f=f: f(x, s), (x, A(1.3)[()]), analytic=analytic),
            Case(f"{name}: a Python number first", lambda x, f=f: f(1.9, x), (x,), analytic=analytic),
            Case(f"{name}: a Python number second", lambda x, f=f: f(x, 1.9), (x,), analytic=analytic),
            Case(f"{name}: scalars", f, (A(0.7)[()], A(1.6)[()]), analytic=analytic),
            Case(f"{name}: the same operand twice", lambda x, f=f: f(x, x * 0.9), (x,), analytic=analytic),
        ]
    return rows


def _constant(f: Any) -> Any:
    return lambda *xs: (f(*xs), xs[0] * f(*xs))


def _out(x: Any) -> Any:
    y = np.zeros_like(x)
    z = np.exp(x, out=y)
    return y * z


def _out_where(x: Any, y: Any) -> Any:
    z = 2 * x + 0 * y
    np.multiply(x, y, out=z, where=MASK)
    return z


def _out_positional(x: Any) -> Any:
    y = np.zeros_like(x)
    np.sin(x, y)
    return y


def _augmented(x: Any, y: Any) -> Any:
    z = x + 0 * y
    z += y
    z *= 2 * x
    z -= x / 3
    z /= y
    z **= 2
    return z


ROWS: list[Case] = [
    *_unary(_FREE, X, True),
    *_unary(_POSITIVE, P, True),
    Case("arccosh", np.arccosh, (P + 1,), analytic=True),
    *_unary(_REAL_FREE, X, False),
    *_unary(_COMPLEX, Z, True, ": complex"),
    Case("exp: a scalar", np.exp, (A(0.4)[()],), analytic=True),
    Case("sin: rank zero", lambda x: np.sin(np.reshape(x, ())), (A([0.4]),), analytic=True),
    Case("tanh: empty", np.tanh, (np.zeros((0, 3)),), analytic=True),
    *_binary(_ANALYTIC_BINARY, P, Q, True),
    *_binary(_REAL_BINARY, P, Q, False),
    *[Case(f"{name}: negative operands", getattr(np, name), (X, Q), analytic=False) for name in _REAL_BINARY.split()],
    *[Case(f"{name}: complex", getattr(np, name), (Z, W), analytic=True) for name in _COMPLEX_BINARY.split()],
    *[Case(f"{name}: complex and real", getattr(np, name), (Z, Q), analytic=False) for name in _COMPLEX_BINARY.split()],
    *[Case(f"{name}: real and complex", getattr(np, name), (P, W), analytic=False) for name in _COMPLEX_BINARY.split()],
    Case("power: an integer array of exponents", lambda x: x ** A([0, 1, 3]), (X,), analytic=False),
    Case("power: a negative integer exponent", lambda x: x**-2, (X,), analytic=True),
    Case("power: a square", lambda x: x**2, (X,), analytic=True),
    Case("power: a half", lambda x: x**0.5, (P,), analytic=True),
    Case("power: of a negative base by integers", lambda x: x**3.0, (X,), analytic=False),
    Case("ldexp", lambda x: np.ldexp(x, A([1, -2, 3])), (X,)),
    Case("heaviside", lambda x, y: np.heaviside(x, y), (X, Q)),
    Case("heaviside: at the jump", lambda y: np.heaviside(A([0.0, 1.0, -1.0]), y), (Q,)),
    Case("divmod", lambda x, y: divmod(x, y), (P, Q)),
    Case("divmod: a Python number", lambda x: np.divmod(x, 0.69)[1] + divmod(3.1, x)[1], (P + 1.02,)),
    Case("modf", lambda x: np.modf(x), (X * 3,)),
    Case("frexp", lambda x: np.frexp(x), (P,)),
    # ---- no derivative
    *[Case(name, _constant(getattr(np, name)), (X,)) for name in _CONSTANT.split()],
    *[Case(name, _constant(getattr(np, name)), (X, Q)) for name in _CONSTANT_BINARY.split()],
    Case("isnat", lambda x: x * np.isnat(A(["2020-01-01"], "datetime64[D]")), (X,)),
    Case("isnat: mapped", lambda x: x * np.isnat((4 * x).astype(int).astype("datetime64[s]")), (X,)),
    Case(
        "integers computed from values",
        lambda x: (
            lambda n: (
                x * (np.gcd(n, 6) + np.lcm(n, 6) + (n & 3) + (n | 4) + (n ^ 5) + ~n + (n << 2) + (n >> 1) + np.bitwise_count(n))
            )
        )((10 * x).astype(int)),
        (X + 0.02,),
        float32=False,
    ),
    Case("stop_gradient", lambda x: x**2 + 0 * stop_gradient(x), (X,)),
    Case(
        "comparisons as operators",
        lambda x, y: x * (x < y) + y * (x >= y) + x * (x == y) + (x != y) * y + (x <= 0) * x + (x > y) * y,
        (X, Q),
    ),
    Case(
        "bit operations on comparisons",
        lambda x, y: x * ((x > 0) & (y > 1)) + y * ((x > 0) | (y > 1)) + x * ~(x > 0) + x * ((x > 0) ^ (y > 1)),
        (X, Q),
    ),
    # ---- operators
    Case(
        "operators",
        lambda x, y: -x + y * x - x / y + (+y) ** 2 + abs(x) + 2 * x - 1 + (3 - x) / 2 + 1 / y + y**x,
        (P, Q),
        analytic=False,
    ),
    Case("operators: modulo", lambda x, y: x % y + (x // y) * x + 7.1 % x + (5 // y) * x, (P + 1.02, A([1.5, 0.64, 2.2]))),
    Case("operators: an array on the left", lambda x: A([1.0, 2.0, 3.0]) * x + A([1.0, 2.0, 3.0]) - x, (X,), analytic=True),
    Case(
        "operators: a NumPy scalar on the left",
        lambda x: np.float64(2.0) * x + np.float64(3.0) / (x + 2),
        (X,),
        analytic=True,
        float32=False,
    ),
    Case("operators: augmented assignment", _augmented, (P, Q)),
    Case("round", lambda x: (np.round(x, 1) * x, round(x[0, 0]) * x), (X + 0.03,)),
    # ---- where= and out=
    Case("where= with out=", _out_where, (X, Q)),
    Case("out=", _out, (X,)),
    Case("out= by position", _out_positional, (X,)),
    Case(
        "where= with a traced out",
        lambda x: np.log(np.where(MASK, abs(x), 1), out=np.zeros_like(x), where=MASK),
        (X,),
        analytic=False,
    ),
    Case("dtype=", lambda x: np.add(x, 1, dtype=np.float64) * x, (X,), analytic=False, float32=False),
    # ---- compositions in which every slope meets every other
    Case("a chain", lambda x: np.tanh(np.sin(x) * np.exp(-x * x) + np.log(x + 2) / (1 + x * x)), (X,), analytic=True),
    Case("a value used many times", lambda x: (lambda y: y * y + y / (y + 3) - y)(np.sin(x)), (X,), analytic=True),
    Case("complex: a real function of complex values", lambda z, w: np.real(z * np.conjugate(w)) * np.abs(z) ** 2, (Z, W)),
    Case("complex: from real parts", lambda x, y: (x + 1j * y) ** 2 / (2 + 1j * x), (X, Q)),
    Case("complex: phase and modulus", lambda z: (np.angle(z), np.abs(z), np.exp(1j * np.angle(z))), (Z,)),
    Case("absolute: abs of complex with a real", lambda z, x: abs(z * x + 1j), (Z, Q)),
    Case("sign: complex", lambda z: z * np.sign(np.real(z)) + np.sign(z), (Z + 0.1,)),
]
