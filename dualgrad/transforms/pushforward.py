"""Forward mode: `jvp`, `linearize`, and the derivative of elementwise functions."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.arrays import innermost
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Trace, Value
from dualgrad.core.serial import next_serial
from dualgrad.core.splitting import settled
from dualgrad.interpreters.dual import Dual, dual
from dualgrad.transforms.arguments import (
    active,
    check_function,
    evaluate,
    name_of,
    output_leaves,
    same_tree,
    split_aux,
    transformed,
)
from dualgrad.transforms.pullback import Recording, lowered, record
from dualgrad.transforms.vectorize import vmap


def jvp(f: Callable, primals: tuple, tangents: tuple, has_aux: bool = False) -> tuple:
    """`(f(*primals), J tangents)`: the directional derivative of f, in one forward pass without a tape.

    `primals` and `tangents` are tuples (or lists) of trees of equal structure and shapes; a tangent leaf of None is zero.
    With `has_aux`, f returns (out, aux) and the result is (out, tangent, aux).  Cost: two to three evaluations of f; memory:
    twice that of f.  Raises StructureError if tangents do not fit the primals.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    return pushforward("jvp", f, primals, tangents, has_aux, None)


def pushforward(name: str, f: Callable, primals: Any, tangents: Any, has_aux: bool, supports: list | None) -> tuple:
    """jvp, with the supports of the tangent leaves where they have structural zeros (a basis of unit vectors)."""
    check_function(name, f)
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise errors.StructureError(
                f"{name}: {what} must be a tuple with one entry per argument of {name_of(f)}, not {errors.describe(given)}"
                f"{errors.user_line()}; write ({what[:-1]},)."
            )
    primals, tangents = tuple(primals), tuple(tangents)
    leaves, structure, indices = active(name, primals, "the primals")
    given = same_tree(name, "tangents", tangents, leaves, structure, "primals")
    trace = Trace(next_serial(), name)
    try:
        for i in indices:
            tangent = given[i]
            tangent = None if tangent is None else _in_dtype(tangent, leaves[i].dtype)
            leaves[i] = dual(trace, snapshot(leaves[i]), tangent, None if supports is None else supports[i])
        out = evaluate(f, tree.unflatten(structure, leaves))
        out, aux = split_aux(name, f, out) if has_aux else (out, None)
        out_leaves, out_structure = output_leaves(name, f, out)
    finally:
        trace.alive = False
    values, pushed = [], []
    for y in out_leaves:
        if type(y) is Dual and y.owner is trace:
            values.append(snapshot(settled(y.value, trace)))
            pushed.append(np.zeros(y.shape, y.dtype)[()] if y.tangent is None else _tangent(settled(y.tangent, trace), y.dtype))
        else:
            values.append(y)
            pushed.append(np.zeros(y.shape, y.dtype)[()] if tree.is_differentiable(y) else None)
    result = tree.unflatten(out_structure, values), tree.unflatten(out_structure, pushed)
    if not has_aux:
        return result
    aux_leaves, aux_structure = tree.flatten(aux)
    below = [settled(leaf.value, trace) if type(leaf) is Dual and leaf.owner is trace else leaf for leaf in aux_leaves]
    return (*result, tree.unflatten(aux_structure, below))


def _in_dtype(tangent: Any, dtype: Any) -> Any:
    """A tangent that was given, in the dtype of its primal."""
    return tangent if isinstance(tangent, Value) else np.asarray(tangent, dtype)[()]


def _tangent(tangent: Any, dtype: Any) -> Any:
    """A tangent owned by the caller, of its primal's dtype."""
    tangent = snapshot(tangent) if tangent.dtype == dtype else tangent.astype(dtype)
    return tangent[()] if type(tangent) is np.ndarray and not tangent.shape else tangent


