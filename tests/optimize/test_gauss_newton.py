"""Gauss-Newton and Levenberg-Marquardt: published problems, certified regressions, closed forms of a step, singular Jacobians."""

from __future__ import annotations

import numpy as np
import pytest
from problems.more_garbow_hillstrom import PROBLEMS
from problems.nist import DATASETS

from dualgrad.optimize import Ending, Tolerances, compose, fixed, gauss_newton, levenberg_marquardt, solve
from dualgrad.optimize.descent import Objective
from dualgrad.optimize.gauss_newton import linearized

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(9, 4)), RNG.normal(size=9)


def linear(x):
    return A @ x - B


def test_a_linear_problem_takes_one_step():
    result = solve(gauss_newton(linear), np.zeros(4))
    assert result.ending is Ending.CONVERGED and result.steps == 1
    np.testing.assert_allclose(result.params, np.linalg.lstsq(A, B)[0], rtol=1e-12)


def test_fewer_residuals_than_parameters_have_the_shortest_step():
    start = np.arange(6.0)
    wide = RNG.normal(size=(3, 6))
    result = solve(gauss_newton(lambda x: wide @ x - 1.0), start)
    np.testing.assert_allclose(result.params, start + np.linalg.pinv(wide) @ (1.0 - wide @ start), rtol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_damped_step_solves_the_normal_equations(damping, scaled):
    curved = lambda x: {"a": np.sin(A @ x), "b": x * 100.0}
    x = np.array([0.1, -0.2, 0.3, 0.0])
    descent = linearized(curved, scaled=scaled)
    objective = Objective(descent.f, x, ())
    direction = descent.local(objective, descent.start(objective)).direction(damping)
    jacobian = np.vstack([np.cos(A @ x)[:, None] * A, 100 * np.eye(4)])
    r = np.concatenate([np.sin(A @ x), 100 * x])
    scale = np.diag(np.sum(jacobian**2, axis=0)) if scaled else np.eye(4)
    expected = -np.linalg.solve(jacobian.T @ jacobian + damping * scale, jacobian.T @ r)
    np.testing.assert_allclose(direction.step, expected, rtol=1e-10)
    predicted = (r @ r - np.sum((r + jacobian @ expected) ** 2)) / 2
    np.testing.assert_allclose(direction.decrease, predicted, rtol=1e-10)


def test_the_accelerated_step_is_the_second_order_solution():
    """For r(x) = (x + x^2 / 2 - y) and lambda = 0: d = -r / (1 + x), and a = -r'' d^2 / (1 + x) / 2."""
    y, x = np.array([2.0, 3.0]), np.array([1.0, 2.0])
    descent = linearized(lambda x: x + x * x / 2 - y, acceleration=np.inf)
    objective = Objective(descent.f, x, ())
    step = descent.local(objective, None).direction(1e-300).step
    d = -(x + x * x / 2 - y) / (1 + x)
    np.testing.assert_allclose(step, d - d * d / (1 + x) / 2, rtol=1e-12)


def test_a_step_of_too_much_acceleration_is_refused():
    def refused(bound):
        descent = linearized(lambda x: x + x * x / 2, acceleration=bound)
        objective = Objective(descent.f, np.array([1.0]), ())
        return descent.local(objective, None).direction(1e-300).refused

    assert not refused(0.38) and refused(0.37)  # d = -3/4, a = -d^2 / 4: 2 |a / 2| / |d| = 3/8


def test_an_exponential_fit_on_a_tree_with_data():
    t = np.linspace(0, 3, 12)
    y = 2.5 * np.exp(-1.3 * t) + 0.5
    decay = lambda p, t, y: {"fit": p["size"] * np.exp(-p["rate"] * t) + p["floor"][0] - y}
    for solver in (gauss_newton(decay), levenberg_marquardt(decay), levenberg_marquardt(decay, acceleration=False)):
        result = solve(solver, {"size": 1.0, "rate": 1.0, "floor": [np.float64(0.0)]}, t, y)
        assert result.success, result.message
        np.testing.assert_allclose([result.params["size"], result.params["rate"], result.params["floor"][0]], [2.5, 1.3, 0.5])


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in ("brown_dennis", "penalty_1_10", "chebyquad_10")])
def test_levenberg_marquardt_reaches_a_published_minimum(name):
    problem = PROBLEMS[name]
    result = solve(levenberg_marquardt(problem.residuals), np.array(problem.start))
    assert result.success, result.message
    gaps = [abs(2 * result.value - minimum.value) <= 1e-5 * minimum.value + 1e-20 for minimum in problem.minima]
    assert any(gaps), (2 * result.value, problem.minima)


