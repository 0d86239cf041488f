"""Streams of Taylor coefficients, and the traces they belong to.

    cauchy            (x y)_m = sum over i of x_i y_(m - i)
    differentiated    x'(t)_m = (m + 1) x_(m + 1)

A coefficient of None is zero.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dualgrad.core.primitive import Trace
from dualgrad.core.serial import next_serial


class Stream:
    """The coefficients of a power series, each computed by rule(m) when it is first asked for."""

    __slots__ = ("known", "rule")

    def __init__(self, first: Any, rule: Callable[[int], Any]) -> None:
        self.known, self.rule = [first], rule

    def __getitem__(self, m: int) -> Any:
        known = self.known
        while len(known) <= m:
            known.append(self.rule(len(known)))
        return known[m]


def zero(m: int) -> None:
    """The rule of a constant."""


class Expansion(Trace):
    """The trace of one expansion to a given order.

    `collapse`, if given, is applied to the second coefficient of every result (the Laplacian, transforms/taylor.py).
    """

    __slots__ = ("collapse", "order")

    def __init__(self, label: str, order: int, collapse: Callable | None = None) -> None:
        self.serial, self.label, self.alive = next_serial(), label, True
        self.order, self.collapse = order, collapse


class Workings(Trace):
    """The hidden trace, inside an expansion, of the series that the rule of one operation is evaluated on.

    `memo` holds what was computed already: the slope of the slope of a sine is that sine.
    """

    __slots__ = ("children", "expansion", "memo", "streams")

    def __init__(self, trace: Trace) -> None:
        self.serial, self.label, self.alive = trace.serial + 2**-20, trace.label, True
        self.expansion: Any = trace.expansion if type(trace) is Workings else trace
        self.memo: dict[tuple, Any] = {}
        self.streams: list[Stream] = []
        self.children: list[Workings] = []

    def child(self) -> Workings:
        """For the rule of a user's function, which looks at whose its arguments are."""
        self.children.append(Workings(self))
        return self.children[-1]

    def stream(self, first: Any, rule: Callable[[int], Any] = zero) -> Stream:
        self.streams.append(Stream(first, rule))
        return self.streams[-1]

    def close(self) -> None:
        """Cut the circles: a stream knows its rule, and the rule its stream."""
        self.alive = False
        self.memo.clear()
        for stream in self.streams:
            stream.rule = zero
        for child in self.children:
            child.close()


def add(terms: Sequence[Any]) -> Any:
    """The sum of coefficients."""
    total = None
    for term in terms:
        if term is not None:
            total = term if total is None else total + term
    return total


def cauchy(x: Stream, y: Stream, m: int, start: int = 0, stop: int | None = None) -> Any:
    """sum over start <= i <= stop of x_i y_(m - i); to m unless told."""
    total = None
    for i in range(start, (m if stop is None else stop) + 1):
        if (a := x[i]) is not None and (b := y[m - i]) is not None:
            term = a * b
            total = term if total is None else total + term
    return total


def differentiated(x: Stream, workings: Workings) -> Stream:
    """x'(t): (m + 1) x_(m + 1)."""
    stream = workings.stream(None, lambda m: scaled(x[m + 1], m + 1))
    stream.known.clear()
    return stream


def scaled(c: Any, factor: float) -> Any:
    return c if c is None or factor == 1 else c * factor


def over(c: Any, m: int) -> Any:
    return c if c is None or m == 1 else c / m
