"""Reductions where calculus leaves a choice or floating point leaves its range: ties, zeros, infinities, nan, empty slices."""
import numpy as np
import pytest

from dualgrad import errors, grad, hessian, jacfwd, jacrev, vmap

A, inf, nan = np.array, np.inf, np.nan
BOTH = pytest.mark.parametrize("jacobian", [jacfwd, jacrev], ids=["forward", "reverse"])


@BOTH
@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (np.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
        (np.min, [2.0, 2.0, 2.0, 2.0], [0.25] * 4),
        (lambda x: np.max(x, initial=3.0), [1.0, 3.0, 3.0], [0, 1 / 3, 1 / 3]),
        (lambda x: np.max(x, initial=-9.0, where=A([True, True, False])), [3.0, 3.0, 9.0], [0.5, 0.5, 0]),
        (np.max, [1.0, inf, inf], [0, 0.5, 0.5]),
        (np.max, [1.0, nan, 3.0], [0, 1, 0]),
        (np.fmax.reduce, [1.0, nan, 3.0], [0, 0, 1]),
        (np.nanmax, [nan, -inf], [0, 1]),
        (np.nanmin, [nan, nan], [0, 0]),
        (np.ptp, [1.0, 1.0], [0, 0]),
        (lambda x: np.sum(np.maximum.accumulate(x)), [1.0, 1.0, 2.0, 2.0, 0.0], [1.5, 0.5, 2, 1, 0]),
        (lambda x: np.sum(np.minimum.accumulate(x)), [1.0, 1.0, 1.0], [1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3]),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_ties_share_equally_and_nan_goes_where_numpy_takes_it_from(jacobian, f, x, wanted):
    np.testing.assert_allclose(jacobian(f)(A(x)), wanted, rtol=1e-15)


@BOTH
@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (lambda x: np.max(np.sqrt(x)), [0.0, 4.0], [0, 0.25]),
        (lambda x: np.sum(np.sqrt(x), where=A([False, True])), [0.0, 4.0], [0, 0.25]),
        (lambda x: np.prod(np.log(x), where=A([False, True])), [0.0, 4.0], [0, 0.25]),
        (lambda x: np.min(np.sqrt(x), initial=9.0, where=A([False, True])), [0.0, 4.0], [0, 0.25]),
        (lambda x: np.cumsum(np.sqrt(x))[0], [4.0, 0.0], [0.25, 0]),
        (lambda x: np.maximum.accumulate(np.sqrt(x))[1], [0.0, 4.0], [0, 0.25]),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_element_without_part_in_the_result_stays_out_of_it(jacobian, f, x, wanted):
    np.testing.assert_array_equal(jacobian(f)(A(x)), wanted)


def _others(x, *left_out):
    return np.prod([v for k, v in enumerate(x) if k not in left_out])


@BOTH
@pytest.mark.parametrize(
    "x",
    [[2.0, 3.0, 5.0, 7.0], [2.0, 0.0, 5.0, 7.0], [0.0, 3.0, 0.0, 7.0, 2.0], [0.0, 0.0, 0.0], [3.0], [1e-300, 1e200, 1e-300, 5.0]],
)
def test_a_product_has_the_product_of_the_others_and_of_all_but_two(jacobian, x):
    x = A(x)
    n = range(x.size)
    np.testing.assert_allclose(jacobian(np.prod)(x), [_others(x, i) for i in n], rtol=1e-15)
    wanted = [[0.0 if i == j else _others(x, i, j) for j in n] for i in n]
    for outer in (jacfwd, jacrev):
        np.testing.assert_allclose(outer(jacobian(np.prod))(x), wanted, rtol=1e-15)
    prefixes = np.tril(np.ones((x.size, x.size)))
    wanted = [[_others(x[: k + 1], i) if i <= k else 0.0 for i in n] for k in n]
    np.testing.assert_allclose(jacobian(np.cumprod)(x), wanted * prefixes, rtol=1e-14)


@BOTH
def test_a_product_does_not_overflow_where_a_factor_is_zero(jacobian):
    x = A([[1e130, 0.0, 0.0], [1e130, 1e130, 0.0], [1e130] * 3])
    np.testing.assert_array_equal(jacobian(np.prod)(x), np.zeros((3, 3)))
    np.testing.assert_array_equal(jacobian(lambda x: np.prod(x, axis=1))(x[:2])[1], [[0, 0, 0], [0, 0, 1e260]])


def test_third_derivatives_of_a_product_of_zeros():
    third = jacfwd(jacrev(jacfwd(np.prod)))(np.zeros(3))
    wanted = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        wanted[i, j, k] = 1
    np.testing.assert_array_equal(third, wanted)


@BOTH
@pytest.mark.parametrize("ufunc", [np.logaddexp, np.logaddexp2])
@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        ([-inf, -inf], [0, 0]),
        ([inf, 0.0], [1, 0]),
        ([inf, inf, 0.0], [0.5, 0.5, 0]),
        ([-inf, 0.0, 0.0], [0, 0.5, 0.5]),
        ([2000.0, 2000.0], [0.5, 0.5]),
    ],
)
def test_the_weights_of_logaddexp_at_infinity(jacobian, ufunc, x, wanted):
    np.testing.assert_allclose(jacobian(ufunc.reduce)(A(x)), wanted, rtol=1e-14)
    assert np.all(np.isfinite(jacfwd(jacobian(ufunc.reduce))(A(x))))


