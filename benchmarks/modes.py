"""Forward or reverse?  Every way to a Jacobian and to a Hessian, over families of functions f: R^n -> R^m.

    jacobian      mode forward, reverse and auto, n and m from 1 to 1000
    hessian       the four nestings, n from 1 to 300
    looped        a Python loop over unit vectors, against one mapped sweep
    chunked       the basis of a sweep cut in chunks: time and peak memory
    checkpoint    a gradient that stores everything, or recomputes: time and peak memory

Families differ in what an operation costs: matrix products on vectors of a fixed width (shallow and wide, deep and narrow), passes
over fields as long as the longer side, or a recurrence of single numbers, which is all dispatch.
"""
from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import modes_figure
import numpy as np
from measure import Case, Peak, Result, Tool, single, timed
from peers import Peers

import dualgrad

GRID = (1, 3, 10, 32, 100, 316, 1000)
TIE = 1.1  # two modes within 10 % of each other are equal: repeated runs change their order
NESTINGS = ("forward-reverse", "reverse-reverse", "reverse-forward", "forward-forward")


def modes(peers: Peers, quick: bool = False) -> list[Case]:
    """The cases of this suite; `quick` takes every second size."""
    sizes = GRID[::2] if quick else GRID
    return [
        *(_jacobian(family, n, m) for family in FAMILIES for n in sizes for m in sizes),
        *(_hessian(name, f, n) for name, f in SCALARS.items() for n in (2, 10, 30, 100, 300)[:: 2 if quick else 1]),
        *(_looped(n) for n in (1, 10, 100, 1000)[: 3 if quick else 4]),
        *_chunked(500 if quick else 1000),
        *_checkpointed(),
    ]


# ---- families R^n -> R^m -------------------------------------------------------------------------------------------


def layers(n: int, m: int, width: int, depth: int) -> Callable:
    """A network n - width - ... - width - m with tanh."""
    rng = np.random.default_rng(0)
    sizes = [n, *[width] * depth, m]
    *hidden, last = [rng.normal(size=(after, before)) / np.sqrt(before) for before, after in itertools.pairwise(sizes)]

    def f(x: Any) -> Any:
        for weight in hidden:
            x = np.tanh(weight @ x)
        return last @ x

    return f


def fields(n: int, m: int, depth: int) -> Callable:
    """A field of max(n, m) points, `depth` times y <- y sin y + 1/2, gathered by sums into m."""
    size = max(n, m)
    points = np.arange(size) % n
    ends = np.arange(1, m + 1) * size // m - 1

    def f(x: Any) -> Any:
        y = x[points]
        for _ in range(depth):
            y = np.sin(y) * y + 0.5
        return np.diff(np.cumsum(y)[ends], prepend=0.0)

    return f


def recurrence(n: int, m: int, steps: int) -> Callable:
    """s <- x_k sin s with single numbers, and m multiples of the last one."""
    scales = np.linspace(0.5, 1.5, m)

    def f(x: Any) -> Any:
        s = x[0]
        for k in range(steps):
            s = np.sin(s) * x[k % n]
        return scales * s

    return f


#: Name -> what makes f of (n, m).
FAMILIES: dict[str, Callable[[int, int], Callable]] = {
    "network, 2 layers of 64": functools.partial(layers, width=64, depth=2),
    "network, 16 layers of 16": functools.partial(layers, width=16, depth=16),
    "field, 4 steps": functools.partial(fields, depth=4),
    "recurrence, 30 steps": functools.partial(recurrence, steps=30),
}


def _point(n: int) -> Any:
    return 0.5 + np.random.default_rng(1).random(n)


def _jacobian(family: str, n: int, m: int) -> Case:
    f, x = FAMILIES[family](n, m), _point(n)
    picked = choice(f, x)
    ways = {name: dualgrad.jacobian(f, mode=name) for name in ("auto", "forward", "reverse")}
    tools = [timed(name, functools.partial(way, x), single) for name, way in ways.items()]
    tags = {"what": "jacobian", "family": family, "n": n, "m": m, "picked": picked}
    return Case(f"Jacobian, {family}, {n} → {m}", "µs", tools, rounds=15, seconds=2.5, tags=tags)


