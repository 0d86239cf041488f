"""A root (norm, std, modulus) remembers its square: the square of the root is smooth where the root is not.

The reference is the closed form: the Hessian of |x|**2 is 2, that of var is 2 / n (1 - 1 / n).
"""
from __future__ import annotations

import numpy as np
import pytest

from dualgrad import grad, jacfwd, jacrev, jvp, value_and_grad, vmap

RNG = np.random.default_rng(5)
CENTRED = np.eye(3) - 1 / 3
complex_of = lambda x: x[:2] + 1j * x[1:]
MODULUS = np.array([[2.0, 0, 0], [0, 4, 0], [0, 0, 2]])  # |x0 + i x1|**2 + |x1 + i x2|**2

ROOTS = {
    "norm": (np.linalg.norm, 2 * np.eye(3)),
    "norm of a slice": (lambda x: np.linalg.norm(x[1:], 2), np.diag([0.0, 2, 2])),
    "norms of rows": (lambda x: np.linalg.norm(np.stack([x, 2 * x]), axis=1), 10 * np.eye(3)),
    "norms, keepdims": (lambda x: np.linalg.norm(x[None], axis=-1, keepdims=True), 2 * np.eye(3)),
    "Frobenius": (lambda x: np.linalg.norm(x[:, None] * np.array([1.0, 2.0]), "fro"), 10 * np.eye(3)),
    "norm, complex": (lambda x: np.linalg.norm(complex_of(x)), MODULUS),
    "vector_norm": (np.linalg.vector_norm, 2 * np.eye(3)),
    "abs": (np.abs, 2 * np.eye(3)),
    "the operator abs": (abs, 2 * np.eye(3)),
    "abs, complex": (lambda x: np.abs(complex_of(x)), MODULUS),
    "std": (np.std, 2 / 3 * CENTRED),
    "std, ddof": (lambda x: np.std(x, ddof=1), CENTRED),
    "the method std": (lambda x: x.std(axis=0, keepdims=True), 2 / 3 * CENTRED),
}  # fmt: skip
SQUARES = {
    "**2": lambda r: r**2,
    "r*r": lambda r: r * r,
    "**2.0": lambda r: r**2.0,
    "square": np.square,
    "power": lambda r: np.power(r, 2),
}
NESTINGS = {
    "forward over forward": lambda f: jacfwd(jacfwd(f)),
    "forward over reverse": lambda f: jacfwd(jacrev(f)),
    "reverse over forward": lambda f: jacrev(jacfwd(f)),
    "reverse over reverse": lambda f: jacrev(jacrev(f)),
}
ZERO = np.zeros(3)
cases = pytest.mark.parametrize(("root", "wanted"), [case for case in ROOTS.values() if case[1] is not None],
                                ids=[name for name, case in ROOTS.items() if case[1] is not None])  # fmt: skip
nestings = pytest.mark.parametrize("nesting", NESTINGS.values(), ids=list(NESTINGS))


def sum_of_squares(root, square=SQUARES["**2"]):
    return lambda x: np.sum(square(root(x)))


@nestings
@cases
def test_the_square_of_a_root_has_its_exact_hessian_everywhere(root, wanted, nesting):
    for square in SQUARES.values():
        for x in (ZERO, np.array([0.5, -1.0, 2.0])):
            np.testing.assert_allclose(nesting(sum_of_squares(root, square))(x), wanted, atol=1e-14)


@cases
def test_its_value_is_numpys_to_the_last_bit_and_its_gradient_is_2_r_dr(root, wanted):
    for square in SQUARES.values():
        f = sum_of_squares(root, square)
        for x in (ZERO, RNG.normal(size=3)):
            assert value_and_grad(f)(x)[0] == f(x) == jvp(f, (x,), (x,))[0]
            np.testing.assert_allclose(grad(f)(x), wanted @ x, atol=1e-14)


@nestings
@cases
def test_under_vmap_it_is_the_same(root, wanted, nesting):
    xs = np.stack([ZERO, RNG.normal(size=3)])
    f = sum_of_squares(root)
    np.testing.assert_allclose(vmap(nesting(f))(xs), np.stack([wanted, wanted]), atol=1e-14)
    found = nesting(lambda xs: np.sum(vmap(f)(xs)))(xs)
    np.testing.assert_allclose(found, np.einsum("ij,kl->ikjl", np.eye(2), wanted), atol=1e-14)


def test_a_higher_power_or_a_broadcast_one_is_as_numpy_says():
    x = np.array([3.0, 0.0, 4.0])
    np.testing.assert_allclose(grad(lambda x: np.linalg.norm(x) ** 3)(x), 3 * 5 * x)
    np.testing.assert_allclose(jacrev(lambda x: np.linalg.norm(x) ** np.array([1.0, 2.0]))(x), [x / 5, 2 * x])
    np.testing.assert_allclose(jacrev(lambda x: np.abs(x) ** np.array([[2.0], [3.0]]))(x)[:, 2, 2], [8, 48])
    np.testing.assert_allclose(grad(lambda x: x[0] ** 2 * 2.0 ** np.linalg.norm(x[2:]))(x), [96, 0, 9 * 16 * np.log(2)])


