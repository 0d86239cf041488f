"""Hessians: a Jacobian of the gradient, as a tree of blocks, as a matrix, as its diagonal, or as products.

    H = d grad(f) / dx        hessian(f, mode="outer-inner"): a sweep over a basis in the outer mode, grad in the inner one
    H v = grad(v . grad(f))   hvp: two gradients' worth (Pearlmutter, Fast exact multiplication by the Hessian, 1994)

The Hessian of a tree of parameters is a tree of trees: block (x, y) has shape x.shape + y.shape.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.arrays import innermost
from dualgrad.core.primitive import Value
from dualgrad.transforms.arguments import (
    active,
    check_argnums,
    chosen,
    evaluate,
    restore,
    same_tree,
    scalar_output,
    split_aux,
    transformed,
)
from dualgrad.transforms.jacobian import Call, chunks, forward, recorded_forward, reverse, size_of, unit_vectors
from dualgrad.transforms.pullback import grad, record, value_and_grad
from dualgrad.transforms.pushforward import jvp
from dualgrad.transforms.vectorize import vmap

_MODES = ("auto", "forward-reverse", "reverse-reverse", "reverse-forward", "forward-forward")


def hessian(
    f: Callable,
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
    mode: str = "auto",
    flat: bool = False,
) -> Callable:
    """The Hessian of a scalar function: a tree of blocks, block (x, y) of shape x.shape + y.shape.

    With `flat` it is one array of shape (n, n) over the floating elements of the argument in the order of `tree.ravel`,
    symmetric to the last bit (the mean of what was computed and its transpose).  `mode` names the outer and the inner
    differentiation, "forward-reverse" is forward over reverse; all agree to rounding.  "auto" takes "forward-reverse" up to 512
    variables, where it records less, and "reverse-reverse" beyond: f and its gradient are recorded once, and the recording is swept
    in chunks of 256 unit vectors.  `chunk_size` bounds the peak memory: so many unit vectors are swept at once; an outer forward
    sweep evaluates f once for each chunk, so "auto" then takes "reverse-reverse".  With `has_aux`, f returns (value, aux) and the
    result is (hessian, aux).

    Cost: n gradients' worth of work in one batched sweep.  Raises OutputError if f does not return a scalar.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    settings = _settings("hessian", argnums, has_aux, holomorphic, chunk_size, mode, flat)
    return transformed(_hessian, f, "hessian", *settings)


def value_grad_and_hessian(
    f: Callable,
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
    mode: str = "auto",
    flat: bool = False,
) -> Callable:
    """`(f(x), grad(f)(x), hessian(f)(x))` in one evaluation of f; with `has_aux`, `((f(x), aux), grad, hessian)`.  See `hessian`.

    With `flat` the gradient is an array of shape (n,) and the Hessian one of shape (n, n).

    >>> value_grad_and_hessian(lambda p: p['a'] ** 3 * p['b'], flat=True)({'a': 1.0, 'b': 2.0})
    (np.float64(2.0), array([6., 1.]), array([[12.,  3.],
           [ 3.,  0.]]))
    """
    settings = _settings("value_grad_and_hessian", argnums, has_aux, holomorphic, chunk_size, mode, flat)
    return transformed(_value_grad_and_hessian, f, "value_grad_and_hessian", *settings)


def _settings(name: str, argnums: Any, has_aux: bool, holomorphic: bool, chunk_size: Any, mode: Any, flat: bool) -> tuple:
    if mode not in _MODES:
        listed = ", ".join(map(repr, _MODES[:-1]))
        raise errors.ArgumentError(f"{name}: mode must be {listed} or {_MODES[-1]!r}, not {mode!r}{errors.user_line()}.")
    return mode, flat, check_argnums(name, argnums), has_aux, holomorphic, chunk_size


def _hessian(
    f: Callable, mode: str, flat: bool, argnums: Any, has_aux: bool, holomorphic: bool, chunk: Any, /, *args: Any, **kwargs: Any
) -> Any:
    call = Call("hessian", f, argnums, has_aux, holomorphic, chunk, args, kwargs)
    _, _, result, aux = _swept(call, mode, forward, flat)
    return (result, aux) if has_aux else result


