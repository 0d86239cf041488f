"""Jacobians and Hessians: a basis pushed forward, or pulled back, in one mapped sweep.

    jacfwd   n pushforwards of unit vectors, n the number of inputs: columns of J
    jacrev   m pullbacks of unit vectors, m the number of outputs: rows of J
    hessian  jacfwd of grad: n pushforwards through one pullback

A Jacobian is a tree of blocks: the tree of outputs, and at each of its leaves the tree of inputs; the block of output y and
input x has shape y.shape + x.shape.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.arrays import ONE
from dualgrad.core.primitive import Value
from dualgrad.transforms.arguments import (
    active,
    check_argnums,
    chosen,
    restore,
    same_tree,
    transformed,
)
from dualgrad.transforms.pullback import Recording, grad, record
from dualgrad.transforms.pushforward import jvp, pushforward
from dualgrad.transforms.vectorize import vmap


def jacfwd(
    f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, holomorphic: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Jacobian in forward mode: all unit tangents pushed forward in one mapped sweep.  Best for few inputs, many outputs.

    Cost: about n evaluations of f as one batched one; memory: n times that of f's largest intermediate, or `chunk_size` times
    with chunks of the basis.  Blocks as in `jacobian`.

    >>> jacfwd(lambda x: np.stack([x[0] * x[1], x[0]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])
    """
    return transformed(_jacfwd, f, "jacfwd", check_argnums("jacfwd", argnums), has_aux, holomorphic, chunk_size)


