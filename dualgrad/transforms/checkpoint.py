"""`checkpoint`: keep the inputs of a function on the tape instead of its residuals, and evaluate it again in the pullback.

    memory    that of the inputs, while the rest of the program runs; that of one evaluation of f in the pullback
    time      one more evaluation of f per pullback

The records that f appends are replaced by one that knows how to make them again, so values that f closes over are
differentiated like its arguments, and checkpoints nest (Griewank & Walther, Evaluating Derivatives, ch. 12).
"""
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import tree
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Value
from dualgrad.interpreters.tape import Tape, Variable, forget
from dualgrad.transforms.arguments import transformed


def checkpoint(f: Callable) -> Callable:
    """f, recomputed in the pullback instead of stored.  Same values and derivatives, in every mode and at every order.

    f must be deterministic; a numpy.random.Generator among its arguments is restored to its state for the recomputation.
    Values made inside f may leave it only as its output.

    >>> from dualgrad.transforms.pullback import grad
    >>> grad(lambda x: np.sum(checkpoint(np.sin)(x) ** 2))(np.array([0.5]))
    array([0.84147098])
    """
    return transformed(_checkpoint, f, "checkpoint")


def _checkpoint(f: Callable, /, *args: Any, **kwargs: Any) -> Any:
    leaves, structure = tree.flatten((args, kwargs))
    tape = _newest_tape(leaves)
    if tape is None or tape.records is not tape.history:  # nothing is recorded: inside a solver's black box
        return f(*args, **kwargs)
    kept = tree.unflatten(structure, [_settled(leaf) for leaf in leaves])
    traces = {v.owner for leaf in leaves for v in _levels(leaf)}
    records = tape.records
    start = len(records)
    records.append(None)  # the place of the checkpoint, before all that f records
    out = f(*args, **kwargs)
    made = _variables(out, tape, start)

    def run_again() -> list:
        again_args, again_kwargs = _fresh_generators(kept)
        alive = [(trace, trace.alive) for trace in traces]
        for trace in traces:
            trace.alive = True
        try:
            return _variables(f(*again_args, **again_kwargs), tape, start)
        finally:
            for trace, state in alive:
                trace.alive = state

    forget(tape, start, [v.index for v in made], run_again)
    return out


def _settled(leaf: Any) -> Any:
    return copy.deepcopy(leaf) if isinstance(leaf, np.random.Generator) else snapshot(leaf)


def _fresh_generators(arguments: Any) -> Any:
    """The arguments with generators in the state they had at the first evaluation."""
    return tree.map(lambda leaf: copy.deepcopy(leaf) if isinstance(leaf, np.random.Generator) else leaf, arguments)


def _levels(value: Any) -> list[Any]:
    """A value and everything it is made of, level by level."""
    return [value, *(level for part in value.parts() for level in _levels(part))] if isinstance(value, Value) else []


def _newest_tape(leaves: list) -> Tape | None:
    tapes = [v.owner for leaf in leaves for v in _levels(leaf) if type(v) is Variable]
    return max(tapes, key=lambda tape: tape.serial, default=None)


def _variables(out: Any, tape: Tape, start: int) -> list[Any]:
    """The variables of this tape that f made and returned, in order."""
    return [v for leaf in tree.leaves(out) for v in _levels(leaf) if type(v) is Variable and v.owner is tape and v.index > start]