def linearize(f: Callable, *primals: Any) -> tuple:
    """`(out, pushforward)` with pushforward(*tangents) = J tangents, for many products at one point.

    f is evaluated once; each product then costs about as much as a pullback, and nothing of f is evaluated again.
    The pushforward is the transpose of the recorded pullback, J = (J^H)^H; a tangent leaf of None is zero.

    >>> out, pushforward = linearize(lambda x: x**3, 2.0)
    >>> pushforward(1.0), pushforward(10.0)
    (np.float64(12.0), np.float64(120.0))
    """
    check_function("linearize", f)
    recording = record("linearize", lambda arguments: f(*arguments), primals, "the primals", False)
    leaves = tree.leaves(primals)
    out = tree.unflatten(recording.out_structure, [lowered(y, recording.tape) for y in recording.variables])
    push, structure, indices, out_structure = transpose(recording), recording.structure, recording.indices, recording.out_structure

    def pushforward(*tangents: Any) -> Any:
        """J tangents, a tree like the output."""
        given = same_tree("linearize", "tangents", tangents, leaves, structure, "primals")
        return tree.unflatten(out_structure, push([given[i] for i in indices]))

    return out, pushforward


def transpose(recording: Recording) -> Callable[..., list]:
    """The pushforward of a recording, from its differentiated leaves to its output leaves (None for integers and None).

    The pullback is recorded once; what it records is linear, with all slopes evaluated, and it is pulled back at each call.
    """
    outputs = recording.outputs
    count, dtypes = len(outputs), [x.dtype for x in recording.inputs]
    zeros = [np.zeros(y.shape, y.dtype)[()] if tree.is_differentiable(y) else None for y in outputs]
    if all(zero is None for zero in zeros):
        return lambda tangents, structural=False: [None] * count
    transposed = record("linearize", recording.pull, zeros, "the output", False).without_values()

    def push(tangents: list, structural: bool = False) -> list:
        """With `structural`, zeros in the tangents (of unit vectors) are structural ones."""
        pushed: list[Any] = [None] * count
        given = [None if t is None else _in_dtype(t, dtype) for t, dtype in zip(tangents, dtypes, strict=True)]
        for i, t in zip(transposed.indices, transposed.pull(given, structural), strict=True):
            pushed[i] = t
        return pushed

    return push


def derivative(f: Callable) -> Callable:
    """The derivative of an elementwise function, of the shape of its argument: derivative(f)(x)[i] = f'(x[i]).

    One forward pass with two tangents: ones, and a fixed random vector that verifies that the Jacobian is diagonal.
    Raises NotElementwiseError if it is not (`x / x.sum()`), instead of returning row sums.  Nests: derivative(derivative(f)).

    >>> derivative(derivative(np.sin))(np.array([0.0, np.pi / 2]))
    array([-0., -1.])
    """
    return transformed(_derivative, f, "derivative")


def _derivative(f: Callable, /, x: Any, *args: Any, **kwargs: Any) -> Any:
    (x,), _, indices = active("derivative", x, "argument 0")
    if not indices:
        raise errors.InputTypeError(f"derivative: the argument must be a floating array{errors.user_line()}.")
    probe = 0.5 + np.random.default_rng(0).random(np.shape(x)).astype(_real_dtype(x))
    both = np.stack([np.ones(np.shape(x), probe.dtype), probe])
    out, tangents = vmap(lambda t: jvp(lambda y: f(y, *args, **kwargs), (x,), (t,)), out_axes=0)(both)
    out, slope, probed = out[0], tangents[0], tangents[1]
    if np.shape(out) != np.shape(x):
        raise errors.NotElementwiseError(
            f"derivative: {name_of(f)} maps shape {np.shape(x)} to shape {np.shape(out)}{errors.user_line()}, "
            "so it is not elementwise. Use jacobian(f), or grad(f) for a scalar output."
        )
    expected, got = np.abs(innermost(slope) * probe), innermost(probed)
    tolerance = 1e3 * np.finfo(probe.dtype).eps * np.maximum(expected, np.max(expected, initial=0.0))
    with np.errstate(invalid="ignore"):
        wrong = np.abs(got - innermost(slope) * probe) > tolerance
    if np.any(wrong):
        raise errors.NotElementwiseError(
            f"derivative: the Jacobian of {name_of(f)} is not diagonal{errors.user_line()}: an element of its output depends "
            "on other elements of the input. Use jacobian(f), or jvp and vjp for products."
        )
    return slope


def _real_dtype(x: Any) -> Any:
    """The real dtype of the precision of x."""
    return np.finfo(x.dtype).dtype
