"""A primitive is a pure array function with its derivative as data; `bind` applies it under the right interpreter.

Arrays are positional, everything static is keyword-only and hashable.  The argument whose trace has the largest serial
decides the interpreter; values of other traces are constants to it.  An interpreter turns a record into a handler once
(`Traced.specialize`), so a new interpreter touches no rule and a new rule no interpreter.

    kind           data                                                            derived from it
    elementwise    slopes[k](out, *operands) = d out / d operand k                 JVP, VJP, broadcasting, mapping
    select         wins[k](out, *operands): where operand k is the output; ties    the same, with structural zeros
    linear         transpose(ct, *avals, **static)                                 JVP: the function itself
    multilinear    transposes[k](ct, *operands, **static)                          JVP: a sum over operands
    constant       nothing: no tangent
    opaque         jvp(tangents, out, *primals, **static), vjp(ct, out, *primals, **static), either half suffices
"""
from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from dualgrad.core.registry import PRIMITIVES

Array = Any  # ndarray, NumPy scalar or Traced


class Trace:
    """One call of one transform.  A value belongs to the trace it holds, by identity; newer traces are inner ones."""

    __slots__ = ("__weakref__", "alive", "label", "serial", "splitting")

    splitting: Any  # set when it is needed, see core.splitting

    def __init__(self, serial: float, label: str) -> None:
        self.serial, self.label, self.alive = serial, label, True


class Value:
    """The mutable cell of every interpreter: a trace, a value one level down, and what the interpreter adds.

    All slots live here so that an in-place write may turn a cell of one interpreter into a cell of another.
    """

    __slots__ = (
        "__weakref__", "code", "coefficients", "index", "instruction", "origin", "owner", "square", "support", "tangent", "value",
        "views",
    )  # fmt: skip

    owner: Any  # the trace (`trace` is a method of arrays)
    value: Any
    tangent: Any  # of a Dual, None if zero
    support: Any  # of a Dual, where the tangent can be non-zero, None for everywhere; likewise of a Series
    coefficients: Any  # of a Series, its power series, `value` first
    index: int  # of a Variable
    code: Any  # where the value was made,
    instruction: int  # for the message should it escape
    square: Any  # None, or of a root (a norm) a function that gives its square, which is smooth where the root is not
    origin: Any  # of a view, where it comes from, see core.inplace
    views: Any  # of an array, its live views
    mapped = False  # does `value` have one axis more, in front, see interpreters.batch?

    if TYPE_CHECKING:  # every interpreter is a Traced, which behaves as an ndarray, see core.traced

        @classmethod
        def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]: ...
        def lift(self, constant: Any) -> Any: ...
        def sibling(self, value: Any) -> Any: ...  # of mapped ones
        def parts(self) -> list[Any]: ...
        def astype(self, *args: Any, **kwargs: Any) -> Any: ...
        def __array__(self, *args: Any, **kwargs: Any) -> Any: ...
        def __array_function__(self, *args: Any, **kwargs: Any) -> Any: ...
        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def ndim(self) -> int: ...
        @property
        def size(self) -> int: ...
        @property
        def dtype(self) -> Any: ...


class Aval(NamedTuple):
    """What a rule may know of a value that is not kept alive: its shape and dtype."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Primitive:
    """One pure array function and its derivative, as data (see the module docstring)."""

    __slots__ = (
        "accumulate", "adapt", "alike", "batch", "data", "fast", "function", "handlers", "jvp", "keeps", "kind", "local",
        "multiple", "name", "onto", "registered", "save", "shortcut", "slopes", "split", "takes_traced", "ties", "transpose",
        "vjp", "weights",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        function: Callable,
        kind: str,
        *,
        slopes: tuple | None = None,
        ties: Callable | None = None,
        weights: tuple | None = None,
        shortcut: Callable | None = None,
        transpose: Any = None,
        jvp: Callable | None = None,
        vjp: Callable | None = None,
        save: Callable | None = None,
        batch: Callable | None = None,
        split: Callable | None = None,
        adapt: Callable | None = None,
        local: bool = False,
        onto: bool = False,
        multiple: bool = False,
        data: int | None = None,
        accumulate: Callable | None = None,
        alike: Callable = lambda k, m, static: False,
        register: bool = True,
        keeps: Any = (),
    ) -> None:
        self.name, self.function, self.kind = name, function, kind
        self.slopes, self.ties, self.weights, self.transpose = slopes, ties, weights, transpose
        self.shortcut = shortcut  # (x, *rest) -> another way to the result for an x with a `square`, or None
        self.jvp, self.vjp, self.save, self.batch = jvp, vjp, save, batch
        # for outputs with an arbitrary choice of basis, see core.splitting and rules.degenerate
        self.split, self.adapt = split, adapt
        self.onto = onto  # a linear map that reads every element of its operand: its transpose makes no structural zero
        self.local = local  # a linear map that only moves and adds elements: structural zeros stay structural
        # of a linear map: how many operands are data; those behind them say where (indices, an order, a mask)
        self.data = data
        self.accumulate = accumulate  # of a linear map: (total, ct, mapped, **static), adds in place
        self.alike = alike  # of a multilinear function: (k, m, static), may operands k and m change places?
        self.multiple = multiple  # returns a tuple
        # may the function itself be given traced values, as ufuncs and operators may?  Then lean handlers call it
        self.takes_traced = isinstance(function, numpy.ufunc) or hasattr(function, "takes_traced")
        if register:
            keeps = tuple(kept(slope, skip=0) for slope in slopes) if slopes else kept(vjp, skip=1)
        self.registered = register  # declared by the library, not made for a call of a user's function
        self.keeps = keeps  # which of (out, *operands) the rule reads; per slope for an elementwise function
        self.fast = _Specialized(self, 0)
        self.handlers = _Specialized(self, 1)
        if register:
            PRIMITIVES.append(self)

    def __call__(self, *args: Any, **static: Any) -> Any:
        if len(args) == 1:  # the common case, made lean
            (x,) = args
            return self.handlers[type(x)](x.owner, args, static) if isinstance(x, Value) else self.function(x, **static)
        return bind(self, args, static)

    def is_linear_in_one(self) -> bool:
        """Is it a linear function of one operand, and perhaps of what says where, without a user's code?  That is made lean."""
        return self.kind == "linear" and self.registered and (self.data or self.transpose.__code__.co_argcount - 1) == 1

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


