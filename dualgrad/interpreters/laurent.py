"""Laurent series in an infinitesimal e, in place of numbers, where a spectrum is degenerate (see core/splitting.py).

    x = sum over k >= start of x_k e**k          (x y)_k = sum x_i y_(k - i)          F(x)_k = (dF(x) x')_(k - 1) / k

A linear function acts on every coefficient, a product convolves them, and any other function is the integral of its own
pushforward along e: F(x(e)) = F(x_0) + integral of dF(x) x'(e) de.  A divisor may begin at e, element by element.  Poles live in
tangents and cotangents alone, which nothing but linear functions and products meets; elsewhere they must have cancelled.

A coefficient is computed when it is asked for; those that a derivative of the order at hand needs at once, so that a long
computation is no deep recursion.  `scale` is the size of what has been added up, to tell a pole from rounding.
"""
from __future__ import annotations

import functools
import itertools
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core import splitting as core
from dualgrad.core.arrays import ZERO, any_true, innermost
from dualgrad.core.primitive import Primitive, bind
from dualgrad.core.splitting import Splitting, gauge_error, settle, settled, vanishes
from dualgrad.core.traced import Traced, located

_getframe = sys._getframe


class Series:
    """The coefficients x_k, k >= start, each computed by rule(k) when it is first asked for; None is zero."""

    __slots__ = ("__weakref__", "known", "rule", "scale", "start")

    def __init__(self, start: int, rule: Callable[[int], Any], scale: float = 0.0, known: dict | None = None) -> None:
        self.start, self.rule, self.scale, self.known = start, rule, scale, {} if known is None else known

    def __getitem__(self, k: int) -> Any:
        if k < self.start:
            return None
        if k not in self.known:
            self.known[k] = self.rule(k)
        return self.known[k]


class Laurent(Traced):
    """A series of a hidden trace; `value` is its coefficient of e**0, which is never None."""

    __slots__ = ()

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Laurent:
        return _polynomial(self.owner, [constant])

    def parts(self) -> list[Any]:
        return [self.value, *(c for k, c in self.coefficients.known.items() if k and c is not None)]


def laurent(trace: Any, series: Series) -> Laurent:
    """A series of a trace, with the coefficients that are sure to be needed."""
    for k in range(series.start, trace.order + 1):
        series[k]
    if series[0] is None:
        series.known[0] = np.zeros_like(series[series.start])
    out = object.__new__(Laurent)
    out.owner, out.coefficients, out.value = trace, series, series[0]
    out.support = out.square = None
    return out


def _nothing(k: int) -> None:
    """The coefficients behind the last one of a polynomial."""


def _polynomial(trace: Any, coefficients: list) -> Laurent:
    return laurent(trace, Series(0, _nothing, max(map(_size, coefficients)), dict(enumerate(coefficients))))


core.make_series = _polynomial

# ---- sizes and poles --------------------------------------------------------------------------------------------------


def _size(x: Any, end: int | None = None) -> float:
    """The largest modulus in it, of a series that in its coefficients (up to e**end)."""
    if type(x) is not Laurent:
        return float(np.max(np.abs(innermost(x)), initial=0))
    known = x.coefficients.known
    return max([0.0, *(_size(c, end) for k, c in known.items() if c is not None and (end is None or k <= end))])


def _least(x: Any) -> float:
    """The smallest modulus in it, of a series that of all coefficients together."""
    parts = [c for c in x.coefficients.known.values() if c is not None] if type(x) is Laurent else [x]
    return float(np.min(sum(np.abs(innermost(part)) for part in parts) * 1.0, initial=np.inf))


def _scale(x: Any) -> float:
    return x.coefficients.scale if type(x) is Laurent else _size(x)


def _check_pole(series: Series, end: int | None = None) -> None:
    """Raise if there is a pole.  The coefficients may hold another infinitesimal, which matters as far as its power `end`."""
    for k in range(series.start, 0):
        c = series[k]
        if c is not None and _size(c, end) > float(np.finfo(c.dtype).eps) ** 0.5 * series.scale:
            raise gauge_error()


def _regular(x: Any, series: Series | None) -> Any:
    """The operand without its poles, which must be rounding."""
    if series is None or not series.start:
        return x
    _check_pole(series)
    return laurent(x.owner, Series(0, series.__getitem__, series.scale))


