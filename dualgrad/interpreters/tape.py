"""Reverse mode: a tape is one flat list of records, and a pullback is one loop over it from the end.

    Variable              a value, its index on the tape, and the tape
    record                a tuple (pull, parents, residuals): no node objects, no dictionaries, no sorting
    pull(ct, g, record)   adds (d out / d parent)^H g to ct[parent] for each parent

A record keeps only the residuals its rule reads.  Cotangents are adjoint under Re<a, b>, so the gradient of a real function
of complex z is the direction of steepest ascent, df/dx + i df/dy.

Two sweeps share the records.  The fast one may meet 0 * inf = nan where the zero is *structural* (made by a selection or
an index, not computed).  A nan cannot leave a linear sweep unless it is selected away, so its result is right unless it
holds a nan; only then the careful sweep runs, which carries with every cotangent its support: where it can be non-zero.
"""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core import primitive as core
from dualgrad.core.arrays import (
    MINUS_ONE,
    ONE,
    SOLE,
    ZERO,
    any_true,
    conjugate,
    masked,
    real_like,
    through,
    unbroadcast,
    union,
)
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Aval, Primitive, Trace, Value, bind
from dualgrad.core.serial import next_serial
from dualgrad.core.splitting import series, split
from dualgrad.core.traced import Traced, components, located

