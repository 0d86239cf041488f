"""The generalized Gauss-Newton matrix as an operator: push forward, multiply by the curvature at the output, pull back.

    G v = J^T (C (J v)),    J = d model / d params,    C = the Hessian of the loss at the output

The product never forms J.  `CurvatureOperator` is that sandwich for any C; the Fisher matrix is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.operators.operator import SymmetricOperator
from dualgrad.operators.recorded import Product, RecordedMap, RecordedScalar, record_map, record_scalar
from dualgrad.operators.space import Space, real_space


class CurvatureOperator(SymmetricOperator):
    """J^T C J of a recorded map and a symmetric product C on the leaves of its output."""

    def __init__(self, name: str, space: Space, mapping: RecordedMap, curvature: Product) -> None:
        super().__init__(name, space, lambda v: mapping.pull(curvature(mapping.push(v))))


class GaussNewtonOperator(CurvatureOperator):
    """The generalized Gauss-Newton matrix G = J^T C J of loss(model(params, *args)) at params (Schraudolph 2002).

    J is the Jacobian of the model, C the Hessian of the loss at the model's `output`, any tree.  G is positive semidefinite where
    the loss is convex, and equal to the Hessian where the model is linear or the loss has no slope.  `loss=None` is half the sum
    of squares, |output|^2 / 2: then G = J^T J, the matrix of a least squares problem whose residuals the model returns.
    Model and loss are evaluated once; `value` and `gradient` of the whole come with it.  Cost of a product: about a gradient.
    Raises OutputError if the loss does not return a real scalar, InputTypeError for integer or complex params.

    >>> x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0])
    >>> line = lambda p: p["slope"] * x + p["offset"]
    >>> G = GaussNewtonOperator(line, lambda out: np.sum((out - y) ** 2), {"slope": 1.0, "offset": 0.0})
    >>> G @ {"slope": 3.0, "offset": 0.0}
    {'slope': np.float64(30.0), 'offset': np.float64(18.0)}
    >>> GaussNewtonOperator(lambda p: line(p) - y, None, {"slope": 1.0, "offset": 0.0}).to_dense()
    array([[5., 3.],
           [3., 3.]])
    """

    def __init__(self, model: Callable, loss: Callable | None, params: Any, *args: Any) -> None:
        name = "GaussNewtonOperator"
        if loss is not None and not callable(loss):
            raise errors.ArgumentError(
                f"{name}: the second argument, loss, must be a function of the model's output, or None for half the sum of "
                f"squares, not {errors.describe(loss)}{errors.user_line()}."
            )
        space = real_space(name, "params", params)
        mapping = record_map(name, model, params, args)
        output = mapping.value
        outer = _half_squares(output) if loss is None else record_scalar(name, loss, output, (), "the output")
        super().__init__(name, space, mapping, outer.push)
        self.output, self.value, self.gradient = output, outer.value, space.tree(mapping.pull(outer.gradient))


def _half_squares(output: Any) -> RecordedScalar:
    """|output|^2 / 2: its gradient is the output, and its Hessian the identity."""
    leaves = [y for y in tree.leaves(output) if tree.is_differentiable(y)]
    return RecordedScalar(0.5 * sum(np.sum(np.real(np.conjugate(y) * y)) for y in leaves), leaves, lambda v: v)
