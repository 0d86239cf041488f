"""The tape itself, as a value and as a public context manager; and transposition, which needs a tape of its own."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core import primitive as core
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Aval, Trace
from dualgrad.core.serial import next_serial
from dualgrad.interpreters.tape.pulls import expanded
from dualgrad.interpreters.tape.recording import CLOSED, Variable, variable
from dualgrad.interpreters.tape.sweep import pull_back

_ndarray = np.ndarray

class Tape(Trace):
    """A recording of array operations, to pull cotangents back through.

    >>> with Tape() as tape:
    ...     x = tape.watch(np.array([1.0, 2.0]))
    ...     y = np.sum(x * x)
    >>> tape.pullback(y)
    [array([2., 4.])]
    >>> print(tape)
    %0 = input : float64[2]
    %1 = multiply(%0, %0)
    %2 = sum(%1, axis=(0,))

    `watch` declares an input; `pullback(output, cotangent=1)` returns one cotangent per watched input, in order, and may be
    called again.  Leaving the `with` block ends the recording: its values can no longer be computed with.
    """

    __slots__ = ("curved", "exposed", "foreign", "history", "inputs", "lock", "places", "records", "totals")

    def __init__(self, label: str = "Tape") -> None:
        self.serial, self.label, self.alive = next_serial(), label, True
        self.history: list[Any] = []  # the records, kept after the tape is closed
        self.records: Any = self.history  # where operations append
        self.inputs: list[tuple] = []  # (shape, dtype, type) of the inputs, which are the first records
        self.curved = False  # has an operation been recorded whose slope may be infinite?
        self.exposed = False  # and behind it one whose pullback makes structural zeros?  Then they may meet: see sweep.py
        self.foreign = False  # will a pullback run a user's code (a custom rule, a checkpoint)?
        self.places: dict[int, tuple] | None = None  # index -> (code, instruction), under debug_nans only
        self.totals: Any = None  # index -> weakly, the array its parts are added to in a sweep, see pulls.pull_part
        self.lock: Any = None  # made with the first checkpoint

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the recording; pullbacks still work."""
        self.alive = False
        self.records = CLOSED

    def watch(self, value: Any) -> Variable:
        """A variable holding a snapshot of `value`.  Watch all inputs before computing with one of them."""
        if len(self.history) != len(self.inputs):
            raise errors.ArgumentError("Tape.watch: watch all inputs before the first operation on one of them.")
        value = snapshot(value) if hasattr(value, "dtype") else np.array(value)[()]
        if value.dtype.kind not in "fc":
            raise errors.InputTypeError(
                f"Tape.watch: cannot differentiate with respect to {errors.describe(value)}; cast it with .astype(float)."
            )
        return self.input(value)

    def input(self, value: Any) -> Variable:
        """A variable for an input into which nobody will write."""
        history = self.history
        self.inputs.append((value.shape, value.dtype, type(value)))
        history.append(None)
        return variable(self, value, len(history) - 1)

    def enter(self, leaves: list, indices: list[int]) -> None:
        """Replace these leaves by inputs holding snapshots of them."""
        note, index = self.inputs.append, len(self.history)
        for i in indices:
            leaf = leaves[i]
            leaf = leaf.copy() if type(leaf) is _ndarray else snapshot(leaf)
            note((leaf.shape, leaf.dtype, type(leaf)))
            leaves[i] = variable(self, leaf, index)
            index += 1
        self.history.extend([None] * len(indices))

    def pullback(self, output: Any, cotangent: Any = None) -> list[Any]:
        """The cotangent of every input for one cotangent of one output (ones by default)."""
        if not (type(output) is Variable and output.owner is self):
            raise errors.ArgumentError("Tape.pullback: the output is not a value of this tape.")
        return pull_back(self, [output], [np.ones(output.shape, output.dtype) if cotangent is None else cotangent])

    def __str__(self) -> str:
        return "\n".join(f"%{i} = {self._describe(i)}" for i in range(len(self.history)))

    def _describe(self, i: int) -> str:
        record = self.history[i]
        if record is None:
            return f"input : {errors.describe(Aval(*self.inputs[i][:2]))}"
        primitive, parents, _, operands, static = expanded(record)
        shown = [f"%{p}" if p >= 0 else _constant_text(x) for p, x in zip(parents, operands, strict=True)]
        shown += [f"{name}={value!r}" for name, value in static.items()]
        return f"{getattr(primitive, 'name', primitive)}({', '.join(shown)})"


def _constant_text(x: Any) -> str:
    return repr(x) if isinstance(x, int | float | complex) else errors.describe(x) if x is not None else "constant"


def linear_transpose(function: Callable, primals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """L^H applied to cotangents, where function(*tangents) -> tuple is a linear map L of arrays shaped like `primals`."""
    tape = Tape("linear_transpose")
    try:
        inputs = [tape.input(np.zeros(p.shape, p.dtype)[()]) for p in primals]
        outputs = function(*inputs)
    finally:
        tape.close()
    return pull_back(tape, outputs, cotangents)


core.linear_transpose = linear_transpose
