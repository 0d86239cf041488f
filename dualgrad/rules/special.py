"""Derivatives of scipy.special's ufuncs: error functions, the gamma family, entropies, logistic functions.

As in `elementwise`, slopes given (output, *operands).  A slope is written so that it neither overflows nor cancels where the
function itself is fine: expit(x) expit(-x) rather than z (1 - z), the hazard of the normal distribution from erfcx, an
asymptotic series where 1 - 2 x dawsn(x) would cancel.  A parameter without a slope raises.

These rules are loaded at the first use of a function that NumPy does not have, because `import scipy.special` takes 150 ms.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from dualgrad import errors
from dualgrad.rules.declare import elementwise, singular
from dualgrad.rules.elementwise import inside, power_base, power_exponent

SQRT_PI = math.sqrt(math.pi)
SQRT_2PI = math.sqrt(2 * math.pi)


def no_slope(function: Any, parameter: str) -> Callable:
    """The slope of a parameter in which the function cannot be differentiated."""

    def slope(*_: Any) -> Any:
        detail = f"there is no derivative with respect to its parameter {parameter}; make it a plain number"
        raise errors.unsupported(function, detail)

    return slope


# ---- elementary functions under SciPy's names -------------------------------------------------------------------------
elementwise(sp.exp2, lambda z, _x: z * math.log(2))
elementwise(sp.exp10, lambda z, _x: z * math.log(10))
elementwise(sp.expm1, lambda _z, x: np.exp(x))
elementwise(sp.log1p, lambda _z, x: inside(x, np.greater_equal(x, -1)) / (1 + x))
elementwise(sp.cosm1, lambda _z, x: -np.sin(x))
elementwise(sp.cbrt, singular(lambda z, _x: 1 / (3 * z * z)))
elementwise(sp.powm1, singular(lambda _z, x, y: power_base(None, x, y)), singular(lambda z, x, y: power_exponent(z + 1, x, y)))

# ---- hypergeometric: integrals of t**n e**(x t) over the unit interval ------------------------------------------------
elementwise(
    sp.hyp1f1,
    no_slope(sp.hyp1f1, "a"),
    no_slope(sp.hyp1f1, "b"),
    lambda _z, a, b, x: a / b * sp.hyp1f1(a + 1, b + 1, x),
)
elementwise(sp.exprel, lambda _z, x: sp.hyp1f1(2, 3, x) / 2)  # (e**x - 1) / x: also at 0, at every order


# ---- logistic ---------------------------------------------------------------------------------------------------------
elementwise(sp.expit, lambda z, x: z * sp.expit(-x))
elementwise(sp.log_expit, lambda _z, x: sp.expit(-x))
_bernoulli_variance = elementwise(lambda x: x * (1 - x), lambda _z, x: 1 - 2 * x, name="bernoulli_variance")  # see one_minus_square
elementwise(sp.logit, singular(lambda _z, x: inside(x, np.abs(x - 0.5) <= 0.5) / _bernoulli_variance(x)))

# ---- error functions --------------------------------------------------------------------------------------------------
_bell = elementwise(  # exp(-x**2), whose derivatives vanish with it at infinity
    lambda x: np.exp(-x * x), lambda z, x: -2 * np.where(np.equal(z, 0), 0, x) * z, name="bell"
)
bell = singular(_bell)


def _tail(u: Any) -> Any:
    """The asymptotic series sum over k >= 1 of (2k - 1)!! u**k, to 1e-16 for |u| <= 1/200 (14 terms)."""
    total = 0
    for k in range(14, 0, -1):
        total = (2 * k - 1) * u * (1 + total)
    return total


def _cancelling(x: Any, sign: int, near: Callable) -> Any:
    """near(x), which cancels for large x, or the series in sign / (2 x**2)."""
    far = np.greater(np.real(x) if sign < 0 else np.abs(x), 10)
    return np.where(far, _tail(sign / 2 / np.where(far, x, 11) ** 2), near(np.where(far, 0, x)))


def _erfcx_slope(_z: Any, x: Any) -> Any:
    """2 x erfcx(x) - 2 / sqrt(pi) ~ 2 / sqrt(pi) (-1/(2 x**2) + 3/(2 x**2)**2 - ...)."""
    return 2 / SQRT_PI * _cancelling(x, -1, lambda x: SQRT_PI * x * sp.erfcx(x) - 1)


def _dawsn_slope(_z: Any, x: Any) -> Any:
    """1 - 2 x dawsn(x) ~ -(1/(2 x**2) + 3/(2 x**2)**2 + ...)."""
    return -_cancelling(x, 1, lambda x: 2 * x * sp.dawsn(x) - 1)


elementwise(sp.erf, lambda _z, x: 2 / SQRT_PI * bell(x))
elementwise(sp.erfc, lambda _z, x: -2 / SQRT_PI * bell(x))
elementwise(sp.erfcx, singular(_erfcx_slope))
elementwise(sp.erfi, singular(lambda _z, x: 2 / SQRT_PI * np.exp(x * x)))
elementwise(sp.dawsn, singular(_dawsn_slope))
elementwise(sp.erfinv, singular(lambda z, _x: SQRT_PI / 2 * np.exp(z * z)))
elementwise(sp.erfcinv, singular(lambda z, _x: -SQRT_PI / 2 * np.exp(z * z)))

# ---- the normal distribution ------------------------------------------------------------------------------------------


def _hazard_slope(z: Any, x: Any) -> Any:
    """h' = -h (x + h), where x + h = -erfcx'(s) / (sqrt(2) erfcx(s)), s = -x / sqrt(2), once it would cancel."""
    far = np.less(x, -12)
    s = np.where(far, x, -12) / -math.sqrt(2)
    return -z * np.where(far, -_erfcx_slope(None, s) / (math.sqrt(2) * sp.erfcx(s)), np.where(far, 0, x) + z)


hazard = elementwise(  # phi(x) / Phi(x), the derivative of log Phi
    lambda x: math.sqrt(2 / math.pi) / sp.erfcx(x / -math.sqrt(2)), singular(_hazard_slope), name="hazard"
)
elementwise(sp.ndtr, lambda _z, x: bell(x / math.sqrt(2)) / SQRT_2PI)
elementwise(sp.log_ndtr, singular(lambda _z, x: hazard(x)))
elementwise(sp.ndtri, singular(lambda z, _x: SQRT_2PI * np.exp(z * z / 2)))
elementwise(sp.ndtri_exp, singular(lambda z, _x: 1 / hazard(z)))

# ---- gamma ------------------------------------------------------------------------------------------------------------


def _polygamma(n: Any, x: Any) -> Any:
    """SciPy's polygamma in the precision of x."""
    if np.result_type(x).kind == "c":
        raise errors.unsupported("scipy.special.polygamma", "this derivative needs it of complex numbers, which SciPy has not")
    return sp.polygamma(n, x).astype(np.result_type(x, np.float32))[()]


