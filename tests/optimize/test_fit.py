"""Least squares and curve fits on trees: SciPy's answers, with exact Jacobians, covariances and endings in words."""

from collections import Counter

import numpy as np
import pytest
import scipy.optimize

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.optimize import Ending, curve_fit, least_squares
from dualgrad.optimize.fit import _LOSSES, covariance_of

X = np.linspace(0.0, 4.0, 25)
NOISE = np.random.default_rng(5).normal(size=25)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.05 * NOISE
START = {"amplitude": 1.0, "rate": np.array(1.0), "floor": np.float32(0.0), "name": "decay"}


def decay(x, p):
    return p["amplitude"] * np.exp(-p["rate"] * x) + p["floor"]


def scipys(**given):
    model = lambda x, a, b, c: a * np.exp(-b * x) + c
    return scipy.optimize.curve_fit(model, X, Y, (1.0, 1.0, 0.0), ftol=1e-14, xtol=1e-14, **given)


@pytest.mark.parametrize("method", [None, "lm", "trf", "dogbox"])
def test_a_fit_is_scipys_with_its_covariance(method):
    fit = curve_fit(decay, X, Y, START, method=method)
    parameters, covariance = scipys()
    assert fit.success and fit.params["name"] == "decay" and fit.params["floor"].dtype == np.float32
    np.testing.assert_allclose(np.array([fit.params[k] for k in ("amplitude", "rate")]), parameters[:2], rtol=1e-7)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-6)
    deviations = [fit.standard_errors[k] for k in ("amplitude", "rate", "floor")]
    np.testing.assert_allclose(deviations, np.sqrt(np.diag(covariance)), rtol=1e-6)
    assert fit.standard_errors["name"] is None and fit.standard_errors["rate"].shape == ()


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("sigma", [0.1, 0.05 + 0.1 * X, np.diag((0.05 + 0.1 * X) ** 2) + 0.001], ids=["number", "each", "matrix"])
def test_sigma_weighs_as_in_scipy(sigma, absolute):
    fit = curve_fit(decay, X, Y, START, sigma=sigma, absolute_sigma=absolute)
    parameters, covariance = scipys(sigma=sigma if np.ndim(sigma) else np.full(25, sigma), absolute_sigma=absolute)
    np.testing.assert_allclose(fit.params["rate"], parameters[1], rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-5)


def test_the_covariance_of_a_line_is_the_textbooks():
    x, y = np.arange(5.0), np.array([1.1, 2.9, 5.2, 6.8, 9.1])
    fit = curve_fit(lambda x, p: p[0] + p[1] * x, x, y, np.zeros(2))
    design = np.stack([np.ones(5), x], axis=1)
    coefficients, (rss,), *_ = np.linalg.lstsq(design, y)
    np.testing.assert_allclose(fit.params, coefficients, rtol=1e-12)
    np.testing.assert_allclose(fit.covariance, rss / 3 * np.linalg.inv(design.T @ design), rtol=1e-12)


def test_standard_errors_are_the_spread_of_repeated_fits():
    rng = np.random.default_rng(0)
    truth = {"amplitude": 2.5, "rate": 1.3, "floor": 0.5}
    fits = [curve_fit(decay, X, decay(X, truth) + 0.02 * rng.normal(size=25), truth) for _ in range(100)]
    told = np.mean([f.standard_errors["rate"] for f in fits])
    assert np.std([f.params["rate"] for f in fits]) == pytest.approx(told, rel=0.25)


def test_a_tuple_of_parameters_is_spread_as_scipy_does_and_no_other_tree_is():
    spread = curve_fit(lambda x, a, b: a + b * x, X, Y, (0.0, 1.0))
    whole = curve_fit(lambda x, p: p[0] + p[1] * x, X, Y, [0.0, 1.0])
    np.testing.assert_allclose(spread.params, whole.params, rtol=1e-12)
    assert type(spread.params) is tuple and type(whole.params) is list
    with pytest.raises(errors.ArgumentError, match=r"cannot be called with x and 1 argument: .*'b'.*as a tuple \(a, b, c\)"):
        curve_fit(lambda x, a, b: a + b * x, X, Y, [0.0, 1.0])


def test_x_is_whatever_the_model_takes_and_y_may_have_any_shape():
    x = {"rows": np.arange(3.0)[:, None], "columns": np.arange(4.0)}
    y = 2 * x["rows"] - 3 * x["columns"]
    fit = curve_fit(lambda x, p: p["r"] * x["rows"] + p["c"] * x["columns"], x, y, {"r": 0.0, "c": 0.0})
    assert fit.params == {"r": pytest.approx(2), "c": pytest.approx(-3)} and fit.value < 1e-20


