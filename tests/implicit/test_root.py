"""Roots, fixed points and minima: closed forms, finite differences of the whole solve, every mode, order and nesting."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
from reference import directional

from dualgrad import (
    checkpoint,
    directional_derivatives,
    errors,
    grad,
    hessian,
    implicit,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    tree,
    value_and_grad,
    vjp,
    vmap,
)


def forward(f: Callable) -> Callable:
    return lambda x: jvp(f, (x,), (1.0,))[1]


def of_order(f: Callable, order: int) -> list[Callable]:
    """The derivative of that order of a scalar function, in every nesting of the two modes."""
    found = []
    for modes in itertools.product((forward, grad), repeat=order):
        derivative = f
        for mode in modes:
            derivative = mode(derivative)
        found.append(derivative)
    return found


# ---- closed forms -----------------------------------------------------------------------------------------------------


@implicit.root(lambda x, a: x**2 - a)
def square_root(init: Any, a: Any) -> Any:
    return so.fsolve(lambda x: x**2 - a, init, xtol=1e-12)[0]


def square_root_of_closed_over(a: Any) -> Any:
    """The same, with a reached through closures alone, of F and of the solver."""

    @implicit.root(lambda x: x**2 - a)
    def solve(init: Any) -> Any:
        return so.fsolve(lambda x: x**2 - a, init, xtol=1e-12)[0]

    return solve(1.0)


SQUARE_ROOTS = [lambda a: square_root(1.0, a), square_root_of_closed_over]


@pytest.mark.parametrize("f", SQUARE_ROOTS)
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_the_square_root_has_its_derivatives_in_every_nesting_of_modes(f, order):
    a = 2.0
    expected = np.prod(0.5 - np.arange(order)) * a ** (0.5 - order)
    for derivative in of_order(f, order):
        np.testing.assert_allclose(derivative(a), expected, rtol=1e-13)


@pytest.mark.parametrize("f", SQUARE_ROOTS)
def test_mapped_solutions_are_solved_instance_by_instance(f):
    a = np.array([[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]])
    np.testing.assert_allclose(vmap(vmap(f))(a), a**0.5, rtol=1e-13)
    np.testing.assert_allclose(vmap(vmap(f), in_axes=1, out_axes=1)(a), a**0.5, rtol=1e-13)
    np.testing.assert_allclose(vmap(vmap(grad(grad(f))))(a), -0.25 * a**-1.5, rtol=1e-13)
    np.testing.assert_allclose(grad(lambda a: np.sum(vmap(vmap(f))(a)))(a), 0.5 * a**-0.5, rtol=1e-13)
    outer = vmap(lambda s: vmap(grad(lambda t: f(s * t)))(a[0]))(a[1])
    np.testing.assert_allclose(outer, 0.5 * (a[1][:, None] / a[0]) ** 0.5, rtol=1e-13)


@pytest.mark.parametrize("f", SQUARE_ROOTS)
def test_power_series_go_through_a_solver_too(f):
    a = 2.0
    expected = [np.prod(0.5 - np.arange(k)) * a ** (0.5 - k) for k in range(6)]
    np.testing.assert_allclose(directional_derivatives(f, a, 1.0, order=5), expected, rtol=1e-13)
    third = lambda a: directional_derivatives(f, a, 1.0, order=3)[3]
    np.testing.assert_allclose([grad(third)(a), jvp(third, (a,), (1.0,))[1]], [expected[4]] * 2, rtol=1e-13)
    np.testing.assert_allclose(directional_derivatives(grad(f), a, 1.0, order=4), expected[1:], rtol=1e-13)


def test_keplers_equation():
    def equation(E, e, M):
        return E - e * np.sin(E) - M

    kepler = implicit.root(equation, lambda bracket, e, M: so.brentq(equation, *bracket, args=(e, M), xtol=1e-15))
    e, M = 0.4, 1.3
    E = kepler((0.0, 4.0), e, M)
    d = 1 - e * np.cos(E)
    gradient, curvature = grad(kepler, (1, 2))((0.0, 4.0), e, M), hessian(kepler, (1, 2))((0.0, 4.0), e, M)
    np.testing.assert_allclose(gradient, [np.sin(E) / d, 1 / d], rtol=1e-13)
    np.testing.assert_allclose(curvature[1][1], -e * np.sin(E) / d**3, rtol=1e-12)
    mixed = np.cos(E) / d**2 - e * np.sin(E) ** 2 / d**3
    np.testing.assert_allclose([curvature[0][1], curvature[1][0]], [mixed, mixed], rtol=1e-12)


def cosine_iteration(x: Any, a: Any) -> Any:
    for _ in range(300):
        x = np.cos(a * x)
    return x


def test_the_fixed_point_of_a_cosine_is_a_root_in_other_words():
    solve = implicit.fixed_point(lambda x, a: np.cos(a * x), cosine_iteration)
    a = 0.9
    x = solve(0.5, a)
    s = np.sin(a * x)
    expected = -x * s / (1 + a * s)
    for derivative in of_order(lambda a: solve(0.5, a), 1):
        np.testing.assert_allclose(derivative(a), expected, rtol=1e-13)

    def first(a):
        x = solve(0.5, a)
        return [-x * np.sin(a * x) / (1 + a * np.sin(a * x))]

    (second,), _ = directional(first, [a], [1.0])
    for derivative in of_order(lambda a: solve(0.5, a), 2):
        np.testing.assert_allclose(derivative(a), second, rtol=1e-9)
    np.testing.assert_allclose(grad(lambda a: np.sum(vmap(lambda a: solve(0.5, a))(a)))(np.array([a, a]))[0], expected, rtol=1e-13)


def test_ridge_regression_tunes_its_hyperparameter_by_the_closed_form():
    """Bilevel: the validation loss of w(lambda) = argmin |X w - y|^2 + e^lambda |w|^2, and its derivatives in lambda."""
    rng = np.random.default_rng(0)
    X, y, V, z = rng.standard_normal((20, 5)), rng.standard_normal(20), rng.standard_normal((9, 5)), rng.standard_normal(9)

    def objective(w, penalty):
        return np.sum((X @ w - y) ** 2) + np.exp(penalty) * np.sum(w**2)

    @implicit.minimum(objective)
    def ridge(init, penalty):
        return so.minimize(objective, init, args=(penalty,), jac=grad(objective), method="BFGS", options={"gtol": 1e-9})

    def validation(penalty, weights):
        return np.sum((V @ weights(penalty) - z) ** 2)

    def closed(penalty):
        return np.linalg.solve(X.T @ X + np.exp(penalty) * np.eye(5), X.T @ y)

    for order in (1, 2):
        expected = of_order(lambda p: validation(p, closed), order)[0](0.5)
        for derivative in of_order(lambda p: validation(p, lambda p: ridge(np.zeros(5), p)), order):
            np.testing.assert_allclose(derivative(0.5), expected, rtol=1e-8)


def test_the_temperature_that_calibrates_a_softmax():
    rng = np.random.default_rng(1)
    logits, labels = 3 * rng.standard_normal((12, 4)), rng.integers(0, 4, 12)

    def loss(log_temperature, logits, labels):
        scaled = logits * np.exp(-log_temperature)
        top = np.max(scaled, 1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(scaled - top), 1)) + top[:, 0] - scaled[np.arange(12), labels])

    calibrate = implicit.minimum(
        loss, lambda init, *args: so.minimize_scalar(loss, bracket=init, args=args, tol=1e-12).x, tol=1e-5
    )
    got = grad(calibrate, argnums=1)((0.0, 2.0), logits, labels)  # labels are integers and pass through
    v = rng.standard_normal(logits.shape)
    exact = implicit.root(grad(loss), lambda bracket, *args: so.brentq(grad(loss), *bracket, args=args, xtol=1e-14))
    (expected,), _ = directional(lambda logits: [exact((-1.0, 9.0), logits, labels)], [logits], [v])
    np.testing.assert_allclose(np.sum(got * v), expected, rtol=1e-6)


# ---- against finite differences of the whole solve --------------------------------------------------------------------


def tree_equations(x: Any, p: Any) -> Any:
    return {"u": x["u"] - np.tanh(p["W"] @ x["u"]) - p["b"] * x["v"], "v": [x["v"] + x["v"] ** 3 - np.sum(x["u"]) - p["c"]]}


def newton_solver(x: Any, p: Any) -> Any:
    """A solver of the user's own, with dualgrad inside."""
    vector, unravel = tree.ravel(x)
    for _ in range(30):
        residual = lambda v: tree.ravel(tree_equations(unravel(v), p))[0]
        vector = vector - np.linalg.solve(jacobian(residual)(vector), residual(vector))
    return unravel(vector)


