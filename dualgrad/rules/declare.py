"""Constructors of primitives, named by algebra.  A new function is one declaration; every transform follows.

    elementwise(np.sin, lambda _y, x: np.cos(x))              slope per operand: d out / d operand, given (out, *operands)
    elementwise(np.add, ONE, ONE)                             a unit slope costs no multiplication
    select(np.maximum, np.greater, ..., ties=...)             the output is one of the operands
    linear(function, transpose=lambda ct, x, *, axis: ...)    the tangent map is the function itself
    multilinear(function, transposes=(…, …))                  linear in each operand
    constant(np.floor)                                        no tangent
    opaque(function, jvp=…, vjp=…)                            the full record; either half suffices

Rules are plain NumPy on values one level down, which may be traced: never unwrap, never write in place, never branch on
data, never np.asarray.  Arrays are positional, everything static keyword-only, hashable and already normalised.
A parameter spelled with a leading underscore is not needed and is not kept alive.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core.primitive import Primitive
from dualgrad.core.registry import UFUNCS


def _register(primitive: Primitive, function: Any) -> Primitive:
    if isinstance(function, np.ufunc):
        UFUNCS[function] = primitive
    return primitive


def elementwise(function: Any, *slopes: Callable, shortcut: Callable | None = None, name: str | None = None) -> Primitive:
    """A broadcasting function; slopes[k](out, *operands) is its derivative with respect to operand k (holomorphic).

    `shortcut(x, *rest)` may give the result in another way when its first operand is a root that knows its square.
    """
    return _register(Primitive(name or function.__name__, function, "elementwise", slopes=slopes, shortcut=shortcut), function)


def select(
    function: Any, *wins: Callable, ties: Callable | None = None, weights: tuple | None = None, name: str | None = None
) -> Primitive:
    """A broadcasting function whose output is one of its operands.

    wins[k](out, *operands) is true where operand k alone is the output; where `ties` is true both share, half and half.
    weights[k], if given, is the same as one number 0, 1/2, 1: a fast way that may be nan (inf - inf), for then wins and ties
    decide.
    """
    return _register(Primitive(name or function.__name__, function, "select", slopes=wins, ties=ties, weights=weights), function)


def linear(
    function: Any,
    transpose: Callable,
    *,
    batch: Callable | None = None,
    local: bool = False,
    onto: bool = False,
    data: int | None = None,
    accumulate: Callable | None = None,
    name: str | None = None,
) -> Primitive:
    """A function linear in all its array operands together, or in the first `data` of them (the others are integer or boolean).

    transpose(ct, *avals, **static) returns the cotangent of its operand, or a tuple of them (None: not needed); it is given
    shapes and dtypes (`Aval`) of the operands, not values.  `local`: the map only moves and adds elements, so a structural
    zero stays one.
    `onto`: every element of the operand reaches the output, so the transpose makes no zeros.
    `accumulate(total, ct, mapped, **static)` adds the transpose of a plain cotangent to a plain array in place, where that is much
    less than the whole array: many reads of small parts of one array then take no array of zeros each.  Both have one more axis in
    front if `mapped`.
    """
    name = name or function.__name__
    primitive = Primitive(
        name, function, "linear", transpose=transpose, batch=batch, local=local, onto=onto, data=data, accumulate=accumulate
    )
    return _register(primitive, function)


def multilinear(
    function: Any,
    transposes: Any,
    *,
    batch: Callable | None = None,
    alike: Callable = lambda k, m, static: False,
    name: str | None = None,
) -> Primitive:
    """A function linear in each array operand.

    transposes[k](ct, *operands, **static) is the cotangent of operand k, of operand k's shape, given the values of the other
    operands (operand k itself is an `Aval`).  A single function with a keyword `operand` may stand for all of them.
    Write it for real numbers: complex operands arrive conjugated.  alike(k, m, static): may operands k and m change places?
    Then one that stands in both has one cotangent, doubled.
    """
    primitive = Primitive(name or function.__name__, function, "multilinear", transpose=transposes, batch=batch, alike=alike)
    return _register(primitive, function)


def constant(function: Any, *, batch: Callable | None = None, name: str | None = None, multiple: bool = False) -> Primitive:
    """A function whose derivative is zero almost everywhere; its result carries no tangent."""
    return _register(Primitive(name or function.__name__, function, "constant", batch=batch, multiple=multiple), function)


def opaque(
    function: Any,
    jvp: Callable | None = None,
    vjp: Callable | None = None,
    *,
    batch: Callable | None = None,
    split: Callable | None = None,
    adapt: Callable | None = None,
    local: bool = False,
    multiple: bool = False,
    name: str | None = None,
) -> Primitive:
    """The full record; a missing half is the transpose of the other.

    jvp(tangents, out, *primals, **static) -> tangent of the output; vjp(ct, out, *primals, **static) -> cotangents.
    With one operand, tangents and the result of vjp are not tuples; a tangent of None is zero, and so is a cotangent.
    With `multiple` outputs, out, ct and the tangent of the output are tuples, and ct[j] may be None.
    Outputs with an arbitrary choice (a basis of eigenvectors) may say how it is made for a derivative: split(out, *primals,
    **static) -> the series that replace degenerate outputs, or None (core/splitting.py); adapt(tangents, out, *primals, **static)
    -> the outputs that suit these tangents, which is enough for a first derivative in forward mode (rules/degenerate.py).  Both
    need a static `order`, that of the derivative.
    `local`: the function acts on each element by itself, and its slopes are finite, so a structural zero stays one.
    """
    return _register(
        Primitive(
            name or function.__name__,
            function,
            "opaque",
            jvp=jvp,
            vjp=vjp,
            batch=batch,
            split=split,
            adapt=adapt,
            local=local,
            multiple=multiple,
        ),
        function,
    )


def singular(slope: Callable) -> Callable:
    """A slope that is infinite where the function itself is fine (sqrt at 0): its floating-point warnings are not the user's."""

    @functools.wraps(slope)
    def quiet(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return slope(*args)

    quiet.loud = slope  # type: ignore[attr-defined]
    return quiet


# ---- batch rules: batch(primitive, mapped, *values, **static) -> output with the mapped axis leading ------------------


def _shifted(axis: Any) -> Any:
    return tuple(a + 1 for a in axis) if isinstance(axis, tuple) else axis + 1


def batch_axis(*names: str) -> Callable:
    """One operand, with axis arguments to shift by one.

    They are non-negative ints or tuples of them, or None for a rule that needs none.
    """

    def rule(primitive: Primitive, mapped: Any, x: Any, **static: Any) -> Any:
        for name in names:
            static[name] = _shifted(static[name])
        return primitive(x, **static)

    return rule


def batch_axes(*names: str) -> Callable:
    """Several operands without broadcasting (concatenate, stack): all become mapped, axis arguments shift by one."""

    def rule(primitive: Primitive, mapped: Any, *values: Any, **static: Any) -> Any:
        size = next(v.shape[0] for v, m in zip(values, mapped, strict=True) if m)
        values = tuple(v if m else np.broadcast_to(v, (size, *np.shape(v))) for v, m in zip(values, mapped, strict=True))
        for name in names:
            static[name] = _shifted(static[name])
        return primitive(*values, **static)

    return rule


def batch_core(*core: int) -> Callable:
    """A function of trailing `core` dimensions per operand that broadcasts over leading ones, as NumPy's linalg does."""

    def rule(primitive: Primitive, mapped: Any, *values: Any, **static: Any) -> Any:
        loops = [np.ndim(v) - c - m for v, c, m in zip(values, core, mapped, strict=True)]
        rank = max(loops)
        aligned = [
            np.reshape(v, (v.shape[0],) + (1,) * (rank - n) + v.shape[1:]) if m and n < rank else v
            for v, m, n in zip(values, mapped, loops, strict=True)
        ]
        return primitive(*aligned, **static)

    return rule
