"""Taylor mode: many derivatives along one direction, or the sum of the second ones along all, in one forward pass.

    f(x + t v) = y_0 + y_1 t + ... + y_k t**k        directional_derivatives: m! y_m
    laplacian f = sum over i of d^2/dt^2 f(x + t e_i)

In the Laplacian the second coefficients enter every operation linearly, so they are summed over all directions as soon as an
operation has made them (Li et al., Forward Laplacian, 2023; Dangel et al., Collapsing Taylor mode, 2025): what is carried
is the value, n first-order coefficients, and one of second order.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Value
from dualgrad.core.splitting import settled
from dualgrad.interpreters.batch import Batched
from dualgrad.interpreters.taylor import Expansion, Series, line
from dualgrad.transforms.arguments import (
    active,
    check_argnums,
    check_function,
    chosen,
    evaluate,
    output_leaves,
    restore,
    same_tree,
    transformed,
)
from dualgrad.transforms.jacobian import chunks, size_of, unit_vectors
from dualgrad.transforms.pushforward import jvp
from dualgrad.transforms.vectorize import vmap


def directional_derivatives(f: Callable, x: Any, v: Any, order: int) -> tuple:
    """`(f(x), d/dt f(x + t v), ..., d^k/dt^k f(x + t v))` at t = 0, k = `order`, in one evaluation of f on power series.

    x and v are trees of equal structure and shapes (a leaf of None in v is zero); each entry of the result is a tree like the
    output, with None at leaves that are not floating.  Along a direction v the m-th is the contraction of the m-th derivative
    tensor with v, m times.  Cost: O(k**2) operations for each of f's, where nested `jvp` take 2**k; O(k**3) for solve, cholesky
    and functions whose every derivative is a new one (polygamma, Bessel); det takes k!, as nested `jvp` do, slogdet O(k**2).
    Memory: k + 1 times that of f (Griewank & Walther, Evaluating Derivatives, ch. 13).  Raises ArgumentError unless the order is
    a positive int, StructureError if v does not fit x.

    >>> print(*directional_derivatives(np.exp, 0.0, 2.0, order=4))
    1.0 2.0 4.0 8.0 16.0
    """
    name = "directional_derivatives"
    check_function(name, f)
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or order < 1:
        raise errors.ArgumentError(f"{name}: order must be a positive int, not {order!r}{errors.user_line()}.")
    leaves, structure, indices = active(name, x, "x")
    given = same_tree(name, "v", v, leaves, structure, "x")
    if order == 1:  # one derivative shares ties among equal eigenvalues, several follow each of them
        return jvp(f, (x,), (v,))
    directions = [t if t is None or isinstance(t, Value) else np.asarray(t, leaves[i].dtype)[()] for i, t in enumerate(given)]
    trace = Expansion(name, int(order))
    found, out_structure = _expanded(trace, f, leaves, indices, directions, lambda full: (tree.unflatten(structure, full),))
    return tuple(tree.unflatten(out_structure, [derivatives[m] for derivatives in found]) for m in range(order + 1))


def laplacian(f: Callable, argnums: int | tuple[int, ...] = 0, chunk_size: int | None = None) -> Callable:
    """The sum of the second derivatives, `laplacian(f)(x) = sum over i of d^2 f / d x_i^2`, of every element of the output.

    i runs over all elements of all floating leaves of the argument `argnums`, or of those of a tuple; the result is a tree like
    the output, with None at leaves that are not floating.  f is evaluated once, with the n first derivatives of every
    intermediate and the sum of its second ones; no Hessian is formed.  Cost: about two `jacfwd`; memory: n times that of f's
    largest intermediate, or `chunk_size` times, with one evaluation of f per chunk of directions.  An operation that is
    infinitely steep at x (sqrt at 0) gives nan.  Raises InputTypeError for complex arguments.

    >>> laplacian(lambda x: np.sum(x**2) ** 2)(np.array([1.0, 2.0, 0.0]))
    np.float64(100.0)
    """
    return transformed(_laplacian, f, "laplacian", check_argnums("laplacian", argnums), chunk_size)


def _laplacian(f: Callable, argnums: Any, chunk_size: Any, /, *args: Any, **kwargs: Any) -> Any:
    part, positions = chosen("laplacian", f, argnums, args)
    leaves, structure, indices = active("laplacian", part, argnums)
    inputs = [leaves[i] for i in indices]
    if any(x.dtype.kind == "c" for x in inputs):
        raise errors.InputTypeError(
            f"laplacian: the argument must be real{errors.user_line()}; write f as a function of real and imaginary parts."
        )

    def arguments(full: list) -> tuple:
        return restore(args, positions, tree.unflatten(structure, full), argnums)

    def along(directions: list) -> Any:
        mapped = directions[0].owner
        count = directions[0].value.shape[0]

        def mean(c: Any) -> Any:
            """Of second coefficients: to each direction an equal share of their sum."""
            return np.add.reduce(c.value, 0) / count if type(c) is Batched and c.owner is mapped else c

        given: list[Any] = [None] * len(leaves)
        for i, direction in zip(indices, directions, strict=True):
            given[i] = direction
        found, out_structure = _expanded(
            Expansion("laplacian", 2, mean), lambda *xs: f(*xs, **kwargs), leaves, indices, given, arguments
        )
        return tree.unflatten(out_structure, [None if y[2] is None else y[2] * count for y in found])

    total = None
    for rows in chunks(size_of(inputs), chunk_size, "laplacian"):
        found = vmap(along, out_axes=None)(unit_vectors(inputs, rows))
        total = found if total is None else tree.map(lambda a, b: None if a is None else a + b, total, found)
    return total


def _expanded(
    trace: Expansion, f: Callable, leaves: list, indices: list[int], directions: list, arguments: Callable
) -> tuple[list, Any]:
    """([y, y', ..., d^k y / dt^k] for every output leaf, all None but y where it is not floating, and the output's structure)."""
    full = list(leaves)
    try:
        for i in indices:
            full[i] = line(trace, snapshot(leaves[i]), directions[i])
        outputs, structure = output_leaves(trace.label, f, evaluate(f, arguments(full)))
    finally:
        trace.alive = False
    return [_derivatives(y, trace) for y in outputs], structure


def _derivatives(y: Any, trace: Expansion) -> list[Any]:
    """m! y_m, owned by the caller and of the dtype of y."""
    if not tree.is_differentiable(y):
        return [y] + [None] * trace.order
    own = type(y) is Series and y.owner is trace
    known = y.coefficients.known[1:] if own else []
    value = snapshot(settled(y.value, trace) if own else y)
    derivatives = [value]
    for m in range(1, trace.order + 1):
        c = known[m - 1] if m <= len(known) else None
        if c is None:
            c = np.zeros(y.shape, y.dtype)[()]
        else:
            c = settled(c, trace)
            c = trace.collapse(c) if m == 2 and trace.collapse is not None else c  # of a series it has waited till here
            c = snapshot(c) if c.dtype == y.dtype else c.astype(y.dtype)
            c = c if m == 1 else c * float(math.factorial(m))
        derivatives.append(c[()] if type(c) is np.ndarray and not c.shape else c)
    return derivatives
