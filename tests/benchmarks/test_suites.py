"""The suites need no peer, their ways to one answer agree, the null interpreter changes nothing, and `modes` judges rightly."""

from __future__ import annotations

import dispatch
import matplotlib.figure
import modes
import null
import numpy as np
import pytest
import scaling
import second_order
import startup
import training
from measure import Case, Result, Tool, check_answers
from peers import Peers

import dualgrad

# ---- the null interpreter -----------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(4, 4))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sin(x) * x + 2.0,
        lambda x: 2.0 / (1.0 + x**2),
        lambda x: np.where(x > 0, x, -x).sum(axis=0),
        lambda x: np.linalg.eigh(x + x.T)[0],
        lambda x: np.concatenate([x[0], x[:, 1]]) @ np.ones(8),
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.sort(x, axis=1)[::-1],
    ],
)
def test_the_null_interpreter_returns_what_numpy_does(f):
    found = null.evaluate(f, X)
    assert type(found) is not null.Null
    np.testing.assert_array_equal(found, f(X))


def test_the_null_interpreter_nests_in_itself_and_in_the_others():
    f = lambda x: np.sum(np.sin(x) * x)
    np.testing.assert_array_equal(null.evaluate(lambda x: null.evaluate(f, x), X), f(X))
    through = lambda x: null.evaluate(f, x)
    np.testing.assert_allclose(dualgrad.grad(through)(X), np.cos(X) * X + np.sin(X), rtol=1e-14)
    np.testing.assert_allclose(dualgrad.jvp(through, (X,), (X,))[1], np.sum((np.cos(X) * X + np.sin(X)) * X), rtol=1e-14)


# ---- cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "suite", [dispatch.dispatch, scaling.scaling, training.training, second_order.second_order, modes.modes, startup.startup]
)
def test_a_suite_needs_no_peer_and_names_its_cases_once(suite):
    cases = suite(Peers(), quick=True) if "quick" in suite.__code__.co_varnames else suite(Peers())
    names = [case.name for case in cases]
    assert cases and len(set(names)) == len(names)
    for case in cases:
        tools = [tool.name for tool in case.tools]
        assert tools and len(set(tools)) == len(tools)


@pytest.mark.parametrize("suite", [dispatch.dispatch, training.training, second_order.second_order])
def test_all_ways_to_one_answer_agree(suite):
    for case in suite(Peers()):
        check_answers(case)


@pytest.mark.parametrize("family", modes.FAMILIES)
def test_all_ways_to_a_jacobian_agree(family):
    for n, m in ((1, 1), (1, 10), (10, 1), (3, 7), (7, 3)):
        f = modes.FAMILIES[family](n, m)
        assert f(np.ones(n)).shape == (m,)
        check_answers(modes._jacobian(family, n, m))


@pytest.mark.parametrize("name", modes.SCALARS)
def test_all_nestings_agree(name):
    check_answers(modes._hessian(name, modes.SCALARS[name], 4))


def test_loops_chunks_and_checkpoints_agree():
    for case in (modes._looped(5), *modes._chunked(20), *modes._checkpointed()):
        check_answers(case)


# ---- what `modes` makes of its results ----------------------------------------------------------------------------


def jacobian(n, m, picked, auto, forward, reverse):
    """A result of constant times."""
    times = {"auto": auto, "forward": forward, "reverse": reverse}
    tags = {"what": "jacobian", "family": "made up", "n": n, "m": m, "picked": picked}
    case = Case(f"{n} → {m}", "µs", [Tool(name, float) for name in times], tags=tags)
    return Result(case, {name: np.atleast_1d(np.array(value, float)) * np.ones(4) for name, value in times.items()})


RESULTS = [
    jacobian(1, 1, "reverse", 10.0, [9.0, 9.0, 11.0, 11.0], 10.0),  # nobody can tell
    jacobian(1, 10, "reverse", 40.0, 10.0, 40.0),  # the wrong one
    jacobian(10, 1, "reverse", 11.0, 10.5, 10.0),  # 5 % are a tie, told or not
    jacobian(10, 10, "forward", 14.0, 10.0, 20.0),  # the right one, and yet too slow
]


def test_the_choice_of_auto_is_judged_by_the_winner_and_by_its_time():
    noisy, wrong, close, slow = modes.choices(RESULTS)
    assert noisy.tie and noisy.right and close.tie and close.right and close.cost == 1.1
    assert not wrong.right and wrong.winner == "forward" and wrong.cost == 4.0
    assert slow.right and not slow.tie and slow.cost == 1.4
    text = modes.summary(RESULTS)
    assert "picked the measured winner in 3 of 4 cases (75.0%; 2 of them are ties, within 10 %)" in text
    assert "within 1.3 × the winner's in 2 (50.0%); of the others 2 are beyond doubt" in text
    assert "At worst it was 4.00 ×, on the made up, 1 → 10." in text
    table = [line.split() for line in text.splitlines()[2:5]]
    assert table == [["m", "=", "1", "10"], ["n", "=", "1", "=", "F"], ["n", "=", "10", "=", "f"]]


def test_the_figure_of_the_modes_is_drawn_without_warnings(tmp_path):
    def others(what, tools, unit="µs", **tags):
        case = Case(what, unit, [Tool(name, float) for name in tools], tags={"what": what, **tags})
        return Result(case, {name: np.full(3, 1.0 + k) for k, name in enumerate(tools)})

    loops = ["one mapped sweep, reverse", "one mapped sweep, forward", "a loop of pullbacks", "a loop of pushforwards"]
    results = [
        *RESULTS,
        *(others("hessian", ["auto", *modes.NESTINGS], family="made up", n=n) for n in (2, 20)),
        *(others("looped", loops, n=n) for n in (1, 10)),
        *(others(what, ["all", "some"], unit) for what in ("chunked", "checkpoint") for unit in ("µs", "MB")),
    ]
    modes.draw(matplotlib.figure.Figure, tmp_path / "modes.svg", results, ["somewhere", "something"])
    assert (tmp_path / "modes.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
