"""The Hessian as an operator: v -> H v, reverse over reverse through one recording of the gradient.

    H v = (d grad f / d params)^T v,    because H is symmetric

so the pullback of the recorded gradient is the product, and nothing is transposed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dualgrad.operators.operator import SymmetricOperator
from dualgrad.operators.recorded import record_scalar
from dualgrad.operators.space import real_space


class HessianOperator(SymmetricOperator):
    """The Hessian of a scalar function f(params, *args) at params, as an operator on trees and on vectors.

    f is evaluated once; its `value` and `gradient` come with it.  Cost of a product: 1 to 2 gradients (Pearlmutter 1994);
    memory: the residuals of f and of its gradient.  Raises OutputError if f does not return a real scalar, InputTypeError for
    integer or complex params.

    >>> import numpy as np
    >>> f = lambda p: np.sum(p["x"] ** 2 * p["y"])
    >>> H = HessianOperator(f, {"x": np.array([1.0, 2.0]), "y": 3.0})
    >>> H @ {"x": np.array([1.0, 0.0]), "y": 1.0}
    {'x': array([8., 4.]), 'y': np.float64(2.0)}
    >>> H.to_dense()
    array([[6., 0., 2.],
           [0., 6., 4.],
           [2., 4., 0.]])
    >>> H.value, H.gradient["y"]
    (np.float64(15.0), np.float64(5.0))
    """

    def __init__(self, f: Callable, params: Any, *args: Any) -> None:
        name = "HessianOperator"
        space = real_space(name, "params", params)
        recorded = record_scalar(name, f, params, args, "params")
        super().__init__(name, space, recorded.push)
        self.value, self.gradient = recorded.value, space.tree(recorded.gradient)
