"""Variables, and recording: from a primitive's data to what is done when it meets a variable.

A handler computes the output one level down and appends a tuple to the tape.  Real elementwise and bilinear functions have
lean handlers with one path per operand pattern (both on the tape, the left, the right); `record_general` serves the rest.
"""
from __future__ import annotations

import functools
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
from dualgrad.interpreters.tape.pulls import CONSTANT, GENERAL, ITEM, LINEAR, PART, numbered, sound

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

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Variable:
        self.owner.records.append(CONSTANT)
        return variable(self.owner, constant, len(self.owner.records) - 1)


def variable(trace: Any, value: Any, index: int) -> Variable:
    """A variable of a tape; without an __init__ to call it is made in half the time."""
    out = Variable()
    out.owner = trace  # one statement each: a tuple assignment is slower
    out.value = value
    out.index = index
    out.square = None
    return out


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

    def fallback(*args: Any) -> Any:
        return located(bind(primitive, args, {}), _getframe(1))

    if primitive.kind in ("elementwise", "select") and len(primitive.slopes) == 1:  # type: ignore[arg-type]
        return _unary(primitive), general
    if primitive.kind in ("elementwise", "select") and len(primitive.slopes) == 2:  # type: ignore[arg-type]
        return _binary(primitive), general
    if primitive.kind == "multilinear" and type(primitive.transpose) is tuple and len(primitive.transpose) == 2:
        return _binary(primitive), general
    if primitive.is_linear_in_one():
        return fallback, _linear(primitive, general)
    return fallback, general


def _linear(primitive: Primitive, everything: Callable) -> Callable:
    """The general handler of a linear function of one operand, and of integers that are no traced values."""
    makes_zeros, accumulates = primitive.local and not primitive.onto, primitive.accumulate is not None

    def general(trace: Any, args: tuple, static: dict) -> Any:
        x, rest = args[0], args[1:]
        if rest and (primitive.data != 1 or any([isinstance(arg, Value) for arg in rest])):
            return everything(trace, args, static)
        value = x.value
        if makes_zeros and trace.curved:
            trace.exposed = True
        out = primitive(value, *rest, **static) if isinstance(value, Value) else primitive.function(value, *rest, **static)
        aval = _new_aval(Aval, (value.shape, value.dtype))
        try:
            if rest:
                where = tuple([_aval(arg) if arg.dtype.kind in "fc" else snapshot(arg) for arg in rest])
                trace.records.append((LINEAR, x.index, primitive, aval, static, where))
            elif accumulates and not isinstance(value, Value):
                if trace.totals is None:
                    trace.totals = {}
                trace.records.append((PART, x.index, primitive, aval, static, rest, trace.totals))
            else:
                trace.records.append((LINEAR, x.index, primitive, aval, static, rest))
        except _Escaped:
            raise escaped(x) from None
        return variable(trace, out, len(trace.records) - 1)

    return general


def record_general(
    trace: Any, primitive: Primitive, parents: Sequence[int], values: list, out: Any, static: dict, plan: tuple | None = None
) -> Any:
    """Append the record of `out = primitive(*values)` with the residuals its rule reads; the output as variable(s)."""
    keep_out, keep = plan or _kept(primitive, parents, len(values))
    if primitive.kind == "linear":  # indices are operands too
        avals = [_aval(value) for value in values]
        operands = tuple([a if a.dtype.kind in "fc" else snapshot(value) for a, value in zip(avals, values, strict=True)])
    else:
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
    records.append((GENERAL, parents, primitive, residual, operands, static))
    index = len(records) - 1
    if not primitive.multiple:
        return variable(trace, out, index)
    outputs = []
    for j, value in enumerate(out):
        if value is None or value.dtype.kind not in "fc":
            outputs.append(value)
            continue
        records.append((ITEM, index, j, len(out)))
        outputs.append(variable(trace, value, len(records) - 1))
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


