"""Subsampled Newton: Newton-CG on all the data, and convergence with a Hessian of few of them."""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad import grad, hessian
from dualgrad.models import binary_cross_entropy
from dualgrad.optimize import Ending, damped_newton, solve, subsampled_newton
from dualgrad.optimize.descent import Objective, subsample
from dualgrad.optimize.subsampled_newton import Memory, subsampled

RNG = np.random.default_rng(19)
X = RNG.normal(size=(400, 5)) * np.array([1.0, 3.0, 0.3, 1.0, 10.0])
Y = (X @ np.array([1.0, -0.5, 2.0, 0.0, 0.1]) + RNG.normal(size=400) > 0).astype(float)


def loss(w, x, y):
    return binary_cross_entropy(x @ w, y) + 0.01 * np.sum(w * w)


def test_the_direction_is_newtons_on_the_subsampled_hessian():
    w = np.full(5, 0.1)
    descent = subsampled(loss, 0.25, 50, seed=3)
    objective = Objective(loss, w, (X, Y))
    direction = descent.local(objective, Memory(3, 7)).direction(0.05)
    x, y = subsample((X, Y), 0.25, 3, 7)
    matrix, g = hessian(loss)(w, x, y) + 0.05 * np.eye(5), grad(loss)(w, X, Y)
    assert len(x) == 100 and direction.memory == Memory(3, 8)
    forcing = min(0.5, np.sqrt(np.linalg.norm(g)))
    assert np.linalg.norm(matrix @ direction.step + g) <= forcing * np.linalg.norm(g)
    assert g @ direction.step < 0


@pytest.mark.parametrize("fraction", [0.1, 0.3, 1.0])
def test_it_converges_to_the_minimum_over_all_data(fraction):
    result = solve(subsampled_newton(loss, fraction=fraction, seed=1), np.zeros(5), X, Y, max_steps=200)
    assert result.ending is Ending.CONVERGED, result.message
    exact = solve(damped_newton(loss), np.zeros(5), X, Y)
    np.testing.assert_allclose(result.params, exact.params, rtol=1e-5, atol=1e-7)


def test_with_all_the_data_convergence_is_superlinear():
    result = solve(subsampled_newton(loss, fraction=1.0), np.zeros(5), X, Y)
    norms = np.array([step.gradient_norm for step in result.history])
    assert result.steps < 12 and norms[-1] < 0.05 * norms[-2]


def test_the_seed_decides_the_examples():
    runs = [solve(subsampled_newton(loss, fraction=0.1, seed=seed), np.zeros(5), X, Y, max_steps=2).params for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_negative_curvature_still_gives_descent():
    double_well = lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2
    result = solve(subsampled_newton(double_well, fraction=1.0), np.array([1e-3, 1.0]))
    assert result.ending is Ending.CONVERGED
    np.testing.assert_allclose(result.params, [1.0, 0.0], atol=1e-6)
