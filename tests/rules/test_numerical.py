"""Sampled functions, padding, drop-in lists and questions: special points, and errors by their text."""
from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from rules.points import assert_derivatives, nth_derivative

import dualgrad.numpy as dnp
from dualgrad import errors, grad, jacfwd, vmap
from dualgrad.core.registry import CREATORS, FUNCTIONS

A, inf, nan = np.array, np.inf, np.nan
X = A([1.0, 2.0, 3.0, 4.0])

POINTS = {
    "sinc at 0 and 1": (np.sinc, [0.0, 1.0], [0.0, -1.0], np.diag([-(np.pi**2) / 3, 2.0])),
    "diff, prepend": (lambda x: np.diff(x, prepend=0.0) ** 2, [1.0, 3.0], [-2.0, 4.0]),
    "gradient": (lambda x: np.gradient(x, 0.5), [1.0, 2.0, 4.0], [-3.0, 0.0, 3.0]),
    "convolve": (lambda x: np.convolve(x, A([1.0, 2.0])), [1.0, 2.0, 3.0], [3.0, 3.0, 3.0]),
    "angle at 0": (lambda x: np.angle(x[0] + 1j * x[1]), [0.0, 0.0], [0.0, 0.0], np.zeros((2, 2))),
    "nan_to_num": (np.nan_to_num, [nan, inf, -inf, 1.0], [0.0, 0.0, 0.0, 1.0]),
    "maximum padding of ties": (lambda x: np.pad(x, (1, 0), "maximum")[0], [2.0, 2.0], [0.5, 0.5]),
    "padding of an infinite slope": (lambda x: np.pad(np.sqrt(x), 1)[2], [0.0, 4.0], [0.0, 0.25]),
    "interp at infinity": (lambda x: np.interp(x, A([0.0, 1.0]), A([2.0, 5.0])), [-inf, 0.5, inf], [0.0, 3.0, 0.0]),
    "rfft": (lambda x: np.abs(np.fft.rfft(x)) ** 2, [1.0, 2.0, 4.0], [10.0, 13.0, 19.0]),
    "a list": (lambda x: dnp.sum([x[0], x[1] * 2]), [1.0, 2.0], [1.0, 2.0]),
    "nested lists": (lambda x: dnp.array([[x[0], 0.0], [0.0, x[1]]]), [1.0, 2.0], [1.0, 1.0]),
    "a list for a ufunc": (lambda x: dnp.exp([x[0], 0.0]), [0.0, 2.0], [1.0, 0.0]),
    "lists of lists for stack": (lambda x: dnp.stack([[x[0], 1.0], x])[0], [1.0, 2.0], [1.0, 0.0]),
    "lists for linalg": (lambda x: dnp.linalg.det([[x[0], 1.0], [2.0, x[1]]]), [3.0, 2.0], [2.0, 3.0]),
    "a keyword": (lambda x: dnp.mean(a=[x[0], x[1]]), [1.0, 2.0], [0.5, 0.5]),
    "full": (lambda x: dnp.full((2, 2), x[0]), [1.0, 2.0], [4.0, 0.0]),
    "block": (lambda x: dnp.block([[x[0], 0.0], [0.0, x[1]]]), [1.0, 2.0], [1.0, 1.0]),
    "array of an array": (lambda x: dnp.array(x, ndmin=2) * dnp.asarray(x), [1.0, 2.0], [2.0, 4.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_at_a_special_point(name):
    f, x, *wanted = POINTS[name]
    assert_derivatives(f, x, *wanted)


@pytest.mark.parametrize("modes", ["f", "r", "fr"])
@pytest.mark.parametrize("n", range(1, 8))
def test_every_derivative_of_sinc(n, modes):
    derivative = nth_derivative(np.sinc, n, modes)
    for x in (0.0, 1e-9, 0.3, 1.0, 3.7, -25.2):
        assert derivative(np.float64(x)) == pytest.approx(float(mp.diff(mp.sincpi, x, n)), abs=1e-12 * np.pi**n, rel=1e-10)


def test_questions_about_traced_values_are_answered_by_primals():
    answers = []

    def f(x):
        equal = np.array_equal(x, X), np.array_equal(x, X[1:]), np.array_equiv(x, X[:3])
        answers.append((np.allclose(x, X), *equal, np.isclose(x, 1.0).tolist()))
        return np.sum(x)

    grad(f)(X)
    jacfwd(f)(X)
    assert answers == [(True, True, False, False, [True, False, False, False])] * 2
    with pytest.raises(errors.TracedConversionError, match="bool"):
        vmap(lambda x: np.allclose(x, 1.0) * x)(X)


def test_nan_to_num_in_place():
    def f(x):
        y = x * A([nan, 1.0])
        np.nan_to_num(y, copy=False)
        return np.sum(y)

    assert_derivatives(f, [1.0, 2.0], [0.0, 1.0])


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda x: np.pad(x, 1, lambda *_: None), errors.UnsupportedError, "np.pad is not supported .* with a function as mode"),
        (lambda x: np.pad(x, 1, "edge", stat_length=2), ValueError, "unsupported keyword arguments for mode 'edge'"),
        (lambda x: np.pad(x, 1, "foo"), ValueError, "mode 'foo' is not supported"),
        (lambda x: np.pad(x, -1), ValueError, "negative"),
        (lambda x: np.pad(x, 1, "maximum", stat_length=0), ValueError, "stat_length of 0 yields no value for padding"),
        (lambda x: np.pad(x[:0], 1, "edge"), ValueError, "can't extend empty axis 0"),
        (lambda x: np.roots(x), errors.UnsupportedError, "np.roots is not supported"),
        (lambda x: np.histogram(x), errors.UnsupportedError, "np.histogram is not supported"),
        (lambda x: np.add.reduceat(x, [0, 1]), errors.UnsupportedError, "np.add is not supported .* its method 'reduceat'"),
        (lambda x: x.view(int), errors.UnsupportedError, "ndarray.view is not supported"),
        (lambda x: np.cross(x, x), ValueError, "incompatible dimensions for cross product"),
        (lambda x: np.gradient(x, edge_order=3), ValueError, "edge_order"),
        (lambda x: np.gradient(x[:2], edge_order=2), ValueError, "too small to calculate a numerical gradient"),
        (lambda x: np.gradient(x, 1.0, 2.0), TypeError, "invalid number of arguments"),
        (lambda x: np.convolve(x, x, "half"), ValueError, "mode must be one of"),
        (lambda x: np.convolve(x, x[:0]), ValueError, "empty"),
        (lambda x: np.interp(x, X, X, period=0), ValueError, "period must be a non-zero value"),
        (lambda x: np.fft.fft(x, norm="half"), ValueError, "Invalid norm value"),
    ],
)
def test_what_cannot_be_done_says_so(f, error, message):
    for derivative in (grad, jacfwd):
        with pytest.raises(error, match=message):
            derivative(f)(X)


