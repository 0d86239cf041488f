"""Custom rules: either half serves every mode and order; wrong ones are told what is wrong.  stop_gradient."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from dualgrad import (
    check_grads,
    checkpoint,
    custom_jvp,
    custom_vjp,
    errors,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stop_gradient,
    tree,
    vjp,
    vmap,
)

X = np.array([0.3, -1.2, 2.0])


@custom_jvp
def sine(x):
    """sin, whose rule says so."""
    return np.sin(x)


sine.defjvp(lambda primals, tangents: (np.sin(primals[0]), np.cos(primals[0]) * tangents[0]))


@custom_vjp
def square(x):
    return x**2


square.defvjp(lambda x: (x**2, x), lambda x, ct: (2 * x * ct,))


@custom_jvp
def affine(p, x, power=1):
    return {"y": (p["w"] * x + p["b"]) ** power, "n": 3}


def _affine_rule(primals, tangents, power=1):
    (p, x), (dp, dx) = primals, tangents
    inner = p["w"] * x + p["b"]
    return {"y": inner**power, "n": 3}, {"y": power * inner ** (power - 1) * (dp["w"] * x + p["w"] * dx + dp["b"]), "n": None}


affine.defjvp(_affine_rule)


@custom_vjp
def product(p, x, scale=2.0):
    return (p["w"] * x * scale, np.sum(x))


def _product_forward(p, x, scale=2.0):
    return (p["w"] * x * scale, np.sum(x)), (p["w"], x, scale, "text is a residual too")


def _product_backward(residuals, cts):
    w, x, scale, _ = residuals
    by_y, by_sum = cts
    return {"w": np.sum(by_y * x) * scale, "n": None}, by_y * w * scale + by_sum


product.defvjp(_product_forward, _product_backward)
PARAMS = {"w": np.float64(1.5), "b": np.float64(-0.2)}

FUNCTIONS = {
    "custom_jvp": (lambda x: sine(x) * x, lambda x: np.sin(x) * x),
    "custom_vjp": (lambda x: square(x) * x, lambda x: x**3),
    "custom_jvp, trees and keywords": (lambda x: affine({"w": x[0], "b": x[1]}, x, power=3)["y"], lambda x: (x[0] * x + x[1]) ** 3),
    "custom_jvp, a constant argument": (lambda x: affine(PARAMS, x, power=2)["y"], lambda x: (1.5 * x - 0.2) ** 2),
    "custom_vjp, trees and two outputs": (
        lambda x: (lambda y, s: y * s)(*product({"w": x[1], "n": 4}, x)),
        lambda x: 2 * x[1] * x * np.sum(x),
    ),
    "custom_vjp, one output unused": (lambda x: product({"w": x[1], "n": 4}, x, scale=3.0)[0], lambda x: 3 * x[1] * x),
    "custom_jvp in custom_vjp": (lambda x: square(sine(x)), lambda x: np.sin(x) ** 2),
    "called twice": (lambda x: sine(sine(x)), lambda x: np.sin(np.sin(x))),
    "in a checkpoint": (lambda x: checkpoint(lambda y: square(y) * sine(y))(x), lambda x: x**2 * np.sin(x)),
}


@pytest.mark.parametrize(("f", "reference"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_rule_in_one_half_works_in_every_mode_and_at_every_order(f, reference):
    np.testing.assert_allclose(f(X), reference(X), rtol=1e-15)
    np.testing.assert_allclose(jacfwd(f)(X), jacrev(reference)(X), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(jacrev(f)(X), jacrev(reference)(X), rtol=1e-13, atol=1e-14)
    second = jacfwd(jacrev(reference))(X)
    for outer in (jacfwd, jacrev):
        for inner in (jacfwd, jacrev):
            np.testing.assert_allclose(
                outer(inner(f))(X), second, rtol=1e-12, atol=1e-13, err_msg=f"{outer.__name__} of {inner.__name__}"
            )
    third = jacfwd(jacfwd(jacrev(reference)))(X)
    np.testing.assert_allclose(jacrev(jacfwd(jacrev(f)))(X), third, rtol=1e-12, atol=1e-12)
    stack = np.stack([X, X[::-1], 2 * X])
    np.testing.assert_allclose(vmap(f)(stack), np.stack([f(x) for x in stack]), rtol=1e-14)
    for mode in (jacfwd, jacrev):
        np.testing.assert_allclose(vmap(mode(f))(stack), np.stack([mode(reference)(x) for x in stack]), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(mode(vmap(f))(stack), mode(vmap(reference))(stack), rtol=1e-13, atol=1e-14)
    check_grads(f, (X,))


def test_the_rule_is_used_and_not_the_function():
    @custom_vjp
    def clipped(x):
        return x * 1.0

    clipped.defvjp(lambda x: (x * 1.0, None), lambda _, ct: (np.clip(ct, -1, 1),))
    np.testing.assert_array_equal(vjp(clipped, X)[1](np.array([5.0, 0.5, -7.0]))[0], [1, 0.5, -1])

    @custom_jvp
    def straight_through(x):
        return np.round(x)

    straight_through.defjvp(lambda primals, tangents: (np.round(primals[0]), tangents[0]))
    np.testing.assert_array_equal(grad(lambda x: np.sum(straight_through(x) * x))(X), np.round(X) + X)


def test_the_forward_half_runs_once_and_its_residuals_are_kept():
    calls: list[str] = []

    @custom_vjp
    def f(x):
        calls.append("f")
        return x**2

    f.defvjp(lambda x: (calls.append("fwd"), (x**2, x))[1], lambda x, ct: (calls.append("bwd"), (2 * x * ct,))[1])
    f(2.0)
    assert calls == ["f"]
    calls.clear()
    assert grad(f)(3.0) == 6
    assert calls == ["fwd", "bwd"]


def test_a_custom_function_keeps_its_name_and_documentation():
    assert sine.__name__ == "sine" and sine.__doc__ == "sin, whose rule says so."
    assert sine.defjvp(lambda p, t: (np.sin(p[0]), np.cos(p[0]) * t[0])) is not None


def test_a_custom_function_is_pickled_by_its_name():
    for f in (sine, square):
        assert pickle.loads(pickle.dumps(f)) is f and copy.deepcopy(f) is f
        assert pickle.loads(pickle.dumps(grad(f)))(2.0) == grad(f)(2.0)


def test_integer_arguments_pass_through():
    @custom_jvp
    def scaled(x, n):
        assert isinstance(n, int)
        return x * n

    scaled.defjvp(lambda primals, tangents: (primals[0] * primals[1], tangents[0] * primals[1]))
    assert grad(scaled)(2.0, 3) == 3
    assert jvp(lambda x: scaled(x, 3), (2.0,), (1.0,))[1] == 3


def test_float32_and_complex():
    x = X.astype(np.float32)
    for f in (sine, square):
        assert grad(lambda x: np.sum(f(x)))(x).dtype == np.float32  # noqa: B023
        assert jvp(f, (x,), (x,))[1].dtype == np.float32
    z = X + 1j
    for f in (sine, square):
        left = np.vdot(z[::-1], jvp(f, (z,), (z * 1j,))[1]).real
        right = np.vdot(vjp(f, z)[1](z[::-1])[0], z * 1j).real
        if f is sine:  # a pushforward says all of it; a pullback of complex numbers must conjugate by itself
            assert left == pytest.approx(right, rel=1e-13)


# ---- wrong rules --------------------------------------------------------------------------------------------------------


def _jvp_rule(rule):
    @custom_jvp
    def badly(x):
        return np.sin(x)

    badly.defjvp(rule)
    return badly


def _vjp_rule(fwd, bwd):
    @custom_vjp
    def badly(x):
        return np.sin(x)

    badly.defvjp(fwd, bwd)
    return badly


def test_a_rule_that_is_not_given():
    for kind, method in ((custom_jvp, "defjvp"), (custom_vjp, "defvjp")):
        f = kind(lambda x: x * 2.0)
        assert f(3.0) == 6
        for transform in (lambda f: grad(f)(1.0), lambda f: jvp(f, (1.0,), (1.0,))):
            with pytest.raises(errors.CustomRuleError, match=method):
                transform(f)


WRONG = {
    "the wrong shape of a tangent": (_jvp_rule(lambda p, t: (np.sin(p[0]), t[0][:1])), ["badly", "tangent", "(1,)", "(3,)"]),
    "not a pair": (_jvp_rule(lambda p, t: np.sin(p[0])), ["badly", "pair (out, tangent)"]),
    "the wrong tree of tangents": (_jvp_rule(lambda p, t: (np.sin(p[0]), {"y": t[0]})), ["badly", "tangent"]),
    "a complex tangent": (_jvp_rule(lambda p, t: (np.sin(p[0]), 1j * t[0])), ["badly", "complex"]),
    "the wrong shape of a cotangent": (
        _vjp_rule(lambda x: (np.sin(x), x), lambda x, ct: (np.sum(ct),)),
        ["badly", "cotangent", "()", "(3,)"],
    ),
    "no tuple of cotangents": (
        _vjp_rule(lambda x: (np.sin(x), x), lambda x, ct: ct * np.cos(x)),
        ["badly", "tuple of 1 cotangent"],
    ),
    "too many cotangents": (
        _vjp_rule(lambda x: (np.sin(x), x), lambda x, ct: (ct, ct)),
        ["badly", "tuple of 1 cotangent", "2 of them"],
    ),
    "no residuals": (_vjp_rule(lambda x: np.sin(x), lambda x, ct: (ct,)), ["badly", "pair (out, residuals)"]),
    "a complex cotangent": (_vjp_rule(lambda x: (np.sin(x), x), lambda x, ct: (1j * ct,)), ["badly", "complex"]),
}


@pytest.mark.parametrize(("f", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_rule_is_told_what_is_wrong(f, words):
    for transform in (
        lambda: grad(lambda x: np.sum(f(x)))(X),
        lambda: jvp(f, (X,), (X,)),
        lambda: vmap(grad(lambda x: np.sum(f(x))))(X[None]),
    ):
        with pytest.raises(errors.CustomRuleError) as caught:
            transform()
        for word in words[:2]:
            assert word in str(caught.value)
    with pytest.raises(errors.CustomRuleError) as caught:
        grad(lambda x: np.sum(f(x)))(X)
    for word in words:
        assert word in str(caught.value)


def test_a_captured_traced_value_is_refused():
    @custom_jvp
    def f(x):
        return x * 2.0

    def outer(x):
        g = custom_jvp(lambda y: y * x[0])
        g.defjvp(lambda p, t: (p[0] * x[0], t[0] * x[0]))
        return np.sum(g(x))

    f.defjvp(lambda p, t: (p[0] * 2.0, t[0] * 2.0))
    for transform in (grad, jacfwd):
        with pytest.raises(errors.CustomRuleError, match="not among its arguments"):
            transform(outer)(X)


def test_a_value_of_an_outer_trace_may_be_captured():
    def outer(a):
        g = custom_jvp(lambda y: y * a)
        g.defjvp(lambda p, t: (p[0] * a, t[0] * a))
        return grad(lambda y: g(y) * y)(3.0)  # 2 a y

    assert grad(outer)(2.0) == 6
    assert jvp(outer, (2.0,), (1.0,))[1] == 6


def test_something_that_is_not_a_function():
    for wrong in (custom_jvp, custom_vjp):
        with pytest.raises(errors.ArgumentError, match="must be a function"):
            wrong(3.0)
    with pytest.raises(errors.CustomRuleError, match="defjvp"):
        custom_jvp(np.sin).defjvp(None)
    with pytest.raises(errors.CustomRuleError, match="defvjp"):
        custom_vjp(np.sin).defvjp(np.sin, None)


# ---- stop_gradient ------------------------------------------------------------------------------------------------------


def test_stop_gradient_is_a_constant_at_every_order():
    for mode in (grad, jacfwd, jacrev):
        np.testing.assert_array_equal(mode(lambda x: np.sum(x * stop_gradient(x)))(X), X)
    np.testing.assert_array_equal(hessian(lambda x: np.sum(x**2 * stop_gradient(x)))(X), np.diag(2 * X))
    np.testing.assert_array_equal(hessian(lambda x: np.sum(stop_gradient(x**2) * x))(X), np.zeros((3, 3)))


def test_stop_gradient_maps_over_trees_and_vmap():
    p = {"a": X, "n": 3, "name": "x", "none": None}
    stopped = stop_gradient(p)
    assert stopped["n"] == 3 and stopped["name"] == "x" and stopped["none"] is None
    gradient = grad(lambda p: np.sum(stop_gradient(p)["a"] * p["a"]))(p)
    np.testing.assert_array_equal(gradient["a"], X)
    np.testing.assert_array_equal(vmap(stop_gradient)(X), X)
    np.testing.assert_array_equal(vmap(grad(lambda x: x * stop_gradient(x)))(X), X)


def test_a_stored_stopped_value_is_plain():
    store: list[Any] = []
    grad(lambda x: (store.append(stop_gradient(x * 2.0)), np.sum(x))[1])(X)
    np.testing.assert_array_equal(store[0], 2 * X)
    assert type(store[0]) is np.ndarray and tree.leaves(store[0])


def test_a_read_only_cotangent_of_a_rule_becomes_a_writeable_gradient():
    def frozen(residuals, ct):
        gradient = np.full(3, 2.0) * ct
        gradient.setflags(write=False)
        return (gradient,)

    f = custom_vjp(lambda x: 2 * np.sum(x))
    f.defvjp(lambda x: (2 * np.sum(x), None), frozen)
    gradient = grad(f)(np.ones(3))
    assert gradient.flags.writeable and gradient.tolist() == [2.0, 2.0, 2.0]