def test_trees_of_unknowns_and_arguments_against_differences_of_the_whole_solve():
    rng = np.random.default_rng(2)
    p = {"W": 0.3 * rng.standard_normal((3, 3)), "b": rng.standard_normal(3), "c": 0.4, "name": "p", "k": 3}
    x0 = {"u": np.zeros(3), "v": 0.0}
    solve = implicit.root(tree_equations)(newton_solver)
    flat, unravel = tree.ravel(p)
    g = lambda flat: tree.ravel(solve(x0, unravel(flat)))[0]
    v, w = rng.standard_normal(flat.shape), rng.standard_normal(4)
    (expected,), _ = directional(lambda flat: [g(flat)], [flat], [v])
    np.testing.assert_allclose(jvp(g, (flat,), (v,))[1], expected, rtol=1e-9)
    np.testing.assert_allclose(vjp(g, flat)[1](w)[0] @ v, w @ expected, rtol=1e-9)
    gradient = lambda flat: vjp(g, flat)[1](w)[0]
    (expected,), _ = directional(lambda flat: [gradient(flat)], [flat], [v])
    for outer, inner in itertools.product((jacfwd, jacrev), repeat=2):
        np.testing.assert_allclose(outer(inner(lambda flat: w @ g(flat)))(flat) @ v, expected, rtol=1e-8, atol=1e-10)
    found = grad(lambda p: solve(x0, p)["v"])(p)
    assert found["name"] is None and found["k"] is None and found["W"].shape == (3, 3)


