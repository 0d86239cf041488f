"""What every paper's `reproduce.py` shares: the command, the look of tables and figures, and how files are written.

    python papers/NAME/reproduce.py [--quick] [--out PATH] [--readme]

A paper is five things: its docstring (the claim), and the functions

    experiment(quick, progress) -> findings     all the work; progress(iterable, desc=..., total=...) is tqdm
    table(findings) -> str                      published numbers beside measured ones
    check(findings)                             raises AssertionError, with a sentence, where the claim does not hold
    draw(findings, figure)                      onto a matplotlib Figure, which needs no display

`main` runs them in this order.  What can be refused is refused before the experiment, in one line, with exit status 2; a claim that
does not hold ends in one line, status 1, and no file; files appear whole or not at all.
"""
from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

INK, MUTED, PALE = "#22313f", "#6b7885", "#e3e8ec"
BLUE, ORANGE, PURPLE = "#1b7f9c", "#e07a3f", "#7a5195"
GREEN, RED = "#2f9e6e", "#c0392b"
COLOURS = (BLUE, ORANGE, PURPLE, GREEN, MUTED)

SIZE, DPI = (12.5, 4.6), 130  # of a figure, in inches and dots; a paper may call figure.set_size_inches
BEGIN, END = "<!-- table -->", "<!-- /table -->"  # what --readme rewrites stands between them


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def main(
    description: str | None,
    experiment: Callable[[bool, Any], Any],
    table: Callable[[Any], str],
    check: Callable[[Any], None],
    draw: Callable[[Any, Any], None],
    file: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a paper from the command line; the exit status: 0, 1 if the claim does not hold, 2 for bad arguments."""
    home = Path(file).resolve().parent
    plain = argparse.RawDescriptionHelpFormatter  # the claim has lines of its own
    parser = Parser(prog=f"papers/{home.name}", description=description, formatter_class=plain, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="the short version that the tests run; no figure without --out")
    parser.add_argument("--out", type=Path, metavar="PATH", help="where the figure goes (default: figure.png beside the script)")
    parser.add_argument("--readme", action="store_true", help="write the table into the paper's README.md, too")
    options = parser.parse_args(arguments)
    if options.quick and options.readme:
        parser.error("--readme: the README holds the table of the full run; leave out --quick")
    picture = options.out or (None if options.quick else home / "figure.png")
    progress, figure_type = _extras(parser)
    if picture is not None:
        _check_picture(parser, figure_type, picture)
    if options.readme:
        _readable_readme(parser, home / "README.md")

    cpu = time.process_time()
    findings = experiment(options.quick, progress)
    printed = table(findings)
    about = f"{time.process_time() - cpu:.0f} s of processor time; {machine()}"
    print(f"{printed}\n\n{about}", flush=True)
    try:
        check(findings)
    except AssertionError as problem:
        print(f"{parser.prog}: the claim does not hold: {problem}", file=sys.stderr)
        return 1
    print("The claim holds.")
    if picture is not None:
        figure = figure_type(figsize=SIZE, dpi=DPI, facecolor="white")
        draw(findings, figure)
        with whole(picture) as part:
            figure.savefig(part, format=picture.suffix[1:].lower())
        print(f"written: {picture}")
    if options.readme:
        with whole(home / "README.md") as part:
            text = _readable_readme(parser, home / "README.md")  # again: it may have been edited meanwhile
            part.write_text(with_table(text, printed, about), encoding="utf-8")
        print(f"written: {home / 'README.md'}")
    return 0


def _extras(parser: Parser) -> tuple[Any, Any]:
    """tqdm's progress bar, on stderr, and matplotlib's Figure; or one line saying how to get what is missing."""
    for name in ("matplotlib", "sklearn", "tqdm"):
        if importlib.util.find_spec(name) is None:
            parser.exit(1, f'{parser.prog}: {name} is missing; pip install "dualgrad[demo]" brings it.\n')
    from matplotlib.figure import Figure
    from tqdm import tqdm

    return tqdm, Figure


def _check_picture(parser: Parser, figure_type: Any, path: Path) -> None:
    formats = figure_type().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        parser.error(f"--out {path}: the ending must be one of {', '.join(sorted(formats))}")
    _check_writable(parser, f"--out {path}", path)


def _check_writable(parser: Parser, name: str, path: Path) -> None:
    """Can a file take this place?  Found out by writing one beside it that leaves no trace."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as problem:
        parser.error(f"{name}: cannot be written ({problem.strerror})")


def _readable_readme(parser: Parser, path: Path) -> str:
    """The README's text, which must have one place for the table."""
    _check_writable(parser, f"--readme: {path.name}", path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        parser.error(f"--readme: {path.name} cannot be read ({problem.strerror})")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        parser.error(f"--readme: {path.name} must hold the lines {BEGIN} and {END} once each")
    return text


def with_table(text: str, printed: str, about: str) -> str:
    """A README with this table between its two marks.

    >>> with_table("a\\n<!-- table -->\\nold\\n<!-- /table -->\\nb\\n", "n  1", "5 s").splitlines()
    ['a', '<!-- table -->', '```text', 'n  1', '```', '', '5 s', '<!-- /table -->', 'b']
    """
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n```text\n{printed}\n```\n\n{about}\n{END}{rest.split(END)[1]}"


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when all has been written, and vanishes if that fails."""
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def machine() -> str:
    """What this ran on, in one line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy"))
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# ---- the look ------------------------------------------------------------------------------------------------------


def aligned(rows: Sequence[Sequence[object]]) -> str:
    """Rows of cells as text in columns, a rule under the first row; the first column is flush left, the others flush right.

    >>> print(aligned([("n", "paper", "measured"), (10, "<= 5", 3.5)]))
    n   paper  measured
    -------------------
    10   <= 5       3.5
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def heading(figure: Any, title: str, caption: str) -> None:
    """The claim over the figure, and one line under it.  Leave the axes the figure's lower 80 %."""
    inch = 1 / figure.get_size_inches()[1]
    figure.text(0.03, 1 - 0.36 * inch, title, size=16, weight="bold", color=INK, va="center")
    figure.text(0.03, 1 - 0.68 * inch, caption, size=10, color=MUTED, va="center")


def panels(figure: Any, count: int, **ratios: Any) -> list[Any]:
    """So many axes side by side, under the heading."""
    height = figure.get_size_inches()[1]
    grid = figure.add_gridspec(1, count, left=0.06, right=0.975, top=1 - 1.25 / height, bottom=0.6 / height, wspace=0.25, **ratios)
    return [figure.add_subplot(cell) for cell in grid]


def style(axes: Any, title: str, xlabel: str = "") -> None:
    """A quiet frame: what is shown, and its unit, as title at the left; no box; a faint grid."""
    axes.set_title(title, loc="left", size=11.5, weight="bold", color=INK, pad=10)
    axes.set_xlabel(xlabel, size=9.5, color=MUTED)
    axes.tick_params(colors=MUTED, labelsize=9, length=0, which="both")
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(PALE)


def legend(axes: Any, **options: Any) -> None:
    """Names in the colours of their lines."""
    axes.legend(frameon=False, fontsize=9.5, labelcolor="linecolor", handlelength=1.2, **options)
