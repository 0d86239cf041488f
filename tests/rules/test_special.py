"""scipy.special where a naive slope overflows, cancels or divides 0 by 0; parameters; logsumexp at infinities."""
from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from rules.points import assert_derivatives, nth_derivative

import dualgrad.scipy.special as sp
from dualgrad import errors, grad, jacfwd

A, inf, e = np.array, np.inf, np.e
ZERO = np.zeros((2, 2))
SQRT_PI, LOG2 = math.sqrt(math.pi), math.log(2)
pair = lambda ufunc: lambda x: ufunc(x[0], x[1])

POINTS = {
    "expit at -1000": (sp.expit, -1000.0, 0.0, 0.0),
    "expit at 1000": (sp.expit, 1000.0, 0.0, 0.0),
    "expit at 40": (sp.expit, 40.0, math.exp(-40), -math.exp(-40)),
    "log_expit at -1000": (sp.log_expit, -1000.0, 1.0, 0.0),
    "log_expit at 1000": (sp.log_expit, 1000.0, 0.0, 0.0),
    "logit at 1/2": (sp.logit, 0.5, 4.0, 0.0),
    "logit at 0": (sp.logit, 0.0, inf),
    "logit at 1": (sp.logit, 1.0, inf),
    "erf at 0": (sp.erf, 0.0, 2 / SQRT_PI, 0.0),
    "erf of huge": (sp.erf, 1e200, 0.0, 0.0),
    "erf at infinity": (sp.erf, inf, 0.0, 0.0),
    "erfc at -infinity": (sp.erfc, -inf, 0.0, 0.0),
    "erfcx at 1e10": (sp.erfcx, 1e10, -1e-20 / SQRT_PI, 2e-30 / SQRT_PI),
    "dawsn at 1e10": (sp.dawsn, 1e10, -0.5e-20, 1e-30),
    "erfinv at 0": (sp.erfinv, 0.0, SQRT_PI / 2, 0.0),
    "erfinv at 1": (sp.erfinv, 1.0, inf),
    "ndtr at -infinity": (sp.ndtr, -inf, 0.0, 0.0),
    "ndtri at 1/2": (sp.ndtri, 0.5, math.sqrt(2 * math.pi), 0.0),
    "ndtri at 0": (sp.ndtri, 0.0, inf),
    "log_ndtr at -40": (sp.log_ndtr, -40.0, 40.02496885, None, 1e-8),
    "log_ndtr at -1e8": (sp.log_ndtr, -1e8, 1e8, -1.0),
    "log_ndtr at 1e200": (sp.log_ndtr, 1e200, 0.0, 0.0),
    "xlogy(0, 0) in y": (lambda y: sp.xlogy(0.0, y), 0.0, 0.0, 0.0),
    "xlogy(x, 3) at 0": (lambda x: sp.xlogy(x, 3.0), 0.0, math.log(3), 0.0),
    "xlogy at (0, 3)": (pair(sp.xlogy), [0.0, 3.0], [math.log(3), 0.0], [[0, 1 / 3], [1 / 3, 0]]),
    "x log x at 0": (lambda x: sp.xlogy(x, x), 0.0, -inf),
    "xlog1py(0, -1) in y": (lambda y: sp.xlog1py(0.0, y), -1.0, 0.0, 0.0),
    "entr at 0": (sp.entr, 0.0, inf, -inf),
    "entr at 1": (sp.entr, 1.0, -1.0, -1.0),
    "kl_div at (0, 0)": (pair(sp.kl_div), [0.0, 0.0], [0.0, 1.0]),
    "kl_div of equals": (pair(sp.kl_div), [2.0, 2.0], [0.0, 0.0], [[0.5, -0.5], [-0.5, 0.5]]),
    "rel_entr at (0, 0)": (pair(sp.rel_entr), [0.0, 0.0], [0.0, 0.0]),
    "rel_entr of equals": (pair(sp.rel_entr), [2.0, 2.0], [1.0, -1.0], [[0.5, -0.5], [-0.5, 0.5]]),
    "exprel at 0": (sp.exprel, 0.0, 0.5, 1 / 3),
    "exprel at 1e-10": (sp.exprel, 1e-10, 0.5, 1 / 3),
    "exprel at -800": (sp.exprel, -800.0, 1 / 800**2, 2 / 800**3),
    "cosm1 at 1e-10": (sp.cosm1, 1e-10, -1e-10, -1.0),
    "powm1 at 0": (lambda x: sp.powm1(x, 2.0), 0.0, 0.0, 2.0),
    "rgamma at 0": (sp.rgamma, 0.0, 1.0, 2 * np.euler_gamma),
    "rgamma at -1": (sp.rgamma, -1.0, -1.0),
    "rgamma at -2": (sp.rgamma, -2.0, 2.0),
    "boxcox at (2, 0)": (pair(sp.boxcox), [2.0, 0.0], [0.5, LOG2**2 / 2], [[-1 / 4, LOG2 / 2], [LOG2 / 2, LOG2**3 / 3]]),
    "boxcox at (0, 2)": (pair(sp.boxcox), [0.0, 2.0], [0.0, 0.25]),
    "gammainc(2, 0)": (lambda x: sp.gammainc(2.0, x), 0.0, 0.0, 1.0),
    "gammainc(1, 0)": (lambda x: sp.gammainc(1.0, x), 0.0, 1.0, -1.0),
    "gammainc(1/2, 0)": (lambda x: sp.gammainc(0.5, x), 0.0, inf),
    "betainc(2, 2, 0)": (lambda x: sp.betainc(2.0, 2.0, x), 0.0, 0.0, 6.0),
    "betainc(1, 2, 0)": (lambda x: sp.betainc(1.0, 2.0, x), 0.0, 2.0, -2.0),
    "i0 at 0": (sp.i0, 0.0, 0.0, 0.5),
    "NumPy's i0 at 0": (np.i0, 0.0, 0.0, 0.5),
    "i1 at 0": (sp.i1, 0.0, 0.5, 0.0),
    "j1 at 0": (sp.j1, 0.0, 0.5, 0.0),
    "jv(0, 0)": (lambda x: sp.jv(0, x), 0.0, 0.0, -0.5),
    "iv(2, 0)": (lambda x: sp.iv(2, x), 0.0, 0.0, 0.25),
    "kv(0, 1)": (lambda x: sp.kv(0, x), 1.0, -0.6019072301972346),
    # ---- logsumexp and softmax
    "logsumexp with -inf": (sp.logsumexp, [-inf, 0.0], [0.0, 1.0], ZERO),
    "logsumexp with inf": (sp.logsumexp, [inf, 0.0], [1.0, 0.0], ZERO),
    "logsumexp of inf": (sp.logsumexp, [inf, inf], [0.5, 0.5]),
    "logsumexp of -inf": (sp.logsumexp, [-inf, -inf], [0.0, 0.0], ZERO),
    "logsumexp, a weight of 0": (lambda x: sp.logsumexp(x, b=A([1.0, 0.0])), [-1000.0, -2.0], [1.0, 0.0], ZERO),
    "logsumexp, a weight of 0 far above": (lambda x: sp.logsumexp(x, b=A([1.0, 0.0])), [-2000.0, -2.0], [1.0, 0.0], ZERO),
    "logsumexp in its weights": (lambda b: sp.logsumexp(A([0.0, 1.0]), b=b), [1.0, 0.0], [1.0, e], -np.outer([1, e], [1, e])),
    "logsumexp of large": (sp.logsumexp, [1000.0, 1000.0], [0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]]),
    "logsumexp of larger": (sp.logsumexp, [1e8, 1e8 + 1], [1 / (1 + e), e / (1 + e)]),
    "logsumexp of a list": (lambda x: sp.logsumexp([x[0], 2 * x[1]]), [1.0, 0.5], [0.5, 1.0]),
    "softmax": (lambda x: sp.softmax(x)[0], [0.0, 0.0], [0.25, -0.25], ZERO),
    "softmax with -inf": (lambda x: sp.softmax(x)[0], [-inf, 0.0], [0.0, 0.0], ZERO),
    "log_softmax with -inf": (lambda x: sp.log_softmax(x)[1], [-inf, 0.0], [0.0, 0.0], ZERO),
    "log_softmax, far below": (lambda x: sp.log_softmax(x)[0], [-1000.0, 0.0], [1.0, -1.0], ZERO),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_at_a_special_point(name):
    f, x, *wanted = POINTS[name]
    assert_derivatives(f, x, *wanted)


