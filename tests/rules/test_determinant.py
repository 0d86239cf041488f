"""det and slogdet at every rank and order: cofactors, polarization, scale."""
from __future__ import annotations

import itertools

import numpy as np
import pytest

from dualgrad import grad, hessian, jacobian, jvp, vmap

RNG = np.random.default_rng(5)
SINGULAR = np.array([[50.0, -30.0, 45.0], [-30.0, 90.0, -81.0], [45.0, -81.0, 81.0]])


def polarized(f, directions):
    """The mixed k-th difference of a polynomial at 0, homogeneous of degree k: its k-th derivative (exact)."""
    k = len(directions)
    subsets = itertools.chain.from_iterable(itertools.combinations(directions, r) for r in range(1, k + 1))
    return sum((-1) ** (k - len(s)) * f(sum(s)) for s in subsets)


def cofactors(x):
    n = len(x)
    minor = lambda i, j: np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))
    return np.array([[(-1) ** (i + j) * minor(i, j) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_the_gradient_of_det_is_the_matrix_of_cofactors_at_every_rank(rank):
    x = RNG.normal(size=(4, rank)) @ RNG.normal(size=(rank, 4))
    np.testing.assert_allclose(grad(np.linalg.det)(x), cofactors(x), atol=1e-12)
    basis = np.eye(16).reshape(16, 4, 4)
    forward = vmap(lambda e: jvp(np.linalg.det, (x,), (e,))[1])(basis)
    np.testing.assert_allclose(forward.reshape(4, 4), cofactors(x), atol=1e-12)


@pytest.mark.parametrize("x", [np.eye(3), SINGULAR, np.zeros((3, 3)), np.outer([1.0, 2.0, 3.0], [1.0, 0.0, -1.0])], ids=str)
def test_the_hessian_of_det_is_the_cofactor_formula(x):
    permutation = lambda i, k, m: np.linalg.det(np.eye(3)[[i, k, m]])
    formula = np.zeros((3, 3, 3, 3))
    for i, k, m in itertools.permutations(range(3)):
        for j, q, r in itertools.permutations(range(3)):
            formula[i, j, k, q] += permutation(i, k, m) * permutation(j, q, r) * x[m, r]
    np.testing.assert_allclose(hessian(np.linalg.det)(x), formula, atol=1e-13 * max(1, np.max(np.abs(x))))


def test_the_third_derivative_of_det_is_its_polarization():
    a, b, c = RNG.normal(size=(3, 3, 3))
    along = lambda f, t: lambda x: jvp(f, (x,), (t,))[1]
    third = along(along(along(np.linalg.det, a), b), c)
    for x in (np.eye(3), SINGULAR, RNG.normal(size=(3, 3))):
        assert third(x) == pytest.approx(polarized(np.linalg.det, [a, b, c]), rel=1e-11)
        assert np.sum(grad(along(along(np.linalg.det, a), b))(x) * c) == pytest.approx(third(x), rel=1e-11)


def test_cofactors_do_not_overflow_where_they_are_finite():
    x = np.diag([1e200, 1e200, 1e-200, 1e-200])
    np.testing.assert_allclose(np.diag(grad(np.linalg.det)(x)), [1e-200, 1e-200, 1e200, 1e200], rtol=1e-12)


def test_a_complex_det_is_holomorphic():
    x = RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3))
    np.testing.assert_allclose(grad(np.linalg.det, holomorphic=True)(x), cofactors(x), rtol=1e-11)


def test_the_gradient_of_slogdet_is_the_inverse_and_infinite_where_it_is_not():
    x = RNG.normal(size=(3, 3))
    logabsdet = lambda x: np.linalg.slogdet(x).logabsdet
    np.testing.assert_allclose(grad(logabsdet)(x), np.linalg.inv(x).T, rtol=1e-10)
    assert not np.isfinite(grad(logabsdet)(np.diag([1.0, 0.0]))).all()
    stack = np.stack([np.eye(2), np.diag([1.0, 0.0])])
    np.testing.assert_allclose(jacobian(logabsdet)(stack)[0, 0], np.eye(2))
    assert grad(lambda x: np.linalg.slogdet(x)[0] * np.sum(x))(np.eye(2)).tolist() == [[1.0, 1.0], [1.0, 1.0]]
