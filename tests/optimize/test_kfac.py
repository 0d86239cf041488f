"""K-FAC: factors against exact Fisher matrices, the rescaling against the dense quadratic, and a network it trains."""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad import grad, tree
from dualgrad.errors import ArgumentError
from dualgrad.models import cross_entropy, dense, dropout, layer_norm, mlp, mse, rnn, sequential
from dualgrad.operators import FisherOperator
from dualgrad.optimize import Ending, kfac, solve
from dualgrad.optimize.kfac import _propose
from dualgrad.optimize.kronecker import Factor, dense_layers, factors, inverted, mixed, propagate
from dualgrad.optimize.likelihood import scores

RNG = np.random.default_rng(13)
X = RNG.normal(size=(25, 3))
Y = RNG.integers(0, 2, size=25)
INIT, APPLY = mlp([3, 4, 2], np.tanh)
PARAMS = INIT(np.random.default_rng(0))


def stacked_order(layers):
    """Where the elements of all (weight over bias), column by column of the Kronecker product, stand in the ravelled tree."""
    positions = tree.unflatten(layers.structure, np.split(np.arange(tree.ravel(PARAMS)[0].size), [12, 16, 24]))
    shaped = tree.map(lambda p, w: p.reshape(w.shape), positions, PARAMS)
    return [block.ravel() for block in layers.stacked(shaped)]


# ---- factors ---------------------------------------------------------------------------------------------------------