def test_a_square_keeps_the_dtype():
    for dtype in ("f", "d", "g"):
        x = np.array([0.0, 0.5], dtype)
        for root in (np.linalg.norm, np.std, np.abs):
            value, gradient = value_and_grad(sum_of_squares(root))(x)
            assert value.dtype == gradient.dtype == dtype


def test_the_square_of_a_square_root_is_ieee():
    """np.sqrt is no norm: its slope at 0 is infinite (K4), and a computed zero times that is nan."""
    assert np.isnan(jacrev(jacrev(lambda x: np.sqrt(np.sum(x**2)) ** 2))(ZERO)).any()


# ---- what is written to -----------------------------------------------------------------------------------------------


def shifted(x):
    n = np.linalg.norm(x[None], axis=1)
    n += 1
    return n**2


def shifted_scalar(x):
    n = np.linalg.norm(x) * 1
    n += 1
    return n**2


def replaced(x):
    y = np.abs(x)
    y[0] = x[1]
    return y**2


def replaced_through_a_view(x):
    y = np.abs(x)
    view = y[:1]
    view[0] = x[1]
    return y**2


def view_of_what_is_replaced(x):
    y = np.abs(x)
    view = y[:]
    y[0] = x[1]
    return view**2


def view_of_a_view(x):
    y = np.abs(x)
    view = y.reshape(1, 3)
    view.T[0] = x[1]
    return np.square(y)


def scaled_in_place(x):
    y = np.abs(x)
    y *= 3
    return y**2


def squared_in_place(x):
    y = np.abs(x)
    y **= 2
    return y**2


def filled(x):
    y = np.abs(x)
    y.fill(2.0)
    return y**2


def out_argument(x):
    y = np.abs(x)
    np.add(y, x, out=y)
    return y**2


X = np.array([0.5, -1.0, 2.0])
WRITES = {
    "n += 1": (shifted, lambda x: (np.sqrt(np.sum(x * x)) + 1) ** 2),
    "n * 1 + 1": (shifted_scalar, lambda x: (np.sqrt(np.sum(x * x)) + 1) ** 2),
    "y[0] = x[1]": (replaced, lambda x: np.stack([x[1], x[1], x[2]]) ** 2),
    "through a view": (replaced_through_a_view, lambda x: np.stack([x[1], x[1], x[2]]) ** 2),
    "seen by a view": (view_of_what_is_replaced, lambda x: np.stack([x[1], x[1], x[2]]) ** 2),
    "through a view of a view": (view_of_a_view, lambda x: np.stack([x[1], x[1], x[2]]) ** 2),
    "y *= 3": (scaled_in_place, lambda x: 9 * x * x),
    "y **= 2": (squared_in_place, lambda x: x * x * x * x),
    "fill": (filled, lambda x: 4 + 0 * x),
    "out=y": (out_argument, lambda x: x * x * (1 + np.sign(x)) ** 2),
}


@nestings
@pytest.mark.parametrize("name", WRITES)
def test_a_write_into_a_root_makes_it_forget_its_square(name, nesting):
    f, plain = (lambda x, g=g: np.sum(g(x)) for g in WRITES[name])
    assert value_and_grad(f)(X)[0] == f(X)
    np.testing.assert_allclose(grad(f)(X), grad(plain)(X), atol=1e-14)
    np.testing.assert_allclose(nesting(f)(X), nesting(plain)(X), atol=1e-14)


def test_a_write_into_one_result_of_out_remembers_the_square_of_what_was_written():
    def f(x):
        y = np.zeros_like(x)
        np.abs(x, out=y)
        return np.sum(y**2)

    for nesting in NESTINGS.values():
        np.testing.assert_array_equal(nesting(f)(ZERO), 2 * np.eye(3))


@nestings
@cases
def test_a_write_into_the_argument_does_not_change_the_square_of_its_root(root, wanted, nesting):
    def f(x):
        x = x * 1
        y = root(x)
        x[:] = 7.0
        x += 1
        return np.sum(y**2)

    for x in (ZERO, X):
        np.testing.assert_allclose(nesting(f)(x), wanted, atol=1e-14)


@nestings
def test_a_copy_of_a_root_is_written_to_on_its_own(nesting):
    def f(x):
        y = np.abs(x)
        z = y.copy()
        z += 1
        return np.sum(y**2)

    np.testing.assert_array_equal(nesting(f)(ZERO), 2 * np.eye(3))


def test_the_square_belongs_to_the_trace_of_the_root():
    """The root of an outer variable is a constant of an inner transform, and keeps its square."""
    f = lambda x: grad(lambda t: t * np.linalg.norm(x) ** 2)(1.0)
    for nesting in NESTINGS.values():
        np.testing.assert_array_equal(nesting(f)(ZERO), 2 * np.eye(3))
    g = lambda x: (lambda n: grad(lambda t: n**2 * t)(1.0))(np.linalg.norm(x))
    for nesting in NESTINGS.values():
        np.testing.assert_array_equal(nesting(g)(ZERO), 2 * np.eye(3))
