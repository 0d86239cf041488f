"""np.einsum: a product of arrays summed over labels; it is linear in every operand, and its transposes are einsums.

A front brings every call into a normal form by composition: the diagonal is taken where a label repeats within an operand,
axes of length 1 that broadcast are dropped, and a label that only one operand has and the output has not is summed.  In
normal form each label of an operand is a label of the output or of another operand, so that

    out = einsum("ab,bc->ac", x, y)        x's cotangent = einsum("ac,bc->ab", g, y)

and one primitive with one rule is closed under differentiation.
"""
from __future__ import annotations

import functools
import math
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.primitive import Primitive
from dualgrad.core.registry import front
from dualgrad.core.traced import Traced
from dualgrad.rules.contraction import array
from dualgrad.rules.declare import multilinear

Labels = tuple[Any, ...]  # one label per axis: a letter, an int of the sublist form, or ("...", k) for an axis under the ellipsis

# A transpose of more multiplications than this goes through BLAS: for 'ij,jk->ik' with n = 64 it takes 0.04 ms instead of 0.15.
_MANY = 2**16


@front(np.einsum)
def _einsum(*operands: Any, optimize: Any = False, dtype: Any = None, order: str = "K", casting: str = "safe") -> Any:
    for keyword, given, neutral in (("order", order, "K"), ("casting", casting, "safe")):
        if given != neutral:
            raise errors.unknown_keyword(np.einsum, keyword)
    optimize = tuple(optimize) if isinstance(optimize, list) else optimize
    if isinstance(operands[0], str):
        xs = [array(x) if dtype is None else array(x).astype(dtype) for x in operands[1:]]
        return spelled(operands[0], xs, optimize)
    xs, inputs, output = _parsed(operands)
    return contract(xs if dtype is None else [x.astype(dtype) for x in xs], inputs, output, optimize)


@front(np.einsum_path)
def _einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    plain_path: Any = np.einsum_path
    shapes = [np.broadcast_to(0.0, x.shape) if isinstance(x, Traced) else x for x in operands]
    return plain_path(*shapes, optimize=optimize, einsum_call=einsum_call)


# ---- reading the subscripts -------------------------------------------------------------------------------------------