_getframe = sys._getframe
_ndarray = np.ndarray
_PLAIN = frozenset((_ndarray, float, int, np.float64))
_NUMBERS = frozenset((float, int, complex, np.float64))  # immutable: need no snapshot
_new_aval = tuple.__new__  # half the time of Aval(...)
_getrefcount = sys.getrefcount


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

    __slots__ = ("history", "inputs", "lock", "places", "records", "splitting")

    def __init__(self, label: str = "Tape") -> None:
        Trace.__init__(self, next_serial(), label)
        self.history: list[Any] = []  # the records, kept after the tape is closed
        self.records: Any = self.history  # where operations append
        self.inputs: list[tuple] = []  # (shape, dtype, type) of the inputs, which are the first records
        self.places: dict[int, tuple] | None = None  # index -> (code, instruction), under debug_nans only
        self.lock: Any = None  # made with the first checkpoint
        self.splitting: Any = None  # made with the first degenerate factorization, see core.splitting

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the recording; pullbacks still work."""
        self.alive = False
        self.records = _CLOSED

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
        return Variable(self, value, len(history) - 1)

    def enter(self, leaves: list, indices: list[int]) -> None:
        """Replace these leaves by inputs holding snapshots of them."""
        history, inputs = self.history, self.inputs
        for i in indices:
            leaf = leaves[i]
            leaf = leaf.copy() if type(leaf) is _ndarray else snapshot(leaf)
            inputs.append((leaf.shape, leaf.dtype, type(leaf)))
            leaves[i] = Variable(self, leaf, len(history))
            history.append(None)

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
        primitive, parents, _, operands, static = record[0].expand(record)
        shown = [f"%{p}" if p >= 0 else _constant_text(x) for p, x in zip(parents, operands, strict=True)]
        shown += [f"{name}={value!r}" for name, value in static.items()]
        return f"{getattr(primitive, 'name', primitive)}({', '.join(shown)})"


def _constant_text(x: Any) -> str:
    return repr(x) if isinstance(x, int | float | complex) else errors.describe(x) if x is not None else "constant"


class _Escaped(Exception):
    """A closed tape was appended to."""


class _Closed:
    """Stands in for the records of a closed tape, so that recording needs no test."""

    def append(self, record: Any) -> None:
        raise _Escaped


_CLOSED = _Closed()


class Variable(Traced):
    """A value on a tape."""

    __slots__ = ()

    def __init__(self, trace: Tape, value: Any, index: int, code: Any = None, instruction: int = 0) -> None:
        self.owner = trace  # one statement each: a tuple assignment is slower
        self.value = value
        self.index = index
        self.code = code
        self.instruction = instruction
        self.square = None

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Variable:
        self.owner.records.append(_CONSTANT)
        return Variable(self.owner, constant, len(self.owner.records) - 1)


def _escaped(*values: Any) -> errors.EscapedTraceError:
    """The error for the first of these values whose trace has ended."""
    value = next(v for v in values if isinstance(v, Value) and not v.owner.alive)
    code = getattr(value, "code", None)
    made = f", made at {errors.line_of(code, value.instruction)}," if code is not None else ""
    return errors.EscapedTraceError(
        f"a traced value {errors.describe(value)}{made} was used{errors.user_line()} after its transform ({value.owner.label}) had "
        "returned. Return it from the function (has_aux=True for extras) instead of storing it outside, or store stop_gradient(value)."
    )


def _outranks(trace: Tape, value: Any) -> bool:
    """Is `value` a constant to this trace: plain, or of an older one that is still alive?"""
    if not isinstance(value, Value):
        return True
    if not value.owner.alive:
        raise _escaped(value)
    return value.owner.serial < trace.serial


# ---- from a primitive to its handlers -----------------------------------------------------------------------------


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    def general(trace: Tape, args: tuple, static: dict) -> Any:
        values, parents = [], []
        for arg in args:
            if type(arg) is Variable and arg.owner is trace:
                values.append(arg.value)
                parents.append(arg.index)
            else:
                values.append(arg)
                parents.append(-1)
        if primitive.kind == "constant":
            return primitive(*values, **static)
        if not trace.alive or not all(a.owner.alive for a in args if isinstance(a, Value)):
            raise _escaped(*args)
        if primitive.save is not None:
            out, residuals = primitive.save(*values, **static)
            return _record(trace, primitive, tuple(parents), residuals, tuple(map(_aval, values)), static, out)
        out = primitive(*values, **static)
        if primitive.adapt is not None:
            out = primitive.adapt(None, out, *values, **static)
        if primitive.split is not None and (directions := primitive.split(out, *values, **static)) is not None:
            out = split(trace, out, directions)
        return record_general(trace, primitive, parents, values, out, static)

    if primitive.kind == "linear" and primitive.transpose.__code__.co_argcount == 2:  # one operand: the common case, made lean
        everything = general

        def general(trace: Tape, args: tuple, static: dict) -> Any:
            if len(args) != 1:
                return everything(trace, args, static)
            (x,) = args
            value = x.value
            out = primitive(value, **static) if isinstance(value, Value) else primitive.function(value, **static)
            try:
                trace.records.append((_pull_linear, x.index, primitive, _new_aval(Aval, (value.shape, value.dtype)), static))
            except _Escaped:
                raise _escaped(x) from None
            return Variable(trace, out, len(trace.records) - 1)

    def fallback(*args: Any) -> Any:
        return located(bind(primitive, args, {}), _getframe(1))

    if primitive.kind in ("elementwise", "select") and len(primitive.slopes) == 1:  # type: ignore[arg-type]
        return _unary(primitive), general
    if primitive.kind in ("elementwise", "select") and len(primitive.slopes) == 2:  # type: ignore[arg-type]
        return _binary(primitive, *_elementwise_terms(primitive)), general
    if primitive.kind == "multilinear" and type(primitive.transpose) is tuple and len(primitive.transpose) == 2:
        return _binary(primitive, *_bilinear_terms(primitive)), general
    return fallback, general


def record_general(trace: Tape, primitive: Primitive, parents: Sequence[int], values: list, out: Any, static: dict) -> Any:
    """Append the record of `out = primitive(*values)` with the residuals its rule reads; the output as variable(s)."""
    keep_out, keep = _kept(primitive, parents, len(values))
    if primitive.kind == "linear":  # indices are operands too
        keep = [np.result_type(value).kind not in "fc" for value in values]
    operands = tuple(
        (value if parent >= 0 else snapshot(value)) if k else _aval(value)
        for k, value, parent in zip(keep, values, parents, strict=True)
    )
    residual = out if keep_out else (tuple(map(_aval, out)) if primitive.multiple else _aval(out))
    return _record(trace, primitive, tuple(parents), residual, operands, static, out)


def _record(trace: Tape, primitive: Any, parents: tuple, residual: Any, operands: tuple, static: dict, out: Any) -> Any:
    records = trace.records
    records.append((_pull_general, parents, primitive, residual, operands, static))
    index = len(records) - 1
    if not primitive.multiple:
        return Variable(trace, out, index)
    outputs = []
    for j, value in enumerate(out):
        if value is None or value.dtype.kind not in "fc":
            outputs.append(value)
            continue
        records.append((_pull_item, index, j, len(out)))
        outputs.append(Variable(trace, value, len(records) - 1))
    return tuple(outputs)


def _aval(value: Any) -> Any:
    if not hasattr(value, "dtype"):  # a Python number or a list
        value = np.asarray(value)
    return Aval(value.shape, value.dtype)


def _kept(primitive: Primitive, parents: Sequence[int], count: int) -> tuple[bool, list[bool]]:
    """Is the output read by the rule, and which operands are?"""
    kind = primitive.kind
    if kind == "linear":
        return False, [False] * count
    if kind == "multilinear":  # the transpose for operand k reads all the others
        active = [k for k, parent in enumerate(parents) if parent >= 0]
        return False, [any(a != k for a in active) for k in range(count)]
    if kind in ("elementwise", "select"):
        rules = [keep for keep, parent in zip(primitive.keeps, parents, strict=True) if parent >= 0]
        if primitive.ties is not None:
            rules.append(core.kept(primitive.ties, 0))
        flags = [any(keep is None or (k < len(keep) and keep[k]) for keep in rules) for k in range(count + 1)]
        return flags[0], flags[1:]
    if primitive.vjp is None:  # its pullback is the transpose of its pushforward, which may read everything
        return True, [True] * count
    keep = primitive.keeps
    flags = [keep is None or k >= len(keep) or bool(keep[k]) for k in range(count + 1)]
    return flags[0], flags[1:]


def _unary(primitive: Primitive) -> Callable:
    """fast(x) of an elementwise function of one real argument."""
    function, slope = primitive.function, primitive.slopes[0]  # type: ignore[index]
    keep_out, (keep_x,) = _kept(primitive, (0,), 1)
    unit, shortcut = slope is ONE, primitive.shortcut

    def pull(ct: list, g: Any, record: tuple) -> None:
        _, i, z, x = record
        if not unit:
            g = g * slope(z, x)
        c = ct[i]
        ct[i] = g if c is None else c + g

    pull.expand = lambda record: (primitive, (record[1],), record[2], (record[3],), {})  # type: ignore[attr-defined]

    def fast(x: Any) -> Any:
        trace, value = x.owner, x.value
        if shortcut is not None and x.square is not None:
            return located(shortcut(x), _getframe(1))
        z = function(value)
        if z.dtype.kind == "c":
            if not trace.alive:
                raise _escaped(x)
            return record_general(trace, primitive, (x.index,), [value], z, {})
        records = trace.records
        try:
            records.append((pull, x.index, z if keep_out else None, value if keep_x else None))
        except _Escaped:
            raise _escaped(x) from None
        frame = _getframe(1)
        return Variable(trace, z, len(records) - 1, frame.f_code, frame.f_lasti)

    return fast


def _elementwise_terms(primitive: Primitive) -> tuple:
    """For each operand, term(g, z, x, y) = its cotangent before unbroadcasting, and what the rule reads."""
    slopes, ties, weights = primitive.slopes, primitive.ties, primitive.weights or (None, None)

    def term(slope: Callable, weight: Callable | None) -> Callable | None:
        if slope is ONE:
            return ONE
        if slope is MINUS_ONE:
            return lambda g, z, x, y: -g
        if slope is ZERO:
            return None
        if weight is not None:
            return lambda g, z, x, y: g * weight(z, x, y)
        if ties is not None:

            def select(g: Any, z: Any, x: Any, y: Any) -> Any:
                tie = ties(z, x, y)
                c = g * slope(z, x, y)
                return c + 0.5 * (g * tie) if any_true(tie) else c

            return select
        return lambda g, z, x, y: g * slope(z, x, y)

    return term(slopes[0], weights[0]), term(slopes[1], weights[1]), lambda parents: _kept(primitive, parents, 2)  # type: ignore[index]


def _bilinear_terms(primitive: Primitive) -> tuple:
    first, second = primitive.transpose
    return (
        lambda g, z, x, y: first(g, x, y),
        lambda g, z, x, y: second(g, x, y),
        lambda parents: _kept(primitive, parents, 2),
    )


def _binary(primitive: Primitive, term0: Callable | None, term1: Callable | None, kept: Callable) -> Callable:
    """fast(x, y) of a broadcasting function of two real arguments, with one path per operand pattern.

    For a bilinear function the term receives avals of the operand it is the transpose for.
    """
    function, shortcut = primitive.function, primitive.shortcut
    avals = primitive.kind == "multilinear"
    plans = {pattern: kept(pattern) for pattern in ((0, 0), (0, -1), (-1, 0))}
    (out_both, (x_both, y_both)), (out_left, (x_left, y_left)), (out_right, (x_right, y_right)) = plans.values()
    if avals:
        x_left = y_right = False  # type: ignore[assignment]

    def pull_both(ct: list, g: Any, record: tuple) -> None:
        _, i, j, z, x, y, shape, other = record
        if term0 is not None:
            c = g if term0 is ONE else term0(g, z, x, y)
            if c.shape != shape:
                c = unbroadcast(c, shape)
            have = ct[i]
            ct[i] = c if have is None else have + c
        if term1 is not None:
            c = g if term1 is ONE else term1(g, z, x, y)
            if c.shape != other:
                c = unbroadcast(c, other)
            have = ct[j]
            ct[j] = c if have is None else have + c

    def pull_left(ct: list, g: Any, record: tuple) -> None:
        _, i, z, x, y, shape = record
        c = g if term0 is ONE else term0(g, z, x, y)  # type: ignore[misc]
        if c.shape != shape:
            c = unbroadcast(c, shape)
        have = ct[i]
        ct[i] = c if have is None else have + c

    def pull_right(ct: list, g: Any, record: tuple) -> None:
        _, i, z, x, y, shape = record
        c = g if term1 is ONE else term1(g, z, x, y)  # type: ignore[misc]
        if c.shape != shape:
            c = unbroadcast(c, shape)
        have = ct[i]
        ct[i] = c if have is None else have + c

    def operand(value: Any, shape: tuple) -> Any:  # dtype is real here, or the general path would have been taken
        return Aval(shape, _REAL) if value is None else value

    def expand_both(r: tuple) -> tuple:
        return primitive, (r[1], r[2]), r[3], (operand(r[4], r[6]), operand(r[5], r[7])), {}

    def expand_left(r: tuple) -> tuple:
        return primitive, (r[1], -1), r[2], (operand(r[3], r[5]), r[4]), {}

    def expand_right(r: tuple) -> tuple:
        return primitive, (-1, r[1]), r[2], (r[3], operand(r[4], r[5])), {}

    pull_both.expand, pull_left.expand, pull_right.expand = expand_both, expand_left, expand_right  # type: ignore[attr-defined]

    def fast(x: Any, y: Any) -> Any:
        if type(x) is Variable and type(y) is Variable and x.owner is y.owner:
            trace = x.owner
            x_value, y_value = x.value, y.value
            z = function(x_value, y_value)
            if z.dtype.kind == "c":
                return complex_record(trace, x, y, x_value, y_value, x.index, y.index, z)
            record = (
                pull_both, x.index, y.index, z if out_both else None, x_value if x_both else None,
                y_value if y_both else None, x_value.shape, y_value.shape,
            )  # fmt: skip
        elif type(x) is Variable and (type(y) in _PLAIN or _outranks(x.owner, y)):
            trace = x.owner
            if shortcut is not None and x.square is not None and (z := shortcut(x, y)) is not None:
                return located(z, _getframe(1))
            x_value = x.value
            z = function(x_value, y)
            if z.dtype.kind == "c":
                return complex_record(trace, x, y, x_value, y, x.index, -1, z)
            if y_left and type(y) not in _NUMBERS:
                y = y.copy() if type(y) is _ndarray else snapshot(y)
            shape = x_value.shape
            if avals:
                x_value = _new_aval(Aval, (shape, x_value.dtype))
            elif not x_left:
                x_value = None
            record = (pull_left, x.index, z if out_left else None, x_value, y if y_left else None, shape)
            if term0 is None:
                record = _CONSTANT
        elif type(y) is Variable and (type(x) in _PLAIN or _outranks(y.owner, x)):
            trace = y.owner
            y_value = y.value
            z = function(x, y_value)
            if z.dtype.kind == "c":
                return complex_record(trace, x, y, x, y_value, -1, y.index, z)
            if x_right and type(x) not in _NUMBERS:
                x = x.copy() if type(x) is _ndarray else snapshot(x)
            shape = y_value.shape
            if avals:
                y_value = _new_aval(Aval, (shape, y_value.dtype))
            elif not y_right:
                y_value = None
            record = (pull_right, y.index, z if out_right else None, x if x_right else None, y_value, shape)
            if term1 is None:
                record = _CONSTANT
        else:
            return located(bind(primitive, (x, y), {}), _getframe(1))
        records = trace.records
        try:
            records.append(record)
        except _Escaped:
            raise _escaped(x, y) from None
        frame = _getframe(1)
        return Variable(trace, z, len(records) - 1, frame.f_code, frame.f_lasti)

    def complex_record(trace: Tape, x: Any, y: Any, x_value: Any, y_value: Any, i: int, j: int, z: Any) -> Any:
        if not trace.alive:
            raise _escaped(x, y)
        return record_general(trace, primitive, (i, j), [x_value, y_value], z, {})

    return fast


_REAL = np.dtype(float)

# ---- pulls ----------------------------------------------------------------------------------------------------------


def _pull_constant(ct: list, g: Any, record: tuple) -> None:
    """A constant on the tape has no parents."""


_pull_constant.expand = lambda record: ("constant", (), None, (), {})  # type: ignore[attr-defined]
_CONSTANT = (_pull_constant,)


def _pull_item(ct: list, g: Any, record: tuple) -> None:
    """One output of a primitive with several: its cotangent goes into the list of the primitive's record."""
    _, index, j, count = record
    if ct[index] is None:
        ct[index] = [None] * count
    ct[index][j] = g if ct[index][j] is None else ct[index][j] + g


