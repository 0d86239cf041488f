"""Linear algebra: shapes that broadcast, triangles, constant rank, and what is refused, by its text."""
from __future__ import annotations

import numpy as np
import pytest

from dualgrad import errors, grad, jacobian, jvp, vmap
from dualgrad.rules.contraction import _chain

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 3)) + 3 * np.eye(3)


def forward(f, x):
    basis = np.eye(np.size(x)).reshape(-1, *np.shape(x))
    return vmap(lambda e: jvp(f, (x,), (e,))[1])(basis).reshape(np.shape(x))


def both(f, x):
    return grad(f)(x), forward(f, x)


def test_solve_sums_the_cotangent_over_what_was_broadcast():
    for found in both(lambda x: np.sum(np.linalg.solve(x, np.ones((2, 2, 1)))), 2 * np.eye(2)):
        np.testing.assert_allclose(found, np.full((2, 2), -0.5))


def test_the_triangle_that_is_read_has_the_gradient():
    s = X @ X.T
    for name, f in {"lower": np.linalg.cholesky, "upper": lambda x: np.linalg.cholesky(x, upper=True)}.items():
        found, found_forward = both(lambda x, f=f: np.sum(f(x) ** 3), s)
        other = np.triu(found, 1) if name == "lower" else np.tril(found, -1)
        assert not other.any()
        np.testing.assert_allclose(found, found_forward, rtol=1e-10)
    for found in both(lambda x: np.sum(np.linalg.cholesky((x + x.T) / 2)), 4 * np.eye(2)):
        np.testing.assert_allclose(found, np.full((2, 2), 0.25))
    assert not np.triu(grad(lambda x: np.linalg.eigvalsh(x)[0])(X), 1).any()
    assert not np.tril(grad(lambda x: np.linalg.eigh(x, "U")[0][0])(X), -1).any()


