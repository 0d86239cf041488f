"""SciPy's minimizers on trees: each method gets its derivatives, f is evaluated once a point, every run ends in words."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize

from dualgrad import errors, grad, optimize, tree
from dualgrad.core.primitive import Value
from dualgrad.optimize import Ending, minimize, to_scipy
from dualgrad.optimize.minimize import METHODS

WITH_DERIVATIVES = [name for name, row in METHODS.items() if row.order]
SECOND_ORDER = [name for name, row in METHODS.items() if row.order == 2]


class Params(NamedTuple):
    place: dict
    name: str
    steps: int


def convex(p):
    """Least at w = (1, 2), b = -1; convex, so that dogleg takes it."""
    w, b = p.place["w"], p.place["b"]
    return np.sum((w - np.array([1.0, 2.0])) ** 2) + (b + 1) ** 2 + (w[0] + b) ** 4


def rosenbrock(p):
    x, y = p["x"], p["y"]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


START = {"x": -1.2, "y": 1.0}


def plain(x):
    """The numbers in a traced value."""
    while isinstance(x, Value):
        x = x.value
    return x


class Counted:
    """f, with the points at which it was called."""

    def __init__(self, f):
        self.f, self.calls = f, Counter()

    def __call__(self, p):
        self.calls[np.asarray([plain(leaf) for leaf in tree.leaves(p)]).tobytes()] += 1
        return self.f(p)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_minimizes_over_a_tree_and_leaves_the_rest_of_it_alone(method):
    start = Params({"w": np.array([0.5, 1.0], np.float32), "b": 0.0}, "fit", 7)
    result = minimize(convex, start, method=method)
    assert result.success, result.message
    assert type(result.params) is Params and result.params.name == "fit" and result.params.steps == 7
    w, b = result.params.place["w"], result.params.place["b"]
    assert w.dtype == np.float32 and isinstance(b, np.float64)
    np.testing.assert_allclose([*w, b], [1, 2, -1], atol=2e-3)
    assert np.array_equal(start.place["w"], [0.5, 1.0])  # the start is not written to


@pytest.mark.parametrize("method", WITH_DERIVATIVES)
def test_f_is_called_once_at_each_point(method):
    f = Counted(rosenbrock)
    result = minimize(f, START, method=method)
    assert result.evaluations == f.calls.total()
    assert set(f.calls.values()) == {1}


def test_f_is_called_once_at_each_point_with_bounds_and_constraints():
    for method in ("SLSQP", "trust-constr"):
        f, c = Counted(rosenbrock), Counted(lambda p: p["x"] + p["y"] - 1)
        minimize(f, START, method=method, bounds=(-2, 2), constraints={"type": "ineq", "fun": c})
        assert set(f.calls.values()) == {1}
        # one evaluation for the value and the Jacobian; trust-constr needs one more for the Hessian of v . c
        assert max(c.calls.values()) <= (1 if method == "SLSQP" else 3)


def test_a_product_with_the_hessian_does_not_evaluate_f_again():
    f = Counted(rosenbrock)
    problem = to_scipy(f, START)
    problem.hessp(problem.x0, np.array([1.0, 0.0]))
    before = f.calls.total()
    for direction in np.eye(2):
        problem.hessp(problem.x0, direction)
    problem.hess(problem.x0)
    problem.fun_and_jac(problem.x0)
    assert f.calls.total() == before


def test_to_scipy_gives_the_derivatives_of_the_raveled_function():
    p = to_scipy(rosenbrock, START)
    x = np.array([0.3, -0.7])
    assert p.x0.dtype == np.float64 and p.x0.flags.c_contiguous and np.array_equal(p.x0, [-1.2, 1.0])
    assert p.fun(x) == pytest.approx(scipy.optimize.rosen(x), rel=1e-15)
    np.testing.assert_allclose(p.jac(x), scipy.optimize.rosen_der(x), rtol=1e-13)
    np.testing.assert_allclose(p.hess(x), scipy.optimize.rosen_hess(x), rtol=1e-13)
    np.testing.assert_allclose(p.hessp(x, [2.0, 1.0]), scipy.optimize.rosen_hess_prod(x, [2.0, 1.0]), rtol=1e-13)
    assert np.array_equal(p.hess(x), p.hess(x).T)
    found = scipy.optimize.minimize(p.fun, p.x0, jac=p.jac, hess=p.hess, method="trust-exact")
    assert p.unravel(found.x) == {"x": pytest.approx(1), "y": pytest.approx(1)}
    both = scipy.optimize.minimize(p.fun_and_jac, p.x0, jac=True, method="BFGS")
    assert both.success


def test_vectors_are_float64_whatever_the_leaves_and_the_result_has_their_dtypes():
    seen = []

    def f(p):
        seen.append((p["a"].dtype, p["b"].dtype))
        return np.sum((p["a"] - 0.1) ** 2) + (p["b"] - 0.2) ** 2

    result = minimize(f, {"a": np.ones(2, np.float16), "b": np.float32(1)}, tol=1e-9)
    assert set(seen) == {(np.dtype(np.float64), np.dtype(np.float64))}
    assert result.params["a"].dtype == np.float16 and result.params["b"].dtype == np.float32
    assert result.params["b"] == np.float32(0.2)


def test_the_default_method_is_bfgs_then_what_takes_bounds_then_what_takes_constraints():
    f = lambda x: np.sum(x**2)
    ask = lambda **given: minimize(f, np.ones(2), **given).message
    assert "BFGS:" in ask() and "L-BFGS-B:" not in ask()
    assert "L-BFGS-B:" in ask(bounds=(-1, 2))
    assert "L-BFGS-B:" in minimize(f, np.ones(1001)).message
    assert "SLSQP:" in ask(constraints={"type": "ineq", "fun": lambda x: x[0]})


def test_args_and_aux_are_handed_through():
    f = lambda p, a, b: (np.sum((p - a) ** 2) + b, {"a": a, "p": p})
    result = minimize(f, np.zeros(2), args=(3.0, 5.0), has_aux=True)
    assert result.value == pytest.approx(5) and result.aux["a"] == 3.0
    assert np.array_equal(result.aux["p"], result.params)
    assert minimize(lambda p, a: (p - a) ** 2, 0.0, args=2.0).params == pytest.approx(2)


@pytest.mark.parametrize("method", ["bfgs", "SLSQP", "TRUST-EXACT"])
def test_methods_are_known_in_any_case(method):
    assert minimize(lambda x: np.sum(x**2), np.ones(2), method=method).success


def test_f_may_be_constant_or_linear():
    for method in WITH_DERIVATIVES:
        result = minimize(lambda x: 3.0, np.ones(2), method=method)
        assert result.value == 3 and np.array_equal(result.params, [1, 1]), method
    bounded = minimize(lambda x: x[0] - x[1], np.zeros(2), bounds=(-1, 1))
    assert np.array_equal(bounded.params, [-1, 1]) and bounded.gradient_norm == 0


# ---- progress -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_history_and_callback_tell_of_every_step(method):
    told = []
    start = Params({"w": np.ones(2), "b": 0.0}, "", 1)
    result = minimize(convex, start, method=method, callback=lambda *given: told.append(given))
    assert [progress for progress, _ in told] == list(result.history)
    assert [p.step for p in result.history] == list(range(len(result.history))) and result.steps == len(result.history) - 1
    first, last = result.history[0], result.history[-1]
    assert first.value == pytest.approx(3) and first.evaluations == 1 and np.isnan(first.radius)
    assert last.value < first.value and last.evaluations <= result.evaluations and last.radius >= 0
    assert all(isinstance(params, Params) for _, params in told)
    if METHODS[method].order:
        assert first.gradient_norm == pytest.approx(np.sqrt(4**2 + 2**2 + 6**2)) and last.gradient_norm < 0.1


def test_the_trust_radius_is_told_where_scipy_tells_it():
    result = minimize(rosenbrock, START, method="trust-constr")
    assert result.history[-1].radius == result.scipy.tr_radius


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["True", "StopIteration"])
def test_the_callback_stops_every_method_and_the_best_point_is_kept(method, how):
    def callback(progress, params):
        if progress.step == 2 and how == "StopIteration":
            raise StopIteration
        return progress.step == 2

    result = minimize(lambda x: np.sum((x - 3) ** 4), np.array([0.0, 1.0]), method=method, callback=callback)
    assert result.ending is Ending.STOPPED and not result.success and result.steps == 2
    assert result.value <= min(p.value for p in result.history)


def test_the_callback_may_stop_at_the_start():
    result = minimize(lambda x: np.sum(x**2), np.ones(2), callback=lambda progress, params: True)
    assert result.ending is Ending.STOPPED and result.steps == 0 and np.array_equal(result.params, [1, 1])


def test_what_a_callback_or_f_raises_comes_out():
    def fail(*given):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        minimize(lambda x: np.sum(x**2), np.ones(2), callback=fail)
    with pytest.raises(ZeroDivisionError, match="mine"):
        minimize(fail, np.ones(2))


def test_progress_shows_a_bar_with_value_gradient_and_radius(capsys):
    pytest.importorskip("tqdm")
    minimize(rosenbrock, START, method="trust-constr", progress=True)
    shown = capsys.readouterr().err
    assert "minimize, trust-constr" in shown and "value=" in shown and "gradient=" in shown and "radius=" in shown


# ---- bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_an_objective_that_is_not_finite_at_the_start_ends_at_once(method):
    result = minimize(lambda p: np.sum(p["x"]) * np.nan, {"x": np.ones(2)}, method=method)
    assert result.ending is Ending.NOT_FINITE and result.evaluations == 1 and np.array_equal(result.params["x"], [1, 1])
    assert "The objective or its derivative is not finite." in result.message
    assert "At the start the objective is nan" in result.message


def test_a_gradient_that_is_not_finite_at_the_start_is_named_with_its_path():
    with np.errstate(divide="ignore"):
        result = minimize(lambda p: p["a"] ** 2 + np.sum(np.sqrt(p["b"])), {"a": 1.0, "b": np.array([4.0, 0.0])})
    assert result.ending is Ending.NOT_FINITE and "gradient is inf at params['b'][1]" in result.message


def beyond_zero(x):
    """sum x - log x, least at 1; from x = 100 a first step leads beyond 0, where it is nan."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sum(x - np.log(x))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_back_from_beyond_the_domain(method):
    result = minimize(beyond_zero, np.array([100.0, 30.0]), method=method)
    assert result.success, result.message
    assert result.value == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("method", WITH_DERIVATIVES)