def test_the_hessian_of_a_solution_map_is_that_of_the_closed_form():
    rng = np.random.default_rng(3)
    M, b = rng.standard_normal((4, 4)) + 4 * np.eye(4), rng.standard_normal(4)
    solve = implicit.root(lambda x, s: M @ (s * x) - b, lambda init, s: np.linalg.solve(M * s, b))
    closed = lambda s: np.sum((np.linalg.solve(M, b) / s) ** 2)
    s = rng.uniform(1, 2, 4)
    np.testing.assert_allclose(hessian(lambda s: np.sum(solve(None, s) ** 2))(s), hessian(closed)(s), rtol=1e-11, atol=1e-13)


# ---- closures ---------------------------------------------------------------------------------------------------------


class Circuit:
    """A parameter where no closure shows it."""

    def __init__(self, a: Any) -> None:
        self.a = a

    def residual(self, x: Any) -> Any:
        return x**3 + self.a * x - 2.0

    def solve(self, bracket: Any) -> Any:
        return so.brentq(self.residual, *bracket, xtol=1e-15)


def circuit(a: Any) -> Any:
    problem = Circuit(a)
    return implicit.root(problem.residual, problem.solve)((0.0, 5.0))


def test_values_hidden_in_an_object_are_found():
    a = 1.5
    x = circuit(a)
    first = -x / (3 * x**2 + a)
    for derivative in of_order(circuit, 1):
        np.testing.assert_allclose(derivative(a), first, rtol=1e-13)
    np.testing.assert_allclose(vmap(circuit)(np.array([a, 2.0, 3.0]))[0], x, rtol=1e-14)
    np.testing.assert_allclose(vmap(grad(circuit))(np.array([[a, 2.0], [3.0, 4.0]])[0])[0], first, rtol=1e-13)
    np.testing.assert_allclose(vmap(vmap(grad(circuit)))(np.array([[1.0, 2.0], [a, 4.0]]))[1, 0], first, rtol=1e-13)


def test_values_closed_over_from_several_levels_at_once():
    """x^2 = a b c, a from an outer grad, b from a jvp within, c an argument of a gradient within that."""

    def outer(a):
        def middle(b):
            def inner(c):
                return implicit.root(lambda x: x**2 - a * b * c, lambda init: np.sqrt(np.float64(a * b * c)))(1.0)

            return grad(inner)(4.0)  # sqrt(a b) / 4

        return jvp(middle, (3.0,), (1.0,))[1]  # sqrt(a / b) / 8

    np.testing.assert_allclose(outer(2.0), np.sqrt(2 / 3) / 8, rtol=1e-13)
    np.testing.assert_allclose(grad(outer)(2.0), 1 / (16 * np.sqrt(6)), rtol=1e-13)
    np.testing.assert_allclose(jvp(outer, (2.0,), (1.0,))[1], 1 / (16 * np.sqrt(6)), rtol=1e-13)


