"""Trees: nested containers of leaves, taken apart into (leaves, structure) and put together again.

    unflatten(structure, leaves) = tree        where  leaves, structure = flatten(tree)

nodes.py says what a node is, flattening.py takes trees apart and compares them, vector.py makes one vector
of a tree.
"""

from dualgrad.tree.flattening import (
    LEAF,
    Structure,
    difference,
    flatten,
    leaves,
    map,
    paths,
    same,
    structure,
    unflatten,
)
from dualgrad.tree.nodes import register
from dualgrad.tree.vector import Unravel, is_differentiable, ravel

__all__ = [
    "LEAF",
    "Structure",
    "Unravel",
    "difference",
    "flatten",
    "is_differentiable",
    "leaves",
    "map",
    "paths",
    "ravel",
    "register",
    "same",
    "structure",
    "unflatten",
]
