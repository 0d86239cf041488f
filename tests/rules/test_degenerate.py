"""Equal eigenvalues and singular values: functions that do not depend on the choice of basis are exact, others raise.

The reference is a fourth-order difference of plain NumPy, whose rounding is about 1e-9 of the largest value, and polynomials of the
matrix itself.
"""
from __future__ import annotations

import gc

import numpy as np
import pytest

from dualgrad import (
    Dual,
    Tape,
    check_grads,
    checkpoint,
    errors,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vjp,
    vmap,
)

RNG = np.random.default_rng(11)
Q = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
UNITARY = np.linalg.qr(RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3)))[0]
C = RNG.normal(size=(4, 4))


def symmetric(x):
    return (x + np.conjugate(np.swapaxes(x, -1, -2))) / 2


def with_spectrum(*w):
    return symmetric(Q[:, : len(w)] * np.array(w) @ Q[:, : len(w)].T)


def function(h):
    """x -> sum(C * V h(w) V^H), a function of the symmetric part of x."""

    def f(x):
        w, v = np.linalg.eigh(symmetric(x))
        return np.real(np.sum((v * h(w)) @ np.conjugate(v).T * C[: len(w), : len(w)]))

    return f


def of_svd(h, full=False):
    def f(x):
        u, s, vh = np.linalg.svd(x, full_matrices=full)
        k = s.shape[-1]
        return np.real(np.sum((u[:, :k] * h(s)) @ vh[:k] * C[: x.shape[0], : x.shape[1]]))

    return f


def projector(x):
    v = np.linalg.eigh(symmetric(x))[1][:, :2]
    return np.sum((v @ v.T) * C)


def upper(x):
    w, v = np.linalg.eigh(x, UPLO="U")
    return np.sum((v * np.exp(w)) @ v.T * C)


def two_in_a_row(x):
    w, v = np.linalg.eigh(symmetric(x))
    w, v = np.linalg.eigh((v * np.exp(w)) @ v.T + np.diag([1.0, 2.0, 3.0, 4.0]))
    return np.sum((v * np.sin(w)) @ v.T * C)


def side_by_side(x):
    w, v = np.linalg.eigh(symmetric(x))
    u, s, vh = np.linalg.svd(x)
    return np.sum((v * np.exp(w)) @ v.T @ (u * np.sinh(s)) @ vh * C)


def polar(x):
    u, _, vh = np.linalg.svd(x)
    return np.sum(u @ vh * C)


LOW_RANK = RNG.normal(size=(4, 2)) @ RNG.normal(size=(2, 3))
CASES = {
    "w": (function(lambda w: w), np.eye(2)),
    "log w at the unit matrix": (function(np.log), np.eye(2)),
    "w**2 at 0": (function(np.square), np.zeros((3, 3))),
    "exp w, one pair": (function(np.exp), with_spectrum(1, 1, 2, 3)),
    "exp w, a triple": (function(np.exp), with_spectrum(1, 1, 1, 3)),
    "exp w, two pairs": (function(np.exp), with_spectrum(1, 1, 2, 2)),
    "sqrt w": (function(np.sqrt), with_spectrum(1, 1, 2, 3)),
    "the norm": (lambda x: (lambda w, v: np.linalg.norm((v * w) @ v.T))(*np.linalg.eigh(symmetric(x))), with_spectrum(1, 1, 2, 2)),
    "exp w, complex": (function(np.exp), symmetric(UNITARY * np.array([1.0, 1.0, 2.0]) @ np.conjugate(UNITARY.T))),
    "a projector": (projector, with_spectrum(1, 1, 2, 3)),
    "the upper triangle": (upper, with_spectrum(1, 1, 2, 3)),
    "eigh of a function of eigh": (two_in_a_row, with_spectrum(1, 1, 2, 2) / 2),
    "eigh beside svd": (side_by_side, with_spectrum(1, 1, 2, 2) / 2),
    "sum of eigenvalues": (lambda x: np.sum(np.linalg.eigvalsh(x) ** 3), with_spectrum(1, 1, 2, 2)),
    "svd of the unit matrix": (of_svd(lambda s: s), np.eye(2)),
    "svd, two pairs": (of_svd(np.sinh), with_spectrum(1, 1, 2, 2)),
    "svd of a rotation, polar factor": (polar, Q),
    "svd, tall, tied": (of_svd(np.exp), 2 * Q[:, :3]),
    "svd of low rank, tall": (of_svd(np.sinh), LOW_RANK),
    "svd of low rank, wide": (of_svd(np.sinh), LOW_RANK.T),
    "svd of low rank, full": (of_svd(np.sinh, full=True), LOW_RANK),
    "svd of rank one": (of_svd(lambda s: s), np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0])),
    "svd at 0": (of_svd(lambda s: s), np.zeros((4, 3))),
    "svd, complex, low rank, tied": (of_svd(np.sinh), UNITARY[:, :2] @ np.conjugate(UNITARY[:2])),
    "svd truncated at the rank": (
        lambda x: (lambda u, s, vh: np.sum((u[:, :2] * s[:2]) @ vh[:2] * C[:, :3]))(*np.linalg.svd(x, False)), LOW_RANK
    ),
    "squared singular values": (lambda x: np.sum(np.linalg.svdvals(x) ** 2), LOW_RANK),
    "singular values to the fourth power": (lambda x: np.sum(np.linalg.svdvals(x) ** 4), with_spectrum(1, 1, 2, 2)),
}  # fmt: skip


