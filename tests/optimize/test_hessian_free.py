"""Hessian-free: conjugate gradients against dense solves, their stopping rule, the path and the damping; and what it minimizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg
from scipy.optimize import minimize

from dualgrad import grad, hessian, tree
from dualgrad.models import cross_entropy, mlp, mse
from dualgrad.operators import GaussNewtonOperator
from dualgrad.optimize import Ending, hessian_free, solve
from dualgrad.optimize.descent import Direction, Iterate, Local, Objective, composed, conjugate_gradients, subsample, truncated
from dualgrad.optimize.hessian_free import Memory, _progressing, _spaced, martens, truncated_gauss_newton

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(30, 4)), RNG.integers(0, 3, size=30)
INIT, APPLY = mlp([4, 5, 3], np.tanh)
PARAMS = INIT(np.random.default_rng(2))


def gauss_newton_matrix():
    return GaussNewtonOperator(APPLY, lambda out: cross_entropy(out, Y), PARAMS, X).to_dense()


# ---- conjugate gradients ---------------------------------------------------------------------------------------------


def test_conjugate_gradients_end_at_the_dense_solution():
    matrix = gauss_newton_matrix() + 0.01 * np.eye(43)
    g = RNG.normal(size=43)
    for start in (None, RNG.normal(size=43)):
        *_, last = conjugate_gradients(lambda v: matrix @ v, g, start)
        expected = -linalg.solve(matrix, g, assume_a="pos")
        np.testing.assert_allclose(last.step, expected, rtol=1e-8, atol=1e-9 * np.max(np.abs(expected)))
        np.testing.assert_allclose(last.model, g @ expected / 2, rtol=1e-10)


def test_every_iterate_tells_its_model_and_its_residual():
    matrix = gauss_newton_matrix() + 0.1 * np.eye(43)
    g = RNG.normal(size=43)
    iterates = list(conjugate_gradients(lambda v: matrix @ v, g))[:12]
    for i in iterates:
        np.testing.assert_allclose(i.model, g @ i.step + i.step @ matrix @ i.step / 2, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(i.residual, np.linalg.norm(matrix @ i.step + g), rtol=1e-7)
    assert np.all(np.diff([i.model for i in iterates]) < 0)


def test_negative_curvature_ends_conjugate_gradients_where_they_are():
    matrix, g = np.diag([1.0, -2.0, 3.0]), np.array([1.0, 0.5, 0.25])
    *_, before, last = conjugate_gradients(lambda v: matrix @ v, g)
    assert last.curvature <= 0 < before.curvature
    np.testing.assert_array_equal(last.step, before.step)
    first = truncated(lambda v: -v, g, 0.0, 0.1, 20)
    np.testing.assert_array_equal(first.step, -g)
    np.testing.assert_allclose(first.decrease, g @ g + g @ g / 2)


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_a_truncated_solve_is_as_accurate_as_asked(damping):
    matrix = gauss_newton_matrix() + 0.01 * np.eye(43)
    g = RNG.normal(size=43)
    for forcing in (0.5, 1e-3):
        found = truncated(lambda v: matrix @ v + damping * v, g, damping, forcing, 200)
        residual = (matrix + damping * np.eye(43)) @ found.step + g
        assert np.linalg.norm(residual) <= forcing * np.linalg.norm(g) * (1 + 1e-9)
        np.testing.assert_allclose(found.decrease, -(g @ found.step + found.step @ matrix @ found.step / 2), rtol=1e-9)
    assert np.linalg.norm(truncated(lambda v: matrix @ v, g, 0.0, 0.0, 3).step) > 0


def test_iterates_stop_for_want_of_progress():
    models = [-(1 - 0.5**k) for k in range(60)]
    iterates = (Iterate(np.zeros(1), m, 1.0, 1.0) for m in models)
    count = len(list(_progressing(iterates, 5e-4, 250)))
    k = next(k for k in range(11, 60) if (models[k] - models[k - 10]) / models[k] < 10 * 5e-4)
    assert count == k + 1
    assert len(list(_progressing((Iterate(np.zeros(1), m, 1.0, 1.0) for m in models), 5e-4, 5))) == 6


def test_iterates_are_kept_in_growing_distances():
    kept = _spaced(Iterate(np.array([k]), 0.0, 0.0, 1.0) for k in range(31))
    assert [int(i.step[0]) for i in kept] == [1, 2, 3, 4, 5, 7, 9, 11, 14, 18, 24, 30]


# ---- descent and search ----------------------------------------------------------------------------------------------


def test_the_direction_is_the_dense_solution_where_it_is_not_truncated():
    descent = truncated_gauss_newton(APPLY, cross_entropy, 1.0, 0.0, 400, 0)
    objective = Objective(descent.f, PARAMS, (X, Y))
    memory = descent.start(objective)
    local = descent.local(objective, memory)
    gradient = tree.ravel(grad(lambda p: cross_entropy(APPLY(p, X), Y))(PARAMS))[0]
    np.testing.assert_allclose(local.gradient, gradient, rtol=1e-12)
    direction = local.direction(0.1)
    expected = -np.linalg.solve(gauss_newton_matrix() + 0.1 * np.eye(43), gradient)
    np.testing.assert_allclose(direction.step, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(direction.memory.last, direction.step)
    again = descent.local(objective, Memory(expected / 0.95, 0, 1)).direction(0.1)  # it starts from 0.95 times the last step
    assert again.path[0].decrease > direction.path[0].decrease
    np.testing.assert_allclose(again.step, expected, rtol=1e-6, atol=1e-9)


def test_the_search_goes_back_over_the_path_while_the_objective_falls():
    objective = Objective(lambda x: np.sum((x - 0.3) ** 2), np.zeros(1), ())
    path = [Direction(np.array([s]), 0.05) for s in (0.1, 0.25, 0.5, 1.0)]
    local = Local(np.float64(0.09), np.array([-0.6]), lambda damping: path[-1]._replace(path=tuple(path[:-1])))
    move = martens(1.0).advance(objective, local, 1.0)
    np.testing.assert_array_equal(move.step, [0.25])


@pytest.mark.parametrize(("decrease", "factor"), [(0.6 * 0.3 - 0.09, 2 / 3), (10.0, 3 / 2)])
def test_the_damping_follows_the_reduction_ratio(decrease, factor):
    objective = Objective(lambda x: np.sum((x - 0.3) ** 2), np.zeros(1), ())
    direction = Direction(np.array([0.3]), decrease)
    move = martens().advance(objective, Local(np.float64(0.09), np.array([-0.6]), lambda damping: direction), 1.0)
    assert move.memory == pytest.approx(factor)


def test_a_subsample_is_rows_of_the_data_drawn_from_seed_and_step():
    data = ({"x": X, "y": Y}, 0.5, np.arange(3.0))
    part = subsample(data, 0.4, 1, 2)
    again, other = subsample(data, 0.4, 1, 2), subsample(data, 0.4, 1, 3)
    assert part[0]["x"].shape == (12, 4) and part[1] == 0.5 and part[2] is data[2]
    np.testing.assert_array_equal(part[0]["x"], again[0]["x"])
    assert not np.array_equal(part[0]["x"], other[0]["x"])
    rows = [np.flatnonzero(np.all(row == X, axis=1))[0] for row in part[0]["x"]]
    assert len(set(rows)) == 12
    np.testing.assert_array_equal(part[0]["y"], Y[rows])
    assert subsample(data, 1.0, 1, 2) is data


# ---- the method ------------------------------------------------------------------------------------------------------


def test_the_minimum_is_that_of_an_independent_optimizer():
    penalized = lambda out, y: cross_entropy(out["logits"], y) + 0.05 * out["size"]
    model = lambda params, x: {"logits": APPLY(params, x), "size": sum(np.sum(w * w) for w in tree.leaves(params))}
    result = solve(hessian_free(model, penalized, damping=0.1, tol=1e-6), PARAMS, X, Y, max_steps=200)
    assert result.ending is Ending.CONVERGED, result.message
    flat, unravel = tree.ravel(result.params)
    f = lambda v: penalized(model(unravel(v), X), Y)
    found = minimize(f, flat, jac=grad(f), tol=1e-10)
    np.testing.assert_allclose(result.value, found.fun, rtol=1e-9)
    assert np.linalg.eigvalsh(hessian(f)(flat))[0] > 0


def test_linear_least_squares_without_data_or_damping():
    model = lambda w: X @ w["w"]
    target = Y.astype(float)
    solver = hessian_free(model, lambda out: mse(out, target), damping=1e-12, progress=0.0)
    result = solve(solver, {"w": np.zeros(4)})
    np.testing.assert_allclose(result.params["w"], np.linalg.lstsq(X, target)[0], rtol=1e-7)


def test_the_data_convention_is_input_first_then_targets():
    f = composed(lambda p, x: p * x["a"] + x["b"], lambda out, y, weight: np.sum(weight * (out - y) ** 2))
    assert f(2.0, {"a": np.array([1.0]), "b": np.array([3.0])}, np.array([4.0]), 10.0) == 10.0
    assert composed(lambda p: p + 1.0, lambda out: out * 2)(1.0) == 4.0


def test_a_wall_in_the_way_is_an_ending():
    wall = hessian_free(lambda p: p, lambda out: np.sum(np.where(out > 0.5, 1e6, 0.0) - out))
    result = solve(wall, np.array([0.5]))
    assert result.ending is Ending.NO_DESCENT and result.params[0] == 0.5
    assert result.message.startswith(Ending.NO_DESCENT.value)
