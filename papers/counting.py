"""Counting operations on a tape, not on the clock.

A derivative is a program too.  Run under a tape, `grad(f)` or `jvp(f)` leaves there every operation that it does on what is
watched, of the forward and of the reverse sweep, one printed line each:

    %7 = multiply(%4, %2)

Moves (an input, a constant, an index, a reshape) cost nothing here; any other line is one arithmetic operation, on a number if
the program is one of numbers, on whole arrays if it is one of arrays.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from dualgrad import Tape, tree

MOVES = {"broadcast_to", "concatenate", "constant", "getitem", "input", "output", "reshape", "scatter_add", "transpose", "where"}


def operations(run: Callable, *inputs: Any) -> Counter:
    """How often each arithmetic operation is done in run(*inputs); inputs are trees, and all of their leaves are watched.

    >>> from dualgrad import grad
    >>> product = lambda x: x[0] * x[1] * x[2]
    >>> operations(product, [1.0, 2.0, 3.0]), operations(grad(product), [1.0, 2.0, 3.0])
    (Counter({'multiply': 2}), Counter({'multiply': 6}))
    """
    leaves, structure = tree.flatten(inputs)
    with Tape() as tape:
        run(*tree.unflatten(structure, [tape.watch(leaf) for leaf in leaves]))
    names = Counter(re.findall(r"^%\d+ = (\w+)", str(tape), flags=re.M))
    return Counter({name: count for name, count in names.items() if name not in MOVES})


def total(run: Callable, *inputs: Any) -> int:
    """All of them together."""
    return operations(run, *inputs).total()