def test_an_objective_finite_at_its_start_alone_ends_in_not_finite(method):
    f = lambda x: np.sum(x**2) / (1.0 if x[0] == 3.0 else np.nan)
    result = minimize(f, np.array([3.0, 30.0]), method=method)
    assert result.ending is Ending.NOT_FINITE and "none has lowered it since" in result.message
    assert result.value == pytest.approx(909)
    np.testing.assert_allclose(result.params, [3, 30])


def test_a_hessian_that_is_not_finite_ends_the_run():
    f = lambda x: np.sum(np.abs(x) ** 1.5) + x[1]  # at 0 the gradient is 0 and the second derivative infinite
    with np.errstate(divide="ignore", invalid="ignore"):
        result = minimize(f, np.array([0.0, 1.0]), method="trust-exact")
    assert result.ending is Ending.NOT_FINITE and "Hessian" in result.message


def test_dogleg_at_an_indefinite_hessian_says_so_and_what_to_use():
    result = minimize(lambda x: x[0] ** 4 + x[0] * x[1] + (1 + x[1]) ** 2, np.array([0.0, 0.0]), method="dogleg")
    assert result.ending is Ending.INDEFINITE and "trust-exact" in result.message
    assert result.value <= 1


@pytest.mark.parametrize("method", SECOND_ORDER)
def test_a_saddle_is_not_taken_for_a_minimum(method):
    result = minimize(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2), method=method)
    assert result.ending is Ending.INDEFINITE and not result.success
    assert "The least eigenvalue of the Hessian is -2" in result.message


