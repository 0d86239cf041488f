"""The reference derivative where there is no closed form: fourth-order central differences, error 1e-11.

    f'(x) = (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / (12 h) + O(h^4)

It only evaluates f on plain arrays, so nothing of dualgrad's derivatives takes part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import tree


def central_gradient(f: Callable[[Any], Any], params: Any, h: float = 1e-3) -> Any:
    """The gradient of a scalar function of a tree of float64 arrays, element by element."""
    leaves, structure = tree.flatten(params)
    gradient = [np.zeros_like(leaf) for leaf in leaves]
    for number, leaf in enumerate(leaves):
        for index in np.ndindex(leaf.shape):

            def moved(distance: float, number: int = number, index: tuple[int, ...] = index) -> Any:
                shifted = [np.array(other) for other in leaves]
                shifted[number][index] += distance
                return f(tree.unflatten(structure, shifted))

            near, far = moved(h) - moved(-h), moved(2 * h) - moved(-2 * h)
            gradient[number][index] = (8 * near - far) / (12 * h)
    return tree.unflatten(structure, gradient)