def test_the_hessian_of_logaddexp_is_the_covariance_of_the_softmax():
    x = A([0.3, -1.2, 2.0])
    p = np.exp(x) / np.sum(np.exp(x))
    np.testing.assert_allclose(hessian(np.logaddexp.reduce)(x), np.diag(p) - np.outer(p, p), rtol=1e-13, atol=1e-16)


def test_half_precision_means_are_summed_in_single():
    x = np.ones(70000, np.float16)
    g = grad(np.mean)(x)
    assert g.dtype == np.float16 and np.all(g == np.float16(1 / 70000))


def test_empty_and_scalar_reductions():
    assert grad(lambda x: np.sum(x[:0]) + np.prod(x[:0]) * x[0])(A([2.0, 3.0])).tolist() == [1, 0]
    assert grad(np.prod)(3.0) == 1 and grad(np.max)(3.0) == 1
    with pytest.raises(ValueError, match="zero-size array to reduction operation maximum"):
        grad(lambda x: np.max(x[:0]))(A([2.0]))


def test_keywords_that_are_not_known_and_bad_axes_raise():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"'maximum' does not have an identity.*specify 'initial'"):
        grad(lambda x: np.max(x, where=x > 0))(x)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds"):
        grad(lambda x: np.max(x, axis=2))(x)
    with pytest.raises(errors.UnsupportedError, match=r"np.subtract .*'reduce' has no derivative rule"):
        grad(lambda x: np.sum(np.subtract.reduce(x)))(x)
    with pytest.raises(errors.UnsupportedError, match=r"np\.histogram is not supported"):
        grad(lambda x: np.histogram(x)[0].sum())(x)


def test_out_receives_the_reduction():
    def f(x):
        out = np.zeros_like(x[0])
        np.max(x, axis=0, out=out)
        x.sum(axis=0, out=out[:])
        return np.sum(out * out)

    x = A([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_array_equal(grad(f)(x), 2 * np.broadcast_to(x.sum(0), (2, 2)))


def test_masks_may_be_mapped():
    x, masks = A([1.0, 2.0, 4.0]), A([[True, False, True], [False, True, True]])
    for f in (
        lambda m, x: np.sum(x * x, where=m),
        lambda m, x: np.mean(x * x, where=m),
        lambda m, x: np.prod(x, where=m),
        lambda m, x: np.max(x, where=m, initial=0.0),
        lambda m, x: np.var(x, where=m),
        lambda m, x: np.any(m) * np.sum(x, where=m),
    ):
        wanted = [grad(f, 1)(m, x) for m in masks]
        np.testing.assert_allclose(vmap(grad(f, 1), in_axes=(0, None))(masks, x), wanted, rtol=1e-14)
