"""Ufuncs where calculus leaves a choice, where a naive slope overflows or cancels, and at every order."""
from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp
from rules.points import assert_derivatives, nth_derivative

from dualgrad import Dual, grad, jacfwd, jvp

A, inf, nan, e = np.array, np.inf, np.nan, np.e
ZERO = np.zeros((2, 2))
LOG4 = math.log(4)
NORM = A([[16, -12], [-12, 9]]) / 125
pair = lambda ufunc: lambda x: ufunc(x[0], x[1])
modulus = lambda x: np.abs(x[0] + 1j * x[1])

POINTS = {
    # ---- powers
    "x**1. at 0": (lambda x: x**1.0, 0.0, 1.0, 0.0),
    "x**[0, 1, 2] at 0": (lambda x: x ** np.arange(3), 0.0, 1.0, 2.0),
    "x**[0., 1., 2., 3.] at 0": (lambda x: x ** A([0.0, 1.0, 2.0, 3.0]), 0.0, 1.0, 2.0),
    "x**[0] at 0": (lambda x: np.power(x, A([0])), [0.0], [0.0], 0.0),
    "0**b": (lambda b: np.zeros(2) ** b, [1.0, 2.0], [0.0, 0.0], ZERO),
    "0**b at 0": (lambda b: np.zeros(1) ** b, [0.0], [0.0], 0.0),
    "x**y at (4, 0)": (pair(np.power), [4.0, 0.0], [0.0, LOG4], [[0, 0.25], [0.25, LOG4**2]]),
    "x**y at (0, 2)": (pair(np.power), [0.0, 2.0], [0.0, 0.0], [[2, 0], [0, 0]]),
    "x**y at (0, 3)": (pair(np.power), [0.0, 3.0], [0.0, 0.0], ZERO),
    "x**y at (0, 0)": (pair(np.power), [0.0, 0.0], [0.0, 0.0], ZERO),
    "x**2 at -3": (lambda x: x**2, -3.0, -6.0, 2.0),
    "x**2. at -3": (lambda x: x**2.0, -3.0, -6.0, 2.0),
    "float_power": (lambda x: np.float_power(x, 2), -3.0, -6.0, 2.0),
    "x**.5 at 0": (lambda x: x**0.5, 0.0, inf),
    "x**1.5 at 0": (lambda x: x**1.5, 0.0, 0.0),
    "2**x at 0": (lambda x: 2.0**x, 0.0, math.log(2), math.log(2) ** 2),
    # ---- infinite one-sided slopes (K4), and structural zeros against them
    "sqrt at 0": (np.sqrt, 0.0, inf),
    "arccos at 1": (np.arccos, 1.0, -inf),
    "arcsin at 1": (np.arcsin, 1.0, inf),
    "arccosh at 1": (np.arccosh, 1.0, inf),
    "cbrt at 0": (np.cbrt, 0.0, inf),
    "an element of sqrt": (lambda x: np.sqrt(x)[1], [0.0, 4.0], [0.0, 0.25], [[0, 0], [0, -1 / 32]]),
    "an element of abs(sqrt)": (lambda x: np.abs(np.sqrt(x))[1], [0.0, 4.0], [0.0, 0.25], [[0, 0], [0, -1 / 32]]),
    "an element of ldexp(sqrt)": (lambda x: np.ldexp(np.sqrt(x), 2)[1], [0.0, 4.0], [0.0, 1.0], [[0, 0], [0, -1 / 8]]),
    "an element of real(conj)": (lambda x: np.conj((np.sqrt(x + 0j)).real)[1], [0.0, 4.0], [0.0, 0.25], [[0, 0], [0, -1 / 32]]),
    # ---- moduli and angles
    "abs at 0": (np.abs, 0.0, 0.0, 0.0),
    "fabs at 0": (np.fabs, 0.0, 0.0, 0.0),
    "complex abs at 0": (modulus, [0.0, 0.0], [0.0, 0.0], ZERO),
    "complex abs": (modulus, [3.0, 4.0], [0.6, 0.8], NORM),
    "tiny complex abs": (lambda x: np.abs(x + 0j), 1e-23, 1.0),
    "complex sign": (lambda x: np.imag(np.sign(x[0] + 1j * x[1])), [3.0, 4.0], [-12 / 125, 9 / 125]),
    "hypot at 0": (pair(np.hypot), [0.0, 0.0], [0.0, 0.0], ZERO),
    "hypot": (pair(np.hypot), [3.0, 4.0], [0.6, 0.8], NORM),
    "hypot of tiny": (lambda x: np.hypot(x, 1e-200), 1e-200, 0.5**0.5),
    "hypot of huge": (lambda x: np.hypot(x, 1e200), 1e200, 0.5**0.5),
    "hypot at infinity": (pair(np.hypot), [inf, 0.0], [1.0, 0.0]),
    "arctan2 at 0": (pair(np.arctan2), [0.0, 0.0], [0.0, 0.0], ZERO),
    "arctan2 of tiny": (pair(np.arctan2), [1e-200, 1e-200], [0.5e200, -0.5e200]),
    "arctan2 at infinity": (pair(np.arctan2), [1.0, inf], [0.0, 0.0]),
    # ---- large arguments
    "arctan of huge": (np.arctan, 1e200, 0.0, 0.0),
    "arcsinh of huge": (np.arcsinh, 1e200, 1e-200, 0.0),
    "arccosh of huge": (np.arccosh, 1e200, 1e-200, 0.0),
    "log1p of tiny": (np.log1p, 1e-20, 1.0, -1.0),
    "expm1 at -40": (np.expm1, -40.0, math.exp(-40), math.exp(-40)),
    # ---- logaddexp
    "logaddexp(x, x)": (lambda x: np.logaddexp(x, x), 1.0, 1.0, 0.0),
    "logaddexp(x, -inf)": (lambda x: np.logaddexp(x, -inf), 0.0, 1.0, 0.0),
    "logaddexp of equals": (pair(np.logaddexp), [1.0, 1.0], [0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]]),
    "logaddexp, far apart": (pair(np.logaddexp), [0.0, 1000.0], [0.0, 1.0], ZERO),
    "logaddexp2, far apart": (pair(np.logaddexp2), [0.0, 5000.0], [0.0, 1.0], ZERO),
    "logaddexp of -inf": (pair(np.logaddexp), [-inf, -inf], [0.0, 0.0], ZERO),
    "logaddexp of inf": (pair(np.logaddexp), [inf, inf], [0.5, 0.5], ZERO),
    "logaddexp of inf and 0": (pair(np.logaddexp), [inf, 0.0], [1.0, 0.0], ZERO),
    # ---- kinks and jumps
    "maximum(x, x)": (lambda x: np.maximum(x, x), 1.0, 1.0, 0.0),
    "fmax(x, nan)": (lambda x: np.fmax(x, nan), 1.0, 1.0),
    "mod": (pair(np.mod), [-7.0, 3.0], [1.0, 3.0]),
    "fmod": (pair(np.fmod), [-7.0, 3.0], [1.0, 2.0]),
    "fmod where x / y rounds up": (pair(np.fmod), [0.3, 0.1], [1.0, -2.0]),
    "copysign": (lambda x: np.copysign(x, -2.0), 3.0, -1.0),
    "heaviside in its value at 0": (lambda h: np.heaviside(A([-1.0, 0.0, 1.0]), h), 0.5, 1.0),
    "nextafter": (lambda x: np.nextafter(x, 3.0), 1.0, 1.0),
    "modf at infinity": (lambda x: np.modf(x)[0], inf, 0.0),
    "frexp": (lambda x: np.frexp(x)[0], 5.0, 1 / 8),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_at_a_special_point(name):
    f, x, *wanted = POINTS[name]
    assert_derivatives(f, x, *wanted)


