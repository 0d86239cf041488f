"""Taylor mode: closed forms, mpmath, nested pushforwards over the whole table; O(k**2) operations; the forward Laplacian."""

from __future__ import annotations

import gc
import math
import tracemalloc
from typing import Any

import mpmath
import numpy as np
import pytest
import test_primitives as table
from cases import CASES

import dualgrad.scipy.special as sp
from dualgrad import (
    Tape,
    checkpoint,
    custom_jvp,
    custom_vjp,
    debug_nans,
    directional_derivatives,
    errors,
    grad,
    hessian,
    jacfwd,
    jvp,
    laplacian,
    stop_gradient,
    vmap,
)

RNG = np.random.default_rng(7)


def nested(f: Any, x: Any, v: Any, order: int) -> list:
    """f and its derivatives along v, one pushforward inside the other."""
    g, found = f, [f(x)]
    for _ in range(order):
        g = lambda x, g=g: jvp(g, (x,), (v,))[1]
        found.append(g(x))
    return found


# ---- against closed forms, mpmath, nested pushforwards ----------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 12])
def test_closed_forms(order):
    factorials = [math.factorial(m) for m in range(order + 1)]
    x, v = 0.3, 2.0
    for f, derivative in {
        np.exp: lambda m: np.exp(x),
        np.sin: lambda m: np.sin(x + m * np.pi / 2),
        np.sinh: lambda m: np.cosh(x) if m % 2 else np.sinh(x),
        np.reciprocal: lambda m: (-1) ** m * factorials[m] / x ** (m + 1),
        np.log: lambda m: np.log(x) if m == 0 else -((-1) ** m) * factorials[m - 1] / x**m,
    }.items():
        found = directional_derivatives(f, x, v, order)
        assert len(found) == order + 1
        np.testing.assert_allclose(found, [derivative(m) * v**m for m in range(order + 1)], rtol=1e-12)