def choice(f: Callable, x: Any) -> str:
    """Which mode "auto" takes once it knows m, seen from inside f: is it evaluated on a dual number?

    >>> choice(lambda x: x[:1], np.ones(3)), choice(lambda x: x * np.ones(1000), np.ones(1))
    ('reverse', 'forward')
    """
    seen = []

    def watched(x: Any) -> Any:
        seen.append(type(x))
        return f(x)

    way = dualgrad.jacobian(watched, mode="auto")
    way(x)
    seen.clear()
    way(x)
    return "forward" if dualgrad.Dual in seen else "reverse"


# ---- Hessians ------------------------------------------------------------------------------------------------------


def _rosenbrock(n: int) -> Callable:
    return lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _network(n: int) -> Callable:
    f = layers(n, 1, 32, 2)
    return lambda x: np.sum(f(x) ** 2)


SCALARS = {"Rosenbrock": _rosenbrock, "network, 2 layers of 32": _network}


def _hessian(family: str, make: Callable, n: int) -> Case:
    f, x = make(n), _point(n)
    names = ("auto", *NESTINGS) if n <= 100 else ("auto", *NESTINGS[:-1])  # n^2 pairs of directions: 216 MB a value at n = 300
    tools = [timed(name, functools.partial(dualgrad.hessian(f, mode=name), x), single) for name in names]
    tags = {"what": "hessian", "family": family, "n": n}
    return Case(f"Hessian, {family}, n = {n}", "µs", tools, rounds=15, seconds=4, tags=tags)


# ---- loops, chunks, checkpoints ------------------------------------------------------------------------------------


def _looped(n: int) -> Case:
    f, x = layers(n, n, 64, 2), _point(n)
    basis = np.eye(n)

    def rows() -> Any:
        _, pull = dualgrad.vjp(f, x)
        return np.stack([np.asarray(pull(e)).reshape(n) for e in basis])

    def columns() -> Any:
        return np.stack([dualgrad.jvp(f, (x,), (e,))[1] for e in basis], axis=1)

    ways: dict[str, Callable[[], Any]] = {
        "one mapped sweep, reverse": functools.partial(dualgrad.jacobian(f, mode="reverse"), x),
        "one mapped sweep, forward": functools.partial(dualgrad.jacobian(f, mode="forward"), x),
        "a loop of pullbacks": rows,
        "a loop of pushforwards": columns,
    }
    tools = [timed(name, run, single) for name, run in ways.items()]
    return Case(f"mapped or looped, Jacobian {n} → {n}", "µs", tools, rounds=15, seconds=3, tags={"what": "looped", "n": n})


def _chunked(n: int) -> list[Case]:
    f, x = layers(n, n, 256, 4), _point(n)
    sizes = (n, 256, 64, 16)
    ways = [(_chunk_name(k, n), functools.partial(dualgrad.jacobian(f, mode="reverse", chunk_size=k), x)) for k in sizes]
    tags = {"what": "chunked"}
    return [
        Case(f"chunks, Jacobian {n} → {n}", "µs", [timed(*way, single) for way in ways], rounds=15, seconds=6, tags=tags),
        Case(f"chunks, Jacobian {n} → {n}, peak memory", "MB", [Tool(name, Peak(run)) for name, run in ways], rounds=1, tags=tags),
    ]


def _chunk_name(size: int, n: int) -> str:
    return "all at once" if size == n else f"{size} at a time"


