"""One operation on power series: the coefficients of its output, by kind of primitive.

    elementwise    z_m = (1 / m) sum over i of i x_i s_(m - i),  s = slope(z, x)          a product and a quotient directly
    select         z_m = x_m of the operand that is the output
    linear         z_m = L x_m
    multilinear    z_m = sum over i + j = m of B(x_i, y_j)
    opaque         z_m = (1 / m) [t**(m - 1)] jvp(x'; z, x), or the transpose of its pullback
    constant       no series

A user's operation is computed to the full order at once.  Operations inside a rule, which may read its output, give streams.
"""
from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core import primitive as core
from dualgrad.core.arrays import MINUS_ONE, ONE, ZERO, any_true, masked, spread, union
from dualgrad.core.primitive import Primitive, Trace, Value, bind
from dualgrad.core.registry import UFUNCS
from dualgrad.core.splitting import split
from dualgrad.core.traced import Traced, escaped, located
from dualgrad.interpreters.taylor.closed import closed_slopes
from dualgrad.interpreters.taylor.series import Stream, Workings, add, cauchy, differentiated, over, scaled, zero

_getframe = sys._getframe
_new = object.__new__


class Series(Traced):
    """A power series: its value at t = 0, and its coefficients."""

    __slots__ = ()

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Series:
        return series(self.owner, Stream(constant, zero))

    def parts(self) -> list[Any]:
        return [c for c in self.coefficients.known if c is not None]


def series(trace: Trace, coefficients: Stream, support: Any = None) -> Any:
    """A series of a trace; `support` says where it can move at all (None: everywhere), as that of a dual number."""
    out = _new(Series)
    out.owner, out.value, out.coefficients = trace, coefficients.known[0], coefficients
    out.support, out.square = support, None
    return out


def line(trace: Trace, x: Any, v: Any) -> Any:
    """x + t v."""
    stream = Stream(x, zero)
    stream.known.append(v)
    return series(trace, stream)


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    shortcut = primitive.shortcut

    def general(trace: Any, args: tuple, static: dict) -> Any:
        values, streams, supports = [], [], []
        for arg in args:
            own = type(arg) is Series and arg.owner is trace
            values.append(arg.value if own else np.asarray(arg) if type(arg) is list or type(arg) is tuple else arg)
            streams.append(arg.coefficients if own else None)
            supports.append(arg.support if own else None)
        if primitive.kind == "constant":
            return primitive(*values, **static)
        if not all(arg.owner.alive for arg in args if isinstance(arg, Value)):
            raise escaped(*args)
        if type(trace) is Workings:
            return _expand(trace, primitive, streams, supports, values, static)
        streams = [None if s is None or not any(c is not None for c in s.known[1:]) else s for s in streams]
        workings = Workings(trace)
        try:
            found = _expand(workings, primitive, streams, supports, values, static)
            with np.errstate(all="ignore"):
                return tuple(_completed(z, trace) for z in found) if primitive.multiple else _completed(found, trace)
        finally:
            workings.close()

    def fast(*args: Any) -> Any:
        if shortcut is not None and type(args[0]) is Series and args[0].square is not None and (z := shortcut(*args)) is not None:
            return located(z, _getframe(1))
        return located(bind(primitive, args, {}), _getframe(1))

    return fast, general


def _completed(z: Any, trace: Any) -> Any:
    """A result to the full order, in the user's trace."""
    if type(z) is not Series:
        return z
    stream = z.coefficients
    for m in range(1, trace.order + 1):
        c = stream[m]
        if m == 2 and c is not None and trace.collapse is not None:
            stream.known[2] = trace.collapse(c)
    return series(trace, stream, z.support)


def _expand(w: Workings, primitive: Primitive, streams: list, supports: list, values: list, static: dict) -> Any:
    """The output(s) of one operation as series of the workings; what has been computed before is found again."""
    key = _key(primitive, streams, values, static)
    if key is not None and key in w.memo:
        return w.memo[key]
    out = primitive(*values, **static)
    moving = [k for k, s in enumerate(streams) if s is not None]
    if primitive.kind == "opaque":
        return _opaque(w, primitive, moving, streams, supports, out, values, static)
    operands = [x if s is None else series(w, s, support) for x, s, support in zip(values, streams, supports, strict=True)]
    z = series(w, w.stream(out))
    if key is not None:
        w.memo[key] = z
        if primitive is UFUNCS[np.negative]:
            w.memo[primitive, z.coefficients] = operands[0]  # -(-x) is x: so the slopes of expit close on themselves
    if moving:
        rule, z.support = _RULES[primitive.kind](w, primitive, moving, operands, z, static)
        z.coefficients.rule = rule
    return z