def test_residuals_may_be_a_tree_and_the_result_is_in_the_leaves_dtypes():
    result = least_squares(lambda p: {"a": p["u"] - 1, "b": [p["v"] * p["u"] - 2]}, {"u": np.full(3, 3, np.float32), "v": 1.0})
    np.testing.assert_allclose(result.params["u"], np.ones(3), atol=1e-6)
    assert result.params["u"].dtype == np.float32 and result.params["v"] == pytest.approx(2) and result.evaluations < 30


def test_residuals_are_evaluated_once_at_each_point():
    calls = Counter()

    def residuals(x):
        inner = x
        while isinstance(inner, Value):
            inner = inner.value
        calls[np.array(inner).tobytes()] += 1
        return np.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])

    for method in ("lm", "trf", "dogbox"):
        calls.clear()
        result = least_squares(residuals, np.array([-1.2, 1.0]), method=method)
        assert set(calls.values()) == {1} and result.evaluations == calls.total()


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_robust_losses_are_scipys_and_do_not_follow_an_outlier(loss):
    y = Y.copy()
    y[7] += 5
    residuals = lambda p: decay(X, p) - y
    result = least_squares(residuals, {"amplitude": 2.0, "rate": 1.0, "floor": 0.0}, loss=loss, f_scale=0.1)
    found = scipy.optimize.least_squares(
        lambda v: v[0] * np.exp(-v[1] * X) + v[2] - y, [2.0, 1.0, 0.0], loss=loss, f_scale=0.1, ftol=1e-14, xtol=1e-14
    )
    assert result.value == pytest.approx(found.cost, rel=1e-9) and result.value == pytest.approx(result.history[-1].value)
    assert result.params["rate"] == pytest.approx(1.3, abs=0.15) and result.gradient_norm < 1e-4
    assert result.covariance is None and result.success


def test_the_losses_are_scipys_at_large_and_small_residuals():
    for name in _LOSSES:
        for r in (0.01, 0.5, 40.0):
            cost = scipy.optimize.least_squares(lambda x, r=r: r + 0 * x, [1.0], loss=name, f_scale=2.0).cost
            assert cost == pytest.approx(2.0**2 * _LOSSES[name](np.array((r / 2) ** 2)) / 2, rel=1e-12)


def test_fewer_residuals_than_parameters_are_left_to_trf():
    result = least_squares(lambda x: x[:1] + x[1:2] - 3, np.ones(3))
    assert "trf:" in result.message and result.value < 1e-20 and result.covariance is None
    with pytest.raises(errors.ArgumentError, match="lm cannot do fewer residuals than parameters"):
        least_squares(lambda x: x[:1], np.ones(3), method="lm")


def test_parameters_that_the_data_do_not_determine_have_infinite_errors_and_the_message_says_so():
    fit = curve_fit(lambda x, p: p["a"] * p["b"] * np.exp(-x), X, Y, {"a": 1.0, "b": 2.0})
    assert np.all(np.isinf(fit.covariance)) and np.isinf(fit.standard_errors["a"])
    assert "The covariance is infinite: the residuals do not determine all parameters." in fit.message
    unused = curve_fit(lambda x, p: p["a"] + 0 * x, X, Y, {"a": 1.0, "b": 2.0})
    assert unused.params["b"] == 2.0 and np.isinf(unused.standard_errors["b"])


def test_as_many_data_as_parameters_have_an_error_only_with_absolute_sigma():
    line = lambda x, p: p[0] + p[1] * x
    x, y = np.array([0.0, 1.0]), np.array([1.0, 3.0])
    assert np.all(np.isinf(curve_fit(line, x, y, np.zeros(2)).covariance))
    exact = curve_fit(line, x, y, np.zeros(2), sigma=0.5, absolute_sigma=True)
    np.testing.assert_allclose(exact.covariance, 0.25 * np.array([[1, -1], [-1, 2]]), rtol=1e-12)


def test_the_covariance_does_not_lose_digits_to_units():
    jacobian = np.random.default_rng(1).normal(size=(9, 3))
    units = np.array([1e-8, 1.0, 1e9])
    r = np.ones(9)
    np.testing.assert_allclose(
        covariance_of(r, jacobian * units, True) * np.outer(units, units), covariance_of(r, jacobian, True), rtol=1e-12
    )