polygamma: Any = elementwise(
    _polygamma, no_slope("scipy.special.polygamma", "n"), lambda _z, n, x: polygamma(n + 1, x), name="polygamma"
)
elementwise(sp.digamma, lambda _z, x: polygamma(1, x))
elementwise(sp.gamma, lambda z, x: z * sp.digamma(x))
elementwise(sp.gammaln, lambda _z, x: sp.digamma(x))
elementwise(sp.loggamma, lambda z, x: np.where(np.isnan(z), z, sp.digamma(x)))


def _betaln_slope(a: Any, b: Any) -> Any:
    return sp.digamma(a) - sp.digamma(a + b)


elementwise(sp.beta, lambda z, a, b: z * _betaln_slope(a, b), lambda z, a, b: z * _betaln_slope(b, a))
elementwise(sp.betaln, lambda _z, a, b: _betaln_slope(a, b), lambda _z, a, b: _betaln_slope(b, a))


def _rgamma_slope(z: Any, x: Any) -> Any:
    """-psi(x) / Gamma(x); left of 1/2 from 1 / Gamma(x) = sin(pi x) Gamma(1 - x) / pi, which is smooth at the poles of Gamma."""
    left = np.less(np.real(x), 0.5)
    y, w = np.where(left, x, 0), np.where(left, 1, x)
    reflected = (np.cos(np.pi * y) - np.sin(np.pi * y) * sp.digamma(1 - y) / np.pi) * sp.gamma(1 - y)
    return np.where(left, reflected, -z * sp.digamma(w))


elementwise(sp.rgamma, _rgamma_slope)


def _gamma_density(a: Any, x: Any) -> Any:
    """x**(a - 1) e**-x / Gamma(a), exact at x = 0 too."""
    zero = np.equal(x, 0)
    smooth = np.exp(sp.xlogy(a - 1, np.where(zero, 1, x)) - x - sp.gammaln(a))
    return np.where(zero, x ** (a - 1) * np.exp(-x) * sp.rgamma(a), smooth)


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    """x**(a - 1) (1 - x)**(b - 1) / B(a, b), exact at x = 0 and 1 too."""
    edge = np.logical_or(np.equal(x, 0), np.equal(x, 1))
    inner = np.where(edge, 0.5, x)
    smooth = np.exp(sp.xlogy(a - 1, inner) + sp.xlog1py(b - 1, -inner) - sp.betaln(a, b))
    return np.where(edge, x ** (a - 1) * (1 - x) ** (b - 1) / sp.beta(a, b), smooth)