_pull_item.expand = lambda record: (f"output {record[2]}", (record[1],), None, (None,), {})  # type: ignore[attr-defined]


def _pull_general(ct: list, g: Any, record: tuple) -> None:
    for i, c, _ in contributions(record, g, None):
        have = ct[i]
        ct[i] = c if have is None else have + c


_pull_general.expand = lambda record: (record[2], record[1], record[3], record[4], record[5])  # type: ignore[attr-defined]


def _pull_linear(ct: list, g: Any, record: tuple) -> None:
    """A linear function of one operand."""
    _, i, primitive, aval, static = record
    c = primitive.transpose(g, aval, **static)
    if type(c) is tuple:
        c = c[0]
    if c.dtype.kind == "c":
        c = real_like(c, aval)
    have = ct[i]
    ct[i] = c if have is None else have + c


_pull_linear.expand = lambda record: (record[2], (record[1],), None, (record[3],), record[4])  # type: ignore[attr-defined]


def contributions(record: tuple, g: Any, support: Any) -> list[tuple[int, Any, Any]]:
    """(parent, cotangent, support) for every parent of one record.  The clear version of all pulls, by kind of primitive."""
    primitive, parents, out, operands, static = record[0].expand(record)
    kind = primitive.kind
    found: list[tuple[int, Any, Any]] = []
    if kind in ("elementwise", "select"):
        for k, i in enumerate(parents):
            slope = primitive.slopes[k]
            if i < 0 or slope is ZERO:
                continue
            if kind == "select":
                win = slope(out, *operands)
                tie = np.False_ if primitive.ties is None else primitive.ties(out, *operands)
                c = np.where(win, g, np.where(tie, g * 0.5, 0))
                alive = np.logical_or(win, tie)
                alive = alive if support is None else np.logical_and(alive, support)
            else:
                c = g if slope is ONE else masked(g * conjugate(slope(out, *operands)), support)
                alive = support
            shape = operands[k].shape if operands[k] is not None else c.shape
            c = unbroadcast(c, shape)
            if alive is not None and np.shape(alive) != shape:
                alive = through(lambda m, shape=shape: unbroadcast(m, shape), np.broadcast_to(alive, g.shape))  # type: ignore[misc]
            found.append((i, c, alive))
    elif kind == "linear":
        cotangents = _as_tuple(primitive.transpose(g, *operands, **static))
        supports: Sequence[Any] = [None] * len(parents)
        if primitive.local and support is not None:
            ones = np.where(support, 1.0, 0.0)
            supports = [None if s is None else np.not_equal(s, 0) for s in _as_tuple(primitive.transpose(ones, *operands, **static))]
        elif primitive.local:
            ones = np.ones(g.shape)
            supports = [None if s is None else np.not_equal(s, 0) for s in _as_tuple(primitive.transpose(ones, *operands, **static))]
        found = [(i, c, s) for i, c, s in zip(parents, cotangents, supports, strict=True) if i >= 0 and c is not None]
    elif kind == "multilinear":
        for k, i in enumerate(parents):
            if i >= 0:
                others = [x if m == k else conjugate(x) for m, x in enumerate(operands)]
                transpose = primitive.transpose[k] if type(primitive.transpose) is tuple else primitive.transpose
                index = {} if type(primitive.transpose) is tuple else {"operand": k}
                found.append((i, transpose(g, *others, **index, **static), None))
    elif primitive.save is not None:
        cotangents = _as_tuple(primitive.vjp(g, out, **static))
        found = [(i, c, None) for i, c in zip(parents, cotangents, strict=True) if i >= 0 and c is not None]
    elif primitive.vjp is not None:
        cotangents = _as_tuple(primitive.vjp(g, out, *operands, **static))
        alive = support if primitive.local else None
        found = [(i, c, alive) for i, c in zip(parents, cotangents, strict=True) if i >= 0 and c is not None]
    else:
        found = [(i, c, None) for i, c in _pulled_through_pushforward(primitive, parents, g, out, operands, static)]
    return [(i, real_like(c, _operand_at(operands, parents, i)), s) for i, c, s in found]


