"""Derivatives of derivatives: every pair of modes, traces that meet, and closed forms at points where shortcuts go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from dualgrad import (
    Dual,
    checkpoint,
    custom_jvp,
    derivative,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    vjp,
    vmap,
)


# ---- the derivative of a scalar function, in as many ways as there are --------------------------------------------------
def by_jvp(f: Callable) -> Callable:
    return lambda x: jvp(f, (x,), (np.ones_like(x),))[1]


def by_vjp(f: Callable) -> Callable:
    return lambda x: (lambda out, pullback: pullback(np.ones_like(out))[0])(*vjp(f, x))


def by_dual(f: Callable) -> Callable:
    def slope(x: Any) -> Any:
        y = f(Dual(x, np.ones_like(x)))
        return y.tangent if isinstance(y, Dual) and y.tangent is not None else np.zeros_like(x)

    return slope


MODES: dict[str, Callable] = {
    "jvp": by_jvp,
    "vjp": by_vjp,
    "grad": grad,
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "linearize": lambda f: lambda x: linearize(f, x)[1](np.ones_like(x)),
    "derivative": derivative,
    "vmap of grad": lambda f: lambda x: vmap(grad(f))(np.stack([x, x]))[1],
    "grad of checkpoint": lambda f: grad(checkpoint(f)),
}
BASIC = {name: MODES[name] for name in ("jvp", "vjp")}
pairs = pytest.mark.parametrize(
    ("outer", "inner"), [pytest.param(MODES[a], MODES[b], id=f"{a}-{b}") for a, b in product(MODES, MODES)]
)
triples = pytest.mark.parametrize("modes", [pytest.param(t, id="-".join(t)) for t in product(BASIC, repeat=3)])


@pairs
def test_the_inner_derivative_is_blind_to_the_outer_variable(outer, inner):
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(1.0))(4.0) == 8.0
    assert outer(lambda x: x * inner(lambda y: x + y)(x))(5.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: y + x)(x))(5.0) == 1.0


@pairs
def test_an_inner_function_that_ignores_its_variable(outer, inner):
    if inner is derivative:
        pytest.skip("`derivative` verifies an output made from its own input")
    assert outer(lambda x: inner(lambda y: x * np.ones_like(y))(1.0) + 0 * x)(1.0) == 0.0


@pairs
def test_products_of_the_two_variables(outer, inner):
    """d/dx [x d/dy (x y^2 + sin(x y)) at y = x] at 0.7, by hand."""
    x = 0.7
    wanted = (6 * x**2) + (2 * x * np.cos(x * x) - 2 * x**3 * np.sin(x * x))
    got = outer(lambda x: x * inner(lambda y: x * y**2 + np.sin(x * y))(x))(x)
    assert float(got) == pytest.approx(wanted, rel=1e-14)


@pairs
def test_arithmetic_in_both_orders_of_operands(outer, inner):
    """Binary operations with the inner variable on either side of the outer one."""
    for f, mixed in (
        (lambda x, y: x / y, lambda x, y: -1 / y**2),
        (lambda x, y: y / x, lambda x, y: -1 / x**2),
        (lambda x, y: x - y * x, lambda x, y: -1.0),
        (lambda x, y: x**y, lambda x, y: x ** (y - 1) * (1 + y * np.log(x))),
        (lambda x, y: y**x, lambda x, y: y ** (x - 1) * (1 + x * np.log(y))),
        (lambda x, y: np.maximum(x, y) * x, lambda x, y: float(y > x)),
        (lambda x, y: np.hypot(x, y), lambda x, y: -x * y / (x * x + y * y) ** 1.5),
        (lambda x, y: np.arctan2(y, x), lambda x, y: (y * y - x * x) / (x * x + y * y) ** 2),
    ):
        got = outer(lambda x: inner(lambda y: f(x, y))(1.3))(0.6)  # noqa: B023
        assert float(got) == pytest.approx(mixed(0.6, 1.3), rel=1e-13)


@pairs
def test_rebinding_an_outer_variable_inside(outer, inner):
    """The cell of the outer variable is the caller's: `x = x*y; x` and `x *= y` inside must not change it."""

    def f(x: Any) -> Any:
        def rebind(y: Any, x: Any = x) -> Any:
            x = x * y
            return x

        def augment(y: Any, x: Any = x) -> Any:
            x *= y
            return x

        return inner(rebind)(2.0) * inner(rebind)(3.0) + inner(augment)(2.0) * inner(augment)(3.0)

    assert outer(f)(5.0) == 20.0


@triples
def test_three_levels(modes):
    d1, d2, d3 = (BASIC[name] for name in modes)
    assert float(d1(lambda x: d2(lambda y: d3(lambda z: x * y * z + x**2 * y**2 * z**2)(y))(x))(0.5)) == pytest.approx(
        # d/dz: xy + 2 x²y² z at z=y: xy + 2x²y³; d/dy at y=x: x + 6x²y² → x + 6x⁴; d/dx: 1 + 24 x³
        1 + 24 * 0.5**3,
        rel=1e-14,
    )
    assert float(d1(d2(d3(np.sin)))(0.4)) == pytest.approx(-np.cos(0.4), rel=1e-14)