ENDS = {  # (function, point, first three derivatives there, from within the domain)
    "arcsin at 1": (np.arcsin, 1.0, [inf, inf, inf]),
    "arcsin at -1": (np.arcsin, -1.0, [inf, -inf, inf]),
    "arccos at 1": (np.arccos, 1.0, [-inf, -inf, -inf]),
    "arccos at -1": (np.arccos, -1.0, [-inf, inf, -inf]),
    "arccosh at 1": (np.arccosh, 1.0, [inf, -inf, inf]),
    "arctanh at 1": (np.arctanh, 1.0, [inf, inf, inf]),
    "arctanh at -1": (np.arctanh, -1.0, [inf, -inf, inf]),
    "sqrt at 0": (np.sqrt, 0.0, [inf, -inf, inf]),
    "cbrt at 0": (np.cbrt, 0.0, [inf, -inf, inf]),
    "cbrt at -0": (np.cbrt, -0.0, [inf, inf, inf]),
    "x**.5 at 0": (lambda x: x**0.5, 0.0, [inf, -inf, inf]),
    "x**[.5] at 0": (lambda x: x ** A(0.5), 0.0, [inf, -inf, inf]),
    "float_power(x, .5) at 0": (lambda x: np.float_power(x, 0.5), 0.0, [inf, -inf, inf]),
    "x**1.5 at 0": (lambda x: x**1.5, 0.0, [0.0, inf, -inf]),
    "log at 0": (np.log, 0.0, [inf, -inf, inf]),
    "log2 at 0": (np.log2, 0.0, [inf, -inf, inf]),
    "log10 at 0": (np.log10, 0.0, [inf, -inf, inf]),
    "log1p at -1": (np.log1p, -1.0, [inf, -inf, inf]),
    "1 / x at 0": (lambda x: 1 / x, 0.0, [-inf, inf, -inf]),
    "reciprocal at 0": (np.reciprocal, 0.0, [-inf, inf, -inf]),
    "logit at 0": (sp.logit, 0.0, [inf, -inf, inf]),
    "logit at 1": (sp.logit, 1.0, [inf, inf, inf]),
}


