"""A solver as a black box: it computes with plain numbers, one instance at a time.

    traced arguments       arrive as their primals
    closed-over values     are their primals where the solver wants a number: float(x), np.asarray(x), compiled code
    mapped values          are taken instance by instance; the solutions are stacked
    tapes of traced values keep no records of what happens inside

What the solver itself differentiates (jac=grad(f)) is younger than the box and stays traced.  The derivatives that a box
drops are put back from the equation that its result satisfies, see newton.py.
"""
from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.blackbox import open_box, permitted
from dualgrad.core.primitive import Trace, Value
from dualgrad.core.serial import next_serial
from dualgrad.core.traced import escaped
from dualgrad.interpreters.batch import Batched, batched
from dualgrad.interpreters.tape import Tape, suspend


class Suspension:
    """A context in which the tapes of known values keep no records, and values of transforms that have returned may be used."""

    __slots__ = ("ended", "known", "resumed")

    def __init__(self, known: Iterable[Any] = ()) -> None:
        self.known = known
        self.resumed: dict[Trace, Callable[[], None]] = {}
        self.ended: list[Trace] = []

    def __enter__(self) -> Any:
        for value in self.known:
            for level in levels_of(value):
                if not level.owner.alive:  # in a pullback, when the transform that made the value has returned
                    level.owner.alive = True
                    self.ended.append(level.owner)
                self.suspend(level.owner)
        return self

    def __exit__(self, *exc: object) -> None:
        for resume in self.resumed.values():
            resume()
        for trace in self.ended:
            trace.alive = False

    def suspend(self, trace: Trace) -> None:
        if isinstance(trace, Tape) and trace not in self.resumed:
            self.resumed[trace] = suspend(trace)


class BlackBox(Suspension):
    """A suspension in which values made before it may become plain; `instance` says which one of those that are mapped.

    `met` gathers the mapped traces (and their sizes) that are not in `instance`: of those the first instance was taken.
    In a box inside another, what is older than that one is as that one sees it.
    """

    __slots__ = ("instance", "met", "outer", "serial", "token")

    def __init__(self, instance: dict[Trace, int], known: Iterable[Any] = ()) -> None:
        super().__init__(known)
        self.instance, self.serial = instance, next_serial()
        self.met: dict[Trace, int] = {}
        self.outer = open_box.get()

    def __enter__(self) -> Any:
        super().__enter__()
        self.token = open_box.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        open_box.reset(self.token)
        super().__exit__(*exc)

    def primal(self, value: Value) -> Any:
        """The primal of a value, or None if the value is younger than the box."""
        return self.plain(value) if value.owner.serial < self.serial else None

    def plain(self, value: Any) -> Any:
        """A value without its derivatives, of this instance, owned by the caller; what is not traced is returned as it is."""
        if not isinstance(value, Value):
            return value
        for level in levels_of(value):
            self.suspend(level.owner)
        index: list[int] = []
        while isinstance(value, Value):
            if not value.owner.alive:
                raise escaped(value)
            if type(value) is Batched:
                index.insert(0, self.index(value))  # the axes of older traces lead
            value = value.value
        return np.array(value[tuple(index)])[()]

    def index(self, mapped: Batched) -> int:
        """Which instance of a mapped value is looked at."""
        trace = mapped.owner
        if self.outer is not None and trace.serial < self.outer.serial:
            return self.outer.index(mapped)
        if trace not in self.instance:
            self.met[trace] = mapped.value.shape[0]
        return self.instance.get(trace, 0)