@pytest.mark.parametrize("method", [m for m in METHODS if m != "TNC"])
def test_the_step_limit_is_an_ending(method):
    result = minimize(rosenbrock, START, method=method, options={"maxiter": 2})
    assert result.ending is Ending.STEP_LIMIT and result.steps <= 2
    assert result.value <= rosenbrock(START)


def test_the_limit_of_evaluations_is_the_step_limit():
    assert minimize(rosenbrock, START, method="TNC", options={"maxfun": 10}).ending is Ending.STEP_LIMIT


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(errors.ArgumentError, match=r"no method 'adam' \(at .*test_minimize.py:\d+\). The methods are BFGS, CG"):
        minimize(lambda x: x, 1.0, method="adam")
    with pytest.raises(errors.ArgumentError, match="no method 3"):
        minimize(lambda x: x, 1.0, method=3)


def test_params_that_cannot_be_moved_raise():
    f = lambda p: 1.0
    with pytest.raises(errors.InputTypeError, match=r"params\['z'\] is complex128\[2\].*two leaves"):
        minimize(f, {"z": np.ones(2, complex)})
    with pytest.raises(errors.InputTypeError, match="minimize: params must be floating"):
        minimize(f, 3)
    with pytest.raises(errors.ArgumentError, match="only empty arrays"):
        minimize(f, {"x": np.zeros(0)})
    with pytest.raises(errors.ArgumentError, match="first argument must be a function"):
        minimize(3.0, 1.0)
    with pytest.raises(errors.ArgumentError, match=r"params is traced.*dualgrad.implicit"):
        grad(lambda x: minimize(lambda y: y**2, x).value)(1.0)


@pytest.mark.parametrize("method", ["BFGS", "trust-exact", "Nelder-Mead"])
def test_f_must_return_one_real_number(method):
    with pytest.raises(errors.OutputError, match=r"minimize: f must return a scalar, but it returned shape \(2,\)"):
        minimize(named(lambda x: x), np.ones(2), method=method)
    with pytest.raises(errors.OutputError, match="with has_aux=True f must return a pair"):
        minimize(named(lambda x: np.sum(x)), np.ones(2), method=method, has_aux=True)


def named(f):
    f.__name__ = "f"
    return f


def test_the_public_names_are_functions_and_not_the_modules_they_live_in():
    assert all(callable(getattr(optimize, name)) for name in ("minimize", "to_scipy", "root", "least_squares", "curve_fit"))
