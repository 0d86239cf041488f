"""The test problems say what their sources say: values at the starts, minima, certified values, and derivatives besides.

No optimizer takes part.  The references are MINPACK-1's printed norms, SciPy's Rosenbrock function, complex steps, the
conditions of Karush, Kuhn and Tucker, and arithmetic with 50 digits.
"""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest
import scipy.optimize

import dualgrad
from problems.hock_schittkowski import CONSTRAINED
from problems.more_garbow_hillstrom import PROBLEMS, rosenbrock
from problems.nist import DATASETS, read

#: |residuals(start)|, as the test drivers of MINPACK-1 print it.
MINPACK = {
    "rosenbrock": 4.9193496,
    "freudenstein_roth": 20.012496,
    "powell_badly_scaled": 1.0654866,
    "jennrich_sampson": 64.585650,
    "helical_valley": 50.0,
    "bard": 6.4561363,
    "meyer": 41153.467,
    "box": 32.111584,
    "powell_singular": 14.662878,
    "kowalik_osborne": 7.2891510e-2,
    "brown_dennis": 2815.4384,
    "osborne_1": 0.93756402,
    "osborne_2": 1.4468654,
    "watson_6": 5.4772256,
    "watson_9": 5.4772256,
    "watson_12": 5.4772256,
    "trigonometric_10": 8.4117534e-2,
    "brown_almost_linear_10": 16.530216,
    "discrete_boundary_value_10": 2.8080582e-2,
    "discrete_integral_equation_10": 0.25182701,
    "broyden_tridiagonal_10": 4.5825757,
    "broyden_banded_10": 18.973666,
    "linear_full_rank_5": 5.0,
    "linear_rank_1_5": 291.52187,
    "linear_rank_1_zero_5": 126.03968,
    "chebyquad_7": 0.18376789,
    "chebyquad_8": 0.19651386,
    "chebyquad_9": 0.16994993,
    "chebyquad_10": 0.18374783,
}
#: f(start) of the others, from the problems' decoding in CUTEst (S2MPJ), or a multiple of a value above.
CUTEST = {
    "brown_badly_scaled": 999998000003.0,
    "beale": 14.203125,
    "gaussian": 3.888106991166885e-6,
    "gulf": 12.11070582556949,
    "wood": 19192.0,
    "biggs_exp6": 0.7790700756559702,
    "extended_rosenbrock_10": 5 * 24.2,
    "extended_powell_12": 3 * 215.0,
    "penalty_1_4": 885.06264,
    "penalty_1_10": 148032.56535,
    "penalty_2_4": 2.3400088054630244,
    "penalty_2_10": 162.65277656596712,
    "variably_dimensioned_10": 2198551.1625,
}
#: objective(start), from CUTEst and by hand.
HOCK = {
    "hs1": 909,
    "hs2": 909,
    "hs4": 2.125**3 / 3 + 0.125,
    "hs5": 1,
    "hs6": 4.84,
    "hs7": np.log(5) - 2,
    "hs28": 13,
    "hs35": 2.25,
    "hs38": 19192,
    "hs43": 0,
    "hs45": 26 / 15,
    "hs48": 84,
    "hs71": 16,
    "hs76": -1.25,
    "hs100": 714,
}

SUMS = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
BOUNDED = pytest.mark.parametrize("problem", CONSTRAINED.values(), ids=CONSTRAINED)


def complex_step(f, x):
    """The Jacobian of an analytic f, Im f(x + i h eⱼ) / h, exact to rounding."""
    steps = 1e-30 * np.eye(len(x))
    return np.stack([np.imag(f(x + 1j * step)) / 1e-30 for step in steps], axis=-1)


# ---- sums of squares -------------------------------------------------------------------------------------------------


def test_all_35_of_the_papers_problems_are_there():
    without_size = {re.sub(r"_\d+$", "", name) for name in PROBLEMS}
    assert len(without_size) == 34 and "osborne" in without_size  # which are two


@SUMS
def test_a_start_has_the_value_that_other_codes_print(problem):
    assert set(MINPACK).isdisjoint(CUTEST) and {*MINPACK, *CUTEST} == set(PROBLEMS)
    residuals = problem.residuals(problem.start)
    assert residuals.shape == (problem.m,) and problem.m >= problem.n
    if problem.name in MINPACK:
        np.testing.assert_allclose(np.linalg.norm(residuals), MINPACK[problem.name], rtol=1e-7)
    else:
        np.testing.assert_allclose(problem.objective(problem.start), CUTEST[problem.name], rtol=1e-13)


