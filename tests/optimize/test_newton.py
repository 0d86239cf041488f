"""Damped Newton: quadratics in a step, known minima, saddles named; the modified Cholesky factorization against eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
from problems.more_garbow_hillstrom import PROBLEMS

from dualgrad.errors import ArgumentError
from dualgrad.models import binary_cross_entropy
from dualgrad.optimize import Ending, damped_newton, levenberg, modified_cholesky, solve


def symmetric(n, seed, curvatures=None):
    """A random symmetric matrix, with given eigenvalues or an indefinite one."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(n, n)))[0]
    curvatures = rng.normal(size=n) if curvatures is None else np.asarray(curvatures)
    matrix = (vectors * curvatures) @ vectors.T
    return (matrix + matrix.T) / 2


# ---- modified Cholesky -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 8, 30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_shifted_matrix_is_positive_definite_and_the_factors_solve_it(n, dtype):
    for seed in range(10):
        matrix = symmetric(n, seed).astype(dtype)
        factors = modified_cholesky(matrix)
        shifted = matrix + factors.shift
        assert factors.shift.dtype == dtype and np.linalg.eigvalsh(shifted)[0] > 0
        np.testing.assert_allclose(factors.lower @ factors.blocks @ factors.lower.T, shifted, atol=1e3 * np.finfo(dtype).eps)
        right = np.random.default_rng(seed).normal(size=n).astype(dtype)
        accuracy = 1e3 * np.finfo(dtype).eps * np.linalg.cond(shifted)
        np.testing.assert_allclose(factors.solve(right), np.linalg.solve(shifted, right), rtol=accuracy, atol=accuracy)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 30])
def test_there_is_no_shift_where_the_matrix_is_sufficiently_positive_definite(n):
    for seed in range(10):
        matrix = symmetric(n, seed, np.geomspace(1e-8, 1.0, n))
        assert not np.any(modified_cholesky(matrix).shift)


def test_a_negative_curvature_is_turned_and_a_zero_one_raised():
    np.testing.assert_allclose(modified_cholesky(np.diag([2.0, -3.0])).shift, np.diag([0.0, 6.0]), atol=1e-12)
    zero = modified_cholesky(np.zeros((3, 3)))
    assert np.linalg.eigvalsh(zero.shift)[0] > 0 and np.max(zero.shift) < 1e-300
    np.testing.assert_allclose(modified_cholesky(np.zeros((2, 2)), delta=0.5).shift, 0.5 * np.eye(2))


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.array([1.0]), np.array([[np.nan]])])
def test_what_cannot_be_factored_is_named(matrix):
    with pytest.raises(ArgumentError, match="modified_cholesky: the matrix must be square and finite"):
        modified_cholesky(matrix)


# ---- the method ------------------------------------------------------------------------------------------------------


def test_a_quadratic_takes_one_step():
    matrix, minimum = symmetric(6, 0, np.geomspace(1e-3, 1e3, 6)), np.arange(6.0)
    result = solve(damped_newton(lambda x: (x - minimum) @ matrix @ (x - minimum) / 2, tol=1e-8), np.zeros(6))
    assert result.ending is Ending.CONVERGED and result.steps == 1
    np.testing.assert_allclose(result.params, minimum, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["rosenbrock", "beale", "helical_valley", "wood", "brown_dennis", "watson_6", "jennrich_sampson"])
def test_published_minima_are_reached(name):
    problem = PROBLEMS[name]
    result = solve(damped_newton(problem.objective), np.array(problem.start))
    assert result.ending is Ending.CONVERGED, result.message
    np.testing.assert_allclose(result.value, problem.minima[0].value, rtol=1e-5, atol=1e-15)
    np.testing.assert_allclose(result.params, problem.minima[0].point, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", PROBLEMS)
def test_with_a_damping_that_adapts_every_problem_is_solved(name):
    problem = PROBLEMS[name]
    result = solve(damped_newton(problem.objective, search=levenberg()), np.array(problem.start), max_steps=300)
    gaps = [abs(result.value - minimum.value) <= 1e-4 * minimum.value + 1e-8 for minimum in problem.minima]
    assert any(gaps), (result.value, problem.minima)


def test_convergence_is_quadratic():
    result = solve(damped_newton(PROBLEMS["rosenbrock"].objective, tol=1e-13), np.array([-1.2, 1.0]))
    norms = np.array([step.gradient_norm for step in result.history])[-4:]
    assert norms[-1] < 1e-13 and np.all(norms[1:] < 10 * norms[:-1] ** 1.5)


def test_logistic_regression_ends_where_its_gradient_vanishes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4))
    t = (rng.random(50) < 0.5).astype(float)

    def loss(params, x, t):
        return binary_cross_entropy(x @ params["w"] + params["b"], t)

    result = solve(damped_newton(loss, tol=1e-12), {"w": np.zeros(4), "b": 0.0}, x, t)
    assert result.ending is Ending.CONVERGED and result.steps <= 6
    error = 1 / (1 + np.exp(-(x @ result.params["w"] + result.params["b"]))) - t
    np.testing.assert_allclose([*(x.T @ error), error.sum()], 0, atol=1e-10)


@pytest.mark.parametrize(("start", "steps"), [([0.0, 0.0], 0), ([1.0, 0.0], 1)])
def test_a_saddle_is_no_minimum(start, steps):
    result = solve(damped_newton(lambda x: x[0] ** 2 - x[1] ** 2), np.array(start))
    assert result.ending is Ending.INDEFINITE and not result.success and result.steps == steps
    assert result.message.startswith("The Hessian is indefinite") and "no minimum" in result.message


def test_an_indefinite_hessian_on_the_way_does_not_stop_it():
    double_well = lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2
    result = solve(damped_newton(double_well), np.array([1e-3, 1.0]))
    assert result.ending is Ending.CONVERGED
    np.testing.assert_allclose(result.params, [1.0, 0.0], atol=1e-9)


def test_a_wall_of_nan_is_backed_away_from():
    result = solve(damped_newton(lambda x: x[0] - np.log(x[0])), np.array([5.0]))
    assert result.ending is Ending.CONVERGED
    np.testing.assert_allclose(result.params, 1.0, rtol=1e-9)
    assert any(step.radius < 1 for step in result.history)


def test_an_objective_without_a_lower_bound_ends_at_the_step_limit():
    result = solve(damped_newton(lambda x: x[0] ** 2 - x[1] ** 2), np.array([1.0, 1e-3]), max_steps=10)
    assert result.ending is Ending.STEP_LIMIT and result.value < -1


def test_a_hessian_that_is_not_finite_is_an_ending():
    result = solve(damped_newton(lambda x: np.sum(np.abs(x) ** 1.5) + x[1]), np.array([0.0, 1.0]))
    assert result.ending is Ending.NOT_FINITE
