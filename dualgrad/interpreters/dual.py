"""Forward mode: a dual number carries a primal and a tangent, and every operation pushes the tangent forward.

    f(x + t e) = f(x) + (f'(x) t) e,    e**2 = 0

A tangent of None is zero.  `support` tells where a tangent can be non-zero when a selection or an index has made the rest
*structurally* zero (None: everywhere): such a zero stays zero against an infinite slope, a computed one gives nan.
"""
from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core import primitive as core
from dualgrad.core import splitting
from dualgrad.core.arrays import FIRST, MINUS_ONE, ONE, SECOND, ZERO, masked, quietly, spread, union
from dualgrad.core.primitive import Primitive, Trace, Value, bind
from dualgrad.core.traced import Traced, escaped, located

_getframe = sys._getframe
_new = object.__new__


class Dual(Traced):
    """A dual number: a primal array and its tangent, usable by hand with NumPy functions and operators.

    >>> x = Dual(2.0, 1.0)
    >>> y = x**3 + np.sin(x) * 0
    >>> print(y.primal, y.tangent)
    8.0 12.0

    The tangent has the shape of the primal.  Duals made by hand belong together, so they combine:
    Dual(a, 1) * Dual(b, 0) is the derivative with respect to a.  Dual numbers may hold dual numbers.  They are the outermost
    level: for a derivative inside a transform, or inside another one by hand, use `jvp` or `derivative`, which tell levels apart.
    """

    __slots__ = ()

    def __init__(self, primal: Any, tangent: Any = None) -> None:
        self.value = primal = _floating(primal, "primal")
        if tangent is not None:
            tangent = tangent if isinstance(tangent, Value) else np.asarray(tangent, primal.dtype)[()]
            if tangent.shape != primal.shape:
                raise errors.StructureError(
                    f"Dual: the tangent has shape {tangent.shape}, the primal {primal.shape}; give a tangent of the primal's shape."
                )
        self.tangent, self.support, self.square = tangent, None, None
        self.owner = _hand_trace(max(_serial(primal), _serial(tangent)))

    @property
    def primal(self) -> Any:
        """The value one level down."""
        return self.value

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Dual:
        return dual(self.owner, constant, None)

    def parts(self) -> list[Any]:
        return [self.value] if self.tangent is None else [self.value, self.tangent]

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.tangent!r})"


def dual(trace: Trace, value: Any, tangent: Any, support: Any = None) -> Any:
    """A dual number of a trace (the constructor that transforms and handlers use)."""
    out = _new(Dual)
    out.owner, out.value, out.tangent, out.support, out.square = trace, value, tangent, support, None
    return out


def _floating(x: Any, what: str) -> Any:
    x = x if isinstance(x, Value) else np.array(x)[()]
    if x.dtype.kind not in "fc":
        if x.dtype.kind in "iub":
            raise errors.InputTypeError(
                f"Dual: the {what} is {errors.describe(x)}; a derivative needs a floating {what}: use float(x)."
            )
        raise errors.InputTypeError(f"Dual: the {what} must be a floating or complex array, not {errors.describe(x)}.")
    return x


def _serial(x: Any) -> float:
    return x.owner.serial if isinstance(x, Value) else 0.0


_HAND: weakref.WeakValueDictionary[float, Trace] = weakref.WeakValueDictionary()
_OUTERMOST = _HAND[0.5] = Trace(0.5, "Dual")  # held here: the dictionary alone would let it go between two duals


def _hand_trace(serial: float) -> Trace:
    """The trace of duals made by hand of values of that serial: inside it, but outside all traces made after it."""
    own = (serial + math.floor(serial) + 1) / 2
    return _HAND.setdefault(own, Trace(own, "Dual"))


# ---- from a primitive to its handlers -----------------------------------------------------------------------------


