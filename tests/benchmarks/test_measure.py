"""The benchmarks, without a clock: the statistics, what the table and the files say, and what the command line refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import command
import core
import matplotlib.figure
import numpy as np
import peers
import pytest
from measure import Case, DisagreementError, Result, Stopwatch, Tool, check_answers, measure, ratio_of_medians, rounds_of
from report import as_json, check_writable, draw, quantity, table, verdict, whole

SCRIPT = Path(core.__file__)


def result(case=None, **samples):
    """A result of given samples; the subject is `dualgrad`."""
    tools = [Tool(name.replace("_", " "), lambda: 0.0) for name in samples]
    case = case or Case("a gradient", "µs", tools, {"slow": 0.6, "quick": 1.0, "absent": 0.5})
    return Result(case, {tool.name: np.array(values) for tool, values in zip(tools, samples.values(), strict=True)})


RACE = result(dualgrad=[10.0, 12.0, 11.0], slow=[20.0, 22.0, 24.0], quick=[5.0, 5.5, 4.5], plain=[1.0, 1.0, 1.0])
STARTUP = Case("import", "ms", [Tool("with", lambda: 0.0), Tool("without", lambda: 0.0)], {"without": 60.0}, difference=True)
BUDGET = Result(STARTUP, {"with": np.array([150.0, 160.0, 155.0]), "without": np.array([120.0, 125.0, 121.0])})


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


def test_every_tool_has_one_turn_in_every_round_in_changing_order():
    log: list[str] = []
    names = ("dualgrad", "first", "second")
    case = Case("case", "µs", [scripted(name, range(100), log) for name in names])
    steps: list[int] = []
    found = measure(case, 20, lambda: steps.append(1))
    rounds = [tuple(log[k : k + 3]) for k in range(0, len(log), 3)]
    assert len(rounds) == 21 and len(steps) == 20 and all(sorted(turn) == sorted(names) for turn in rounds)
    assert len(set(rounds)) > 1
    np.testing.assert_array_equal(found.samples["first"], np.arange(1, 21))  # the first sample warms up


def test_a_slow_case_is_measured_in_fewer_rounds():
    assert rounds_of(Case("slow", "µs", [], rounds=7), 30) == 7
    assert rounds_of(Case("slow", "µs", [], rounds=7), 5) == 5
    assert rounds_of(Case("any", "µs", []), 30) == 30


def test_a_stopwatch_prepares_before_each_sample_and_divides_by_the_operations(monkeypatch):
    clock, calls, prepared = iter(range(1000)), [], []
    monkeypatch.setattr("measure.time.perf_counter", lambda: next(clock))
    watch = Stopwatch(lambda: calls.append(1), operations=4, prepare=lambda: prepared.append(1), at_least=0.5)
    assert watch() == watch() == 250_000.0  # one tick is a second: 10^6 µs over four operations
    assert len(calls) == 4 and len(prepared) == 2


def test_a_stopwatch_calls_until_there_is_something_to_time(monkeypatch):
    now = [0.0]

    def run():
        now[0] += 1e-3

    monkeypatch.setattr("measure.time.perf_counter", lambda: now[0])
    watch = Stopwatch(run)
    assert watch() == pytest.approx(1000.0) and watch.calls == 8


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


# ---- table and files ----------------------------------------------------------------------------------------------


TABLE = """
case        tool             median    least  subject against it              target  reached
---------------------------------------------------------------------------------------------

a gradient  dualgrad *      11.0 µs  10.0 µs
            slow            22.0 µs  20.0 µs  × 0.500  (0.458 to 0.545)        ≤ 0.6  yes
            quick           5.00 µs  4.50 µs  × 2.20  (2.00 to 2.44)          ≤ 1  NO
            plain           1.00 µs  1.00 µs  × 11.0  (10.0 to 12.0)
            absent                            not measured                    ≤ 0.5

import      with *           155 ms   150 ms
            without          121 ms   120 ms  +34.0 ms  (30.0 to 35.0)     ≤ 60 ms  yes