@pytest.mark.parametrize(
    ("f", "reference", "points"),
    [
        (sp.erf, mp.erf, (0.0, 0.7)), (sp.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), (0.3, 9.9, 10.1)),
        (sp.log_ndtr, lambda x: mp.log(mp.ncdf(x)), (-13.0, -11.9, 1.0)), (sp.exprel, lambda x: mp.expm1(x) / x, (1e-3, 2.0)),
        (sp.gammaln, mp.loggamma, (0.4, 3.0)), (sp.rgamma, mp.rgamma, (0.0, -2.0, 0.4, 3.0)),
        (sp.i1, lambda x: mp.besseli(1, x), (0.0, 2.0)),
        (sp.expit, lambda x: 1 / (1 + mp.exp(-x)), (0.0, -3.0)),
        (sp.ndtri, lambda x: mp.sqrt(2) * mp.erfinv(2 * x - 1), (0.3, 0.01)),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)  # fmt: skip
def test_four_derivatives_agree_with_arbitrary_precision(f, reference, points):
    with mp.workdps(60):
        for x in points:
            for n in range(1, 5):
                wanted = float(mp.re(mp.diff(reference, mp.mpf(x), n, h=mp.mpf(10) ** -10)))
                for modes in ("f", "r"):
                    assert nth_derivative(f, n, modes)(np.float64(x)) == pytest.approx(wanted, rel=1e-7, abs=1e-9), (x, n, modes)