def test_the_gradient_by_a_layer_is_its_inputs_times_the_gradients_behind_it():
    layers = dense_layers("kfac", PARAMS)
    passed = propagate("kfac", APPLY, layers, (X,))
    np.testing.assert_array_equal(passed.output, APPLY(PARAMS, X))
    slope = grad(lambda out: cross_entropy(out, Y))(passed.output)
    blocks = [x.T @ g for x, g in zip(passed.inputs, passed.gradients(slope), strict=True)]
    expected = layers.stacked(grad(lambda p: cross_entropy(APPLY(p, X), Y))(PARAMS))
    for block, other in zip(blocks, expected, strict=True):
        np.testing.assert_allclose(block, other, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(
    "model",
    [
        sequential(dense(3, 4), np.tanh, sequential(dense(4, 4), np.tanh), dropout(0.5), dense(4, 2)),
        sequential(dense(3, 2)),
        mlp([3, 5, 5, 2]),
    ],
)
def test_layers_are_found_in_any_nesting(model):
    params = model.init(np.random.default_rng(1))
    layers = dense_layers("kfac", {"net": params, "size": 3})
    passed = propagate("kfac", lambda p, x: model.apply(p["net"], x), layers, (X,))
    slope = grad(lambda out: cross_entropy(out, Y))(passed.output)
    expected = layers.stacked({"net": grad(lambda p: cross_entropy(model.apply(p, X), Y))(params), "size": None})
    for x, g, other in zip(passed.inputs, passed.gradients(slope), expected, strict=True):
        np.testing.assert_allclose(x.T @ g, other, rtol=1e-12, atol=1e-15)


def test_an_input_of_more_axes_is_rows():
    x = RNG.normal(size=(5, 7, 3))
    layers = dense_layers("kfac", PARAMS)
    one, other = propagate("kfac", APPLY, layers, (x,)), propagate("kfac", APPLY, layers, (x.reshape(35, 3),))
    cotangent = RNG.normal(size=(5, 7, 2))
    for a, b in zip(one.gradients(cotangent), other.gradients(cotangent.reshape(35, 2)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    for a, b in zip(one.inputs, other.inputs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_factors_of_a_linear_layer_are_the_exact_fisher_matrix():
    """For the gaussian the curvature is the same at every example, and E[x x^T kron g g^T] = A kron G."""
    init, apply = dense(3, 2)
    params = init(np.random.default_rng(0))
    layers = dense_layers("kfac", params)
    passed = propagate("kfac", apply, layers, (X,))
    ((a, _),) = factors(passed, passed.gradients(np.zeros((25, 2))))
    exact = FisherOperator(apply, params, X, likelihood="gaussian").to_dense()
    # the ravelled tree is weight (inputs, outputs), then bias: (weight over bias), ravelled, so F = A kron G
    np.testing.assert_allclose(np.kron(a, np.eye(2)), exact, rtol=1e-12, atol=1e-15)
    draws = [passed.gradients(scores("gaussian", passed.output, np.random.default_rng(k))) for k in range(400)]
    g = np.mean([factors(passed, drawn)[0].gradients for drawn in draws], axis=0)
    np.testing.assert_allclose(np.kron(a, g), exact, rtol=0, atol=0.05 * np.max(exact))


def test_the_inputs_of_one_example_make_the_fisher_block_exact():
    """With a single example there is nothing to be independent of: every block of F is A kron E[g g^T]."""
    x = X[:1]
    layers = dense_layers("kfac", PARAMS)
    passed = propagate("kfac", APPLY, layers, (x,))
    exact = FisherOperator(APPLY, PARAMS, x, likelihood="categorical").to_dense()
    p = np.exp(passed.output[0]) / np.sum(np.exp(passed.output[0]))
    expected = [0, 0]
    for label in range(2):  # the expectation over targets in full
        cotangent = (p - (np.arange(2) == label))[None]
        for k, factor in enumerate(factors(passed, passed.gradients(cotangent))):
            expected[k] = expected[k] + p[label] * np.kron(factor.inputs, factor.gradients)
    for order, block in zip(stacked_order(layers), expected, strict=True):
        np.testing.assert_allclose(exact[np.ix_(order, order)], block, rtol=1e-11, atol=1e-15)


def test_damped_inverses_are_the_inverse_of_the_damped_kronecker_product():
    a, g = (np.cov(RNG.normal(size=(n, 50))) for n in (4, 3))
    gamma = 0.3
    ((inverse_a, inverse_g),) = inverted((Factor(a, g),), gamma)
    balance = np.sqrt((np.trace(a) / 4) / (np.trace(g) / 3))
    damped = np.kron(a + balance * gamma * np.eye(4), g + gamma / balance * np.eye(3))
    np.testing.assert_allclose(np.kron(inverse_a, inverse_g), np.linalg.inv(damped), rtol=1e-10)
    ((dead, _),) = inverted((Factor(a, 0 * g),), gamma)  # a layer without gradient
    np.testing.assert_allclose(dead, np.linalg.inv(a + gamma * np.eye(4)), rtol=1e-10)


def test_factors_decay_exponentially():
    one, two = (Factor(np.eye(2) * k, np.eye(3) * k) for k in (1.0, 2.0))
    assert mixed(0.95, None, (one,)) == (one,)
    ((a, g),) = mixed(0.75, (one,), (two,))
    np.testing.assert_allclose(np.diagonal(a), 1.25)
    np.testing.assert_allclose(np.diagonal(g), 1.25)


# ---- the step --------------------------------------------------------------------------------------------------------


def test_the_step_minimizes_the_exact_quadratic_over_direction_and_momentum():
    matrix = np.cov(RNG.normal(size=(6, 40)))
    gradient = [RNG.normal(size=(3, 2))]
    last = (RNG.normal(size=(3, 2)),)
    inverses = (Factor(np.eye(3), np.eye(2)),)
    curvature = lambda blocks: [(matrix @ blocks[0].ravel()).reshape(3, 2)]
    delta, model = _propose(gradient, inverses, last, curvature, 0.1, True)
    damped, g = matrix + 0.1 * np.eye(6), gradient[0].ravel()
    quadratic = lambda d: g @ d + d @ damped @ d / 2
    assert model == pytest.approx(quadratic(delta[0].ravel()))
    residual = damped @ delta[0].ravel() + g  # stationary along both directions
    np.testing.assert_allclose([residual @ g, residual @ last[0].ravel()], 0, atol=1e-12)
    without, shorter = _propose(gradient, inverses, last, curvature, 0.1, False)
    assert model < shorter and np.allclose(without[0] / gradient[0], (without[0] / gradient[0])[0, 0])


def test_one_step_solves_a_gaussian_linear_layer():
    """Kronecker is exact there, and so alpha = 1 of the exact natural gradient is the least squares solution."""
    init, apply = dense(3, 1)
    targets = X @ np.array([[1.0], [-2.0], [0.5]]) + 3.0
    result = solve(kfac(apply, "gaussian", damping=1e-12, tol=1e-6), init(np.random.default_rng(0)), X, targets, max_steps=3)
    assert result.history[1].value < 1e-6 * result.history[0].value
    np.testing.assert_allclose(result.params["bias"], 3.0, rtol=1e-3)


def test_it_trains_a_network_in_fewer_steps_than_gradients_would_take():
    init, apply = mlp([3, 16, 1], np.tanh)
    targets = np.sin(2 * X[:, :1]) * X[:, 1:2]
    result = solve(kfac(apply, "gaussian", damping=0.1), init(np.random.default_rng(0)), X, targets, max_steps=60)
    assert result.value < 1e-3 * result.history[0].value
    assert result.history[-1].radius < 0.1


def test_a_penalty_is_part_of_the_objective():
    result = solve(kfac(APPLY, "categorical", penalty=0.1, tol=1e-4), PARAMS, X, Y, max_steps=150)
    assert result.ending is Ending.CONVERGED, result.message
    penalized = lambda p: cross_entropy(APPLY(p, X), Y) + 0.05 * sum(np.sum(w * w) for w in tree.leaves(p))
    assert np.linalg.norm(tree.ravel(grad(penalized)(result.params))[0]) < 3e-4
    np.testing.assert_allclose(result.value, penalized(result.params), rtol=1e-13)


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (sequential(dense(3, 2), layer_norm(2)), X, r"kfac: params\[1\]\['gain'\] \(float64\[2\]\) is in no dense layer"),
        (rnn(3, 2), X[None], r"kfac: params\['input_weight'\] .* is in no dense layer"),
        (sequential(np.tanh), X, "kfac: params has no dense layer"),
    ],
)
def test_other_parameters_are_named(model, x, message):
    with pytest.raises(ArgumentError, match=message):
        solve(kfac(model.apply, "gaussian"), model.init(np.random.default_rng(0)), x, np.tanh(X), max_steps=1)


def test_a_layer_used_twice_is_named():
    init, apply = dense(3, 3)
    twice = lambda params, x: apply(params, apply(params, x))
    with pytest.raises(ArgumentError, match=r"kfac: params\['weight'\] was used 2 times"):
        solve(kfac(twice, "gaussian"), init(np.random.default_rng(0)), X, X, max_steps=1)


def test_the_loss_of_the_solver_is_that_of_the_likelihood():
    value = solve(kfac(APPLY, "gaussian"), PARAMS, X, np.tanh(X[:, :2]), max_steps=0).value
    np.testing.assert_allclose(value, mse(APPLY(PARAMS, X), np.tanh(X[:, :2])), rtol=1e-15)