def differences(f, x, h=1e-3):
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
            e = np.zeros_like(x)
            e[i] = unit * h
            out[i] += unit * (8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h)
    return out


def forward(f, x):
    """The gradient by one pushforward per unit vector."""
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
            e = np.zeros_like(x)
            e[i] = unit
            out[i] += unit * jvp(f, (x,), (e,))[1]
    return out


@pytest.mark.parametrize("name", CASES)
def test_a_function_that_does_not_depend_on_the_gauge_is_exact_in_both_modes(name):
    f, x = CASES[name]
    wanted = differences(f, x)
    tolerance = 3e-9 * max(1.0, np.max(np.abs(wanted)))
    np.testing.assert_allclose(grad(f)(x), wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(forward(f, x), wanted, rtol=0, atol=tolerance)
    assert value_and_grad(f)(x)[0] == pytest.approx(f(x), rel=1e-13, abs=1e-14)
    if x.dtype.kind != "c":
        np.testing.assert_allclose(jacobian(f, mode="forward")(x), wanted, rtol=0, atol=tolerance)
        np.testing.assert_allclose(jacobian(f, mode="reverse")(x), wanted, rtol=0, atol=tolerance)


def test_near_and_at_a_tie_the_gradient_is_the_same():
    f = function(np.exp)
    for epsilon in (1e-12, 1e-9, 1e-6):
        near = with_spectrum(1, 1 + epsilon, 2, 3)
        np.testing.assert_allclose(grad(f)(near), grad(f)(with_spectrum(1, 1, 2, 3)), atol=1e-3 if epsilon < 1e-10 else 1e-5)


def test_mapped_and_stacked_matrices_may_be_degenerate_or_not():
    f = function(np.exp)
    xs = np.stack([with_spectrum(1, 1, 2, 2), symmetric(RNG.normal(size=(4, 4))), with_spectrum(1, 1, 1, 2)])
    wanted = np.stack([grad(f)(x) for x in xs])
    np.testing.assert_allclose(vmap(grad(f))(xs), wanted, atol=1e-12)

    def stacked(xs):
        w, v = np.linalg.eigh(symmetric(xs))
        return np.sum((v * np.exp(w)[:, None, :]) @ np.swapaxes(v, -1, -2) * C)

    np.testing.assert_allclose(grad(stacked)(xs), wanted, atol=1e-12)


def vectors(factor, full=True):
    """x -> a generic linear function of eigenvectors (factor "v") or of the singular vectors in U or V^H.

    Generic, because one element of an eigenvector may happen to be stationary under a turn of the basis LAPACK returns (v[0, 0] at
    v = 1: a cotangent that is symmetric in the block, as that of a function which does not depend on the gauge may be).
    """

    def f(x):
        found = np.linalg.eigh(symmetric(x))[1] if factor == "v" else np.linalg.svd(x, full)[0 if factor == "u" else 2]
        return np.real(np.sum(found * C[: found.shape[0], : found.shape[1]]))

    return f


DEPENDENT = {
    "eigh at the unit matrix": (vectors("v"), np.eye(3)),
    "eigh at 0": (vectors("v"), np.zeros((3, 3))),
    "eigh, one pair": (vectors("v"), with_spectrum(1, 1, 2, 3)),
    "eigh, two pairs": (vectors("v"), with_spectrum(1, 1, 2, 2)),
    "eigh, complex": (vectors("v"), symmetric(UNITARY * np.array([1.0, 1.0, 2.0]) @ np.conjugate(UNITARY.T))),
    "U at the unit matrix": (vectors("u"), np.eye(3)),
    "V at the unit matrix": (vectors("vh"), np.eye(3)),
    "U, rank one": (vectors("u"), np.diag([1.0, 0.0, 0.0])),
    "V, rank one": (vectors("vh"), np.diag([1.0, 0.0, 0.0])),
    "U, tied": (vectors("u", full=False), 2 * Q[:, :3]),
    "U, tall, low rank, thin": (vectors("u", full=False), LOW_RANK),
    "V, wide, low rank, thin": (vectors("vh", full=False), LOW_RANK.T),
    "U beyond min(m, n)": (vectors("u"), np.cos(np.arange(8.0)).reshape(4, 2)),
    "V beyond min(m, n)": (vectors("vh"), np.cos(np.arange(8.0)).reshape(2, 4)),
    "V at 0": (vectors("vh"), np.zeros((4, 3))),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_a_cotangent_that_depends_on_the_gauge_raises(name):
    f, x = DEPENDENT[name]
    with pytest.raises(errors.DegeneracyError, match="arbitrary"):
        grad(f)(x)


def test_values_alone_share_at_a_tie_and_rest_at_zero():
    largest = lambda x: np.linalg.eigvalsh(x)[-1]
    for derivative in (grad(largest), lambda x: forward(largest, x)):
        np.testing.assert_allclose(derivative(np.eye(2)), np.eye(2) / 2)
    for derivative in (grad(lambda x: np.linalg.norm(x, 2)), lambda x: forward(lambda x: np.linalg.norm(x, 2), x)):
        np.testing.assert_allclose(derivative(np.eye(2)), np.eye(2) / 2)
    nuclear = lambda x: np.sum(np.linalg.svdvals(x))
    for derivative in (grad(nuclear), lambda x: forward(nuclear, x)):
        np.testing.assert_allclose(derivative(np.diag([1.0, 0.0])), np.diag([1.0, 0.0]))


# ---- second order -----------------------------------------------------------------------------------------------------


def inner(a, b):
    return np.real(np.sum(np.conjugate(a) * b))


def along(f, e):
    return lambda y: jvp(f, (y,), (e,))[1]


NESTINGS = {
    "forward over reverse": lambda f, x, e: jvp(grad(f), (x,), (e,))[1],
    "reverse over reverse": lambda f, x, e: grad(lambda y: inner(grad(f)(y), e))(x),
    "reverse over forward": lambda f, x, e: grad(along(f, e))(x),
    "forward over forward": lambda f, x, e: (forward if x.dtype.kind == "c" else lambda f, x: jacfwd(f)(x))(along(f, e), x),
    "linearized gradient": lambda f, x, e: linearize(grad(f), x)[1](e),
}


def direction(x, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)


@pytest.mark.parametrize("name", CASES)
def test_a_function_that_does_not_depend_on_the_gauge_has_its_second_derivative_in_all_nestings(name):
    f, x = CASES[name]
    e, h = direction(x), 2e-3
    gradient = lambda y: differences(f, y, h)
    wanted = (8 * (gradient(x + h * e) - gradient(x - h * e)) - (gradient(x + 2 * h * e) - gradient(x - 2 * h * e))) / (12 * h)
    size = max(1.0, np.max(np.abs(wanted)))
    exact = NESTINGS["forward over reverse"](f, x, e)
    np.testing.assert_allclose(exact, wanted, rtol=0, atol=5e-7 * size)
    for nesting, product in NESTINGS.items():
        np.testing.assert_allclose(product(f, x, e), exact, rtol=0, atol=1e-12 * size, err_msg=nesting)
    if x.dtype.kind != "c":
        for matrix in (hessian(f), jacfwd(jacfwd(f)), jacrev(jacrev(f)), jacrev(jacfwd(f))):
            np.testing.assert_allclose(np.tensordot(matrix(x), e, x.ndim), exact, rtol=0, atol=1e-12 * size)


def weighted(matrix):
    return np.sum(matrix * C[: matrix.shape[0], : matrix.shape[1]])


def of_eigh(h):
    """x -> V h(w) V^T of the symmetric part of x."""

    def f(x):
        w, v = np.linalg.eigh(symmetric(x))
        return (v * h(w)) @ v.T

    return f


def cubed_by_svd(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return weighted((u * s**3) @ vh)


def eigenvalues_of_a_square(x):
    return np.sum(np.linalg.eigvalsh(of_eigh(np.square)(x)) ** 3)


def singular_values_of_a_square(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.sum(np.linalg.svdvals((u * s**2) @ vh) ** 4)


def power(n):
    return lambda x: weighted(np.linalg.matrix_power(symmetric(x), n))


PAIRS = with_spectrum(1, 1, 2, 2)
Q3 = np.linalg.qr(UNITARY.real)[0]
PAIR, NO_PAIR = (symmetric(Q3 * np.array(w) @ Q3.T) for w in ((1.0, 1.0, 2.0), (1.0, 2.0, 3.0)))


def generalized(h):
    """x -> C w**2 C^T with h C = x C diag(w), C^T x C = 1; on the way, eigenvectors of x that depend on the gauge."""

    def f(x):
        w, v = np.linalg.eigh(symmetric(x))
        root = v / np.sqrt(w)
        w, v = np.linalg.eigh(root.T @ h @ root)
        found = root @ v
        return weighted((found * w**2) @ found.T)

    return f


def generalized_polynomial(h):
    def f(x):
        y = np.linalg.inv(symmetric(x))
        return weighted(y @ h @ y @ h @ y)

    return f


POLYNOMIALS = {
    "w": (lambda x: weighted(of_eigh(lambda w: w)(x)), power(1), PAIRS),
    "w**2 at the unit matrix": (lambda x: weighted(of_eigh(np.square)(x)), power(2), np.eye(4)),
    "w**3": (lambda x: weighted(of_eigh(lambda w: w**3)(x)), power(3), PAIRS),
    "w**3 at 0": (lambda x: weighted(of_eigh(lambda w: w**3)(x)), power(3), np.zeros((4, 4))),
    "1 / w": (lambda x: weighted(of_eigh(lambda w: 1 / w)(x)), power(-1), PAIRS),
    "w**2, small": (lambda x: weighted(of_eigh(np.square)(x)), power(2), 1e-9 * np.eye(3)),
    "the whole space": (lambda x: weighted(of_eigh(np.ones_like)(x)), lambda x: weighted(np.eye(4) + 0 * x), PAIRS),
    "s**3": (cubed_by_svd, lambda x: weighted(x @ x.T @ x), np.eye(4)),
    "s**3, low rank": (cubed_by_svd, lambda x: weighted(x @ x.T @ x), LOW_RANK),
    "s**3, wide, low rank": (cubed_by_svd, lambda x: weighted(x @ x.T @ x), LOW_RANK.T),
    "s**3 at 0": (cubed_by_svd, lambda x: weighted(x @ x.T @ x), np.zeros((2, 3))),
    "eigh of a function of eigh": (lambda x: weighted(of_eigh(np.square)(of_eigh(np.square)(x))), power(4), PAIR),
    "eigenvalues of a function of eigh": (
        eigenvalues_of_a_square, lambda x: np.trace(np.linalg.matrix_power(symmetric(x), 6)), PAIR
    ),
    "singular values of a function of svd": (
        singular_values_of_a_square, lambda x: np.trace(np.linalg.matrix_power(x @ x.T, 4)), np.diag([1.0, 1.0, 0.0])
    ),
    "a generalized problem": (generalized(NO_PAIR), generalized_polynomial(NO_PAIR), np.eye(3)),
    "a generalized problem, tied too": (generalized(PAIR), generalized_polynomial(PAIR), np.eye(3)),
    "a generalized problem, all tied": (generalized(np.eye(3)), generalized_polynomial(np.eye(3)), PAIR),
}  # fmt: skip


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_a_polynomial_of_the_matrix_by_its_spectrum_is_that_polynomial_to_second_order(name):
    f, polynomial, x = POLYNOMIALS[name]
    e = direction(x)
    first, second = grad(polynomial)(x), hvp(polynomial, x, e)
    tolerance = 1e-12 * max(np.max(np.abs(first)), 1e-3 * np.max(np.abs(x)))
    np.testing.assert_allclose(grad(f)(x), first, rtol=0, atol=tolerance)
    np.testing.assert_allclose(jacfwd(f)(x), first, rtol=0, atol=tolerance)
    for nesting, product in NESTINGS.items():
        np.testing.assert_allclose(product(f, x, e), second, rtol=0, atol=1e-11 * max(1.0, np.max(np.abs(second))), err_msg=nesting)


@pytest.mark.parametrize("name", ["w**3", "1 / w", "w**3 at 0", "s**3", "s**3, low rank"])
def test_the_third_derivative_is_exact(name):
    f, polynomial, x = POLYNOMIALS[name]
    e, d = direction(x, 1), direction(x, 2)
    wanted = jvp(along(grad(polynomial), e), (x,), (d,))[1]
    third = {
        "forward, forward, reverse": jvp(along(grad(f), e), (x,), (d,))[1],
        "reverse three times": grad(lambda z: inner(grad(lambda y: inner(grad(f)(y), e))(z), d))(x),
        "reverse, forward, forward": grad(along(along(f, e), d))(x),
        "reverse, forward, reverse": grad(lambda z: inner(along(grad(f), e)(z), d))(x),
    }
    for nesting, found in third.items():
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * np.max(np.abs(wanted)), err_msg=nesting)


def test_many_equal_values_are_split_exactly_and_at_every_scale():
    c = np.random.default_rng(3).normal(size=(30, 30))
    e = direction(c)
    f = lambda x: np.sum(of_eigh(lambda w: w**3)(x) * c)
    cube = lambda x: np.sum(np.linalg.matrix_power(symmetric(x), 3) * c)
    for scale in (1e-8, 1.0, 1e8):
        for run in (grad, lambda f: lambda x: hvp(f, x, e)):
            wanted = run(cube)(scale * np.eye(30))
            np.testing.assert_allclose(run(f)(scale * np.eye(30)), wanted, rtol=0, atol=1e-12 * np.max(np.abs(wanted)))


def test_a_mapped_hessian_is_exact_where_some_instances_are_degenerate():
    f, e = (lambda x: weighted(of_eigh(lambda w: w**3)(x))), direction(PAIRS)
    xs = np.stack([PAIRS, symmetric(RNG.normal(size=(4, 4))), np.eye(4), with_spectrum(1, 1, 1, 2)])
    wanted = np.stack([hvp(power(3), x, e) for x in xs])
    matrices = vmap(hessian(f))(xs)
    np.testing.assert_allclose(np.tensordot(matrices, e, 2), wanted, atol=1e-12)
    np.testing.assert_allclose(vmap(lambda x: hvp(f, x, e))(xs), wanted, atol=1e-12)
    np.testing.assert_allclose(hvp(lambda xs: np.sum(vmap(f)(xs)), xs, np.stack([e] * 4)), wanted, atol=1e-12)

    def stacked(xs):
        w, v = np.linalg.eigh(symmetric(xs))
        return np.sum((v * w[:, None, :] ** 3) @ np.swapaxes(v, -1, -2) * C)

    np.testing.assert_allclose(hvp(stacked, xs, np.stack([e] * 4)), wanted, atol=1e-12)


def test_a_derivative_may_be_used_inside_a_function_and_differentiated():
    f, cube, e = (lambda x: weighted(of_eigh(lambda w: w**3)(x))), power(3), direction(PAIRS)
    bent = lambda f: lambda x: np.sum(np.sin(grad(f)(x)))
    np.testing.assert_allclose(grad(bent(f))(PAIRS), grad(bent(cube))(PAIRS), atol=1e-11)
    np.testing.assert_allclose(jvp(bent(f), (PAIRS,), (e,))[1], jvp(bent(cube), (PAIRS,), (e,))[1], atol=1e-11)
    scaled = lambda f: lambda x, y: f(x * y)
    mixed = lambda f: grad(lambda x: grad(scaled(f), argnums=1)(x, 1.5))(PAIRS)
    np.testing.assert_allclose(mixed(f), mixed(cube), atol=1e-11)
    np.testing.assert_allclose(jacfwd(lambda y: grad(scaled(f))(PAIRS, y))(1.5), mixed(cube), atol=1e-11)
    np.testing.assert_allclose(hvp(checkpoint(f), PAIRS, e), hvp(cube, PAIRS, e), atol=1e-11)
    check_grads(f, (PAIRS,), order=2)

    def rate_of_a_projector(x):
        """By the derivatives of the eigenvectors themselves, which depend on the gauge: all in all this does not."""
        (_, v), (_, dv) = jvp(lambda x: tuple(np.linalg.eigh(symmetric(x))), (x,), (e,))
        return weighted(v[:, :2] @ dv[:, :2].T + dv[:, :2] @ v[:, :2].T)

    np.testing.assert_allclose(grad(rate_of_a_projector)(PAIRS), grad(along(projector, e))(PAIRS), atol=1e-12)


def test_a_long_function_of_a_degenerate_spectrum_needs_no_deep_recursion():
    def f(x):
        y = of_eigh(lambda w: w)(x)
        for _ in range(400):
            y = y * 1.0001
        return weighted(y)

    for run in (grad, lambda f: lambda x: grad(lambda y: inner(grad(f)(y), C) ** 2)(x)):
        np.testing.assert_allclose(run(f)(np.eye(4)), run(lambda x: 1.0001**400 * power(1)(x))(np.eye(4)), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in DEPENDENT if "beyond" not in name])
def test_a_second_derivative_that_depends_on_the_gauge_raises(name):
    f, x = DEPENDENT[name]
    for nesting, product in NESTINGS.items():
        with pytest.raises(errors.DegeneracyError, match=r"\(at .*test_degenerate.py:\d+\) depends on the arbitrary basis"):
            product(f, x, direction(x))
            pytest.fail(nesting)


def test_an_element_of_an_eigenvector_that_is_stationary_raises_at_second_order():
    element = lambda x: np.linalg.eigh(x)[1][0, 0]
    np.testing.assert_allclose(grad(element)(np.eye(2)), 0)
    for product in NESTINGS.values():
        with pytest.raises(errors.DegeneracyError, match="arbitrary"):
            product(element, np.eye(2), np.ones((2, 2)))


def test_what_is_not_supported_says_so():
    f = function(np.square)
    assert f(Dual(np.eye(2), C[:2, :2])).tangent == pytest.approx(inner(grad(f)(np.eye(2)), C[:2, :2]))
    with pytest.raises(errors.DegeneracyError, match=r"test_degenerate.py:\d+\) is not supported for Dual numbers made by hand"):
        f(Dual(Dual(np.eye(2), C[:2, :2]), C[:2, :2]))

    def three(x):
        return weighted(of_eigh(np.tanh)(of_eigh(np.tanh)(of_eigh(np.tanh)(x))))

    assert grad(three)(np.eye(2)).shape == (2, 2)
    with pytest.raises(errors.DegeneracyError, match="three such factorizations"):
        hvp(three, np.eye(2), np.ones((2, 2)))


def test_nothing_of_the_splitting_leaves_a_transform():
    (w, v), pullback = vjp(lambda x: tuple(np.linalg.eigh(x)), np.eye(2))
    assert type(w) is type(v) is np.ndarray and w.tolist() == [1.0, 1.0]
    (found,) = pullback((np.ones(2), np.zeros((2, 2))))
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, np.eye(2))
    found, aux = grad(lambda x: (np.sum(np.linalg.eigh(x)[0]), np.linalg.eigh(x)[0]), has_aux=True)(np.eye(2))
    assert type(aux) is type(found) is np.ndarray
    with Tape() as tape:
        x = tape.watch(PAIRS)
        (found,) = tape.pullback(power(2)(x) + weighted(of_eigh(np.exp)(x)))
    assert type(found) is np.ndarray
    f = lambda x: (grad(lambda x: weighted(of_eigh(np.exp)(x)))(x), np.linalg.eigh(x))
    out, tangent, aux = jvp(f, (PAIRS,), (C,), has_aux=True)
    assert type(out) is type(tangent) is type(aux[0]) is type(aux[1]) is np.ndarray


def test_no_circle_of_references_is_left():
    f = lambda x: weighted(of_eigh(np.exp)(x))
    runs = (lambda: grad(f)(PAIRS), lambda: hvp(f, PAIRS, C), lambda: grad(lambda y: inner(grad(f)(y), C))(PAIRS))
    for run in runs:
        run()
        gc.collect()
        gc.disable()
        try:
            run()
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_float32_stays_float32_at_a_tie():
    x = np.eye(2, dtype=np.float32)
    c = C[:2, :2].astype(np.float32)
    found = grad(lambda x: (lambda w, v: np.sum((v * np.log(w)) @ v.T * c))(*np.linalg.eigh(symmetric(x))))(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, symmetric(c), atol=1e-6)
    f = lambda x: np.sum(of_eigh(np.exp)(x) * c)
    for product in NESTINGS.values():
        found = product(f, x, c)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, hvp(f, x.astype(float), c.astype(float)), atol=1e-5)
