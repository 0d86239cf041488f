"""What may become plain inside a black box: a solver that computes with numbers, while derivatives come from its equation.

Outside one, a conversion that would lose a derivative raises.  Inside (dualgrad.implicit opens it), values made before it may
become their primals, where a plain number is wanted and in NumPy's functions; values that the solver itself differentiates
may not.  Operators do not ask: that would cost every operation outside, too.
"""
from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from dualgrad import tree
from dualgrad.core.primitive import Value

# The innermost black box that is open: box.primal(value) is the primal, or None for a value that may not become plain.
open_box: ContextVar[Any] = ContextVar("open_box", default=None)

_WRITERS = frozenset((np.copyto, np.put, np.putmask, np.place, np.fill_diagonal, np.put_along_axis))  # into their first argument


def permitted(value: Value) -> Any:
    """The plain primal of a value where it may be had; else None."""
    box = open_box.get()
    return None if box is None else box.primal(value)


def permitted_call(function: Callable, args: tuple, kwargs: dict) -> Any:
    """function(*args, **kwargs) of plain primals, inside a black box; NotImplemented where one may not be had or is written to."""
    if function in _WRITERS and isinstance(args[0], Value):
        return NotImplemented
    if any(isinstance(target, Value) for target in tree.leaves(kwargs.get("out"))):
        return NotImplemented
    leaves, structure = tree.flatten((args, kwargs))
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, Value):
            leaves[i] = permitted(leaf)
            if leaves[i] is None:
                return NotImplemented
    args, kwargs = tree.unflatten(structure, leaves)
    return function(*args, **kwargs)