# What the handlers below have in common.  They are generated with the expressions of one primitive in place: flags tested and terms
# called at run time cost a third more.  An operator notes where it was called; for `fast` NumPy's protocol does it.
_MADE = """    {mark}
    records = trace.records
    try:
        records.append(record)
    except Escaped:
        raise escaped({operands}) from None
    out = Variable()
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
_ACCUMULATE = """have = ct[{index}]
    ct[{index}] = c if have is None else have + c"""
_IF_COMPLEX = """if z.dtype is not FLOAT64 and z.dtype.kind == "c":
            return complex_record(trace, [{operands}], [{values}], [{indices}], z)"""
_GLOBALS = {
    "Variable": Variable, "FLOAT64": _FLOAT64, "PLAIN": _PLAIN, "NUMBERS": _NUMBERS, "ndarray": _ndarray, "Escaped": _Escaped,
    "outranks": _outranks, "located": located, "bind": bind, "getframe": _getframe, "escaped": escaped, "snapshot": snapshot,
    "product": product, "unbroadcast": unbroadcast, "sound": sound, "CONSTANT": CONSTANT,
    "aval": lambda x: _new_aval(Aval, (x.shape, x.dtype)),
}  # fmt: skip


def _compiled(primitive: Primitive, source: str, **names: Any) -> dict[str, Any]:
    """The namespace of generated source, in which one primitive is known."""

    def complex_record(trace: Any, operands: list, values: list, indices: list, z: Any) -> Any:
        if not trace.alive:
            raise escaped(*operands)
        return record_general(trace, primitive, indices, values, z, {})

    space: dict[str, Any] = _GLOBALS | names
    space |= {"primitive": primitive, "function": primitive.function, "shortcut": primitive.shortcut}
    space["complex_record"] = complex_record
    exec(compile(source, f"{__file__}, {primitive.name}", "exec"), space)  # this file: a frame of the library
    space["fast"].lean = True  # it handles whatever `bind` finds a variable to be the newest value of
    space["fast"].operator = space["operator"]
    return space


# ---- functions of one operand -----------------------------------------------------------------------------------------
_UNARY = """
def {name}(x):
    {shortcut}
    trace, p = x.owner, x.value
    z = function(p)
    {if_complex}
    record = PULL, x.index, {residuals}
"""
_UNARY_PULL = """
def pull(ct, g, record):
    _, i, z, x = record
    c = {term}
    {accumulate}
"""


@functools.cache
def _unary(primitive: Primitive) -> Callable:
    """fast(x) of an elementwise function of one real argument."""
    slope = primitive.slopes[0]  # type: ignore[index]
    keep_out, (keep_x,) = _kept(primitive, (0,), 1)
    term = "g" if slope is ONE else "product(g, slope(z, x))"
    source = _UNARY_PULL.format(term=term, accumulate=_ACCUMULATE.format(index="i"))
    for name, place in (("fast", "pass"), ("operator", _PLACE)):
        source += _UNARY.format(
            name=name,
            shortcut="pass" if primitive.shortcut is None else _SHORTCUT.format(operands="x"),
            if_complex=_IF_COMPLEX.format(operands="x", values="p", indices="x.index"),
            residuals=f"{'z' if keep_out else 'None'}, {'p' if keep_x else 'None'}",
        )
        source += _MADE.format(mark="pass" if slope is ONE else "trace.curved = True", operands="x", place=place)
    space = _compiled(primitive, source, slope=slope)
    space["PULL"] = numbered(space["pull"], lambda r: (primitive, (r[1],), r[2], (r[3],), {}))
    return space["fast"]


# ---- functions of two operands ----------------------------------------------------------------------------------------


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


# One path per operand pattern: both on the tape, the left, the right.  Where nothing is stretched a pull needs no shapes.
_BINARY = """
def {name}(x, y):
    if {own}type(y) is Variable and x.owner is y.owner:
        {shortcut}
        trace, p, q = x.owner, x.value, y.value
        z = {value}
        {if_complex_both}
        {both}
    elif {own}(type(y) in PLAIN or outranks(x.owner, y)):
        {shortcut}
        trace, p = x.owner, x.value
        z = {value_left}
        {if_complex_left}
        {left}
    elif type(y) is Variable and (type(x) in PLAIN or outranks(y.owner, x)):
        trace, q = y.owner, y.value
        z = function(x, q)
        {if_complex_right}
        {right}
    else:
        return located(bind(primitive, (x, y), {{}}), getframe(1))
"""
_SHORTCUT = """if x.square is not None and (z := shortcut({operands})) is not None:
            return located(z, getframe(1))"""
_COPY = """if type({0}) not in NUMBERS:
            {0} = {0}.copy() if type({0}) is ndarray else snapshot({0})
        """
_PULL = """
def pull_{name}(ct, g, record):
    _, {parents}, z, x, y{shapes} = record
    {contributions}
