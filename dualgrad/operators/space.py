"""The differentiable leaves of a tree as a vector space of dimension `size`: checked, joined to one vector, cut again.

    join(leaves) = vector,    cut(vector) = leaves,    tree(leaves) = a tree like the one the space was made of

The order is that of `tree.ravel`.  Leading axes of a vector (one vector per row) become leading axes of every leaf.
Leaves that are not differentiated (integers, strings, None) are None in a tree of the space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.transforms.arguments import active, same_tree


class Space:
    """The space of the leaves at `indices` among all leaves of a tree; of arrays only shape and dtype are kept."""

    __slots__ = ("dtype", "dtypes", "indices", "leaves", "shapes", "size", "starts", "structure", "what")

    def __init__(self, what: str, leaves: Sequence[Any], structure: tree.Structure, indices: Sequence[int]) -> None:
        self.what = what  # for messages: "params", "the output"
        self.structure, self.indices = structure, list(indices)
        self.leaves = [np.broadcast_to(np.zeros((), x.dtype), x.shape) if hasattr(x, "dtype") else x for x in leaves]
        self.shapes = [self.leaves[i].shape for i in indices]
        self.dtypes = [self.leaves[i].dtype for i in indices]
        self.starts = [0]
        for shape in self.shapes:
            self.starts.append(self.starts[-1] + math.prod(shape))
        self.size = self.starts[-1]
        self.dtype = np.result_type(*self.dtypes)

    def check(self, name: str, v: Any) -> list[Any]:
        """The leaves of a tree of this space, in its dtypes; None stands for zeros.  Raises StructureError if v is no such tree."""
        leaves = same_tree(name, "v", v, self.leaves, self.structure, self.what)
        found = []
        for i, shape, dtype in zip(self.indices, self.shapes, self.dtypes, strict=True):
            x = leaves[i]
            found.append(np.zeros(shape, dtype)[()] if x is None else x if isinstance(x, Value) else np.asarray(x, dtype)[()])
        return found

    def tree(self, leaves: Sequence[Any]) -> Any:
        """The tree of these differentiable leaves."""
        found: list[Any] = [None] * self.structure.size
        for i, x in zip(self.indices, leaves, strict=True):
            found[i] = x
        return tree.unflatten(self.structure, found)

    def cut(self, vectors: Any) -> list[Any]:
        """The leaves, each of shape (*leading, *leaf.shape), of vectors of shape (*leading, size)."""
        leading = vectors.shape[:-1]
        return [
            vectors[..., start:stop].reshape(leading + shape).astype(dtype, copy=False)[()]
            for (start, stop), shape, dtype in zip(pairwise(self.starts), self.shapes, self.dtypes, strict=True)
        ]

    def join(self, leaves: Sequence[Any], leading: tuple[int, ...] = ()) -> Any:
        """Vectors of shape (*leading, size) of leaves of shape (*leading, *leaf.shape)."""
        parts = [np.reshape(x, (*leading, math.prod(shape))) for x, shape in zip(leaves, self.shapes, strict=True)]
        return np.concatenate(parts, axis=-1)


def real_space(name: str, what: str, given: Any) -> Space:
    """The space of a tree of parameters; raises InputTypeError where a leaf is complex, or none is floating."""
    space = Space(what, *active(name, given, what))
    for i, dtype in zip(space.indices, space.dtypes, strict=True):
        if dtype.kind == "c":
            raise errors.InputTypeError(
                f"{name}: {what}{tree.paths(space.structure)[i]} is {errors.describe(space.leaves[i])}{errors.user_line()}, "
                "and the operator is a real matrix. Make its real and imaginary parts two real leaves."
            )
    return space