def test_a_root_within_the_equation_of_another():
    """y^2 = x and x^2 + y = a + 1, at a = 1: (2 x + 1 / (2 y)) dx = da."""

    def nested(a):
        inner = lambda x: implicit.root(lambda y: y**2 - x, lambda init: np.sqrt(np.float64(x)))(1.0)
        equation = lambda x: x**2 + inner(x) - a - 1
        return implicit.root(equation, lambda bracket: so.brentq(equation, *bracket, xtol=1e-15))((0.5, 2.0))

    for derivative in of_order(nested, 1):
        np.testing.assert_allclose(derivative(1.0), 0.4, rtol=1e-12)
    for derivative in of_order(nested, 2):  # - (2 - 1/4) dx^2 / 2.5
        np.testing.assert_allclose(derivative(1.0), -1.75 * 0.4**3, rtol=1e-12)


def test_checkpoints_around_a_solver_and_inside_its_equation():
    def solve(a):
        equation = lambda x: checkpoint(lambda x, a: x**2 - a)(x, a)
        return implicit.root(equation, lambda init: so.fsolve(equation, init, xtol=1e-12)[0])(1.0)

    for function in (solve, checkpoint(solve), lambda a: checkpoint(square_root)(1.0, a)):
        np.testing.assert_allclose(grad(function)(2.0), 0.5 * 2**-0.5, rtol=1e-13)
        np.testing.assert_allclose(grad(grad(function))(2.0), -0.25 * 2**-1.5, rtol=1e-13)
        np.testing.assert_allclose(hessian(function)(2.0), -0.25 * 2**-1.5, rtol=1e-13)


def test_pullbacks_and_pushforwards_outlive_the_call():
    for function in SQUARE_ROOTS:
        out, pullback = vjp(function, 2.0)
        assert out == function(2.0)
        np.testing.assert_allclose([pullback(1.0)[0], pullback(2.0)[0]], np.array([0.5, 1.0]) * 2**-0.5, rtol=1e-13)
        np.testing.assert_allclose(linearize(function, 2.0)[1](1.0), 0.5 * 2**-0.5, rtol=1e-13)


def with_functions(t: Any, linear_solver: Any = None) -> Any:
    """s x^3 + x = p with sums and products of what is closed over, in NumPy's functions rather than in operators."""
    F = lambda x: np.multiply(np.sum(t), x**3) + x - np.prod(t)

    def solver(x):
        for _ in range(60):
            x = x - F(x) / (3 * np.sum(t) * x**2 + 1)
        return x

    return implicit.root(F, solver, linear_solver=linear_solver)(1.0)


@pytest.mark.parametrize("linear_solver", [None, lambda A, b: b / A(np.ones(1))])
def test_each_instance_has_its_own_jacobian(linear_solver):
    f = lambda t: with_functions(t, linear_solver)
    t = np.array([[1.0, 2.0], [3.0, 0.5], [0.7, 0.9]])
    for function in (f, grad(f), jacfwd(f), hessian(f)):
        np.testing.assert_allclose(vmap(function)(t), np.stack([function(row) for row in t]), rtol=1e-12)


def nested_in_solvers(a: Any, as_argument: bool) -> Any:
    """A root within the equation of another, whose solver differentiates it: y^2 = x a, x + y = 3 a."""

    def inner(x, a):
        G = lambda y: np.multiply(y, y) - x * a
        return implicit.root(G, lambda y: [y := y - G(y) / (2 * y) for _ in range(7)][-1])(1.0)

    def F(x, *args):
        return x + inner(x, *(args or (a,))) - 3 * (args or (a,))[0]

    def newton(x, *args):
        for _ in range(7):
            x = x - F(x, *args) / grad(F)(x, *args)
        return x

    return implicit.root(F, newton)(1.0, a) if as_argument else implicit.root(F, newton)(1.0)


@pytest.mark.parametrize("as_argument", [True, False])
def test_a_solver_that_differentiates_an_equation_with_a_root_in_it(as_argument):
    """x = a c with c + sqrt(c) = 3."""
    f = lambda a: nested_in_solvers(a, as_argument)
    c = (np.sqrt(13) - 1) ** 2 / 4
    a = np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(vmap(f)(a), c * a, rtol=1e-12)
    np.testing.assert_allclose(vmap(grad(f))(a), np.full(3, c), rtol=1e-12)
    np.testing.assert_allclose(hessian(lambda a: f(a) ** 2)(2.0), 2 * c**2, rtol=1e-11)