def jacrev(
    f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, holomorphic: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Jacobian in reverse mode: f recorded once, all unit cotangents pulled back in one mapped sweep.

    Best for few outputs.  Cost: one recording and about m pullbacks as one batched one.  Blocks as in `jacobian`.

    >>> jacrev(lambda x: np.stack([x[0] * x[1], x[0]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])
    """
    return transformed(_jacrev, f, "jacrev", check_argnums("jacrev", argnums), has_aux, holomorphic, chunk_size)


def jacobian(
    f: Callable,
    argnums: int | tuple[int, ...] = 0,
    mode: str = "auto",
    has_aux: bool = False,
    chunk_size: int | None = None,
    holomorphic: bool = False,
) -> Callable:
    """The Jacobian of f as a tree of blocks, block (y, x) of shape y.shape + x.shape.

    `mode="auto"` records f once to learn the number m of outputs, and pulls back m unit cotangents if m <= n, the number of
    inputs; otherwise it evaluates f again on n dual numbers at once.  A sweep costs in proportion to the size of its basis, so
    the smaller one wins; at m = n reverse is taken, because its recording is already there and its sweep does not repeat the
    primal work.  `mode="forward"` and `"reverse"` decide for you.  `chunk_size` bounds the peak memory: the basis is swept in
    chunks of that many unit vectors.  With `has_aux`, f returns (out, aux) and the result is (jacobian, aux).

    >>> jacobian(lambda p: p['a'] * np.array([1.0, 2.0]) + p['b'])({'a': 3.0, 'b': np.array([1.0, 1.0])})
    {'a': array([1., 2.]), 'b': array([[1., 0.],
           [0., 1.]])}
    """
    if mode not in ("auto", "forward", "reverse"):
        raise errors.ArgumentError(f"jacobian: mode must be 'auto', 'forward' or 'reverse', not {mode!r}{errors.user_line()}.")
    call = {"auto": _jacobian, "forward": _jacfwd, "reverse": _jacrev}[mode]
    return transformed(call, f, "jacobian", check_argnums("jacobian", argnums), has_aux, holomorphic, chunk_size)


def hessian(
    f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, holomorphic: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Hessian of a scalar function, forward over reverse: a tree of blocks, block (x, y) of shape x.shape + y.shape.

    Cost: n gradients' worth of work in one batched sweep through one recording.  `chunk_size` bounds the peak memory.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    argnums = check_argnums("hessian", argnums)
    return transformed(_hessian, f, "hessian", argnums, has_aux, holomorphic, chunk_size)


def _hessian(f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, chunk_size: Any, /, *args: Any, **kwargs: Any) -> Any:
    inner = grad(f, argnums, has_aux, holomorphic)
    return jacfwd(inner, argnums, has_aux, holomorphic, chunk_size)(*args, **kwargs)


def hvp(f: Callable, x: Any, v: Any) -> Any:
    """Hessian-vector product H(x) v, forward over reverse.  Cost: about two gradients (Pearlmutter 1994).

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    leaves, structure = tree.flatten(x)
    same_tree("hvp", "v", v, leaves, structure, "x")
    return jvp(grad(f), (x,), (v,))[1]


# ---- bases ------------------------------------------------------------------------------------------------------------


def _chunks(count: int, chunk_size: int | None, name: str) -> list[range]:
    if chunk_size is None:
        return [range(count)]
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int | np.integer) or chunk_size < 1:
        raise errors.ArgumentError(f"{name}: chunk_size must be a positive int or None, not {chunk_size!r}{errors.user_line()}.")
    return [range(start, min(start + chunk_size, count)) for start in range(0, count, int(chunk_size))]


def _unit_vectors(leaves: list, rows: range) -> list[Any]:
    """For each leaf, its part of the unit vectors e_k of all leaves together, k in rows: shape (len(rows), *leaf.shape)."""
    parts, start = [], 0
    for leaf in leaves:
        size = int(np.size(leaf))
        part = np.zeros((len(rows), size), leaf.dtype)
        low, high = max(rows.start, start), min(rows.stop, start + size)
        if low < high:
            part[np.arange(low, high) - rows.start, np.arange(low, high) - start] = 1
        parts.append(part.reshape(len(rows), *leaf.shape))
        start += size
    return parts


def _joined(parts: list) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _split_blocks(block: Any, leaves: list, axis: int) -> list[Any]:
    """Cut the basis axis of a matrix of derivatives into one block per leaf, of the leaf's shape there."""
    blocks, start = [], 0
    for leaf in leaves:
        size = int(np.size(leaf))
        piece = block if len(leaves) == 1 else block[(slice(None),) * axis + (slice(start, start + size),)]
        shape = (*np.shape(block)[:axis], *np.shape(leaf), *np.shape(block)[axis + 1 :])
        blocks.append(piece if shape == piece.shape else np.reshape(piece, shape))
        start += size
    return blocks


def _owned(block: Any) -> Any:
    """Blocks share no memory with each other."""
    return block if isinstance(block, Value) or block.base is None else block.copy()


def _blocks(found: list, total: int, indices: list, structure: Any) -> Any:
    full: list[Any] = [None] * total
    for i, block in zip(indices, found, strict=True):
        full[i] = _owned(block)
    return tree.unflatten(structure, full)


# ---- forward ----------------------------------------------------------------------------------------------------------


def _jacfwd(f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, chunk_size: Any, /, *args: Any, **kwargs: Any) -> Any:
    part, positions = chosen("jacfwd", f, argnums, args)
    leaves, structure, indices = active("jacfwd", part, f"argument {argnums}")
    inputs = [leaves[i] for i in indices]
    _check_complex("jacfwd", inputs, holomorphic)
    kept: dict[str, Any] = {}

    def from_leaves(*values: Any) -> Any:
        full = list(leaves)
        for i, value in zip(indices, values, strict=True):
            full[i] = value
        return f(*restore(args, positions, tree.unflatten(structure, full), argnums), **kwargs)

    def push(tangents: list, supports: list) -> list:
        out = pushforward("jacfwd", from_leaves, tuple(inputs), tuple(tangents), has_aux, supports)
        kept["out"], kept["structure"] = tree.flatten(out[0])
        kept["aux"] = out[2] if has_aux else None
        return [np.zeros(()) if t is None else t for t in tree.leaves(out[1])]

    count = sum(int(np.size(x)) for x in inputs)
    pieces = []
    for rows in _chunks(count, chunk_size, "jacfwd"):
        basis = _unit_vectors(inputs, rows)
        pieces.append(vmap(push, out_axes=0)(basis, [np.not_equal(e, 0) for e in basis]))
    outputs = kept["out"]
    rows_of = [_joined([piece[k] for piece in pieces]) for k in range(len(outputs))]
    blocks: list[Any] = []
    for y, stacked in zip(outputs, rows_of, strict=True):
        if not tree.is_differentiable(y):
            blocks.append(None)
            continue
        columns = np.moveaxis(stacked, 0, -1)
        blocks.append(_blocks(_split_blocks(columns, inputs, np.ndim(y)), len(leaves), indices, structure))
    result = tree.unflatten(kept["structure"], blocks)
    return (result, kept["aux"]) if has_aux else result


def _check_complex(name: str, inputs: list, holomorphic: bool) -> None:
    if not holomorphic and any(x.dtype.kind == "c" for x in inputs):
        raise errors.InputTypeError(
            f"{name}: the Jacobian of a complex argument needs holomorphic=True{errors.user_line()}; for C -> C maps that are not "
            "holomorphic use jvp and vjp, for the gradient of a real scalar use grad."
        )


# ---- reverse ----------------------------------------------------------------------------------------------------------


def _record(name: str, f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, args: tuple, kwargs: dict) -> Recording:
    part, positions = chosen(name, f, argnums, args)
    recording = record(name, lambda p: f(*restore(args, positions, p, argnums), **kwargs), part, f"argument {argnums}", has_aux)
    _check_complex(name, recording.inputs, holomorphic)
    return recording


def _jacrev(f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, chunk_size: Any, /, *args: Any, **kwargs: Any) -> Any:
    recording = _record("jacrev", f, argnums, has_aux, holomorphic, args, kwargs)
    result = _rows(recording, chunk_size, holomorphic)
    return (result, recording.aux) if has_aux else result


def _rows(recording: Recording, chunk_size: Any, holomorphic: bool) -> Any:
    """All unit cotangents pulled back through one recording."""
    outputs = [y for y in recording.outputs if tree.is_differentiable(y)]
    places = [k for k, y in enumerate(recording.outputs) if tree.is_differentiable(y)]
    count = sum(int(np.size(y)) for y in outputs)

    def pull(cotangents: list) -> list:
        given: list[Any] = [None] * len(recording.outputs)
        for k, g in zip(places, cotangents, strict=True):
            given[k] = g
        return recording.pull(given, True)

    def sweep(factors: list) -> list[Any]:
        """All rows, with cotangents factor * e_k."""
        pieces = []
        for rows in _chunks(count, chunk_size, "jacrev"):
            basis = [e if factor is ONE else factor * e for factor, e in zip(factors, _unit_vectors(outputs, rows), strict=True)]
            pieces.append(vmap(pull)(basis))
        return [_joined([piece[k] for piece in pieces]) for k in range(len(recording.indices))]

    stacked = sweep([ONE] * len(outputs))
    if holomorphic:
        stacked = [np.conjugate(block) for block in stacked]
    unresolved = [k for k, x in enumerate(recording.inputs) if x.dtype.kind != "c"]
    complex_outputs = [y.dtype.kind == "c" for y in outputs]
    if unresolved and any(complex_outputs):  # the cotangent of a real input is real: Re J from 1, Im J from i
        imaginary = sweep([1j if c else 0 for c in complex_outputs])
        for k in unresolved:
            stacked[k] = stacked[k] + 1j * imaginary[k]
    per_input = [_split_blocks(block, outputs, 0) for block in stacked]
    blocks: list[Any] = [None] * len(recording.outputs)
    for j, k in enumerate(places):
        found = [of_input[j] for of_input in per_input]
        if not complex_outputs[j]:
            found = [np.real(b) if b.dtype.kind == "c" and i in unresolved else b for i, b in enumerate(found)]
        blocks[k] = _blocks(found, recording.size, recording.indices, recording.structure)
    return tree.unflatten(recording.out_structure, blocks)


def _jacobian(f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, chunk_size: Any, /, *args: Any, **kwargs: Any) -> Any:
    recording = _record("jacobian", f, argnums, has_aux, holomorphic, args, kwargs)
    inputs = sum(int(np.size(x)) for x in recording.inputs)
    outputs = sum(int(np.size(y)) for y in recording.outputs if tree.is_differentiable(y))
    if outputs <= inputs:
        result = _rows(recording, chunk_size, holomorphic)
        return (result, recording.aux) if has_aux else result
    return _jacfwd(f, argnums, has_aux, holomorphic, chunk_size, *args, **kwargs)
