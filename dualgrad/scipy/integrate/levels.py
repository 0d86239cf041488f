"""What a traced value is made of, level by level, and one plain array that holds all of it.

SciPy's solvers know arrays only.  `primal` takes derivatives off, `silent` makes of a function of traced values one of their
primals that leaves nothing on a tape, and a `Packing` lays the components of a value side by side:

    x = x_0 + x_1 e   ->   [x_0, x_1]                a dual number: primal and tangent
    x mapped by vmap  ->   [x_0, ..., x_(B-1)]       all instances
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dualgrad import tree
from dualgrad.core.primitive import Trace, Value
from dualgrad.interpreters.batch import Batched, batched
from dualgrad.interpreters.dual import dual
from dualgrad.interpreters.tape import Tape, suspend

Levels = dict[Trace, int | None]  # the number of instances of a mapped level, None for one that differentiates


def levels(values: Any) -> Levels:
    """The transforms that the leaves of a tree belong to."""
    return {v.owner: v.value.shape[0] if isinstance(v, Batched) else None for leaf in tree.leaves(values) for v in parts(leaf)}


def parts(value: Any) -> Iterator[Value]:
    """A traced value and everything traced that it is made of, tangents too."""
    if isinstance(value, Value):
        yield value
        for part in value.parts():
            yield from parts(part)


def order(*values: Any) -> int:
    """How many times the leaves of these trees are differentiated (a Taylor expansion knows its own order)."""
    return sum(getattr(trace, "order", 1) for trace, size in levels(values).items() if size is None)


def primal(value: Any) -> Any:
    """A value without its derivatives; what is mapped stays mapped."""
    if isinstance(value, Batched):
        return batched(value.owner, primal(value.value))
    return primal(value.value) if isinstance(value, Value) else value


def primals(values: Any) -> Any:
    """The same for a tree."""
    return tree.map(primal, values)


def silent(f: Callable) -> Callable:
    """The primal of f, whose operations on values that it closes over are not recorded.

    Their tapes are known once f has returned something of them: the records of the first call stay.
    """
    tapes: dict[Tape, None] = {}

    def quiet(*args: Any) -> Any:
        resume = [suspend(tape) for tape in tapes if tape.alive]
        try:
            out = f(*args)
        finally:
            for resumed in resume:
                resumed()
        tapes.update({trace: None for trace in levels(out) if isinstance(trace, Tape)})
        return primals(out)

    return quiet


class NewLevel(Exception):
    """A value belongs to a transform that a packing does not know."""

    def __init__(self, value: Any) -> None:
        self.levels = levels(value)


class Packing:
    """Plain arrays that hold all components of values of these levels, outermost first, and back.

    A value of shape (...) becomes an array of shape (*lead, ...), with an axis of length 2 for a level of dual numbers.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = sorted(levels.items(), key=lambda item: item[0].serial)
        self.lead = tuple(2 if size is None else size for _, size in self.levels)
        self.size = math.prod(self.lead)

    def pack(self, x: Any, depth: int | None = None) -> Any:
        depth = len(self.levels) if depth is None else depth
        if depth == 0:
            if isinstance(x, Value):
                raise NewLevel(x)
            return np.asarray(x)
        trace, size = self.levels[depth - 1]
        own = isinstance(x, Value) and x.owner is trace
        if size is not None:
            return self.pack(x.value if own else np.broadcast_to(x, (size, *np.shape(x))), depth - 1)
        value, tangent = (x.value, x.tangent) if own else (x, None)
        tangent = np.zeros(np.shape(value)) if tangent is None else tangent
        return np.stack([self.pack(value, depth - 1), self.pack(tangent, depth - 1)], depth - 1)

    def unpack(self, packed: Any, depth: int | None = None) -> Any:
        depth = len(self.levels) if depth is None else depth
        if depth == 0:
            return packed
        trace, size = self.levels[depth - 1]
        if size is not None:
            return batched(trace, self.unpack(packed, depth - 1))
        value, tangent = np.moveaxis(packed, depth - 1, 0)
        return dual(trace, self.unpack(value, depth - 1), self.unpack(tangent, depth - 1))

    def flat(self, x: Any) -> Any:
        """The components of a vector as one vector, the state that a solver sees."""
        return np.ravel(self.pack(x))

    def states(self, flat: Any, shape: tuple[int, ...]) -> Any:
        """States of a solver, an array of shape (*shape, n * size), as a value of shape (*shape, n)."""
        split = np.reshape(flat, (*shape, *self.lead, np.shape(flat)[-1] // self.size))
        return self.unpack(np.moveaxis(split, range(len(shape), len(shape) + len(self.lead)), range(len(self.lead))))
