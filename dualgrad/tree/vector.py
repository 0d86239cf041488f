"""The differentiable leaves of a tree as one vector, and back.

    unravel(vector) = tree        where  vector, unravel = ravel(tree)

"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dualgrad.errors import StructureError, describe
from dualgrad.tree.flattening import Structure, flatten, unflatten


def is_differentiable(leaf: Any) -> bool:
    """Is a leaf floating or complex? Integers, booleans, strings, None and all else pass through derivatives.

    >>> [is_differentiable(leaf) for leaf in (1.0, 1j, np.ones(2, np.float16), 1, True, 'relu', None)]
    [True, True, True, False, False, False, False]
    """
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        return isinstance(leaf, float | complex)
    return getattr(dtype, "kind", None) in ("f", "c")


class _Place(NamedTuple):
    """Where in the vector a leaf is, and what it was."""

    start: int
    stop: int
    shape: tuple[int, ...] | None  # None for a scalar that is no array
    dtype: np.dtype[Any]


def ravel(tree: Any) -> tuple[Any, Unravel]:
    """All floating and complex leaves of a tree as one vector, and the function back from vector to tree.

    The vector's dtype is NumPy's promotion of the leaves' (a Python float counts as float64); without any
    such leaf it is an empty float64 vector. `unravel(vector)` restores shapes and dtypes, shares no memory
    with the vector, and puts the other leaves back as they were. A vector of the wrong shape, or a complex
    one for a tree of real leaves, raises StructureError. Both work on traced values.

    >>> vector, unravel = ravel({'w': np.array([[1.0, 2.0]]), 'steps': 7, 'b': 3.0})
    >>> vector
    array([1., 2., 3.])
    >>> unravel(10 * vector)
    {'w': array([[10., 20.]]), 'steps': 7, 'b': np.float64(30.0)}
    """
    found, own = flatten(tree)
    parts, places, start = [], [], 0
    for index, leaf in enumerate(found):
        if is_differentiable(leaf):
            part = np.ravel(leaf)
            shape = None if isinstance(leaf, float | complex | np.generic) else leaf.shape
            places.append(_Place(start, start + part.shape[0], shape, part.dtype))
            parts.append(part)
            start += part.shape[0]
            found[index] = places[-1]
    vector = np.concatenate(parts) if parts else np.zeros(0)
    return vector, Unravel(own, found, start, vector.dtype)


class Unravel:
    """The function from a vector to a tree that `ravel` returns; a picklable value."""

    __slots__ = ("dtype", "entries", "size", "structure")

    def __init__(self, structure: Structure, entries: list[Any], size: int, dtype: np.dtype[Any]) -> None:
        self.structure = structure
        self.entries = entries  # a _Place for each differentiable leaf, the leaf itself for each other
        self.size = size
        self.dtype = dtype

    def __call__(self, vector: Any) -> Any:
        """The tree whose differentiable leaves are read from the vector."""
        if getattr(vector, "shape", None) != (self.size,):
            raise StructureError(
                f"unravel: expected a vector of shape ({self.size},), but got {describe(vector)}. "
                f"Give an array with one entry for each entry of the vector that ravel returned."
            )
        if vector.dtype.kind == "c" and self.dtype.kind != "c":
            raise StructureError(
                f"unravel: the tree is real ({self.dtype}), but the vector is {vector.dtype}. "
                f"Give its real part, or ravel a tree with complex leaves."
            )
        return unflatten(
            self.structure,
            [_cut(vector, entry) if type(entry) is _Place else entry for entry in self.entries],
        )

    def __repr__(self) -> str:
        return f"Unravel({self.size} entries of {self.dtype} to {self.structure})"


def _cut(vector: Any, place: _Place) -> Any:
    """One leaf of the vector, owning its memory."""
    if place.shape is None:
        piece = vector[place.start]
    else:
        piece = np.reshape(vector[place.start : place.stop], place.shape)
    if piece.dtype == place.dtype:
        return piece.copy() if type(piece) is np.ndarray else piece
    if piece.dtype.kind == "c" and place.dtype.kind != "c":
        piece = np.real(piece)
    return piece.astype(place.dtype)