def _value_grad_and_hessian(
    f: Callable, mode: str, flat: bool, argnums: Any, has_aux: bool, holomorphic: bool, chunk: Any, /, *args: Any, **kwargs: Any
) -> tuple:
    call = Call("value_grad_and_hessian", f, argnums, has_aux, holomorphic, chunk, args, kwargs)
    forwards = forward if chunk is None else recorded_forward  # in chunks `forward` would evaluate f once for each
    value, gradient, result, aux = _swept(call, mode, forwards, flat)
    return ((value, aux) if has_aux else value), gradient, result


def _swept(call: Call, mode: str, forwards: Callable, flat: bool) -> tuple:
    """(value, gradient, Hessian, aux): the outer sweep over the inner gradient, which brings the value along."""
    part, _ = chosen(call.name, call.f, call.argnums, call.args)
    leaves, _, indices = active(call.name, part, call.argnums)
    inputs = [leaves[i] for i in indices]
    checked = _checked(call.name, call.f, call.has_aux, call.holomorphic)
    auto = mode == "auto"
    if auto:
        mode = "forward-reverse" if size_of(inputs) <= _FEW and call.chunk_size is None else "reverse-reverse"
    outer, inner = mode.split("-")

    def gradient(*args: Any, **kwargs: Any) -> tuple:
        """(gradient, (value, aux))."""
        if inner == "forward":
            value, found, aux = forward(call._replace(f=checked, chunk_size=None, args=args, kwargs=kwargs))
            return found, (value, aux)
        value, found = value_and_grad(checked, call.argnums, call.has_aux, call.holomorphic)(*args, **kwargs)
        return found, value if call.has_aux else (value, None)

    chunk_size = _chunk_size(size_of(inputs)) if auto and call.chunk_size is None else call.chunk_size
    sweep = forwards if outer == "forward" else reverse
    slope, result, (value, aux) = sweep(call._replace(f=gradient, has_aux=True, chunk_size=chunk_size))
    if flat:
        slope, result = _vector(slope), _matrix(result, inputs)
    return value, slope, result, aux


def _checked(name: str, f: Callable, has_aux: bool = False, holomorphic: bool = False) -> Callable:
    """f, which must return a scalar."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        out = evaluate(f, args, kwargs)
        value, aux = split_aux(name, f, out) if has_aux else (out, None)
        value = scalar_output(name, f, value, holomorphic)
        return (value, aux) if has_aux else value

    return checked


# Reverse over reverse took 1.1 to 1.4 of the time of forward over reverse on Rosenbrock's function of 30 to 300 variables and
# 0.8 to 1.3 on networks of 26 to 630; from 700 variables on both wait for memory.  Then chunks pay: of 1000 to 1500 variables
# those of 128 to 512 unit vectors took 0.5 to 0.6 of it, except where all is a product of matrices; of 300 to 500 they took
# longer.
_FEW, _CHUNK = 512, 256


def _chunk_size(count: int) -> int | None:
    """How many unit vectors to sweep at once."""
    return _CHUNK if count > _FEW else None


def _vector(gradient: Any) -> Any:
    return np.concatenate([np.ravel(leaf) for leaf in tree.leaves(gradient) if leaf is not None])


def _matrix(blocks: Any, inputs: list) -> Any:
    """The blocks as one matrix, symmetric to the last bit."""
    found = iter([block for block in tree.leaves(blocks) if block is not None])
    sizes = [int(np.size(x)) for x in inputs]
    rows = [np.concatenate([np.reshape(next(found), (m, n)) for n in sizes], 1) for m in sizes]
    matrix = np.concatenate(rows, 0)
    return 0.5 * matrix + 0.5 * matrix.T


# ---- products and the diagonal ----------------------------------------------------------------------------------------


def hvp(f: Callable, x: Any, v: Any) -> Any:
    """Hessian-vector product H(x) v, the gradient of the directional derivative v . grad(f): reverse over forward.

    Cost: 1.4 to 2.1 gradients at sizes where arithmetic counts (forward over reverse: 2.1 to 2.5; Rosenbrock's function of 1e5
    variables, a network of 5000 parameters on 2000 examples).  x and v are trees of equal structure; a leaf of None in v is zero.
    For many products at one point record the gradient once, with linearize(grad(f), x).

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    leaves, structure = tree.flatten(x)
    tangents, checked = same_tree("hvp", "v", v, leaves, structure, "x"), _checked("hvp", f)

    def along_v(leaves: list) -> Any:
        return jvp(lambda leaves: checked(tree.unflatten(structure, leaves)), (leaves,), (tangents,))[1]

    return tree.unflatten(structure, grad(along_v)(leaves))


