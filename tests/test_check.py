"""check_grads: right derivatives pass, a derivative wrong by any factor is caught and located."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dualgrad import check_grads, custom_jvp, custom_vjp, errors

X = np.array([[0.3, -1.2], [2.0, 0.7]])


def test_right_derivatives_pass():
    check_grads(np.sin, (X,))
    check_grads(lambda x, y: {"a": np.tanh(x) @ y, "b": [np.sum(y**2)]}, (X, X[0]), order=3)
    check_grads(lambda p, k: p["w"] ** k * np.exp(p["b"]), ({"w": X, "b": 0.3}, 2))
    check_grads(lambda z: z**2 * np.sum(np.abs(z)), (X + 1j,))
    check_grads(lambda x: x**2, (X.astype(np.float32),))
    check_grads(lambda x: x**3, (1.5,), order=1, modes=("reverse",))
    check_grads(lambda x: x**3, (1.5,), modes=["forward"])
    check_grads(lambda x: (x**2, np.argmax(x), 7), (X,))
    check_grads(lambda x: x, (X,))
    check_grads(lambda x: np.ones(3), (X,))


def wrong_jvp(factor):
    @custom_jvp
    def f(x):
        return np.sin(x)

    f.defjvp(lambda p, t: (np.sin(p[0]), factor(p[0]) * np.cos(p[0]) * t[0]))
    return f


def wrong_vjp(factor):
    @custom_vjp
    def f(x):
        return np.sin(x)

    f.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (factor(x) * np.cos(x) * ct,))
    return f


FACTORS = {
    "twice": lambda x: 2.0,
    "a sign": lambda x: -1.0,
    "zero": lambda x: 0.0,
    "a thousandth": lambda x: 1.001,
    "a hundred-thousandth": lambda x: 1.00001,
    "one element": lambda x: np.array([[1.0, 1.0], [1.5, 1.0]]),
    "not a number": lambda x: np.array([[1.0, 1.0], [np.nan, 1.0]]),
}


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("make", [wrong_jvp, wrong_vjp])
@pytest.mark.parametrize("factor", FACTORS.values(), ids=FACTORS)
def test_a_wrong_factor_is_caught_in_either_mode(make, factor, mode):
    f = make(factor)
    with np.errstate(invalid="ignore"), pytest.raises(errors.GradientCheckError):
        check_grads(lambda p: {"y": f(p["x"])}, ({"x": X},), order=1, modes=(mode,))


@pytest.mark.parametrize("make", [wrong_jvp, wrong_vjp])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_message_names_leaf_index_got_and_expected(make, mode):
    f = make(FACTORS["one element"])
    with pytest.raises(errors.GradientCheckError) as caught:
        check_grads(lambda p: {"y": f(p["x"])}, ({"x": X, "other": 1.0},), order=1, modes=(mode,))
    message = str(caught.value)
    assert mode in message and "order 1" in message
    assert ("['x']" if mode == "reverse" else "['y']") in message
    assert "index (1, 0)" in message
    got, expected = (float(re.search(rf"{word} (-?[\d.e+-]+\d)", message).group(1)) for word in ("got", "expected"))
    assert got == pytest.approx(1.5 * expected, rel=1e-6)
    if mode == "reverse":
        assert not np.isclose(got, expected)


def test_a_wrong_second_derivative_is_caught():
    """The first derivative is right in value and wrong as a function."""

    @custom_jvp
    def f(x):
        return np.sin(x)

    from dualgrad import stop_gradient

    f.defjvp(lambda p, t: (np.sin(p[0]), np.cos(stop_gradient(p[0])) * t[0]))
    check_grads(f, (X,), order=1)
    for mode in ("forward", "reverse"):
        with pytest.raises(errors.GradientCheckError, match="order 2"):
            check_grads(f, (X,), order=2, modes=(mode,))


def test_a_wrong_branch_of_the_modes_is_told_apart():
    """A pullback that forgets a conjugate is right on real numbers and wrong on complex ones."""
    f = wrong_vjp(lambda x: 1.0)
    check_grads(f, (X,))
    with pytest.raises(errors.GradientCheckError):
        check_grads(f, (X + 1j,), order=1)


def test_tolerances_may_be_given():
    f = wrong_jvp(FACTORS["a thousandth"])
    check_grads(f, (X,), order=1, rtol=1e-2)
    with pytest.raises(errors.GradientCheckError):
        check_grads(f, (X,), order=1, rtol=1e-4)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"order": 0}, "order must be a positive int"),
        ({"order": 1.5}, "order must be a positive int"),
        ({"order": True}, "order must be a positive int"),
        ({"modes": ("backward",)}, "'forward', 'reverse'"),
        ({"modes": "forward"}, "'forward', 'reverse'"),
    ],
)
def test_wrong_arguments(keywords, words):
    with pytest.raises(errors.ArgumentError, match=words):
        check_grads(np.sin, (X,), **keywords)
    with pytest.raises(errors.ArgumentError, match=r"write \(x,\)"):
        check_grads(np.sin, X)


def test_an_integer_argument_alone():
    with pytest.raises(errors.InputTypeError):
        check_grads(lambda n: n * 2.0, (3,))


def test_the_error_is_an_assertion_too():
    assert issubclass(errors.GradientCheckError, AssertionError) and issubclass(errors.GradientCheckError, ValueError)
