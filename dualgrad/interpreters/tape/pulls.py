"""What a record does with a cotangent: pull(ct, g, record) adds (d out / d parent)^H g to ct[parent] for each parent.

`contributions` is the clear version of all pulls, by kind of primitive, with supports; the lean ones for real elementwise and
bilinear functions are made with their handlers in recording.py.  A record names its pull by a number in PULLS: a tuple of
numbers and arrays is nothing that the garbage collector looks through, and with the function itself in it, looking through all
records again and again was half the time of a long recording.
"""
from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad.core import primitive as core
from dualgrad.core.arrays import ONE, ZERO, conjugate, masked, real_like, through, unbroadcast
from dualgrad.core.primitive import Aval, Value
from dualgrad.core.traced import components

PULLS: list[Callable] = []
_numbering = threading.Lock()


def numbered(pull: Callable, expand: Callable) -> int:
    """The number of a pull, made known.

    expand(record) is the general form of its records: (primitive, parents, output or its aval, operands or their avals, static
    arguments).
    """
    pull.expand = expand  # type: ignore[attr-defined]
    with _numbering:
        PULLS.append(pull)
        return len(PULLS) - 1


def expanded(record: tuple) -> tuple:
    """The general form of a record."""
    return PULLS[record[0]].expand(record)


class Suspect(Exception):
    """The fast sweep met a nan that may stand for a structural zero."""


def has_nan(g: Any) -> bool:
    """Is an element nan?  (A sum may also be inf - inf: then the careful sweep runs for nothing.)"""
    if type(g) is np.ndarray and g.size <= 1024:
        flat = g.ravel()
        total = flat.dot(flat)  # 0.3 us, a third of a sum
        return total != total
    return any(bool((total := np.add.reduce(array, None)) != total) for array in components(g))


def sound(c: Any) -> Any:
    """The cotangent of a selection, unless infinity times a structural zero has made it nan."""
    if type(c) is np.ndarray and c.size <= 1024:  # `has_nan`, without the call
        flat = c.ravel()
        total = flat.dot(flat)
        if total == total:
            return c
    if has_nan(c):
        raise Suspect
    return c


def pull_constant(ct: list, g: Any, record: tuple) -> None:
    """A constant on the tape has no parents."""


CONSTANT = (numbered(pull_constant, lambda record: ("constant", (), None, (), {})),)


def pull_item(ct: list, g: Any, record: tuple) -> None:
    """One output of a primitive with several: its cotangent goes into the list of the primitive's record."""
    _, index, j, count = record
    if ct[index] is None:
        ct[index] = [None] * count
    ct[index][j] = g if ct[index][j] is None else ct[index][j] + g


ITEM = numbered(pull_item, lambda record: (f"output {record[2]}", (record[1],), None, (None,), {}))


def pull_general(ct: list, g: Any, record: tuple) -> None:
    for i, c, _ in contributions(record, g, None, careful=False):
        have = ct[i]
        ct[i] = c if have is None else have + c


GENERAL = numbered(pull_general, lambda record: (record[2], record[1], record[3], record[4], record[5]))


def pull_linear(ct: list, g: Any, record: tuple) -> None:
    """A linear function of one operand, and of what says where."""
    _, i, primitive, aval, static, where = record[:6]
    c = primitive.transpose(g, aval, *where, **static)
    if type(c) is tuple:
        c = c[0]
    if c.dtype is not aval.dtype and c.dtype.kind == "c":
        c = real_like(c, aval)
    have = ct[i]
    ct[i] = c if have is None else have + c


def pull_part(ct: list, g: Any, record: tuple) -> None:
    """A linear function that reads a part of its operand: its cotangent is added in place to an array that only `ct` holds.

    The tape remembers, weakly, which arrays these are: what another pull has put into ct may be shared.
    """
    _, i, primitive, aval, static, _, totals = record
    have, mapped = ct[i], isinstance(g, Value) and g.mapped
    part = g.value if mapped else g
    fits = have is None or (type(have) is type(g) and have.owner is g.owner if mapped else type(have) is np.ndarray)
    total = have.value if mapped and fits and have is not None else have
    if not fits or type(part) not in _PLAIN or part.dtype != aval.dtype or not (total is None or type(total) is np.ndarray):
        pull_linear(ct, g, record)
        return
    own = totals.get(i)
    if own is None or own() is not total or total is None:
        shape = (len(part), *aval.shape) if mapped else aval.shape
        total = np.zeros(shape, aval.dtype) if total is None else total.astype(aval.dtype)
        totals[i] = weakref.ref(total)
        ct[i] = g.sibling(total) if mapped else total
    primitive.accumulate(total, part, mapped, **static)


