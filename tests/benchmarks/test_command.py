"""`python -m dualgrad bench` with suites of a few made-up numbers: what it writes, and what it refuses and how."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import command
import numpy as np
import peers
import pytest
from measure import Case, Tool, measure
from suites import SUITES, Suite
from workers import Worker, merged

from dualgrad import bench
from dualgrad.__main__ import main

#: A module of suites, for the process of a worker.
MADE_UP = '''
import os, pathlib
from measure import BenchmarkError, Case, Tool, timed

class Counting:
    first = 7.0
    def __init__(self): self.calls = 0
    def __call__(self):
        self.calls += 1
        return float(self.calls)

def counts(peers, quick=False):
    tools = [Tool("dualgrad", Counting(), lambda: [1.0]), Tool("NumPy", lambda: 4.0, lambda: [1.0])]
    return [Case("quick counts" if quick else "counts", "µs", tools, {"PyTorch": 0.6}, rounds=3)]

def reads(peers, data=None):
    text = (data / "numbers.txt").read_text()
    if not text.strip().isdigit():
        raise BenchmarkError(f"{data / 'numbers.txt'}, line 1: no number: {text!r}")
    return counts(peers)

def dies(peers):
    return [Case("dies", "µs", [Tool("dualgrad", lambda: os._exit(3))])]

def differs(peers):
    return [Case("differs", "µs", [Tool("dualgrad", float, lambda: [1.0]), Tool("NumPy", float, lambda: [2.0])])]

def says(results):
    return f"{len(results)} cases, they say."

def draws(figure_type, path, results, about):
    path.write_text("a drawing")
'''


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A folder to run in, the made-up suites, and no peer installed."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "made_up.py").write_text(MADE_UP)
    (tmp_path / "here").mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(command, "installed", list)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "here" / "RESULTS.md")
    suites = {
        "counts": Suite("It counts.", "made_up:counts", summary="made_up:says"),
        "draws": Suite("It draws.", "made_up:counts", figure="made_up:draws", tabulated=False),
        "reads": Suite("It reads.", "made_up:reads"),
        "dies": Suite("It dies.", "made_up:dies"),
        "differs": Suite("It differs.", "made_up:differs"),
    }
    for name in list(SUITES):
        monkeypatch.delitem(SUITES, name)
    for name, suite in suites.items():
        monkeypatch.setitem(SUITES, name, suite)
    return tmp_path / "here"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- what it does -------------------------------------------------------------------------------------------------


def test_a_run_prints_the_table_and_writes_every_sample_and_a_figure(made_up, capsys):
    assert main(["bench", "counts"]) == 0
    printed = capsys.readouterr().out
    assert "counts: It counts." in printed and "dualgrad *" in printed and "1 cases, they say." in printed
    assert "0 of 1 targets reached, 1 not measured." in printed and "The calibration loop took" in printed
    assert files(made_up) == ["dualgrad-bench.json", "dualgrad-bench.png"]
    found = json.loads((made_up / "dualgrad-bench.json").read_text())
    (case,) = found["suites"]["counts"]
    assert case["tools"]["dualgrad"]["samples"] == [2.0, 3.0, 4.0]  # the first warmed up; one process kept count
    assert case["tools"]["dualgrad"]["first"] == 7.0 and case["tools"]["NumPy"]["ratio"] == 0.75
    assert found["quick"] is False and found["machine"]["numpy"] == np.__version__
    assert len(found["calibration"]["samples"]) == 6  # five before, one after the only case


def test_several_suites_have_a_figure_each_and_the_page_is_written_on_demand(made_up, capsys):
    assert main(["bench", "counts", "draws", "--quick", "--results", "--plot", "x.svg", "--json", "y.json"]) == 0
    assert files(made_up) == ["RESULTS.md", "draws.png", "x-counts.svg", "x-draws.svg", "y.json"]
    assert (made_up / "x-draws.svg").read_text() == "a drawing"
    page = (made_up / "RESULTS.md").read_text()
    assert "| quick counts | dualgrad |" in page and "![draws](draws.png)" in page and "1 cases, they say." in page


def test_absent_peers_are_left_out_and_the_extra_named(made_up, capsys):
    assert main(["bench", "counts", "--peers"]) == 0
    printed = capsys.readouterr().out
    assert 'Left out, not installed: PyTorch, HIPS autograd, JAX. pip install "dualgrad[bench]" brings them.' in printed


def test_data_is_read_where_it_is(made_up, capsys):
    data = made_up / "data"
    data.mkdir()
    (data / "numbers.txt").write_text("12")
    assert main(["bench", "reads", "--data", str(data)]) == 0


# ---- what it refuses ----------------------------------------------------------------------------------------------


def refused(arguments, capsys):
    """Exit status and the one line."""
    status = main(["bench", *arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("python -m dualgrad bench")]
    assert len(lines) == 1
    return status, lines[0].removeprefix("python -m dualgrad bench: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "no suite 'speed'; there are counts, draws, reads, dies, differs."),
        (["counts", "--plot", "x.doc"], "--plot x.doc: the ending must be one of"),
        (["counts", "--json", "nowhere/x.json"], "--json nowhere/x.json: cannot be written (No such file or directory)."),
        (["counts", "--json", "."], "--json .: cannot be written (Is a directory)."),
        (["counts", "--plot", "nowhere/x.png"], "--plot nowhere/x.png: cannot be written (No such file or directory)."),
        (["reads", "--data", "nowhere"], "--data nowhere: cannot be read (No such file or directory)."),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_before_anything_is_measured(made_up, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(command, "measure_all", None)
    status, line = refused(arguments, capsys)
    assert status == 2 and line.startswith(message)
    assert files(made_up) == []


def test_a_page_that_may_not_be_written_is_refused_first(made_up, monkeypatch, capsys):
    monkeypatch.setattr(command, "measure_all", None)
    monkeypatch.setattr(command, "RESULTS", made_up / "nowhere" / "RESULTS.md")
    status, line = refused(["counts", "--results"], capsys)
    assert status == 2 and line.startswith("--results ") and line.endswith("cannot be written (No such file or directory).")


@pytest.mark.parametrize(
    ("suite", "content", "message"),
    [
        ("reads", None, r"reads: {}: cannot be read (No such file or directory). Nothing was written."),
        ("reads", "x", r"{}, line 1: no number: 'x'. Nothing was written."),
        ("dies", None, "the process of dualgrad died, perhaps for want of memory. Nothing was written."),
        ("differs", None, "differs: array 0 from NumPy is off that from dualgrad by 1.0e+00 of its size. Nothing was written."),
    ],
)
def test_a_run_that_fails_says_why_and_leaves_no_file(made_up, capsys, suite, content, message):
    data = made_up.parent / "data"
    data.mkdir()
    if content is not None:
        (data / "numbers.txt").write_text(content)
    status, line = refused([suite, "--data", str(data)], capsys)
    assert status == 1 and line == message.format(data / "numbers.txt")
    assert files(made_up) == []


def test_a_run_that_is_stopped_leaves_no_file(made_up, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "measure", stop)
    assert refused(["counts"], capsys) == (130, "stopped; nothing was written.") and files(made_up) == []


def test_without_a_checkout_the_command_says_where_the_benchmarks_are(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "FOLDER", tmp_path / "benchmarks")
    status, line = refused([], capsys)
    assert status == 1 and line == f"the benchmarks come with a checkout of dualgrad, and there is none at {tmp_path}."


def test_the_folder_runs_like_the_command():
    folder = Path(command.__file__).parent
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(folder), "warmth"], capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "python benchmarks: no suite 'warmth'; there are " + ", ".join(SUITES) + ".\n"


# ---- workers ------------------------------------------------------------------------------------------------------


def test_a_tool_in_a_worker_is_sampled_and_answers_there(made_up):
    worker = Worker()
    try:
        (case,) = worker.cases("made_up:counts", {"quick": True, "data": None})
        assert case.name == "quick counts" and [tool.name for tool in case.tools] == ["dualgrad", "NumPy"]
        found = measure(case, 2)
        assert list(found.samples["dualgrad"]) == [2.0, 3.0] and found.first == {"dualgrad": 7.0}
    finally:
        worker.close()


def case(name, *tools):
    return Case(name, "µs", [Tool(tool, float) for tool in tools])


def test_the_subject_comes_first_then_the_peers_then_what_else_is_measured():
    own = [case("a", "dualgrad", "NumPy"), case("b", "dualgrad")]
    torch = [case("a", "dualgrad", "PyTorch", "NumPy"), case("b", "dualgrad")]
    jax = [case("a", "dualgrad", "JAX", "NumPy"), case("b", "dualgrad"), case("c", "JAX")]
    found = {case.name: [tool.name for tool in case.tools] for case in merged(own, [torch, jax])}
    assert found == {"a": ["dualgrad", "PyTorch", "JAX", "NumPy"], "b": ["dualgrad"], "c": ["JAX"]}


def test_no_peer_is_asked_for_by_default():
    assert peers.load(None) == peers.Peers() and set(peers.installed()) <= set(peers.PACKAGES)
