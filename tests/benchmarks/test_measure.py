"""Measuring, without a clock: the statistics, the order of turns, stopwatches, peaks, and the comparison of answers."""

from __future__ import annotations

import numpy as np
import pytest
from machine import calibrate, calibration, described, machine, steadiness
from measure import (
    Case,
    DisagreementError,
    Peak,
    Result,
    Stopwatch,
    Tool,
    check_answers,
    measure,
    ratio_of_medians,
    rounds_of,
    single,
    timed,
)


def scripted(name, values, log, answer=None):
    """A tool that measures the given values, one after the other, and writes its turns into the log."""
    remaining = iter(values)

    def sample():
        log.append(name)
        return next(remaining)

    return Tool(name, sample, answer)


# ---- statistics ---------------------------------------------------------------------------------------------------


def test_a_ratio_is_that_of_the_medians_within_its_interval():
    rng = np.random.default_rng(0)
    below = rng.lognormal(0.0, 0.1, 200)
    found = ratio_of_medians(0.5 * below * rng.lognormal(0.0, 0.05, 200), below)
    assert found.low < 0.5 < found.high and found.low < found.value < found.high
    assert found.high - found.low < 0.05


def test_one_disturbed_round_moves_neither_ratio_nor_interval():
    calm = np.ones(30)
    disturbed = np.where(np.arange(30) == 3, 1000.0, calm)
    assert ratio_of_medians(disturbed, calm) == ratio_of_medians(calm, calm)


def test_rounds_stay_paired():
    """A machine that slows down under both tools alike leaves the ratio of every resample what it is."""
    drift = np.linspace(1.0, 3.0, 31)
    found = ratio_of_medians(0.4 * drift, drift)
    assert found.low == pytest.approx(0.4) and found.high == pytest.approx(0.4)


def test_any_two_tools_compare():
    samples = {"a": np.full(5, 6.0), "b": np.full(5, 3.0), "c": np.full(5, 2.0)}
    case = Case("case", "µs", [Tool(name, float) for name in samples])
    assert Result(case, samples).between("b", "c").value == 1.5 and Result(case, samples).compare("b").value == 2.0


# ---- turns --------------------------------------------------------------------------------------------------------


def test_every_tool_has_one_turn_in_every_round_in_changing_order():
    log: list[str] = []
    names = ("dualgrad", "first", "second")
    case = Case("case", "µs", [scripted(name, range(100), log) for name in names])
    found = measure(case, 20)
    rounds = [tuple(log[k : k + 3]) for k in range(0, len(log), 3)]
    assert len(rounds) == 21 and all(sorted(turn) == sorted(names) for turn in rounds)
    assert len(set(rounds)) > 1
    np.testing.assert_array_equal(found.samples["first"], np.arange(1, 21))  # the first sample warms up


def test_a_slow_case_is_measured_in_fewer_rounds():
    assert rounds_of(Case("slow", "µs", [], rounds=7), 30) == 7
    assert rounds_of(Case("slow", "µs", [], rounds=7), 5) == 5
    assert rounds_of(Case("any", "µs", []), 30) == 30


def test_a_case_that_takes_long_ends_after_the_least_number_of_rounds():
    tool = lambda: [Tool("slow", lambda: 1.0)]
    assert len(measure(Case("case", "µs", tool()), 30, seconds=0.0).samples["slow"]) == 5
    assert len(measure(Case("case", "µs", tool()), 30, seconds=0.0, least=2).samples["slow"]) == 2
    assert len(measure(Case("case", "µs", tool(), seconds=0.0), 30).samples["slow"]) == 5
    assert len(measure(Case("case", "µs", tool(), seconds=1e6), 30).samples["slow"]) == 30


# ---- samplers -----------------------------------------------------------------------------------------------------


def test_a_stopwatch_prepares_before_each_sample_and_divides_by_the_operations(monkeypatch):
    clock, calls, prepared = iter(range(1000)), [], []
    monkeypatch.setattr("measure.time.perf_counter", lambda: next(clock))
    watch = Stopwatch(lambda: calls.append(1), operations=4, prepare=lambda: prepared.append(1), at_least=0.5)
    assert watch() == watch() == 250_000.0  # one tick is a second: 10^6 µs over four operations
    assert len(calls) == 3 and len(prepared) == 2


def test_a_stopwatch_calls_until_there_is_something_to_time(monkeypatch):
    now = [0.0]

    def run():
        now[0] += 1e-3

    monkeypatch.setattr("measure.time.perf_counter", lambda: now[0])
    watch = Stopwatch(run)
    assert watch() == pytest.approx(1000.0) and watch.calls == 8


def test_the_first_call_stands_apart(monkeypatch):
    now, calls = [0.0], []

    def run():
        calls.append(1)
        now[0] += 9.0 if len(calls) == 1 else 1.0

    monkeypatch.setattr("measure.time.perf_counter", lambda: now[0])
    found = measure(Case("case", "µs", [timed("compiled", run), Tool("untimed", lambda: 2.0)]), 5)
    assert found.first == {"compiled": 9e6} and found.median("compiled") == 1e6


def test_a_peak_is_what_one_call_holds_at_most():
    held = []

    def run():
        a = np.zeros(1_000_000)
        held[:] = [np.zeros(10)]
        return a[:10].copy()

    assert Peak(run)() == pytest.approx(8.0, abs=0.1)


# ---- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([np.ones(2), np.zeros(1)], r"gradient: array 1 from peer is off that from dualgrad by 1\.0e\+00 of its size"),
        ([np.ones(2)], "gradient: dualgrad gives 2 arrays, peer 1"),
        ([np.ones(2), np.ones((1, 1))], r"array 1 is \(1,\) from dualgrad, \(1, 1\) from peer"),
        ([np.ones(2), np.array([np.nan])], "array 1 from peer is off"),
    ],
)
def test_tools_that_disagree_are_not_compared(answer, message):
    expected = [np.ones(2), np.ones(1)]
    tools = [Tool("dualgrad", float, lambda: expected), Tool("hand", float), Tool("peer", float, lambda: answer)]
    case = Case("gradient", "µs", tools)
    with pytest.raises(DisagreementError, match=message):
        measure(case, 5)


def test_tools_may_agree_to_rounding():
    check_answers(Case("", "µs", [Tool("a", float, lambda: [1.0, [0.0]]), Tool("b", float, lambda: [1.0 + 1e-12, [0.0]])]))
    assert timed("a", lambda: 3.0, single).answer() == [3.0]


# ---- the machine --------------------------------------------------------------------------------------------------


def test_the_spread_of_the_calibration_is_the_noise_of_the_run():
    assert calibrate() > 0
    calm, noisy = calibration([4.0] * 20), calibration([4.0] * 10 + [6.0] * 10)
    assert calm["median"] == 4.0 and calm["spread"] == 0.0 and noisy["spread"] == pytest.approx(0.4)
    assert steadiness({"calibration": calm, "machine": {}}).endswith("within 0% of each other.")
    for about in ({"calibration": noisy, "machine": {}}, {"calibration": calm, "machine": {"load average": 3.0}}):
        assert "read ratios" in steadiness(about)


def test_the_machine_is_described_in_two_lines():
    where, what = described(machine())
    assert "cores" in where and what.startswith("python 3") and "numpy" in what