def _check_alive(*args: Any) -> None:
    if not all(value.owner.alive for value in args if isinstance(value, Value)):
        raise escaped(*args)


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    def general(trace: Trace, args: tuple, static: dict) -> Any:
        values, tangents, supports = [], [], []
        for arg in args:
            if type(arg) is Dual and arg.owner is trace:
                values.append(arg.value)
                tangents.append(arg.tangent)
                supports.append(arg.support)
            else:
                values.append(np.asarray(arg) if type(arg) is list or type(arg) is tuple else arg)
                tangents.append(None)
                supports.append(None)
        if primitive.kind == "constant":
            return primitive(*values, **static)
        _check_alive(*args)
        out = primitive(*values, **static)
        if primitive.split is not None and static["order"] > 1:
            out = splitting.split(primitive, trace, out, values, static)
        elif primitive.adapt is not None and any(t is not None for t in tangents):
            out = primitive.adapt(tangents[0] if len(tangents) == 1 else tuple(tangents), out, *values, **static)
        with np.errstate(all="ignore"):
            tangent, support = pushed(primitive, tangents, supports, out, values, static)
        if not primitive.multiple:
            return dual(trace, out, tangent, support)
        tangent = tangent or (None,) * len(out)
        return tuple(
            z if z is None or z.dtype.kind not in "fc" else dual(trace, z, t) for z, t in zip(out, tangent, strict=True)
        )

    def fallback(*args: Any) -> Any:
        return located(bind(primitive, args, {}), _getframe(1))

    if primitive.is_linear_in_one():
        return fallback, _linear(primitive, general)
    if primitive.kind == "multilinear" and type(primitive.transpose) is tuple and len(primitive.transpose) == 2:
        return _bilinear(primitive), general
    if primitive.kind == "elementwise" and len(primitive.slopes) == 1:  # type: ignore[arg-type]
        return _unary(primitive, general), general
    if primitive.kind == "elementwise" and len(primitive.slopes) == 2:  # type: ignore[arg-type]
        return _binary(primitive, general), general
    return fallback, general


def _unary(primitive: Primitive, general: Callable) -> Callable:
    function, slope = primitive.function, primitive.slopes[0]  # type: ignore[index]
    unit, quiet, shortcut = slope is ONE, _quiet_product(slope), primitive.shortcut

    def fast(x: Any) -> Any:
        trace, t = x.owner, x.tangent
        if shortcut is not None and x.square is not None:
            return located(shortcut(x), _getframe(1))
        if x.support is not None or not trace.alive:
            return located(general(trace, (x,), {}), _getframe(1))
        value = x.value
        out = _new(Dual)
        out.owner = trace
        out.value = z = function(value)
        out.tangent = t if t is None or unit else t * slope(z, value) if quiet is None else quiet(t, z, value)
        out.support = out.square = None
        frame = _getframe(1)
        out.code = frame.f_code
        out.instruction = frame.f_lasti
        return out

    return fast


def _linear(primitive: Primitive, everything: Callable) -> Callable:
    """The general handler of a linear function of one operand, and of integers that are no traced values."""

    def general(trace: Trace, args: tuple, static: dict) -> Any:
        x = args[0]
        if len(args) > 1 and (primitive.data != 1 or any([isinstance(arg, Value) for arg in args[1:]])):
            return everything(trace, args, static)
        t, value = x.tangent, x.value
        if x.support is not None or not trace.alive or (t is not None and t.dtype != value.dtype):
            return everything(trace, args, static)
        z = primitive(value, *args[1:], **static)
        return dual(trace, z, None if t is None else _pushed(primitive, (t, *args[1:]), static))

    return general


def _bilinear(primitive: Primitive) -> Callable:
    """fast(x, y) of a function linear in each of two operands: d(x y) = dx y + x dy."""

    def fast(x: Any, y: Any) -> Any:
        own_x = type(x) is Dual and not (isinstance(y, Value) and y.owner.serial > x.owner.serial)
        own_y = type(y) is Dual and not (isinstance(x, Value) and x.owner.serial > y.owner.serial)
        if not (own_x or own_y):
            return located(bind(primitive, (x, y), {}), _getframe(1))
        _check_alive(x, y)
        tangent = None
        p, q = x.value if own_x else x, y.value if own_y else y
        if own_x and x.tangent is not None:
            tangent = _pushed(primitive, (x.tangent, q), {})
        if own_y and y.tangent is not None:
            other = _pushed(primitive, (p, y.tangent), {})
            tangent = other if tangent is None else tangent + other
        return located(dual((x if own_x else y).owner, primitive(p, q), tangent), _getframe(1))

    return fast


