"""debug_nans: the first bad value or derivative is named with its function, operand, element, file and line."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgrad import checkpoint, debug_nans, errors, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

HERE = Path(__file__).name


def line_of(f: Any, text: str) -> str:
    """`test_debug.py:N` of the line of f that holds `text`."""
    lines, start = inspect.getsourcelines(f)
    return f"{HERE}:{start + next(k for k, line in enumerate(lines) if text in line)}"


def caught(run: Any) -> str:
    with debug_nans(), np.errstate(all="ignore"), pytest.raises(errors.NonFiniteError) as info:
        run()
    return str(info.value)


def bad_value(x: Any) -> Any:
    y = x * 2.0
    z = np.log(y - 2.0)  # the bad line
    return np.sum(z * 3.0)


def bad_slope(x: Any) -> Any:
    y = x * 2.0
    z = np.sqrt(y)  # the bad line
    return np.sum(z) * 1.0


def bad_product(x: Any) -> Any:
    y = np.sqrt(x) * 0.0  # the bad line
    return np.sum(y)


X = np.array([3.0, 0.0, 4.0])


@pytest.mark.parametrize(
    "transform", [grad, jacfwd, jacrev, lambda f: lambda x: jvp(f, (x,), (x + 1,)), hessian, lambda f: lambda x: vjp(f, x)]
)
def test_a_bad_value(transform):
    message = caught(lambda: transform(bad_value)(X))
    assert "log" in message and "value" in message and "(1,)" in message and line_of(bad_value, "the bad line") in message
    assert "operand 0" in message and ("nan" in message or "-inf" in message)


def test_a_bad_cotangent_names_the_forward_line():
    for run in (lambda: grad(bad_slope)(X), lambda: vjp(bad_slope, X)[1](1.0), lambda: jacrev(bad_slope)(X)):
        message = caught(run)
        assert "sqrt" in message and "cotangent of operand 0" in message and "inf" in message
        assert line_of(bad_slope, "the bad line") in message


def test_a_bad_cotangent_gives_its_element():
    assert "(1,)" in caught(lambda: grad(bad_slope)(X))


def test_a_bad_tangent():
    message = caught(lambda: jvp(bad_slope, (X,), (np.ones(3),)))
    assert "sqrt" in message and "tangent" in message and line_of(bad_slope, "the bad line") in message


def test_a_computed_zero_times_infinity():
    for run in (lambda: grad(bad_product)(X), lambda: jvp(bad_product, (X,), (np.ones(3),))):
        message = caught(run)
        assert "sqrt" in message and line_of(bad_product, "the bad line") in message


def test_a_bad_value_inside_a_checkpoint_and_a_map():
    assert "log" in caught(lambda: grad(lambda x: checkpoint(bad_value)(x))(X))
    assert "sqrt" in caught(lambda: grad(lambda x: checkpoint(bad_slope)(x))(X))
    assert "log" in caught(lambda: vmap(grad(bad_value))(np.stack([X, X])))


def test_nothing_is_raised_where_all_is_finite():
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0) * np.sin(x))
    wanted = grad(f)(X), jacfwd(jacrev(f))(X)
    with debug_nans():
        np.testing.assert_array_equal(grad(f)(X), wanted[0])
        np.testing.assert_array_equal(jacfwd(jacrev(f))(X), wanted[1])
        np.testing.assert_array_equal(vmap(f)(np.stack([X, X])), [f(X), f(X)])


def test_the_context_ends_and_nests():
    with debug_nans():
        with debug_nans(), pytest.raises(errors.NonFiniteError):
            grad(bad_slope)(X)
        with pytest.raises(errors.NonFiniteError):
            grad(bad_slope)(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(grad(bad_slope)(X)[1])


def test_the_context_ends_after_an_exception():
    with pytest.raises(KeyError), debug_nans():
        raise KeyError
    assert np.isinf(grad(bad_slope)(X)[1])


def test_an_input_that_is_bad_already_is_named_by_its_first_use():
    def f(x: Any) -> Any:
        return np.sum(x * 2.0)  # the bad line

    message = caught(lambda: grad(f)(np.array([1.0, np.nan])))
    assert "multiply" in message and line_of(f, "the bad line") in message


def test_a_pullback_outlives_the_context():
    with debug_nans():
        _, pullback = vjp(bad_slope, X)
    assert np.isinf(pullback(1.0)[0][1])


def test_what_goes_wrong_within_a_rule_is_named_by_the_users_operation():
    for run in (
        lambda: hessian(bad_slope)(X),
        lambda: vmap(jacfwd(bad_slope))(np.stack([X, X])),
        lambda: jacrev(jacfwd(bad_slope))(X),
    ):
        message = caught(run)
        assert "sqrt" in message and line_of(bad_slope, "the bad line") in message