@pytest.mark.parametrize(
    ("f", "x"),
    [(sp.logit, 2.0), (sp.exp1, -1.0), (sp.entr, -1.0), (sp.loggamma, -0.5), (sp.log1p, -2.0), (lambda x: sp.xlogy(1.0, x), -1.0),
     (lambda x: sp.boxcox(x, 2.0), -1.0), (sp.ndtri, 2.0), (sp.erfinv, 2.0), (sp.k0, -1.0)],
)  # fmt: skip
def test_outside_the_domain_the_derivative_is_nan_as_the_value_is(f, x):
    with np.errstate(invalid="ignore"):
        assert np.isnan(grad(f)(x)) and np.isnan(jacfwd(f)(x)) and np.isnan(grad(grad(f))(x))
        assert np.isnan(grad(lambda x: np.sum(f(x)))(A([x, x]))).all()


def test_the_logarithm_of_a_negative_sum_has_no_slope_and_its_modulus_has():
    with np.errstate(invalid="ignore"):
        assert np.isnan(grad(lambda a: sp.logsumexp(a, b=A([1.0, -1.0])))(A([0.0, 1.0]))).all()
    slope = grad(lambda a: sp.logsumexp(a, b=A([1.0, -1.0]), return_sign=True)[0])(A([0.0, 1.0]))
    np.testing.assert_allclose(slope, A([1.0, -e]) / (1 - e))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda v: sp.kv(v, 1.0), "scipy.special.kv is not supported .* there is no derivative with respect to its parameter v"),
        (lambda v: sp.iv(v, 1.0), "its parameter v"),
        (lambda n: sp.polygamma(n, 1.0), "scipy.special.polygamma .* its parameter n"),
        (lambda p: sp.inv_boxcox(1.0, p), "its parameter lmbda"),
    ],
)
def test_a_parameter_without_a_derivative_raises(f, message):
    for derivative in (grad, jacfwd):
        with pytest.raises(errors.UnsupportedError, match=message):
            derivative(f)(2.0)


def test_a_function_without_a_rule_raises_and_names_itself():
    with pytest.raises(errors.UnsupportedError, match=r"scipy\.special\.struve is not supported"):
        grad(lambda x: sp.struve(1, x))(1.0)


def test_plain_arguments_go_to_scipy():
    assert sp.logsumexp([0.0, 0.0]) == pytest.approx(LOG2) and sp.erf(0.0) == 0 and "gammaln" in dir(sp)
