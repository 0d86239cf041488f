"""Bounds on trees: two forms, one meaning, and a sentence with a path where they do not fit."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import Bounds

from dualgrad import errors
from dualgrad.optimize import Ending, curve_fit, least_squares, minimize
from dualgrad.optimize.bounds import limits
from dualgrad.optimize.flat import Coordinates

inf = np.inf
TREE = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "n": 3, "b": [0.5, "relu"]}


@dataclass
class Line:
    slope: float
    offset: float


def vectors(bounds, params=TREE, pairs_first=True):
    low, high = limits("minimize", bounds, Coordinates("minimize", params), pairs_first)
    return low.tolist(), high.tolist()


@pytest.mark.parametrize("pairs_first", [True, False])
@pytest.mark.parametrize(
    "bounds",
    [
        {"w": (0, [[5, 6], [7, 8]]), "n": None, "b": [(None, 1), None]},
        {"w": (np.float32(0), np.array([[5, 6], [7, 8]])), "b": ((None, 1), None)},
        ({"w": 0}, {"w": [[5, 6], [7, 8]], "b": [1, None]}),
        ({"w": np.zeros((2, 2)), "b": None}, {"w": [[5, 6], [7, 8]], "n": 0, "b": (1, "ignored")}),
        Bounds([0, 0, 0, 0, -inf], [5, 6, 7, 8, 1]),
    ],
)
def test_every_form_says_the_same(bounds, pairs_first):
    assert vectors(bounds, pairs_first=pairs_first) == ([0, 0, 0, 0, -inf], [5, 6, 7, 8, 1])


@pytest.mark.parametrize("pairs_first", [True, False])
@pytest.mark.parametrize("bounds", [(-1, 9), (-1, {"w": 9, "b": [9, None]}), Bounds(-1, 9), {"w": (-1, 9), "b": [(-1, 9), 0]}])
def test_a_number_is_for_all_elements(bounds, pairs_first):
    assert vectors(bounds, pairs_first=pairs_first) == ([-1] * 5, [9] * 5)


@pytest.mark.parametrize("bounds", [None, (None, None), {}, {"w": None}, (-inf, inf), Bounds(-inf, inf)])
def test_no_bound_is_none(bounds):
    assert limits("minimize", bounds, Coordinates("minimize", TREE), True) is None


def test_dataclasses_are_matched_by_their_fields():
    assert vectors(Line((0, 1), None), Line(0.5, 2.0)) == ([0, -inf], [1, inf])
    assert vectors((Line(0, None), Line(1, None)), Line(0.5, 2.0)) == ([0, -inf], [1, inf])


def test_a_list_of_pairs_is_a_pair_for_each_element_of_an_array():
    rows = [(0, None), (None, 9), (1, 2)]
    assert vectors(rows, np.ones(3)) == ([0, -inf, 1], [inf, 9, 2])
    assert vectors(np.array([[0, 5], [1, 6], [2, 7]]), np.full(3, 3.0)) == ([0, 1, 2], [5, 6, 7])
    assert vectors(rows, np.ones(3), pairs_first=False) == ([0, -inf, 1], [inf, 9, 2])


def test_of_two_elements_minimize_reads_pairs_and_least_squares_sides_as_in_scipy():
    both = ([0, 1], [2, 3])
    assert vectors(both, np.ones(2)) == ([0, 2], [1, 3])
    assert vectors(both, np.ones(2), pairs_first=False) == ([0, 1], [2, 3])
    assert vectors((np.array([0, 1]), np.array([2, 3])), np.ones(2)) == ([0, 1], [2, 3])  # arrays are sides in both
    assert vectors(((0, 1), (2, 3)), (1.0, 3.0)) == ([0, 2], [1, 3])
    assert vectors(((0, 1), (2, 3)), (1.0, 3.0), pairs_first=False) == ([0, 1], [2, 3])


def test_a_start_outside_is_moved_onto_the_bounds():
    result = minimize(lambda x: np.sum((x - 2) ** 2), np.array([5.0, -5.0]), bounds=(0, 1))
    assert result.history[0].value == 1 + 4 and np.array_equal(result.params, [1, 1])


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"w": (0, 1), "c": (0, 1)}, r"at the root they have the key 'c', which params lacks"),
        ({"w": 3}, r"at \['w'\] there is 3 \(int\) where a pair \(low, high\) is needed"),
        ({"w": (0, [1, 2, 3])}, r"at \['w'\] there is a list of 3, which is no array of shape \(2, 2\)"),
        ({"b": [(0, 1)]}, r"at \['b'\] they are a list of 1 and params is a list of 2"),
        ({"b": [("low", "high"), None]}, r"at \['b'\]\[0\] there is 'low' \(str\), which is no array of shape \(\)"),
        (({"w": 0}, {"v": 1}), r"at the root they are a tuple of 2 and params is a dict of 3; as a pair of trees, .* the key 'v'"),
        (5, r"as a tree of pairs, at the root they are 5 \(int\).*; as a pair of trees, they are no pair but 5"),
    ],
)
def test_bounds_that_do_not_fit_say_where(bounds, message):
    with pytest.raises(errors.StructureError, match=f"minimize: bounds do not fit params \\(at .*test_bounds.py:.*{message}"):
        minimize(lambda p: np.sum(p["w"]), TREE, bounds=bounds)


def test_bounds_with_low_above_high_or_nan_name_the_element():
    with pytest.raises(errors.ArgumentError, match=r"low <= high, but for params\['w'\]\[1, 0\] they are \(9, 7\)"):
        minimize(lambda p: np.sum(p["w"]), TREE, bounds={"w": ([[0, 0], [9, 0]], 7)})
    with pytest.raises(errors.ArgumentError, match=r"for params\['b'\]\[0\] they are \(nan, inf\)"):
        minimize(lambda p: np.sum(p["w"]), TREE, bounds={"b": [(np.nan, None), None]})


def test_bounds_of_scipy_of_another_length_raise():
    with pytest.raises(errors.StructureError, match="Bounds of lengths 2 and 2 for 5 parameters"):
        minimize(lambda p: np.sum(p["w"]), TREE, bounds=Bounds([0, 0], [1, 1]))


def test_equal_bounds_fix_a_parameter_for_minimize_and_raise_for_least_squares():
    f = lambda p: (p["a"] - p["b"]) ** 2 + p["b"] ** 2
    for method in ("L-BFGS-B", "TNC", "SLSQP"):
        result = minimize(f, {"a": 0.0, "b": 2.0}, method=method, bounds={"b": (2, 2)})
        assert result.params == {"a": pytest.approx(2, abs=1e-5), "b": 2.0}
    with pytest.raises(errors.ArgumentError, match=r"the bounds of params\['b'\] are equal.*leaving it out"):
        least_squares(lambda p: [p["a"], p["b"]], {"a": 0.0, "b": 2.0}, bounds={"b": (2, 2)})


@pytest.mark.parametrize("method", ["BFGS", "CG", "Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg"])
def test_a_method_without_bounds_names_those_with_them(method):
    with pytest.raises(errors.ArgumentError, match=f"{method} takes no bounds .* These do: L-BFGS-B, TNC, SLSQP, trust-constr"):
        minimize(lambda x: np.sum(x), np.ones(2), method=method, bounds=(0, 2))


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell"])
def test_every_method_with_bounds_keeps_them(method):
    f = lambda p: np.sum((p["w"] - 3) ** 2) + (p["b"] + 3) ** 2
    result = minimize(f, {"w": np.ones(2), "b": 0.0}, method=method, bounds={"w": (None, [2, 9]), "b": (-1, 1)})
    assert result.success, result.message
    np.testing.assert_allclose([*result.params["w"], result.params["b"]], [2, 3, -1], atol=1e-4)
    assert result.params["w"][0] <= 2 and result.params["b"] >= -1
    if method in ("L-BFGS-B", "TNC", "SLSQP", "trust-constr"):
        assert result.gradient_norm < 1e-4  # of the projected gradient; the gradient's own is 4.5


def test_fits_keep_their_bounds():
    x = np.linspace(0, 1, 9)
    y = 3 - 2 * x
    fit = curve_fit(lambda x, p: p["a"] + p["b"] * x, x, y, {"a": 0.0, "b": 0.0}, bounds=({"b": -1}, None))
    assert fit.gradient_norm < 1e-5  # of the projected gradient; the gradient itself is not 0 on the bound
    assert fit.params["b"] == pytest.approx(-1, abs=1e-6) and fit.params["a"] == pytest.approx(2.5, abs=1e-5) and fit.success
    for method in ("trf", "dogbox"):
        result = least_squares(lambda p: [p["a"] - 3, p["b"]], {"a": 0.0, "b": 1.0}, bounds={"a": (0, 2)}, method=method)
        assert result.params["a"] == pytest.approx(2, abs=1e-6) and result.ending is not Ending.FAILED
    with pytest.raises(errors.ArgumentError, match=r"lm cannot do bounds .*; trf and dogbox can"):
        least_squares(lambda x: x, np.ones(2), bounds=(0, 2), method="lm")