class _Specialized(dict):
    """Handlers by interpreter class, made on first use.

    Slot 0 (`fast`) maps a class to handler(*args), slot 1 (`handlers`) to handler(trace, args, static).
    """

    __slots__ = ("primitive", "slot")

    def __init__(self, primitive: Primitive, slot: int) -> None:
        self.primitive, self.slot = primitive, slot

    def __missing__(self, cls: type[Value]) -> Callable:
        fast, general = cls.specialize(self.primitive)
        if instrument is not None:
            fast, general = instrument(self.primitive, fast, general)
        self.primitive.fast[cls], self.primitive.handlers[cls] = fast, general
        return (fast, general)[self.slot]


# Set by `debug_nans` while it is active: (primitive, fast, general) -> the two handlers with checks around them.
instrument: Callable | None = None


# Set by `debug_nans`: (primitive, operand, cotangent, place) -> raises if the cotangent is not finite.
check_cotangent: Callable = lambda primitive, operand, cotangent, place: None

# Set by `debug_nans`: (call, *args) -> call(*args), whose operations belong to a rule and are not the user's.
within_rule: Callable = lambda call, *args: call(*args)

# Installed by the reverse interpreter: L^H applied to cotangents.  It lets any interpreter derive a missing half of a rule.
linear_transpose: Callable = None  # type: ignore[assignment]


def pushed_through_pullback(primitive: Any, active: list, tangents: list, out: Any, values: list, static: dict) -> Any:
    """The pushforward of a primitive that only has a pullback: its transpose.

    The pullback is adjoint, J^H, and linear over the reals, so its own adjoint is J.
    """
    residuals = primitive.save(*values, **static)[1] if primitive.save is not None else None

    def pull(*cotangents: Any) -> tuple:
        g = list(cotangents) if primitive.multiple else cotangents[0]
        found = primitive.vjp(g, residuals, **static) if primitive.save is not None else primitive.vjp(g, out, *values, **static)
        found = found if type(found) is tuple else (found,)
        return tuple(found[k] for k in active)

    outputs = out if primitive.multiple else (out,)
    found = linear_transpose(pull, outputs, [tangents[k] for k in active])
    return tuple(found) if primitive.multiple else found[0]


def clear_handlers() -> None:
    """Forget all specialized handlers, so that they are made again (with or without instruments)."""
    for primitive in PRIMITIVES:
        primitive.fast.clear()
        primitive.handlers.clear()


def kept(rule: Any, skip: int) -> tuple[bool, ...] | None:
    """Which positional parameters a rule reads: those not spelled with a leading underscore.

    A variadic parameter stands for all that follow; None means "all".
    """
    if rule is None or not callable(rule):
        return ()
    parameters = list(inspect.signature(rule).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL and not p.name.startswith("_") for p in parameters):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(not p.name.startswith("_") for p in positional[skip:])


def bind(primitive: Primitive, args: tuple, static: dict) -> Any:
    """Apply a primitive: under the interpreter of the newest trace among the arguments, or as plain NumPy."""
    top = None
    for arg in args:
        if isinstance(arg, Value) and (top is None or arg.owner.serial > top.owner.serial):
            top = arg
    if top is None:
        return primitive.function(*args, **static)
    if not static and len(args) == 2 and primitive.takes_traced:
        fast = primitive.fast[type(top)]
        if hasattr(fast, "lean"):
            return fast(*args)
    return primitive.handlers[type(top)](top.owner, args, static)
