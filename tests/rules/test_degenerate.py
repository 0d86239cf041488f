"""Equal eigenvalues and singular values: functions that do not depend on the choice of basis are exact, others raise.

The reference is a fourth-order difference of plain NumPy, whose rounding is about 1e-9 of the largest value.
"""
from __future__ import annotations

import numpy as np
import pytest

from dualgrad import errors, grad, hessian, jacobian, jvp, linearize, value_and_grad, vjp, vmap

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


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: np.sum(np.linalg.eigvalsh(symmetric(x)) ** 3), with_spectrum(1, 1, 2, 2)),
        (lambda x: np.sum(np.linalg.svdvals(x) ** 4), with_spectrum(1, 1, 2, 2)),
        (lambda x: np.sum(np.linalg.svdvals(x) ** 2), LOW_RANK),
    ],
    ids=["eigvalsh", "svdvals", "svdvals of low rank"],
)
def test_a_symmetric_function_of_tied_values_has_its_second_derivative_in_all_nestings(f, x):
    basis = np.eye(x.size).reshape(x.size, *x.shape)
    wanted = np.stack([(grad(f)(x + 1e-4 * e) - grad(f)(x - 1e-4 * e)).ravel() / 2e-4 for e in basis])
    along = lambda f, e: lambda y: jvp(f, (y,), (e,))[1]
    nestings = {
        "forward over reverse": lambda e: jvp(grad(f), (x,), (e,))[1],
        "reverse over reverse": lambda e: grad(lambda y: np.sum(grad(f)(y) * e))(x),
        "reverse over forward": lambda e: grad(along(f, e))(x),
        "forward over forward": lambda e: np.array([along(along(f, e), d)(x) for d in basis]),
    }
    for name, row in nestings.items():
        found = np.stack([row(e).ravel() for e in basis])
        np.testing.assert_allclose(found, wanted, atol=1e-6 * np.max(np.abs(wanted)), err_msg=name)
    np.testing.assert_allclose(hessian(f)(x).reshape(x.size, x.size), wanted, atol=1e-6 * np.max(np.abs(wanted)))


@pytest.mark.parametrize(
    "run",
    [
        lambda f, x: jvp(grad(f), (x,), (x,)),
        lambda f, x: grad(lambda y: np.sum(grad(f)(y)))(x),
        lambda f, x: jvp(lambda y: jvp(f, (y,), (x,))[1], (x,), (x,)),
        lambda f, x: grad(lambda y: jvp(f, (y,), (x,))[1])(x),
        linearize,
    ],
    ids=["jvp of grad", "grad of grad", "jvp of jvp", "grad of jvp", "linearize"],
)
def test_a_second_derivative_of_degenerate_eigenvectors_says_that_it_is_not_supported(run):
    with pytest.raises(errors.DegeneracyError, match=r"eigenvalues or singular values \(at .*test_degenerate.py:\d+\)"):
        run(function(np.square), np.eye(2))


def test_nothing_of_the_splitting_leaves_a_transform():
    (w, v), pullback = vjp(lambda x: tuple(np.linalg.eigh(x)), np.eye(2))
    assert type(w) is type(v) is np.ndarray and w.tolist() == [1.0, 1.0]
    (found,) = pullback((np.ones(2), np.zeros((2, 2))))
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, np.eye(2))
    found, aux = grad(lambda x: (np.sum(np.linalg.eigh(x)[0]), np.linalg.eigh(x)[0]), has_aux=True)(np.eye(2))
    assert type(aux) is type(found) is np.ndarray


def test_float32_stays_float32_at_a_tie():
    x = np.eye(2, dtype=np.float32)
    c = C[:2, :2].astype(np.float32)
    found = grad(lambda x: (lambda w, v: np.sum((v * np.log(w)) @ v.T * c))(*np.linalg.eigh(symmetric(x))))(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, symmetric(c), atol=1e-6)
