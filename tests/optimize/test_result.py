"""A result: sentences, the history, the figure."""

import numpy as np
import pytest

from dualgrad import errors
from dualgrad.optimize import Ending, Progress, Result, curve_fit, minimize, root
from dualgrad.optimize.result import Observer


def test_every_ending_is_a_sentence_and_success_is_to_be_where_one_wanted():
    assert all(e.value.endswith(".") and e.value[0].isupper() for e in Ending)
    assert {e for e in Ending if e.success} == {Ending.CONVERGED, Ending.SMALL_STEP, Ending.SMALL_DECREASE, Ending.ROOT}


def test_the_message_is_the_sentence_and_the_numbers():
    result = Result(1.0, 0.0, 0.0, Ending.STEP_LIMIT, 3, 4, (), "After 3 steps.")
    assert result.message == "The step limit was reached before the tolerance. After 3 steps." and not result.success
    assert Result(1.0, 0.0, 0.0, Ending.ROOT, 3, 4, ()).message == Ending.ROOT.value


def test_the_observer_keeps_the_history_and_the_best_finite_point():
    with Observer("test", None, False, None) as observer:
        for value, params in ((3.0, "a"), (np.nan, "b"), (1.0, "c"), (2.0, "d")):
            assert observer.step(params, value, 0.0, np.nan, 1) is False
    assert observer.best == (1.0, "c") and [p.step for p in observer.history] == [0, 1, 2, 3]
    seconds = [p.seconds for p in observer.history]
    assert seconds == sorted(seconds) and isinstance(observer.history[0], Progress)


@pytest.mark.parametrize("answer, stops", [(True, True), (False, False), (None, False), ("no", False)])
def test_only_true_stops(answer, stops):
    assert Observer("test", lambda *given: answer, False, None).step(1, 1.0, 1.0, 1.0, 1) is stops


def test_a_callback_that_is_no_function_raises():
    with pytest.raises(errors.ArgumentError, match=r"minimize, BFGS: callback must be a function of \(progress, params\), not 3"):
        minimize(lambda x: x**2, 1.0, callback=3)


@pytest.mark.parametrize(
    "result",
    [
        lambda: minimize(lambda x: np.sum((x - 1) ** 4), np.zeros(2)),
        lambda: minimize(lambda x: np.sum((x - 1) ** 4), np.zeros(2), method="Nelder-Mead"),
        lambda: minimize(lambda x: np.sum(x) * np.nan, np.zeros(2)),
        lambda: minimize(lambda x: 1.0, np.zeros(2)),
        lambda: root(lambda x: x - 1, np.zeros(2)),
        lambda: curve_fit(lambda x, p: p * x, np.arange(3.0), np.arange(3.0), 0.5),
    ],
)
def test_every_result_can_be_drawn(result, tmp_path):
    pytest.importorskip("matplotlib")
    result = result()
    figure = result.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 5000
    assert len(figure.axes) == 2 and result.ending.value in figure.get_suptitle()
    lines = figure.axes[0].get_lines()
    assert all(len(line.get_xdata()) == len(result.history) for line in lines)
