"""Roots on trees, and what is said where there is none."""

import numpy as np
import pytest
from problems.more_garbow_hillstrom import PROBLEMS

from dualgrad import errors
from dualgrad.optimize import Ending, root

SQUARE = [p for p in PROBLEMS.values() if p.n == p.m and p.minima[0].value == 0 and p.n > 1]
METHODS = ["hybr", "lm"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("problem", SQUARE, ids=lambda p: p.name)
def test_the_systems_of_more_garbow_and_hillstrom_are_solved(problem, method):
    with np.errstate(all="ignore"):
        result = root(problem.residuals, np.array(problem.start), method=method)
    if problem.name in ("freudenstein_roth", "trigonometric_10"):  # both have the lesser minimum of |F| that they are known for
        assert result.ending in (Ending.SINGULAR, Ending.FAILED) and result.value > 1e-6
    else:
        assert result.ending is Ending.ROOT, result.message
        assert result.value < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_trees_go_in_and_out(method):
    def equations(p, total):
        return {"sum": p["x"].sum() + p["y"] - total, "parts": [p["x"][0] * p["y"] - 2, p["x"][1] - p["x"][0]]}

    result = root(equations, {"x": np.array([0.5, 1.5], np.float32), "y": 3.0, "unit": "m"}, args=(4.0,), method=method)
    assert result.ending is Ending.ROOT and result.params["unit"] == "m" and result.params["x"].dtype == np.float32
    x, y = result.params["x"], result.params["y"]
    np.testing.assert_allclose([x.sum() + y, x[0] * y, x[1] - x[0]], [4, 2, 0], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("f, start, least", [(lambda x: x**2 + 1, 3.0, 1.0), (lambda x: x**3 - 2 * x + 2, 0.0, 0.9113)])
def test_a_stationary_point_of_the_norm_is_no_root(f, start, least, method):
    result = root(f, np.array([start]), method=method)
    assert result.ending in (Ending.SINGULAR, Ending.FAILED) and not result.success
    assert np.sqrt(2 * result.value) == pytest.approx(least, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_singular_system_without_a_solution_ends_in_singular(method):
    result = root(lambda x: np.array([[1.0, 1.0], [2.0, 2.0]]) @ x - np.array([1.0, 3.0]), np.array([3.0, 3.0]), method=method)
    assert result.ending is Ending.SINGULAR and "The Jacobian is singular." in result.message
    assert np.sqrt(2 * result.value) == pytest.approx(np.sqrt(0.2), rel=1e-6)  # the least norm there is


@pytest.mark.parametrize("method", METHODS)
def test_a_singular_system_with_solutions_has_one_found(method):
    result = root(lambda x: np.array([[1.0, 1.0], [2.0, 2.0]]) @ x - np.array([1.0, 2.0]), np.array([3.0, 3.0]), method=method)
    assert result.ending is Ending.ROOT and result.value < 1e-20


@pytest.mark.parametrize("method", METHODS)
def test_a_double_root_is_a_root_although_its_jacobian_is_singular(method):
    result = root(lambda x: (x - 2) ** 2, np.array([3.0]), method=method)
    assert result.ending is Ending.ROOT and result.params[0] == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_system_that_is_not_finite_says_so(method):
    nowhere = root(lambda x: x * np.nan, np.ones(2), method=method)
    assert nowhere.ending is Ending.NOT_FINITE and "At the start 2 of 2" in nowhere.message
    assert np.array_equal(nowhere.params, [1, 1])
    alone = root(lambda x: x / (1.0 if x[0] == 3.0 else np.nan), np.array([3.0]), method=method)
    assert alone.ending is Ending.NOT_FINITE and alone.params[0] == 3

    def logarithm(x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(x)

    back = root(logarithm, np.array([30.0]), method=method)
    assert back.ending is Ending.ROOT and back.params[0] == pytest.approx(1)


@pytest.mark.parametrize("method, options", [("hybr", {"maxfev": 3}), ("lm", {"maxiter": 3})])
def test_the_limit_of_evaluations_is_an_ending(method, options):
    rosenbrock = PROBLEMS["rosenbrock"]
    result = root(rosenbrock.residuals, np.array(rosenbrock.start), method=method, options=options)
    assert result.ending is Ending.STEP_LIMIT and result.value <= 24.2 / 2 + 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_steps_are_told_and_can_stop_the_run(method):
    told = []
    result = root(lambda x: x**3 - 8, np.array([5.0, 9.0]), method=method, callback=lambda p, x: told.append(p))
    assert tuple(told) == result.history and told[0].value == pytest.approx((117**2 + 721**2) / 2)
    stopped = root(lambda x: x**3 - 8, np.array([5.0, 9.0]), method=method, callback=lambda p, x: True)
    assert stopped.ending is Ending.STOPPED and stopped.scipy is None and np.array_equal(stopped.params, [5, 9])


def test_an_unknown_method_and_a_system_that_is_not_square_raise():
    with pytest.raises(errors.ArgumentError, match=r"root: there is no method 'newton'.* 'hybr' and 'lm'"):
        root(lambda x: x, np.ones(2), method="newton")
    with pytest.raises(errors.StructureError, match=r"F returns 1 numbers for 2 unknowns .* or use least_squares"):
        root(lambda x: x[:1], np.ones(2))
    with pytest.raises(errors.OutputError, match="must return real floating arrays"):
        root(lambda x: 3, np.ones(2))
