"""The problems of ADBench, measured: `adbench(peers, data)` gives a case for each problem and size.

Šrajer, Kukelová, Fitzgibbon, "A benchmark of selected algorithmic differentiation tools on some problems in computer vision and
machine learning" (2018).  Their measure is derivative time / objective time; `table` gives it for every size and tool.

    gmm.py    gradient of a Gaussian mixture's log posterior        reverse mode, large arrays
    ba.py     sparse Jacobian of bundle adjustment                  blocks of all observations at once, to CSR
    hand.py   Jacobian of hand tracking, 3N x 26 or 28              forward mode, compressed columns, small matrices
    lstm.py   gradient of an LSTM's loss                            reverse mode, a long chain of small operations
    data.py   their instances: the original text files, or generated with a fixed seed at the same sizes

The objective is one function of plain NumPy for each problem; HIPS autograd and JAX run the same lines with their own NumPy,
PyTorch (and JAX where it has a scan) a twin written as its users would.  "NumPy, by hand" is the derivative without a tool.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measure import Case, Result
from peers import HIPS, Peers

from adbench import ba, data, gmm, hand, lstm
from adbench.data import DataError

__all__ = ["DataError", "adbench", "table"]

OBJECTIVE = "NumPy, objective"


class Size(NamedTuple):
    """A problem at one size: what the paper calls it, how to read it, how to make it."""

    module: Any
    name: str
    file: str
    read: Callable[[Path], Any]
    make: Callable[[], Any]
    slow: tuple[str, ...] = ()  # tools that would take a minute a call, and are left out


def _gmm(dimension: int, components: int, count: str, points: int) -> Size:
    name, file = f"GMM {count} d{dimension} K{components}", f"gmm/{count}/gmm_d{dimension}_K{components}.txt"
    return Size(gmm, name, file, data.read_gmm, functools.partial(data.make_gmm, dimension, components, points))


def _ba(number: int, n: int, m: int, p: int) -> Size:
    file = f"ba/ba{number}_n{n}_m{m}_p{p}.txt"
    return Size(ba, f"BA {number}, {p} observations", file, data.read_ba, functools.partial(data.make_ba, n, m, p))


def _hand(kind: str, number: int, count: int) -> Size:
    complicated = kind == "complicated"
    read, make = functools.partial(data.read_hand, complicated=complicated), functools.partial(data.make_hand, count, complicated)
    return Size(hand, f"HAND {kind} c{count}", f"hand/{kind}_small/hand{number}_t26_c{count}.txt", read, make)


def _lstm(layers: int, count: int, slow: tuple[str, ...] = ()) -> Size:
    file = f"lstm/lstm_l{layers}_c{count}.txt"
    return Size(lstm, f"LSTM l{layers} c{count}", file, data.read_lstm, functools.partial(data.make_lstm, layers, count), slow)


SIZES = [
    _gmm(10, 25, "1k", 1_000), _gmm(32, 50, "1k", 1_000), _gmm(10, 25, "10k", 10_000), _gmm(32, 50, "10k", 10_000),
    _ba(1, 49, 7_776, 31_843), _ba(4, 372, 47_423, 204_472), _ba(8, 88, 64_298, 383_937),
    _hand("simple", 1, 100), _hand("simple", 7, 3_200), _hand("complicated", 1, 100), _hand("complicated", 7, 3_200),
    _lstm(2, 1_024), _lstm(4, 4_096, slow=(HIPS,)),
]  # fmt: skip


def adbench(peers: Peers, data: str | Path | None = None, quick: bool = False) -> list[Case]:
    """A case for every size, or only for the smallest of each problem; with a folder of original files, for those found there.

    Raises DataError, which names the file and the line that does not fit.
    """
    sizes = list({size.module: size for size in reversed(SIZES)}.values())[::-1] if quick else SIZES
    return [_case(peers, size, problem) for size, problem in instances(sizes, data)]


def instances(sizes: Sequence[Size], folder: str | Path | None) -> Iterator[tuple[Size, Any]]:
    """The sizes with their problems, read or made."""
    if folder is None:
        yield from ((size, size.make()) for size in sizes)
        return
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder")
    present = [size for size in sizes if (folder / size.file).exists()]
    if not present:
        raise DataError(f"{folder}: holds no file of this benchmark, such as {sizes[0].file}")
    yield from ((size, size.read(folder / size.file)) for size in present)


def _case(peers: Peers, size: Size, problem: Any) -> Case:
    tools = [tool for tool in size.module.tools(peers, problem) if tool.name not in size.slow]
    targets = {name: limit for name, limit in size.module.TARGETS.items() if name not in size.slow}
    return Case(size.name, "µs", tools, targets, seconds=60.0, note=size.module.NOTE, tags={"objective": OBJECTIVE})


def table(results: Sequence[Result]) -> str:
    """Derivative time / objective time, per size and tool: the tool's own objective where it has one, else NumPy's."""
    lines = [f"{name:28}  {tool:26} {ratio:10.2f}" for name, tool, ratio in ratios(results)]
    return "\n".join([f"{'derivative time / objective time':>67}", *lines])


def ratios(results: Sequence[Result]) -> Iterator[tuple[str, str, float]]:
    """(size, tool, derivative time / objective time) for every derivative measured."""
    for result in results:
        for tool in result.samples:
            if not tool.endswith(", objective"):
                own = f"{tool}, objective"
                yield result.case.name, tool, result.median(tool) / result.median(own if own in result.samples else OBJECTIVE)
