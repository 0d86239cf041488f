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
    ZERO,
    any_true,
    conjugate,
    masked,
    owned,
    real_like,
    through,
    unbroadcast,
    union,
)
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Aval, Primitive, Trace, Value, bind
from dualgrad.core.serial import next_serial
from dualgrad.core.traced import Traced, components, located

_getframe = sys._getframe
_new = object.__new__
_ndarray = np.ndarray
_count_nonzero = np.count_nonzero


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
    %2 = sum(%1)

    `watch` declares an input; `pullback(output, cotangent=1)` returns one cotangent per watched input, in order, and may be
    called again.  Leaving the `with` block ends the recording: its values can no longer be computed with.
    """

    __slots__ = ("avals", "history", "lock", "places", "records", "scalars")

    def __init__(self, label: str = "Tape") -> None:
        Trace.__init__(self, next_serial(), label)
        self.history: list[Any] = []  # the records, kept after the tape is closed
        self.records: Any = self.history  # where operations append
        self.avals: list[Aval] = []  # shape and dtype of the inputs, which are the first records
        self.scalars: list[bool] = []  # which inputs are NumPy scalars rather than arrays
        self.places: dict[int, tuple] | None = None  # index -> (code, instruction), under debug_nans only
        self.lock = threading.RLock()

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
        if len(self.history) != len(self.avals):
            raise errors.ArgumentError("Tape.watch: watch all inputs before the first operation on one of them.")
        value = snapshot(value) if hasattr(value, "dtype") else np.array(value)[()]
        if value.dtype.kind not in "fc":
            raise errors.InputTypeError(
                f"Tape.watch: cannot differentiate with respect to {errors.describe(value)}; cast it with .astype(float)."
            )
        return self.input(value)

    def input(self, value: Any) -> Variable:
        """A variable for an input into which nobody will write."""
        self.avals.append(Aval(value.shape, value.dtype))
        self.scalars.append(isinstance(value, np.generic))
        self.history.append(None)
        return _variable(self, value, len(self.history) - 1)

    def pullback(self, output: Any, cotangent: Any = None) -> list[Any]:
        """The cotangent of every input for one cotangent of one output (ones by default)."""
        if not (type(output) is Variable and output.trace is self):
            raise errors.ArgumentError("Tape.pullback: the output is not a value of this tape.")
        return pull_back(self, [output], [np.ones(output.shape, output.dtype) if cotangent is None else cotangent])

    def __str__(self) -> str:
        return "\n".join(f"%{i} = {self._describe(i)}" for i in range(len(self.history)))

    def _describe(self, i: int) -> str:
        record = self.history[i]
        if record is None:
            return f"input : {errors.describe(self.avals[i])}"
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

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Variable:
        self.trace.records.append(_CONSTANT)
        return _variable(self.trace, constant, len(self.trace.records) - 1)


def _variable(trace: Tape, value: Any, index: int) -> Variable:
    out = _new(Variable)
    out.trace, out.value, out.index = trace, value, index
    return out


def _escaped(*values: Any) -> errors.EscapedTraceError:
    """The error for the first of these values whose trace has ended."""
    value = next(v for v in values if isinstance(v, Value) and not v.trace.alive)
    code = getattr(value, "code", None)
    made = f", made at {errors.line_of(code, value.instruction)}," if code is not None else ""
    return errors.EscapedTraceError(
        f"a traced value {errors.describe(value)}{made} was used{errors.user_line()} after its transform ({value.trace.label}) had "
        "returned. Return it from the function (has_aux=True for extras) instead of storing it outside, or store stop_gradient(value)."
    )


# ---- from a primitive to its handlers -----------------------------------------------------------------------------


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    def general(trace: Tape, args: tuple, static: dict) -> Any:
        values, parents = [], []
        for arg in args:
            if type(arg) is Variable and arg.trace is trace:
                values.append(arg.value)
                parents.append(arg.index)
            else:
                values.append(arg)
                parents.append(-1)
        if primitive.kind == "constant":
            return primitive(*values, **static)
        if not trace.alive or not all(a.trace.alive for a in args if isinstance(a, Value)):
            raise _escaped(*args)
        if primitive.save is not None:
            out, residuals = primitive.save(*values, **static)
            return _record(trace, primitive, tuple(parents), residuals, tuple(map(_aval, values)), static, out)
        out = primitive(*values, **static)
        return record_general(trace, primitive, parents, values, out, static)

    def fallback(*args: Any) -> Any:
        return located(bind(primitive, args, {}), _getframe(2))

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
        return _variable(trace, out, index)
    outputs = []
    for j, value in enumerate(out):
        if value is None or value.dtype.kind not in "fc":
            outputs.append(value)
            continue
        records.append((_pull_item, index, j, len(out)))
        outputs.append(_variable(trace, value, len(records) - 1))
    return tuple(outputs)


def _aval(value: Any) -> Any:
    return Aval(np.shape(value), np.result_type(value)) if not hasattr(value, "dtype") else Aval(value.shape, value.dtype)


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
    unit = slope is ONE

    def pull(ct: list, g: Any, record: tuple) -> None:
        _, i, z, x = record
        if not unit:
            g = g * slope(z, x)
        c = ct[i]
        ct[i] = g if c is None else c + g

    pull.expand = lambda record: (primitive, (record[1],), record[2], (record[3],), {})  # type: ignore[attr-defined]

    def fast(x: Any) -> Any:
        trace, value = x.trace, x.value
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
        out = _new(Variable)
        out.trace = trace
        out.value = z
        out.index = len(records) - 1
        frame = _getframe(2)
        out.code = frame.f_code
        out.instruction = frame.f_lasti
        return out

    return fast


def _elementwise_terms(primitive: Primitive) -> tuple:
    """For each operand, term(g, z, x, y) = its cotangent before unbroadcasting, and what the rule reads."""
    slopes, ties = primitive.slopes, primitive.ties

    def term(slope: Callable) -> Callable | None:
        if slope is ONE:
            return lambda g, z, x, y: g
        if slope is MINUS_ONE:
            return lambda g, z, x, y: -g
        if slope is ZERO:
            return None
        if ties is not None:

            def select(g: Any, z: Any, x: Any, y: Any) -> Any:
                c = g * slope(z, x, y)
                tie = ties(z, x, y)
                return c + 0.5 * (g * tie) if any_true(tie) else c

            return select
        return lambda g, z, x, y: g * slope(z, x, y)

    return term(slopes[0]), term(slopes[1]), lambda parents: _kept(primitive, parents, 2)  # type: ignore[index]


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
    function = primitive.function
    avals = primitive.kind == "multilinear"
    plans = {pattern: kept(pattern) for pattern in ((0, 0), (0, -1), (-1, 0))}
    (out_both, (x_both, y_both)), (out_left, (x_left, y_left)), (out_right, (x_right, y_right)) = plans.values()
    if avals:
        x_left = y_right = False  # type: ignore[assignment]

    def pull_both(ct: list, g: Any, record: tuple) -> None:
        _, i, j, z, x, y, shape, other = record
        if term0 is not None:
            c = term0(g, z, x, y)
            if c.shape != shape:
                c = unbroadcast(c, shape)
            have = ct[i]
            ct[i] = c if have is None else have + c
        if term1 is not None:
            c = term1(g, z, x, y)
            if c.shape != other:
                c = unbroadcast(c, other)
            have = ct[j]
            ct[j] = c if have is None else have + c

    def pull_left(ct: list, g: Any, record: tuple) -> None:
        _, i, z, x, y, shape = record
        c = term0(g, z, x, y)  # type: ignore[misc]
        if c.shape != shape:
            c = unbroadcast(c, shape)
        have = ct[i]
        ct[i] = c if have is None else have + c

    def pull_right(ct: list, g: Any, record: tuple) -> None:
        _, i, z, x, y, shape = record
        c = term1(g, z, x, y)  # type: ignore[misc]
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
        if type(x) is Variable and type(y) is Variable and x.trace is y.trace:
            trace = x.trace
            x_value, y_value = x.value, y.value
            z = function(x_value, y_value)
            if z.dtype.kind == "c":
                return complex_record(trace, x, y, x_value, y_value, x.index, y.index, z)
            record = (
                pull_both, x.index, y.index, z if out_both else None, x_value if x_both else None,
                y_value if y_both else None, x_value.shape, y_value.shape,
            )  # fmt: skip
        elif type(x) is Variable and not (isinstance(y, Value) and y.trace.serial > x.trace.serial):
            if isinstance(y, Value) and not y.trace.alive:
                raise _escaped(y)
            trace = x.trace
            x_value = x.value
            z = function(x_value, y)
            if z.dtype.kind == "c":
                return complex_record(trace, x, y, x_value, y, x.index, -1, z)
            if y_left and type(y) is not float:
                y = snapshot(y)
            shape = x_value.shape
            if avals:
                x_value = Aval(shape, x_value.dtype)
            elif not x_left:
                x_value = None
            record = (pull_left, x.index, z if out_left else None, x_value, y if y_left else None, shape)
            if term0 is None:
                record = _CONSTANT
        elif type(y) is Variable and not (isinstance(x, Value) and x.trace.serial > y.trace.serial):
            if isinstance(x, Value) and not x.trace.alive:
                raise _escaped(x)
            trace = y.trace
            y_value = y.value
            z = function(x, y_value)
            if z.dtype.kind == "c":
                return complex_record(trace, x, y, x, y_value, -1, y.index, z)
            if x_right and type(x) is not float:
                x = snapshot(x)
            shape = y_value.shape
            if avals:
                y_value = Aval(shape, y_value.dtype)
            elif not y_right:
                y_value = None
            record = (pull_right, y.index, z if out_right else None, x if x_right else None, y_value, shape)
            if term1 is None:
                record = _CONSTANT
        else:
            return bind(primitive, (x, y), {})
        records = trace.records
        try:
            records.append(record)
        except _Escaped:
            raise _escaped(x, y) from None
        out = _new(Variable)
        out.trace = trace
        out.value = z
        out.index = len(records) - 1
        frame = _getframe(2)
        out.code = frame.f_code
        out.instruction = frame.f_lasti
        return out

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


def pull_back(tape: Tape, outputs: Sequence[Any], cotangents: Sequence[Any], supports: Sequence[Any] | None = None) -> list[Any]:
    """Cotangents of all inputs of a tape, each owned by the caller, of the shape and dtype of its input.

    `outputs` that are not variables of this tape are constants.  A cotangent of None is zero; `supports` tell where cotangents
    can be non-zero (a basis of unit vectors).
    """
    supports = [None] * len(outputs) if supports is None else supports
    seeds = [
        (y.index, g, s)
        for y, g, s in zip(outputs, cotangents, supports, strict=True)
        if type(y) is Variable and y.trace is tape and g is not None
    ]
    with np.errstate(all="ignore"):
        careful = tape.places is not None or any(_on_outer_tape(g) for _, g, _ in seeds) or any(_on_outer_tape(y) for y in outputs)
        if not careful:
            found = _cotangents(tape, seeds, False)
            careful = any(g is not None and _has_nan(g) for g in found)
        if careful:
            found = _cotangents(tape, seeds, True)
        results: list[Any] = []
        for k, aval in enumerate(tape.avals):
            g = found[k]
            found[k] = None
            if g is None:
                g = np.zeros(aval.shape, aval.dtype)
            elif g.dtype != aval.dtype:
                g = real_like(g, aval).astype(aval.dtype)
            if isinstance(g, Value):
                g = snapshot(g)
            elif tape.scalars[k]:
                g = g[()]
            elif type(g) is not _ndarray:
                g = np.array(g)
            elif not owned(g) or any(g is seed for _, seed, _ in seeds):
                g = g.copy()
            results.append(g)
    return results


def _cotangents(tape: Tape, seeds: list, careful: bool) -> list[Any]:
    """One sweep over the whole tape; the cotangents of its inputs."""
    ct: list[Any] = [None] * len(tape.history)
    supports: list[Any] | None = [None] * len(ct) if careful else None
    for i, g, s in seeds:
        if supports is not None:
            supports[i] = s if ct[i] is None else union(supports[i], s)
        ct[i] = g if ct[i] is None else ct[i] + g
    _sweep(tape, ct, supports, len(tape.avals))
    return ct[: len(tape.avals)]


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
            for parent, c, s in contributions(record, g, support):
                if tape.places is not None:
                    primitive, parents = pull.expand(record)[:2]
                    core.check_cotangent(primitive, parents.index(parent), c, tape.places.get(i))
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
    """Does a value one level down live on another tape, whose own sweep will need to see the structural zeros?"""
    value = value.value if type(value) is Variable else value
    while isinstance(value, Value):
        if type(value) is Variable:
            return True
        if _on_outer_tape(getattr(value, "tangent", None)):
            return True
        value = value.value
    return False


def _has_nan(g: Any) -> bool:
    for array in components(g):
        if array is not None:
            total = np.vdot(array, array)
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
