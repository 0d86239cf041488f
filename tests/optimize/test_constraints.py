"""Constraints on functions of the tree: SciPy's forms, exact derivatives, and honest endings."""

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import LinearConstraint, NonlinearConstraint

from dualgrad import errors
from dualgrad.optimize import Ending, minimize
from dualgrad.optimize.constraints import lagrangian_norm, read
from dualgrad.optimize.flat import Coordinates

START = {"x": np.array([0.5, 2.0]), "r": 1.0}


def objective(p):
    return np.sum((p["x"] - np.array([2.0, 1.0])) ** 2) + p["r"] ** 2


def circle(p):
    """On the circle of radius r about 0."""
    return np.sum(p["x"] ** 2) - p["r"] ** 2


def solution(r):
    """The least distance to a circle of radius r is on the ray to (2, 1)."""
    return np.array([2.0, 1.0]) / np.sqrt(5) * r


FORMS = {
    "dict": [{"type": "eq", "fun": circle}, {"type": "ineq", "fun": lambda p, most: most - p["r"], "args": (1.0,)}],
    "nonlinear": NonlinearConstraint(lambda p: {"c": circle(p), "r": p["r"]}, [0, -np.inf], [0, 1]),
    "linear": (NonlinearConstraint(circle, 0, 0), LinearConstraint([[0, 0, 1]], -np.inf, 1)),
}


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_constraint_leads_to_the_same_minimum(form, method):
    result = minimize(objective, START, method=method, constraints=FORMS[form])
    assert result.success, result.message
    np.testing.assert_allclose(result.params["x"], solution(1), atol=1e-4)
    assert result.params["r"] == pytest.approx(1, abs=1e-4)
    assert "the largest violation of a constraint" in result.message
    assert result.gradient_norm < 1e-4 and result.history[-1].gradient_norm < 1e-4  # the Lagrangian's


def test_jacobians_and_hessians_of_constraints_are_exact():
    c = NonlinearConstraint(lambda p: [np.prod(p["x"]) * p["r"] ** 2, np.sum(p["x"] ** 3)], 0, 0)
    (constraint,) = read("minimize", c, Coordinates("minimize", START))
    x, v = np.array([0.5, 2.0, 3.0]), np.array([2.0, -1.0])
    np.testing.assert_allclose(constraint.value(x), [9, 8.125], rtol=1e-15)
    np.testing.assert_allclose(constraint.jacobian(x), [[18, 4.5, 6], [0.75, 12, 0]], rtol=1e-15)
    hessian = v[0] * np.array([[0, 9, 12], [9, 0, 3], [12, 3, 2]]) + v[1] * np.diag([3, 12, 0])
    np.testing.assert_allclose(constraint.c.hess(x, v), hessian, rtol=1e-14)


def test_the_norm_of_the_lagrangians_gradient_is_the_distance_from_the_cone_of_the_active_constraints():
    coordinates = Coordinates("minimize", np.zeros(2))
    (above,) = read("minimize", {"type": "ineq", "fun": lambda x: x[0]}, coordinates)
    norm = lambda g, x, box=None: lagrangian_norm(np.array(g, float), np.array(x, float), box, [above])
    assert norm([3, 4], [0, 0]) == pytest.approx(4)  # active, and it pushes the right way
    assert norm([-3, 4], [0, 0]) == pytest.approx(5)  # it may not pull
    assert norm([3, 4], [1, 0]) == pytest.approx(5)  # not active
    assert norm([3, 4], [0, 0], (np.zeros(2), np.full(2, np.inf))) == pytest.approx(0, abs=1e-12)


def test_the_minimum_is_that_of_scipy_with_finite_differences():
    kept = {"type": "ineq", "fun": lambda p: 1 - np.sum(p["x"] ** 2)}
    result = minimize(objective, START, constraints=kept)
    by_hand = scipy.optimize.minimize(
        lambda v: (v[0] - 2) ** 2 + (v[1] - 1) ** 2 + v[2] ** 2, [0.5, 2, 1],
        constraints={"type": "ineq", "fun": lambda v: 1 - v[0] ** 2 - v[1] ** 2},
    )  # fmt: skip
    np.testing.assert_allclose(result.scipy.x, by_hand.x, atol=1e-5)
    np.testing.assert_allclose(result.value, by_hand.fun, rtol=1e-6)


