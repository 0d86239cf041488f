"""Every paper's claim holds in its quick version, and its README says what the script does."""
from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import matplotlib.figure
import pytest

PAPERS = Path(__file__).resolve().parents[2] / "papers"
NAMES = [path.parent.name for path in sorted(PAPERS.glob("*/reproduce.py"))]
LONGEST, LARGEST = 250, 250_000  # lines of a script to be read in one sitting; bytes of a picture
paper = pytest.mark.parametrize("name", NAMES)


def load(name):
    """The script of a paper, as a module."""
    module = f"papers_{name}"
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, PAPERS / name / "reproduce.py")
        sys.modules[module] = importlib.util.module_from_spec(spec)  # where a dataclass looks for its annotations
        spec.loader.exec_module(sys.modules[module])
    return sys.modules[module]


def quietly(iterable=None, **_):
    """A progress bar that shows nothing."""
    return iterable


def sources(name):
    """The texts of a paper's script and of what it has beside it."""
    return [path.read_text(encoding="utf-8") for path in sorted((PAPERS / name).glob("*.py"))]


def words(text):
    return set(re.findall(r"[^\W\d]\w*", text))


def symbol_table(readme):
    """The cells under `identifier`, in the first table that has such a column."""
    lines = readme.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("|") and "identifier" in line)
    column = [cell.strip() for cell in lines[start].split("|")].index("identifier")
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        yield line.split("|")[column]


@paper
def test_the_claim_holds(name, tmp_path):
    script = load(name)
    findings = script.experiment(True, quietly)
    script.check(findings)
    printed = script.table(findings)
    readme = (PAPERS / name / "README.md").read_text(encoding="utf-8")
    recorded = readme.split("<!-- table -->\n```text\n")[1].split("\n```\n")[0]
    assert printed.splitlines()[0].split() == recorded.splitlines()[0].split(), "the README's table has other columns: run --readme"
    figure = matplotlib.figure.Figure(figsize=(12.5, 4.6))
    script.draw(findings, figure)
    figure.savefig(tmp_path / "figure.svg")


@paper
def test_the_symbols_of_the_readme_are_identifiers_of_the_script(name):
    readme = (PAPERS / name / "README.md").read_text(encoding="utf-8")
    named = [part for cell in symbol_table(readme) for part in re.findall("`([^`]+)`", cell)]
    source = words("\n".join(sources(name)))
    assert named
    unknown = {part for part in named if not words(part) <= source}
    assert not unknown, f"{name}/README.md names {sorted(unknown)}, which its scripts do not have"


@paper
def test_the_script_is_short_and_says_its_claim(name):
    assert max(len(source.splitlines()) for source in sources(name)) <= LONGEST
    assert load(name).__doc__


@paper
def test_the_script_uses_the_public_api_only(name):
    inner = re.findall(r"dualgrad\.(?:core|rules|interpreters|transforms|compiler)\b.*", "\n".join(sources(name)))
    assert not inner, f"{name} reaches into {inner}"


@paper
def test_there_is_a_picture_and_the_index_shows_it(name):
    picture = PAPERS / name / "figure.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size <= LARGEST
    assert "](figure.png)" in (PAPERS / name / "README.md").read_text(encoding="utf-8")
    index = (PAPERS / "README.md").read_text(encoding="utf-8")
    assert f"]({name}/README.md)" in index and f"{name}/figure.png" in index


def test_the_index_shows_no_other_paper():
    index = (PAPERS / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(\w+)/figure\.png", index)) == set(NAMES)