# ---- what the solver sees, and what comes out -------------------------------------------------------------------------


def test_the_value_is_the_solvers_to_the_last_bit_and_it_is_called_once():
    calls = []

    @implicit.root(lambda x, a: np.sin(x) - a)
    def solve(init, a):
        assert type(init) is np.ndarray and type(a) is np.float64  # plain numbers
        calls.append(a)
        return np.arcsin(a) + 1e-9 * init  # not quite the solution

    init, expected = np.array([1.0, 2.0]), np.arcsin(0.3) + 1e-9 * np.array([1.0, 2.0])
    for call in (
        lambda: solve(init, np.float64(0.3)),
        lambda: jvp(lambda a: solve(init, a), (0.3,), (1.0,))[0],
        lambda: vjp(lambda a: solve(init, a), 0.3)[0],
        lambda: value_and_grad(lambda a: solve(init, a)[1])(0.3)[0] * np.array([0, 1]) + expected * np.array([1, 0]),
        lambda: jvp(lambda a: jvp(lambda a: solve(init, a), (a,), (1.0,))[0], (0.3,), (1.0,))[0],
    ):
        calls.clear()
        np.testing.assert_array_equal(call(), expected)
        assert len(calls) == 1
    calls.clear()
    jacobian(lambda a: solve(init, a))(0.3)
    hessian(lambda a: solve(init, a)[0])(0.3)
    assert len(calls) == 2  # of one variable the Jacobian goes forward at once
    calls.clear()
    vmap(lambda a: solve(init, a))(np.full(5, 0.3))
    assert len(calls) == 5


def test_there_is_no_derivative_with_respect_to_init():
    gradient = grad(lambda init, a: square_root(init * a, a), argnums=(0, 1))(1.0, 2.0)
    np.testing.assert_allclose(gradient, (0, 0.5 * 2**-0.5), rtol=1e-13)


def test_auxiliary_results_and_keywords():
    @implicit.root(lambda x, a, power=2: x**power - a, has_aux=True)
    def solve(init, a, power=2):
        result = so.root_scalar(lambda x: x**power - a, x0=init, x1=2 * init)
        return result.root, {"iterations": result.iterations, "a": a}

    value, info = solve(1.0, 8.0, power=3)
    assert value == pytest.approx(2.0) and info["iterations"] > 1
    gradient, info = grad(lambda a: solve(1.0, a, power=3), has_aux=True)(8.0)
    np.testing.assert_allclose(gradient, 1 / 12, rtol=1e-10)
    assert type(info["iterations"]) is int and info["a"] == 8.0
    infos = []

    def mapped(a):
        value, info = solve(1.0, a)
        infos.extend(info)
        return value

    np.testing.assert_allclose(vmap(mapped)(np.array([4.0, 9.0])), [2, 3], rtol=1e-8)
    assert [info["a"] for info in infos] == [4.0, 9.0]


def test_leaves_that_are_no_numbers_pass_through():
    @implicit.fixed_point(lambda x, a: {"x": a / x["x"] + 0 * a, "steps": x["steps"], "note": None})
    def solve(init, a):
        return {"x": np.sqrt(a), "steps": 7, "note": None}

    value = solve(None, 4.0)
    assert value["steps"] == 7 and value["note"] is None
    np.testing.assert_allclose(grad(lambda a: solve(None, a)["x"])(4.0), 0.25, rtol=1e-14)
    np.testing.assert_array_equal(vmap(lambda a: solve(None, a)["steps"])(np.array([4.0, 9.0])), [7, 7])


def test_inputs_are_not_changed_by_a_solver_that_writes_into_them():
    def solver(x, a):
        x -= x - a
        a *= 2
        return x

    solve = implicit.root(lambda x, a: x - a)(solver)
    a = np.array([1.0, 2.0])
    gradient = grad(lambda a: np.sum(solve(a * 0, a) * a))(a)
    np.testing.assert_array_equal(gradient, 2 * a)
    np.testing.assert_array_equal(a, [1, 2])