@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_of_a_quadratic_form_has_a_constant_jacobian(mode):
    matrix = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0], [2.0, 0.3, 0.0]])
    x = np.array([0.3, -0.4, 2.0])
    for outer, inner in product((jacfwd, jacrev, jacobian), (grad, jacfwd, jacrev)):
        np.testing.assert_allclose(outer(inner(lambda y: y @ (matrix @ y)))(x), matrix + matrix.T, rtol=1e-14)
    for outer in (jacfwd, jacrev, jacobian):
        np.testing.assert_allclose(outer(lambda x: grad(lambda y: y @ (matrix @ x))(x))(x), matrix, rtol=1e-14)


ORDERS = {
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f)),
    "jacfwd of grad": lambda f: jacfwd(grad(f)),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(f)),
    "jacrev of grad": lambda f: jacrev(grad(f)),
    "hessian": hessian,
    "jacobian of jacobian": lambda f: jacobian(jacobian(f)),
    "hvp, mapped": lambda f: lambda x: vmap(lambda v: hvp(f, x, v))(np.eye(np.size(x)).reshape(-1, *np.shape(x))),
    "loop over jvp of grad": lambda f: (
        lambda x: np.stack([jvp(grad(f), (x,), (e,))[1] for e in np.eye(np.size(x)).reshape(-1, *np.shape(x))])
    ),
    "loop over grad of jvp": lambda f: (
        lambda x: np.stack([grad(lambda y: jvp(f, (y,), (e,))[1])(x) for e in np.eye(np.size(x)).reshape(-1, *np.shape(x))])  # noqa: B023
    ),
    "grad of grad": lambda f: (
        lambda x: np.stack([grad(lambda y: np.sum(grad(f)(y) * e))(x) for e in np.eye(np.size(x)).reshape(-1, *np.shape(x))])  # noqa: B023
    ),
}
orders = pytest.mark.parametrize("second", [pytest.param(f, id=name) for name, f in ORDERS.items()])


@orders
def test_the_hessian_of_a_quadratic_form_at_zero(second):
    """No rule may shortcut on a zero primal."""
    matrix = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0], [2.0, 0.3, 0.0]])
    np.testing.assert_array_equal(second(lambda x: x @ matrix @ x)(np.zeros(3)), matrix + matrix.T)
    np.testing.assert_array_equal(second(lambda x: np.sum(x * (matrix @ x)))(np.zeros(3)), matrix + matrix.T)
    np.testing.assert_array_equal(second(lambda x: x[0] * x[1] + 0 * x[2])(np.zeros(3)), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])


@orders
def test_the_hessian_of_a_power(second):
    wanted = np.array([[0, 1 / 4], [1 / 4, np.log(4) ** 2]])
    np.testing.assert_allclose(second(lambda p: p[0] ** p[1])(np.array([4.0, 0.0])), wanted, rtol=1e-14)


@pytest.mark.parametrize("outer", [jacfwd, jacrev, jacobian])
@pytest.mark.parametrize("inner", [grad, jacfwd, jacrev])
def test_the_hessian_of_a_power_of_two_arguments(outer, inner):
    blocks = outer(inner(lambda x, y: x**y, argnums=(0, 1)), argnums=(0, 1))(4.0, 0.0)
    np.testing.assert_allclose(blocks, [[0, 1 / 4], [1 / 4, np.log(4) ** 2]], rtol=1e-14)


@orders
def test_the_hessian_of_the_determinant_is_the_cofactor_formula(second):
    """d2 det / dA_ij dA_kl at the identity: delta_ij delta_kl - delta_il delta_jk."""
    eye = np.eye(3)
    wanted = np.einsum("ij,kl->ijkl", eye, eye) - np.einsum("il,jk->ijkl", eye, eye)
    np.testing.assert_allclose(np.reshape(second(np.linalg.det)(eye), wanted.shape), wanted, atol=1e-13)


@orders
def test_the_hessian_of_a_constant_function(second):
    for f in (
        lambda x: 3.0 + 0 * np.sum(x),
        lambda x: np.sum(np.ones(2)),
        lambda x: np.sum(stop_gradient(x) ** 2),
        lambda x: np.sum(np.floor(x)),
    ):
        got = second(f)(np.array([1.3, 2.7]))
        np.testing.assert_array_equal(got, np.zeros((2, 2)))
        assert got.dtype == np.float64


@orders
def test_the_second_derivative_behind_a_where(second):
    for x, wanted in ((-3.0, 0.0), (4.0, -1 / 32)):
        assert float(second(lambda x: np.sum(np.where(x > 0, np.sqrt(x * (x > 0)), 0)))(np.float64(x)).item()) == pytest.approx(
            wanted
        )
        with np.errstate(invalid="ignore"):  # np.sqrt(-3) warns in plain NumPy as well
            assert float(second(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)))(np.float64(x)).item()) == pytest.approx(wanted)


