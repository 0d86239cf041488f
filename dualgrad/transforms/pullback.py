"""Reverse mode: `vjp`, and the gradient, which is the pullback of a scalar function at 1."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Aval, Value
from dualgrad.core.splitting import settled
from dualgrad.interpreters.tape import Tape, Variable, pull_back
from dualgrad.transforms.arguments import (
    active,
    check_argnums,
    check_function,
    chosen,
    evaluate,
    output_leaves,
    restore,
    same_tree,
    scalar_output,
    split_aux,
    transformed,
)


def grad(f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, holomorphic: bool = False) -> Callable:
    """The gradient of a scalar function: `grad(f)(x)` is df/dx, a tree like the argument `argnums`.

    Real x: (df/dx_i).  Complex z: the direction of steepest ascent df/dx + i df/dy, so `z - lr * g` descends; with
    `holomorphic` the complex derivative f'(z).  Float and complex leaves are differentiated, others come back as None; each
    gradient has the shape and dtype of its leaf and shares memory with nothing.  A tuple of argnums gives a tuple of trees.
    With `has_aux`, f returns (value, aux) and the result is (grad, aux).
    Cost: a few evaluations of f whatever the number of inputs (Griewank & Walther, Evaluating Derivatives, ch. 3); memory:
    the residuals of all operations.  Raises OutputError if f does not return a scalar, InputTypeError for integer arguments.

    >>> grad(lambda p: np.sum((p['w'] * 3.0 + p['b']) ** 2))({'w': np.array([1.0, 2.0]), 'b': 1.0})
    {'w': array([24., 42.]), 'b': np.float64(22.0)}
    """
    return transformed(_grad, f, "grad", check_argnums("grad", argnums), has_aux, holomorphic)


def value_and_grad(f: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, holomorphic: bool = False) -> Callable:
    """`(f(x), grad(f)(x))` in one evaluation of f; with `has_aux`, `((value, aux), grad)`.  See `grad`.

    >>> value_and_grad(lambda x: x**3)(2.0)
    (np.float64(8.0), np.float64(12.0))
    """
    return transformed(_value_and_grad, f, "value_and_grad", check_argnums("value_and_grad", argnums), has_aux, holomorphic)


def _grad(f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, /, *args: Any, **kwargs: Any) -> Any:
    _, aux, gradient, _ = _gradient("grad", f, argnums, has_aux, holomorphic, args, kwargs)
    return (gradient, aux) if has_aux else gradient


def _value_and_grad(f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, /, *args: Any, **kwargs: Any) -> Any:
    value, aux, gradient, tape = _gradient("value_and_grad", f, argnums, has_aux, holomorphic, args, kwargs)
    value = lowered(value, tape)
    return ((value, aux) if has_aux else value), gradient


def _gradient(name: str, f: Callable, argnums: Any, has_aux: bool, holomorphic: bool, args: tuple, kwargs: dict) -> tuple:
    """(value on the tape, aux, gradient, the tape): record f once, pull back 1."""
    first = argnums == 0 and type(argnums) is int and len(args) > 0  # the common case, made lean
    part, positions = (args[0], ()) if first else chosen(name, f, argnums, args)
    leaves, structure, indices = active(name, part, argnums)
    if holomorphic and any(leaves[i].dtype.kind != "c" for i in indices):
        raise errors.InputTypeError(
            f"{name}: holomorphic=True needs complex arguments{errors.user_line()}; cast them with .astype(complex)."
        )
    tape = Tape(name)
    try:
        tape.enter(leaves, indices)
        part = tree.unflatten(structure, leaves)
        out = evaluate(f, (part, *args[1:]) if first else restore(args, positions, part, argnums), kwargs)
        value, aux = split_aux(name, f, out) if has_aux else (out, None)
        if type(value) is not Variable or value.value.shape != () or value.value.dtype is not _FLOAT64:
            value = scalar_output(name, f, value, holomorphic)
    finally:
        tape.close()
    one = _ONE if type(value) is Variable and value.value.dtype is _FLOAT64 else value.dtype.type(1)
    cotangents = pull_back(tape, (value,), (one,))
    tape.history.clear()  # a checkpoint's record refers to its tape: no cycle may keep the residuals alive
    if holomorphic:
        cotangents = [np.conjugate(g) for g in cotangents]
    if len(indices) < len(leaves):  # leaves that are not differentiated come back as None
        found: list[Any] = [None] * len(leaves)
        for i, g in zip(indices, cotangents, strict=True):
            found[i] = g
        cotangents = found
    return value, lower_tree(aux, tape) if has_aux else None, tree.unflatten(structure, cotangents), tape


_ONE = np.float64(1)
_FLOAT64 = _ONE.dtype


class Recording(NamedTuple):
    """One evaluation of f on a tape: what is needed to pull cotangents back through it, again and again."""

    tape: Tape
    inputs: list  # the differentiated leaves, one level down
    size: int  # the number of all leaves of the argument tree
    indices: list[int]  # which of them are differentiated
    structure: Any
    variables: list  # the output leaves on the tape
    out_structure: Any
    aux: Any

    @property
    def outputs(self) -> list:
        """The output leaves, one level down."""
        return [
            settled(y.value, self.tape) if type(y) is Variable and y.owner is self.tape else y
            for y in self.variables
        ]

    def pull(self, cotangents: list, structural: bool = False) -> list:
        """One cotangent per differentiated leaf, for one per output leaf (None is zero)."""
        return pull_back(self.tape, self.variables, cotangents, structural)

    def without_values(self) -> Recording:
        """The same for pulling back alone: plain inputs and outputs are not kept alive, only their shapes and dtypes."""
        return self._replace(inputs=[], variables=[_without_value(y) for y in self.variables])


def _without_value(y: Any) -> Any:
    if type(y) is not Variable:
        return y if y is None or isinstance(y, Value) else Aval(y.shape, y.dtype)
    if isinstance(y.value, Value):
        return y
    light = object.__new__(Variable)
    light.owner, light.index, light.value = y.owner, y.index, Aval(y.shape, y.dtype)
    return light


def record(name: str, f: Callable, part: Any, argument: str, has_aux: bool) -> Recording:
    """Evaluate f(part) once on a new tape."""
    leaves, structure, indices = active(name, part, argument)
    tape = Tape(name)
    try:
        tape.enter(leaves, indices)
        inputs = [leaves[i].value for i in indices]
        out = evaluate(f, (tree.unflatten(structure, leaves),))
        out, aux = split_aux(name, f, out) if has_aux else (out, None)
        variables, out_structure = output_leaves(name, f, out)
    finally:
        tape.close()
    return Recording(tape, inputs, len(leaves), indices, structure, variables, out_structure, lower_tree(aux, tape))


def vjp(f: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """`(out, pullback)` with pullback(ct) = J^H ct, one cotangent tree per primal; with `has_aux`, `(out, pullback, aux)`.

    J is the Jacobian of f at the primals, ct a tree like out.  <w, J v> = <J^H w, v> for Re<a, b>.  The pullback may be called
    any number of times, each a few times the cost of f, and nothing is evaluated again; mutating the primals in between does
    not change it.

    >>> out, pullback = vjp(lambda x, y: x * np.sin(y), np.array([1.0, 2.0]), 0.0)
    >>> pullback(np.array([1.0, 10.0]))
    (array([0., 0.]), np.float64(21.0))
    """
    check_function("vjp", f)
    recording = record("vjp", lambda arguments: f(*arguments), primals, "the primals", has_aux)
    dtypes = [y.dtype if tree.is_differentiable(y) else None for y in recording.variables]
    shapes = [
        y if d is None else np.broadcast_to(np.zeros((), d), y.shape)
        for y, d in zip(recording.variables, dtypes, strict=True)
    ]

    def pullback(cotangent: Any) -> tuple:
        """J^H cotangent, one tree per primal."""
        seeds = same_tree("vjp", "cotangent", cotangent, shapes, recording.out_structure, "output")
        found: list[Any] = [None] * recording.size
        given = [None if g is None or d is None else _seed(g, d) for g, d in zip(seeds, dtypes, strict=True)]
        for i, g in zip(recording.indices, recording.pull(given), strict=True):
            found[i] = g
        return tree.unflatten(recording.structure, found)

    result = tree.unflatten(recording.out_structure, [lowered(y, recording.tape) for y in recording.variables])
    recording = recording.without_values()
    return (result, pullback, recording.aux) if has_aux else (result, pullback)


def _seed(g: Any, dtype: Any) -> Any:
    """A cotangent in the dtype of its output."""
    if not isinstance(g, Value):
        return np.asarray(g, dtype)[()] if np.ndim(g) == 0 else np.asarray(g, dtype)
    return g


def lowered(value: Any, tape: Tape) -> Any:
    """A value of this tape, one level down and owned by the caller."""
    if type(value) is Variable and value.owner is tape:
        value = settled(value.value, tape)
        return value.copy() if type(value) is np.ndarray else snapshot(value)
    return value


def lower_tree(aux: Any, tape: Tape) -> Any:
    """Auxiliary results without the tape."""
    leaves, structure = tree.flatten(aux)
    return tree.unflatten(structure, [lowered(leaf, tape) for leaf in leaves])