def run(solve: Callable, operands: tuple, known: list[Value], mapped: dict[Trace, int] | None = None) -> tuple[Any, Any]:
    """(x, extra) = solve(*operands) in a black box, the leaves of the tree x owned by the caller.

    Where operands, or values closed over, are mapped, solve is called for every instance: the leaves of x are mapped too, and
    extra is a list over the instances.  `known` are traced values that will be met, `mapped` are mapped traces.
    """
    if mapped is None:
        mapped = {trace: size for v in (*tree.leaves(operands), *known) for trace, size in mapped_traces(v).items()}
    traces = sorted(mapped, key=lambda trace: trace.serial)
    sizes = [mapped[trace] for trace in traces]
    if 0 in sizes:
        raise errors.ArgumentError(f"a solver cannot be mapped over an axis of length 0{errors.user_line()}.")
    columns, extras = [], []
    for instance in itertools.product(*map(range, sizes)):
        with BlackBox(dict(zip(traces, instance, strict=True)), known) as box:
            x, extra = solve(*tree.map(box.plain, operands))
            leaves, structure = tree.flatten(x)
            columns.append([_owned(box.plain(leaf)) for leaf in leaves])
            extras.append(extra)
        if box.met:  # mapped values that no closure had shown
            return run(solve, operands, known, mapped | box.met)
    if not traces:
        return tree.unflatten(structure, columns[0]), extras[0]
    return tree.unflatten(structure, [_mapped(column, traces, sizes) for column in zip(*columns, strict=True)]), extras


def _owned(leaf: Any) -> Any:
    return np.array(leaf)[()] if tree.is_differentiable(leaf) else leaf


def _mapped(column: tuple, traces: list[Trace], sizes: list[int]) -> Any:
    """The values of one leaf for all instances as one mapped value; what is not a number is that of the first."""
    if not all(isinstance(x, np.ndarray | np.generic | int) for x in column):
        return column[0]
    value: Any = np.reshape(np.stack(column), (*sizes, *np.shape(column[0])))
    for trace in traces:
        value = batched(trace, value)
    return value


def as_seen(arguments: Any) -> Any:
    """Trees as the box that is open sees them, if one is: with the primals of older values."""

    def seen(leaf: Any) -> Any:
        primal = permitted(leaf) if isinstance(leaf, Value) else None
        return leaf if primal is None else primal

    return tree.map(seen, arguments)


# ---- what a value is made of, by traces younger than the box that is open ---------------------------------------------


def _since() -> float:
    box = open_box.get()
    return 0.0 if box is None else box.serial


def levels_of(value: Any) -> list[Value]:
    """A value and everything it is made of, level by level."""
    if not isinstance(value, Value):
        return []
    order = getattr(value.owner, "order", None)  # of a power series, whose coefficients are computed when asked for
    parts = value.parts() if order is None else [value.coefficients[m] for m in range(order + 1)]
    return [value, *(level for part in parts for level in levels_of(part))]


def mapped_traces(value: Any) -> dict[Trace, int]:
    """The traces over which the primal of a value is mapped, and the number of their instances."""
    found, since = {}, _since()
    while isinstance(value, Value):
        if type(value) is Batched and value.owner.serial > since:
            found[value.owner] = value.value.shape[0]
        value = value.value
    return found


def order_of(value: Any) -> int:
    """How many orders of derivatives a value carries: the sum over its traces, 1 for a dual number or a tape."""
    since = _since()
    orders = {
        level.owner: getattr(level.owner, "order", 1)
        for level in levels_of(value)
        if type(level) is not Batched and getattr(level, "tangent", level) is not None and level.owner.serial > since
    }
    return sum(orders.values())


def closed_over(*functions: Any) -> list[Value]:
    """Traced values in the closures of functions, and of the functions in those.

    Only to know them early: what is hidden deeper (in an object, in a global) is found when the solver asks for its number.
    """
    found: list[Value] = []
    pending, seen = list(functions), set()
    while pending:
        function = pending.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        contents = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if _is_bound(cell)]
        if isinstance(function, functools.partial):
            contents += [function.func, *function.args, *function.keywords.values()]
        for leaf in tree.leaves(contents):
            if isinstance(leaf, Value):
                found.append(leaf)
            elif callable(leaf):
                pending.append(leaf)
    return found


def _is_bound(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