elementwise(sp.gammainc, no_slope(sp.gammainc, "a"), singular(lambda _z, a, x: _gamma_density(a, x)))
elementwise(sp.gammaincc, no_slope(sp.gammaincc, "a"), singular(lambda _z, a, x: -_gamma_density(a, x)))
elementwise(sp.gammaincinv, no_slope(sp.gammaincinv, "a"), singular(lambda z, a, _y: 1 / _gamma_density(a, z)))
elementwise(sp.gammainccinv, no_slope(sp.gammainccinv, "a"), singular(lambda z, a, _y: -1 / _gamma_density(a, z)))
for _function, _slope in (
    (sp.betainc, lambda _z, a, b, x: _beta_density(a, b, x)),
    (sp.betaincc, lambda _z, a, b, x: -_beta_density(a, b, x)),
    (sp.betaincinv, lambda z, a, b, _y: 1 / _beta_density(a, b, z)),
    (sp.betainccinv, lambda z, a, b, _y: -1 / _beta_density(a, b, z)),
):
    elementwise(_function, no_slope(_function, "a"), no_slope(_function, "b"), singular(_slope))

# ---- entropies --------------------------------------------------------------------------------------------------------


def _ratio(x: Any, y: Any) -> Any:
    """x / y, and 0 for 0 / 0."""
    both = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(both, 0, x / np.where(both, 1, y))


def _log_ratio(x: Any, y: Any) -> Any:
    """log(x / y), and 0 for 0 / 0 (no information)."""
    both = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(both, 0, np.log(np.where(both, 1, x)) - np.log(np.where(both, 1, y)))


def _log_ratio_plus_one(x: Any, y: Any) -> Any:
    """log(x / y) + 1, and 0 for 0 / 0 (no information)."""
    return _log_ratio(x, y) + np.logical_or(np.not_equal(x, 0), np.not_equal(y, 0))


def _positive(x: Any) -> Any:
    return inside(x, np.greater_equal(x, 0))


elementwise(sp.xlogy, singular(lambda _z, _x, y: np.log(y)), singular(lambda _z, x, y: _ratio(x, y) * _positive(y)))
elementwise(
    sp.xlog1py,
    singular(lambda _z, _x, y: np.log1p(y)),
    singular(lambda _z, x, y: _ratio(x, 1 + y) * inside(y, np.greater_equal(y, -1))),
)
elementwise(sp.entr, singular(lambda _z, x: -np.log(x) - 1))
elementwise(sp.rel_entr, singular(lambda _z, x, y: _log_ratio_plus_one(x, y)), singular(lambda _z, x, y: -_ratio(x, y)))
elementwise(sp.kl_div, singular(lambda _z, x, y: _log_ratio(x, y)), singular(lambda _z, x, y: 1 - _ratio(x, y)))

# ---- exponential integrals, Box-Cox, Huber ----------------------------------------------------------------------------
elementwise(sp.exp1, singular(lambda _z, x: -np.exp(-x) * _positive(x) / x))
elementwise(sp.expi, singular(lambda _z, x: np.exp(x) / x))


def _expn_slope(_z: Any, n: Any, x: Any) -> Any:
    """-E_(n-1)(x), and E_0(x) = e**-x / x."""
    return -np.where(np.equal(n, 0), np.exp(-x) * (1 + x) / (x * x), sp.expn(np.maximum(n - 1, 0), x))


elementwise(sp.expn, no_slope(sp.expn, "n"), singular(_expn_slope))


def _boxcox_parameter(log_x: Any, p: Any) -> Any:
    """d/dp of (x**p - 1) / p = l exprel(p l), l = log x: l**2 exprel'(p l), and 1 / p**2 at x = 0."""
    zero = np.equal(log_x, -np.inf)
    smooth = np.where(zero, 0, log_x) ** 2 * sp.hyp1f1(2, 3, p * np.where(zero, 0, log_x)) / 2
    return np.where(zero, np.where(np.greater(p, 0), 1 / (p * p), np.inf), smooth)


elementwise(
    sp.boxcox,
    singular(lambda _z, x, p: x ** (p - 1) * _positive(x)),
    singular(lambda _z, x, p: _boxcox_parameter(np.log(x), p)),
)
elementwise(
    sp.boxcox1p,
    singular(lambda _z, x, p: (1 + x) ** (p - 1) * inside(x, np.greater_equal(x, -1))),
    singular(lambda _z, x, p: _boxcox_parameter(np.log1p(x), p)),
)
elementwise(sp.inv_boxcox, lambda z, y, p: z / (1 + p * y), no_slope(sp.inv_boxcox, "lmbda"))
elementwise(sp.inv_boxcox1p, lambda z, y, p: (z + 1) / (1 + p * y), no_slope(sp.inv_boxcox1p, "lmbda"))
elementwise(sp.huber, lambda _z, d, r: np.maximum(np.abs(r) - d, 0), lambda _z, d, r: np.clip(r, -d, d))


def _pseudo_huber_delta(_z: Any, d: Any, r: Any) -> Any:
    """delta (s - 1)**2 / s with s = sqrt(1 + (r/delta)**2), and s - 1 = (r/delta)**2 / (s + 1)."""
    s = np.hypot(1, r / d)
    return d * ((r / d) ** 2 / (s + 1)) ** 2 / s


elementwise(sp.pseudo_huber, _pseudo_huber_delta, lambda _z, d, r: r / np.hypot(1, r / d))
