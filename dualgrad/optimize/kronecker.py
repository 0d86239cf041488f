"""Kronecker factors of the Fisher matrix of dense layers, without hooks: what goes in, and what comes back.

For z = x W + b and x~ = (x, 1) the gradient by (W over b) at one example is the outer product x~ g^T, g the gradient by z.  So

    F_layer = E[x~ x~^T kron g g^T] ~ A kron G,     A = E[x~ x~^T],     G = E[g g^T]

with equality for a single linear layer of constant output curvature.  A model is two plain functions, and both factors come
from calling it with other parameters:

    inputs x         a plain evaluation with weights that note what they are multiplied by
    gradients g      the pullback by biases that are given one row per example, b of shape (n, outputs) broadcasting as b does

(Martens, Grosse 2015, arXiv:1503.05671, section 3)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors, tree
from dualgrad.transforms.pullback import vjp


class Layers(NamedTuple):
    """Where the dense layers {"weight", "bias"} stand among the leaves of a tree of parameters."""

    structure: tree.Structure
    leaves: list
    places: list[tuple[int, int]]  # of weight and bias

    def stacked(self, found: Any) -> list[Any]:
        """For each layer the matrix of weight over bias, (inputs + 1, outputs), from a tree like the parameters."""
        leaves = tree.leaves(found, like=self.structure)
        return [np.vstack([leaves[weight], leaves[bias]]) for weight, bias in self.places]

    def tree(self, blocks: list[Any]) -> Any:
        """The tree of these matrices; None at the other leaves."""
        leaves: list[Any] = [None] * len(self.leaves)
        for (weight, bias), block in zip(self.places, blocks, strict=True):
            leaves[weight], leaves[bias] = block[:-1], block[-1]
        return tree.unflatten(self.structure, leaves)

    def replaced(self, weights: list[Any] | None, biases: list[Any] | None) -> Any:
        """The parameters with other weights, or other biases."""
        leaves = list(self.leaves)
        for k, (weight, bias) in enumerate(self.places):
            if weights is not None:
                leaves[weight] = weights[k]
            if biases is not None:
                leaves[bias] = biases[k]
        return tree.unflatten(self.structure, leaves)


def dense_layers(name: str, params: Any) -> Layers:
    """The dense layers of a tree.  Raises ArgumentError if a floating leaf belongs to none, or there is no layer."""
    leaves, structure = tree.flatten(params)
    paths = tree.paths(structure)
    position = {path: k for k, path in enumerate(paths)}
    places = []
    for k, (path, leaf) in enumerate(zip(paths, leaves, strict=True)):
        if not tree.is_differentiable(leaf):
            continue
        parent, _, last = path.rpartition("[")
        partner = position.get(parent + {"'weight']": "['bias']", "'bias']": "['weight']"}.get(last, "?"))
        if partner is None or np.ndim(leaf) != (2 if last == "'weight']" else 1):
            raise errors.ArgumentError(
                f"{name}: params{path} ({errors.describe(leaf)}) is in no dense layer, a dict of 'weight' (inputs, outputs) "
                f"and 'bias' (outputs,){errors.user_line()}. Keep it fixed inside the model, or use hessian_free or sophia."
            )
        if last == "'weight']":
            places.append((k, partner))
    if not places:
        raise errors.ArgumentError(f"{name}: params has no dense layer{errors.user_line()}.")
    return Layers(structure, leaves, places)


class Noted:
    """A weight that notes what it is multiplied by from the left; everything else fails."""

    __array_ufunc__ = None  # so that x @ weight comes here

    def __init__(self, weight: Any) -> None:
        self.weight, self.inputs = weight, []

    inputs: list[Any]

    def __rmatmul__(self, x: Any) -> Any:
        self.inputs.append(x)
        return x @ self.weight


class Passed(NamedTuple):
    """One pass through a model: its output, the inputs x~ (n, inputs + 1) of every layer, and the pullback of cotangents.

    `gradients(cotangent)` has for every layer the gradients g by z, (n, outputs), one row per example.
    """

    output: Any
    inputs: list[Any]
    gradients: Callable[[Any], list[Any]]


def propagate(name: str, model: Callable, layers: Layers, data: tuple) -> Passed:
    """Evaluate model(params, *data) twice: to note the layers' inputs, and to record the way from their biases to the output.

    Raises ArgumentError for a layer that is not used exactly once, as x @ weight + bias with one row of x per example.
    """
    noted = [Noted(layers.leaves[weight]) for weight, _ in layers.places]
    model(layers.replaced(noted, None), *data)
    for (weight, _), note in zip(layers.places, noted, strict=True):
        if len(note.inputs) != 1:
            raise errors.ArgumentError(
                f"{name}: params{tree.paths(layers.structure)[weight]} was used {len(note.inputs)} times{errors.user_line()}; the "
                "Kronecker factors are those of layers used once. Use hessian_free for shared weights."
            )
    inputs = [note.inputs[0] for note in noted]
    rows = [
        np.broadcast_to(layers.leaves[bias], (*x.shape[:-1], layers.leaves[bias].size))
        for x, (_, bias) in zip(inputs, layers.places, strict=True)
    ]
    output, pullback = vjp(lambda biases: model(layers.replaced(None, biases), *data), rows)

    def gradients(cotangent: Any) -> list[Any]:
        return [g.reshape(-1, g.shape[-1]) for g in pullback(cotangent)[0]]

    return Passed(output, [_with_one(x) for x in inputs], gradients)


def _with_one(x: Any) -> Any:
    """(n, inputs) to (n, inputs + 1), the last column ones."""
    x = x.reshape(-1, x.shape[-1])
    return np.hstack([x, np.ones((len(x), 1), x.dtype)])


class Factor(NamedTuple):
    """A kron G of one layer: A (inputs + 1, inputs + 1), G (outputs, outputs)."""

    inputs: Any
    gradients: Any


def factors(passed: Passed, gradients: list[Any]) -> tuple[Factor, ...]:
    """The means of x~ x~^T and g g^T over the rows."""
    return tuple(
        Factor(x.T @ x / x.dtype.type(len(x)), g.T @ g / g.dtype.type(len(g)))
        for x, g in zip(passed.inputs, gradients, strict=True)
    )


def mixed(decay: float, old: tuple[Factor, ...] | None, new: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """decay old + (1 - decay) new, or the new ones if there are no old."""
    if old is None:
        return new
    return tuple(
        Factor(*(a.dtype.type(decay) * a + a.dtype.type(1 - decay) * b for a, b in zip(before, now, strict=True)))
        for before, now in zip(old, new, strict=True)
    )


def inverted(given: tuple[Factor, ...], gamma: float) -> tuple[Factor, ...]:
    """(A + pi gamma I)^-1 and (G + gamma / pi I)^-1 with pi^2 = (tr A / dim A) / (tr G / dim G): the factored Tikhonov damping.

    Their Kronecker product is nearest, in the trace norm, to that of A kron G + gamma^2 I (Martens, Grosse 2015, section 6.3).
    """
    found = []
    for a, g in given:
        mean_a, mean_g = float(np.trace(a)) / len(a), float(np.trace(g)) / len(g)
        balance = np.sqrt(mean_a / mean_g) if mean_a > 0 and mean_g > 0 else 1.0
        found.append(Factor(_inverse(a, balance * gamma), _inverse(g, gamma / balance)))
    return tuple(found)


def _inverse(matrix: Any, damping: float) -> Any:
    inverse = np.linalg.inv(matrix + matrix.dtype.type(damping) * np.eye(len(matrix), dtype=matrix.dtype))
    return (inverse + inverse.T) / 2
