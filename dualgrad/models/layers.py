"""Layers without memory: each is a Model, a pair (init, apply) over a dict of arrays.

    dense(n, m)      y = x W + b                                (..., n) -> (..., m)
    layer_norm(n)    y = g (x - mean x) / sqrt(var x + eps) + b (..., n) -> (..., n)
    embedding(k, n)  y = T[i]                                   integers (...) -> (..., n)
    dropout(rate)    y = x m / (1 - rate), m ~ Bernoulli(1 - rate)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad.errors import ArgumentError
from dualgrad.models.initializers import Initializer, he_normal
from dualgrad.models.model import Model


def dense(inputs: int, outputs: int, initializer: Initializer = he_normal) -> Model:
    """A fully connected layer y = x W + b: x of shape (..., inputs) to y of shape (..., outputs).

    Parameters `{"weight": (inputs, outputs), "bias": (outputs,)}`; the bias starts at zero.

    >>> init, apply = dense(10, 5)
    >>> params = init(np.random.default_rng(0))
    >>> {name: leaf.shape for name, leaf in params.items()}
    {'weight': (10, 5), 'bias': (5,)}
    >>> apply({"weight": np.array([[1.0, 2.0]]), "bias": np.array([0.0, 10.0])}, np.array([[1.0], [2.0]]))
    array([[ 1., 12.],
           [ 2., 14.]])
    """

    def init(rng: np.random.Generator) -> dict[str, Any]:
        return {"weight": initializer(rng, (inputs, outputs)), "bias": np.zeros(outputs)}

    def apply(params: dict[str, Any], x: Any, rng: np.random.Generator | None = None) -> Any:
        return x @ params["weight"] + params["bias"]

    return Model(init, apply)


def layer_norm(size: int, eps: float = 1e-5) -> Model:
    """Normalize the last axis to mean 0 and variance 1, then scale and shift (Ba, Kiros, Hinton 2016, eq. 4).

    y = gain (x - mean x) / sqrt(var x + eps) + bias, with x and y of shape (..., size) and the biased
    variance. Parameters `{"gain": (size,), "bias": (size,)}`, ones and zeros at first.

    >>> init, apply = layer_norm(4)
    >>> y = apply(init(np.random.default_rng(0)), np.array([1.0, 2.0, 3.0, 4.0]))
    >>> bool(abs(y.mean()) < 1e-15), round(float(y.var()), 4)
    (True, 1.0)
    """

    def init(rng: np.random.Generator) -> dict[str, Any]:
        return {"gain": np.ones(size), "bias": np.zeros(size)}

    def apply(params: dict[str, Any], x: Any, rng: np.random.Generator | None = None) -> Any:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        return params["gain"] * (centred / np.sqrt(variance + eps)) + params["bias"]

    return Model(init, apply)


def embedding(count: int, size: int) -> Model:
    """A row of a table for each integer: indices of shape (...) to vectors of shape (..., size).

    Parameters `{"table": (count, size)}`, standard normal at first.  The gradient of a row sums over its
    occurrences.

    >>> init, apply = embedding(3, 2)
    >>> apply({"table": np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])}, np.array([2, 0]))
    array([[4., 5.],
           [0., 1.]])
    """

    def init(rng: np.random.Generator) -> dict[str, Any]:
        return {"table": rng.normal(size=(count, size))}

    def apply(params: dict[str, Any], indices: Any, rng: np.random.Generator | None = None) -> Any:
        return params["table"][indices]

    return Model(init, apply)


def dropout(rate: float) -> Model:
    """Zero each element with probability rate and divide the rest by 1 - rate, so that the mean is kept.

    `apply({}, x, rng)` draws the mask from the generator; `apply({}, x)` returns x.  A generator moves on at
    every draw: where a function is evaluated again (`checkpoint`, a finite difference), make it inside,
    `np.random.default_rng(seed)`.  Under `vmap` all examples share one mask.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, rescaled while training.

    >>> init, apply = dropout(0.75)
    >>> apply({}, np.ones(8), np.random.default_rng(0))
    array([0., 0., 0., 0., 4., 4., 0., 0.])
    >>> apply({}, np.ones(3))
    array([1., 1., 1.])
    """
    if not 0 <= rate < 1:
        raise ArgumentError(f"dropout: rate must be in [0, 1), got {rate}.")

    def init(rng: np.random.Generator) -> dict[str, Any]:
        return {}

    def apply(params: dict[str, Any], x: Any, rng: np.random.Generator | None = None) -> Any:
        if rng is None:
            return x
        kept = rng.random(x.shape) >= rate
        return np.where(kept, x / (1 - rate), 0)

    return Model(init, apply)
