"""Variables, and recording: from a primitive's data to what is done when it meets a variable.

A handler computes the output one level down and appends a tuple to the tape.  Real elementwise and bilinear functions have
lean handlers with one path per operand pattern (both on the tape, the left, the right); `record_general` serves the rest.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad.core import primitive as core
from dualgrad.core.arrays import FIRST, MINUS_ONE, ONE, SECOND, ZERO, any_true, product, unbroadcast
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Aval, Primitive, Value, bind
from dualgrad.core.splitting import split
from dualgrad.core.traced import Traced, escaped, located
from dualgrad.interpreters.tape.pulls import CONSTANT, pull_general, pull_item, pull_linear, pull_part, sound

_getframe = sys._getframe
_ndarray = np.ndarray
_PLAIN = frozenset((_ndarray, float, int, np.float64))
_NUMBERS = frozenset((float, int, complex, np.float64))  # immutable: need no snapshot
_FLOAT64 = np.dtype(np.float64)
_new_aval = tuple.__new__  # half the time of Aval(...)


class _Escaped(Exception):
    """A closed tape was appended to."""


class _Closed:
    """Stands in for the records of a closed tape, so that recording needs no test."""

    def append(self, record: Any) -> None:
        raise _Escaped


CLOSED = _Closed()


class Variable(Traced):
    """A value on a tape."""

    __slots__ = ()

    def __init__(self, trace: Any, value: Any, index: int, code: Any = None, instruction: int = 0) -> None:
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
        self.owner.records.append(CONSTANT)
        return Variable(self.owner, constant, len(self.owner.records) - 1)


def _outranks(trace: Any, value: Any) -> bool:
    """Is `value` a constant to this trace: plain, or of an older one that is still alive?"""
    if not isinstance(value, Value):
        return True
    if not value.owner.alive:
        raise escaped(value)
    return value.owner.serial < trace.serial


# ---- from a primitive to its handlers -----------------------------------------------------------------------------


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    plans: dict[tuple, tuple[bool, list[bool]]] = {}  # operands on the tape -> which residuals to keep

    def general(trace: Any, args: tuple, static: dict) -> Any:
        values, parents = [], []
        for arg in args:
            if type(arg) is Variable and arg.owner is trace:
                values.append(arg.value)
                parents.append(arg.index)
            elif isinstance(arg, Value) and not arg.owner.alive and primitive.kind != "constant":
                raise escaped(arg)
            else:
                values.append(arg)
                parents.append(-1)
        if primitive.kind == "constant":
            return primitive(*values, **static)
        if not trace.alive:
            raise escaped(*args)
        if primitive.save is not None:
            out, residuals = primitive.save(*values, **static)
            return _record(trace, primitive, tuple(parents), residuals, tuple(map(_aval, values)), static, out)
        out = primitive(*values, **static)
        if primitive.split is not None:
            out = split(primitive, trace, out, values, static)
        pattern = tuple([parent >= 0 for parent in parents])
        plan = plans.get(pattern)
        if plan is None:
            plan = plans[pattern] = _kept(primitive, parents, len(parents))
        return record_general(trace, primitive, parents, values, out, static, plan)

    if primitive.kind == "linear" and primitive.transpose.__code__.co_argcount == 2:  # the common case, made lean
        everything, makes_zeros, accumulates = general, primitive.local and not primitive.onto, primitive.accumulate is not None

        def general(trace: Any, args: tuple, static: dict) -> Any:
            if len(args) != 1:
                return everything(trace, args, static)
            (x,) = args
            value = x.value
            if makes_zeros and trace.curved:
                trace.exposed = True
            out = primitive(value, **static) if isinstance(value, Value) else primitive.function(value, **static)
            aval = _new_aval(Aval, (value.shape, value.dtype))
            try:
                if accumulates and not isinstance(value, Value):
                    if trace.totals is None:
                        trace.totals = {}
                    trace.records.append((pull_part, x.index, primitive, aval, static, trace.totals))
                else:
                    trace.records.append((pull_linear, x.index, primitive, aval, static))
            except _Escaped:
                raise escaped(x) from None
            return Variable(trace, out, len(trace.records) - 1)

    def fallback(*args: Any) -> Any:
        return located(bind(primitive, args, {}), _getframe(1))

    if primitive.kind in ("elementwise", "select") and len(primitive.slopes) == 1:  # type: ignore[arg-type]
        return _unary(primitive), general
    if primitive.kind in ("elementwise", "select") and len(primitive.slopes) == 2:  # type: ignore[arg-type]
        return _binary(primitive), general
    if primitive.kind == "multilinear" and type(primitive.transpose) is tuple and len(primitive.transpose) == 2:
        return _binary(primitive), general
    return fallback, general


def record_general(
    trace: Any, primitive: Primitive, parents: Sequence[int], values: list, out: Any, static: dict, plan: tuple | None = None
) -> Any:
    """Append the record of `out = primitive(*values)` with the residuals its rule reads; the output as variable(s)."""
    keep_out, keep = plan or _kept(primitive, parents, len(values))
    if primitive.kind == "linear":  # indices are operands too
        keep = [np.result_type(value).kind not in "fc" for value in values]
    operands = tuple([
        (value if parent >= 0 else snapshot(value)) if k else _aval(value)
        for k, value, parent in zip(keep, values, parents, strict=True)
    ])
    residual = out if keep_out else (tuple(map(_aval, out)) if primitive.multiple else _aval(out))
    return _record(trace, primitive, tuple(parents), residual, operands, static, out)


def _record(trace: Any, primitive: Any, parents: tuple, residual: Any, operands: tuple, static: dict, out: Any) -> Any:
    if primitive.kind == "elementwise" or (primitive.kind == "opaque" and primitive.local):
        trace.curved = True
    elif trace.curved and (primitive.kind == "select" or (primitive.local and not primitive.onto)):
        trace.exposed = True
    if not primitive.registered:
        trace.foreign = True
    records = trace.records
    records.append((pull_general, parents, primitive, residual, operands, static))
    index = len(records) - 1
    if not primitive.multiple:
        return Variable(trace, out, index)
    outputs = []
    for j, value in enumerate(out):
        if value is None or value.dtype.kind not in "fc":
            outputs.append(value)
            continue
        records.append((pull_item, index, j, len(out)))
        outputs.append(Variable(trace, value, len(records) - 1))
    return tuple(outputs)


def _aval(value: Any) -> Any:
    if not hasattr(value, "dtype"):  # a Python number or a list
        value = np.asarray(value)
    return _new_aval(Aval, (value.shape, value.dtype))


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
            g = product(g, slope(z, x))
        c = ct[i]
        ct[i] = g if c is None else c + g

    pull.expand = lambda record: (primitive, (record[1],), record[2], (record[3],), {})  # type: ignore[attr-defined]

    def fast(x: Any) -> Any:
        trace, value = x.owner, x.value
        if shortcut is not None and x.square is not None:
            return located(shortcut(x), _getframe(1))
        z = function(value)
        if z.dtype is not _FLOAT64 and z.dtype.kind == "c":
            if not trace.alive:
                raise escaped(x)
            return record_general(trace, primitive, (x.index,), [value], z, {})
        records = trace.records
        if not unit:
            trace.curved = True
        try:
            records.append((pull, x.index, z if keep_out else None, value if keep_x else None))
        except _Escaped:
            raise escaped(x) from None
        frame = _getframe(1)
        return Variable(trace, z, len(records) - 1, frame.f_code, frame.f_lasti)

    return fast


def _elementwise_terms(primitive: Primitive) -> list[str | None]:
    """For each operand its cotangent before unbroadcasting, as an expression in g, z, x, y; None where there is none."""
    if primitive.weights is not None:
        return ["sound(g * slope0(z, x, y))", "sound(g * slope1(z, x, y))"]
    if primitive.ties is not None:
        return ["share(g, slope0, z, x, y)", "share(g, slope1, z, x, y)"]
    return [_TERMS.get(slope, f"product(g, slope{k}(z, x, y))") for k, slope in enumerate(primitive.slopes)]  # type: ignore[arg-type]


_TERMS = {ONE: "g", MINUS_ONE: "g", ZERO: None, FIRST: "g * x", SECOND: "g * y"}


def _share(ties: Callable | None) -> Callable:
    """The cotangent of an operand that may tie with the other."""

    def share(g: Any, wins: Callable, z: Any, x: Any, y: Any) -> Any:
        tie = ties(z, x, y)  # type: ignore[misc]
        c = g * wins(z, x, y)
        return sound(c + 0.5 * (g * tie) if any_true(tie) else c)

    return share


# The handler of a broadcasting function of two real arguments, with one path per operand pattern, and what its records do.  They
# are generated with the expressions of one primitive in place: flags tested and terms called at run time cost a third more.
_BINARY = """
def {name}(x, y):
    if {own}type(y) is Variable and x.owner is y.owner:
        {shortcut}
        trace, p, q = x.owner, x.value, y.value
        z = {value}
        if z.dtype is not FLOAT64 and z.dtype.kind == "c":
            return complex_record(trace, x, y, p, q, x.index, y.index, z)
        record = pull_both, x.index, y.index, {both}, p.shape, q.shape
    elif {own}(type(y) in PLAIN or outranks(x.owner, y)):
        {shortcut}
        trace, p = x.owner, x.value
        z = {value_left}
        if z.dtype is not FLOAT64 and z.dtype.kind == "c":
            return complex_record(trace, x, y, p, y, x.index, -1, z)
        record = {left}
    elif type(y) is Variable and (type(x) in PLAIN or outranks(y.owner, x)):
        trace, q = y.owner, y.value
        z = function(x, q)
        if z.dtype is not FLOAT64 and z.dtype.kind == "c":
            return complex_record(trace, x, y, x, q, -1, y.index, z)
        record = {right}
    else:
        return located(bind(primitive, (x, y), {{}}), getframe(1))
    {mark}
    records = trace.records
    try:
        records.append(record)
    except Escaped:
        raise escaped(x, y) from None
    out = new(Variable)
    out.owner = trace
    out.value = z
    out.index = len(records) - 1
    out.square = None
    {place}
    return out
