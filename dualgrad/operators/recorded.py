"""What one evaluation leaves behind: products on lists of differentiated leaves, as often as wanted, and no further evaluation.

    RecordedMap      of f: trees -> trees      push v = J v,  pull u = J^T u
    RecordedScalar   of f: trees -> numbers    its value, its gradient, and push v = H v
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors, tree
from dualgrad.operators.space import Space
from dualgrad.transforms.arguments import check_function, name_of, scalar_output
from dualgrad.transforms.pullback import lowered, record, vjp
from dualgrad.transforms.pushforward import transpose

Product = Callable[[list], list]


class RecordedMap(NamedTuple):
    """The output of f, the space it is in, and the products with its Jacobian."""

    value: Any
    codomain: Space
    push: Product
    pull: Product


class RecordedScalar(NamedTuple):
    """The value of f, the leaves of its gradient, and the product with its Hessian."""

    value: Any
    gradient: list
    push: Product


def record_map(name: str, f: Callable, params: Any, args: tuple) -> RecordedMap:
    """f(params, *args), evaluated once.  Raises OutputError if no leaf of its output is floating."""
    check_function(name, f)
    recording = record(name, lambda p: f(p, *args), params, "params", False)
    outputs = [lowered(y, recording.tape) for y in recording.variables]
    places = [i for i, y in enumerate(outputs) if tree.is_differentiable(y)]
    if not places:
        raise errors.OutputError(
            f"{name}: {name_of(f)} must return an array of floats (or a tree with one), but it returned "
            f"{', '.join(map(errors.describe, outputs)) or 'an empty tree'}{errors.user_line()}."
        )
    transposed, recording = transpose(recording), recording.without_values()

    def push(v: list) -> list:
        pushed = transposed(v)
        return [pushed[i] for i in places]

    def pull(u: list) -> list:
        return recording.pull(_placed(u, places, len(outputs)))

    value = tree.unflatten(recording.out_structure, outputs)
    return RecordedMap(value, Space("the output", outputs, recording.out_structure, places), push, pull)


def record_scalar(name: str, f: Callable, point: Any, args: tuple, argument: str) -> RecordedScalar:
    """f(point, *args) and its gradient, evaluated once.  Raises OutputError if f does not return a real scalar.

    The product with the Hessian is the pullback of the gradient, for a Hessian is its own adjoint.
    """
    check_function(name, f)

    def value_and_gradient(p: Any) -> tuple:
        value, pullback = vjp(lambda p: f(p, *args), p)
        value = scalar_output(name, f, value, False)
        return value, pullback(np.ones((), value.dtype)[()])[0]

    recording = record(name, value_and_gradient, point, argument, False)
    value, *gradient = [lowered(y, recording.tape) for y in recording.variables]
    places, recording = recording.indices, recording.without_values()

    def push(v: list) -> list:
        return recording.pull([None, *_placed(v, places, len(gradient))])  # no cotangent of the value

    return RecordedScalar(value, [gradient[i] for i in places], push)


def _placed(found: list, places: list[int], count: int) -> list:
    """A list of `count` with these entries at these places, and None elsewhere."""
    full: list[Any] = [None] * count
    for i, x in zip(places, found, strict=True):
        full[i] = x
    return full