@SUMS
def test_a_published_minimum_has_its_six_digits(problem):
    values = [minimum.value for minimum in problem.minima]
    assert values == sorted(values)
    smallest = 1e-24 * problem.objective(problem.start)
    for minimum in problem.minima:
        if minimum.direction is None:
            value = problem.objective(minimum.point)
        else:
            on_the_way, value = (problem.objective(minimum.point + t * minimum.direction) for t in (1e4, 1e8))
            assert value <= on_the_way
        np.testing.assert_allclose(value, minimum.value, rtol=1e-5, atol=smallest)


@SUMS
def test_a_minimum_is_stationary_and_no_point_near_it_is_lower(problem):
    random = np.random.default_rng(3)
    for minimum in problem.minima:
        if minimum.direction is not None:
            continue
        point, value = minimum.point, problem.objective(minimum.point)
        if minimum.value > 0:
            residuals, jacobian = problem.residuals(point), complex_step(problem.residuals, point)
            columns = np.linalg.norm(jacobian, axis=0) * np.linalg.norm(residuals)
            assert all(abs(residuals @ jacobian) <= 1e-9 * columns)
        if (problem.name, minimum.value) == ("biggs_exp6", 5.65565e-3):
            continue  # a saddle, below
        scale = np.where(point == 0, 1.0, abs(point))
        around = point + 1e-4 * scale * random.standard_normal((100, problem.n))
        assert min(map(problem.objective, around)) >= value * (1 - 1e-12)


def test_the_published_minimum_of_biggs_exp6_is_a_saddle():
    problem = PROBLEMS["biggs_exp6"]
    saddle = problem.minima[-1]
    x = saddle.point

    def gradient(x):
        return 2 * complex_step(problem.residuals, x).T @ problem.residuals(x)

    hessian = np.stack([(gradient(x + e) - gradient(x - e)) / 2e-5 for e in 1e-5 * np.eye(6)])
    curvatures, directions = np.linalg.eigh(hessian + hessian.T)
    np.testing.assert_allclose(curvatures[0] / 2, -0.0098, atol=1e-4)
    assert problem.objective(x + 0.1 * directions[:, 0]) < problem.objective(x) - 1e-5
    # Descent leaves x₁ = x₅, x₃ = x₆; a gradient there does not.
    leaving, staying = directions[:, 0], gradient(problem.start)
    np.testing.assert_allclose(leaving[[0, 2]], -leaving[[4, 5]], rtol=1e-4)
    np.testing.assert_allclose(staying[[0, 2]], staying[[4, 5]], rtol=1e-14)


def test_the_third_point_of_brown_almost_linear_is_no_minimum():
    problem = PROBLEMS["brown_almost_linear_10"]
    point = problem.minima[-1].point
    lower = point + 0.1 * np.append(np.ones(9), -10)
    assert problem.objective(point) == 1 and problem.objective(lower) < 1 - 1e-9


@pytest.mark.parametrize("n", [2, 3, 20, 1000])
def test_the_chained_rosenbrock_function_is_scipys(n):
    problem = rosenbrock(n)
    assert (problem.n, problem.m) == (n, 2 * (n - 1)) and problem.start[:2].tolist() == [-1.2, 1]
    for x in (problem.start, np.random.default_rng(0).standard_normal(n)):
        np.testing.assert_allclose(problem.objective(x), scipy.optimize.rosen(x), rtol=1e-13)
    assert problem.objective(problem.minima[0].point) == problem.minima[0].value == 0


@pytest.mark.parametrize("n", [20, 200])
def test_the_other_minimum_of_the_chained_rosenbrock_function_has_its_value(n):
    x = np.append(-1.0, np.ones(n - 1))
    for _ in range(20):
        hessian = scipy.optimize.rosen_hess(x)
        x = x - np.linalg.solve(hessian, scipy.optimize.rosen_der(x))
    assert abs(scipy.optimize.rosen_der(x)).max() < 1e-11 and np.linalg.eigvalsh(hessian)[0] > 0.4
    np.testing.assert_allclose(scipy.optimize.rosen(x), rosenbrock(n).minima[1].value, rtol=2e-6)


@SUMS
def test_the_residuals_have_exact_jacobians(problem):
    random = np.random.default_rng(5)
    for x in (problem.start, problem.start * (1 + 0.05 * random.random(problem.n)) + 0.01):
        reference = complex_step(problem.residuals, x)
        got = dualgrad.jacobian(problem.residuals)(x)
        np.testing.assert_allclose(got, reference, rtol=1e-10, atol=1e-13 * abs(reference).max())


def test_the_data_cannot_be_changed():
    for array in (PROBLEMS["bard"].start, PROBLEMS["bard"].minima[0].point, DATASETS["Nelson"].y, CONSTRAINED["hs71"].lower):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


# ---- constraints -----------------------------------------------------------------------------------------------------