def _operand_at(operands: tuple, parents: tuple, i: int) -> Any:
    operand = operands[parents.index(i)]
    return _REAL_SCALAR if operand is None else operand


_REAL_SCALAR = Aval((), np.dtype(float))


def _as_tuple(x: Any) -> tuple:
    return x if type(x) is tuple else (x,)


# ---- sweeps ----------------------------------------------------------------------------------------------------------


def pull_back(tape: Tape, outputs: Sequence[Any], cotangents: Sequence[Any], structural: bool = False) -> list[Any]:
    """Cotangents of all inputs of a tape, each owned by the caller, of the shape and dtype of its input.

    `outputs` that are not variables of this tape are constants.  A cotangent of None is zero; with `structural` so are the zeros
    in a cotangent (of unit vectors).
    """
    seeds = []
    careful = tape.places is not None
    for k, y in enumerate(outputs):
        g = cotangents[k]
        if type(y) is Variable and y.owner is tape and g is not None:
            seeds.append((y.index, g))
            if isinstance(y.value, Value) or isinstance(g, Value):
                careful = careful or _on_outer_tape(y.value) or _on_outer_tape(g)
    found = _cotangents(tape, seeds, careful, structural)
    if tape.splitting is not None:
        found = [series(g, tape.splitting)[0] for g in found]
    results: list[Any] = []
    for shape, dtype, kind in tape.inputs:
        g = found.pop()
        if type(g) is _ndarray is kind and g.base is None and _getrefcount(g) <= SOLE and (g.dtype is dtype or g.dtype == dtype):
            results.append(g)  # only this name refers to it: it is the caller's already
            continue
        if g is None:
            g = np.zeros(shape, dtype)
        elif g.dtype != dtype:
            g = (np.real(g) if dtype.kind != "c" else g).astype(dtype)
        g = snapshot(g) if isinstance(g, Value) else np.array(g)
        results.append(g[()] if kind is not _ndarray and type(g) is _ndarray and not shape else g)
    return results