# ---- from a primitive to its handler ----------------------------------------------------------------------------------


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    rule = _rule(primitive)

    def general(trace: Any, args: tuple, static: dict) -> Any:
        args = tuple(np.asarray(x) if type(x) is list or type(x) is tuple else x for x in args)
        return rule(trace, primitive, args, [_series(x, trace) for x in args], static)

    def fast(*args: Any) -> Any:
        return located(bind(primitive, args, {}), _getframe(1))

    return fast, general


def _series(x: Any, trace: Any) -> Series | None:
    return x.coefficients if type(x) is Laurent and x.owner is trace else None


_LINEAR = frozenset(("add", "subtract", "negative", "positive", "conjugate", "real", "imag"))


def _rule(primitive: Primitive) -> Callable:
    if primitive is settle:
        return _settle
    if primitive is vanishes:
        return _vanishes
    if primitive.kind == "constant":
        return lambda trace, primitive, args, given, static: primitive(*map(_value, args, given), **static)
    name = primitive.name if primitive.registered else None  # a user's function may have any name
    if primitive.kind == "linear" or name in _LINEAR or _chooses(primitive):
        return _linear
    if primitive.kind == "multilinear" or name == "multiply":
        return _product
    return _quotient if name == "divide" else _integral


def _chooses(primitive: Primitive) -> bool:
    """Is it np.where?"""
    return primitive.kind == "select" and primitive.slopes[0] is ZERO  # type: ignore[index]


def _value(x: Any, series: Series | None) -> Any:
    return x if series is None else x.value


def _coefficient(x: Any, series: Series | None, k: int) -> Any:
    return series[k] if series is not None else x if k == 0 else None


def _start(series: Series | None) -> int:
    return 0 if series is None else series.start


def _zero(x: Any) -> Any:
    """No tangent to an operand; of a Python number one of its weak type."""
    return 0 if type(x) in (int, float, complex) else np.zeros(np.shape(x), np.result_type(x))


# ---- rules: rule(trace, primitive, args, given, static), given[i] the series of args[i] or None for a constant ---------


def _settle(trace: Any, primitive: Primitive, args: tuple, given: list, static: dict) -> Any:
    if not trace.ends_with(static["trace"]):
        return _linear(trace, primitive, args, given, static)
    _check_pole(given[0], 0)
    return settled(args[0].value, static["trace"])


def _vanishes(trace: Any, primitive: Primitive, args: tuple, given: list, static: dict) -> Any:
    """What is tied is split at e**1.  (In the workings of a pushforward e**0 tells, which holds another splitting.)"""
    found = True
    for k in range(given[0].start, min(trace.order, 1) + 1):
        c = given[0][k]
        found = found if c is None else np.logical_and(found, vanishes(c))
    return found


def _linear(trace: Any, primitive: Primitive, args: tuple, given: list, static: dict) -> Any:
    """A function linear in all its data together: coefficient by coefficient."""
    data = range(1, 3) if _chooses(primitive) else range(len(args) if primitive.data is None else primitive.data)

    def rule(k: int) -> Any:
        operands, found = list(map(_value, args, given)), False
        for i in data:
            c = _coefficient(args[i], given[i], k)
            found = found or c is not None
            operands[i] = _zero(operands[i]) if c is None else c
        return primitive(*operands, **static) if found else None

    return laurent(trace, Series(min(_start(given[i]) for i in data), rule, max(_scale(args[i]) for i in data)))


def _product(trace: Any, primitive: Primitive, args: tuple, given: list, static: dict) -> Any:
    """A function linear in each operand."""
    moving, start = [i for i, s in enumerate(given) if s is not None], sum(map(_start, given))

    def rule(k: int) -> Any:
        total = None
        for extra in itertools.product(range(k - start + 1), repeat=len(moving) - 1):
            operands, last = list(args), k - start - sum(extra)
            if last < 0:
                continue
            for i, more in zip(moving, (*extra, last), strict=True):
                operands[i] = given[i][given[i].start + more]
                if operands[i] is None:
                    break
            else:
                term = primitive(*operands, **static)
                total = term if total is None else total + term
        return total

    return laurent(trace, Series(start, rule, float(np.prod([_scale(x) for x in args]))))