def _key(primitive: Primitive, streams: list, values: list, static: dict) -> tuple | None:
    """What two equal operations agree in: streams by identity, numbers by what they are; None with an array among them."""
    parts: list[Any] = []
    for s, x in zip(streams, values, strict=True):
        if s is None and (isinstance(x, Value) or np.ndim(x)):
            return None
        parts.append(repr(x) if s is None else s)
    return (primitive, *parts, *static.items())


# ---- elementwise ------------------------------------------------------------------------------------------------------


def _elementwise(w: Workings, primitive: Primitive, moving: list, operands: list, z: Any, static: dict) -> tuple[Callable, Any]:
    shape, slopes = z.shape, closed_slopes(primitive)
    active = [k for k in moving if slopes[k] is not ZERO]
    support = _united([_spread(operands[k].support, shape) for k in active])
    if primitive is UFUNCS[np.multiply] and len(moving) == 2:
        rule = _product(operands[0], operands[1])
    elif primitive is UFUNCS[np.divide] and moving[-1] == 1:
        rule = _quotient(w, operands[0], operands[1], z)
    else:
        terms = [_term(w, slopes[k], k, operands, z) for k in active]
        return lambda m: add([_spread(term(m), shape) for term in terms]), support
    return lambda m: _spread(rule(m), shape), support


def _product(x: Any, y: Any) -> Callable[[int], Any]:
    """(x y)_m = x_m y_0 + x_0 y_m + the rest; each is 0 where a factor that is structurally 0 meets an infinite one."""
    a, b, both = x.coefficients, y.coefficients, _common(x.support, y.support)
    if both is None:
        return lambda m: cauchy(a, b, m)
    return lambda m: add([
        _masked(cauchy(a, b, m, m), x.support), _masked(cauchy(a, b, m, 0, 0), y.support), _masked(cauchy(a, b, m, 1, m - 1), both)
    ])  # fmt: skip


def _quotient(w: Workings, x: Any, y: Any, z: Any) -> Callable[[int], Any]:
    """(x / y)_m = (x_m - sum over i >= 1 of y_i (x / y)_(m - i)) / y_0, and structural zeros stay."""
    a = x.coefficients if type(x) is Series and x.owner is w else w.stream(x)
    b, c = y.coefficients, z.coefficients

    def rule(m: int) -> Any:
        known = _masked(cauchy(b, c, m, 1), y.support)
        rest = add([a[m], scaled(known, -1)])
        return None if rest is None else masked(rest / b[0], z.support)

    return rule


def _masked(c: Any, support: Any) -> Any:
    return c if c is None else masked(c, support)


def _common(a: Any, b: Any) -> Any:
    """Where two supports overlap."""
    return b if a is None else a if b is None else np.logical_and(a, b)


def _term(w: Workings, slope: Callable, k: int, operands: list, z: Any) -> Callable[[int], Any]:
    """m -> what operand k contributes to z_m."""
    x, support = operands[k].coefficients, operands[k].support
    if slope is ONE:
        return x.__getitem__
    if slope is MINUS_ONE:
        return lambda m: scaled(x[m], -1)
    dx = differentiated(x, w)
    found: list[Any] = []  # the slope is a series to be begun when it is needed: it may have a slope in its turn, and so on

    def term(m: int) -> Any:
        if not found:
            found.append(slope(z, *operands))
        s = found[0]
        if type(s) is not Series or s.owner is not w:
            product = None if x[m] is None else x[m] * s
        else:
            product = over(cauchy(dx, s.coefficients, m - 1), m)
        return _masked(product, support)

    return term


def _spread(c: Any, shape: tuple) -> Any:
    return c if c is None else spread(c, shape)


def _united(supports: list) -> Any:
    total = supports[0] if supports else None
    for support in supports[1:]:
        total = union(total, support)
    return total


def _select(w: Workings, primitive: Primitive, moving: list, operands: list, z: Any, static: dict) -> tuple[Callable, Any]:
    values = [x.value if k in moving else x for k, x in enumerate(operands)]
    tie = np.False_ if primitive.ties is None else primitive.ties(z.value, *values)
    shares, supports = [], []
    for k in moving:
        slope, support = primitive.slopes[k], operands[k].support  # type: ignore[index]
        if slope is not ZERO:
            win = slope(z.value, *values)
            shares.append((operands[k].coefficients, win))
            alive = _common(np.logical_or(win, tie), support)
            supports.append(spread(alive, z.shape) if any_true(np.logical_not(alive)) else None)

    def rule(m: int) -> Any:
        terms = [(x[m], win) for x, win in shares if x[m] is not None]
        return add([spread(np.where(win, c, np.where(tie, c * 0.5, 0)), z.shape) for c, win in terms])

    return rule, _united(supports)


