"""What every solver of our own promises: pure steps, resumption to the bit, trees, dtypes, and endings that say what happened."""

from __future__ import annotations

import dataclasses
import itertools
import pickle

import numpy as np
import pytest

from dualgrad import tree
from dualgrad.errors import ArgumentError, InputTypeError, OutputError
from dualgrad.models import binary_cross_entropy, mlp
from dualgrad.optimize import (
    Ending,
    Tolerances,
    backtracking,
    bartlett,
    compose,
    damped_newton,
    fixed,
    gauss_newton,
    hessian_free,
    hutchinson,
    kfac,
    levenberg,
    levenberg_marquardt,
    natural_gradient,
    solve,
    sophia,
    subsampled_newton,
)
from dualgrad.optimize.newton import newton

RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 3))
T = (X @ np.array([[1.0], [-2.0], [0.5]]) + 0.7 * RNG.normal(size=(40, 1)) > 0).astype(float)
INIT, NETWORK = mlp([3, 2, 1], np.tanh)
PARAMS = INIT(np.random.default_rng(1))


def loss(params, x, targets):
    return binary_cross_entropy(NETWORK(params, x), targets)


def residuals(params, x, targets):
    return {"fit": NETWORK(params, x) - targets, "decay": [0.1 * w for layer in params for w in (layer["weight"], layer["bias"])]}


SOLVERS = {
    "damped newton": damped_newton(loss),
    "damped newton, levenberg": damped_newton(loss, search=levenberg()),
    "gauss-newton": gauss_newton(residuals),
    "levenberg-marquardt": levenberg_marquardt(residuals),
    "hessian-free": hessian_free(NETWORK, binary_cross_entropy),
    "hessian-free, part": hessian_free(NETWORK, binary_cross_entropy, fraction=0.5, seed=3),
    "natural gradient": natural_gradient(NETWORK, "bernoulli", search=backtracking(damping=1e-2)),
    "natural gradient, fixed": natural_gradient(NETWORK, "bernoulli", search=fixed(lambda step: 0.5 / (step + 1), damping=1e-2)),
    "natural gradient, levenberg": natural_gradient(NETWORK, "bernoulli", search=levenberg(1e-2)),
    "k-fac": kfac(NETWORK, "bernoulli", damping=0.1),
    "k-fac, penalty": kfac(NETWORK, "bernoulli", damping=0.1, penalty=0.01, momentum=False),
    "sophia": sophia(loss, 0.02, hutchinson(loss), every=2, decay=0.01),
    "sophia, bartlett": sophia(loss, 0.02, bartlett(NETWORK, "bernoulli"), every=2, scale=0.05),
    "subsampled newton": subsampled_newton(loss, fraction=0.5, damping=0.1),
}
EVERY = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())