"""
_STRETCHED = """if c.shape != {shape}:
        c = unbroadcast(c, {shape})
    """


@functools.cache
def _binary(primitive: Primitive) -> Callable:
    """fast(x, y) of a broadcasting function of two real arguments.

    For a bilinear function the term receives the aval of the operand it is the transpose for.
    """
    bilinear = primitive.kind == "multilinear"
    terms = ["slope0(g, x, y)", "slope1(g, x, y)"] if bilinear else _elementwise_terms(primitive)
    slopes: Any = primitive.transpose if bilinear else primitive.weights or primitive.slopes

    def contribution(k: int, stretched: bool) -> str:
        """Statements that add its cotangent to that of operand k."""
        if terms[k] is None:
            return "pass"
        sum_up = _STRETCHED.format(shape=("shape", "other")[k]) if stretched else ""
        negate = "c = -c\n    " if slopes[k] is MINUS_ONE else ""  # last: what has been summed is smaller
        return f"c = {terms[k]}\n    {sum_up}{negate}" + _ACCUMULATE.format(index="ij"[k])

    def residuals(pattern: tuple[int, int], x: str, y: str) -> str:
        """What the rules of the operands on the tape read of z, x and y; a bilinear function's own operand as its aval."""
        out, kept = _kept(primitive, pattern, 2)
        spared = [f"aval({name})" if bilinear and index == 0 else "None" for name, index in zip((x, y), pattern, strict=True)]
        x, y = (name if keep else instead for name, keep, instead in zip((x, y), kept, spared, strict=True))
        return f"{'z' if out else 'None'}, {x}, {y}"

    def recorded(name: str, operands: tuple[int, ...], kept: str, other: str = "") -> str:
        """Statements that make the record, with the shapes of the operands on the tape if one was stretched."""
        if len(operands) == 1 and terms[operands[0]] is None:
            return "record = CONSTANT"
        copy = _COPY.format(other) if other and other in kept.split(", ") else ""
        rest = ", ".join([*(f"{'xy'[k]}.index" for k in operands), kept])
        shapes = [f"({s} := {p}.shape)" for s, p in [("s", "p"), ("t", "q")] if "pq".index(p) in operands]
        if bilinear:
            return f"{copy}record = {name}_STRETCHED, {rest}, {', '.join(shapes)}"
        known = f"type({other}) in NUMBERS or " if other else ""
        stretched = f"{name}_STRETCHED, {rest}, {', '.join('st'[k] for k in operands)}"
        return f"{copy}record = ({name}, {rest}) if {known}{' == '.join([*shapes, 'z.shape'])} else ({stretched})"

    curves = primitive.kind == "elementwise" and any(slope not in (ONE, MINUS_ONE, ZERO) for slope in primitive.slopes)  # type: ignore[union-attr]
    selects = "if trace.curved:\n        trace.exposed = True" if primitive.kind == "select" else "pass"
    symbol = getattr(primitive.function, "symbol", None)
    blanks = {
        "value": "function(p, q)" if symbol is None else f"p {symbol} q",
        "value_left": "function(p, y)" if symbol is None else f"p {symbol} y",
        "shortcut": "pass" if primitive.shortcut is None else _SHORTCUT.format(operands="x, y"),
        "if_complex_both": _IF_COMPLEX.format(operands="x, y", values="p, q", indices="x.index, y.index"),
        "if_complex_left": _IF_COMPLEX.format(operands="x, y", values="p, y", indices="x.index, -1"),
        "if_complex_right": _IF_COMPLEX.format(operands="x, y", values="x, q", indices="-1, y.index"),
        "both": recorded("BOTH", (0, 1), residuals((0, 0), "p", "q")),
        "left": recorded("LEFT", (0,), residuals((0, -1), "p", "y"), "y"),
        "right": recorded("RIGHT", (1,), residuals((-1, 0), "x", "q"), "x"),
    }
    source = ""
    for name, operands in _PATTERNS.items():
        for stretched in (False, True):
            source += _PULL.format(
                name=name + ("_STRETCHED" if stretched else ""),
                parents=", ".join("ij"[k] for k in operands),
                shapes="".join(f", {('shape', 'other')[k]}" for k in operands) if stretched else "",
                contributions="\n    ".join(contribution(k, stretched) for k in operands),
            )
    for name, own, place in (("fast", "type(x) is Variable and ", "pass"), ("operator", "", _PLACE)):  # a method: x is a variable
        source += _BINARY.format(name=name, own=own, **blanks)
        source += _MADE.format(mark="trace.curved = True" if curves else selects, operands="x, y", place=place)
    space = _compiled(primitive, source, slope0=slopes[0], slope1=slopes[1], share=_share(primitive.ties))
    for name, operands in _PATTERNS.items():
        for pull in (name, f"{name}_STRETCHED"):
            space[pull] = numbered(space[f"pull_{pull}"], functools.partial(_expanded, primitive, operands))
    return space["fast"]


_PATTERNS = {"BOTH": (0, 1), "LEFT": (0,), "RIGHT": (1,)}  # which operands are on the tape


def _expanded(primitive: Primitive, on_tape: tuple[int, ...], record: tuple) -> tuple:
    """The general form of the record of a function of two operands."""
    end = 1 + len(on_tape)
    indices, out, operands = record[1:end], record[end], list(record[end + 1 : end + 3])
    parents = [-1, -1]
    for k, index, shape in zip(on_tape, indices, record[end + 3 :] or (None,) * len(on_tape), strict=True):
        parents[k] = index
        if operands[k] is None and shape is not None:  # dtype is real here, or the general path would have been taken
            operands[k] = Aval(shape, _FLOAT64)
    return primitive, tuple(parents), out, tuple(operands), {}