"""
_PLACE = """frame = getframe(1)
    out.code = frame.f_code
    out.instruction = frame.f_lasti"""
_PULLS = """
def pull_both(ct, g, record):
    _, i, j, z, x, y, shape, other = record
    {pull_first}
    {pull_second}

def pull_left(ct, g, record):
    _, i, z, x, y, shape = record
    {pull_first}

def pull_right(ct, g, record):
    _, j, z, x, y, other = record
    {pull_second}
"""
_PULL = """c = {term}
    if c.shape != {shape}:
        c = unbroadcast(c, {shape})
    {finish}
    have = ct[{index}]
    ct[{index}] = c if have is None else have + c"""
_SHORTCUT = """if x.square is not None and (z := shortcut(x, y)) is not None:
            return located(z, getframe(1))"""
_COPIED = "{0} if type({0}) in NUMBERS else {0}.copy() if type({0}) is ndarray else snapshot({0})"
_GLOBALS = {
    "Variable": Variable, "FLOAT64": _FLOAT64, "PLAIN": _PLAIN, "NUMBERS": _NUMBERS, "ndarray": _ndarray, "Escaped": _Escaped,
    "outranks": _outranks, "located": located, "bind": bind, "getframe": _getframe, "escaped": escaped, "new": object.__new__,
    "snapshot": snapshot, "product": product, "unbroadcast": unbroadcast, "sound": sound,
    "aval": lambda x: _new_aval(Aval, (x.shape, x.dtype)),
}  # fmt: skip


def _binary(primitive: Primitive) -> Callable:
    """fast(x, y) of a broadcasting function of two real arguments.

    For a bilinear function the term receives the aval of the operand it is the transpose for.
    """
    bilinear = primitive.kind == "multilinear"
    terms = ["slope0(g, x, y)", "slope1(g, x, y)"] if bilinear else _elementwise_terms(primitive)
    slopes: Any = primitive.transpose if bilinear else primitive.weights or primitive.slopes

    def residuals(pattern: tuple[int, int], x: str, y: str) -> str:
        """What the rules of the operands on the tape read of z, x and y; a bilinear function's own operand as its aval."""
        out, kept = _kept(primitive, pattern, 2)
        spared = [f"aval({name})" if bilinear and index == 0 else "None" for name, index in zip((x, y), pattern, strict=True)]
        x, y = (name if keep else instead for name, keep, instead in zip((x, y), kept, spared, strict=True))
        return f"{'z' if out else 'None'}, {x}, {y}"

    curves = primitive.kind == "elementwise" and any(slope not in (ONE, MINUS_ONE, ZERO) for slope in primitive.slopes)  # type: ignore[union-attr]
    selects = "if trace.curved:\n        trace.exposed = True" if primitive.kind == "select" else "pass"

    def pull(k: int) -> str:
        if terms[k] is None:
            return "pass"
        finish = "c = -c" if slopes[k] is MINUS_ONE else "pass"  # last: what has been summed is smaller
        return _PULL.format(term=terms[k], shape=("shape", "other")[k], finish=finish, index="ij"[k])

    symbol = getattr(primitive.function, "symbol", None)
    blanks = {
        "value": "function(p, q)" if symbol is None else f"p {symbol} q",
        "value_left": "function(p, y)" if symbol is None else f"p {symbol} y",
        "shortcut": "pass" if primitive.shortcut is None else _SHORTCUT,
        "mark": "trace.curved = True" if curves else selects,
        "both": residuals((0, 0), "p", "q"),
        "left": "CONSTANT"
        if terms[0] is None
        else f"pull_left, x.index, {residuals((0, -1), 'p', _COPIED.format('y'))}, p.shape",
        "right": "CONSTANT"
        if terms[1] is None
        else f"pull_right, y.index, {residuals((-1, 0), _COPIED.format('x'), 'q')}, q.shape",
    }
    source = _PULLS.format(pull_first=pull(0), pull_second=pull(1))
    source += _BINARY.format(name="fast", own="type(x) is Variable and ", place="pass", **blanks)
    source += _BINARY.format(name="operator", own="", place=_PLACE, **blanks)  # a method: x is a variable
    names: dict[str, Any] = dict(_GLOBALS)
    names |= {"primitive": primitive, "function": primitive.function, "shortcut": primitive.shortcut, "CONSTANT": CONSTANT}
    names |= {"slope0": slopes[0], "slope1": slopes[1], "share": _share(primitive.ties)}

    def complex_record(trace: Any, x: Any, y: Any, x_value: Any, y_value: Any, i: int, j: int, z: Any) -> Any:
        if not trace.alive:
            raise escaped(x, y)
        return record_general(trace, primitive, (i, j), [x_value, y_value], z, {})

    names["complex_record"] = complex_record
    exec(compile(source, f"{__file__}, {primitive.name}", "exec"), names)  # this file: a frame of the library

    def operand(value: Any, shape: tuple) -> Any:  # dtype is real here, or the general path would have been taken
        return Aval(shape, _FLOAT64) if value is None else value

    names["pull_both"].expand = lambda r: (primitive, (r[1], r[2]), r[3], (operand(r[4], r[6]), operand(r[5], r[7])), {})
    names["pull_left"].expand = lambda r: (primitive, (r[1], -1), r[2], (operand(r[3], r[5]), r[4]), {})
    names["pull_right"].expand = lambda r: (primitive, (-1, r[1]), r[2], (r[3], operand(r[4], r[5])), {})
    names["fast"].lean = True  # it handles whatever `bind` finds a variable to be the newest value of
    names["fast"].operator = names["operator"]  # notes where it was called, which NumPy's protocol does for the other
    return names["fast"]