def same(a, b):
    """Equal to the bit, types and structures included."""
    if dataclasses.is_dataclass(a):
        a, b = ({f.name: getattr(s, f.name) for f in dataclasses.fields(s)} for s in (a, b))
    assert tree.structure(a) == tree.structure(b)
    for one, other in zip(tree.leaves(a), tree.leaves(b), strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def frozen(values):
    def freeze(leaf):
        leaf = np.array(leaf)
        leaf.flags.writeable = False
        return leaf

    return tree.map(freeze, values)


@EVERY
def test_a_solve_goes_on_from_its_pickled_state_to_the_bit(solver):
    steps = 22 if solver is SOLVERS["k-fac"] else 4  # at its 20th step K-FAC chooses among dampings
    through = solve(solver, PARAMS, X, T, max_steps=steps)
    first = solve(solver, PARAMS, X, T, max_steps=2)
    stored = pickle.loads(pickle.dumps(first.state))
    same(first.state, stored)
    second = solve(solver, None, X, T, max_steps=steps - 2, state=stored)
    same(through.state, second.state)
    assert len(through.history) == len(first.history) + len(second.history) - 1


@EVERY
def test_a_state_is_frozen_and_a_step_is_pure(solver):
    params, x, targets = frozen(PARAMS), *frozen((X, T))
    state = solver.init(params, x, targets)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.params = None
    state = solver.update(state, x, targets)
    before = pickle.dumps(state)
    same(solver.update(state, x, targets), solver.update(state, x, targets))
    assert pickle.dumps(state) == before


@EVERY
def test_the_objective_falls(solver):
    result = solve(solver, PARAMS, X, T, max_steps=15)
    assert result.value < 0.9 * result.history[0].value
    assert all(np.isfinite(p.value) and np.isfinite(p.gradient_norm) for p in result.history)
    np.testing.assert_array_equal([p.step for p in result.history], np.arange(result.steps + 1))
    assert np.all(np.diff([p.evaluations for p in result.history]) > 0)


@EVERY
def test_the_value_told_is_that_of_the_params_told(solver):
    state = solver.init(PARAMS, X, T)
    for _ in range(3):
        state = solver.update(state, X, T)
    expected = loss(state.params, X, T)
    if solver in (SOLVERS["gauss-newton"], SOLVERS["levenberg-marquardt"]):
        expected = sum(np.sum(r * r) for r in tree.leaves(residuals(state.params, X, T))) / 2
    elif solver is SOLVERS["k-fac, penalty"]:
        expected = expected + 0.005 * sum(np.sum(w * w) for w in tree.leaves(state.params))
    np.testing.assert_allclose(state.value, expected, rtol=1e-14)


@EVERY
def test_float32_stays(solver):
    params, x, targets = tree.map(lambda leaf: leaf.astype(np.float32), (PARAMS, X, T))
    state = solver.init(params, x, targets)
    for _ in range(3):
        state = solver.update(state, x, targets)
    assert {leaf.dtype for leaf in tree.leaves(state.params)} == {np.dtype(np.float32)}
    kept = [getattr(state, field.name) for field in dataclasses.fields(state) if field.name not in ("value", "params")]
    assert {leaf.dtype for leaf in tree.leaves(kept) if isinstance(leaf, np.ndarray)} <= {np.dtype(np.float32)}
    assert solve(solver, params, x, targets, max_steps=2).params[0]["weight"].dtype == np.float32


def within(function):
    """The same function of parameters that stand among other leaves."""
    return lambda params, *data: function(params["layers"], *data)


@pytest.mark.parametrize(
    ("name", "solver"),
    {
        "damped newton": damped_newton(within(loss)),
        "damped newton, levenberg": damped_newton(within(loss), search=levenberg()),
        "gauss-newton": gauss_newton(within(residuals)),
        "levenberg-marquardt": levenberg_marquardt(within(residuals)),
        "hessian-free": hessian_free(within(NETWORK), binary_cross_entropy),
        "natural gradient": natural_gradient(within(NETWORK), "bernoulli", search=backtracking(damping=1e-2)),
        "k-fac": kfac(within(NETWORK), "bernoulli", damping=0.1),
        "sophia": sophia(within(loss), 0.02, every=2, decay=0.01),
        "sophia, bartlett": sophia(within(loss), 0.02, bartlett(within(NETWORK), "bernoulli"), every=2, scale=0.05),
        "subsampled newton": subsampled_newton(within(loss), fraction=0.5, damping=0.1),
    }.items(),
)
def test_other_leaves_pass_through(name, solver):
    params = {"layers": PARAMS, "epoch": 3, "name": "tanh", "none": None, "order": np.arange(2)}
    result = solve(solver, params, X, T, max_steps=3)
    assert (result.params["epoch"], result.params["name"], result.params["none"]) == (3, "tanh", None)
    np.testing.assert_array_equal(result.params["order"], np.arange(2))
    alone = solve(SOLVERS[name], PARAMS, X, T, max_steps=3)
    np.testing.assert_allclose(result.params["layers"][0]["weight"], alone.params[0]["weight"], rtol=1e-12)


@EVERY
def test_an_objective_that_is_not_finite_ends_the_solve_where_it_was_finite(solver):
    broken = X.copy()
    broken[0, 0] = np.nan
    result = solve(solver, PARAMS, broken, T)
    assert result.ending is Ending.NOT_FINITE and not result.success and result.steps == 0
    assert result.message.startswith("The objective or its derivative is not finite. After 0 steps")
    same(result.params, PARAMS)
    result = solve(solver, PARAMS, batches=[(X, T), (X, T), (broken, T), (X, T)])
    assert result.ending is Ending.NOT_FINITE and result.steps == 3
    same(result.params, solve(solver, PARAMS, X, T, max_steps=2).state.params)


@EVERY
def test_each_step_has_its_own_batch(solver):
    halves = [(X[:20], T[:20]), (X[20:], T[20:])]
    result = solve(solver, PARAMS, batches=itertools.cycle(halves), max_steps=5)
    state = solver.init(PARAMS, *halves[0])
    for step in range(5):
        state = solver.update(state, *halves[step % 2])
    same(result.state, state)
    same(result.params, state.params)


# ---- the loop --------------------------------------------------------------------------------------------------------


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


START = np.array([-1.2, 1.0])


def test_the_step_limit_is_an_ending_and_not_a_success():
    result = solve(damped_newton(rosenbrock), START, max_steps=3)
    assert result.ending is Ending.STEP_LIMIT and not result.success and result.steps == 3
    assert result.message.startswith("The step limit was reached before the tolerance. After 3 steps the objective is ")
    assert solve(damped_newton(rosenbrock), START, max_steps=0).steps == 0


def test_the_callback_sees_every_step_and_may_stop():
    seen = []

    def callback(progress, params):
        seen.append((progress.step, progress.value, rosenbrock(params)))
        return progress.step == 4

    result = solve(damped_newton(rosenbrock), START, callback=callback)
    assert result.ending is Ending.STOPPED and result.steps == 4
    assert [step for step, _, _ in seen] == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal([value for _, value, _ in seen], [value for _, _, value in seen])


def test_the_best_point_is_kept_where_a_method_climbs():
    climbing = compose(newton(lambda x: np.sum(x**2)), fixed(-0.5))
    result = solve(climbing, np.array([1.0, 2.0]), max_steps=3)
    np.testing.assert_array_equal(result.params, [1.0, 2.0])
    assert result.value == 5.0 and result.history[-1].value > 50
    np.testing.assert_allclose(result.gradient_norm, np.sqrt(20))


def test_tolerances_end_a_solve_with_their_sentences():
    bowl = lambda x: np.sum((x - 3.0) ** 2) + 1.0
    slow = lambda tolerances: compose(newton(bowl), fixed(0.5), tolerances)
    start = np.array([4.0, 5.0])
    for tolerances, ending, sentence in (
        (Tolerances(gradient=1e-3), Ending.CONVERGED, "The norm of the gradient fell below its tolerance."),
        (Tolerances(step=1e-3), Ending.SMALL_STEP, "The steps became smaller than their tolerance."),
        (Tolerances(decrease=1e-3), Ending.SMALL_DECREASE, "The objective stopped decreasing by more than its tolerance."),
    ):
        result = solve(slow(tolerances), start)
        assert result.ending is ending and result.success and result.message.startswith(sentence)
        np.testing.assert_allclose(result.params, 3.0, atol=0.05)


def test_a_direction_uphill_is_an_ending():
    uphill = newton(lambda x: np.sum(x**2))
    reverse = uphill._replace(local=lambda objective, memory: _reversed(uphill.local(objective, memory)))
    result = solve(compose(reverse, backtracking()), np.array([1.0, 2.0]))
    assert result.ending is Ending.NO_DESCENT
    assert result.message.startswith("No step along the search direction lowers the objective.")
    np.testing.assert_array_equal(result.params, [1.0, 2.0])


def _reversed(local):
    def direction(damping):
        found = local.direction(damping)
        return found._replace(step=-found.step)

    return local._replace(direction=direction)


def test_a_bar_shows_the_progress(capsys):
    pytest.importorskip("tqdm")
    solve(damped_newton(rosenbrock), START, max_steps=3, progress=True)
    shown = capsys.readouterr().err
    assert "solve" in shown and "value=" in shown and "gradient=" in shown and "radius=" in shown


def test_results_own_their_memory():
    x = np.zeros(2)
    result = solve(damped_newton(lambda x: np.sum(x**2)), x)
    assert result.success and not np.shares_memory(result.params, x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: solve(damped_newton(rosenbrock), START, max_steps=-1), ArgumentError, "max_steps must be a non-negative int"),
        (lambda: solve(damped_newton(rosenbrock), START, max_steps=True), ArgumentError, "not True"),
        (lambda: solve(damped_newton(loss), PARAMS, X, batches=[(X, T)]), ArgumentError, "solve: give data or batches, not both"),
        (lambda: solve(damped_newton(loss), PARAMS, batches=[]), ArgumentError, "an iterable of tuples, but it is empty"),
        (lambda: solve(damped_newton(loss), PARAMS, batches=[X]), ArgumentError, r"but its first item is float64\[40,3\]"),
        (lambda: solve(damped_newton(rosenbrock), START, callback=3), ArgumentError, "solve: callback must be a function"),
        (lambda: solve(damped_newton(lambda x: x**2), START), OutputError, "must return a scalar"),
        (lambda: solve(damped_newton(rosenbrock), np.array([1, 2])), InputTypeError, "must be floating or complex"),
        (lambda: solve(damped_newton(rosenbrock), START + 1j), InputTypeError, "params has complex leaves"),
        (lambda: solve(levenberg_marquardt(lambda x: x), {"n": 1}), InputTypeError, "must be floating or complex"),
        (lambda: backtracking(factor=1.0), ArgumentError, r"backtracking: factor must be in \(0, 1\), got 1.0"),
        (lambda: levenberg(lower=0.0), ArgumentError, r"levenberg: lower must be in \(0, 1\), got 0.0"),
        (lambda: levenberg(higher=1.0), ArgumentError, "levenberg: higher must be above 1, got 1.0"),
        (lambda: hessian_free(NETWORK, loss, fraction=0), ArgumentError, r"hessian_free: fraction must be in \(0, 1\], got 0"),
        (lambda: subsampled_newton(loss, fraction=2), ArgumentError, r"subsampled_newton: fraction must be in \(0, 1\], got 2"),
        (lambda: natural_gradient(NETWORK, "poisson"), ArgumentError, "likelihood must be one of 'categorical'"),
        (lambda: kfac(NETWORK, "bernoulli", damping=0.0), ArgumentError, "kfac: damping must be positive, got 0.0"),
        (lambda: sophia(loss, 0.1, every=0), ArgumentError, "sophia: every must be at least 1, got 0"),
    ],
)
def test_wrong_settings_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
