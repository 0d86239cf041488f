"""Models as pairs of plain functions over an explicit parameter pytree.

    Model(init, apply)      params = init(rng)         y = apply(params, x, rng=None)

There are no modules, no hidden state and no modes: parameters are dicts and lists of arrays that the caller
holds, so `grad` of a loss over them has the same tree, and everything is plain NumPy.  A `rng` given to
`apply` means training (dropout draws from it); none means evaluation.  For float32, cast the tree:
`tree.map(lambda leaf: leaf.astype("float32"), params)`.

    >>> import numpy as np
    >>> from dualgrad import grad
    >>> from dualgrad.models import mlp, mse
    >>> init, apply = mlp([10, 5, 1])
    >>> params = init(np.random.default_rng(0))
    >>> x, target = np.ones((3, 10)), np.zeros((3, 1))
    >>> gradient = grad(lambda params: mse(apply(params, x), target))(params)
    >>> [{name: leaf.shape for name, leaf in layer.items()} for layer in gradient]
    [{'weight': (10, 5), 'bias': (5,)}, {'weight': (5, 1), 'bias': (1,)}]
"""

from dualgrad.models.activations import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus
from dualgrad.models.compose import mlp, sequential
from dualgrad.models.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    ones,
    orthogonal,
    zeros,
)
from dualgrad.models.layers import dense, dropout, embedding, layer_norm
from dualgrad.models.losses import binary_cross_entropy, cross_entropy, huber, mae, mse
from dualgrad.models.model import Model
from dualgrad.models.recurrent import Cell, gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell, unroll

__all__ = [
    "Cell",
    "Model",
    "binary_cross_entropy",
    "cross_entropy",
    "dense",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "glorot_normal",
    "glorot_uniform",
    "gru",
    "gru_cell",
    "he_normal",
    "he_uniform",
    "huber",
    "layer_norm",
    "leaky_relu",
    "lstm",
    "lstm_cell",
    "mae",
    "mlp",
    "mse",
    "ones",
    "orthogonal",
    "relu",
    "rnn",
    "rnn_cell",
    "sequential",
    "sigmoid",
    "silu",
    "softplus",
    "unroll",
    "zeros",
]
