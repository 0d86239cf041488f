"""Mapping: a value with a hidden leading axis, and every operation applied to all instances at once.

`Batched(value)` stands for value[0], value[1], …; its shape is value.shape[1:].  Elementwise functions align ranks, other
primitives bring a batch rule that moves the mapped axis along; one without a rule is applied instance by instance.
"""
from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.blackbox import permitted
from dualgrad.core.primitive import Primitive, Trace, Value, bind
from dualgrad.core.traced import Traced, escaped, located

_getframe = sys._getframe
_new = object.__new__
_ndarray = np.ndarray
_NUMBERS = frozenset((float, int, np.float64))
_ONE = [True]  # of one operand, that is mapped


class Batched(Traced):
    """A value mapped over the leading axis of `value`."""

    __slots__ = ()
    mapped = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape[1:]

    @property
    def ndim(self) -> int:
        return self.value.ndim - 1

    @property
    def size(self) -> int:
        return math.prod(self.value.shape[1:])

    def __bool__(self) -> bool:
        primal = permitted(self)
        if primal is None:
            raise _decision("bool() or an `if`")
        return bool(primal)

    def __int__(self) -> int:
        primal = permitted(self)
        if primal is None:
            raise _decision("int()")
        return int(primal)

    __index__ = __floor__ = __ceil__ = __trunc__ = __int__

    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        return _specialize(primitive)

    def lift(self, constant: Any) -> Batched:
        size = self.value.shape[0]
        return batched(self.owner, np.broadcast_to(constant, (size, *np.shape(constant))))

    def sibling(self, value: Any) -> Batched:
        """Another mapped value of the same trace."""
        return batched(self.owner, value)


def batched(trace: Trace, value: Any) -> Batched:
    """A mapped value of a trace."""
    out = _new(Batched)
    out.owner, out.value, out.square = trace, value, None
    return out


def _decision(what: str) -> errors.TracedConversionError:
    return errors.TracedConversionError(
        f"{what} of a mapped value{errors.user_line()}: inside vmap it has a different answer for every instance. "
        "Use np.where (or np.select) instead of a branch."
    )


def _specialize(primitive: Primitive) -> tuple[Callable, Callable]:
    rule, shortcut = _rule(primitive), primitive.shortcut

    def general(trace: Trace, args: tuple, static: dict) -> Any:
        if len(args) == 1 and trace.alive and not primitive.multiple:  # the common case, made lean
            value = args[0].value
            return batched(trace, rule(value.shape[0], _ONE, [value], static))
        values, mapped, size = [], [], 0
        for arg in args:
            if type(arg) is Batched and arg.owner is trace:
                values.append(arg.value)
                mapped.append(True)
                size = arg.value.shape[0]
            else:
                if isinstance(arg, Value) and not arg.owner.alive:
                    raise escaped(arg)
                values.append(np.asarray(arg) if type(arg) is list or type(arg) is tuple else arg)
                mapped.append(False)
        if not trace.alive:
            raise escaped(next(a for a in args if isinstance(a, Value)))
        out = rule(size, mapped, values, static)
        return tuple(batched(trace, z) for z in out) if primitive.multiple else batched(trace, out)

    def fast(*args: Any) -> Any:
        if shortcut is not None and type(args[0]) is Batched and args[0].square is not None and (z := shortcut(*args)) is not None:
            return located(z, _getframe(1))
        return located(bind(primitive, args, {}), _getframe(1))

    if primitive.slopes is not None and primitive.takes_traced:
        if len(primitive.slopes) == 1:
            return _unary(primitive, fast), general
        if len(primitive.slopes) == 2:
            return _binary(primitive, fast), general
    return fast, general


def _unary(primitive: Primitive, otherwise: Callable) -> Callable:
    """fast(x) of an elementwise function of one operand."""
    function = primitive.function

    def fast(x: Any) -> Any:
        trace = x.owner
        if x.square is not None or not trace.alive:
            return located(otherwise(x), _getframe(1))
        out = _new(Batched)
        out.owner = trace
        out.value = function(x.value)
        out.square = None
        frame = _getframe(1)
        out.code = frame.f_code
        out.instruction = frame.f_lasti
        return out

    return fast


def _binary(primitive: Primitive, otherwise: Callable) -> Callable:
    """fast(x, y) of a broadcasting function, where the mapped axis leads of itself: the ranks agree, or a constant's is lower."""
    function = primitive.function

    def fast(x: Any, y: Any) -> Any:
        if type(x) is Batched and x.square is None:
            trace, p = x.owner, x.value
            if type(y) is Batched and y.owner is trace:
                q = y.value
                lead = p.ndim == q.ndim
            else:
                q = y
                lead = type(q) in _NUMBERS or (type(q) is _ndarray and q.ndim < p.ndim)
        elif type(y) is Batched:
            trace, p, q = y.owner, x, y.value
            lead = type(p) in _NUMBERS or (type(p) is _ndarray and p.ndim < q.ndim)
        else:
            lead = False
        if not (lead and trace.alive):
            return located(otherwise(x, y), _getframe(1))
        out = _new(Batched)
        out.owner = trace
        out.value = function(p, q)
        out.square = None
        frame = _getframe(1)
        out.code = frame.f_code
        out.instruction = frame.f_lasti
        return out

    return fast


def _rule(primitive: Primitive) -> Callable:
    """rule(size, mapped, values, static) -> the output with the mapped axis leading."""
    if primitive.batch is not None:

        def rule(size: int, mapped: list[bool], values: list, static: dict) -> Any:
            out = primitive.batch(primitive, mapped, *values, **static)  # type: ignore[misc]
            return _one_by_one(primitive, size, mapped, values, static) if out is NotImplemented else out

        return rule
    if primitive.slopes is not None or primitive.kind == "constant":
        return lambda size, mapped, values, static: primitive(*align(mapped, values), **static)
    return lambda size, mapped, values, static: _one_by_one(primitive, size, mapped, values, static)


def align(mapped: list[bool], values: list) -> list:
    """Insert axes behind the mapped one so that the ranks of the instances agree and broadcasting is NumPy's."""
    ranks = [np.ndim(v) - m for v, m in zip(values, mapped, strict=True)]
    rank = max(ranks)
    return [
        np.reshape(v, (v.shape[0],) + (1,) * (rank - r) + v.shape[1:]) if m and r < rank else v
        for v, m, r in zip(values, mapped, ranks, strict=True)
    ]


def _one_by_one(primitive: Primitive, size: int, mapped: list[bool], values: list, static: dict) -> Any:
    outs = [primitive(*[v[i] if m else v for v, m in zip(values, mapped, strict=True)], **static) for i in range(size)]
    if primitive.multiple:
        return tuple(np.stack(column) for column in zip(*outs, strict=True))
    return np.stack(outs)