@pytest.mark.parametrize("name", ENDS)
def test_at_an_infinite_slope_the_next_derivatives_are_its_limits_in_all_nestings(name):
    f, x, wanted = ENDS[name]
    of_array = lambda x: np.sum(f(x * np.ones(2)))
    with np.errstate(divide="ignore"):  # of the value, log(0)
        for n, limit in enumerate(wanted, 1):
            for modes in map("".join, itertools.product("fr", repeat=n)):
                assert nth_derivative(f, n, modes)(x) == nth_derivative(of_array, n, modes)(x) == limit, (n, modes)


@pytest.mark.parametrize(
    ("f", "slope", "xs"),
    [
        (np.arcsin, lambda x: 1 / mp.sqrt(1 - x * x), 1 - 10.0 ** -np.arange(1, 16)),
        (np.arccos, lambda x: -1 / mp.sqrt(1 - x * x), 10.0 ** -np.arange(1, 16) - 1),
        (np.arctanh, lambda x: 1 / (1 - x * x), 1 - 10.0 ** -np.arange(1, 16)),
        (np.arccosh, lambda x: 1 / mp.sqrt(x * x - 1), 1 + 10.0 ** np.arange(-15, 200, 5)),
        (np.cbrt, lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2), 10.0 ** np.arange(-300, 300, 7)),
        (sp.logit, lambda x: 1 / (x * (1 - x)), 1 - 10.0 ** -np.arange(1, 16)),
    ],
)
def test_near_an_infinite_slope_nothing_cancels(f, slope, xs):
    with mp.workdps(40):
        np.testing.assert_allclose(grad(lambda x: np.sum(f(x)))(xs), [float(slope(mp.mpf(float(x)))) for x in xs], rtol=1e-15)
    assert grad(f)(np.float32(xs[0])).dtype == np.float32