@np.errstate(all="ignore")
def _cotangents(tape: Tape, seeds: list, careful: bool, structural: bool) -> list[Any]:
    """One sweep over the whole tape, and a careful one if it meets a nan; the cotangents of its inputs, last first."""
    ct: list[Any] = [None] * len(tape.history)
    supports: list[Any] | None = [None] * len(ct) if careful else None
    for i, g in seeds:
        if supports is not None and structural:
            s = np.not_equal(g, 0)
            supports[i] = s if ct[i] is None else union(supports[i], s)
        ct[i] = g if ct[i] is None else ct[i] + g
    stop = len(tape.inputs)
    _sweep(tape, ct, supports, stop)
    found = ct[stop - 1 :: -1]
    return _cotangents(tape, seeds, True, structural) if not careful and _has_nan(found) else found


def _sweep(tape: Tape, ct: list, supports: list | None, stop: int) -> None:
    """Pull back through all records from the last down to number `stop`."""
    records = tape.history
    if supports is None:
        for i in range(len(records) - 1, stop - 1, -1):
            g = ct[i]
            if g is not None:
                ct[i] = None
                record = records[i]
                record[0](ct, g, record)
        return
    for i in range(len(records) - 1, stop - 1, -1):
        g = ct[i]
        if g is None:
            continue
        record, support = records[i], supports[i]
        ct[i] = supports[i] = None
        pull = record[0]
        if pull is _pull_checkpoint:
            pull(ct, g, record, supports)
        elif pull in (_pull_constant, _pull_item, _pull_forgotten):
            pull(ct, g, record)
        else:
            debugged = tape.places is not None
            found = core.within_rule(contributions, record, g, support) if debugged else contributions(record, g, support)
            for parent, c, s in found:
                if debugged:
                    primitive, parents = pull.expand(record)[:2]
                    core.check_cotangent(primitive, parents.index(parent), c, tape.places.get(i))  # type: ignore[union-attr]
                supports[parent] = s if ct[parent] is None else union(supports[parent], s)
                ct[parent] = c if ct[parent] is None else ct[parent] + c