# ---- linear and multilinear -------------------------------------------------------------------------------------------


def _linear(w: Workings, primitive: Primitive, moving: list, operands: list, z: Any, static: dict) -> tuple[Callable, Any]:
    data = len(operands) if primitive.data is None else primitive.data
    still = [np.zeros(np.shape(x), np.result_type(x)) if k < data else x for k, x in enumerate(operands)]
    support = None
    if primitive.local and any(operands[k].support is not None for k in moving):
        masks = list(still)
        for k in moving:
            alive = operands[k].support
            masks[k] = np.ones(operands[k].shape) if alive is None else np.where(alive, 1.0, 0.0)
        support = np.not_equal(primitive(*masks, **static), 0)

    def rule(m: int) -> Any:
        given = list(still)
        for k in moving:
            c = operands[k].coefficients[m]
            if c is not None:
                # a real coefficient of a complex value (of x + 1j) must not become the buffer complex ones are written into
                given[k] = c if c.dtype == operands[k].dtype else c.astype(operands[k].dtype)
        return None if all(g is s for g, s in zip(given, still, strict=True)) else primitive(*given, **static)

    return rule, support


def _multilinear(w: Workings, primitive: Primitive, moving: list, operands: list, z: Any, static: dict) -> tuple[Callable, Any]:
    streams = [operands[k].coefficients for k in moving]

    def product(*coefficients: Any) -> Any:
        given = list(operands)
        for k, c in zip(moving, coefficients, strict=True):
            given[k] = c
        return primitive(*given, **static)

    def rule(m: int) -> Any:
        total = None
        for first in itertools.product(range(m + 1), repeat=len(streams) - 1):
            if (rest := m - sum(first)) >= 0:
                given = [s[i] for s, i in zip(streams, (*first, rest), strict=True)]
                if all(c is not None for c in given):
                    total = product(*given) if total is None else total + product(*given)
        return total

    return rule, None


# ---- the full record --------------------------------------------------------------------------------------------------


def _opaque(
    w: Workings, primitive: Primitive, moving: list, streams: list, supports: list, out: Any, values: list, static: dict
) -> Any:
    """The outputs are streams whose rule evaluates the pushforward once, on streams."""
    if primitive.split is not None and static["order"] > 1:
        out = split(primitive, w.expansion, out, values, static)
    elif primitive.adapt is not None and any(streams[k][1] is not None for k in moving):
        first = [None if s is None else s[1] for s in streams]
        out = primitive.adapt(first[0] if len(first) == 1 else tuple(first), out, *values, **static)
    inner = w if primitive.registered else w.child()
    made = [
        w.stream(z) if z is not None and z.dtype.kind in "fc" else None for z in (out if primitive.multiple else (out,))
    ]
    found: list[Any] = []

    def derivative() -> list:
        if not found:
            operands, tangents = list(values), [None] * len(values)
            for k in moving:
                operands[k] = series(inner, streams[k], supports[k])
                dx = differentiated(streams[k], w)
                dx.known.append(np.zeros(values[k].shape, values[k].dtype)[()] if streams[k][1] is None else streams[k][1])
                tangents[k] = series(inner, dx, supports[k])
            own = [z if s is None else series(inner, s) for z, s in zip(out if primitive.multiple else (out,), made, strict=True)]
            found.extend(_pushed(primitive, moving, tangents, own, operands, static))
        return found

    def rule(j: int, m: int) -> Any:
        t = derivative()[j]
        own = type(t) is Series and t.owner is inner
        return over(t.coefficients[m - 1], m) if own else t if m == 1 else None

    results = []
    for j, (z, stream) in enumerate(zip(out if primitive.multiple else (out,), made, strict=True)):
        if stream is None:
            results.append(z)
            continue
        if moving:
            stream.rule = lambda m, j=j: rule(j, m)  # type: ignore[misc]
        results.append(series(w, stream, supports[0] if primitive.local else None))
    return tuple(results) if primitive.multiple else results[0]


def _pushed(primitive: Primitive, moving: list, tangents: list, outs: list, operands: list, static: dict) -> tuple:
    """The tangents of all outputs, by the rule."""
    out = tuple(outs) if primitive.multiple else outs[0]
    if primitive.jvp is not None:
        found = primitive.jvp(tangents[0] if len(tangents) == 1 else tuple(tangents), out, *operands, **static)
    else:
        found = core.pushed_through_pullback(primitive, moving, tangents, out, operands, static)
    return tuple(found) if primitive.multiple else (found,)


_RULES = {"elementwise": _elementwise, "select": _select, "linear": _linear, "multilinear": _multilinear}