@pytest.mark.parametrize("modes", ["f", "r", "fr", "rf"])
@pytest.mark.parametrize("n", range(6))
def test_the_nth_derivative_of_the_nth_power_at_zero_is_n_factorial(n, modes):
    for f in (lambda x: x**n, lambda x: x ** float(n), lambda x: np.power(x, A(float(n)))):
        assert nth_derivative(f, n, modes)(0.0) == math.factorial(n)
        assert nth_derivative(f, n + 1, modes)(0.0) == 0


@pytest.mark.parametrize("modes", ["f", "r", "fr", "ffr"])
@pytest.mark.parametrize("f", [lambda x: 1 / x, np.reciprocal, lambda x: x**-1, lambda x: x**-1.0])
def test_the_sixth_derivative_of_the_reciprocal(f, modes):
    assert nth_derivative(f, 6, modes)(4.0) == pytest.approx(0.0439453125, rel=1e-14)


REFERENCES = {
    "exp": mp.exp, "expm1": mp.expm1, "exp2": lambda x: 2**x, "log": mp.log, "log2": lambda x: mp.log(x, 2), "log10": mp.log10,
    "log1p": mp.log1p, "sqrt": mp.sqrt, "cbrt": mp.cbrt, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "arcsinh": mp.asinh,
    "arccosh": mp.acosh, "arctanh": mp.atanh, "reciprocal": lambda x: 1 / x, "square": lambda x: x * x, "sinc": mp.sincpi,
}  # fmt: skip
REGION = dict.fromkeys(["log", "log2", "log10", "sqrt", "cbrt", "reciprocal"], (0.3, 8.0))
REGION |= {"arccosh": (1.001, 3.0), "log1p": (1e-20, 3.0)}


@pytest.mark.parametrize("name", REFERENCES)
def test_four_derivatives_agree_with_arbitrary_precision(name):
    f = getattr(np, name)
    with mp.workdps(40):
        for x in REGION.get(name, (0.0, -0.3, 0.7)):
            for n in range(1, 5):
                wanted = float(mp.re(mp.diff(REFERENCES[name], mp.mpf(x), n)))
                for modes in ("f", "r", "fr"):
                    assert nth_derivative(f, n, modes)(np.float64(x)) == pytest.approx(wanted, rel=1e-9, abs=1e-12), (x, n, modes)


@pytest.mark.parametrize(
    ("f", "x"),
    [(np.log, -1.0), (np.log2, -1.0), (np.log10, -2.0), (np.log1p, -3.0), (np.arctanh, 2.0), (np.sqrt, -1.0), (np.arcsin, 2.0),
     (np.arccos, 2.0), (np.arccosh, 0.5), (lambda x: x**0.5, -1.0)],
)  # fmt: skip
def test_outside_the_domain_the_derivative_is_nan_as_the_value_is(f, x):
    with np.errstate(invalid="ignore"):
        for point in (np.float64(x), A([x, x])):
            assert np.isnan(grad(lambda y: np.sum(f(y)))(point)).all()
            assert np.isnan(jvp(f, (point,), (np.ones_like(point),))[1]).all()
        assert np.isnan(jacfwd(jacfwd(f))(x)) and np.isnan(grad(grad(f))(x))


def test_a_constant_of_a_slope_has_the_precision_of_long_double():
    x = np.longdouble(1)
    assert abs(grad(np.exp2)(x) - 2 * np.log(np.longdouble(2))) < 1e-18
    assert abs(grad(np.deg2rad)(x) - np.arctan(np.longdouble(1)) / 45) < 1e-20


@pytest.mark.parametrize("dtype", "efdg")
def test_a_python_number_beside_an_array_does_not_raise_its_precision(dtype):
    x = A([0.3, 0.5], dtype)
    for ufunc in (np.power, np.arctan2, np.hypot, np.logaddexp, np.logaddexp2, np.maximum, np.copysign, np.fmod, np.heaviside):
        for z in (ufunc(Dual(x, x), 0.5), ufunc(0.5, Dual(x, x)), ufunc(Dual(x, x), Dual(x, x))):
            assert z.primal.dtype == dtype and (z.tangent is None or z.tangent.dtype == dtype), ufunc
