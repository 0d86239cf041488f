"""What the table, the JSON file, the figure and RESULTS.md say of given samples, and that a file appears whole or not at all."""

from __future__ import annotations

import json

import matplotlib.figure
import numpy as np
import pytest
from measure import Case, Result, Tool
from plot import draw
from report import as_json, check_writable, quantity, table, verdict, whole
from results import as_markdown, rivals
from suites import Suite


def result(case=None, **samples):
    """A result of given samples; the subject is `dualgrad`."""
    tools = [Tool(name.replace("_", " "), lambda: 0.0) for name in samples]
    case = case or Case("a gradient", "µs", tools, {"slow": 0.6, "quick": 1.0, "absent": 0.5}, note="It is compiled.")
    values = {tool.name: np.array(values) for tool, values in zip(tools, samples.values(), strict=True)}
    return Result(case, values, {"slow": 2e6})


RACE = result(dualgrad=[10.0, 12.0, 11.0], slow=[20.0, 22.0, 24.0], quick=[5.0, 5.5, 4.5], plain=[1.0, 1.0, 1.0])
STARTUP = Case("import", "ms", [Tool("with", lambda: 0.0), Tool("without", lambda: 0.0)], {"without": 60.0}, difference=True)
BUDGET = Result(STARTUP, {"with": np.array([150.0, 160.0, 155.0]), "without": np.array([120.0, 125.0, 121.0])})
ALONE = Result(Case("alone", "µs", [Tool("dualgrad", float)]), {"dualgrad": np.array([3.0, 4.0])})

ABOUT = {
    "quick": False,
    "peers": ["PyTorch"],
    "data": "generated",
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 600,
    "machine": {"processor": "A processor", "cores": 2, "python": "3.11"},
    "calibration": {"median": 4.0, "spread": 0.1},
}

TABLE = """
case        tool             median    least  first call  subject against it              target  reached
---------------------------------------------------------------------------------------------------------

a gradient  dualgrad *      11.0 µs  10.0 µs
            slow            22.0 µs  20.0 µs      2.00 s  × 0.500  (0.458 to 0.545)        ≤ 0.6  yes
            quick           5.00 µs  4.50 µs              × 2.20  (2.00 to 2.44)          ≤ 1  NO
            plain           1.00 µs  1.00 µs              × 11.0  (10.0 to 12.0)
            absent                                        not measured                    ≤ 0.5

import      with *           155 ms   150 ms
            without          121 ms   120 ms              +34.0 ms  (30.0 to 35.0)     ≤ 60 ms  yes
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
    assert verdict([ALONE]) == "No targets among these cases."


def test_quantities_take_the_unit_that_suits_them():
    assert [quantity(x, "µs") for x in (0.01, 999.0, 1000.0, 2e6)] == ["0.010 µs", "999 µs", "1.00 ms", "2.00 s"]
    assert quantity(1400.0, "ms") == "1.40 s"
    assert quantity(2000.0, "MB") == "2000 MB" and quantity(-3.0, "ms", sign=True) == "-3.00 ms"


def test_the_file_holds_every_sample():
    found = json.loads(as_json(ABOUT, {"races": [RACE], "start": [BUDGET]}))
    (race,), (budget,) = found["suites"]["races"], found["suites"]["start"]
    assert found["data"] == "generated" and race["subject"] == "dualgrad"
    assert race["tools"]["slow"]["samples"] == [20.0, 22.0, 24.0] and race["tools"]["slow"]["first"] == 2e6
    assert race["tools"]["slow"]["ratio"] == 0.5 and race["tools"]["slow"]["reached"] is True
    assert race["tools"]["plain"]["target"] is None and race["tools"]["quick"]["reached"] is False
    assert budget["tools"]["without"]["difference"] == 34.0


@pytest.mark.parametrize("results", [[RACE, BUDGET], [RACE], [BUDGET], [ALONE]])
def test_the_plot_is_drawn_without_warnings(tmp_path, results):
    path = tmp_path / "plot.svg"
    draw(matplotlib.figure.Figure, path, results, ["somewhere", "something"])
    assert path.read_text(encoding="utf-8").lstrip().startswith("<?xml")


# ---- RESULTS.md ---------------------------------------------------------------------------------------------------


def test_the_page_says_where_dualgrad_wins_where_it_loses_and_why():
    page = as_markdown({"races": Suite("What it costs.", "x:x"), "start": Suite("To start.", "x:x")},
                       {"races": [RACE], "start": [BUDGET]}, ABOUT, {})  # fmt: skip
    assert "- On A processor, cores 2." in page and "2026-01-02, 10 minutes." in page
    assert "| slow | 1 | 1 | 0 | 0 | × 0.500 |" in page and "| quick | 1 | 0 | 0 | 1 | × 2.20 |" in page
    assert "- **a gradient**: quick × 2.20, plain × 11.0. It is compiled." in page
    assert "Targets: 2 of 4 reached." in page and "- missed: a gradient, against quick" in page
    assert "- not measured: a gradient, against absent, target ≤ 0.5." in page
    assert "## races\n\nWhat it costs." in page and "| a gradient | dualgrad | 11.0 µs |  |  |  |" in page
    assert "| slow | 22.0 µs | 2.00 s | × 0.500  (0.458 to 0.545) | ≤ 0.6, reached |" in page


def test_the_function_itself_is_no_rival():
    race = result(dualgrad=[2.0, 2.0], **{"PyTorch, objective": [1.0, 1.0], "PyTorch": [4.0, 4.0]})
    assert rivals(race) == ["PyTorch"]


def test_a_page_of_dualgrad_alone_says_so_and_shows_the_figures():
    page = as_markdown({"own": Suite("Alone.", "x:x")}, {"own": [ALONE]}, ABOUT | {"quick": True}, {"own": "own.png"})
    assert "Measured alone" in page and "![own](own.png)" in page and "--quick: a look" in page


# ---- files --------------------------------------------------------------------------------------------------------


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
