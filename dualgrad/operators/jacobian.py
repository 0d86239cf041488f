"""The Jacobian as an operator: u -> J^T u is the recorded pullback, and v -> J v the transpose of that pullback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dualgrad import errors
from dualgrad.operators.operator import TreeOperator
from dualgrad.operators.recorded import record_map
from dualgrad.operators.space import real_space
from dualgrad.transforms.arguments import name_of


class JacobianOperator(TreeOperator):
    """The Jacobian of f(params, *args) at params: from trees like params to trees like the output, and from (n,) to (m,).

    `J @ v` is the pushforward, `J.T @ u` the pullback.  f is evaluated once, its output is `value`.  Cost of either product:
    less than that of a gradient.  Raises InputTypeError for integer or complex params, OutputError for an output that is
    complex or has no floating leaf.

    >>> import numpy as np
    >>> J = JacobianOperator(lambda p: {"z": p["a"] * p["b"]}, {"a": np.array([2.0, 3.0]), "b": 5.0})
    >>> J @ {"a": np.array([1.0, 0.0]), "b": 1.0}
    {'z': array([7., 3.])}
    >>> J.T @ {"z": np.array([1.0, 0.0])}
    {'a': array([5., 0.]), 'b': np.float64(2.0)}
    >>> J.to_dense()
    array([[5., 0., 2.],
           [0., 5., 3.]])
    """

    def __init__(self, f: Callable, params: Any, *args: Any) -> None:
        name = "JacobianOperator"
        domain = real_space(name, "params", params)
        recorded = record_map(name, f, params, args)
        if recorded.codomain.dtype.kind == "c":
            raise errors.OutputError(
                f"{name}: {name_of(f)} returned {recorded.codomain.dtype}{errors.user_line()}, and the operator is a real matrix. "
                "Return the real and imaginary parts as two leaves."
            )
        super().__init__(name, domain, recorded.codomain, recorded.push, recorded.pull)
        self.value = recorded.value