def _pull_forgotten(ct: list, g: Any, record: tuple) -> None:
    raise errors.EscapedTraceError(
        "a value made inside checkpoint(f) was used outside f without being its output, so its record is gone; return it from f."
    )


_pull_forgotten.expand = lambda record: ("forgotten", (), None, (), {})  # type: ignore[attr-defined]
_FORGOTTEN = (_pull_forgotten,)


def forget(tape: Tape, start: int, outputs: list[int], run_again: Callable) -> None:
    """Replace all records after `start` by one at `start` that makes them again; `outputs` are those that stay in use."""
    records = tape.history
    tape.lock = tape.lock or threading.RLock()
    records[start + 1 :] = [_FORGOTTEN] * (len(records) - start - 1)
    for j, i in enumerate(outputs):
        records[i] = (_pull_item, start, j, len(outputs))
    records[start] = (_pull_checkpoint, tape, run_again)


def _pull_checkpoint(ct: list, g: list, record: tuple, supports: list | None = None) -> None:
    """Record again behind the end of the tape, sweep that part, and forget it."""
    _, tape, run_again = record
    with tape.lock:
        records, alive, end = tape.records, tape.alive, len(tape.history)
        tape.records, tape.alive = tape.history, True
        try:
            outputs = run_again()
            grown = len(tape.history) - len(ct)
            ct.extend([None] * grown)
            if supports is not None:
                supports.extend([None] * grown)
            for variable, c in zip(outputs, g, strict=True):
                if c is not None:
                    ct[variable.index] = c if ct[variable.index] is None else ct[variable.index] + c
            tape.records, tape.alive = records, alive
            _sweep(tape, ct, supports, end)
        finally:
            tape.records, tape.alive = records, alive
            del tape.history[end:], ct[end:]
            if supports is not None:
                del supports[end:]


