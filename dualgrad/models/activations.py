"""Activation functions, elementwise, any shape, dtype kept.  np.tanh is one already.

    relu        max(x, 0)
    leaky_relu  max(x, slope x)                          Maas, Hannun, Ng 2013
    elu         x for x > 0, alpha (e^x - 1) otherwise   Clevert, Unterthiner, Hochreiter 2016
    gelu        x Phi(x), exact, not the tanh formula    Hendrycks, Gimpel 2016
    silu        x sigmoid(x)                             Elfwing, Uchibe, Doya 2017
    sigmoid     1 / (1 + e^-x)
    softplus    log(1 + e^x)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special


def relu(x: Any) -> Any:
    """max(x, 0).  Half the unit slope at 0, as any tie of np.maximum (PyTorch: 0).

    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x for x > 0, slope * x otherwise; 0 <= slope <= 1.

    >>> leaky_relu(np.array([-2.0, 3.0]), slope=0.5)
    array([-1.,  3.])
    """
    return np.maximum(x, slope * x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, alpha (e^x - 1) otherwise.

    >>> elu(np.array([-np.inf, 0.0, 3.0]), alpha=2.0)
    array([-2.,  0.,  3.])
    """
    positive = x > 0
    # not expm1(minimum(x, 0)): at 0 the tie would halve a derivative that exists, 1 for alpha = 1
    return np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))


def gelu(x: Any) -> Any:
    """x Phi(x), with Phi the standard normal distribution function.

    >>> gelu(np.array([-40.0, 0.0, 40.0])) + 0.0
    array([ 0.,  0., 40.])
    """
    return x * special.ndtr(x)


def silu(x: Any) -> Any:
    """x sigmoid(x), also called swish.

    >>> silu(np.array([0.0, np.log(3.0)])) / np.array([1.0, np.log(3.0)])
    array([0.  , 0.75])
    """
    return x * special.expit(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0, np.log(3.0)]))
    array([0.  , 0.5 , 0.75])
    """
    return special.expit(x)


def softplus(x: Any) -> Any:
    """log(1 + e^x), without overflow.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    return np.logaddexp(x, 0)