@BOUNDED
def test_a_constrained_start_has_its_published_value(problem):
    np.testing.assert_allclose(problem.objective(problem.start), HOCK[problem.name], rtol=1e-14, atol=1e-15)


@BOUNDED
def test_a_constrained_minimum_is_feasible_stationary_and_has_its_value(problem):
    """∇f = Σ λ ∇c over the constraints with c = 0, and λ >= 0 for inequalities and bounds."""
    for minimum in problem.minima:
        x, n = minimum.point, len(minimum.point)
        np.testing.assert_allclose(problem.objective(x), minimum.value, rtol=1e-9, atol=1e-28)
        forces = [np.zeros((1, n))]
        if problem.equality is not None:
            np.testing.assert_allclose(problem.equality(x), 0, atol=1e-13)
            slope = complex_step(problem.equality, x)
            forces += [slope, -slope]
        if problem.inequality is not None:
            slack = problem.inequality(x)
            assert min(slack) > -1e-12
            forces.append(complex_step(problem.inequality, x)[slack < 1e-12])
        if problem.bounds is not None:
            above, below = problem.bounds.residual(x)
            assert min(above) >= 0 and min(below) >= 0
            forces += [np.eye(n)[above == 0], -np.eye(n)[below == 0]]
        gradient = complex_step(problem.objective, x)
        _, rest = scipy.optimize.nnls(np.concatenate(forces).T, gradient)
        assert rest <= 1e-12 * (1 + np.linalg.norm(gradient))


@BOUNDED
def test_a_constrained_problem_has_exact_derivatives(problem):
    x = problem.start + 0.01
    got = dualgrad.grad(problem.objective)(x)
    np.testing.assert_allclose(got, complex_step(problem.objective, x), rtol=1e-10, atol=1e-12)
    for constraint in problem.constraints:
        got = dualgrad.jacobian(constraint["fun"])(x)
        np.testing.assert_allclose(got, complex_step(constraint["fun"], x), rtol=1e-10, atol=1e-12)


# ---- NIST ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fifty_digits(monkeypatch):
    """NumPy's functions on arrays of mpf: of an object it calls the method of that name."""
    functions = {"exp": mpmath.exp, "log": mpmath.log, "sin": mpmath.sin, "cos": mpmath.cos, "arctan": mpmath.atan}
    for name, function in functions.items():
        monkeypatch.setattr(mpmath.mpf, name, lambda number, function=function: function(number), raising=False)
    with mpmath.workdps(50):
        yield


@pytest.mark.parametrize("name", DATASETS)
def test_the_certified_values_hold_in_fifty_digits(name, fifty_digits):
    """A Gauss-Newton step from the printed parameters keeps their eleven digits and gives those of everything else."""
    data = read(name, mpmath.mpf)
    b, residuals, size = data.parameters, data.residuals(data.parameters), len(data.parameters)
    # Forward differences of relative length 1e-22 leave the Jacobian some twenty digits.
    steps = np.diag(abs(b)) * mpmath.mpf(10) ** -22
    jacobian = np.stack([(data.residuals(b + steps[k]) - residuals) / steps[k, k] for k in range(size)], axis=1)
    inverse = np.array((mpmath.matrix(jacobian.T @ jacobian) ** -1).tolist())
    step = inverse @ (jacobian.T @ residuals)
    assert all(abs(step) <= 2e-10 * abs(b))  # two units of the eleventh digit
    residuals = data.residuals(b - step)
    total = residuals @ residuals
    assert abs(total / data.residual_sum_of_squares - 1) < 1e-10
    deviation = mpmath.sqrt(total / data.degrees_of_freedom)
    assert abs(deviation / data.residual_standard_deviation - 1) < 1e-10
    for got, certified in zip(np.diag(inverse), data.deviations):
        assert abs(deviation * mpmath.sqrt(got) / certified - 1) < 1e-9


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_float64_and_its_model_has_exact_derivatives(name):
    data = DATASETS[name]
    assert data.x.shape == ((2, 128) if name == "Nelson" else data.y.shape) and data.x.dtype == data.y.dtype == float
    for b in (*data.starts, data.parameters):
        reference = complex_step(data.residuals, b)
        got = dualgrad.jacobian(data.residuals)(b)
        np.testing.assert_allclose(got, reference, rtol=1e-10, atol=1e-14 * abs(reference).max())
    if name != "Lanczos1":  # its sum is below the rounding of float64
        residuals = data.residuals(data.parameters)
        np.testing.assert_allclose(residuals @ residuals, data.residual_sum_of_squares, rtol=1e-9)


def test_the_datasets_are_nists_27_in_three_levels():
    levels = [data.level for data in DATASETS.values()]
    assert [levels.count(level) for level in ("lower", "average", "higher")] == [8, 11, 8]
    assert levels == sorted(levels, key=["lower", "average", "higher"].index)
