"""Degenerate spectra: a formal infinitesimal e that splits what is tied, so that every limit is a coefficient.

The slope of an eigenvector has 1 / (w_j - w_i) in it.  Where w_i = w_j, a function that does not depend on the choice of the
basis is as smooth as elsewhere, but its derivatives are sums in which poles cancel.  So a differentiated factorization of a
degenerate A is that of A + e V diag(s) V^H with distinct numbers s: V does not move, w becomes w + e s, and whatever follows is
computed, by the ordinary rules, on Laurent series in e instead of numbers (interpreters/laurent.py): they divide by
w_j - w_i = e (s_j - s_i).  They belong to a hidden trace just below the outermost one that differentiates A.

What leaves that one is the coefficient of e**0: a function of A alone has all its derivatives at A + e V diag(s) V^H, and they
are continuous at e = 0.  One that depends on the basis is left with a pole, which is an error.  Equal eigenvalues of a matrix that
holds e already are split by another infinitesimal below e, for e differentiates them as the transforms above do.
"""
from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.primitive import Primitive, Trace, Value

# Installed by the interpreter of Laurent series: (splitting, coefficients of 1, e, e**2, ...) -> their polynomial.
make_series: Callable = None  # type: ignore[assignment]

# Installed by the forward interpreter: the pushforward of any primitive, see `pushed` in interpreters/dual.py.
pushed: Callable = None  # type: ignore[assignment]


class Splitting(Trace):
    """The hidden trace of an infinitesimal, just below a trace that it serves (`source`, held weakly: there are to be no circles)
    or another infinitesimal; or of the workings of one, just above it.  `order` is that of the derivatives to be taken.
    """

    __slots__ = ("order", "source")
    source: Any

    def __init__(self, beside: Trace, shift: float) -> None:
        super().__init__(beside.serial + shift, "a degenerate spectrum")
        self.source, self.order = beside.source if type(beside) is Splitting else weakref.ref(beside), 0

    def ends_with(self, trace: Trace | None) -> bool:
        """Does what leaves this trace leave the series behind, or has their source ended already?"""
        source = self.source()
        return source is None or source is trace or not source.alive


def derivative_order(x: Any) -> int:
    """How many times is x differentiated?  (Mapped levels have another shape than their values.)"""
    order = 0
    while isinstance(x, Value):
        if x.shape == x.value.shape and type(x.owner) is not Splitting:
            order += getattr(x.owner, "order", 1)
        x = x.value
    return order


def split(primitive: Primitive, trace: Trace, out: tuple, values: list, static: dict) -> tuple:
    """The outputs of a factorization as a trace that differentiates it sees them: split where they are degenerate.

    primitive.split(out, *values, **static) gives the coefficients of 1, e, ... of each output, or None: nothing is tied.
    """
    if derivative_order(out[0]) or holds_series(out[0]):
        return out  # a trace further down has done it
    coefficients = primitive.split(out, *values, **static)  # type: ignore[misc]
    if coefficients is None:
        return out
    if trace.serial % 1 and type(trace) is not Splitting:
        raise unsupported_order()  # a Dual number made by hand: nothing takes the series off it
    if type(trace) is Splitting and static["order"] > 4:  # each infinitesimal doubles the orders: 2 s at 4, minutes at 8
        raise unsupported_order()
    if getattr(trace, "splitting", None) is None:
        trace.splitting = Splitting(trace, -(2**-20))
    trace.splitting.order = max(trace.splitting.order, static["order"])
    return tuple(make_series(trace.splitting, c) for c in coefficients)


def holds_series(x: Any, trace: Trace | None = None) -> bool:
    """Is there a series in x: any, or one that ends with a trace?"""
    while isinstance(x, Value):
        if type(x.owner) is Splitting and (trace is None or x.owner.ends_with(trace)):
            return True
        if holds_series(getattr(x, "tangent", None), trace):
            return True
        x = x.value
    return False


def settled(x: Any, trace: Trace) -> Any:
    """What leaves a trace: x with the coefficient of e**0 in place of its series."""
    return settle(x, trace=trace) if holds_series(x, trace) else x


settle = Primitive(
    "settle",
    lambda x, *, trace: x,
    "linear",
    transpose=lambda g, _x, *, trace: g,
    batch=lambda primitive, _mapped, x, **static: primitive(x, **static),
    local=True,
    onto=True,
)

# Where is x zero, as a series all of it?
vanishes = Primitive("vanishes", lambda x: np.equal(x, 0), "constant")


def gauge_error() -> errors.DegeneracyError:
    return errors.DegeneracyError(
        f"a derivative through a factorization of a matrix with equal eigenvalues or singular values{errors.user_line()} depends "
        "on the arbitrary basis of their subspace. Use a function that does not (v * h(w) @ v.T), or separate the spectrum."
    )


def unsupported_order() -> errors.DegeneracyError:
    return errors.DegeneracyError(
        f"a second derivative of eigenvectors or singular vectors of equal eigenvalues or singular values{errors.user_line()} is "
        "not supported for Dual numbers made by hand, or through three such factorizations one after the other. Use grad and jvp, "
        "nested, or separate the spectrum."
    )