SMOOTH = {
    "tan": (np.tan, mpmath.tan), "tanh": (np.tanh, mpmath.tanh), "sqrt": (np.sqrt, mpmath.sqrt), "cbrt": (np.cbrt, mpmath.cbrt),
    "arcsin": (np.arcsin, mpmath.asin), "arctan": (np.arctan, mpmath.atan), "arcsinh": (np.arcsinh, mpmath.asinh),
    "erf": (sp.erf, mpmath.erf), "gammaln": (sp.gammaln, mpmath.loggamma), "gamma": (sp.gamma, mpmath.gamma),
    "expit": (sp.expit, lambda t: 1 / (1 + mpmath.exp(-t))),
    "logaddexp": (lambda t: np.logaddexp(0.0, t), lambda t: mpmath.log1p(mpmath.exp(t))),
    "logaddexp2": (lambda t: np.logaddexp2(t * t, t), lambda t: mpmath.log(2 ** (t * t) + 2**t, 2)),
    "x**2.5": (lambda t: t**2.5, lambda t: t ** mpmath.mpf(2.5)), "x**-2": (lambda t: t**-2.0, lambda t: t**-2),
    "x**x": (lambda t: t**t, lambda t: t**t), "2**x": (lambda t: 2.0**t, lambda t: mpmath.mpf(2) ** t),
    "float_power": (lambda t: np.float_power(t, 1.5), lambda t: t ** mpmath.mpf(1.5)),
    "j1": (lambda t: sp.jv(1, t), lambda t: mpmath.besselj(1, t)), "sinc": (np.sinc, mpmath.sincpi),
    "quotient": (lambda t: np.sin(t) / (1 + t * t), lambda t: mpmath.sin(t) / (1 + t * t)),
    "arctan2": (lambda t: np.arctan2(t, 1 + t), lambda t: mpmath.atan(t / (1 + t))),
    "hypot": (lambda t: np.hypot(t, 1 + t), lambda t: mpmath.sqrt(t * t + (1 + t) ** 2)),
    "exp(sin)": (lambda t: np.exp(np.sin(t)), lambda t: mpmath.exp(mpmath.sin(t))),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_the_coefficients_are_those_of_mpmath(name):
    f, exact = SMOOTH[name]
    order, x = 8, 0.375
    with mpmath.workdps(40):
        wanted = [float(c * math.factorial(m)) for m, c in enumerate(mpmath.taylor(exact, mpmath.mpf(x), order))]
    found = directional_derivatives(f, x, 1.0, order)
    for m, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert got == pytest.approx(want, rel=1e-11, abs=1e-12 * math.factorial(m)), m


def test_six_orders_of_a_program_are_those_of_nested_pushforwards():
    matrix = RNG.normal(size=(3, 3)) + 3 * np.eye(3)

    def f(p: Any) -> Any:
        y = np.zeros_like(p["x"])
        y[1:] = np.tanh(p["x"][:-1] * p["s"])
        y += np.where(p["x"] > 0, np.sqrt(np.abs(p["x"])), p["x"] ** 2)
        z = np.linalg.solve(matrix + np.outer(y, p["x"]), p["x"])
        return {"z": z, "norm": np.linalg.norm(z) * np.linalg.slogdet(matrix + np.outer(y, y))[1], "top": np.max(z)}

    x = {"x": np.array([0.5, -0.4, 0.9]), "s": 1.3}
    v = {"x": np.array([1.0, 0.3, -0.6]), "s": -0.5}
    found, wanted = directional_derivatives(f, x, v, 6), nested(f, x, v, 6)
    for m in range(7):
        for key in ("z", "norm", "top"):
            np.testing.assert_allclose(found[m][key], wanted[m][key], rtol=1e-10, atol=1e-11 * math.factorial(m))


@table.rows(table.operands)
def test_every_primitive_expands_as_nested_pushforwards_do(row):
    point = table.Point(row, table.operands(row))
    v = point.random(point.xs)
    f = lambda xs: point(*xs)
    order = 3 if row.order >= 2 else 2
    with np.errstate(all="ignore"):
        try:
            wanted = nested(f, point.xs, v, order)
        except errors.UnsupportedError as error:
            with pytest.raises(errors.UnsupportedError, match=str(error)[:20]):
                directional_derivatives(f, point.xs, v, order)
            return
    found = directional_derivatives(f, point.xs, v, order)
    for m, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert [g.dtype for g in got] == [w.dtype for w in want]
        table.assert_agree(got, want, 1e-11, f"derivative {m}")


def test_the_table_is_expanded():
    assert len(CASES) > 1000


# ---- cost -------------------------------------------------------------------------------------------------------------


def operations(f: Any, order: int) -> int:
    """How many operations on arrays one level down."""
    with Tape() as tape:
        x = tape.watch(np.array([0.3, 0.6]))
        directional_derivatives(lambda x: f(np.exp(x) * 0.5), x, np.array([1.0, 0.5]), order)
    return len(tape.history)


QUADRATIC = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "tan": np.tan, "tanh": np.tanh, "arcsin": np.arcsin,
    "arctan": np.arctan, "cosh": np.cosh, "multiply": lambda x: x * x, "divide": lambda x: x / (1 + x), "power": lambda x: x**2.5,
    "x**x": lambda x: x**x, "expit": sp.expit, "log_expit": sp.log_expit, "logaddexp": lambda x: np.logaddexp(0, x), "erf": sp.erf,
    "matmul": lambda x: np.outer(x, x) @ x, "inv": lambda x: np.linalg.inv(np.eye(2) + np.outer(x, x)), "norm": np.linalg.norm,
    "logsumexp": sp.logsumexp, "softmax": sp.softmax, "hypot": lambda x: np.hypot(x, 1 + x), "prod": np.prod, "std": np.std,
    "eigvalsh": lambda x: np.linalg.eigvalsh(np.diag([1.0, 2.0]) + np.outer(x, x)),
}  # fmt: skip


@pytest.mark.parametrize("name", QUADRATIC)
def test_order_k_takes_k_squared_operations(name):
    four, eight, sixteen = (operations(QUADRATIC[name], order) for order in (4, 8, 16))
    assert (sixteen - eight) <= 4.4 * (eight - four)  # a cubic has 8, nested pushforwards 256


def test_a_linear_function_takes_one_operation_per_order():
    assert operations(lambda x: x[::-1], 8) - operations(lambda x: x, 8) == 9