def _pushed(primitive: Primitive, args: tuple, static: dict) -> Any:
    """A linear function of a tangent, which may be infinite: that is no floating-point error of the user's."""
    traced = any([isinstance(arg, Value) for arg in args])
    return quietly(primitive if traced else primitive.function, *args, **static)


def _quiet_product(slope: Callable) -> Callable | None:
    """t * slope of a singular slope: an infinite slope times a zero tangent is no floating-point error of the user's."""
    loud = getattr(slope, "loud", None)
    if loud is None:
        return None

    def product(t: Any, *args: Any) -> Any:
        with np.errstate(all="ignore"):
            return t * loud(*args)

    return product


# The handler of a broadcasting function of two operands, generated with the slopes of one primitive in place (tape/recording.py).
_BINARY = """
def fast(x, y):
    tangent = None
    if type(x) is Dual and type(y) is Dual and x.owner is y.owner:
        {shortcut}
        trace = x.owner
        if x.support is not None or y.support is not None or not trace.alive:
            return located(general(trace, (x, y), {{}}), getframe(1))
        s, t, p, q = x.tangent, y.tangent, x.value, y.value
        z = {value}
        {push_first}
        {push_second}
    elif type(x) is Dual and not (isinstance(y, Value) and y.owner.serial > x.owner.serial):
        {shortcut}
        trace = x.owner
        if x.support is not None or not trace.alive or (isinstance(y, Value) and not y.owner.alive):
            return located(general(trace, (x, y), {{}}), getframe(1))
        s, p, q = x.tangent, x.value, asarray(y) if type(y) is list or type(y) is tuple else y
        z = {value}
        {push_first}
    elif type(y) is Dual and not (isinstance(x, Value) and x.owner.serial > y.owner.serial):
        trace = y.owner
        if y.support is not None or not trace.alive or (isinstance(x, Value) and not x.owner.alive):
            return located(general(trace, (x, y), {{}}), getframe(1))
        t, p, q = y.tangent, asarray(x) if type(x) is list or type(x) is tuple else x, y.value
        z = function(p, q)
        {push_second}
    else:
        return located(bind(primitive, (x, y), {{}}), getframe(1))
    if tangent is not None and tangent.shape != z.shape:
        tangent = broadcast_to(tangent, z.shape)
    out = new(Dual)
    out.owner = trace
    out.value = z
    out.tangent = tangent
    out.support = out.square = None
    frame = getframe(1)
    out.code = frame.f_code
    out.instruction = frame.f_lasti
    return out
"""
_SHORTCUT = """if x.square is not None and (z := shortcut(x, y)) is not None:
            return located(z, getframe(1))"""
_FIRST_TERM = "tangent = None if s is None else {term}"
_SECOND_TERM = "tangent = tangent if t is None else {term} if tangent is None else tangent + {term}"
_TERMS = {ONE: "{t}", MINUS_ONE: "-{t}", FIRST: "{t} * p", SECOND: "{t} * q"}
_GLOBALS = {
    "Dual": Dual, "Value": Value, "located": located, "bind": bind, "getframe": _getframe, "new": _new, "asarray": np.asarray,
    "broadcast_to": np.broadcast_to,
}  # fmt: skip