SIXFOLD = {
    "forward": ("jvp",) * 6,
    "reverse": ("vjp",) * 6,
    "alternating": ("jvp", "vjp") * 3,
    "alternating, reverse outside": ("vjp", "jvp") * 3,
}


@pytest.mark.parametrize("modes", SIXFOLD.values(), ids=SIXFOLD)
class TestHighOrders:
    def differentiate(self, f: Callable, modes: tuple[str, ...], order: int) -> Callable:
        for name in modes[:order]:
            f = BASIC[name](f)
        return f

    def test_of_a_power_at_zero(self, modes):
        for n in range(6):
            assert self.differentiate(lambda x: x**n, modes, n)(0.0) == math.factorial(n)  # noqa: B023
            assert self.differentiate(lambda x: x**n, modes, n + 1)(0.0) == 0  # noqa: B023
            assert self.differentiate(lambda x: x ** float(n), modes, n)(0.0) == math.factorial(n)  # noqa: B023
            assert self.differentiate(lambda x: np.power(x, np.array([n]))[0], modes, n)(0.0) == math.factorial(n)  # noqa: B023

    def test_of_a_reciprocal(self, modes):
        for f in (lambda x: 1 / x, np.reciprocal, lambda x: x**-1, lambda x: x**-1.0, lambda x: np.float_power(x, -1)):
            assert float(self.differentiate(f, modes, 6)(4.0)) == pytest.approx(0.0439453125, rel=1e-13)

    def test_of_transcendental_functions(self, modes):
        for f, wanted in (
            (np.exp, math.exp(0.3)),
            (np.sin, -math.sin(0.3)),
            (lambda x: np.log(x + 1), -120 / 1.3**6),
            (lambda x: np.sqrt(1 + x), -945 / 64 * 1.3**-5.5),
            (lambda x: np.exp(2 * x) * x, math.exp(0.6) * (2**6 * 0.3 + 6 * 2**5)),
        ):
            assert float(self.differentiate(f, modes, 6)(0.3)) == pytest.approx(wanted, rel=1e-12)


RELUS = {
    "maximum": lambda x: np.maximum(x, 0),
    "maximum, zero first": lambda x: np.maximum(0, x),
    "fmax": lambda x: np.fmax(0.0, x),
    "clip": lambda x: np.clip(x, 0, None),
    "where": lambda x: np.where(x > 0, x, 0),
    "select": lambda x: np.select([x > 0], [x]),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_an_infinite_tangent_through_a_flat_piece(relu):
    assert jvp(relu, (-1.0,), (np.inf,))[1] == 0
    assert vjp(relu, -1.0)[1](np.inf)[0] == 0
    assert jvp(grad(lambda x: relu(x) * x), (-1.0,), (np.inf,))[1] == 0


@pairs
def test_derivatives_of_a_custom_function(outer, inner):
    @custom_jvp
    def cube(x: Any) -> Any:
        return x**3

    cube.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))
    assert float(outer(inner(cube))(2.0)) == 12.0
    assert float(outer(lambda x: inner(lambda y: cube(x * y))(2.0))(0.5)) == pytest.approx(9 * 0.25 * 4, rel=1e-14)


def test_duals_of_duals_made_by_hand():
    x = Dual(Dual(0.3, 1.0), Dual(1.0, 0.0))
    y = np.sin(x) * x
    assert float(y.tangent.tangent) == pytest.approx(2 * np.cos(0.3) - 0.3 * np.sin(0.3), rel=1e-15)
    assert float(y.primal.tangent) == float(y.tangent.primal) == pytest.approx(np.sin(0.3) + 0.3 * np.cos(0.3), rel=1e-15)


def test_a_dual_made_by_hand_inside_a_transform():
    got = grad(lambda x: (lambda y: y.tangent)(np.sin(Dual(x, 1.0) * x)))(0.5)
    # d/dx [x cos(x²)] = cos(x²) - 2 x² sin(x²)
    assert float(got) == pytest.approx(np.cos(0.25) - 0.5 * np.sin(0.25), rel=1e-15)


def test_a_transform_inside_a_function_of_a_dual_made_by_hand():
    y = grad(lambda y: y * Dual(2.0, 1.0) ** 2)(3.0)
    assert (float(y.primal), float(y.tangent)) == (4.0, 4.0)


def test_a_gradient_with_respect_to_a_closure_of_the_outer_transform():
    """A training step differentiated through: the inner gradient depends on the outer variable by its closure alone."""
    data = np.array([0.5, -1.0, 2.0])

    def after_one_step(rate: Any) -> Any:
        w = np.zeros(3)
        gradient = grad(lambda w: np.sum((w - data) ** 2) * rate)(w)
        return np.sum((w - gradient - data) ** 2)

    rate = 0.2  # w = 2 rate data: loss |data|² (2 rate - 1)², derivative 4 (2 rate - 1) |data|²
    for mode in MODES.values():
        if mode is not derivative:
            assert float(mode(after_one_step)(rate)) == pytest.approx(4 * (2 * rate - 1) * np.sum(data**2), rel=1e-13)
