"""Statistics against closed forms: ignored nan contribute exactly 0, quantiles follow the stable order, nothing cancels."""
import numpy as np
import pytest

from dualgrad import errors, grad, hessian, jacfwd, jacrev, vmap

A, inf, nan = np.array, np.inf, np.nan
BOTH = pytest.mark.parametrize("jacobian", [jacfwd, jacrev], ids=["forward", "reverse"])


@BOTH
@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (np.nansum, [nan, 2.0], [0, 1]),
        (np.nanprod, [nan, 2.0, 3.0], [0, 3, 2]),
        (np.nanmean, [nan, nan], [0, 0]),
        (np.nanstd, [nan, nan], [0, 0]),
        (np.nanstd, [nan, 1.0], [0, 0]),
        (np.nanvar, [nan, 1.0, 3.0], [0, -1, 1]),
        (lambda x: np.nanvar(x, ddof=2), [nan, 1.0, 3.0], [0, 0, 0]),
        (lambda x: np.nanmean(x**2), [nan, 1.0, 2.0], [0, 1, 2]),
        (lambda x: np.nanmean(np.sqrt(x)), [-1.0, 4.0], [0, 0.25]),
        (lambda x: np.nancumsum(np.sqrt(x))[1], [-1.0, 4.0], [0, 0.25]),
        (np.nanmedian, [nan, 1.0, 2.0], [0, 0.5, 0.5]),
        (np.nanmedian, [nan, nan], [0, 0]),
        (lambda x: np.nanquantile(x, 0.25), [nan, 1.0, 2.0], [0, 0.75, 0.25]),
        (lambda x: np.nanmax(np.sqrt(x)), [-1.0, 4.0], [0, 0.25]),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_ignored_nan_contributes_exactly_0(jacobian, f, x, wanted):
    np.testing.assert_allclose(jacobian(f)(A(x)), wanted, rtol=1e-14, atol=0)
    assert np.all(np.isfinite(jacfwd(jacobian(f))(A(x))))


@BOTH
@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (np.median, [3.0, 1.0, 2.0], [0, 0, 1]),
        (np.median, [1.0, 1.0, 1.0, 5.0], [0, 0.5, 0.5, 0]),
        (lambda x: np.median(np.sqrt(x)), [0.0, 1.0, 4.0], [0, 0.5, 0]),
        (lambda x: np.quantile(np.sqrt(x), 0.5), [0.0, 1.0, 4.0], [0, 0.5, 0]),
        (lambda x: np.quantile(x, 0.25), [3.0, 1.0, 2.0], [0, 0.5, 0.5]),
        (lambda x: np.quantile(x, 0.4, method="midpoint"), [3.0, 1.0, 2.0], [0, 0.5, 0.5]),
        (lambda x: np.quantile(x, 0.4, method="nearest"), [3.0, 1.0, 2.0], [0, 0, 1]),
        (lambda x: np.percentile(x, 100), [3.0, 1.0, 2.0], [1, 0, 0]),
        (lambda x: np.median(x), [inf, 1.0, 2.0], [0, 0, 1]),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_order_statistics(jacobian, f, x, wanted):
    np.testing.assert_allclose(jacobian(f)(A(x)), wanted, rtol=1e-14, atol=0)


def test_a_quantile_is_differentiable_in_its_probability():
    x = A([5.0, 1.0, 2.0, 4.0])
    assert grad(lambda q: np.quantile(x * np.ones_like(q), q))(0.4) == pytest.approx(3 * (4 - 2), rel=1e-14)  # i = 3 q
    np.testing.assert_allclose(vmap(grad(lambda q: np.percentile(x, q)))(A([10.0, 50.0])), [0.03, 0.06], rtol=1e-13)


def test_variance_does_not_cancel():
    np.testing.assert_allclose(grad(np.var)(A([1e8, 1e8 + 1, 1e8 + 2])), [-2 / 3, 0, 2 / 3], rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(hessian(np.var)(A([1e8, 1e8 + 1, 1e8 + 2])), 2 / 3 * (np.eye(3) - 1 / 3), rtol=1e-14)


@BOTH
def test_too_few_degrees_of_freedom_give_nan_and_no_exception(jacobian):
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(jacobian(lambda x: np.var(x, ddof=1))(A([2.0])))


def test_average_is_differentiable_in_values_and_weights():
    x, w = A([1.0, 2.0, 4.0]), A([1.0, 2.0, 1.0])
    by_x, by_w = grad(lambda x, w: np.average(x, weights=w), (0, 1))(x, w)
    np.testing.assert_allclose(by_x, w / 4, rtol=1e-15)
    np.testing.assert_allclose(by_w, (x - 2.25) / 4, rtol=1e-15)


@BOTH
def test_perfectly_correlated_samples(jacobian):
    np.testing.assert_allclose(jacobian(lambda x: np.corrcoef(x, 2 * x)[0, 1])(A([1.0, 2.0, 4.0])), np.zeros(3), atol=1e-15)


def test_arguments_that_do_not_fit_raise_as_numpy_does():
    x = np.ones((2, 3))
    cases = [
        (lambda x: np.average(x, weights=[1.0, 1.0]), TypeError, "Axis must be specified"),
        (lambda x: np.average(x, axis=1, weights=[1.0, 1.0]), ValueError, "Shape of weights must be consistent"),
        (lambda x: np.average(x[0], weights=np.zeros(3)), ZeroDivisionError, "Weights sum to zero"),
        (lambda x: np.quantile(x, 1.5), ValueError, r"Quantiles must be in the range \[0, 1\]"),
        (lambda x: np.percentile(x, 101), ValueError, r"Percentiles must be in the range \[0, 100\]"),
        (lambda x: np.quantile(x, 0.5, method="best"), ValueError, "'best' is not a valid method"),
        (lambda x: np.quantile(x, 0.5, weights=x), errors.UnsupportedError, "np.quantile: the keyword 'weights'"),
        (lambda x: np.var(x, ddof=1, correction=1), ValueError, "can't be provided simultaneously"),
        (lambda x: np.cov(x, ddof=0.5).sum(), ValueError, "ddof must be integer"),
        (lambda x: np.cov(x, fweights=[1.5, 1, 1]).sum(), TypeError, "fweights must be integer"),
        (lambda x: np.cov(x, aweights=[1.0, 1.0]).sum(), RuntimeError, "incompatible numbers of samples and aweights"),
    ]
    for f, error, text in cases:
        with pytest.raises(error, match=text):
            grad(lambda x, f=f: np.sum(f(x)))(x)