def test_constraints_that_contradict_each_other_end_in_infeasible():
    apart = [{"type": "ineq", "fun": lambda p: p["r"] - 2}, {"type": "ineq", "fun": lambda p: 1 - p["r"]}]
    result = minimize(objective, START, constraints=apart)
    assert result.ending is Ending.INFEASIBLE and not result.success
    assert "No point that satisfies the constraints was found." in result.message


def test_a_failed_run_returns_the_lowest_point_that_is_feasible():
    seen = []
    result = minimize(
        objective, START, constraints={"type": "ineq", "fun": lambda p: 1 - np.sum(p["x"] ** 2) / 9}, options={"maxiter": 3},
        callback=lambda progress, params: seen.append((progress.value, np.sum(params["x"] ** 2) <= 9)),
    )  # fmt: skip
    assert result.value == min(value for value, feasible in seen if feasible)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_a_constraint_that_is_not_finite_ends_the_run_and_keeps_the_best_point(method):
    def logarithm(p):
        with np.errstate(all="ignore"):
            return np.log(0.4 - p["r"])  # nan at the start

    result = minimize(objective, START, method=method, constraints={"type": "ineq", "fun": logarithm})
    assert result.ending is Ending.NOT_FINITE and "constraints[0]" in result.message and result.params["r"] == 1


def test_the_default_for_trust_constr_is_the_minimum_and_not_the_first_barriers():
    # Hock and Schittkowski 45; with SciPy's own gtol the value is 1.0008
    result = minimize(
        lambda x: 2 - np.prod(x) / 120, np.full(5, 2.0), method="trust-constr", bounds=(0, np.arange(1.0, 6.0))
    )
    assert result.value == pytest.approx(1, abs=1e-8) and result.success


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "TNC", "trust-exact", "Nelder-Mead"])
def test_a_method_without_constraints_names_those_with_them(method):
    with pytest.raises(errors.ArgumentError, match=f"{method} takes no constraints .* These do: SLSQP, trust-constr"):
        minimize(objective, START, method=method, constraints=FORMS["dict"])


@pytest.mark.parametrize(
    ("constraints", "kind", "message"),
    [
        (3, errors.ArgumentError, r"constraints must be a list of constraints, not 3"),
        ([3], errors.ArgumentError, r"constraints\[0\] must be a dict, a NonlinearConstraint or a LinearConstraint, not 3"),
        ([{"type": "le", "fun": circle}], errors.ArgumentError, r'constraints\[0\] must be \{"type": "eq" or "ineq"'),
        ([{"type": "eq"}], errors.ArgumentError, r"constraints\[0\] must be"),
        ([{"type": "eq", "fun": circle, "jack": 1}], errors.ArgumentError, r"constraints\[0\] must be"),
        ([{"type": "eq", "fun": circle, "jac": circle}], errors.ArgumentError, r"comes with a derivative of its own"),
        ([NonlinearConstraint(circle, 0, 0, jac=circle)], errors.ArgumentError, r"comes with a derivative of its own"),
        ([FORMS["dict"][0], {"type": "eq", "fun": 3}], errors.ArgumentError, r"constraints\[1\]: the first argument must be a f"),
        ([LinearConstraint([[1, 2]], 0, 1)], errors.StructureError, r"matrix of constraints\[0\] has 2 columns .* 3 parameters"),
        ([NonlinearConstraint(circle, [0, 1], 2)], errors.StructureError, r"limit of constraints\[0\] has shape \(2,\).* 1 values"),
        ([{"type": "eq", "fun": lambda p: 1}], errors.OutputError, r"constraints\[0\]: <lambda> must return real floating arrays"),
        ([NonlinearConstraint(circle, 0, 0, keep_feasible=True)], errors.ArgumentError, r"SLSQP cannot keep a constraint feasible"),
    ],
)  # fmt: skip
def test_what_is_no_constraint_raises_with_its_number(constraints, kind, message):
    with pytest.raises(kind, match=message):
        minimize(objective, START, method="SLSQP", constraints=constraints)


def test_a_constraint_of_the_wrong_tree_raises_the_users_own_error():
    with pytest.raises(KeyError, match="y"):
        minimize(objective, START, constraints={"type": "eq", "fun": lambda p: p["y"]})
