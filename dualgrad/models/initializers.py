"""Initializers: `initializer(rng, shape) -> array`, a weight of shape (inputs, outputs) for x @ weight.

    he          variance 2 / inputs              keeps the size of ReLU activations  He et al. 2015, eq. 10
    glorot      variance 2 / (inputs + outputs)  for tanh and linear layers          Glorot 2010, eq. 12
    orthogonal  W^T W = gain^2 I                 keeps norms through depth and time  Saxe et al. 2014

Normal and uniform kinds have the same variance: a uniform on [-a, a] has a^2 / 3.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from dualgrad.errors import ArgumentError

Shape = tuple[int, ...]
Initializer = Callable[[np.random.Generator, Shape], NDArray[np.float64]]


def zeros(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """All zeros; the generator is not used."""
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """All ones; the generator is not used."""
    return np.ones(shape)


def he_normal(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Normal with variance 2 / inputs (He et al. 2015).

    >>> weight = he_normal(np.random.default_rng(0), (200, 300))
    >>> round(float(weight.var()) * 200, 1)
    2.0
    """
    inputs, _ = _fans("he_normal", shape)
    return rng.normal(0.0, sqrt(2 / inputs), shape)


def he_uniform(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Uniform on [-a, a], a = sqrt(6 / inputs) (He et al. 2015).

    >>> weight = he_uniform(np.random.default_rng(0), (200, 300))
    >>> round(float(weight.var()) * 200, 1)
    2.0
    """
    inputs, _ = _fans("he_uniform", shape)
    limit = sqrt(6 / inputs)
    return rng.uniform(-limit, limit, shape)


def glorot_normal(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Normal with variance 2 / (inputs + outputs) (Glorot & Bengio 2010, eq. 12).

    >>> weight = glorot_normal(np.random.default_rng(0), (200, 300))
    >>> round(float(weight.var()) * 250, 1)
    1.0
    """
    return rng.normal(0.0, sqrt(2 / sum(_fans("glorot_normal", shape))), shape)


def glorot_uniform(rng: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Uniform on [-a, a], a = sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010, eq. 16).

    >>> weight = glorot_uniform(np.random.default_rng(0), (200, 300))
    >>> round(float(weight.var()) * 250, 1)
    1.0
    """
    limit = sqrt(6 / sum(_fans("glorot_uniform", shape)))
    return rng.uniform(-limit, limit, shape)


def orthogonal(rng: np.random.Generator, shape: Shape, gain: float = 1.0) -> NDArray[np.float64]:
    """gain times a random matrix with orthonormal columns, or rows if those are fewer (Saxe et al. 2014).

    The factor Q of a normal matrix, each column multiplied by the sign of R's diagonal: without it Q is not
    uniform (Mezzadri 2007).

    >>> weight = orthogonal(np.random.default_rng(0), (5, 3), gain=2.0)
    >>> np.allclose(weight.T @ weight, 4 * np.eye(3))
    True
    """
    if len(shape) != 2:
        raise ArgumentError(f"orthogonal: shape must be (inputs, outputs), got {shape}.")
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q = gain * q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if shape[0] >= shape[1] else q.T


def _fans(name: str, shape: Shape) -> tuple[int, int]:
    """Inputs and outputs of one unit; axes before the last two are a receptive field."""
    if len(shape) < 2:
        raise ArgumentError(f"{name}: shape must be (..., inputs, outputs), got {shape}.")
    field = prod(shape[:-2])
    return field * shape[-2], field * shape[-1]