A = np.array([[3.0, 1.0], [1.0, 2.0]])
B = np.array([1.0, 2.0])


def f(x: Any, t: Any) -> Any:
    return 0.5 * x @ (A @ x) + 0.025 * np.sum(x**4) - t * (x @ B)


def test_a_solver_may_fill_plain_buffers_from_what_is_closed_over():
    def gauss_seidel(a):
        def equations(x):
            return A @ x + 0.1 * x**3 - a * B

        @implicit.root(equations)
        def solve(x):
            x = x.copy()
            for _ in range(100):
                x -= 0.2 * equations(x)  # in place, into a plain array
                x[0] = x[0] - 0.0 * a
                assert float(np.max(np.abs(x))) < 10
            return x

        return solve(np.zeros(2))

    x = gauss_seidel(0.7)
    np.testing.assert_allclose(jacobian(gauss_seidel)(0.7), np.linalg.solve(A + 0.3 * np.diag(x**2), B), rtol=1e-10)


def test_what_the_solver_itself_differentiates_keeps_its_derivatives():
    """Inside the box a conversion of a value of the solver's own transform still raises."""
    careless = implicit.minimum(f)(lambda x0, t: grad(lambda x: float(x[0]) * f(x, t))(x0))
    with pytest.raises(errors.TracedConversionError, match=r"float\(\) of a traced value float64\[\]"):
        careless(np.zeros(2), 0.7)
    with pytest.raises(errors.TracedConversionError, match=r"float\(\) of a traced value float64\[\]"):
        grad(lambda t: careless(np.zeros(2), t)[0])(0.7)
    assert jvp(lambda t: t, (1.0,), (1.0,)) == (1.0, 1.0)  # nothing is left behind


def test_float32_stays_float32():
    solve = implicit.root(lambda x, a: x**2 - a, lambda init, a: np.sqrt(a))
    a = np.array([2.0, 3.0], np.float32)
    f = lambda a: solve(a, a)
    for value in (f(a), jacfwd(f)(a), jacrev(f)(a), hessian(lambda a: f(a)[0])(a)):
        assert value.dtype == np.float32
    np.testing.assert_allclose(jacrev(f)(a), np.diag(0.5 * a**-0.5), rtol=1e-6)
    half = a.astype(np.float16)
    np.testing.assert_allclose(grad(lambda a: np.sum(solve(a, a)))(half), 0.5 * half**-0.5, rtol=1e-2)
    mixed = implicit.root(lambda x, a: x**2 - a, lambda init, a: np.sqrt(a).astype(np.float32))
    gradient = grad(lambda a: np.sum(mixed(None, a)))(np.array([2.0, 3.0]))
    assert gradient.dtype == np.float64 and mixed(None, 2.0).dtype == np.float32
    np.testing.assert_allclose(gradient, 0.5 * np.array([2.0, 3.0]) ** -0.5, rtol=1e-6)


def test_complex_unknowns():
    solve = implicit.root(lambda z, a: z**2 - a, lambda init, a: np.sqrt(a))
    a, t = 1.0 + 2.0j, 0.3 - 0.4j
    np.testing.assert_allclose(jvp(lambda a: solve(None, a), (a,), (t,))[1], 0.5 * t / np.sqrt(a), rtol=1e-14)
    np.testing.assert_allclose(grad(lambda a: solve(None, a), holomorphic=True)(a), 0.5 / np.sqrt(a), rtol=1e-14)
    modulus = lambda a, sqrt: np.abs(sqrt(a) + 1) ** 2
    expected = grad(lambda a: modulus(a, np.sqrt))(a)
    np.testing.assert_allclose(grad(lambda a: modulus(a, lambda a: solve(None, a)))(a), expected, rtol=1e-13)
    conjugate = implicit.root(lambda z, a: np.conjugate(z) - a, lambda init, a: np.conjugate(a))  # not holomorphic
    np.testing.assert_allclose(jvp(lambda a: conjugate(None, a), (a,), (t,))[1], np.conjugate(t), rtol=1e-14)


def test_stop_gradient_holds_a_parameter():
    np.testing.assert_allclose(grad(lambda a: a * square_root(1.0, stop_gradient(a)))(4.0), 2.0, rtol=1e-13)
    np.testing.assert_allclose(grad(lambda a: a * square_root_of_closed_over(stop_gradient(a)))(4.0), 2.0, rtol=1e-13)