_pull_checkpoint.expand = lambda record: ("checkpoint", (), None, (), {})  # type: ignore[attr-defined]


def _on_outer_tape(value: Any) -> bool:
    """Is a value one level down on another tape, whose own sweep will have to see the structural zeros of this one?"""
    while isinstance(value, Value):
        if type(value) is Variable or _on_outer_tape(getattr(value, "tangent", None)):
            return True
        value = value.value
    return False


def _has_nan(found: list) -> bool:
    """Is an element nan?  (A sum may also be inf - inf: then the careful sweep runs for nothing.)"""
    for g in found:
        if type(g) is _ndarray and g.size <= 1024:
            flat = g.ravel()
            total = flat.dot(flat)  # 0.3 us, a third of a sum
            if total != total:
                return True
        elif g is not None:
            for array in components(g):
                total = np.add.reduce(array, None)
                if total != total:
                    return True
    return False


# ---- transposition: the missing half of a rule ----------------------------------------------------------------------


def linear_transpose(function: Callable, primals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """L^H applied to cotangents, where function(*tangents) -> tuple is a linear map L of arrays shaped like `primals`."""
    tape = Tape("linear_transpose")
    try:
        inputs = [tape.input(np.zeros(p.shape, p.dtype)[()]) for p in primals]
        outputs = function(*inputs)
    finally:
        tape.close()
    return pull_back(tape, outputs, cotangents)


def _pulled_through_pushforward(primitive: Any, parents: tuple, g: Any, out: Any, operands: tuple, static: dict) -> list:
    """The pullback of a primitive that only has a pushforward: its transpose."""
    active = [k for k, i in enumerate(parents) if i >= 0]

    def push(*tangents: Any) -> tuple:
        given: list[Any] = [None] * len(operands)
        for k, t in zip(active, tangents, strict=True):
            given[k] = t
        return _as_tuple(primitive.jvp(given[0] if len(given) == 1 else tuple(given), out, *operands, **static))

    found = linear_transpose(push, [operands[k] for k in active], _as_tuple(tuple(g) if type(g) is list else g))
    return [(parents[k], c) for k, c in zip(active, found, strict=True)]


core.linear_transpose = linear_transpose
