"""Published minima and certified digits, reached through SciPy with derivatives of plain NumPy.

    Moré, Garbow, Hillstrom   every problem by trust-exact, with the Hessian; every method on some of them; n = 1000
    Hock, Schittkowski        every problem by SLSQP and by trust-constr
    NIST StRD                 every set from both starts: parameters and standard deviations to six digits

NIST's higher level is reached too, by the default of `curve_fit` (MINPACK's Levenberg-Marquardt, columns scaled, tolerances at
rounding).  `python -m pytest tests/optimize/test_certified.py -k report -s` prints the digits.  One number is out of reach of
float64: the standard deviations of Lanczos1, whose residuals are 5e-14 in data of size 2.5, three digits above rounding.
"""

import numpy as np
import pytest
from problems import hock_schittkowski, more_garbow_hillstrom, nist

from dualgrad.optimize import Ending, curve_fit, minimize
from dualgrad.optimize.minimize import METHODS

MGH = more_garbow_hillstrom.PROBLEMS
HS = hock_schittkowski.CONSTRAINED

# A variable near 1e6 and one near 1e-6: trust-exact with its one radius takes 1000 steps, BFGS 28 evaluations.
METHOD = {"brown_badly_scaled": "BFGS"}

# Problems that are convex enough along the way for every method; dogleg needs a positive definite Hessian at each step.
FOR_ALL = ["brown_dennis", "discrete_integral_equation_10", "broyden_tridiagonal_10"]


def is_published(value, problem, tolerance=1e-5):
    """Is the value that of one of the minima, to the six digits that are printed (or 1e-9 where it is 0)?"""
    return any(abs(value - minimum.value) <= tolerance * abs(minimum.value) + 1e-9 for minimum in problem.minima)


@pytest.mark.parametrize("name", MGH)
def test_a_published_minimum_of_more_garbow_and_hillstrom_is_reached(name):
    problem = MGH[name]
    with np.errstate(all="ignore"):
        result = minimize(problem.objective, np.array(problem.start), method=METHOD.get(name, "trust-exact"), tol=1e-8)
    assert is_published(result.value, problem), result.message
    # The badly scaled ones reach rounding before a gradient of 1e-8.
    assert result.success or result.ending is Ending.NO_DESCENT, result.message


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.order])
@pytest.mark.parametrize("name", FOR_ALL)
def test_every_method_reaches_published_minima(name, method):
    problem = MGH[name]
    result = minimize(problem.objective, np.array(problem.start), method=method, tol=1e-9)
    assert is_published(result.value, problem), result.message


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-ncg"])
@pytest.mark.parametrize("which", ["extended", "chained"])
def test_rosenbrock_in_a_thousand_variables(which, method):
    if which == "extended":  # the paper's, from the paper's start
        residuals, start = MGH["extended_rosenbrock_10"].residuals, np.tile([-1.2, 1.0], 500)
        f = lambda x: (residuals(x) ** 2).sum()
    else:  # every variable drives the next; from the paper's start the valley takes 1600 steps of Newton-CG, 4000 of trust-ncg
        f, start = more_garbow_hillstrom.rosenbrock(1000).objective, np.full(1000, 0.5)
    options = {"ftol": 1e-15, "gtol": 1e-8} if method == "L-BFGS-B" else {}
    result = minimize(f, start, method=method, tol=1e-8, options=options)
    assert result.value < 1e-8, result.message
    np.testing.assert_allclose(result.params, 1, atol=1e-3)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
@pytest.mark.parametrize("name", HS)
def test_a_published_minimum_of_hock_and_schittkowski_is_reached(name, method):
    problem = HS[name]
    result = minimize(
        problem.objective, np.array(problem.start), method=method, bounds=problem.bounds, constraints=problem.constraints
    )
    assert result.success, result.message
    assert is_published(result.value, problem, 1e-5) or abs(result.value - problem.minima[0].value) < 2e-6, result.message
    assert result.gradient_norm < 2e-2, result.message


# ---- NIST ----------------------------------------------------------------------------------------------------------------


def digits(found, certified):
    """The fewest digits that are right: -log10 of the relative error, at most NIST's eleven."""
    with np.errstate(divide="ignore"):
        return float(np.min(np.clip(-np.log10(np.abs(found - certified) / np.abs(certified)), 0, 11)))


def fitted(data, start):
    with np.errstate(all="ignore"):  # a first step may leave the domain of the model
        fit = curve_fit(data.model, data.x, data.y, np.array(start))
    return fit, digits(fit.params, data.parameters), digits(fit.standard_errors, data.deviations)


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", nist.DATASETS)
def test_nists_certified_digits_are_reached_from_both_starts(name, start):
    data = nist.DATASETS[name]
    fit, of_parameters, of_deviations = fitted(data, data.starts[start - 1])
    assert fit.success, fit.message
    assert of_parameters >= 6
    assert of_deviations >= (2.5 if name == "Lanczos1" else 6)


def table():
    """The digits of every set from every start, and the evaluations of the model that they took."""
    rows = [f"{'set':10} {'level':8} start  parameters  deviations  evaluations"]
    for name, data in nist.DATASETS.items():
        for number, start in enumerate(data.starts, 1):
            fit, of_parameters, of_deviations = fitted(data, start)
            rows.append(f"{name:10} {data.level:8} {number:5}  {of_parameters:10.1f}  {of_deviations:10.1f}  {fit.evaluations:11}")
    return "\n".join(rows)


@pytest.mark.skipif("config.getoption('capture') != 'no'", reason="it prints a table: run with -k report -s")
def test_report():
    print("\n" + table())