def _binary(primitive: Primitive, general: Callable) -> Callable:
    """fast(x, y) of a broadcasting function: the tangents times their slopes, added up."""
    names: dict[str, Any] = dict(_GLOBALS)
    names |= {"primitive": primitive, "function": primitive.function, "shortcut": primitive.shortcut, "general": general}

    def push(k: int) -> str:
        slope, t = primitive.slopes[k], "st"[k]  # type: ignore[index]
        if slope is ZERO:
            return "pass"
        quiet = _quiet_product(slope)
        names[f"slope{k}"] = quiet or slope
        term = _TERMS.get(slope, f"slope{k}({{t}}, z, p, q)" if quiet else f"{{t}} * slope{k}(z, p, q)").format(t=t)
        return (_FIRST_TERM, _SECOND_TERM)[k].format(term=term)

    shortcut, symbol = "pass" if primitive.shortcut is None else _SHORTCUT, getattr(primitive.function, "symbol", None)
    value = "function(p, q)" if symbol is None else f"p {symbol} q"
    source = _BINARY.format(shortcut=shortcut, value=value, push_first=push(0), push_second=push(1))
    exec(compile(source, f"{__file__}, {primitive.name}", "exec"), names)  # this file: a frame of the library
    names["fast"].lean = True
    return names["fast"]


def pushed(primitive: Primitive, tangents: list, supports: list, out: Any, values: list, static: dict) -> tuple[Any, Any]:
    """(tangent, support) of the output of one primitive.  The clear version of all pushes, by kind of primitive."""
    kind = primitive.kind
    active = [k for k, t in enumerate(tangents) if t is not None]
    if not active:
        return None, None
    if kind in ("elementwise", "select"):
        terms, alive = [], []
        for k in active:
            slope, t, support = primitive.slopes[k], tangents[k], supports[k]  # type: ignore[index]
            if slope is ZERO:
                continue
            if kind == "select":
                mask = win = slope(out, *values)
                if primitive.ties is None:
                    term = np.where(win, t, 0)
                else:
                    tie = primitive.ties(out, *values)
                    term, mask = np.where(win, t, np.where(tie, t * 0.5, 0)), np.logical_or(win, tie)
                mask = mask if support is None else np.logical_and(mask, support)
            else:
                term, mask = (t if slope is ONE else _scaled(t, slope(out, *values), support)), support
            terms.append(spread(term, out.shape))
            alive.append(None if mask is None else spread(mask, out.shape))
        if not terms:
            return None, None
        return _sum(terms), _union(alive)
    if kind == "linear":
        data = len(values) if primitive.data is None else primitive.data
        # a real tangent of a complex value (that of x + 1j) must not become the buffer complex ones are written into
        given = [
            (x if k >= data else _zeros(x)) if t is None else t if t.dtype == x.dtype else t.astype(x.dtype)
            for k, (t, x) in enumerate(zip(tangents, values, strict=True))
        ]
        support = None
        if primitive.local and any(s is not None for s in supports):
            masks = [
                z if t is None else np.ones(z.shape) if s is None else np.where(s, 1.0, 0.0)
                for t, s, z in zip(tangents, supports, given, strict=True)
            ]
            support = np.not_equal(primitive(*masks, **static), 0)
        return primitive(*given, **static), support
    if kind == "multilinear":
        terms = [primitive(*[tangents[k] if m == k else x for m, x in enumerate(values)], **static) for k in active]
        return _sum(terms), None
    if primitive.jvp is not None:
        pushing = tangents[0] if len(tangents) == 1 else tuple(tangents)
        return primitive.jvp(pushing, out, *values, **static), supports[0] if primitive.local else None
    return core.pushed_through_pullback(primitive, active, tangents, out, values, static), None


def _scaled(t: Any, slope: Any, support: Any) -> Any:
    """t * slope; a finite slope leaves zeros zero, any other is masked (a traced one too: its derivatives may be infinite)."""
    product = t * slope
    finite = type(slope) is int or (not isinstance(slope, Value) and np.isfinite(slope).all())
    return product if finite else masked(product, support)


def _zeros(x: Any) -> Any:
    """No tangent."""
    return np.zeros(np.shape(x), np.result_type(x))


def _sum(terms: Sequence[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _union(supports: Sequence[Any]) -> Any:
    total = supports[0]
    for support in supports[1:]:
        total = union(total, support)
    return total


splitting.pushed = pushed