def _checkpointed() -> list[Case]:
    size, blocks = 20_000, 64
    x = np.linspace(0.1, 1.0, size)

    def block(y: Any) -> Any:
        return np.tanh(np.sin(y) * y + 0.5)

    def chain(every: int) -> Callable:
        """The sum of `blocks` blocks, of which so many together are a checkpoint; 0: none."""

        def several(y: Any) -> Any:
            for _ in range(every):
                y = block(y)
            return y

        def f(x: Any) -> Any:
            for _ in range(blocks // every if every else blocks):
                x = dualgrad.checkpoint(several)(x) if every else block(x)
            return np.sum(x)

        return f

    names = {0: "all stored", 1: "every block", 2: "every 2", 8: "every 8"}
    ways = [(name, functools.partial(dualgrad.grad(chain(every)), x)) for every, name in names.items()]
    case, tags = f"checkpoints, gradient of {blocks} blocks", {"what": "checkpoint"}
    return [
        Case(case, "µs", [timed(*way, single) for way in ways], rounds=15, seconds=5, tags=tags),
        Case(f"{case}, peak memory", "MB", [Tool(name, Peak(run)) for name, run in ways], rounds=1, tags=tags),
    ]


# ---- what came of it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """How `mode="auto"` did on one function: its pick, the measured winner, and its time over the winner's."""

    family: str
    n: int
    m: int
    picked: str
    winner: str
    tie: bool  # the two modes are within 10 % of each other, or 95 % of their ratio has 1 in it: there is no winner
    cost: float  # auto over the quicker mode
    slow: bool  # is 95 % of that above 1.3?

    @property
    def right(self) -> bool:
        return self.tie or self.picked == self.winner


def choices(results: Sequence[Result]) -> list[Choice]:
    """One for each Jacobian."""
    found = []
    for result in of(results, "jacobian"):
        tags = result.case.tags
        winner = min(("forward", "reverse"), key=result.median)
        ratio = result.between("forward", "reverse")
        tie = ratio.low <= 1 <= ratio.high or 1 / TIE < ratio.value < TIE
        cost = result.between("auto", winner)
        found.append(Choice(tags["family"], tags["n"], tags["m"], tags["picked"], winner, tie, cost.value, cost.low > 1.3))
    return found


def of(results: Sequence[Result], what: str) -> list[Result]:
    """The results of one kind."""
    return [result for result in results if result.case.tags.get("what") == what]


def summary(results: Sequence[Result]) -> str:
    """The heat maps in letters, and how "auto" did."""
    lines = []
    found = choices(results)
    for family in dict.fromkeys(choice.family for choice in found):
        lines += [f"Jacobian, {family}: f forward wins, r reverse wins, capital where \"auto\" picked the other, = a tie", ""]
        lines += [*_letters([choice for choice in found if choice.family == family]), ""]
    if found:
        lines += [verdict(found), ""]
    for result in of(results, "hessian"):
        best = min(result.samples.keys() - {"auto"}, key=result.median)
        cost = result.median("auto") / result.median(best)
        lines.append(f"{result.case.name}: {best} wins, auto took {cost:.2f} × its time.")
    return "\n".join(lines)


def verdict(found: Sequence[Choice]) -> str:
    """How often auto was right, and how far off at worst."""
    right, worst = sum(choice.right for choice in found), max(found, key=lambda choice: choice.cost)
    within = sum(choice.cost <= 1.3 for choice in found)
    return (
        f'mode="auto" picked the measured winner in {right} of {len(found)} cases ({right / len(found):.1%}; '
        f"{sum(choice.tie for choice in found)} of them are ties, within 10 %).\n"
        f"Its time was within 1.3 × the winner's in {within} ({within / len(found):.1%}); of the others "
        f"{sum(choice.slow for choice in found)} are beyond doubt (95 % of the ratio above 1.3).\n"
        f"At worst it was {worst.cost:.2f} ×, on the {worst.family}, {worst.n} → {worst.m}."
    )


def _letters(found: Sequence[Choice]) -> list[str]:
    ns, ms = sorted({choice.n for choice in found}), sorted({choice.m for choice in found})
    by_size = {(choice.n, choice.m): choice for choice in found}
    lines = ["    m = " + "".join(f"{m:>6}" for m in ms)]
    for n in ns:
        lines.append(f"n = {n:>4}" + "".join(f"{_letter(by_size[n, m]):>6}" for m in ms))
    return lines


def _letter(choice: Choice) -> str:
    return "=" if choice.tie else choice.winner[0] if choice.right else choice.winner[0].upper()


def draw(figure_type: Callable[..., Any], path: Any, results: Sequence[Result], about: Sequence[str]) -> None:
    """The figure of the README."""
    modes_figure.draw(figure_type, path, results, choices(results), about)