@pytest.mark.parametrize("name", ["rosenbrock", "brown_badly_scaled", "bard", "osborne_1", "osborne_2", "broyden_tridiagonal_10"])
def test_gauss_newton_reaches_the_published_minimum(name):
    problem = PROBLEMS[name]
    result = solve(gauss_newton(problem.residuals), np.array(problem.start))
    assert result.success, result.message
    np.testing.assert_allclose(2 * result.value, problem.minima[0].value, rtol=1e-5, atol=1e-20)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.level != "higher"])
def test_certified_parameters_have_seven_digits(name, start):
    dataset = DATASETS[name]
    result = solve(levenberg_marquardt(dataset.residuals), np.array(dataset.starts[start]), max_steps=200)
    assert result.success or name == "Lanczos1", result.message  # whose residuals, 1e-13 of the data, are rounding
    np.testing.assert_allclose(result.params, dataset.parameters, rtol=1e-7)


def test_the_path_does_not_depend_on_units():
    problem = PROBLEMS["box"]
    units = np.array([1.0, 1024.0, 2.0**-20])
    one = solve(levenberg_marquardt(problem.residuals), np.array(problem.start), max_steps=6)
    other = solve(levenberg_marquardt(lambda x: problem.residuals(x / units)), problem.start * units, max_steps=6)
    np.testing.assert_allclose([p.value for p in other.history], [p.value for p in one.history], rtol=1e-9)


@pytest.mark.parametrize("name", ["linear_rank_1_5", "beale", "biggs_exp6"])
def test_a_singular_jacobian_ends_gauss_newton_and_not_levenberg_marquardt(name):
    problem = PROBLEMS[name]
    start = np.array(problem.start)
    result = solve(gauss_newton(problem.residuals), start)
    assert result.ending is Ending.SINGULAR and not result.success
    assert result.message.startswith("The Jacobian is singular. After ")
    best = min(step.value for step in result.history)
    np.testing.assert_array_equal(np.sum(problem.residuals(result.params) ** 2) / 2, best)
    assert solve(levenberg_marquardt(problem.residuals), start).success


def test_a_nearly_singular_jacobian_is_no_success():
    """The direction is long there, nearly orthogonal to the gradient, and only tiny parts of it lower f."""
    problem = PROBLEMS["jennrich_sampson"]
    result = solve(gauss_newton(problem.residuals), np.array(problem.start))
    assert result.ending is Ending.NO_DESCENT and not result.success and result.gradient_norm > 1.0


def test_a_jacobian_that_is_not_finite_is_an_ending():
    for solver in (gauss_newton, levenberg_marquardt):
        result = solve(solver(lambda x: np.sqrt(x)), np.array([0.0, 1.0]))
        assert result.ending is Ending.NOT_FINITE


def test_residuals_that_vanish_at_the_start_are_a_solution():
    result = solve(levenberg_marquardt(lambda x: x - 1.0), np.ones(3))
    assert result.ending is Ending.CONVERGED and result.steps == 0


def test_any_search_goes_with_the_descent():
    result = solve(compose(linearized(linear), fixed(0.5), Tolerances(gradient=1e-6)), np.zeros(4), max_steps=60)
    assert result.ending is Ending.CONVERGED
    np.testing.assert_allclose(result.params, np.linalg.lstsq(A, B)[0], atol=1e-5)
