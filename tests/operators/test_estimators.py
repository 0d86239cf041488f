"""trace, diagonal and logdet: unbiased, honest about their error, better than plain Hutchinson, and exact where that is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dualgrad import errors
from dualgrad.operators import Estimate, GaussNewtonOperator, HessianOperator, diagonal, logdet, to_dense, trace


def with_spectrum(values: Any, seed: int = 0) -> Any:
    """A symmetric matrix with these eigenvalues and random eigenvectors."""
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))
    A = (Q * values) @ Q.T
    return (A + A.T) / 2


N = 60
DECAYING = with_spectrum(0.7 ** np.arange(N))
INDEFINITE = with_spectrum(np.linspace(-1, 2, N))
GENERAL = np.random.default_rng(1).standard_normal((N, N)) / 8 + np.diag(np.arange(N) / N)
MATRICES = {"decaying": DECAYING, "indefinite": INDEFINITE, "not symmetric": GENERAL}
REPEATS = 200


def counting(A: Any) -> tuple[LinearOperator, list]:
    """The operator of a matrix, and the numbers of columns it was multiplied with."""
    columns: list[int] = []

    def times(matrix: Any) -> Callable:
        return lambda X: (columns.append(X.shape[1] if X.ndim == 2 else 1), matrix @ X)[1]

    return LinearOperator(A.shape, times(A), times(A.T), times(A), A.dtype, times(A.T)), columns


def hutchinson(A: Any, products: int, rng: Any) -> float:
    """Plain: the mean of w^T A w."""
    w = rng.choice([-1.0, 1.0], (len(A), products))
    return np.mean(np.sum(w * (A @ w), axis=0))


# ---- trace ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["xtrace", "hutch++"])
@pytest.mark.parametrize("name", MATRICES)
def test_a_trace_is_unbiased_and_its_error_is_the_standard_deviation(name, method):
    A, rng = MATRICES[name], np.random.default_rng(0)
    found = [trace(A, 24, method, rng) for _ in range(REPEATS)]
    values, reported = np.array([e.value for e in found]), np.array([e.error for e in found])
    deviation = np.std(values, ddof=1)
    assert abs(np.mean(values) - np.trace(A)) < 3.5 * deviation / np.sqrt(REPEATS)
    assert 0.6 < np.sqrt(np.mean(reported**2)) / deviation < 1.7
    assert np.mean(np.abs(values - np.trace(A)) < 4 * reported) > 0.9


@pytest.mark.parametrize(("method", "factor"), [("xtrace", 500), ("hutch++", 30)])
def test_on_a_decaying_spectrum_the_variance_is_far_below_that_of_plain_hutchinson(method, factor):
    rng = np.random.default_rng(0)
    better = np.var([trace(DECAYING, 30, method, rng).value for _ in range(50)])
    plain = np.var([hutchinson(DECAYING, 30, rng) for _ in range(50)])
    assert plain > factor * better


@pytest.mark.parametrize("A", [INDEFINITE, GENERAL], ids=["indefinite", "not symmetric"])
def test_xtrace_is_the_mean_of_the_estimates_that_leave_one_vector_out(A):
    count = 7
    W = np.random.default_rng(5).standard_normal((N, count))
    parts = []
    for i in range(count):
        Q, _ = np.linalg.qr(A @ np.delete(W, i, axis=1))
        rest = W[:, i] - Q @ (Q.T @ W[:, i])
        rest *= np.sqrt(N - count + 1) / np.linalg.norm(rest)
        parts.append(np.trace(Q.T @ A @ Q) + rest @ A @ rest)
    value, error = trace(A, 2 * count, rng=5)
    assert value == pytest.approx(np.mean(parts), rel=1e-11)
    assert error == pytest.approx(np.std(parts, ddof=1) / np.sqrt(count), rel=1e-9)


@pytest.mark.parametrize("method", ["xtrace", "hutch++"])
def test_the_trace_of_a_matrix_of_low_rank_is_exact(method):
    B = np.random.default_rng(0).standard_normal((N, 3))
    for A in (B @ B.T, B @ np.diag([1.0, -2.0, 0.5]) @ np.random.default_rng(1).standard_normal((3, N)), np.zeros((N, N))):
        value, error = trace(A, 24, method, rng=1)
        assert value == pytest.approx(np.trace(A), rel=1e-11, abs=1e-11) and error < 1e-10


def test_a_trace_takes_two_sweeps():
    for method, blocks in (("xtrace", [10, 10]), ("hutch++", [6, 12])):
        operator, columns = counting(DECAYING)
        trace(operator, 20, method, rng=0)
        assert columns == blocks


# ---- diagonal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MATRICES)
def test_a_diagonal_is_unbiased_and_its_error_is_the_standard_deviation(name):
    A, rng = MATRICES[name], np.random.default_rng(0)
    found = [diagonal(A, 20, rng=rng) for _ in range(REPEATS)]
    values, reported = np.stack([e.value for e in found]), np.stack([e.error for e in found])
    deviation = np.std(values, axis=0, ddof=1)
    assert np.all(np.abs(np.mean(values, axis=0) - np.diag(A)) < 4.5 * deviation / np.sqrt(REPEATS))
    ratio = np.sqrt(np.mean(reported**2, axis=0)) / deviation
    assert np.all((0.5 < ratio) & (ratio < 2))


def test_on_a_decaying_spectrum_a_diagonal_is_far_better_than_the_plain_estimate():
    rng = np.random.default_rng(0)
    w = rng.choice([-1.0, 1.0], (20, N, 30))
    plain = np.mean(w * (DECAYING @ w), axis=2)
    better = np.stack([diagonal(DECAYING, 30, rng=rng).value for _ in range(20)])
    assert np.mean((plain - np.diag(DECAYING)) ** 2) > 100 * np.mean((better - np.diag(DECAYING)) ** 2)


def test_xdiag_is_the_mean_of_the_estimates_that_leave_one_vector_out():
    count = 6
    W = np.random.default_rng(5).choice(np.array([-1, 1], float), (N, count))
    parts = []
    for i in range(count):
        Q, _ = np.linalg.qr(GENERAL @ np.delete(W, i, axis=1))
        P = Q @ Q.T
        parts.append(np.diag(P @ GENERAL) + W[:, i] * ((np.eye(N) - P) @ GENERAL @ W[:, i]))
    value, error = diagonal(GENERAL, 2 * count, rng=5)
    np.testing.assert_allclose(value, np.mean(parts, axis=0), rtol=1e-10)
    np.testing.assert_allclose(error, np.std(parts, axis=0, ddof=1) / np.sqrt(count), rtol=1e-8)


def test_the_diagonal_of_a_matrix_of_low_rank_is_exact():
    B = np.random.default_rng(0).standard_normal((N, 3))
    for A in (B @ B.T, np.zeros((N, N))):
        value, error = diagonal(A, 20, rng=1)
        np.testing.assert_allclose(value, np.diag(A), atol=1e-11)
        assert np.max(error) < 1e-10
    operator, columns = counting(GENERAL)
    diagonal(operator, 20, rng=0)
    assert columns == [10, 10]


# ---- log determinant ------------------------------------------------------------------------------------------------


def test_a_log_determinant_is_unbiased_and_its_error_is_the_standard_deviation():
    rng = np.random.default_rng(0)
    A = with_spectrum(np.geomspace(0.1, 10, 100), seed=2)
    found = [logdet(A, samples=4, steps=20, rng=rng) for _ in range(100)]
    values, reported = np.array([e.value for e in found]), np.array([e.error for e in found])
    wanted, deviation = np.linalg.slogdet(A)[1], np.std(values, ddof=1)
    assert abs(np.mean(values) - wanted) < 3.5 * deviation / 10
    assert 0.6 < np.sqrt(np.mean(reported**2)) / deviation < 1.7


def test_lanczos_quadrature_is_exact_with_as_many_steps_as_eigenvalues():
    spectrum = np.repeat([0.5, 1.0, 3.0, 40.0], 25)
    A = with_spectrum(spectrum)
    values, vectors = np.linalg.eigh(A)
    w = np.random.default_rng(3).choice(np.array([-1, 1], float), (100, 3))
    wanted = np.mean(np.log(values) @ (vectors.T @ w) ** 2)
    for steps in (4, 5, 20):  # beyond four the process has found an invariant subspace, and ends
        assert logdet(A, samples=3, steps=steps, rng=3).value == pytest.approx(wanted, rel=1e-11)
    assert logdet(A, samples=3, steps=3, rng=3).value != pytest.approx(wanted, rel=1e-6)
    value, error = logdet(np.diag(spectrum), samples=3, steps=6, rng=0)  # signs see a diagonal matrix exactly
    assert value == pytest.approx(np.sum(np.log(spectrum)), rel=1e-12) and error < 1e-10


def test_a_log_determinant_takes_one_sweep_a_step():
    operator, columns = counting(with_spectrum(np.linspace(1, 2, N)))
    logdet(operator, samples=3, steps=8, rng=0)
    assert columns == [3] * 8


@pytest.mark.parametrize("method", ["lanczos", "exact"])
@pytest.mark.parametrize(("A", "words"), [
    (INDEFINITE, "must be positive definite, but it is indefinite to rounding: its spectrum reaches from at most -"),
    (-with_spectrum(np.linspace(1, 2, N)), "negative definite"),
    (np.zeros((N, N)), "singular.*Add a multiple of the identity"),
    (GENERAL, r"not symmetric.*A.T @ A"),
], ids=["indefinite", "negative definite", "zero", "not symmetric"])  # fmt: skip
def test_a_log_determinant_that_does_not_exist_says_so(A, words, method):
    with pytest.raises(errors.ArgumentError, match=words):
        logdet(A, samples=2, steps=10, method=method, rng=0)


def test_damping_makes_an_indefinite_hessian_positive_definite():
    H = HessianOperator(lambda x: np.sum(np.cos(x)) + 0.5 * np.sum(x[1:] * x[:-1]), np.linspace(0, 3, N))
    with pytest.raises(errors.ArgumentError, match="indefinite"):
        H.logdet(samples=2, steps=20, rng=0)
    damped = H + 3 * aslinearoperator(scipy.sparse.eye_array(N))
    value, error = logdet(damped, samples=2, steps=20, rng=0)
    assert abs(value - np.linalg.slogdet(to_dense(damped))[1]) < 5 * error


# ---- all of them ----------------------------------------------------------------------------------------------------

ESTIMATORS: dict[str, tuple[Callable, Callable]] = {
    "xtrace": (lambda A, rng: trace(A, 12, rng=rng), np.trace),
    "hutch++": (lambda A, rng: trace(A, 12, "hutch++", rng), np.trace),
    "xdiag": (lambda A, rng: diagonal(A, 12, rng=rng), np.diag),
    "lanczos": (lambda A, rng: logdet(A, 3, 10, rng=rng), lambda A: np.linalg.slogdet(A)[1]),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_seed_gives_one_estimate_and_a_generator_goes_on(name):
    estimate, _ = ESTIMATORS[name]
    A = with_spectrum(np.linspace(1, 2, N))
    first = estimate(A, 7)
    assert isinstance(first, Estimate)
    np.testing.assert_array_equal(first.value, estimate(A, 7).value)
    np.testing.assert_array_equal(first.value, estimate(A, np.random.default_rng(7)).value)
    rng = np.random.default_rng(7)
    assert np.all(estimate(A, rng).value != estimate(A, rng).value)
    assert np.all(estimate(A, None).value != estimate(A, None).value)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_float32_stays_float32(name):
    estimate, exact = ESTIMATORS[name]
    A = with_spectrum(np.linspace(1, 2, N))
    value, error = estimate(A.astype(np.float32), 0)
    # normal numbers of the two precisions are different streams
    wanted, tolerance = (exact(A), 0.1) if name == "xtrace" else (estimate(A, 0).value, 1e-4)
    np.testing.assert_allclose(value, wanted, rtol=tolerance)
    if name != "lanczos":  # whose small tridiagonal matrices are in float64
        assert value.dtype == error.dtype == np.float32


@pytest.mark.parametrize("make", [aslinearoperator, scipy.sparse.csr_array, lambda A: 2 * aslinearoperator(A / 2)])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_linear_operator_or_matrix_will_do(name, make):
    estimate, _ = ESTIMATORS[name]
    A = with_spectrum(np.linspace(1, 2, N))
    np.testing.assert_allclose(estimate(make(A), 0).value, estimate(A, 0).value, rtol=1e-10)


def test_the_methods_of_an_operator_are_these_functions():
    x = np.linspace(0.5, 1, N)
    A = DECAYING + np.eye(N)
    G = GaussNewtonOperator(lambda x: x**2, lambda z: z @ (A @ z) / 2, x)
    matrix = np.diag(2 * x) @ A @ np.diag(2 * x)
    for got, wanted in (
        (G.trace(20, rng=1), np.trace(matrix)), (G.trace(20, "hutch++", rng=1), np.trace(matrix)),
        (G.diagonal(20, rng=1), np.diag(matrix)), (G.logdet(4, 14, rng=1), np.linalg.slogdet(matrix)[1]),
    ):  # fmt: skip
        assert np.mean(np.abs(got.value - wanted) < 5 * got.error) > 0.9 and np.all(got.error > 0)
    assert G.trace(20, rng=1) == trace(G, 20, rng=1)
    for got, wanted in (
        (G.trace(method="exact"), np.trace(matrix)), (G.diagonal(method="exact"), np.diag(matrix)),
        (G.logdet(method="exact"), np.linalg.slogdet(matrix)[1]),
        (G.trace(N), np.trace(matrix)), (G.diagonal(N), np.diag(matrix)), (G.logdet(6, 10), np.linalg.slogdet(matrix)[1]),
    ):  # fmt: skip
        np.testing.assert_allclose(got.value, wanted, rtol=1e-10)
        assert np.all(got.error == 0)


def test_an_exact_diagonal_of_many_columns_is_swept_in_chunks():
    A = np.random.default_rng(0).standard_normal((600, 600))
    operator, columns = counting(A)
    np.testing.assert_array_equal(diagonal(operator, method="exact").value, np.diag(A))
    assert columns == [256, 256, 88]
    B = A[:, :5]
    np.testing.assert_array_equal(to_dense(B), B)
    np.testing.assert_array_equal(to_dense(B, chunk_size=2), B)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: trace(np.ones((2, 3))), r"trace: the operator must be square, but it has shape \(2, 3\).*J.T @ J"),
    (lambda: diagonal(np.eye(2) * 1j), "diagonal: the operator must be real, but its dtype is complex128"),
    (lambda: logdet("text"), "logdet: the first argument must be a matrix or a LinearOperator, not 'text'"),
    (lambda: trace(np.eye(2), method="hutch"), "trace: method must be one of 'xtrace', 'hutch.*', 'exact', not 'hutch'"),
    (lambda: diagonal(np.eye(2), method="xtrace"), "diagonal: method must be one of 'xdiag', 'exact'"),
    (lambda: logdet(np.eye(2), method="slq"), "logdet: method must be one of 'lanczos', 'exact'"),
    (lambda: trace(np.eye(20), products=5), "trace: products must be an int of at least 6, not 5"),
    (lambda: diagonal(np.eye(20), products=2.0), "diagonal: products must be an int of at least 4, not 2.0"),
    (lambda: logdet(np.eye(20), samples=1), "logdet: samples must be an int of at least 2, not 1"),
    (lambda: logdet(np.eye(20), steps=True), "logdet: steps must be an int of at least 1, not True"),
])  # fmt: skip
def test_what_cannot_be_estimated_says_why(call, words):
    with pytest.raises(errors.ArgumentError, match=words) as caught:
        call()
    assert "test_estimators.py:" in str(caught.value)
