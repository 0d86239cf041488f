"""Layers and their composition: formulas, gradients against finite differences, and what dropout draws."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import central_gradient
from scipy import special

from dualgrad import checkpoint, grad, hessian, jvp, tree, vmap
from dualgrad.errors import ArgumentError
from dualgrad.models import (
    dense,
    dropout,
    elu,
    embedding,
    gelu,
    glorot_uniform,
    layer_norm,
    leaky_relu,
    mlp,
    mse,
    relu,
    sequential,
    sigmoid,
    silu,
    softplus,
)

X = np.sin(np.arange(12.0)).reshape(3, 4)
RNG = np.random.default_rng


@pytest.mark.parametrize(
    "model",
    [
        dense(4, 2, glorot_uniform),
        layer_norm(4),
        mlp([4, 5, 2], np.tanh),
        sequential(dense(4, 3), layer_norm(3), gelu, dense(3, 2), silu),
        sequential(dense(4, 3), softplus, dense(3, 2), sigmoid),
    ],
    ids=["dense", "layer_norm", "mlp", "normalized", "smooth"],
)
def test_parameter_gradients_are_those_of_finite_differences(model):
    params = model.init(RNG(0))

    def loss(params):
        return np.sum(model.apply(params, X) ** 3)

    exact, reference = grad(loss)(params), central_gradient(loss, params)
    assert tree.structure(exact) == tree.structure(params)
    for one, other in zip(tree.leaves(exact), tree.leaves(reference)):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        (relu, lambda x: (x > 0) * 1.0),
        (leaky_relu, lambda x: np.where(x > 0, 1.0, 0.01)),
        (elu, lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0)))),
        (gelu, lambda x: special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)),
        (silu, lambda x: special.expit(x) * (1 + x * special.expit(-x))),
        (sigmoid, lambda x: special.expit(x) * special.expit(-x)),
        (softplus, special.expit),
    ],
)
def test_activations_have_their_slope_in_both_modes(activation, slope):
    x = np.array([-700.0, -30.0, -1.5, -0.1, 0.2, 2.0, 30.0, 700.0])
    np.testing.assert_allclose(grad(lambda x: np.sum(activation(x)))(x), slope(x), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(jvp(activation, (x,), (np.ones(8),))[1], slope(x), rtol=1e-12, atol=1e-300)
    assert activation(x.astype(np.float32)).dtype == np.float32


def test_elu_is_smooth_at_zero_and_relu_splits_its_tie():
    assert grad(elu)(0.0) == 1.0
    assert grad(relu)(0.0) == 0.5


def test_dense_maps_the_last_axis():
    init, apply = dense(4, 2)
    params = init(RNG(0))
    many = np.sin(np.arange(24.0)).reshape(2, 3, 4)
    np.testing.assert_allclose(apply(params, many)[1], apply(params, many[1]), rtol=1e-15)


def test_layer_norm_ignores_shift_and_scale_of_its_input():
    init, apply = layer_norm(4, eps=0.0)
    params = init(RNG(0))
    y = apply(params, X)
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-15)
    np.testing.assert_allclose((y * y).mean(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(apply(params, 5 * X + 3), y, rtol=1e-13)


def test_the_gradient_of_an_embedding_sums_over_occurrences():
    init, apply = embedding(5, 2)
    params, indices = init(RNG(0)), np.array([[3, 1], [3, 3]])
    gradient = grad(lambda params: np.sum(apply(params, indices)))(params)
    np.testing.assert_array_equal(gradient["table"], np.array([0, 1, 0, 3, 0])[:, None] * np.ones(2))


def test_dropout_keeps_the_mean_and_is_the_identity_without_a_generator():
    _, apply = dropout(0.3)
    y = apply({}, np.ones(100_000), RNG(0))
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert abs(y.mean() - 1) < 0.01
    assert apply({}, X) is X
    assert apply({}, X.astype(np.float32), RNG(0)).dtype == np.float32


def test_dropout_scales_the_gradient_by_its_mask():
    _, apply = dropout(0.5)
    mask = RNG(3).random(X.shape) >= 0.5
    np.testing.assert_array_equal(grad(lambda x: np.sum(apply({}, x, RNG(3))))(X), 2.0 * mask)


def test_what_dropout_removes_has_no_gradient_even_at_infinity():
    _, apply = dropout(0.5)
    mask = RNG(3).random(4) >= 0.5
    x = np.where(mask, 1.0, 0.0)
    gradient = grad(lambda x: np.sum(apply({}, np.sqrt(x), RNG(3))))(x)
    np.testing.assert_array_equal(gradient, np.where(mask, 1.0, 0.0))


def test_a_generator_made_inside_survives_recomputation():
    model = sequential(dense(4, 3), dropout(0.5), dense(3, 1))
    params = model.init(RNG(0))

    def loss(params):
        return np.sum(model.apply(params, X, RNG(5)) ** 2)

    for one, other in zip(tree.leaves(grad(checkpoint(loss))(params)), tree.leaves(grad(loss)(params))):
        np.testing.assert_array_equal(one, other)


def test_mapped_examples_share_one_mask():
    _, apply = dropout(0.5)
    mask = RNG(3).random(4) >= 0.5
    np.testing.assert_array_equal(vmap(lambda x: apply({}, x, RNG(3)))(np.ones((2, 4))), 2.0 * np.stack([mask, mask]))


def test_sequential_hands_the_generator_to_every_layer():
    model = sequential(dropout(0.5), np.tanh, dropout(0.5))
    params, rng = model.init(RNG(0)), RNG(1)
    first, second = rng.random(X.shape) >= 0.5, rng.random(X.shape) >= 0.5
    np.testing.assert_array_equal(model.apply(params, X, RNG(1)), 2 * np.tanh(2 * X * first) * second)


def test_an_mlp_is_its_layers_written_out():
    init, apply = mlp([4, 5, 2])
    first, second = params = init(RNG(0))
    by_hand = np.maximum(X @ first["weight"] + first["bias"], 0) @ second["weight"] + second["bias"]
    np.testing.assert_array_equal(apply(params, X), by_hand)


def test_per_example_gradients_are_mapped_ones():
    init, apply = mlp([4, 3, 1], np.tanh)
    params, targets = init(RNG(0)), np.ones((3, 1))

    def loss(params, x, target):
        return mse(apply(params, x), target)

    mapped = vmap(grad(loss), in_axes=(None, 0, 0))(params, X, targets)
    for k in range(3):
        single = grad(loss)(params, X[k], targets[k])
        for one, other in zip(tree.leaves(mapped), tree.leaves(single)):
            np.testing.assert_allclose(one[k], other, rtol=1e-13, atol=1e-15)


def test_the_hessian_of_a_network_is_symmetric_over_its_tree():
    init, apply = mlp([4, 3, 1], np.tanh)
    params = init(RNG(0))
    second = hessian(lambda params: np.sum(apply(params, X) ** 2))(params)
    across = second[0]["weight"][1]["weight"]
    mirrored = np.moveaxis(second[1]["weight"][0]["weight"], (0, 1), (2, 3))
    np.testing.assert_allclose(mirrored, across, atol=1e-13)


def test_float32_parameters_make_a_float32_network():
    init, apply = sequential(dense(4, 3), layer_norm(3), dropout(0.1), elu, dense(3, 2))
    params = tree.map(lambda leaf: leaf.astype(np.float32), init(RNG(0)))
    x, target = X.astype(np.float32), np.ones((3, 2), np.float32)
    gradient = grad(lambda params: mse(apply(params, x, RNG(1)), target))(params)
    assert {leaf.dtype for leaf in tree.leaves(gradient)} == {np.dtype(np.float32)}


def test_wrong_settings_are_named():
    with pytest.raises(ArgumentError, match=r"dropout: rate must be in \[0, 1\), got 1.0"):
        dropout(1.0)
    with pytest.raises(ArgumentError, match=r"mlp: sizes must hold at least .* got \[3\]"):
        mlp([3])
    with pytest.raises(ArgumentError, match="sequential: got parameters of 1 layers for a model of 2"):
        sequential(relu, relu).apply([{}], X)