# ---- progress and endings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_every_method_tells_of_its_steps_and_can_be_stopped(method):
    told = []
    result = least_squares(lambda x: x**3 - 8, np.array([5.0, 9.0]), method=method, callback=lambda p, x: told.append((p, x)))
    assert tuple(p for p, _ in told) == result.history and result.steps == len(told) - 1 > 2
    assert result.history[0].value == pytest.approx((117**2 + 721**2) / 2)
    assert result.history[0].gradient_norm == pytest.approx(np.hypot(75 * 117, 243 * 721))

    def stop(progress, params):
        if progress.step == 2:
            raise StopIteration

    stopped = least_squares(lambda x: x**3 - 8, np.array([5.0, 9.0]), method=method, callback=stop)
    assert stopped.ending is Ending.STOPPED and stopped.steps == 2 and stopped.value == min(p.value for p in stopped.history)


def test_progress_shows_a_bar(capsys):
    pytest.importorskip("tqdm")
    curve_fit(decay, X, Y, START, progress=True)
    assert "curve_fit, lm" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_residuals_that_are_not_finite_at_the_start_end_at_once(method):
    result = least_squares(lambda x: x * np.array([1.0, np.nan]), np.ones(2), method=method)
    assert result.ending is Ending.NOT_FINITE and "At the start 1 of 2 residuals are not finite" in result.message
    assert np.array_equal(result.params, [1, 1]) and result.covariance is None


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_residuals_that_are_not_finite_on_the_way_are_walked_around(method):
    def residuals(x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(x)  # from 30 the first full step is beyond 0

    result = least_squares(residuals, np.array([30.0, 9.0]), method=method)
    assert result.success, result.message
    np.testing.assert_allclose(result.params, [1, 1], rtol=1e-7)


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_residuals_finite_at_their_start_alone_end_in_not_finite(method):
    result = least_squares(lambda x: x / (1.0 if x[0] == 3.0 else np.nan), np.array([3.0, 30.0]), method=method)
    assert result.ending is Ending.NOT_FINITE and "none has lowered the cost since" in result.message
    assert np.array_equal(result.params, [3, 30])


def test_a_jacobian_that_is_not_finite_ends_the_run():
    with np.errstate(divide="ignore"):
        result = least_squares(lambda x: np.sqrt(x), np.array([0.0, 4.0]))
    assert result.ending is Ending.NOT_FINITE and "Jacobian" in result.message and np.array_equal(result.params, [0, 4])


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_the_limit_of_evaluations_is_an_ending(method):
    rosenbrock = lambda x: np.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    result = least_squares(rosenbrock, np.array([-1.2, 1.0]), method=method, max_evaluations=3)
    assert result.ending is Ending.STEP_LIMIT and result.value <= 24.2 / 2 + 1e-12


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"y": Y * np.nan}, errors.ArgumentError, "y must hold finite numbers"),
        ({"y": np.zeros(0)}, errors.ArgumentError, "y must hold finite numbers, at least one"),
        ({"y": Y[:5]}, errors.StructureError, r"the model returned float64\[25\], but y has shape \(5,\)"),
        ({"sigma": np.ones(3)}, errors.ArgumentError, r"sigma must be positive.* but it is float64\[3\]"),
        ({"sigma": -np.ones(25)}, errors.ArgumentError, "sigma must be positive"),
        ({"sigma": -np.eye(25)}, errors.ArgumentError, "must be positive definite"),
        ({"method": "newton"}, errors.ArgumentError, "curve_fit: there is no method 'newton'.*'lm', 'trf' and 'dogbox'"),
        ({"params": {"amplitude": 1}}, errors.InputTypeError, "curve_fit: params must be floating"),
    ],
)
def test_what_cannot_be_fitted_raises(given, kind, message):
    with np.errstate(invalid="ignore"), pytest.raises(kind, match=message):
        curve_fit(**{"model": decay, "x": X, "y": Y, "params": START, **given})


def test_an_unknown_loss_and_residuals_that_are_not_floating_raise():
    with pytest.raises(errors.ArgumentError, match=r"no loss 'l1'.*linear, soft_l1, huber, cauchy, arctan"):
        least_squares(lambda x: x, np.ones(2), loss="l1")
    with pytest.raises(errors.ArgumentError, match="lm cannot do the loss 'huber'"):
        least_squares(lambda x: x, np.ones(2), loss="huber", method="lm")
    with pytest.raises(errors.OutputError, match=r"least_squares: f must return real floating .* at output\['n'\] it returned 3"):

        def f(x):
            return {"r": x, "n": 3}

        least_squares(f, np.ones(2))


def test_ravel_orders_the_covariance():
    params = {"b": np.zeros(2), "a": 0.0}
    fit = curve_fit(lambda x, p: p["b"][0] + p["b"][1] * x + p["a"] * x**2, X, Y, params)
    vector, _ = tree.ravel(fit.standard_errors)
    np.testing.assert_allclose(vector, np.sqrt(np.diag(fit.covariance)), rtol=1e-15)
