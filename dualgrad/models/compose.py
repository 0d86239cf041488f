"""Models from models: layers in a row.

    sequential(f, g, ...)   y = ... g(q, f(p, x))                                params [p, q, ...]
    mlp([n0, ..., nL])      h = sigma(h W_l + b_l) for l < L,  y = h W_L + b_L   params [{weight, bias}, ...]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dualgrad.errors import ArgumentError
from dualgrad.models.activations import relu
from dualgrad.models.initializers import Initializer, he_normal
from dualgrad.models.layers import dense
from dualgrad.models.model import Model


def sequential(*layers: Model | Callable[[Any], Any]) -> Model:
    """Layers applied in order; a plain function such as `relu` or `np.tanh` is a layer without parameters.

    The parameters are a list with one entry per layer, `{}` for a plain function.  `apply(params, x, rng)`
    hands the generator to every layer.

    >>> init, apply = sequential(dense(2, 3), np.tanh, dense(3, 1))
    >>> params = init(np.random.default_rng(0))
    >>> [sorted(layer) for layer in params]
    [['bias', 'weight'], [], ['bias', 'weight']]
    >>> x = np.ones((4, 2))
    >>> by_hand = np.tanh(x @ params[0]["weight"]) @ params[2]["weight"]
    >>> np.array_equal(apply(params, x), by_hand)
    True
    """
    models = [layer if isinstance(layer, Model) else _without_parameters(layer) for layer in layers]

    def init(rng: np.random.Generator) -> list[Any]:
        return [model.init(rng) for model in models]

    def apply(params: Sequence[Any], x: Any, rng: np.random.Generator | None = None) -> Any:
        _check_count("sequential", params, models)
        for model, layer_params in zip(models, params, strict=True):
            x = model.apply(layer_params, x, rng)
        return x

    return Model(init, apply)


def mlp(
    sizes: Sequence[int], activation: Callable[[Any], Any] = relu, initializer: Initializer = he_normal
) -> Model:
    """A multilayer perceptron: dense layers of the given sizes, an activation between them, none at the end.

    x of shape (..., sizes[0]) to y of shape (..., sizes[-1]); the parameters are a list of `{"weight",
    "bias"}`, one per dense layer.  The default is He's initialization for ReLU; with `np.tanh` take
    `glorot_uniform`.

    >>> init, apply = mlp([10, 5, 1])
    >>> apply(init(np.random.default_rng(0)), np.ones((3, 10))).shape
    (3, 1)
    """
    if len(sizes) < 2:
        raise ArgumentError(f"mlp: sizes must hold at least an input and an output size, got {list(sizes)}.")
    layers = [dense(inputs, outputs, initializer) for inputs, outputs in pairwise(sizes)]

    def init(rng: np.random.Generator) -> list[Any]:
        return [layer.init(rng) for layer in layers]

    def apply(params: Sequence[Any], x: Any, rng: np.random.Generator | None = None) -> Any:
        _check_count("mlp", params, layers)
        for layer, layer_params in zip(layers[:-1], params[:-1], strict=True):
            x = activation(layer.apply(layer_params, x))
        return layers[-1].apply(params[-1], x)

    return Model(init, apply)


def _without_parameters(function: Callable[[Any], Any]) -> Model:
    """A plain function as a model."""
    return Model(init=lambda rng: {}, apply=lambda params, x, rng=None: function(x))


def _check_count(name: str, params: Sequence[Any], layers: Sequence[Model]) -> None:
    if len(params) != len(layers):
        raise ArgumentError(f"{name}: got parameters of {len(params)} layers for a model of {len(layers)}.")
