"""`scipy.special`, with the functions written in Python made differentiable: `import dualgrad.scipy.special as sp`.

SciPy's ufuncs (expit, erf, gammaln, jv, ...) are differentiable as they are, through NumPy's protocol, and are passed on.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from dualgrad import errors
from dualgrad.core.primitive import Value
from dualgrad.rules import softmax as rules
from dualgrad.rules import special
from dualgrad.rules.creation import stacked
from dualgrad.rules.reductions import reduced_axes

__all__ = ["log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax", "softplus"]


def __getattr__(name: str) -> Any:
    return getattr(scipy.special, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(scipy.special)})


def _traced(x: Any) -> bool:
    return isinstance(x, Value)


def _floating(x: Any) -> Any:
    return x if x.dtype.kind in "fc" else x.astype(float)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log(sum(b * exp(a))) without overflow; with `return_sign`, (log |sum|, sign of the sum).

    The gradient in a is b exp(a) / sum(b exp(a)), the softmax; in b it is exp(a) / sum(b exp(a)).  At infinite entries these
    are limits; where all entries are -inf there is no information, and the gradient is 0.

    >>> from dualgrad import grad
    >>> grad(logsumexp)(np.array([-np.inf, 0.0, 0.0]))
    array([0. , 0.5, 0.5])
    """
    a = stacked(a)
    b = None if b is None else stacked(b)
    if not _traced(a) and not _traced(b):
        return scipy.special.logsumexp(a, axis, b, keepdims, return_sign)
    a = np.atleast_1d(_floating(a))
    if b is None and not return_sign:
        axes = reduced_axes(axis, a.ndim)
        out = rules.unweighted_logsumexp(a, axis=axes)
        return out if keepdims else np.squeeze(out, axes)
    b = np.ones((1,) * a.ndim, a.dtype) if b is None else _floating(b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    a = np.broadcast_to(a, shape)
    b = np.reshape(b, (1,) * (len(shape) - b.ndim) + b.shape)
    if return_sign and "c" in (a.dtype.kind, b.dtype.kind):
        raise errors.unsupported(scipy.special.logsumexp, "return_sign of complex numbers is not; leave it out")
    axes = reduced_axes(axis, a.ndim)
    out = rules.logsumexp(a, b, axis=axes, signed=return_sign)
    sign = rules.logsumexp_sign(a, b, axis=axes) if return_sign else None
    if not keepdims:
        out, sign = np.squeeze(out, axes), None if sign is None else np.squeeze(sign, axes)
    return (out, sign) if return_sign else out


def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along `axis` (all axes by default), without overflow.

    With y = softmax(x): dy = y (dx - sum(y dx)).

    >>> from dualgrad import grad
    >>> grad(lambda x: softmax(x)[0])(np.array([0.0, 0.0]))
    array([ 0.25, -0.25])
    """
    x = stacked(x)
    if not _traced(x):
        return scipy.special.softmax(x, axis)
    return rules.softmax(_floating(x), axis=reduced_axes(axis, np.ndim(x)))


def log_softmax(x: Any, axis: Any = None) -> Any:
    """log(softmax(x)) = x - logsumexp(x), accurate where softmax is almost 0 or 1.

    With y = log_softmax(x): dy = dx - sum(exp(y) dx).

    >>> from dualgrad import grad
    >>> grad(lambda x: log_softmax(x)[0])(np.array([0.0, 0.0]))
    array([ 0.5, -0.5])
    """
    x = stacked(x)
    if not _traced(x):
        return scipy.special.log_softmax(x, axis)
    return rules.log_softmax(_floating(x), axis=reduced_axes(axis, np.ndim(x)))


def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of digamma, differentiable in x: polygamma(n, x)' = polygamma(n + 1, x).

    >>> from dualgrad import grad
    >>> bool(np.isclose(grad(lambda x: polygamma(1, x))(1.0), scipy.special.polygamma(2, 1.0)))
    True
    """
    return special.polygamma(stacked(n), stacked(x))


def multigammaln(a: Any, d: int) -> Any:
    """log of the multivariate gamma function: d (d - 1) / 4 log(pi) + sum over j < d of gammaln(a - j / 2).

    >>> bool(np.isclose(multigammaln(3.0, 2), scipy.special.multigammaln(3.0, 2)))
    True
    """
    a = stacked(a)
    if not _traced(a):
        return scipy.special.multigammaln(a, d)
    return d * (d - 1) / 4 * float(np.log(np.pi)) + np.sum(scipy.special.gammaln(np.expand_dims(a, -1) - np.arange(d) / 2), -1)


def softplus(x: Any, **kwargs: Any) -> Any:
    """log(1 + exp(x)), with slope expit(x).

    >>> from dualgrad import grad
    >>> grad(softplus)(0.0)
    np.float64(0.5)
    """
    x = stacked(x)
    return scipy.special.softplus(x, **kwargs) if not _traced(x) else np.logaddexp(0.0, x, **kwargs)