_PLAIN = frozenset((np.ndarray, np.float64, np.float32))
_expand_linear = lambda record: (record[2], (record[1], *(-1,) * len(record[5])), None, (record[3], *record[5]), record[4])
LINEAR, PART = numbered(pull_linear, _expand_linear), numbered(pull_part, _expand_linear)


def contributions(record: tuple, g: Any, support: Any, careful: bool = True) -> list[tuple[int, Any, Any]]:
    """(parent, cotangent, support) for every parent of one record.  The clear version of all pulls, by kind of primitive.

    Without `careful` no support is made.
    """
    primitive, parents, out, operands, static = expanded(record)
    kind = primitive.kind
    found: list[tuple[int, Any, Any]] = []
    if kind in ("elementwise", "select"):
        for k, i in enumerate(parents):
            slope = primitive.slopes[k]
            if i < 0 or slope is ZERO:
                continue
            if kind == "select":
                alive = win = slope(out, *operands)
                if primitive.ties is None:
                    c = np.where(win, g, 0)
                else:
                    tie = primitive.ties(out, *operands)
                    c, alive = np.where(win, g, np.where(tie, g * 0.5, 0)), np.logical_or(win, tie)
                alive = alive if support is None else np.logical_and(alive, support)
            else:
                c = g if slope is ONE else masked(g * conjugate(slope(out, *operands)), support)
                alive = support
            shape = operands[k].shape if operands[k] is not None else c.shape
            c = unbroadcast(c, shape)
            if careful and alive is not None and np.shape(alive) != shape:
                alive = through(lambda m, shape=shape: unbroadcast(m, shape), np.broadcast_to(alive, g.shape))
            found.append((i, c, alive))
    elif kind == "linear":
        cotangents = as_tuple(primitive.transpose(g, *operands, **static))
        supports: Sequence[Any] = [None] * len(parents)
        if primitive.local and careful:
            ones = np.ones(g.shape) if support is None else np.where(support, 1.0, 0.0)
            supports = [None if s is None else np.not_equal(s, 0) for s in as_tuple(primitive.transpose(ones, *operands, **static))]
        found = [(i, c, s) for i, c, s in zip(parents, cotangents, supports, strict=True) if i >= 0 and c is not None]
    elif kind == "multilinear":
        done: set[int] = set()
        for k, i in enumerate(parents):
            if i >= 0 and k not in done:
                twins = [m for m in range(k + 1, len(parents)) if parents[m] == i and primitive.alike(k, m, static)]
                done.update(twins)  # x times x: one cotangent, doubled
                others = [x if m == k else conjugate(x) for m, x in enumerate(operands)]
                transpose = primitive.transpose[k] if type(primitive.transpose) is tuple else primitive.transpose
                index = {} if type(primitive.transpose) is tuple else {"operand": k}
                found.append((i, transpose(g * (1 + len(twins)) if twins else g, *others, **index, **static), None))
    elif primitive.save is not None:
        cotangents = as_tuple(primitive.vjp(g, out, **static))
        found = [(i, c, None) for i, c in zip(parents, cotangents, strict=True) if i >= 0 and c is not None]
    elif primitive.vjp is not None:
        cotangents = as_tuple(primitive.vjp(g, out, *operands, **static))
        alive = support if primitive.local else None
        found = [(i, c, alive) for i, c in zip(parents, cotangents, strict=True) if i >= 0 and c is not None]
    else:
        found = [(i, c, None) for i, c in _pulled_through_pushforward(primitive, parents, g, out, operands, static)]
    return [(i, real_like(c, _operand_at(operands, parents, i)), s) for i, c, s in found]


def _operand_at(operands: tuple, parents: tuple, i: int) -> Any:
    operand = operands[parents.index(i)]
    return _REAL_SCALAR if operand is None else operand


_REAL_SCALAR = Aval((), np.dtype(float))


def as_tuple(x: Any) -> tuple:
    return x if type(x) is tuple else (x,)


def _pulled_through_pushforward(primitive: Any, parents: tuple, g: Any, out: Any, operands: tuple, static: dict) -> list:
    """The pullback of a primitive that only has a pushforward: its transpose."""
    active = [k for k, i in enumerate(parents) if i >= 0]

    def push(*tangents: Any) -> tuple:
        given: list[Any] = [None] * len(operands)
        for k, t in zip(active, tangents, strict=True):
            given[k] = t
        return as_tuple(primitive.jvp(given[0] if len(given) == 1 else tuple(given), out, *operands, **static))

    found = core.linear_transpose(push, [operands[k] for k in active], as_tuple(tuple(g) if type(g) is list else g))
    return [(parents[k], c) for k, c in zip(active, found, strict=True)]