def test_pinv_of_constant_rank():
    """pinv of ([[0, 0], [-p, 1]] / (1 + p**2)) is [[0, -p], [0, 1]]."""
    a, b = np.array([[0.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    f = lambda p: np.linalg.pinv(a * p / (1 + p**2) + b / (1 + p**2))
    np.testing.assert_allclose(f(2.0), [[0, -2.0], [0, 1.0]], atol=1e-14)
    np.testing.assert_allclose(jacobian(f)(2.0), [[0, -1.0], [0, 0]], atol=1e-14)
    np.testing.assert_allclose(jvp(f, (2.0,), (1.0,))[1], [[0, -1.0], [0, 0]], atol=1e-14)
    np.testing.assert_allclose(jacobian(jacobian(f))(2.0), np.zeros((2, 2)), atol=1e-13)


def test_lstsq_without_full_rank_has_no_residuals_and_the_minimum_norm_solution():
    a, b = np.outer([1.0, 2.0, 3.0], [1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    plain = np.linalg.lstsq(a, b)

    def traced(b):
        x, residuals, rank, s = np.linalg.lstsq(a * b[0], b)
        assert residuals.shape == plain[1].shape and rank == plain[2] == 1
        np.testing.assert_allclose(s.value, plain[3], atol=1e-14)
        return x

    np.testing.assert_allclose(jvp(traced, (b,), (np.zeros(3),))[0], plain[0], rtol=1e-13)
    for found in both(lambda b: np.sum(np.linalg.lstsq(2 * np.eye(2), b, rcond=None)[0]), np.array([1.0, 2.0])):
        np.testing.assert_allclose(found, [0.5, 0.5])
    np.testing.assert_array_equal(grad(lambda b: np.sum(np.linalg.lstsq(np.zeros((2, 2)), b)[0]))(np.ones(2)), [0, 0])


def test_matrix_power_by_closed_form():
    for found in both(lambda x: np.trace(np.linalg.matrix_power(x, 3)), 2 * np.eye(2)):
        np.testing.assert_allclose(found, 12 * np.eye(2))
    np.testing.assert_array_equal(grad(lambda x: np.trace(np.linalg.matrix_power(x, 0)))(X), np.zeros((3, 3)))
    inverse = np.linalg.inv(X)
    np.testing.assert_allclose(grad(lambda x: np.trace(np.linalg.matrix_power(x, -1)))(X), -(inverse @ inverse).T, rtol=1e-12)


def test_results_are_the_named_tuples_of_numpy():
    seen = []

    def f(x):
        results = np.linalg.eigh(x), np.linalg.svd(x), np.linalg.qr(x), np.linalg.slogdet(x), np.linalg.eig(x)
        seen[:] = [type(r) for r in results]
        return np.sum(results[0].eigenvalues) + np.sum(results[1].S) + np.sum(results[2].R) + results[3].logabsdet

    grad(f)(X)
    assert seen == [type(g(np.eye(2))) for g in (np.linalg.eigh, np.linalg.svd, np.linalg.qr, np.linalg.slogdet, np.linalg.eig)]


def test_a_long_chain_is_multiplied_in_the_cheapest_order():
    sizes = []

    class Spy(np.ndarray):
        def __matmul__(self, other):
            sizes.append((*self.shape, other.shape[1]))
            return np.asarray(self).__matmul__(np.asarray(other)).view(Spy)

    xs = [np.ones(s).view(Spy) for s in ((10, 100), (100, 5), (5, 50))]
    _chain(xs, (10, 100, 5, 50))
    assert sum(a * b * c for a, b, c in sizes) == 7500


@pytest.mark.parametrize(
    "f, text",
    [
        (lambda x: np.linalg.qr(x, mode="raw"), r"np\.linalg\.qr .*mode='raw'"),
        (lambda x: np.linalg.qr(x[:, :2], mode="complete"), "more rows than columns"),
        (lambda x: np.linalg.pinv(x, rcond=np.ones(2)), "an array for rtol"),
        (lambda x: np.einsum("ij->ji", x, order="F"), "keyword 'order'"),
        (lambda x: np.einsum("ij->ji", x, casting="unsafe"), "keyword 'casting'"),
        (lambda x: np.matmul(x, x, axes=[(0, 1), (0, 1), (0, 1)]), "keyword 'axes'"),
        (lambda x: np.vecdot(x, x, axes=[0, 0]), "keyword 'axes'"),
    ],
)
def test_what_is_not_supported_says_so(f, text):
    with pytest.raises(errors.UnsupportedError, match=text):
        grad(lambda x: np.sum(f(x)))(X)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda x: np.einsum("ij,jk", x), ValueError),
        (lambda x: np.einsum("ijk", x), ValueError),
        (lambda x: np.einsum("i...j...", x), ValueError),
        (lambda x: np.einsum("...i->i", x), ValueError),
        (lambda x: np.einsum("ij->ik", x), ValueError),
        (lambda x: np.einsum("ij->ii", x), ValueError),
        (lambda x: np.einsum("ij,jk", x, np.ones((2, 2))), ValueError),
        (lambda x: np.einsum("ii", x[:2]), ValueError),
        (lambda x: np.tensordot(x, np.ones((2, 2))), ValueError),
        (lambda x: np.linalg.multi_dot([x]), ValueError),
        (lambda x: np.linalg.outer(x, x), ValueError),
        (lambda x: np.linalg.matrix_power(x[:2], 2), np.linalg.LinAlgError),
        (lambda x: np.linalg.inv(x * 0), np.linalg.LinAlgError),
        (lambda x: np.linalg.cholesky(-x @ x.T), np.linalg.LinAlgError),
        (lambda x: np.linalg.eigh(x, "X"), ValueError),
        (lambda x: np.linalg.tensorinv(x, 0), ValueError),
        (lambda x: np.linalg.pinv(x, 0.1, rtol=0.1), ValueError),
    ],
)
def test_an_error_of_numpy_is_an_error_on_traced_values(call, error):
    with pytest.raises(error):
        call(X)
    with pytest.raises(error):
        jvp(lambda x: np.sum(call(x)), (X,), (X,))
