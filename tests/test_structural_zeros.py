"""K4: an infinite slope times a structural zero is 0, times a computed zero nan; K2: ties share, and the shares sum to one.

A zero is structural where a selection, an index or a mask says that the derivative cannot depend on an element; it is computed
where a factor happens to be 0.  Every selection of NumPy is put before and behind functions of infinite slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualgrad import derivative, grad, hessian, jacfwd, jacobian, jacrev, jvp, vjp, vmap

inf, nan = np.inf, np.nan
X = np.array([0.0, 4.0, 9.0])
KEEP = np.array([False, True, True])


def _assigned(y: Any) -> Any:
    z = y * 1.0
    z[0] = 5.0
    return z


def _assigned_mask(y: Any) -> Any:
    z = y * 1.0
    z[~KEEP] = 5.0
    return z


def _assigned_elsewhere(y: Any) -> Any:
    z = np.zeros_like(y)
    z[1:] = y[1:]
    return z


def _out_where(y: Any) -> Any:
    z = np.zeros_like(y)
    np.multiply(y, 2.0, out=z, where=KEEP)
    return z


def _copyto(y: Any) -> Any:
    z = np.ones_like(y)
    np.copyto(z, y, where=KEEP)
    return z


#: Selections that drop element 0 of three and keep the others.
DROPS: dict[str, Any] = {
    "an integer": lambda y: y[1] + y[2],
    "a slice": lambda y: y[1:],
    "a negative step": lambda y: y[:0:-1],
    "an index array": lambda y: y[np.array([1, 2, 1])],
    "a mask": lambda y: y[KEEP],
    "take": lambda y: np.take(y, [1, 2]),
    "take_along_axis": lambda y: np.take_along_axis(y, np.array([2, 1]), 0),
    "where": lambda y: np.where(KEEP, y, 7.0),
    "where, second": lambda y: np.where(~KEEP, 7.0, y),
    "select": lambda y: np.select([~KEEP, KEEP], [np.ones(3), y]),
    "maximum": lambda y: np.maximum(y, 1.0),
    "maximum, second": lambda y: np.maximum(1.0, y),
    "fmax": lambda y: np.fmax(y, 1.0),
    "minimum of the negative": lambda y: np.minimum(-y, -1.0),
    "clip": lambda y: np.clip(y, 1.0, None),
    "max": lambda y: np.max(y),
    "min of the negative": lambda y: np.min(-y),
    "maximum.reduce": lambda y: np.maximum.reduce(y),
    "sum where": lambda y: np.sum(y, where=KEEP),
    "mean where": lambda y: np.mean(y, where=KEEP),
    "prod where": lambda y: np.prod(y + 1.0, where=KEEP),
    "max where": lambda y: np.max(y, where=KEEP, initial=-1.0),
    "delete": lambda y: np.delete(y, 0),
    "split": lambda y: np.split(y, [1])[1],
    "compress": lambda y: np.compress(KEEP, y),
    "extract": lambda y: np.extract(KEEP, y),
    "roll and slice": lambda y: np.roll(y, 1)[[0, 2]],
    "flip and slice": lambda y: np.flip(y)[:2],
    "concatenate and slice": lambda y: np.concatenate([y, y])[[1, 2, 4]],
    "reshape and index": lambda y: np.reshape(y, (3, 1))[1:, 0],
    "transpose and index": lambda y: np.stack([y, y]).T[1:],
    "broadcast and index": lambda y: np.broadcast_to(y, (2, 3))[:, 1:],
    "repeat": lambda y: np.repeat(y, [0, 1, 2]),
    "tile and slice": lambda y: np.tile(y, 2)[4:],
    "pad and slice": lambda y: np.pad(y, 1)[2:],
    "diag": lambda y: np.diag(y)[1:, 1:],
    "triu": lambda y: np.triu(np.broadcast_to(y, (3, 3)), 1)[1:],
    "diagonal": lambda y: np.diagonal(np.stack([y, y, y]), 1),
    "sort": lambda y: np.sort(y)[1:],
    "partition": lambda y: np.partition(y, 1)[2],
    "median": lambda y: np.median(y),
    "an assignment over it": _assigned,
    "an assignment under a mask": _assigned_mask,
    "an assignment of the rest": _assigned_elsewhere,
    "out and where": _out_where,
    "copyto": _copyto,
    "choose": lambda y: np.choose([1, 0, 0], [y, np.ones(3)]),
    "diff and slice": lambda y: np.diff(y)[1:],
    "piecewise": lambda y: np.piecewise(y, [y > 1.0], [lambda t: t * 2.0, 3.0]),
    "interp, off the nodes": lambda y: y[1:] * 1.0,
    "a scaled selection": lambda y: (3.0 * y)[1:] - 1.0,
    "a selection of a sum": lambda y: (y + np.ones(3))[1:],
    "real part": lambda y: np.real(y + 0j)[1:],
    "astype": lambda y: y.astype(np.longdouble)[1:],
}

#: Functions with an infinite slope at 0 alone; each with its slope at 4.
STEEP = {
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "power": (lambda x: x**0.5, lambda x: 0.5 / np.sqrt(x)),
    "cbrt": (np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2)),
    "x sqrt(x), then its root": (lambda x: np.sqrt(np.sqrt(x)), lambda x: 0.25 * x**-0.75),
}
steep = pytest.mark.parametrize("name", STEEP)
drops = pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)


@drops
@steep
def test_a_selection_behind_an_infinite_slope(name, drop):
    """g(f(x)) at a point where f' is inf for an element that g drops: the chain rule with the selection's plain weights."""
    f, slope = STEEP[name]
    weights = grad(lambda y: np.sum(drop(y)))(f(X))
    assert weights[0] == 0 and np.isfinite(weights).all()
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(weights != 0, weights * slope(X), 0)
    assert np.isfinite(wanted).all()
    total = lambda x: np.sum(drop(f(x)))
    for mode in (grad, jacfwd, jacrev, jacobian):
        np.testing.assert_allclose(mode(total)(X), wanted, rtol=1e-12, err_msg=getattr(mode, "__name__", ""))
    np.testing.assert_allclose(vjp(total, X)[1](1.0)[0], wanted, rtol=1e-12)
    rows = jacrev(lambda x: np.ravel(drop(f(x))))(X)
    columns = jacfwd(lambda x: np.ravel(drop(f(x))))(X)
    np.testing.assert_allclose(rows, columns, rtol=1e-12)
    np.testing.assert_array_equal(rows[:, 0], 0)
    if "piecewise" not in str(drop.__code__.co_names):
        np.testing.assert_allclose(vmap(grad(total))(np.stack([X, X]))[1], wanted, rtol=1e-12)


@drops
def test_a_selection_behind_an_infinite_slope_at_second_order(drop):
    """The Hessian of sum g(sqrt(x)) is finite: zero in the row and column of the dropped element."""
    second = hessian(lambda x: np.sum(drop(np.sqrt(x))))(X)
    twice = jacrev(grad(lambda x: np.sum(drop(np.sqrt(x)))))(X)
    np.testing.assert_allclose(second, twice, rtol=1e-10, atol=1e-12)
    assert np.isfinite(second).all()
    np.testing.assert_array_equal(second[0], 0)
    np.testing.assert_array_equal(second[:, 0], 0)


def test_a_computed_zero_stays_honest():
    for f in (lambda x: np.sqrt(x) * 0.0, lambda x: np.sqrt(x) * np.zeros(()), lambda x: 0.0 * np.sqrt(x)):
        for mode in (grad, lambda f: lambda x: jvp(f, (x,), (1.0,))[1], jacfwd, jacrev):
            with np.errstate(invalid="ignore"):
                assert np.isnan(mode(f)(0.0)), mode
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(grad(lambda x: np.sqrt(x) @ np.array([0.0, 1.0]))(np.array([0.0, 4.0])), [nan, 0.25])


def test_infinite_slopes_are_infinite():
    with np.errstate(divide="ignore"):
        for f, x, wanted in (
            (np.sqrt, 0.0, inf),
            (np.log, 0.0, inf),
            (np.log2, 0.0, inf),
            (np.log10, 0.0, inf),
            (np.log1p, -1.0, inf),
            (np.cbrt, 0.0, inf),
            (np.arcsin, 1.0, inf),
            (np.arccos, 1.0, -inf),
            (np.arctanh, 1.0, inf),
            (np.arccosh, 1.0, inf),
            (lambda x: x**0.5, 0.0, inf),
            (lambda x: np.power(x, np.array(0.3)), 0.0, inf),
            (lambda x: x**-0.5, 0.0, -inf),
        ):
            for mode in (grad, derivative, jacfwd):
                assert mode(f)(x) == wanted
            assert jvp(f, (x,), (1.0,))[1] == wanted


def test_nan_outside_the_domain():
    with np.errstate(invalid="ignore", divide="ignore"):
        for f, x in (
            (np.log, -1.0),
            (np.sqrt, -1.0),
            (np.arcsin, 2.0),
            (np.arccosh, 0.5),
            (np.log1p, -2.0),
            (lambda x: x**0.5, -1.0),
        ):
            assert np.isnan(f(np.float64(x)))
            for mode in (grad, jacfwd, jacrev):
                assert np.isnan(mode(f)(x)), (f, mode)


# ---- ties ---------------------------------------------------------------------------------------------------------------

TIES = {
    "maximum": lambda x: np.maximum(x[0], x[1]),
    "minimum": lambda x: np.minimum(x[0], x[1]),
    "fmax": lambda x: np.fmax(x[0], x[1]),
    "fmin": lambda x: np.fmin(x[0], x[1]),
    "max": lambda x: np.max(x),
    "min": lambda x: np.min(x),
    "amax, axis": lambda x: np.amax(x.reshape(1, -1), axis=1)[0],
    "maximum.reduce": lambda x: np.maximum.reduce(x),
    "minimum.reduce": lambda x: np.minimum.reduce(x),
    "nanmax": lambda x: np.nanmax(x),
    "logaddexp": lambda x: np.logaddexp(x[0], x[1]),
    "the infinity norm": lambda x: np.linalg.norm(x, inf),
}


@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("n", [2, 3])
def test_ties_share_equally(name, n):
    if n == 3 and name in {"maximum", "minimum", "fmax", "fmin", "logaddexp"}:
        pytest.skip("a function of two operands")
    x = np.full(n, 1.5)
    for mode in (grad, jacfwd, jacrev):
        np.testing.assert_allclose(mode(TIES[name])(x), np.full(n, 1 / n), rtol=1e-15)


def test_spellings_of_the_same_kink_agree_in_the_sum_of_weights():
    """relu(x) + relu(-x) = |x| and relu(x) - relu(-x) = x, whatever the spelling: at 0 the weights 1/2 and 1/2."""
    for relu in (
        lambda x: np.maximum(x, 0),
        lambda x: np.fmax(x, 0),
        lambda x: np.clip(x, 0, None),
        lambda x: -np.minimum(-x, 0.0),
    ):
        for mode in (grad, jacfwd, jacrev):
            assert mode(relu)(0.0) == 0.5
            assert mode(lambda x: relu(x) + relu(-x))(0.0) == 0 == mode(np.abs)(0.0)  # noqa: B023
            assert mode(lambda x: relu(x) - relu(-x))(0.0) == 1  # noqa: B023
    for clip in (lambda x: np.clip(x, 0.0, 1.0), lambda x: np.minimum(np.maximum(x, 0.0), 1.0), lambda x: x.clip(0.0, 1.0)):
        for x, wanted in ((0.0, 0.5), (1.0, 0.5), (0.5, 1.0), (2.0, 0.0), (-1.0, 0.0)):
            for mode in (grad, jacfwd):
                assert mode(clip)(x) == wanted


def test_jumps_have_the_slope_of_almost_everywhere():
    for f, x, wanted in (
        (np.sign, 0.0, 0), (np.floor, 1.0, 0), (np.ceil, 1.0, 0), (np.round, 0.5, 0), (np.trunc, -1.0, 0), (np.rint, 1.5, 0),
        (lambda x: x % 1.0, 2.0, 1), (lambda x: np.fmod(x, 1.0), 2.0, 1), (lambda x: x // 1.0 + 0 * x, 2.0, 0),
        (lambda x: np.mod(7.0, x), 3.5, -2), (lambda x: np.heaviside(x, 0.5), 0.0, 0), (lambda x: np.where(x > 0, x, 0.0), 0.0, 0),
    ):  # fmt: skip
        for mode in (grad, jacfwd, jacrev):
            assert mode(f)(x) == wanted


def test_points_of_no_information():
    for mode in (grad, jacfwd, jacrev):
        np.testing.assert_array_equal(mode(lambda x: np.arctan2(x[0], x[1]))(np.zeros(2)), [0, 0])
        np.testing.assert_array_equal(mode(lambda x: np.hypot(x[0], x[1]))(np.zeros(2)), [0, 0])
        np.testing.assert_array_equal(mode(lambda x: np.logaddexp(x[0], x[1]))(np.full(2, -inf)), [0, 0])
        np.testing.assert_array_equal(mode(lambda x: np.linalg.norm(x))(np.zeros(3)), [0, 0, 0])
    assert grad(np.abs)(0j) == 0
    assert grad(np.angle)(0j) == 0


def test_second_derivatives_at_kinks_are_finite():
    for f in (np.abs, lambda x: np.maximum(x, 0), lambda x: np.linalg.norm(np.stack([x, x])), lambda x: np.hypot(x, 0.0)):
        for outer in (jacfwd, jacrev):
            for inner in (grad, jacfwd):
                assert np.isfinite(outer(inner(f))(0.0))
