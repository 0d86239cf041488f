"""The null interpreter: every primitive is forwarded to the value one level down, and nothing is recorded or differentiated.

    cost(null) - cost(NumPy)      what it takes to get from NumPy's protocol to a handler and back, whatever the mathematics
    cost(tape) - cost(null)       what a recording adds

`evaluate(f, x)` is f(x), by way of it.  It is written as the other interpreters are: a lean way for one and two operands, a general
one for the rest.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dualgrad.core.primitive import Primitive, Trace, Value, bind
from dualgrad.core.serial import next_serial
from dualgrad.core.traced import Traced, install_operators

_new = object.__new__


class Null(Traced):
    """A value that stands for `value`, and nothing else."""

    __slots__ = ()

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        """The two handlers of a primitive: fast(*args), and general(trace, args, static)."""
        function = primitive.function

        def general(trace: Trace, args: tuple, static: dict) -> Any:
            values = [arg.value if type(arg) is Null and arg.owner is trace else arg for arg in args]
            out = primitive(*values, **static)
            return tuple(null(trace, z) for z in out) if primitive.multiple else null(trace, out)

        def unary(x: Any) -> Any:
            out = _new(Null)
            out.owner, out.value, out.square = x.owner, function(x.value), None
            return out

        def binary(x: Any, y: Any) -> Any:
            if type(x) is Null:
                if type(y) is Null and x.owner is y.owner:
                    return null(x.owner, function(x.value, y.value))
                if not isinstance(y, Value):
                    return null(x.owner, function(x.value, y))
            elif not isinstance(x, Value):
                return null(y.owner, function(x, y.value))
            return bind(primitive, (x, y), {})

        def fallback(*args: Any) -> Any:
            return bind(primitive, args, {})

        lean = None if primitive.multiple or primitive.slopes is None else {1: unary, 2: binary}.get(len(primitive.slopes))
        return lean or fallback, general

    def lift(self, constant: Any) -> Null:
        return null(self.owner, constant)


def null(trace: Trace, value: Any) -> Null:
    """A value of a trace."""
    out = _new(Null)
    out.owner, out.value, out.square = trace, value, None
    return out


def evaluate(f: Callable, *arrays: Any) -> Any:
    """f(*arrays), every operation of which passes through the null interpreter.

    >>> import numpy as np
    >>> evaluate(lambda x: np.sum(np.sin(x) * x), np.array([0.0, np.pi / 2])) == np.pi / 2
    np.True_
    """
    trace = Trace(next_serial(), "null")
    out = f(*[null(trace, x) for x in arrays])
    return out.value if type(out) is Null and out.owner is trace else out


install_operators()  # once more, for this interpreter too
