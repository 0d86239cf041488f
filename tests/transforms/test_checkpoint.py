"""checkpoint: the same values and derivatives, less memory, at any depth and order."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from dualgrad import checkpoint, custom_vjp, errors, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap

X = np.array([0.3, -1.2, 2.0])


def block(x: Any, w: Any) -> Any:
    return np.tanh(x * w + np.sin(x))


def plain(x: Any) -> Any:
    y = block(x, x[0])
    return np.sum(block(y, x[1]) ** 2) * y


def checkpointed(x: Any) -> Any:
    y = checkpoint(block)(x, x[0])
    return np.sum(checkpoint(block)(y, x[1]) ** 2) * y


def with_closures(x: Any) -> Any:
    """Values of the same tape, reached through the closure instead of the arguments."""
    y = checkpoint(lambda z: block(z, x[0]))(x)
    return np.sum(checkpoint(lambda z: block(z, x[1]))(y) ** 2) * y


def nested(x: Any) -> Any:
    def inner(x: Any) -> Any:
        y = checkpoint(block)(x, x[0])
        return np.sum(checkpoint(lambda z: block(z, x[1]))(y) ** 2) * y

    return checkpoint(inner)(x)


def in_place_inside(x: Any) -> Any:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[:] = x * x[0]
        y += np.sin(x)
        return np.tanh(y)

    y = checkpoint(f)(x)
    return np.sum(checkpoint(block)(y, x[1]) ** 2) * y


def trees(x: Any) -> Any:
    out = checkpoint(lambda p, k=1: {"y": block(p["x"], p["w"]), "n": k})({"x": x, "w": x[0]}, k=2)
    return np.sum(checkpoint(block)(out["y"], x[1]) ** 2) * out["y"] * (out["n"] / 2)


VARIANTS = [checkpointed, with_closures, nested, in_place_inside, trees]


@pytest.mark.parametrize("f", VARIANTS)
def test_the_same_values_and_derivatives(f):
    np.testing.assert_allclose(f(X), plain(X), rtol=1e-15)
    np.testing.assert_allclose(vjp(f, X)[0], plain(X), rtol=1e-15)
    np.testing.assert_allclose(jacfwd(f)(X), jacrev(plain)(X), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(jacrev(f)(X), jacrev(plain)(X), rtol=1e-13, atol=1e-15)
    second = jacfwd(jacrev(plain))(X)
    for outer in (jacfwd, jacrev):
        for inner in (jacfwd, jacrev):
            np.testing.assert_allclose(
                outer(inner(f))(X), second, rtol=1e-12, atol=1e-14, err_msg=f"{outer.__name__} of {inner.__name__}"
            )
    stack = np.stack([X, 2 * X])
    np.testing.assert_allclose(vmap(jacrev(f))(stack), np.stack([jacrev(plain)(x) for x in stack]), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jacrev(vmap(f))(stack), jacrev(vmap(plain))(stack), rtol=1e-12, atol=1e-14)
    _, pullback = vjp(f, X)
    first = pullback(np.ones(3))[0]
    np.testing.assert_array_equal(pullback(np.ones(3))[0], first)  # recomputed again, the same
    np.testing.assert_allclose(linearize(f, X)[1](X), jacfwd(plain)(X) @ X, rtol=1e-13)


@pytest.mark.parametrize("f", VARIANTS)
def test_a_third_derivative(f):
    np.testing.assert_allclose(jacrev(jacrev(jacrev(f)))(X), jacfwd(jacfwd(jacfwd(plain)))(X), rtol=1e-11, atol=1e-12)


def test_one_more_evaluation_per_pullback():
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.sin(x)

    _, pullback = vjp(checkpoint(f), X)
    assert len(calls) == 1
    pullback(X)
    assert len(calls) == 2
    pullback(X)
    assert len(calls) == 3
    calls.clear()
    checkpoint(f)(X)
    jvp(checkpoint(f), (X,), (X,))
    assert len(calls) == 2


def test_memory_is_that_of_one_block():
    n, width = 20, 100_000

    def layer(x: Any) -> Any:
        for _ in range(5):
            x = np.tanh(x) * np.cos(x)
        return x

    def peak(wrap: Any) -> int:
        def f(x: Any) -> Any:
            for _ in range(n):
                x = wrap(layer)(x)
            return np.sum(x)

        tracemalloc.start()
        try:
            gradient = grad(f)(np.full(width, 0.5))
            assert np.isfinite(gradient).all()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(checkpoint) < 0.25 * peak(lambda f: f)


def test_a_generator_is_restored():
    rng = np.random.default_rng(3)

    def noisy(x: Any, rng: Any) -> Any:
        return np.sin(x * rng.normal(size=3))

    noise = np.random.default_rng(3).normal(size=3)
    got = grad(lambda x: np.sum(checkpoint(noisy)(x, rng)))(X)
    np.testing.assert_allclose(got, noise * np.cos(X * noise), rtol=1e-14)
    # the caller's generator has advanced once, as without a checkpoint
    again = np.random.default_rng(3)
    again.normal(size=3)
    assert rng.normal() == again.normal()


def test_a_mutable_argument_written_afterwards():
    def f(x: Any) -> Any:
        y = x * 1.0
        z = checkpoint(lambda y: y**2)(y)
        y[:] = 0.0
        return np.sum(z) + np.sum(y)

    np.testing.assert_array_equal(grad(f)(X), 2 * X)
    np.testing.assert_array_equal(hessian(f)(X), 2 * np.eye(3))


def test_an_exception_in_the_recomputation_leaves_the_tape_usable():
    armed = [False]

    def f(x: Any) -> Any:
        if armed[0]:
            raise KeyError("again")
        return np.sin(x)

    _, pullback = vjp(lambda x: checkpoint(f)(x) * x, X)
    wanted = pullback(X)[0]
    armed[0] = True
    with pytest.raises(KeyError, match="again"):
        pullback(X)
    armed[0] = False
    np.testing.assert_array_equal(pullback(X)[0], wanted)


def test_a_custom_rule_inside():
    @custom_vjp
    def f(x: Any) -> Any:
        return np.sin(x)

    f.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (ct * np.cos(x),))
    np.testing.assert_allclose(grad(lambda x: np.sum(checkpoint(lambda y: f(y) * y)(x)))(X), np.sin(X) + X * np.cos(X), rtol=1e-14)


def test_an_unused_or_constant_output():
    np.testing.assert_array_equal(grad(lambda x: np.sum(x) + 0 * np.sum(checkpoint(np.sin)(np.ones(3))))(X), np.ones(3))
    np.testing.assert_array_equal(grad(lambda x: (checkpoint(np.sin)(x), np.sum(x))[1])(X), np.ones(3))
    np.testing.assert_array_equal(grad(lambda x: np.sum(checkpoint(lambda x: 3.0)(x) * x))(X), np.full(3, 3.0))
    np.testing.assert_array_equal(grad(lambda x: np.sum(checkpoint(lambda x: x)(x)))(X), np.ones(3))
    first = lambda x: checkpoint(lambda x: (np.sin(x), np.cos(x)))(x)[0]
    np.testing.assert_allclose(grad(lambda x: np.sum(first(x)))(X), np.cos(X), rtol=1e-15)


def test_something_that_is_not_a_function():
    with pytest.raises(errors.ArgumentError, match="must be a function"):
        checkpoint(3.0)
