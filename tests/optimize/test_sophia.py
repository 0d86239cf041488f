"""Sophia: steps by the paper's formula, clipping, and estimators whose mean is the diagonal."""

from __future__ import annotations

import numpy as np

from dualgrad import tree
from dualgrad.models import cross_entropy, mlp
from dualgrad.operators import FisherOperator, HessianOperator
from dualgrad.optimize import Ending, bartlett, hutchinson, solve, sophia

RNG = np.random.default_rng(17)
X, Y = RNG.normal(size=(20, 3)), RNG.integers(0, 2, size=20)
INIT, APPLY = mlp([3, 2, 2], np.tanh)
PARAMS = INIT(np.random.default_rng(0))


def loss(params, x, y):
    return cross_entropy(APPLY(params, x), y)


def test_steps_are_those_of_the_paper():
    """On h x^2 / 2 the estimate u^2 h is known: three steps by hand, the estimate renewed at the first and the third."""
    h, x = np.array([2.0, 0.5, 1e-9]), np.array([1.0, -3.0, 2.0])
    estimate = lambda params, data, rng: h
    solver = sophia(lambda x: np.sum(h * x * x) / 2, lambda step: 0.1 / (step + 1), estimate, every=2, scale=5.0, decay=0.2)
    state = solver.init(x)
    mean, diagonal = np.zeros(3), np.zeros(3)
    for step in range(3):
        state = solver.update(state)
        mean = 0.96 * mean + 0.04 * h * x
        if step % 2 == 0:
            diagonal = 0.99 * diagonal + 0.01 * h
        x = x - 0.1 / (step + 1) * (0.2 * x + np.clip(mean / np.maximum(5.0 * diagonal, 1e-12), -1, 1))
        np.testing.assert_allclose(state.params, x, rtol=1e-14)
        assert state.radius == 0.1 / (step + 1)


def test_no_parameter_moves_by_more_than_the_rate_even_where_the_curvature_is_negative():
    solver = sophia(lambda x: np.sum(np.cos(x)), 0.03)
    state = solver.init(np.linspace(-3, 3, 50))
    for _ in range(20):
        moved = solver.update(state)
        assert np.max(np.abs(moved.params - state.params)) <= 0.03 * (1 + 1e-12)
        state = moved
    assert state.value < np.sum(np.cos(np.linspace(-3, 3, 50)))


def test_hutchinsons_estimate_is_unbiased():
    exact = np.diagonal(HessianOperator(loss, PARAMS, X, Y).to_dense())
    draws = np.stack([hutchinson(loss)(PARAMS, (X, Y), np.random.default_rng(k)) for k in range(500)])
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - exact) < 4.5 * error)


def test_bartletts_estimate_is_unbiased_and_never_negative():
    exact = np.diagonal(FisherOperator(APPLY, PARAMS, X, likelihood="categorical").to_dense())
    draws = np.stack([bartlett(APPLY, "categorical")(PARAMS, (X, Y), np.random.default_rng(k)) for k in range(500)])
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(draws >= 0) and np.all(np.abs(draws.mean(axis=0) - exact) < 4.5 * error)


def test_it_trains_a_network_on_batches():
    init, apply = mlp([3, 16, 2], np.tanh)
    labels = (np.sin(2 * X[:, 0]) > 0).astype(int)
    f = lambda params, x, y: cross_entropy(apply(params, x), y)
    batches = [(X[rows], labels[rows]) for rows in (np.random.default_rng(k).permutation(20)[:10] for k in range(300))]
    solver = sophia(f, 0.02, bartlett(apply, "categorical"), scale=0.05)
    result = solve(solver, init(np.random.default_rng(0)), batches=batches, max_steps=300)
    assert np.mean(np.argmax(apply(result.params, X), axis=1) == labels) == 1.0


def test_it_ends_at_a_small_gradient():
    result = solve(sophia(lambda x: np.sum(x * x), 0.01, tol=1e3), np.ones(2))
    assert result.ending is Ending.CONVERGED and result.steps == 0
    assert tree.structure(result.params) == tree.structure(np.ones(2))
