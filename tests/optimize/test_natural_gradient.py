"""The natural gradient: Newton's step where the likelihood is canonical and the model linear; and the scores that sample Fisher."""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad import grad, hessian, tree
from dualgrad.errors import ArgumentError
from dualgrad.models import binary_cross_entropy, cross_entropy, mlp, mse
from dualgrad.operators import FisherOperator
from dualgrad.optimize import Ending, damped_newton, fixed, natural_gradient, solve
from dualgrad.optimize.descent import Objective
from dualgrad.optimize.likelihood import LOSSES, scores
from dualgrad.optimize.natural_gradient import fisher

RNG = np.random.default_rng(11)
X = RNG.normal(size=(60, 3))
FLAT = X @ np.array([1.0, -2.0, 0.5])
TARGETS = {
    "bernoulli": (FLAT + RNG.normal(size=60) > 0).astype(float)[:, None],
    "categorical": np.digitize(FLAT + 3 * RNG.normal(size=60), [-1.0, 1.0]),
    "gaussian": np.stack([FLAT, np.tanh(FLAT)], axis=1) + 0.1 * RNG.normal(size=(60, 2)),
}
WIDTHS = {"bernoulli": 1, "categorical": 3, "gaussian": 2}
LIKELIHOODS = pytest.mark.parametrize("likelihood", WIDTHS)


def linear(params, x):
    return x @ params["w"] + params["b"]


def start(likelihood):
    rng = np.random.default_rng(0)
    return {"w": 0.3 * rng.normal(size=(3, WIDTHS[likelihood])), "b": np.zeros(WIDTHS[likelihood])}


@LIKELIHOODS
def test_the_losses_are_those_of_the_models_room(likelihood):
    assert LOSSES[likelihood] is {"bernoulli": binary_cross_entropy, "categorical": cross_entropy, "gaussian": mse}[likelihood]


@LIKELIHOODS
def test_it_is_newtons_method_where_the_link_is_canonical_and_the_model_linear(likelihood):
    params, data = start(likelihood), (X, TARGETS[likelihood])
    descent = fisher(linear, likelihood, cg_tol=1e-14)
    objective = Objective(descent.f, params, data)
    damping = 1e-3  # softmax logits have a direction without curvature
    direction = descent.local(objective, None).direction(damping)
    flat, unravel = tree.ravel(params)
    f = lambda v: LOSSES[likelihood](linear(unravel(v), X), data[1])
    matrix, g = hessian(f)(flat), grad(f)(flat)
    expected = -np.linalg.solve(matrix + damping * np.eye(len(flat)), g)
    np.testing.assert_allclose(direction.step, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(direction.decrease, -(g @ expected + expected @ matrix @ expected / 2), rtol=1e-8)


@LIKELIHOODS
def test_it_ends_at_the_maximum_of_the_likelihood(likelihood):
    params, data = start(likelihood), (X, TARGETS[likelihood])
    result = solve(natural_gradient(linear, likelihood, tol=1e-8), params, *data)
    assert result.ending is Ending.CONVERGED, result.message
    f = lambda params, x, t: LOSSES[likelihood](linear(params, x), t)
    reference = solve(damped_newton(f, tol=1e-10), params, *data)
    found, expected = linear(result.params, X), linear(reference.params, X)
    if likelihood == "categorical":  # the logits are determined up to a constant
        found, expected = (logits - logits.mean(axis=1, keepdims=True) for logits in (found, expected))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_step_of_rate_one_solves_linear_regression():
    result = solve(natural_gradient(linear, "gaussian", search=fixed(1.0), cg_tol=1e-14), start("gaussian"), X, TARGETS["gaussian"])
    assert result.steps == 1
    design = np.hstack([X, np.ones((60, 1))])
    np.testing.assert_allclose(result.params["w"], np.linalg.lstsq(design, TARGETS["gaussian"])[0][:3], rtol=1e-9)


def test_the_step_does_not_depend_on_the_parametrization():
    """F is a metric: with w = M u the step in u is M^-1 that in w."""
    M = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [1.0, 0.0, 1.0]])
    w = np.array([[0.1], [0.2], [-0.3]])
    model = lambda w, x: np.tanh(x @ w)
    step = lambda model, at: solve(
        natural_gradient(model, "gaussian", search=fixed(1.0), cg_tol=1e-14), at, X, TARGETS["bernoulli"], max_steps=1
    ).state.params - at  # fmt: skip
    in_w = step(model, w)
    in_u = step(lambda u, x: model(M @ u, x), np.linalg.solve(M, w))
    np.testing.assert_allclose(M @ in_u, in_w, rtol=1e-7)


@LIKELIHOODS
def test_scores_have_mean_zero_and_the_covariance_of_the_fisher_matrix(likelihood):
    output = 0.7 * RNG.normal(size=(2, WIDTHS[likelihood]))
    draws = np.stack([scores(likelihood, output, np.random.default_rng(k)) for k in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.06)
    exact = FisherOperator(lambda out: out, output, likelihood=likelihood).to_dense() * 2  # of the mean over two rows
    width = WIDTHS[likelihood]
    for row in range(2):
        covariance = draws[:, row].T @ draws[:, row] / len(draws)
        block = exact[row * width : (row + 1) * width, row * width : (row + 1) * width]
        np.testing.assert_allclose(covariance, block, atol=0.06)


def test_scores_keep_the_dtype_and_the_draw_of_their_seed():
    output = np.zeros((5, 3), np.float32)
    for likelihood in LOSSES:
        one, other = (scores(likelihood, output, np.random.default_rng(1)) for _ in range(2))
        assert one.dtype == np.float32 and one.shape == output.shape
        np.testing.assert_array_equal(one, other)


def test_an_unknown_likelihood_is_named():
    with pytest.raises(ArgumentError, match="natural_gradient: likelihood must be one of 'categorical', 'bernoulli', 'gaussian'"):
        natural_gradient(mlp([2, 1]).apply, "poisson")
