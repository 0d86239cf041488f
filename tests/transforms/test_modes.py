"""grad, vjp, jvp, linearize, derivative, Dual and Tape as a user calls them: trees, aux, complex numbers, dtypes."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from dualgrad import Dual, Tape, derivative, errors, grad, jacfwd, jacrev, jvp, linearize, tree, value_and_grad, vjp

X = np.array([0.3, -1.2, 2.0])
Point = namedtuple("Point", ["x", "y"])


@dataclass
class Layer:
    weight: Any
    name: Any = "layer"


def test_value_and_gradient_with_auxiliary_results():
    f = lambda x: (np.sum(x**2), {"double": 2 * x, "note": "text", "count": 3, "none": None})
    (value, aux), gradient = value_and_grad(f, has_aux=True)(X)
    assert value == np.sum(X**2) and type(value) is np.float64
    np.testing.assert_array_equal(gradient, 2 * X)
    np.testing.assert_array_equal(aux["double"], 2 * X)
    assert type(aux["double"]) is np.ndarray and (aux["note"], aux["count"], aux["none"]) == ("text", 3, None)
    gradient, aux = grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(gradient, 2 * X)
    _, _, aux = vjp(lambda x: (x**2, x), X, has_aux=True)
    np.testing.assert_array_equal(aux, X)
    _, tangent, aux = jvp(lambda x: (x**2, x * 3), (X,), (X,), has_aux=True)
    np.testing.assert_array_equal(aux, 3 * X)
    np.testing.assert_array_equal(tangent, 2 * X * X)


def test_auxiliary_results_inside_another_transform_carry_its_derivative():
    def outer(x: Any) -> Any:
        gradient, aux = grad(lambda y: (y**2 * x, y * x), has_aux=True)(x)
        return gradient + aux  # 2x² + x²

    assert grad(outer)(3.0) == 18
    assert jvp(outer, (3.0,), (1.0,))[1] == 18


def test_argnums():
    f = lambda x, y, z: x * y**2 * np.sum(z)
    z = np.array([1.0, 2.0])
    assert grad(f)(2.0, 3.0, z) == 27
    assert grad(f, argnums=1)(2.0, 3.0, z) == 36
    by_y, by_z = grad(f, argnums=(1, -1))(2.0, 3.0, z)
    assert by_y == 36
    np.testing.assert_array_equal(by_z, [18, 18])
    (by_x,) = grad(f, argnums=[0])(2.0, 3.0, z)
    assert by_x == 27
    assert grad(lambda x, k=1, *, m=1: x**k * m)(2.0, 3, m=5) == 60
    assert grad(lambda x, k=1, *, m=1: x**k * m)(2.0, k=3, m=5) == 60


TREES = {
    "a dict, in its order": {"z": 1.0, "a": X},
    "an ordered dict": OrderedDict(z=1.0, a=X),
    "a default dict": defaultdict(list, z=1.0, a=X),
    "lists and tuples": [1.0, (X, [X])],
    "a namedtuple": Point(1.0, X),
    "a dataclass": Layer(X, "first"),
    "a nested tree": {"l": [Layer(X), Layer({"w": X, "n": 3}, None)], "p": Point(X, ())},
    "strings, integers, booleans, None": {"x": X, "s": "text", "n": 3, "b": True, "none": None, "m": np.arange(3), "e": {}},
}


@pytest.mark.parametrize("p", TREES.values(), ids=TREES)
def test_a_gradient_is_a_tree_like_its_input(p):
    f = lambda p: sum(np.sum(x**2) for x in tree.leaves(p) if tree.is_differentiable(x))
    gradient = grad(f)(p)
    assert type(gradient) is type(p)
    if isinstance(p, dict):
        assert list(gradient) == list(p)
    for g, x in zip(tree.leaves(gradient), tree.leaves(p), strict=True):
        if tree.is_differentiable(x):
            np.testing.assert_array_equal(g, 2 * np.asarray(x))
        else:
            assert g is None
    tangent = jvp(f, (p,), (gradient,))[1]
    assert float(tangent) == pytest.approx(float(sum(np.sum(g**2) for g in tree.leaves(gradient) if g is not None)))


def test_complex_gradients_are_the_direction_of_steepest_ascent():
    assert grad(lambda z: np.abs(z) ** 2)(3 + 4j) == 6 + 8j
    assert grad(lambda z: np.real(z * z))(3 + 4j) == pytest.approx(6 - 8j)
    assert grad(lambda z: np.imag(z))(3 + 4j) == 1j
    z = np.array([1 + 2j, -0.5j])
    step = 1e-6
    f = lambda z: np.sum(np.abs(z**2 - 1) ** 2)
    g = grad(f)(z)
    wanted = [
        (f(z + step * e) - f(z - step * e) + 1j * (f(z + 1j * step * e) - f(z - 1j * step * e))) / (2 * step) for e in np.eye(2)
    ]
    np.testing.assert_allclose(g, wanted, rtol=1e-7)
    assert f(z - 1e-3 * g) < f(z)


def test_holomorphic_derivatives():
    z = 0.3 + 0.7j
    assert grad(lambda z: z**3, holomorphic=True)(z) == pytest.approx(3 * z**2, rel=1e-14)
    assert grad(grad(np.sin, holomorphic=True), holomorphic=True)(z) == pytest.approx(-np.sin(z), rel=1e-14)
    with pytest.raises(errors.InputTypeError, match="holomorphic=True needs complex"):
        grad(lambda x: x * 1j, holomorphic=True)(1.0)
    with pytest.raises(errors.OutputError, match="holomorphic=True"):
        grad(lambda z: z**2)(z)


def test_a_real_input_has_a_real_gradient():
    g = grad(lambda x: np.abs(np.sum(np.exp(1j * x))) ** 2)(X)
    assert g.dtype == np.float64
    wanted = 2 * np.real(np.conjugate(np.sum(np.exp(1j * X))) * 1j * np.exp(1j * X))
    np.testing.assert_allclose(g, wanted, rtol=1e-13)
    np.testing.assert_allclose(jacfwd(lambda x: np.abs(np.sum(np.exp(1j * x))) ** 2)(X), wanted, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.clongdouble])
def test_every_precision_keeps_itself(dtype):
    x = np.array([0.5, 2.0], dtype)
    f = lambda x: np.sum(np.abs(np.sin(x) * x + x / 3 - x**2 + 2**x.real) ** 2)
    for value in (x, x[0]):
        gradient = grad(f)(value)
        assert gradient.dtype == dtype
        assert jvp(np.sin, (value,), (value,))[1].dtype == dtype
        assert vjp(np.sin, value)[1](value)[0].dtype == dtype
        assert f(value).dtype == value_and_grad(f)(value)[0].dtype


def test_long_double_derivatives_have_its_precision():
    if np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("long double is double here")
    x = np.longdouble(1) / 3
    for f, slope in (
        (np.exp2, lambda x: np.exp2(x) * np.log(np.longdouble(2))),
        (np.log2, lambda x: 1 / (x * np.log(np.longdouble(2)))),
        (np.log10, lambda x: 1 / (x * np.log(np.longdouble(10)))),
        (np.deg2rad, lambda x: np.arctan(np.longdouble(1)) / 45),
        (np.sqrt, lambda x: 1 / (2 * np.sqrt(x))),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (lambda x: x**2.5, lambda x: 5 * x * np.sqrt(x) / 2),
        (lambda x: 2**x, lambda x: 2**x * np.log(np.longdouble(2))),
    ):
        for got in (grad(f)(x), jvp(f, (x,), (np.longdouble(1),))[1]):
            assert abs(got / slope(x) - 1) < 1e-18


def test_python_numbers_and_numpy_scalars():
    for x in (2.0, np.float64(2.0), np.array(2.0)):
        assert grad(lambda x: x**3)(x) == 12
    assert type(grad(lambda x: x**3)(2.0)) is np.float64
    assert grad(lambda x: np.abs(x) ** 2)(2 + 0j) == 4


def test_jvp_takes_none_for_zero():
    _out, tangent = jvp(lambda p, n: p["a"] * p["b"] * n, ({"a": X, "b": 2.0}, 3), ({"a": X, "b": None}, None))
    np.testing.assert_array_equal(tangent, X * 6)


def test_linearize_evaluates_once():
    calls = []
    out, pushforward = linearize(lambda x, y: calls.append(1) or {"z": np.sin(x) * y["k"]}, X, {"k": 2.0})
    np.testing.assert_allclose(pushforward(X, {"k": 1.0})["z"], np.cos(X) * 2 * X + np.sin(X), rtol=1e-14)
    np.testing.assert_allclose(pushforward(0 * X, {"k": 1.0})["z"], np.sin(X), rtol=1e-14)
    assert len(calls) == 1
    np.testing.assert_allclose(out["z"], np.sin(X) * 2)


def test_linearize_of_complex_and_constant_parts():
    z = X + 1j
    _, pushforward = linearize(lambda z: (np.conjugate(z) * z[0], np.ones(2), 3), z)
    wanted = jvp(lambda z: np.conjugate(z) * z[0], (z,), (1j * z,))[1]
    found = pushforward(1j * z)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-14)
    np.testing.assert_array_equal(found[1], [0, 0])


def test_linearize_takes_none_for_zero_and_gives_none_for_integers():
    out, pushforward = linearize(lambda p, n: (p["a"] * p["b"] * n, np.argmax(p["a"])), {"a": X, "b": 2.0}, 3)
    assert out[1] == 2
    for tangent in (pushforward({"a": X, "b": None}, None), pushforward({"b": 0.0, "a": X}, 3)):
        np.testing.assert_array_equal(tangent[0], X * 6)
        assert tangent[1] is None
    assert linearize(np.argmax, X)[1](X) is None


def test_linearize_keeps_the_dtype_of_each_output():
    x, y = X.astype(np.float32), X
    _, pushforward = linearize(lambda x, y: (x * 2, y * 2), x, y)
    first, second = pushforward(y, np.array([1, 2, 3]))
    assert first.dtype == np.float32 and second.dtype == np.float64
    np.testing.assert_array_equal(second, [2, 4, 6])


def test_linearize_of_a_linearization():
    f = lambda x: np.sin(x) * x[0]
    second = linearize(lambda x: linearize(f, x)[1](X), X)[1](X)
    wanted = jvp(lambda x: jvp(f, (x,), (X,))[1], (X,), (X,))[1]
    np.testing.assert_allclose(second, wanted, rtol=1e-13)


def test_elementwise_derivatives():
    np.testing.assert_allclose(derivative(np.tanh)(X), 1 - np.tanh(X) ** 2, rtol=1e-14)
    np.testing.assert_allclose(derivative(derivative(lambda x: x**3))(X), 6 * X)
    np.testing.assert_allclose(derivative(lambda x, a, *, b: a * x**2 + b)(X, 3.0, b=1.0), 6 * X)
    assert derivative(np.sin)(0.0) == 1 and derivative(np.sin)(np.float32(0)).dtype == np.float32
    np.testing.assert_allclose(derivative(np.exp)(X + 1j), np.exp(X + 1j), rtol=1e-14)
    np.testing.assert_allclose(jacfwd(derivative(np.sin))(X), np.diag(-np.sin(X)), atol=1e-15)
    np.testing.assert_allclose(jacrev(derivative(np.sin))(X), np.diag(-np.sin(X)), atol=1e-15)
    matrix = X[:, None] * X
    np.testing.assert_allclose(derivative(np.exp)(matrix), np.exp(matrix))


@pytest.mark.parametrize(
    "x",
    [
        np.arange(12.0)[::-2][::2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3.0).astype(">f8"),
        np.arange(6.0).reshape(2, 3).T,
        np.broadcast_to(2.0, (2, 3)),
        np.zeros((0, 3)),
        np.array(1.5),
        np.array(1.5)[()],
    ],
    ids=["strided", "Fortran", "big-endian", "transposed", "broadcast", "empty", "rank zero", "a scalar"],
)
def test_arrays_of_every_layout(x):
    f = lambda x: np.sum(x * x[..., ::-1] if np.ndim(x) else x * x)
    wanted = 2 * (x[..., ::-1] if np.ndim(x) else x)
    for mode in (grad, jacfwd, jacrev):
        got = mode(f)(x)
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype.type is x.dtype.type and got.shape == x.shape
    assert grad(f)(x).dtype == x.dtype
    np.testing.assert_array_equal(jvp(f, (x,), (x,))[1], np.sum(wanted * x))


def test_subclasses_of_arrays(tmp_path):
    x = np.memmap(tmp_path / "x", float, "w+", shape=3)
    x[:] = X
    gradient = grad(lambda p: np.sum(p["a"] ** 2) + p["b"])({"a": x, "b": 1.0})
    np.testing.assert_array_equal(gradient["a"], 2 * X)
    assert type(gradient["a"]) is np.ndarray
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    for p in (masked, {"a": masked, "b": 1.0}):
        with pytest.raises(errors.InputTypeError, match=r"MaskedArray.*filled"):
            grad(lambda p: 0.0)(p)


def test_builtin_functions_on_traced_values():
    x = np.array([3.0, 1.0, 2.0])
    for f, wanted in (
        (sum, [1, 1, 1]),
        (max, [1, 0, 0]),
        (lambda x: sorted(x)[0], [0, 1, 0]),
        (lambda x: abs(x[1]), [0, 1, 0]),
        (lambda x: pow(x[0], 2), [6, 0, 0]),
        (lambda x: divmod(x[0], 2)[1], [1, 0, 0]),
        (lambda x: sum(v * v for v in x), [6, 2, 4]),
        (lambda x: sum([1, 2, 3] * x), [1, 2, 3]),
        (lambda x: [1, 2, 3] @ x, [1, 2, 3]),
        (lambda x: np.sum((1, 2, 3) - x), [-1, -1, -1]),
        (lambda x: np.sum(np.float64(2) * x) * True, [2, 2, 2]),
        (lambda x: x[0] * 10**30, [1e30, 0, 0]),
        (lambda x: np.sum(x[True] ** 2), [6, 2, 4]),
    ):
        for mode in (grad, jacfwd, jacrev):
            np.testing.assert_array_equal(mode(f)(x), wanted)


def test_the_arguments_of_the_caller_keep_their_trees():
    p = {"a": 1.0, "b": [2.0]}

    def f(p: Any) -> Any:
        p["b"].append(3.0)
        return p.pop("a") ** 2

    assert grad(f)(p) == {"a": 2, "b": [0]}
    jvp(f, (p,), (p,))
    assert p == {"a": 1.0, "b": [2.0]}


# ---- Dual ---------------------------------------------------------------------------------------------------------------


def test_duals_by_hand():
    x = Dual(2.0, 1.0)
    for y, slope in (
        (np.sin(x), np.cos(2.0)), (x**3, 12), (1 / x, -0.25), (2 - x, -1), (x * x, 4), (np.exp(x) * 3, 3 * np.exp(2.0)),
        (abs(-x), 1), (x % 1.5, 1), (np.where(x > 1, x**2, 0.0), 4), (np.maximum(x, 0), 1), (-x, -1), (+x, 1),
    ):  # fmt: skip
        assert float(y.tangent) == pytest.approx(slope)
    y = np.sum(Dual(X, np.ones(3)) ** 2)
    assert y.tangent == np.sum(2 * X) and y.primal == np.sum(X**2)
    assert x > 1 and x != 3 and x == 2 and not x < 0 and int(x) == 2 and bool(x)
    assert repr(Dual(np.float64(1.5), np.float64(2.0))) == "Dual(np.float64(1.5), np.float64(2.0))"


def test_partial_derivatives_with_duals_that_belong_together():
    a, b = Dual(2.0, 1.0), Dual(5.0, 0.0)
    assert (a * b).tangent == 5 and (a * b + b).tangent == 5 and (b * b).tangent == 0
    assert (Dual(3.0) * a).tangent == 3


def test_a_dual_that_is_not_one():
    with pytest.raises(errors.StructureError, match=r"tangent has shape \(2,\)"):
        Dual(X, np.ones(2))
    with pytest.raises(errors.InputTypeError, match="float"):
        Dual(3, 1)
    with pytest.raises(errors.InputTypeError):
        Dual("text")


def test_a_dual_written_in_place():
    x = Dual(X, np.ones(3))
    x[0] = 5.0
    x[1:] *= 2.0
    np.testing.assert_array_equal(x.primal, [5, -2.4, 4])
    np.testing.assert_array_equal(x.tangent, [0, 2, 2])
    np.testing.assert_array_equal(X, [0.3, -1.2, 2.0])


# ---- Tape ---------------------------------------------------------------------------------------------------------------


def test_a_tape_by_hand():
    with Tape() as tape:
        x, y = tape.watch(X), tape.watch(2.0)
        z = np.sum(np.sin(x) * y)
        w = x * y
    by_x, by_y = tape.pullback(z)
    np.testing.assert_allclose(by_x, np.cos(X) * 2)
    assert float(by_y) == pytest.approx(np.sum(np.sin(X)))
    np.testing.assert_allclose(tape.pullback(w, X)[0], 2 * X)
    np.testing.assert_allclose(tape.pullback(z)[0], by_x)  # again
    np.testing.assert_allclose(tape.pullback(w)[0], [2, 2, 2])  # ones by default


def test_a_tape_prints_what_was_recorded():
    with Tape() as tape:
        x = tape.watch(np.ones((2, 3)))
        y = np.sum(np.sin(x) * 2.0, axis=0) + x[0]
        y.reshape(3, 1)
    lines = str(tape).splitlines()
    assert lines[0] == "%0 = input : float64[2,3]"
    assert lines[1].startswith("%1 = sin(%0") and "multiply(%1, 2.0)" in lines[2]
    assert "sum" in lines[3] and "getitem" in lines[4] and lines[5].startswith("%5 = add(%3, %4") and "reshape" in lines[6]
    assert len(lines) == 7


def test_a_closed_tape_and_wrong_uses():
    with Tape() as tape:
        x = tape.watch(X)
        with pytest.raises(errors.InputTypeError, match="astype"):
            tape.watch(np.arange(3))
        y = x * 2.0
        with pytest.raises(errors.ArgumentError, match="watch all inputs"):
            tape.watch(1.0)
    with pytest.raises(errors.EscapedTraceError):
        y + 1
    with pytest.raises(errors.ArgumentError, match="not a value of this tape"):
        tape.pullback(X)
    with Tape() as other:
        z = other.watch(1.0) * 2.0
    with pytest.raises(errors.ArgumentError, match="not a value of this tape"):
        tape.pullback(z)


def test_a_tape_inside_a_transform():
    def f(x: Any) -> Any:
        with Tape() as tape:
            y = tape.watch(x)
            z = np.sum(y**3)
        return np.sum(tape.pullback(z)[0] * x)  # 3 x³

    np.testing.assert_allclose(grad(f)(X), 9 * X**2, rtol=1e-14)
    np.testing.assert_allclose(jacfwd(f)(X), 9 * X**2, rtol=1e-14)