"""


def test_the_table_says_what_was_measured():
    squeezed = [[line.split() for line in text.strip().splitlines()] for text in (table([RACE, BUDGET]), TABLE)]
    del squeezed[0][1], squeezed[1][1]  # the rule under the header
    assert squeezed[0] == squeezed[1]


def test_the_verdict_counts_and_names_the_missed():
    assert verdict([RACE, BUDGET]) == (
        "2 of 4 targets reached, 1 not measured.\nMissed: a gradient, against quick: × 2.20  (2.00 to 2.44), target ≤ 1."
    )
    assert verdict([BUDGET]) == "1 of 1 targets reached."


def test_quantities_take_the_unit_that_suits_them():
    assert [quantity(x, "µs") for x in (0.01, 999.0, 1000.0, 2e6)] == ["0.010 µs", "999 µs", "1.00 ms", "2.00 s"]
    assert quantity(1400.0, "ms") == "1.40 s"
    assert quantity(2000.0, "MB") == "2000 MB" and quantity(-3.0, "ms", sign=True) == "-3.00 ms"


def test_the_file_holds_every_sample():
    found = json.loads(as_json([RACE, BUDGET], {"benchmark": "x"}))
    race, budget = found["cases"]
    assert found["benchmark"] == "x" and race["subject"] == "dualgrad"
    assert race["tools"]["slow"]["samples"] == [20.0, 22.0, 24.0]
    assert race["tools"]["slow"]["ratio"] == 0.5 and race["tools"]["slow"]["reached"] is True
    assert race["tools"]["plain"]["target"] is None and race["tools"]["quick"]["reached"] is False
    assert budget["tools"]["without"]["difference"] == 34.0


@pytest.mark.parametrize("results", [[RACE, BUDGET], [RACE], [BUDGET]])
def test_the_plot_is_drawn_without_warnings(tmp_path, results):
    path = tmp_path / "plot.svg"
    draw(matplotlib.figure.Figure, path, results, ["somewhere", "something"])
    assert path.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "figures.json"
    with pytest.raises(KeyboardInterrupt), whole(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with whole(path) as part:
        part.write_text("all")
    assert path.read_text() == "all" and len(list(tmp_path.iterdir())) == 1


def test_trying_a_path_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new.json")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="directory"):
        check_writable(tmp_path)


# ---- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """No peer is installed, and measuring is quick."""
    monkeypatch.setattr(peers, "_optional", lambda name: None)
    monkeypatch.setattr(command, "measure_all", lambda cases, rounds: [measure(case, 2) for case in cases])


def fixed(found):
    """A suite whose subject always costs 2; its peer, where it is installed, 4."""
    tools = [Tool("dualgrad", lambda: 2.0)] + ([Tool("PyTorch", lambda: 4.0)] if found.torch else [])
    return [Case("fixed", "µs", tools, {"PyTorch": 0.6})]


def run(tmp_path, *arguments):
    files = ["--json", str(tmp_path / "found.json"), "--plot", str(tmp_path / "found.png")]
    return command.main("A benchmark.", {"fixed": fixed}, "found", [*files, *arguments])


def test_absent_peers_are_left_out_and_the_extra_named(alone, tmp_path, capsys):
    assert run(tmp_path) == 0
    printed = capsys.readouterr().out
    assert 'Left out, not installed: PyTorch, JAX, HIPS autograd. pip install "dualgrad[bench]" brings them.' in printed
    assert "not measured" in printed and "0 of 1 targets reached, 1 not measured." in printed
    assert json.loads((tmp_path / "found.json").read_text())["cases"][0]["tools"]["dualgrad"]["samples"] == [2.0, 2.0]


def test_both_files_are_written_and_named(alone, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "load", lambda: peers.Peers(torch=True, jax=True, autograd=True))
    assert run(tmp_path, "fixed") == 0
    assert "1 of 1 targets reached." in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.json", "found.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "no suite 'speed'; there are fixed"),
        (["--plot", "found.doc"], "--plot found.doc: the ending must be one of"),
        (["--json", "nowhere/found.json"], "--json nowhere/found.json: cannot be written (No such file or directory)"),
        (["--json", "."], "--json .: cannot be written (Is a directory)"),
        (["--slow"], "unrecognized arguments: --slow"),
    ],
)
def test_bad_arguments_get_one_line_before_anything_is_measured(alone, monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.setattr(command, "measure_all", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, *arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2 and not printed.out
    assert message in printed.err and len(printed.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_tools_that_disagree_end_the_run_without_files(alone, monkeypatch, tmp_path, capsys):
    def refuse(cases, rounds):
        raise DisagreementError("fixed: array 0 differs.")

    monkeypatch.setattr(command, "measure_all", refuse)
    assert run(tmp_path) == 1
    assert capsys.readouterr().err.endswith("fixed: array 0 differs.\n") and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", core.SUITES)
def test_the_suites_of_the_core_need_no_peer(alone, name):
    cases = core.SUITES[name](peers.load())
    assert cases and all(case.tools and case.targets for case in cases)


def test_the_gradients_of_the_core_agree_with_those_written_by_hand(alone):
    for case in core.mlp(peers.load()):
        check_answers(case)


def test_the_script_runs(tmp_path):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command_line = [sys.executable, str(SCRIPT), "warmth", "--json", str(tmp_path / "x.json")]
    done = subprocess.run(command_line, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and done.stderr == "core.py: no suite 'warmth'; there are " + ", ".join(core.SUITES) + "\n"