def test_the_drop_in_is_numpy_where_nothing_is_traced():
    assert dnp.pi == np.pi and dnp.float64 is np.float64 and dnp.add.reduce([1, 2]) == 3 and dnp.linalg.norm([3, 4]) == 5
    assert isinstance(dnp.ones(1), dnp.ndarray) and dnp.array([1, 2], dtype=float).dtype == float and "sin" in dir(dnp)
    assert dnp.asarray(X) is X and dnp.array(X) is not X


READERS = ("load", "save", "from", "genfrom", "busday", "is_busday", "datetime")  # of files, text, dates


def test_a_function_without_a_rule_raises_and_never_returns_a_plain_array():
    """Every function of NumPy that looks at array arguments and is not in our tables, called with one to three traced arrays."""
    functions = np.testing.overrides.get_overridable_numpy_array_functions() - FUNCTIONS.keys()
    creators = {creator.__name__ for creator in CREATORS}
    refused = set()
    for function in sorted(functions, key=lambda f: f.__name__):
        if function.__name__ in creators or "recfunctions" in function.__module__ or function.__name__.startswith(READERS):
            continue

        def f(x, function=function):
            for count in (1, 2, 3):
                try:
                    out = function(*[x] * count)
                except errors.DualgradError as error:
                    assert function.__name__ in str(error)
                    refused.add(function.__name__)
                    break
                except TypeError:
                    continue  # another number of arguments
                raise AssertionError(f"{function.__name__} returned {out!r}")
            return np.sum(x)

        grad(f)(X)
    assert {"histogram", "roots", "unpackbits", "setdiff1d"} <= refused
