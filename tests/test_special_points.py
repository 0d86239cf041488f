"""The corpus of special points, in every mode: forward one direction at a time and in one sweep, reverse, mapped, and nested."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import directional, second
from special_points import CORPUS

from dualgrad import errors, grad, jacfwd, jacrev, jvp, vjp, vmap

#: Beyond the surface supported so far: right, or an error that names the function.
OUTSIDE = {"S5", "S6", "S8", "A11", "X20", "X23"}

#: The second derivative is infinite here too.
NOT_TWICE_SMOOTH = {"P8", "P11", "P15"}

POINTS = [pytest.param(*row[:5], id=row[0]) for row in CORPUS]
corpus = pytest.mark.parametrize(("name", "kind", "f", "x", "expected"), POINTS)


@pytest.fixture(autouse=True)
def _overflow_is_the_functions_own():
    """exp(1000) overflows in plain NumPy, and so does a computed zero times it; nothing else may warn."""
    with np.errstate(over="ignore"):
        yield


def total(f: Any) -> Any:
    return lambda x: np.sum(f(x))


def unit_vectors(x: Any) -> Any:
    return np.eye(np.size(x)).reshape(-1, *np.shape(x))


def assert_gradient(got: Any, expected: Any, x: Any) -> None:
    assert np.shape(got) == np.shape(x) and got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-12)


def supported(name: str, call: Any) -> Any:
    """call(), or a skip where the row lies beyond the surface and says so."""
    try:
        return call()
    except errors.UnsupportedError as error:
        if name not in OUTSIDE:
            raise
        pytest.skip(str(error))


@corpus
def test_reverse(name, kind, f, x, expected):
    x = np.array(x)[()]
    assert_gradient(supported(name, lambda: grad(total(f))(x)), expected, x)
    assert_gradient(jacrev(total(f))(x), expected, x)


@corpus
def test_forward_one_direction_at_a_time(name, kind, f, x, expected):
    x = np.array(x)[()]
    with np.errstate(invalid="ignore" if name == "P11" else None):
        got = np.array([supported(name, lambda e=e: jvp(total(f), (x,), (e[()],))[1]) for e in unit_vectors(x)])
    wanted = np.asarray(expected, float).reshape(-1)
    if name == "P11":  # a zero tangent given by the caller is a computed zero, and inf times it is nan; `jacfwd` knows better
        assert np.isnan(got).any()
        return
    assert_gradient(got, wanted, wanted)


@corpus
def test_forward_in_one_sweep(name, kind, f, x, expected):
    x = np.array(x)[()]
    assert_gradient(supported(name, lambda: jacfwd(total(f))(x)), expected, x)


@corpus
def test_mapped(name, kind, f, x, expected):
    if name == "W9":
        pytest.skip("piecewise chooses by the values of one instance")
    x = np.array(x)[()]
    both = supported(name, lambda: vmap(grad(total(f)))(np.stack([x, x])))
    assert_gradient(both[0], expected, x)
    assert_gradient(both[1], expected, x)


@corpus
def test_exact_rows_are_the_derivative_of_plain_numpy(name, kind, f, x, expected):
    if kind != "exact":
        pytest.skip("not differentiable by differences here")
    x = np.array(x)[()]
    expected = np.asarray(expected, float).reshape(-1)
    for e, wanted in zip(unit_vectors(x), expected, strict=True):
        found, error = directional(lambda y: (np.sum(f(y)),), (x,), (e[()],))
        assert float(found[0]) == pytest.approx(wanted, rel=1e-6, abs=1e-6 + 10 * error)


@corpus
def test_second_order_in_all_four_nestings(name, kind, f, x, expected):
    if name in NOT_TWICE_SMOOTH:
        pytest.skip("not twice differentiable here")
    x = np.array(x)[()]
    g = total(f)
    u, v = (np.random.default_rng(seed).uniform(0.5, 1, np.shape(x))[()] for seed in (1, 2))
    one = np.float64(1)

    def pushed(y: Any) -> Any:
        return jvp(g, (y,), (v,))[1]

    def pulled(y: Any) -> Any:
        return vjp(g, y)[1](one)[0]

    found = supported(
        name,
        lambda: {
            "forward over forward": jvp(pushed, (x,), (u,))[1],
            "forward over reverse": np.sum(jvp(pulled, (x,), (u,))[1] * v),
            "reverse over forward": np.sum(vjp(pushed, x)[1](one)[0] * u),
            "reverse over reverse": np.sum(vjp(pulled, x)[1](v)[0] * u),
        },
    )
    first = found["forward over forward"]
    assert np.isfinite(first)
    for nesting, value in found.items():
        assert float(value) == pytest.approx(float(first), rel=1e-8, abs=1e-10), nesting
    if kind == "exact":
        wanted, error = second(lambda y: (g(y),), (x,), (u,), (v,))
        if error < 1e-3 * max(1.0, abs(float(wanted[0]))):
            assert float(first) == pytest.approx(float(wanted[0]), rel=1e-5, abs=1e-6 + 10 * error)
