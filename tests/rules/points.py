"""Ask for the gradient and the Hessian of a function at a point, in every mode and nesting."""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import grad, jacfwd, jacrev


def assert_derivatives(f: Any, x: Any, gradient: Any, hessian: Any = None, rtol: float = 1e-9) -> None:
    """The gradient of sum(f) at x, and its Hessian if given, are these; no warning escapes (warnings are errors)."""
    x = np.asarray(x, float)[()]
    total = lambda y: np.sum(f(y))
    for mode, derivative in (("forward", jacfwd(total)), ("reverse", grad(total))):
        np.testing.assert_allclose(derivative(x), gradient, rtol=rtol, atol=1e-12, err_msg=mode)
    if hessian is None:
        return
    for nesting, second in {
        "forward over forward": jacfwd(jacfwd(total)),
        "forward over reverse": jacfwd(grad(total)),
        "reverse over forward": jacrev(jacfwd(total)),
        "reverse over reverse": jacrev(grad(total)),
    }.items():
        np.testing.assert_allclose(second(x), np.reshape(hessian, np.shape(x) * 2), rtol=rtol, atol=1e-12, err_msg=nesting)


def nth_derivative(f: Any, n: int, modes: str) -> Any:
    """The n-th derivative of a scalar function, the modes ("f", "r") taken in turn."""
    for k in range(n):
        f = jacfwd(f) if modes[k % len(modes)] == "f" else grad(f)
    return f