def test_f_is_evaluated_once():
    calls = []
    directional_derivatives(lambda x: calls.append(0) or np.sin(x), 0.3, 1.0, 7)
    laplacian(lambda x: calls.append(0) or np.sum(np.sin(x)))(np.ones(5))
    assert len(calls) == 2


def test_no_reference_cycle_keeps_the_coefficients_alive():
    gc.disable()
    try:
        tracemalloc.start()
        f = lambda x: np.tanh(np.sin(x)) ** 2.5 / np.logaddexp(x, 1)
        for _ in range(30):
            directional_derivatives(f, np.full(10_000, 0.5), np.ones(10_000), 4)
        assert tracemalloc.get_traced_memory()[0] < 1e6
    finally:
        tracemalloc.stop()
        gc.enable()


# ---- conventions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(6))
def test_a_power_at_zero(n):
    for f in (lambda x: x**n, lambda x: x ** float(n), lambda x: np.prod(np.stack([x] * n)) if n else x * 0 + 1):
        found = directional_derivatives(f, 0.0, 1.0, n + 2)
        assert found[n] == math.factorial(n) and found[n + 1] == found[n + 2] == 0


def test_special_points():
    second = lambda f, x, order=2: directional_derivatives(f, x, 1.0, order)[order]
    with np.errstate(invalid="ignore"):
        assert second(lambda x: np.where(x > 0, np.sqrt(x), 0.0), -3.0) == 0
    assert second(lambda x: np.where(x < 1, x * x, np.sqrt(x)), 0.0) == 2
    assert second(lambda x: np.linalg.norm(np.stack([x, 2 * x])) ** 2, 0.0) == 10
    assert second(lambda x: np.abs(x) ** 2, 0.0) == 2
    assert second(np.abs, 0.0) == 0
    assert second(lambda x: 1 / x, 4.0, 6) == 0.0439453125
    assert directional_derivatives(np.sqrt, 0.0, 1.0, 2) == (0.0, np.inf, -np.inf)
    assert second(lambda x: np.sinc(x), 0.0) == pytest.approx(-np.pi**2 / 3)
    assert second(lambda x: sp.xlogy(x, 3.0), 0.0) == 0


def test_a_structural_zero_stays_zero_against_an_infinite_slope():
    f = lambda x: np.sqrt(np.maximum(x, 0.0)) * 2 / (1 + np.maximum(x, 0.0))
    for derivative in directional_derivatives(f, -1.0, 1.0, 4):
        assert derivative == 0
    g = lambda x: np.maximum(x, 0.0) * np.log(x**2 + np.maximum(x, 0.0)) + 1 / np.maximum(x, 0.0)
    with np.errstate(divide="ignore"):
        found = directional_derivatives(g, np.array([-1.0, 2.0]), np.ones(2), 3)
        wanted = nested(g, np.array([-1.0, 2.0]), np.ones(2), 3)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    assert found[0][0] == np.inf and found[1][0] == found[2][0] == found[3][0] == 0


def test_degenerate_spectra():
    a, b = np.eye(2), np.array([[1.0, 2.0], [2.0, 5.0]])
    found = directional_derivatives(lambda x: np.sum(np.linalg.eigvalsh(x) ** 3), a, b, 2)
    np.testing.assert_allclose(found, [2, 3 * np.trace(b), 6 * np.trace(b @ b)], rtol=1e-12)
    shared = directional_derivatives(np.linalg.eigvalsh, a, b, 1)[1]
    np.testing.assert_array_equal(shared, jvp(np.linalg.eigvalsh, (a,), (b,))[1])
    cube = directional_derivatives(lambda x: (lambda w, v: (v * w**3) @ v.T)(*np.linalg.eigh(x)), a, b, 3)
    np.testing.assert_allclose(cube, [a, 3 * b, 6 * b @ b, 6 * b @ b @ b], rtol=1e-12)
    with pytest.raises(errors.DegeneracyError, match=r"test_taylor\.py:\d+\) depends on the arbitrary basis"):
        directional_derivatives(lambda x: np.linalg.eigh(x)[1], a, b, 2)


# ---- nesting ----------------------------------------------------------------------------------------------------------


