"""Jacobians: a basis pushed forward, or pulled back, in one mapped sweep.

    jacfwd   n pushforwards of unit vectors, n the number of inputs: columns of J
    jacrev   m pullbacks of unit vectors, m the number of outputs: rows of J

A Jacobian is a tree of blocks: the tree of outputs, and at each of its leaves the tree of inputs; the block of output y and
input x has shape y.shape + x.shape.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.arrays import ONE
from dualgrad.core.primitive import Value
from dualgrad.interpreters.batch import Batched
from dualgrad.transforms.arguments import active, check_argnums, chosen, evaluate, restore, split_aux, transformed
from dualgrad.transforms.pullback import Recording, lowered, record
from dualgrad.transforms.pushforward import pushforward, transpose
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
    argnums = check_argnums("jacfwd", argnums)
    return transformed(_call, f, "jacfwd", forward, "jacfwd", False, argnums, has_aux, holomorphic, chunk_size, {})


def jacrev(
    f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, holomorphic: bool = False, chunk_size: int | None = None
) -> Callable:
    """The Jacobian in reverse mode: f recorded once, all unit cotangents pulled back in one mapped sweep.

    Best for few outputs.  Cost: one recording and about m pullbacks as one batched one.  Blocks as in `jacobian`.

    >>> jacrev(lambda x: np.stack([x[0] * x[1], x[0]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])
    """
    argnums = check_argnums("jacrev", argnums)
    return transformed(_call, f, "jacrev", reverse, "jacrev", False, argnums, has_aux, holomorphic, chunk_size, {})


def jacobian(
    f: Callable,
    argnums: int | tuple[int, ...] = 0,
    mode: str = "auto",
    has_aux: bool = False,
    chunk_size: int | None = None,
    holomorphic: bool = False,
) -> Callable:
    """The Jacobian of f as a tree of blocks, block (y, x) of shape y.shape + x.shape.

    `mode="auto"` pulls back m unit cotangents if m <= n, the numbers of outputs and inputs, or m is small, and pushes n unit
    tangents forward otherwise.  A sweep costs in proportion to the size of its basis, so the smaller one wins; where they are
    about equal, or small, a forward sweep does more for each operation.  To learn m the first call evaluates f once more (records
    it, if n > 1024), unless n = 1; the function that `jacobian` returned remembers m, so keep it.  `mode="forward"` and
    `"reverse"` decide for you.  `chunk_size` bounds the peak memory: the basis is swept in chunks of that many unit vectors.
    With `has_aux`, f returns (out, aux) and the result is (jacobian, aux).

    >>> jacobian(lambda p: p['a'] * np.array([1.0, 2.0]) + p['b'])({'a': 3.0, 'b': np.array([1.0, 1.0])})
    {'a': array([1., 2.]), 'b': array([[1., 0.],
           [0., 1.]])}
    """
    call = _mode("jacobian", mode, {"auto": _smaller, "forward": forward, "reverse": reverse})
    argnums = check_argnums("jacobian", argnums)
    return transformed(_call, f, "jacobian", call, "jacobian", False, argnums, has_aux, holomorphic, chunk_size, {})


def value_and_jacobian(
    f: Callable,
    argnums: int | tuple[int, ...] = 0,
    mode: str = "auto",
    has_aux: bool = False,
    chunk_size: int | None = None,
    holomorphic: bool = False,
) -> Callable:
    """`(f(x), jacobian(f)(x))` in one evaluation of f; with `has_aux`, `((f(x), aux), jacobian)`.  See `jacobian`.

    f is recorded; m <= n unit cotangents are pulled back through the recording, or else n unit tangents pushed forward through it,
    by transposing its pullback, where `jacobian` would evaluate f again.

    >>> value_and_jacobian(lambda x: x[:1] * x[1:])(np.array([2.0, 3.0]))
    (array([6.]), array([[3., 2.]]))
    """
    forwards = forward if chunk_size is None else recorded_forward  # in chunks `forward` would evaluate f once for each
    call = _mode("value_and_jacobian", mode, {"auto": _smaller_of_recording, "forward": forwards, "reverse": reverse})
    argnums = check_argnums("value_and_jacobian", argnums)
    return transformed(
        _call, f, "value_and_jacobian", call, "value_and_jacobian", True, argnums, has_aux, holomorphic, chunk_size, {}
    )


def _mode(name: str, mode: Any, calls: dict[str, Callable]) -> Callable:
    if mode not in calls:
        raise errors.ArgumentError(f"{name}: mode must be 'auto', 'forward' or 'reverse', not {mode!r}{errors.user_line()}.")
    return calls[mode]


class Call(NamedTuple):
    """A call of a Jacobian: what is asked for, by whom, and where."""

    name: str
    f: Callable
    argnums: Any
    has_aux: bool
    holomorphic: bool
    chunk_size: Any
    args: tuple
    kwargs: dict
    outputs: dict[int, int] | None = None  # n -> m, of earlier calls: read and written by `_smaller`


def _call(
    f: Callable,
    sweep: Callable[[Call], tuple],
    name: str,
    with_value: bool,
    argnums: Any,
    has_aux: bool,
    holomorphic: bool,
    chunk_size: Any,
    outputs: dict[int, int],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    value, result, aux = sweep(Call(name, f, argnums, has_aux, holomorphic, chunk_size, args, kwargs, outputs))
    if with_value:
        return ((value, aux) if has_aux else value), result
    return (result, aux) if has_aux else result


# ---- bases ------------------------------------------------------------------------------------------------------------


def chunks(count: int, chunk_size: int | None, name: str) -> list[range]:
    """The numbers of the unit vectors, in chunks."""
    if chunk_size is None:
        return [range(count)]
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int | np.integer) or chunk_size < 1:
        raise errors.ArgumentError(f"{name}: chunk_size must be a positive int or None, not {chunk_size!r}{errors.user_line()}.")
    return [range(start, min(start + chunk_size, count)) for start in range(0, count, int(chunk_size))]


def unit_vectors(leaves: list, rows: range) -> list[Any]:
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


def size_of(leaves: list) -> int:
    """The number of elements of all leaves together."""
    return sum(int(np.size(x)) for x in leaves)


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


def forward(call: Call) -> tuple:
    """(value, Jacobian, aux) by pushing unit tangents forward; f is evaluated once per chunk.

    The zeros of a unit vector are structural, which matters only where they meet an infinite slope and 0 * inf = nan remains: then
    they are pushed again with their supports, which takes twice as long.
    """
    name, has_aux = call.name, call.has_aux
    part, positions = chosen(name, call.f, call.argnums, call.args)
    leaves, structure, indices = active(name, part, f"argument {call.argnums}")
    inputs = [leaves[i] for i in indices]
    _check_complex(call, inputs)
    kept: dict[str, Any] = {}

    def from_leaves(*values: Any) -> Any:
        full = list(leaves)
        for i, value in zip(indices, values, strict=True):
            full[i] = value
        return call.f(*restore(call.args, positions, tree.unflatten(structure, full), call.argnums), **call.kwargs)

    def push(tangents: list, supports: list | None = None) -> list:
        out = pushforward(name, from_leaves, tuple(inputs), tuple(tangents), has_aux, supports)
        mapped = tangents[0].owner
        kept["value"], kept["aux"] = _unmapped(out[0], mapped), _unmapped(out[2], mapped) if has_aux else None
        return tree.leaves(out[1])

    def swept(rows: range) -> list:
        basis = unit_vectors(inputs, rows)
        if not any(isinstance(x, Value) for x in inputs):
            singular: list = []  # floating-point errors, whose warnings are the second sweep's, if they are f's
            with np.errstate(divide="call", over="call", invalid="call", call=lambda *error: singular.append(error)):
                found = vmap(push)(basis)
            if not singular and all(map(_is_settled, (*found, *tree.leaves(kept["value"])))):
                return found
        return vmap(push)(basis, [np.not_equal(e, 0) for e in basis])

    pieces = [swept(rows) for rows in chunks(size_of(inputs), call.chunk_size, name)]
    outputs, out_structure = tree.flatten(kept["value"])
    return kept["value"], _from_columns(pieces, outputs, out_structure, inputs, len(leaves), indices, structure), kept["aux"]


def _is_settled(y: Any) -> bool:
    """Has it no nan, nor derivatives of outer transforms, in which a structural zero may yet meet an infinite slope?"""
    return not isinstance(y, Value) and not (tree.is_differentiable(y) and np.isnan(y).any())


def _unmapped(results: Any, mapped: Any) -> Any:
    """Results that do not depend on the tangent, though the basis of a degenerate factorization follows it, and maps them."""
    leaves, structure = tree.flatten(results)
    return tree.unflatten(structure, [y.value[0] if type(y) is Batched and y.owner is mapped else y for y in leaves])


def _from_columns(
    pieces: list, outputs: list, out_structure: Any, inputs: list, total: int, indices: list, structure: Any
) -> Any:
    """The tree of blocks from the pushed basis: for each chunk, one array per output leaf with the basis axis leading."""
    blocks: list[Any] = []
    for k, y in enumerate(outputs):
        if not tree.is_differentiable(y):
            blocks.append(None)
            continue
        columns = np.moveaxis(_joined([piece[k] for piece in pieces]), 0, -1)
        blocks.append(_blocks(_split_blocks(columns, inputs, np.ndim(y)), total, indices, structure))
    return tree.unflatten(out_structure, blocks)


def _check_complex(call: Call, inputs: list) -> None:
    if not call.holomorphic and any(x.dtype.kind == "c" for x in inputs):
        raise errors.InputTypeError(
            f"{call.name}: the Jacobian of a complex argument needs holomorphic=True{errors.user_line()}; for C -> C maps that are "
            "not holomorphic use jvp and vjp, for the gradient of a real scalar use grad."
        )


# ---- from a recording -------------------------------------------------------------------------------------------------


def _record(call: Call) -> Recording:
    part, positions = chosen(call.name, call.f, call.argnums, call.args)

    def of_part(p: Any) -> Any:
        return call.f(*restore(call.args, positions, p, call.argnums), **call.kwargs)

    recording = record(call.name, of_part, part, f"argument {call.argnums}", call.has_aux)
    _check_complex(call, recording.inputs)
    return recording


def _results(recording: Recording, jacobian: Any) -> tuple:
    value = tree.unflatten(recording.out_structure, [lowered(y, recording.tape) for y in recording.variables])
    return value, jacobian, recording.aux


def reverse(call: Call) -> tuple:
    """(value, Jacobian, aux) by pulling unit cotangents back."""
    recording = _record(call)
    return _results(recording, _rows(recording, call))


def recorded_forward(call: Call) -> tuple:
    """(value, Jacobian, aux) by pushing unit tangents through a recording, all chunks through the same one."""
    recording = _record(call)
    return _results(recording, _columns(recording, call))


def _smaller(call: Call) -> tuple:
    """Reverse, or forward if that basis is the smaller one by so much that it matters."""
    part, _ = chosen(call.name, call.f, call.argnums, call.args)
    leaves, _, indices = active(call.name, part, f"argument {call.argnums}")
    inputs = [leaves[i] for i in indices]
    n, traced = size_of(inputs), any(isinstance(x, Value) for x in inputs)
    outputs = {} if call.outputs is None else call.outputs
    m = outputs.get(n)
    if m is None and 1 < n <= 1024 and not traced:
        out = evaluate(call.f, call.args, call.kwargs)
        m = _size_of_floats(tree.leaves(split_aux(call.name, call.f, out)[0] if call.has_aux else out))
    if m is not None:
        found = (reverse if _favours_reverse(n, m) else forward)(call)
    elif n == 1:
        found = forward(call)
    else:
        recording = _record(call)
        wide = _favours_reverse(n, _size_of_floats(recording.outputs))
        found = _results(recording, _rows(recording, call)) if wide else forward(call)
    outputs[n] = _size_of_floats(tree.leaves(found[0]))
    return found


def _favours_reverse(n: int, m: int) -> bool:
    """Measured over four families with n and m from 1 to 1000, this picks the winner most often.

    benchmarks/RESULTS.md, section modes, says how often, and what it costs where it does not.
    """
    return m <= n or m * (m - n) < 1000


def _size_of_floats(leaves: list) -> int:
    return size_of([y for y in leaves if tree.is_differentiable(y)])


def _smaller_of_recording(call: Call) -> tuple:
    """The same in one evaluation of f."""
    recording = _record(call)
    return _results(recording, (_rows if _is_wide(recording) else _columns)(recording, call))


def _is_wide(recording: Recording) -> bool:
    """Are there at most as many outputs as inputs?"""
    return _size_of_floats(recording.outputs) <= size_of(recording.inputs)


def _columns(recording: Recording, call: Call) -> Any:
    """All unit tangents pushed through one recording."""
    push, inputs = transpose(recording), recording.inputs
    sweep = vmap(lambda basis: push(basis, True))
    pieces = [sweep(unit_vectors(inputs, rows)) for rows in chunks(size_of(inputs), call.chunk_size, call.name)]
    return _from_columns(
        pieces, recording.outputs, recording.out_structure, inputs, recording.size, recording.indices, recording.structure
    )


def _rows(recording: Recording, call: Call) -> Any:
    """All unit cotangents pulled back through one recording."""
    outputs = [y for y in recording.outputs if tree.is_differentiable(y)]
    places = [k for k, y in enumerate(recording.outputs) if tree.is_differentiable(y)]

    def pull(cotangents: list) -> list:
        given: list[Any] = [None] * len(recording.outputs)
        for k, g in zip(places, cotangents, strict=True):
            given[k] = g
        return recording.pull(given, True)

    def sweep(factors: list) -> list[Any]:
        """All rows, with cotangents factor * e_k."""
        pieces = []
        for rows in chunks(size_of(outputs), call.chunk_size, call.name):
            basis = [e if factor is ONE else factor * e for factor, e in zip(factors, unit_vectors(outputs, rows), strict=True)]
            pieces.append(vmap(pull)(basis))
        return [_joined([piece[k] for piece in pieces]) for k in range(len(recording.indices))]

    stacked = sweep([ONE] * len(outputs))
    if call.holomorphic:
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
