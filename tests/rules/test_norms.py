"""Norms and deviations at their kinks: the gradient at 0 is 0, at ties it is shared, and nothing is nan."""
import numpy as np
import pytest

from dualgrad import errors, grad, hessian, jacfwd, jacrev

A, inf, nan = np.array, np.inf, np.nan
BOTH = pytest.mark.parametrize("jacobian", [jacfwd, jacrev], ids=["forward", "reverse"])


@BOTH
@pytest.mark.parametrize("order", [None, 1, 2, 3, 2.5, 1.5, inf])
def test_a_norm_has_the_gradient_0_at_0(jacobian, order):
    np.testing.assert_array_equal(jacobian(lambda x: np.linalg.norm(x, order))(np.zeros(3)), np.zeros(3))
    rows = jacobian(lambda x: np.linalg.norm(x, order, axis=1))(A([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(rows[0], np.zeros((2, 2)))
    assert np.all(np.isfinite(rows)) and np.any(rows[1])


@BOTH
@pytest.mark.parametrize(
    ("order", "x", "wanted"),
    [
        (3, [0.0, 2.0], [0, 1]),
        (0.5, [0.0, 2.0], [0, 1]),
        (-1, [0.0, 2.0], [0, 0]),
        (inf, [1.0, -3.0, 2.0], [0, -1, 0]),
        (inf, [3.0, -3.0, 2.0], [0.5, -0.5, 0]),
        (-inf, [3.0, -1.0, 1.0], [0, -0.5, 0.5]),
        (0, [3.0, 0.0, 1.0], [0, 0, 0]),
        (1, [3.0, 0.0, -1.0], [1, 0, -1]),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_norms_of_vectors_with_zeros_and_ties(jacobian, order, x, wanted):
    np.testing.assert_allclose(jacobian(lambda x: np.linalg.norm(x, order))(A(x)), wanted, rtol=1e-14, atol=0)


@BOTH
@pytest.mark.parametrize(
    ("order", "x", "wanted"),
    [
        (2, [[2.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 0]]),
        (2, [[1.0, 0.0], [0.0, 1.0]], [[0.5, 0], [0, 0.5]]),
        (-2, [[2.0, 0.0], [0.0, 1.0]], [[0, 0], [0, 1]]),
        ("nuc", [[2.0, 0.0], [0.0, 0.0]], [[1, 0], [0, 0]]),
        ("fro", [[0.0, 0.0], [0.0, 0.0]], [[0, 0], [0, 0]]),
        (1, [[1.0, -2.0], [-3.0, 2.0]], [[0.5, -0.5], [-0.5, 0.5]]),
        (-inf, [[1.0, -2.0], [-3.0, 2.0]], [[1, -1], [0, 0]]),
    ],
)
def test_norms_of_matrices(jacobian, order, x, wanted):
    np.testing.assert_allclose(jacobian(lambda x: np.linalg.norm(x, order))(A(x)), wanted, atol=1e-15)


@pytest.mark.parametrize("f", [np.linalg.norm, np.std, np.hypot.reduce, lambda x: np.linalg.norm(x) ** 2, lambda x: np.std(x) ** 2])
def test_second_derivatives_at_a_zero_norm_are_finite(f):
    for x in (np.zeros(2), np.full(2, 3.0) if f is np.std else np.zeros(2)):
        for first in (jacfwd, jacrev):
            for second in (jacfwd, jacrev):
                assert np.all(np.isfinite(second(first(f))(x)))


def test_the_hessian_of_a_norm_is_the_projector_over_the_norm():
    x = A([0.3, -1.2, 2.0])
    r = np.sqrt(np.sum(x * x))
    np.testing.assert_allclose(hessian(np.linalg.norm)(x), (np.eye(3) - np.outer(x, x) / r**2) / r, rtol=1e-13)


def test_hypot_reduce_neither_under_nor_overflows():
    for scale in (1e-200, 1e200):
        np.testing.assert_allclose(grad(np.hypot.reduce)(A([3.0, 4.0]) * scale), [0.6, 0.8], rtol=1e-15)


@BOTH
def test_std_at_zero_variance_and_of_one_sample(jacobian):
    np.testing.assert_array_equal(jacobian(np.std)(A([2.0, 2.0])), [0, 0])
    np.testing.assert_array_equal(jacobian(np.std)(A([2.0])), [0])
    np.testing.assert_array_equal(jacobian(lambda x: np.std(x, axis=1))(A([[2.0, 2.0], [1.0, 3.0]]))[1], [[0, 0], [-0.5, 0.5]])


def test_invalid_orders_raise_as_numpy_does():
    x = np.ones((2, 2))
    with pytest.raises(ValueError, match="Invalid norm order for matrices"):
        grad(lambda x: np.linalg.norm(x, 3))(x)
    with pytest.raises(ValueError, match="Invalid norm order 'fro' for vectors"):
        grad(lambda x: np.linalg.norm(x[0], "fro"))(x)
    with pytest.raises(ValueError, match="Improper number of dimensions to norm"):
        grad(lambda x: np.linalg.norm(x, 2))(np.ones((2, 2, 2)))
    with pytest.raises(errors.UnsupportedError, match="the order of the norm must be a plain number"):
        grad(lambda x: np.linalg.norm(x[0], x[1, 1]))(x)