def _quotient(trace: Any, primitive: Primitive, args: tuple, given: list, static: dict) -> Any:
    """x / y.  Where y begins at e, so does the quotient of x by y / e, one power lower."""
    (x, y), (numerator, _) = args, given
    y = _regular(y, given[1])
    divisor, start, late = _series(y, trace), _start(numerator), None
    if divisor is not None and any_true(zero := vanishes(divisor[0])) and divisor[1] is not None:
        late = np.logical_and(zero, np.logical_not(vanishes(divisor[1])))

    def shifted(k: int) -> Any:
        """The divisor, where it begins at e divided by e."""
        return _coefficient(y, divisor, k) if late is None else _either(late, divisor[k + 1], divisor[k])  # type: ignore[index]

    first = shifted(0)
    divisors = Series(0, shifted, known={0: first})

    def rule(k: int) -> Any:
        rest = _coefficient(x, numerator, k)
        for j in range(1, k - start + 1):
            if (d := divisors[j]) is not None and (q := quotients_()[k - j]) is not None:  # type: ignore[index]
                rest = -(q * d) if rest is None else rest - q * d
        return None if rest is None else rest / first

    quotients = Series(start, rule)
    quotients_ = weakref.ref(quotients)  # so that there is no circle
    scale = _scale(x) / (_least(first) or 1)
    if late is None:
        quotients.scale = scale
        return laurent(trace, quotients)
    return laurent(trace, Series(start - 1, lambda k: _either(late, quotients[k + 1], quotients[k]), scale))


def _either(mask: Any, x: Any, y: Any) -> Any:
    """np.where, of coefficients."""
    return None if x is None and y is None else np.where(mask, 0 if x is None else x, 0 if y is None else y)


class _Flow:
    """The outputs z of a function as power series: z_k = (dF(x) x')_(k - 1) / k.

    The pushforward is evaluated once, on series that refer back to z (weakly: there are to be no circles).
    """

    __slots__ = ("__weakref__", "first", "push", "velocities")

    def __init__(self, first: tuple, push: Callable) -> None:
        self.first, self.push = first, push
        self.velocities: list | None = None

    def series(self, j: int) -> Series:
        return Series(0, functools.partial(self.coefficient, j), known={0: self.first[j]})

    def coefficient(self, j: int, k: int) -> Any:
        if self.velocities is None:
            self.velocities = self.push(self.first, [_echo(weakref.ref(self), j) for j in range(len(self.first))])
        velocity = self.velocities[j](k - 1)
        return velocity if velocity is None or k == 1 else velocity / k


def _echo(flow: Any, j: int) -> Series:
    """The outputs as the pushforward sees them."""
    return Series(0, lambda k: flow().coefficient(j, k), known={0: flow().first[j]})


def _integral(trace: Any, primitive: Primitive, args: tuple, given: list, static: dict) -> Any:
    """F(x_0) + integral of the pushforward of F along e."""
    args = tuple(map(_regular, args, given))
    if primitive.split is not None:  # e differentiates a factorization as the transforms above do
        static = {**static, "order": static["order"] + trace.order}
    primals = [_value(x, s) for x, s in zip(args, given, strict=True)]
    out = primitive(*primals, **static)
    if primitive.split is not None:
        out = core.split(primitive, trace, out, primals, static)
    workings = trace if not trace.order else Splitting(trace, 2**-24)

    def push(first: tuple, series: list) -> list:
        operands = [x if s is None else laurent(workings, x.coefficients) for x, s in zip(args, given, strict=True)]
        velocities = [None if s is None else laurent(workings, _velocity(x)) for x, s in zip(args, given, strict=True)]
        outs = tuple(laurent(workings, s) if _moves(z) else z for z, s in zip(first, series, strict=True))
        with np.errstate(all="ignore"):
            found, _ = core.pushed(
                primitive, velocities, [None] * len(args), outs if primitive.multiple else outs[0], operands, static
            )
        moved = (None,) * len(first) if found is None else found if primitive.multiple else (found,)
        return [functools.partial(_coefficient, t, _series(t, workings)) for t in moved]

    flow = _Flow(out if primitive.multiple else (out,), push)
    results = []
    for j, z in enumerate(flow.first):
        if _moves(z):
            z = laurent(trace, flow.series(j))
            z.coefficients.scale = _size(z)
        results.append(z)
    return tuple(results) if primitive.multiple else results[0]


def _moves(z: Any) -> bool:
    return z is not None and z.dtype.kind in "fc"


def _velocity(x: Any) -> Series:
    """The derivative along e."""
    series = x.coefficients

    def rule(k: int) -> Any:
        c = series[k + 1]
        return (_zero(x) if k == 0 else None) if c is None else c if k == 0 else (k + 1) * c

    return Series(0, rule)
