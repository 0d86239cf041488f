"""Every operator against a dense matrix made without dualgrad: complex steps, differences of them, sums over all targets."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import dualgrad as dg
from dualgrad import errors, tree
from dualgrad.models import losses
from dualgrad.operators import FisherOperator, GaussNewtonOperator, HessianOperator, JacobianOperator, TreeOperator

RNG = np.random.default_rng(3)
INPUTS = RNG.standard_normal((5, 3))
TARGETS = RNG.standard_normal((5, 2))
LABELS = np.array([0, 1, 1, 0, 1])
PARAMS = {
    "layers": [
        {"w": RNG.standard_normal((3, 4)) / 2, "b": RNG.standard_normal(4) / 4},
        {"w": RNG.standard_normal((4, 2)) / 2, "b": RNG.standard_normal(2) / 4},
    ],
    "depth": 2,
    "name": "tanh",
    "scale": 1.3,
}
N = 27


def network(p: Any, x: Any = INPUTS) -> Any:
    """Analytic in p, so a complex step differentiates it to rounding."""
    first, second = p["layers"]
    x = x.astype(np.result_type(first["b"])) if np.result_type(first["b"]).kind == "f" else x
    return np.tanh(x @ first["w"] + first["b"]) @ second["w"] * p["scale"] + second["b"]


def squared(z: Any) -> Any:
    return np.sum((z - TARGETS.astype(z.dtype)) ** 2) if z.dtype.kind == "f" else np.sum((z - TARGETS) ** 2)


def vector_function(f: Callable) -> tuple[Any, Callable]:
    """f as a function of the vector of PARAMS, complex ones too."""
    leaves, structure = tree.flatten(PARAMS)

    def of_vector(x: Any) -> Any:
        parts, start = [], 0
        for leaf in leaves:
            if tree.is_differentiable(leaf):
                parts.append(x[start : start + np.size(leaf)].reshape(np.shape(leaf)))
                start += np.size(leaf)
            else:
                parts.append(leaf)
        return f(tree.unflatten(structure, parts))

    return tree.ravel(PARAMS)[0], of_vector


def complex_jacobian(f: Callable, x: Any) -> Any:
    return np.stack([np.imag(np.ravel(f(x + 1e-30j * e))) / 1e-30 for e in np.eye(len(x))], axis=1)


def difference_hessian(f: Callable, x: Any, h: float = 1e-3) -> Any:
    slope = lambda y: complex_jacobian(f, y)[0]
    return np.stack([(8 * (slope(x + h * e) - slope(x - h * e)) - slope(x + 2 * h * e) + slope(x - 2 * h * e)) / (12 * h)
                     for e in np.eye(len(x))])  # fmt: skip


def log_softmax(z: Any) -> Any:
    return z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))


def expected_outer_products(log_likelihoods: Callable, outcomes: int) -> Any:
    """sum over elements i and outcomes y of p(y) g g^T, g = d log p(y) / d params: the Fisher matrix as it is defined."""
    x, f = vector_function(log_likelihoods)  # an array whose last axis is the outcome
    g = complex_jacobian(f, x).reshape(-1, outcomes, N)
    p = np.exp(f(x)).reshape(-1, outcomes)
    return np.einsum("iy,iya,iyb->ab", p, g, g) / len(g)


def bernoulli_log_likelihoods(p: Any) -> Any:
    z = network(p)
    return np.stack([-np.log(1 + np.exp(z)), -np.log(1 + np.exp(-z))], axis=-1)


def gaussian_fisher() -> Any:
    """E[(t - z)^2] = 1/2, and -log p = (t - z)^2, so g = 2 (t - z) J and E[g g^T] = 2 J^T J, over ten elements."""
    J = complex_jacobian(*reversed(vector_function(network)))
    return 2 * J.T @ J / 10


def gauss_newton_of_a_quartic() -> Any:
    x, f = vector_function(network)
    J, z = complex_jacobian(f, x), np.ravel(f(x))
    return J.T @ (12 * z**2 * J.T).T


class Problem(NamedTuple):
    make: Callable
    matrix: Callable


def empirical_losses(p: Any) -> Any:
    return np.sum((network(p) - TARGETS.astype(p["layers"][0]["b"].dtype)) ** 2, axis=1)


PROBLEMS = {
    "Hessian": Problem(
        lambda p: HessianOperator(lambda p: squared(network(p)), p),
        lambda: difference_hessian(*reversed(vector_function(lambda p: squared(network(p))))),
    ),
    "Jacobian": Problem(
        lambda p: JacobianOperator(network, p), lambda: complex_jacobian(*reversed(vector_function(network)))
    ),
    "Gauss-Newton": Problem(
        lambda p: GaussNewtonOperator(network, lambda z: np.sum(z**4), p), gauss_newton_of_a_quartic
    ),
    "least squares": Problem(
        lambda p: GaussNewtonOperator(network, None, p),
        lambda: (lambda J: J.T @ J)(complex_jacobian(*reversed(vector_function(network)))),
    ),
    "categorical Fisher": Problem(
        lambda p: FisherOperator(network, p, likelihood="categorical"),
        lambda: expected_outer_products(lambda p: log_softmax(network(p)), 2),
    ),
    "Bernoulli Fisher": Problem(
        lambda p: FisherOperator(network, p, likelihood="bernoulli"),
        lambda: expected_outer_products(bernoulli_log_likelihoods, 2),
    ),
    "Gaussian Fisher": Problem(lambda p: FisherOperator(network, p, likelihood="gaussian"), gaussian_fisher),
    "empirical Fisher": Problem(
        lambda p: FisherOperator.empirical(empirical_losses, p),
        lambda: (lambda g: g.T @ g / 5)(complex_jacobian(*reversed(vector_function(
            lambda p: np.sum((network(p) - TARGETS) ** 2, axis=1))))),
    ),
}  # fmt: skip
MATRICES = {name: problem.matrix() for name, problem in PROBLEMS.items()}
SYMMETRIC = [name for name in PROBLEMS if name != "Jacobian"]


def in_dtype(dtype: Any, params: Any = PARAMS) -> Any:
    return tree.map(lambda x: np.asarray(x, dtype)[()] if tree.is_differentiable(x) else x, params)


def close(got: Any, wanted: Any, dtype: Any = np.float64) -> None:
    assert got.dtype == dtype
    tolerance = 1e-9 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * np.max(np.abs(wanted)))


# ---- products -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_products_are_those_of_the_dense_matrix(name, dtype):
    A, matrix = PROBLEMS[name].make(in_dtype(dtype)), MATRICES[name]
    rng = np.random.default_rng(0)
    m, n = matrix.shape
    v, V = rng.standard_normal(n).astype(dtype), rng.standard_normal((n, 3)).astype(dtype)
    u, U = rng.standard_normal(m).astype(dtype), rng.standard_normal((m, 3)).astype(dtype)
    assert isinstance(A, LinearOperator) and isinstance(A, TreeOperator)
    assert A.shape == (m, n) and A.dtype == dtype
    for got, wanted in (
        (A.matvec(v), matrix @ v), (A @ v, matrix @ v), (A.matvec(v[:, None]), matrix @ v[:, None]),
        (A.matmat(V), matrix @ V), (A @ V, matrix @ V), (A(V), matrix @ V),
        (A.rmatvec(u), u @ matrix), (A.T @ u, u @ matrix), (u @ A, u @ matrix), (A.H.matvec(u), u @ matrix),
        (A.rmatmat(U), matrix.T @ U), (A.T.matmat(U), matrix.T @ U), (U.T @ A, U.T @ matrix), (A.T.T @ V, matrix @ V),
        (A.to_dense(), matrix), (A.to_dense(chunk_size=10), matrix), (A.T.to_dense(), matrix.T),
    ):  # fmt: skip
        assert got.shape == wanted.shape
        close(got, wanted, dtype)
    assert (A @ V[:, :0]).shape == (m, 0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_trees_go_in_and_come_out(name):
    A, matrix = PROBLEMS[name].make(PARAMS), MATRICES[name]
    v, unravel = tree.ravel(tree.map(lambda x: np.cos(x) if tree.is_differentiable(x) else x, PARAMS))
    got = A.apply(unravel(v))
    if name != "Jacobian":
        assert (got["depth"], got["name"]) == (None, None) and got["layers"][0]["w"].shape == (3, 4)
        assert type(got["scale"]) is np.float64
    np.testing.assert_array_equal(tree.ravel(got)[0], A.matvec(v))
    np.testing.assert_array_equal(tree.ravel(A @ unravel(v))[0], A.matvec(v))
    back = A.T @ got
    close(tree.ravel(back)[0], matrix.T @ (matrix @ v))
    assert back["layers"][1]["b"].shape == (2,)


def test_a_missing_leaf_is_zero():
    H = PROBLEMS["Hessian"].make(PARAMS)
    only = tree.map(lambda x: None, PARAMS) | {"scale": 1.0}
    close(tree.ravel(H @ only)[0], MATRICES["Hessian"][-1])


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_symmetric_operator_is_its_own_transpose(name):
    A = PROBLEMS[name].make(PARAMS)
    assert A.T is A and A.H is A
    matrix = A.to_dense()
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-13 * np.max(np.abs(matrix)))


def test_the_jacobian_is_a_map_between_trees():
    f = lambda p, k: {"y": (p["a"] * p["b"] * k, 7), "z": np.sum(p["a"])}
    J = JacobianOperator(f, {"a": np.array([1.0, 2.0]), "b": 3.0}, 2.0)
    assert J.shape == (3, 3) and J.value["y"][1] == 7
    out = J @ {"a": np.array([1.0, 0.0]), "b": 1.0}
    np.testing.assert_array_equal(out["y"][0], [8, 4])
    assert out["y"][1] is None and out["z"] == 1
    back = J.T @ {"y": (np.array([1.0, 1.0]), None), "z": 10.0}
    np.testing.assert_array_equal(back["a"], [16, 16])
    assert back["b"] == 6
    np.testing.assert_array_equal(J.to_dense(), [[6, 0, 2], [0, 6, 4], [1, 1, 0]])


def test_a_single_array_of_parameters():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    H = HessianOperator(lambda x: np.sum(x**4), x)
    np.testing.assert_allclose(H @ x, 12 * x**3)
    np.testing.assert_allclose(H @ x.ravel(), 12 * x.ravel() ** 3)
    np.testing.assert_allclose(H @ np.eye(6), np.diag(12 * x.ravel() ** 2))
    H = HessianOperator(lambda x: x**4, 2.0)
    assert H.shape == (1, 1) and H.apply(1.0) == 48 and (H @ np.ones(1)).shape == (1,)
    H = HessianOperator(lambda x: np.sum(x**4), np.array([1.0, 2.0]))
    np.testing.assert_allclose(H @ [1.0, 1.0], [12, 48])


def test_other_dtypes_of_the_vector():
    A = PROBLEMS["Gauss-Newton"].make(PARAMS)
    matrix = MATRICES["Gauss-Newton"]
    z = np.arange(N) + 1j * np.arange(N)[::-1]
    close(A @ np.arange(N), matrix @ np.arange(N))
    close(A @ z, matrix @ z, np.complex128)
    close(A @ np.stack([z, 2 * z], 1), matrix @ np.stack([z, 2 * z], 1), np.complex128)
    close(A @ np.ones(N, np.float32), matrix @ np.ones(N))
    small = PROBLEMS["Gauss-Newton"].make(in_dtype(np.float32))
    close(small @ np.ones(N), matrix @ np.ones(N), np.float32)


def test_mixed_precision_is_that_of_each_leaf():
    p = {"a": np.array([1.0, 2.0], np.float32), "b": np.array([3.0])}
    H = HessianOperator(lambda p: np.sum(p["a"] ** 3) * p["b"][0], p)
    assert H.dtype == np.float64
    out = H @ {"a": np.array([1.0, 0.0]), "b": np.array([1.0])}
    assert out["a"].dtype == np.float32 and out["b"].dtype == np.float64
    np.testing.assert_allclose(tree.ravel(out)[0], [18 + 3, 12, 3])


# ---- one evaluation -------------------------------------------------------------------------------------------------


def counted(f: Callable) -> tuple[Callable, list]:
    calls: list[int] = []
    return lambda *args: (calls.append(1), f(*args))[1], calls


@pytest.mark.parametrize("make", [
    lambda f: HessianOperator(lambda p: np.sum(f(p) ** 2), PARAMS),
    lambda f: JacobianOperator(f, PARAMS),
    lambda f: GaussNewtonOperator(f, squared, PARAMS),
    lambda f: FisherOperator(f, PARAMS, likelihood="categorical"),
    lambda f: FisherOperator.empirical(lambda p: f(p)[:, 0], PARAMS),
])  # fmt: skip
def test_the_function_is_evaluated_once_whatever_is_done_with_the_operator(make):
    f, calls = counted(network)
    A = make(f)
    for _ in range(3):
        A @ np.ones(N)
        A @ np.ones((N, 4))
        A.T @ np.ones(A.shape[0])
        A.to_dense()
    if A.shape == (N, N):
        A.trace(products=6, rng=0)
        A.diagonal(products=4, rng=0)
    assert len(calls) == 1


def test_the_loss_is_evaluated_once():
    loss, calls = counted(squared)
    G = GaussNewtonOperator(network, loss, PARAMS)
    G.to_dense()
    assert len(calls) == 1


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_matrix_is_one_batched_sweep(name):
    A = PROBLEMS[name].make(PARAMS)
    A._push, sweeps = counted(A._push)
    A @ np.ones((N, 7))
    A.matmat(np.ones((N, 1)))
    assert len(sweeps) == 2
    A.to_dense()
    assert len(sweeps) == 3
    A.to_dense(chunk_size=10)
    assert len(sweeps) == 6


def test_value_gradient_and_output_come_with_the_operator():
    f = lambda p: squared(network(p))
    value, gradient = f(PARAMS), complex_jacobian(*reversed(vector_function(f)))[0]
    for A in (HessianOperator(f, PARAMS), GaussNewtonOperator(network, squared, PARAMS)):
        assert A.value == pytest.approx(value, rel=1e-14)
        close(tree.ravel(A.gradient)[0], gradient)
        assert A.gradient["depth"] is None
    residuals = lambda p: network(p) - TARGETS
    G = GaussNewtonOperator(residuals, None, PARAMS)
    assert G.value == pytest.approx(value / 2, rel=1e-14)
    close(tree.ravel(G.gradient)[0], gradient / 2)
    for A in (G, FisherOperator(residuals, PARAMS, likelihood="gaussian")):
        np.testing.assert_array_equal(A.output, residuals(PARAMS))
    np.testing.assert_array_equal(JacobianOperator(residuals, PARAMS).value, residuals(PARAMS))
    assert GaussNewtonOperator(network, None, in_dtype(np.float32)).value.dtype == np.float32


def test_writing_into_parameters_or_results_does_not_change_the_operator():
    x = np.array([1.0, 2.0])
    H = HessianOperator(lambda x: np.sum(x**3), x)
    J = JacobianOperator(lambda x: x**2, x)
    G = GaussNewtonOperator(lambda x: x * 1.0, lambda z: np.sum(z**3), x)
    F = FisherOperator(lambda x: x * 1.0, x, likelihood="bernoulli")
    variance = np.exp(-x) / (1 + np.exp(-x)) ** 2 / 2
    x[:] = 100
    for result in (H.gradient, J.value, G.output, G.gradient, F.output):
        result[:] = 100
    v = np.ones(2)
    np.testing.assert_array_equal(H @ v, [6, 12])
    np.testing.assert_array_equal(J @ v, [2, 4])
    np.testing.assert_array_equal(G @ v, [6, 12])
    np.testing.assert_allclose(F @ v, variance, rtol=1e-14)
    np.testing.assert_array_equal(v, 1)
    identity = JacobianOperator(lambda x: x, x)
    (identity @ v)[:] = 7
    (identity.T @ v)[:] = 7
    np.testing.assert_array_equal(v, 1)


# ---- as SciPy's LinearOperator --------------------------------------------------------------------------------------


def test_sums_multiples_and_products_are_scipys():
    H, G, J = (PROBLEMS[name].make(PARAMS) for name in ("Hessian", "least squares", "Jacobian"))
    h, g, j = (MATRICES[name] for name in ("Hessian", "least squares", "Jacobian"))
    identity = aslinearoperator(scipy.sparse.eye_array(N))
    for operator, matrix in (
        (H + 0.5 * identity, h + 0.5 * np.eye(N)), (2 * H, 2 * h), (H * 2, 2 * h), (H / 2, h / 2), (H - G, h - g), (-H, -h),
        (H @ G, h @ g), (H**2, h @ h), (J.T @ J, g), (J @ H @ J.T, j @ h @ j.T), ((J @ H).T, h @ j.T),
    ):  # fmt: skip
        assert isinstance(operator, LinearOperator)
        close(operator @ np.eye(operator.shape[1]), matrix)
        close(operator.matvec(np.ones(operator.shape[1])), matrix.sum(1))


def test_scipys_solvers_take_the_operators():
    H, G, J = (PROBLEMS[name].make(PARAMS) for name in ("Hessian", "Gauss-Newton", "Jacobian"))
    h, g, j = (MATRICES[name] for name in ("Hessian", "Gauss-Newton", "Jacobian"))
    b = np.random.default_rng(0).standard_normal(N)
    damped = G + 0.1 * aslinearoperator(scipy.sparse.eye_array(N))
    x, info = scipy.sparse.linalg.cg(damped, b, rtol=1e-10)
    assert info == 0
    np.testing.assert_allclose((g + 0.1 * np.eye(N)) @ x, b, atol=1e-8)
    shifted = H + 0.3 * aslinearoperator(scipy.sparse.eye_array(N))
    x, info = scipy.sparse.linalg.minres(shifted, b, rtol=1e-12, maxiter=500)
    assert info == 0
    np.testing.assert_allclose((h + 0.3 * np.eye(N)) @ x, b, atol=1e-6)
    largest = scipy.sparse.linalg.eigsh(H, k=4, which="LM", return_eigenvectors=False, v0=b)
    spectrum = np.linalg.eigvalsh(h)
    np.testing.assert_allclose(np.sort(np.abs(largest)), np.sort(np.abs(spectrum))[-4:], rtol=1e-8)
    y = np.arange(10.0)
    np.testing.assert_allclose(
        scipy.sparse.linalg.lsmr(J, y, damp=0.1, atol=1e-14, btol=1e-14)[0],
        np.linalg.solve(j.T @ j + 0.01 * np.eye(N), j.T @ y), rtol=1e-6,
    )  # fmt: skip
    singular = scipy.sparse.linalg.svds(J, k=3, return_singular_vectors=False, v0=y)
    np.testing.assert_allclose(np.sort(singular), np.sort(np.linalg.svd(j, compute_uv=False))[-3:], rtol=1e-9)


# ---- Gauss-Newton ---------------------------------------------------------------------------------------------------


def test_gauss_newton_is_the_hessian_where_the_model_is_linear():
    f = lambda p: INPUTS @ p["w"] + p["b"]
    p = {"w": PARAMS["layers"][0]["w"], "b": np.zeros(4)}
    loss = lambda z: np.sum(np.logaddexp(0, z)) + np.sum(z) ** 3
    G, H = GaussNewtonOperator(f, loss, p), HessianOperator(lambda p: loss(f(p)), p)
    np.testing.assert_allclose(G.to_dense(), H.to_dense(), rtol=1e-11, atol=1e-11)


def test_the_output_of_the_model_may_be_a_tree():
    f = lambda x, k: {"a": x * k, "b": (np.sum(x**2), 3)}
    x = np.array([1.0, -2.0])
    G = GaussNewtonOperator(f, lambda z: np.sum(z["a"] ** 2) * z["b"][0] * z["b"][1], x, 2.0)
    J = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, -4.0]])  # of (2 x, |x|^2) at x
    a, s = 2 * x, 5.0  # the loss 3 |a|^2 s
    C = 3 * np.block([[2 * s * np.eye(2), 2 * a[:, None]], [2 * a[None], np.zeros((1, 1))]])
    np.testing.assert_allclose(G.to_dense(), J.T @ C @ J, rtol=1e-14)
    G = GaussNewtonOperator(f, None, x, 2.0)
    np.testing.assert_allclose(G.to_dense(), J.T @ J, rtol=1e-14)
    assert G.value == (4 * 5 + 25) / 2


def test_the_output_of_the_model_may_be_complex():
    M = np.array([[1 + 2j, 3.0], [0.5j, -1 + 1j], [2.0, 1j]])
    x = np.array([0.5, -1.0])
    f = lambda x: M @ x + 1j * x[0] ** 2
    J = M + np.array([[2j * x[0], 0]] * 3)
    np.testing.assert_allclose(GaussNewtonOperator(f, None, x).to_dense(), np.real(J.conj().T @ J), rtol=1e-14)
    loss = lambda z: np.sum(np.abs(z) ** 2 * np.array([1.0, 2.0, 3.0]))
    weights = 2 * np.array([1.0, 2.0, 3.0])
    G = GaussNewtonOperator(f, loss, x)
    np.testing.assert_allclose(G.to_dense(), np.real((J.conj().T * weights) @ J), rtol=1e-13)


# ---- Fisher ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("likelihood", "loss"), [
    ("categorical", lambda z: losses.cross_entropy(z, LABELS)),
    ("bernoulli", lambda z: losses.binary_cross_entropy(z, np.stack([LABELS, 1 - LABELS], 1))),
    ("gaussian", lambda z: losses.mse(z, TARGETS)),
])  # fmt: skip
def test_the_exact_fisher_matrix_is_the_gauss_newton_matrix_of_its_loss(likelihood, loss):
    F = FisherOperator(network, PARAMS, likelihood=likelihood)
    G = GaussNewtonOperator(network, loss, PARAMS)
    np.testing.assert_allclose(F.to_dense(), G.to_dense(), rtol=1e-11, atol=1e-13)


def test_the_fisher_matrix_of_logits_of_any_rank():
    z = np.random.default_rng(0).standard_normal((2, 3, 4))
    F = FisherOperator(lambda z: z, z, likelihood="categorical").to_dense()
    p = np.exp(log_softmax(z)).reshape(6, 4)
    for i, k in itertools.product(range(6), repeat=2):
        block = (np.diag(p[i]) - np.outer(p[i], p[i])) / 6 if i == k else np.zeros((4, 4))
        np.testing.assert_allclose(F[4 * i : 4 * i + 4, 4 * k : 4 * k + 4], block, atol=1e-16)
    certain = FisherOperator(lambda z: z, np.array([1e3, -1e3]), likelihood="bernoulli")
    np.testing.assert_array_equal(certain.to_dense(), 0)


def test_the_empirical_fisher_matrix_is_the_mean_of_outer_products_of_gradients_of_examples():
    def loss_of(p: Any, x: Any, label: Any) -> Any:
        return losses.cross_entropy(network(p, x[None]), label[None])

    every = dg.vmap(loss_of, in_axes=(None, 0, 0))
    F = FisherOperator.empirical(every, PARAMS, INPUTS, LABELS)
    gradients = [
        complex_jacobian(*reversed(vector_function(lambda p, i=i: -log_softmax(network(p))[i, LABELS[i]])))[0] for i in range(5)
    ]
    close(F.to_dense(), sum(np.outer(g, g) for g in gradients) / 5)
    np.testing.assert_allclose(F.output, [-log_softmax(network(PARAMS))[i, LABELS[i]] for i in range(5)], rtol=1e-14)


# ---- inside transforms ----------------------------------------------------------------------------------------------


def test_a_product_with_trees_can_be_differentiated_and_mapped():
    x, v = np.array([1.0, -2.0, 3.0]), np.array([1.0, 2.0, 0.5])
    third = dg.grad(lambda x: np.sum(v * HessianOperator(lambda y: np.sum(y**4), x).apply(v)))(x)
    np.testing.assert_allclose(third, 24 * x * v**2, rtol=1e-14)
    slope = dg.grad(lambda x: np.sum(GaussNewtonOperator(lambda y: y**2, None, x).apply(v) * v))(x)
    np.testing.assert_allclose(slope, 8 * x * v**2, rtol=1e-14)
    H = HessianOperator(lambda y: np.sum(y**4), x)
    np.testing.assert_allclose(dg.grad(lambda v: v @ (H @ v))(v), 24 * x**2 * v, rtol=1e-14)
    np.testing.assert_allclose(dg.vmap(H.apply)(np.eye(3)), np.diag(12 * x**2), rtol=1e-14)
    np.testing.assert_allclose(
        dg.vmap(lambda x: HessianOperator(lambda y: np.sum(y**4), x).apply(v))(np.stack([x, 2 * x])),
        [12 * x**2 * v, 48 * x**2 * v], rtol=1e-14,
    )  # fmt: skip
    with pytest.raises(errors.TracedConversionError):
        dg.grad(lambda v: np.sum(H.matvec(v)))(v)


def test_a_product_is_the_same_inside_a_transform():
    J = JacobianOperator(lambda x: {"a": x * x[0], "b": np.sum(x)}, np.array([1.0, 2.0]))
    v, V = np.array([3.0, 4.0]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    matrix = J.to_dense()
    np.testing.assert_allclose(dg.jacobian(lambda v: J @ v)(v), matrix)
    np.testing.assert_allclose(dg.jacobian(lambda v: v @ J.T.to_dense() + J @ v, mode="forward")(v), 2 * matrix)
    np.testing.assert_allclose(dg.grad(lambda V: np.sum((J @ V) ** 2))(V), 2 * matrix.T @ matrix @ V)
    np.testing.assert_allclose(dg.vmap(lambda v: J @ v, in_axes=1, out_axes=1)(V), matrix @ V)
    np.testing.assert_allclose(dg.vmap(lambda u: (J.T @ {"a": u, "b": 1.0}))(V.T), V.T @ matrix[:2] + matrix[2])
    G = GaussNewtonOperator(lambda x: x**2, None, v.astype(np.float32))
    assert dg.jvp(lambda v: G @ v, (v,), (v,))[1].dtype == np.float32


# ---- bad input ------------------------------------------------------------------------------------------------------

X = np.array([1.0, 2.0])


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: HessianOperator(lambda x: x**2, X), errors.OutputError,
     r"HessianOperator: <lambda> must return a scalar, but it returned shape \(2,\)"),
    (lambda: HessianOperator(lambda x: {"loss": np.sum(x)}, X), errors.OutputError,
     r"HessianOperator: .*tree with leaves \['loss'\]"),
    (lambda: HessianOperator(np.sum, np.arange(3)), errors.InputTypeError, r"HessianOperator: params must be floating.*int64\[3\]"),
    (lambda: HessianOperator(np.sum, {"w": X * 1j}), errors.InputTypeError,
     r"HessianOperator: params\['w'\] is complex128\[2\].*two real leaves"),
    (lambda: HessianOperator(3, X), errors.ArgumentError, "HessianOperator: the first argument must be a function"),
    (lambda: JacobianOperator(lambda x: x * 1j, X), errors.OutputError, "JacobianOperator: <lambda> returned complex128"),
    (lambda: JacobianOperator(lambda x: (np.argmax(x), None), X), errors.OutputError,
     r"JacobianOperator: <lambda> must return an array of floats .*int64\[\], NoneType"),
    (lambda: JacobianOperator(lambda x: (), X), errors.OutputError, "an empty tree"),
    (lambda: GaussNewtonOperator(lambda x: x, lambda z: z, X), errors.OutputError,
     "GaussNewtonOperator: <lambda> must return a scalar"),
    (lambda: GaussNewtonOperator(lambda x: x, 0.5, X), errors.ArgumentError,
     "GaussNewtonOperator: the second argument, loss, must be a function of the model's output, or None .* not 0.5"),
    (lambda: GaussNewtonOperator(np.argmax, None, X), errors.OutputError, "GaussNewtonOperator: argmax must return an array"),
    (lambda: FisherOperator(lambda x: x, X, likelihood="poisson"), errors.ArgumentError,
     "likelihood must be one of 'categorical', 'bernoulli', 'gaussian', not 'poisson'.*GaussNewtonOperator"),
    (lambda: FisherOperator(lambda x: (x, x), X, likelihood="gaussian"), errors.OutputError,
     r"FisherOperator: <lambda> must return one real array.*'float64\[2\]', 'float64\[2\]'"),
    (lambda: FisherOperator(np.sum, X, likelihood="categorical"), errors.OutputError, "classes in the last axis"),
    (lambda: FisherOperator.empirical(np.sum, X), errors.OutputError, "the loss of every example, not their mean"),
])  # fmt: skip
def test_what_cannot_be_made_says_why(make, error, words):
    with pytest.raises(error, match=words) as caught:
        make()
    assert "test_operators.py:" in str(caught.value)


@pytest.mark.parametrize(("multiply", "error", "words"), [
    (lambda H: H @ {"w": np.ones((2, 3)), "b": np.ones(2)}, errors.StructureError,
     r"HessianOperator: v\['b'\] has shape \(2,\), but params\['b'\] has shape \(3,\)"),
    (lambda H: H @ {"w": np.ones((2, 3))}, errors.StructureError, "HessianOperator: at the root, params has the key 'b'"),
    (lambda H: H.apply(np.ones(9)), errors.StructureError, "HessianOperator: at the root, v is a leaf and params is a dict"),
    (lambda H: H @ {"w": np.ones((2, 3)), "b": np.ones(3) * 1j}, errors.StructureError, r"v\['b'\] is complex"),
    (lambda H: H @ np.ones(8), errors.StructureError,
     r"HessianOperator: cannot multiply float64\[8\].*vector of shape \(9,\), a matrix of shape \(9, k\), or a tree like params"),
    (lambda H: H @ np.ones((9, 2, 2)), errors.StructureError, "cannot multiply"),
    (lambda H: H.matvec(np.ones(8)), ValueError, "dimension mismatch"),
    (lambda H: H.to_dense(chunk_size=0), errors.ArgumentError, "chunk_size must be an int of at least 1, not 0"),
])  # fmt: skip
def test_what_cannot_be_multiplied_says_why(multiply, error, words):
    p = {"w": np.ones((2, 3)), "b": np.ones(3)}
    with pytest.raises(error, match=words):
        multiply(HessianOperator(lambda p: np.sum(p["w"] @ p["b"]), p))