def _parsed(operands: tuple) -> tuple[list[Any], list[Labels], Labels]:
    """(arrays, labels of each, labels of the output) of either form of the arguments, with ellipses and the output spelled out."""
    if isinstance(operands[0], str):
        left, arrow, right = operands[0].replace(" ", "").partition("->")
        terms: list[Labels] = [_letters(term) for term in left.split(",")]
        output = _letters(right) if arrow else None
        given = operands[1:]
    else:
        given, terms = operands[: len(operands) // 2 * 2 : 2], [tuple(sublist) for sublist in operands[1::2]]
        output = tuple(operands[-1]) if len(operands) % 2 else None
    xs = [array(x) for x in given]
    if len(xs) != len(terms):
        raise ValueError(f"einsum: {len(xs)} operands were given for {len(terms)} terms of the subscripts")
    inputs = [_spelled_out(term, x.ndim) for term, x in zip(terms, xs, strict=True)]
    hidden = max((sum(type(label) is tuple for label in labels) for labels in inputs), default=0)
    under_ellipsis = tuple(("...", k) for k in range(hidden - 1, -1, -1))
    counts = Counter(label for labels in inputs for label in labels if type(label) is not tuple)
    if output is None:
        output = under_ellipsis + tuple(sorted(label for label, count in counts.items() if count == 1))
    elif Ellipsis in output:
        at = output.index(Ellipsis)
        output = output[:at] + under_ellipsis + output[at + 1 :]
    elif hidden:
        raise ValueError("einsum: the output needs an ellipsis '...' for the broadcast dimensions of the operands")
    for label in output:
        if type(label) is not tuple and (label not in counts or output.count(label) > 1):
            raise ValueError(f"einsum: the output subscript {label!r} appears twice, or in no operand")
    return xs, inputs, output


def _letters(term: str) -> Labels:
    head, dots, tail = term.partition("...")
    return (*head, Ellipsis, *tail) if dots else tuple(head)


def _spelled_out(term: Labels, ndim: int) -> Labels:
    """One label per axis: the axes under the ellipsis are numbered from the right, as they broadcast."""
    if Ellipsis not in term:
        if len(term) != ndim:
            raise ValueError(f"einsum: an operand of {ndim} dimensions was given the {len(term)} subscripts {term}")
        return term
    at, hidden = term.index(Ellipsis), ndim - len(term) + 1
    if hidden < 0:
        raise ValueError(f"einsum: an operand of {ndim} dimensions was given {len(term) - 1} subscripts and an ellipsis")
    return term[:at] + tuple(("...", k) for k in range(hidden - 1, -1, -1)) + term[at + 1 :]


# ---- normal form ------------------------------------------------------------------------------------------------------


def spelled(subscripts: str, xs: Sequence[Any], optimize: Any) -> Any:
    """np.einsum(subscripts, *xs) of arrays."""
    if normal := _normal(subscripts, tuple([x.shape for x in xs])):
        return einsum(*xs, subscripts=normal, optimize=optimize)
    return contract(*_parsed((subscripts, *xs)), optimize)


def contract(xs: Sequence[Any], inputs: Sequence[Labels], output: Labels, optimize: Any) -> Any:
    """The sum over all labels not in `output` of the product of the operands."""
    sizes: dict[Any, int] = {}
    for x, labels in zip(xs, inputs, strict=True):
        for label, n in zip(labels, x.shape, strict=True):
            if sizes.setdefault(label, n) != n:
                if n != 1 and sizes[label] != 1:
                    raise ValueError(f"einsum: the subscript {label!r} has the lengths {sizes[label]} and {n}")
                sizes[label] = n if sizes[label] == 1 else sizes[label]
    reduced = [_reduced(x, labels, sizes) for x, labels in zip(xs, inputs, strict=True)]
    counts = Counter(label for _, labels in reduced for label in labels)
    summed = [_summed(x, labels, {label for label in labels if counts[label] == 1} - set(output)) for x, labels in reduced]
    if len(summed) == 1:
        ((x, labels),) = summed
        return np.transpose(x, [labels.index(label) for label in output])
    names = dict(zip(sizes, string.ascii_letters, strict=False))
    terms = ["".join(names[label] for label in labels) for labels in (*(labels for _, labels in summed), output)]
    return einsum(*(x for x, _ in summed), subscripts=f"{','.join(terms[:-1])}->{terms[-1]}", optimize=optimize)


@functools.lru_cache(4096)
def _normal(subscripts: str, shapes: tuple) -> str | None:
    """The subscripts of a call that is in normal form as it stands, None of another one."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    counts = Counter(left.replace(",", "") + output)
    sizes = {(label, n) for term, shape in zip(terms, shapes) for label, n in zip(term, shape)}
    plain = arrow and "." not in subscripts and len(terms) == len(shapes) > 1 and len(sizes) == len(counts)
    fits = plain and all(len(set(term)) == len(term) == len(shape) for term, shape in zip(terms, shapes))
    if fits and len(set(output)) == len(output) and all(counts[label] > 1 for label in counts) and set(output) <= set(left):
        return f"{left}->{output}"
    return None


def _reduced(x: Any, labels: Labels, sizes: dict[Any, int]) -> tuple[Any, Labels]:
    """The operand without repeated labels and without axes that broadcast."""
    for label in [label for label, count in Counter(labels).items() if count > 1]:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ValueError(f"einsum: the subscript {label!r} has the lengths {x.shape[first]} and {x.shape[second]}")
            x = np.diagonal(x, 0, first, second)
            labels = (*(m for k, m in enumerate(labels) if k not in (first, second)), label)
    stretched = tuple(k for k, label in enumerate(labels) if x.shape[k] != sizes[label])
    if stretched:
        x = np.reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in stretched))
        labels = tuple(label for k, label in enumerate(labels) if k not in stretched)
    return x, labels


def _summed(x: Any, labels: Labels, alone: set) -> tuple[Any, Labels]:
    if not alone:
        return x, labels
    return np.sum(x, tuple(k for k, label in enumerate(labels) if label in alone)), tuple(m for m in labels if m not in alone)


# ---- the primitive ----------------------------------------------------------------------------------------------------


def _transpose(g: Any, *xs: Any, subscripts: str, optimize: Any, operand: int) -> Any:
    """The same sum with the output in place of the operand and the operand in place of the output."""
    left, _, output = subscripts.partition("->")
    terms = left.split(",")
    lengths = {label: n for term, x in zip(terms, xs, strict=True) for label, n in zip(term, x.shape, strict=True)}
    optimize = optimize is not False or math.prod(lengths.values()) > _MANY
    given = [g if k == operand else x for k, x in enumerate(xs)]
    inputs = ",".join([output if k == operand else term for k, term in enumerate(terms)])
    return spelled(f"{inputs}->{terms[operand]}", given, optimize)


def _batch(primitive: Primitive, mapped: Any, *xs: Any, subscripts: str, optimize: Any) -> Any:
    """The mapped axis is one more label, in front."""
    left, _, output = subscripts.partition("->")
    new = next(letter for letter in string.ascii_letters if letter not in subscripts)
    terms = [new + term if m else term for term, m in zip(left.split(","), mapped, strict=True)]
    return primitive(*xs, subscripts=f"{','.join(terms)}->{new}{output}", optimize=optimize)


def _alike(k: int, m: int, static: dict) -> bool:
    terms = static["subscripts"].partition("->")[0].split(",")
    return terms[k] == terms[m]


@functools.lru_cache(4096)
def _layout(subscripts: str) -> tuple | None:
    """Of a product of two arrays without a sum: for each the order of its axes, and where they stand among those of the output."""
    left, _, output = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != 2 or set(output) != set("".join(terms)):
        return None
    orders = tuple(tuple(term.index(label) for label in output if label in term) for term in terms)
    return orders, tuple(tuple(slice(None) if label in term else None for label in output) for term in terms)


def _product(*xs: Any, subscripts: str, optimize: Any) -> Any:
    """np.einsum; without a sum it is one multiplication, which takes two thirds of the time."""
    layout = _layout(subscripts)
    if layout is None:
        return np.einsum(subscripts, *xs, optimize=optimize)
    x, y = [a.transpose(order)[index] for a, order, index in zip(xs, *layout, strict=True)]
    return np.multiply(x, y)


einsum = multilinear(
    _product,
    _transpose,
    batch=_batch,
    alike=_alike,
    name="einsum",
)