def hessian_diagonal(f: Callable, argnums: int | tuple[int, ...] = 0, chunk_size: int | None = None) -> Callable:
    """The diagonal of the Hessian, `d^2 f / d x_i^2`, exact for any f: a tree like the gradient.

    f and its gradient are recorded once.  H 1 is the diagonal if H is diagonal (f is separable), which H r for a random r
    verifies in the same sweep: H r = r * H 1 to rounding, element by element.  If it is not, e_i^T H e_i is taken for all n unit
    vectors, in one more sweep through the same recording, in chunks as for `hessian`.
    Cost: two products for a separable f, n more for any other.  Raises OutputError if f does not return a scalar.

    >>> hessian_diagonal(lambda x: np.sum(x**4) + x[0] * x[1])(np.array([1.0, 2.0]))
    array([12., 48.])
    """
    argnums = check_argnums("hessian_diagonal", argnums)
    return transformed(_hessian_diagonal, f, "hessian_diagonal", argnums, chunk_size)


def _hessian_diagonal(f: Callable, argnums: Any, chunk_size: Any, /, *args: Any, **kwargs: Any) -> Any:
    name = "hessian_diagonal"
    part, positions = chosen(name, f, argnums, args)
    gradient = grad(_checked(name, f), argnums)
    recording = record(name, lambda p: gradient(*restore(args, positions, p, argnums), **kwargs), part, argnums, False)
    inputs = recording.inputs
    if any(x.dtype.kind == "c" for x in inputs):
        raise errors.InputTypeError(
            f"{name}: the argument must be real{errors.user_line()}; write f as a function of real and imaginary parts."
        )

    def product(vectors: list, structural: bool = False) -> list:
        """H v, because H is its own transpose."""
        cotangents: list[Any] = [None] * recording.size
        for i, v in zip(recording.indices, vectors, strict=True):
            cotangents[i] = v
        return recording.pull(cotangents, structural)

    rng = np.random.default_rng(0)
    probes = [0.5 + rng.random(np.shape(x)).astype(x.dtype) for x in inputs]
    both = vmap(product)([np.stack([np.ones_like(r), r]) for r in probes])
    found = [pair[0] for pair in both]
    all_chunks = chunks(size_of(inputs), _chunk_size(size_of(inputs)) if chunk_size is None else chunk_size, name)
    if not all(_is_diagonal(pair[0], pair[1], r) for pair, r in zip(both, probes, strict=True)):
        pieces = [_on_diagonal(vmap(lambda e: product(e, True))(unit_vectors(inputs, rows)), inputs, rows) for rows in all_chunks]
        found = [np.reshape(np.concatenate(part), np.shape(x)) for part, x in zip(zip(*pieces, strict=True), inputs, strict=True)]
    full: list[Any] = [None] * recording.size
    for i, diagonal, x in zip(recording.indices, found, inputs, strict=True):
        full[i] = np.array(diagonal) if type(x) is np.ndarray and not isinstance(diagonal, Value) else diagonal[()]
    return tree.unflatten(recording.structure, full)


def _is_diagonal(ones: Any, probed: Any, probe: Any) -> bool:
    """Is H r = r * H 1?  A wrong no costs time only, so there is no allowance for cancellation; nan is a no."""
    expected = innermost(ones) * probe
    with np.errstate(all="ignore"):
        close = np.abs(innermost(probed) - expected) <= 64 * np.finfo(probe.dtype).eps * np.abs(expected)
    return bool(np.all(close))


def _on_diagonal(products: list, inputs: list, rows: range) -> list:
    """Of H e_k, k in rows, the elements k: for each leaf those that lie in it."""
    parts, start = [], 0
    for found, x in zip(products, inputs, strict=True):
        size = int(np.size(x))
        inside = np.arange(max(rows.start, start), max(min(rows.stop, start + size), start, rows.start))
        parts.append(np.reshape(found, (len(rows), size))[inside - rows.start, inside - start])
        start += size
    return parts