def test_gradients_of_expansions_and_expansions_of_gradients():
    f = lambda x: np.sum(np.tanh(x) * x[::-1] ** 3 / (1 + x**2))
    x, v, w = RNG.normal(size=(3, 4))
    inner = lambda x: directional_derivatives(f, x, v, 3)[3]
    reference = lambda x: nested(f, x, v, 3)[3]
    np.testing.assert_allclose(grad(inner)(x), grad(reference)(x), rtol=1e-11)
    np.testing.assert_allclose(jvp(inner, (x,), (w,))[1], jvp(reference, (x,), (w,))[1], rtol=1e-11)
    np.testing.assert_allclose(hessian(inner)(x), hessian(reference)(x), rtol=1e-9, atol=1e-9)
    for g in (grad(f), lambda x: jvp(f, (x,), (w,))[1], lambda x: vmap(f)(np.stack([x, x**2])), lambda x: hessian(f)(x)):
        for got, want in zip(directional_derivatives(g, x, v, 3), nested(g, x, v, 3), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
    by_direction = grad(lambda v: directional_derivatives(f, x, v, 2)[2])(v)
    np.testing.assert_allclose(by_direction, 2 * hessian(f)(x) @ v, rtol=1e-10)


def test_expansions_of_expansions():
    f = lambda x, y: np.exp(x * y) / (x + y)
    inner = lambda y: directional_derivatives(lambda x: f(x, y), 0.5, 1.0, 2)[2]
    wanted = nested(lambda y: nested(lambda x: f(x, y), 0.5, 1.0, 2)[2], 0.7, 1.0, 3)
    np.testing.assert_allclose(directional_derivatives(inner, 0.7, 1.0, 3), wanted, rtol=1e-12)
    confusing = lambda x: x * directional_derivatives(lambda y: x * y * y, 1.0, 1.0, 2)[1]
    np.testing.assert_array_equal(directional_derivatives(confusing, 4.0, 1.0, 3), [32, 16, 4, 0])


def test_mapped_is_the_loop():
    f = lambda x: np.sin(x) @ np.outer(x, x) / np.sum(x**2)
    xs, vs = RNG.normal(size=(2, 3, 4))
    found = vmap(lambda x, v: directional_derivatives(f, x, v, 3))(xs, vs)
    for i in range(3):
        for got, want in zip(found, directional_derivatives(f, xs[i], vs[i], 3), strict=True):
            np.testing.assert_allclose(got[i], want, rtol=1e-12)


def test_custom_functions_checkpoints_and_constants():
    @custom_jvp
    def sine(x: Any) -> Any:
        return np.sin(x)

    sine.defjvp(lambda primals, tangents: (sine(*primals), tangents[0] * cosine(*primals)))

    @custom_vjp
    def cosine(x: Any) -> Any:
        return np.cos(x)

    cosine.defvjp(lambda x: (cosine(x), x), lambda x, ct: (-ct * sine(x),))
    found = directional_derivatives(sine, np.array([0.4, 1.0]), np.array([1.0, -1.0]), 5)
    for got, want in zip(found, directional_derivatives(np.sin, np.array([0.4, 1.0]), np.array([1.0, -1.0]), 5), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)
    assert directional_derivatives(lambda x: x * stop_gradient(x), 3.0, 1.0, 2) == (9.0, 3.0, 0.0)
    inner = lambda x: directional_derivatives(lambda y: checkpoint(np.tanh)(y) * x, x, 1.0, 3)[3]
    plain = lambda x: directional_derivatives(lambda y: np.tanh(y) * x, x, 1.0, 3)[3]
    assert grad(inner)(0.4) == pytest.approx(grad(plain)(0.4), rel=1e-14)


def test_nans_are_named_while_debugging_and_only_then():
    f = lambda x: np.float_power(x, 2.5)
    with debug_nans():
        assert directional_derivatives(f, 4.0, 1.0, 2)[2] == 7.5
        told = r"float_power: its value is not finite.*test_taylor\.py"
        with pytest.raises(errors.NonFiniteError, match=told), np.errstate(all="ignore"):
            directional_derivatives(f, -4.0, 1.0, 2)
    with np.errstate(invalid="ignore"):
        assert np.isnan(directional_derivatives(f, -4.0, 1.0, 2)[2])


def test_complex_values_and_precision():
    z = 0.3 + 0.4j
    np.testing.assert_allclose(directional_derivatives(np.exp, z, 1j, 4), np.exp(z) * 1j ** np.arange(5), rtol=1e-14)
    found = directional_derivatives(lambda x: np.exp(1j * x) + x, np.array([0.5]), np.ones(1), 3)
    np.testing.assert_allclose(np.ravel(found), np.exp(0.5j) * 1j ** np.arange(4) + [0.5, 1, 0, 0], rtol=1e-14)
    x = np.array([1.0, 2.0], np.float32)
    assert all(d.dtype == np.float32 for d in directional_derivatives(lambda x: np.tanh(x) / x, x, x, 5))


# ---- arguments --------------------------------------------------------------------------------------------------------


def test_trees_with_other_leaves():
    f = lambda p: {"y": p["x"] ** p["n"], "k": p["n"] + 1, "same": p["x"], "none": None}
    x = {"x": np.array([1.0, 2.0]), "n": 3, "name": "a"}
    value, first, second = directional_derivatives(f, x, {"x": np.array([1.0, 10.0]), "n": None, "name": None}, 2)
    np.testing.assert_array_equal(first["y"], [3, 120])
    np.testing.assert_array_equal(second["y"], [6, 1200])
    np.testing.assert_array_equal(second["same"], [0, 0])
    assert value["k"] == 4 and first["k"] is None and value["none"] is None and second["none"] is None
    assert not np.shares_memory(value["same"], x["x"])
    still = directional_derivatives(lambda p: p["x"] ** 2, x, {"x": None, "n": None, "name": None}, 2)
    np.testing.assert_array_equal(still[1], [0, 0])


@pytest.mark.parametrize("order", [0, -1, 1.5, True, "2", None])
def test_an_order_must_be_a_positive_int(order):
    with pytest.raises(errors.ArgumentError, match=r"directional_derivatives: order must be a positive int, not .*test_taylor\.py"):
        directional_derivatives(np.sin, 1.0, 1.0, order)


def test_wrong_arguments():
    with pytest.raises(errors.StructureError, match="directional_derivatives: v has shape"):
        directional_derivatives(np.sin, np.ones(2), np.ones(3), 2)
    with pytest.raises(errors.StructureError, match="directional_derivatives"):
        directional_derivatives(np.sin, {"a": np.ones(2)}, {"b": np.ones(2)}, 2)
    with pytest.raises(errors.InputTypeError, match="directional_derivatives: x must be floating"):
        directional_derivatives(np.sin, 1, 1.0, 2)
    with pytest.raises(errors.ArgumentError, match="must be a function"):
        directional_derivatives(1.0, 1.0, 1.0, 2)
    kept = []
    directional_derivatives(lambda x: kept.append(x) or x, 1.0, 1.0, 2)
    with pytest.raises(errors.EscapedTraceError, match="directional_derivatives"):
        kept[0] + 1


# ---- Laplacian --------------------------------------------------------------------------------------------------------


def test_the_laplacian_is_the_trace_of_the_hessian():
    matrix = RNG.normal(size=(5, 5))
    f = lambda x: np.sum(np.tanh(matrix @ x) ** 2) / (1 + np.sum(x**2)) + np.prod(x) + np.logaddexp(x[0], x[1]) + np.max(x) ** 2
    x = RNG.normal(size=5)
    assert laplacian(f)(x) == pytest.approx(np.trace(hessian(f)(x)), rel=1e-12)
    for chunk_size in (1, 2, 7):
        assert laplacian(f, chunk_size=chunk_size)(x) == pytest.approx(laplacian(f)(x), rel=1e-13)
    reference = lambda x: np.trace(hessian(f)(x))
    np.testing.assert_allclose(grad(laplacian(f))(x), grad(reference)(x), rtol=1e-10, atol=1e-11)
    v = RNG.normal(size=5)
    assert jvp(laplacian(f), (x,), (v,))[1] == pytest.approx(jvp(reference, (x,), (v,))[1], rel=1e-10)
    np.testing.assert_allclose(vmap(laplacian(f))(np.stack([x, v])), [laplacian(f)(x), laplacian(f)(v)], rtol=1e-12)
    assert laplacian(laplacian(f))(x) == pytest.approx(np.trace(hessian(laplacian(f))(x)), rel=1e-9)


def test_closed_laplacians():
    n = 5
    x = RNG.normal(size=n)
    r = np.linalg.norm(x)
    assert laplacian(np.linalg.norm)(x) == pytest.approx((n - 1) / r, rel=1e-14)
    assert laplacian(lambda x: 1 / np.linalg.norm(x))(x[:3]) == pytest.approx(0, abs=1e-14)  # harmonic in three dimensions
    assert laplacian(lambda x: np.exp(-np.sum(x**2) / 2))(x) == pytest.approx((r**2 - n) * np.exp(-(r**2) / 2), rel=1e-13)
    assert laplacian(lambda a: np.linalg.slogdet(a)[1])(np.diag([1.0, 2.0, 4.0])) == pytest.approx(-(1 + 1 / 4 + 1 / 16), rel=1e-14)
    assert laplacian(lambda x: np.linalg.norm(x) ** 2)(np.zeros(3)) == 6
    assert laplacian(lambda x: x * 3)(2.0) == 0


def test_the_laplacian_of_every_output_over_all_leaves():
    f = lambda p, s: {"y": np.outer(np.sin(p["x"]), p["w"]) * s, "k": 3, "x": p["x"]}
    p = {"x": np.array([0.3, 0.8]), "w": np.array([[1.0, 2.0], [3.0, 4.0]]), "n": 2}
    found = laplacian(f)(p, s=2.0)
    np.testing.assert_allclose(found["y"], -2 * np.outer(np.sin(p["x"]), p["w"]), rtol=1e-14)
    np.testing.assert_array_equal(found["x"], [0, 0])
    assert found["k"] is None
    both = laplacian(lambda x, y: x**2 * y**3, argnums=(0, 1))(2.0, 3.0)
    assert both == 2 * 27 + 4 * 18
    assert laplacian(lambda x, y: x**2 * y**3, argnums=1)(2.0, 3.0) == 72


def is_small_and_real(row: Any) -> bool:
    xs = [row.args[k] for k in table.operands(row)]
    return row.mapped and row.order >= 2 and all(x.dtype.kind == "f" for x in xs) and 0 < sum(map(np.size, xs)) <= 12


@table.rows(is_small_and_real)
def test_the_laplacian_of_every_primitive_is_that_of_its_nested_jacobians(row):
    point = table.Point(row, table.operands(row))
    def f(vector: Any) -> Any:
        cuts = np.cumsum([0, *(np.size(x) for x in point.xs)])
        return point(*(vector[i:j].reshape(np.shape(x)) for i, j, x in zip(cuts[:-1], cuts[1:], point.xs, strict=True)))

    vector = np.concatenate([np.ravel(x) for x in point.xs])
    hessians = jacfwd(jacfwd(f))(vector)
    for got, h in zip(laplacian(f)(vector), hessians, strict=True):
        np.testing.assert_allclose(got, np.trace(h, axis1=-2, axis2=-1), rtol=0, atol=1e-11 * table.largest(hessians))


def test_the_laplacian_carries_no_second_tangents():
    """n first-order coefficients of every intermediate and one of second order, where a Hessian's dual numbers have n**2."""
    n, wide = 40, 4000
    matrix = RNG.normal(size=(wide, n)) / n

    def peak(f: Any) -> int:
        tracemalloc.start()
        try:
            f(np.ones(n))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    f = lambda x: np.sum(np.cumsum(np.tanh(matrix @ x)))
    assert peak(laplacian(f)) < 8 * (n * wide * 8)
    assert laplacian(f)(np.ones(n)) == pytest.approx(np.trace(hessian(f)(np.ones(n))), rel=1e-12)


def test_wrong_arguments_of_the_laplacian():
    with pytest.raises(errors.InputTypeError, match=r"laplacian: the argument must be real.*real and imaginary parts"):
        laplacian(lambda z: np.sum(np.abs(z)))(np.ones(2) * 1j)
    with pytest.raises(errors.InputTypeError, match="laplacian: argument 0 must be floating"):
        laplacian(np.sum)(np.ones(2, int))
    with pytest.raises(errors.ArgumentError, match="laplacian: chunk_size must be a positive int"):
        laplacian(np.sum, chunk_size=0)(np.ones(2))
