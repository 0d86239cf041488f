"""The command that every paper shares: what it refuses, what it writes, and that a claim can fail."""
from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dualgrad import grad, jvp

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "papers"))
import counting
import frame

PAPERS = Path(frame.__file__).parent
THREE = [2.0, 3.0, 5.0]
README = "# A paper\n<!-- table -->\nold\n<!-- /table -->\nend\n"


def draw(findings, figure):
    frame.heading(figure, "A claim", "and a caption")
    for axes in frame.panels(figure, 2):
        frame.style(axes, "count", "n")
        axes.plot([1, 2], findings, color=frame.BLUE, label="measured")
        frame.legend(axes)


def run(home, *arguments, claim=True):
    """A paper that counts to three, in a folder `home`; its claim can be made to fail."""

    def experiment(quick, progress):
        return list(progress(range(2 if quick else 3), desc="counting", total=3))[-2:]

    def check(findings):
        assert claim, f"the counts are {findings}, not (3, 4)"

    table = lambda findings: frame.aligned([("n", "paper", "measured"), (1, 2, findings[-1])])
    return frame.main("A claim.", experiment, table, check, draw, str(home / "reproduce.py"), arguments)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def names(home):
    return sorted(path.name for path in home.iterdir())


def test_a_full_run_prints_its_table_and_draws(home, capsys):
    assert run(home) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("n  paper  measured\n------------------\n1      2         2\n")
    assert "The claim holds.\n" in printed.out and "counting" in printed.err
    assert (home / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (home / "README.md").read_text() == README


def test_a_quick_run_leaves_the_figure_alone(home):
    assert run(home, "--quick") == 0
    assert names(home) == ["README.md"]
    assert run(home, "--quick", "--out", str(home / "other.svg")) == 0
    assert names(home) == ["README.md", "other.svg"]


def test_readme_rewrites_the_block_and_nothing_else(home):
    for _ in range(2):
        assert run(home, "--readme") == 0
        lines = (home / "README.md").read_text().splitlines()
        assert lines[:3] == ["# A paper", "<!-- table -->", "```text"]
        assert lines[5:7] == ["1      2         2", "```"] and "s of processor time" in lines[8]
        assert lines[9:] == ["<!-- /table -->", "end"]


def test_a_claim_that_fails_ends_in_one_line_and_no_file(home, capsys):
    assert run(home, "--readme", claim=False) == 1
    assert "the claim does not hold: the counts are [1, 2], not (3, 4)\n" in capsys.readouterr().err
    assert names(home) == ["README.md"] and (home / "README.md").read_text() == README


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "figure.doc"], "--out figure.doc: the ending must be one of"),
        (["--out", "nowhere/figure.png"], "--out nowhere/figure.png: cannot be written (No such file or directory)"),
        (["--out", "folder.png"], "--out folder.png: cannot be written (Is a directory)"),
        (["--quick", "--readme"], "--readme: the README holds the table of the full run; leave out --quick"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_arguments_get_one_line_before_the_experiment(home, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(home)
    (home / "folder.png").mkdir()
    with pytest.raises(SystemExit) as stop:
        run(home, *arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2 and not printed.out
    assert message in printed.err and len(printed.err.splitlines()) == 1
    assert names(home) == ["README.md", "folder.png"]


@pytest.mark.parametrize(("text", "complaint"), [("# A paper\n", "must hold the lines"), (None, "cannot be read")])
def test_a_readme_without_a_place_for_the_table_is_refused(home, capsys, text, complaint):
    (home / "README.md").unlink()
    if text is not None:
        (home / "README.md").write_text(text)
    with pytest.raises(SystemExit) as stop:
        run(home, "--readme")
    assert stop.value.code == 2 and complaint in capsys.readouterr().err


def test_a_missing_extra_is_named_with_its_repair(home, monkeypatch, capsys):
    monkeypatch.setattr(frame.importlib.util, "find_spec", lambda name: None if name == "sklearn" else name)
    with pytest.raises(SystemExit) as stop:
        run(home)
    assert stop.value.code == 1
    assert capsys.readouterr().err.endswith(': sklearn is missing; pip install "dualgrad[demo]" brings it.\n')


def test_a_figure_appears_whole_or_not_at_all(home):
    with pytest.raises(KeyboardInterrupt), frame.whole(home / "figure.png") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert names(home) == ["README.md"]


def test_an_unknown_paper_is_named_in_one_line():
    done = subprocess.run([sys.executable, str(PAPERS), "newton_1687"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("python papers: no paper 'newton_1687'; there are") and len(done.stderr.splitlines()) == 1


# ---- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [frame, counting])
def test_the_examples_hold(module):
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed


def test_operations_of_a_derivative_are_those_written_by_hand():
    f = lambda x: np.sin(x[0]) * x[1] + x[2]
    assert counting.operations(f, THREE) == {"sin": 1, "multiply": 1, "add": 1}
    # forward as f; cos x_0, and three products: 1 times x_1, 1 times sin x_0, the first of them times cos x_0
    assert counting.operations(grad(f), THREE) == {"sin": 1, "multiply": 4, "add": 1, "cos": 1}
    # a product of tangents by the rule of Leibniz: t_0 cos x_0, then times x_1, plus sin x_0 t_1; and plus t_2
    pushed = counting.operations(lambda x, t: jvp(f, (x,), (t,)), THREE, THREE)
    assert pushed == {"sin": 1, "cos": 1, "multiply": 4, "add": 3}


def test_moves_cost_nothing():
    assert counting.total(lambda x: np.reshape(np.concatenate([x[:1], x[1:]]), (3, 1)).T, np.array(THREE)) == 0
