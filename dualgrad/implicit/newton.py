"""The derivatives of a solution: Newton's method in the ring of derivatives.

    x_{k+1} = x_k - J^-1 d(F(x_k, theta)),      J = dF/dx at x*,      d(r) = r less its primal

A solver gives x_0 = x* in plain numbers.  F, evaluated at x* on traced values, has a derivative part that is not yet zero.  It
is nilpotent (e**2 = 0 for every level of differentiation), so that each step makes one more order exact, in every mode
and every nesting: as many steps as there are levels.  All is ordinary NumPy on traced values, so whatever F closes over takes
part; J is plain, once for all steps, and the pullback of a step is one product with J^-H and one pullback of F.  The primal of
x stays the solver's to the last bit.

(Griewank & Walther, Evaluating Derivatives, ch. 15; Blondel et al., Efficient and modular implicit differentiation, 2022.)
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.arrays import innermost
from dualgrad.core.blackbox import open_box
from dualgrad.core.primitive import Value
from dualgrad.implicit.blackbox import order_of
from dualgrad.interpreters.batch import batched
from dualgrad.rules.elementwise import without_derivative


def newton(x: Any, equations: Callable, system: Callable[[Any], Callable]) -> Any:
    """The vector x with the derivatives that equations(x) = constant implies; system(residual) makes r -> J^-1 r."""
    residual = equations(x)
    order = order_of(residual)
    if not order:
        return x
    solve = system(residual)
    for step in range(order):
        if step:
            residual = equations(x)
        x = x - solve(residual - without_derivative(residual)).astype(x.dtype)
    return x


def constants(arguments: Any) -> Any:
    """Trees of arguments without their derivatives (mapped ones stay mapped)."""
    return tree.map(lambda leaf: without_derivative(leaf) if isinstance(leaf, Value) else leaf, arguments)


def real_vector(x: Any) -> tuple[Any, Callable]:
    """A tree as one real vector, and back; complex leaves give their real and their imaginary part."""
    vector, unravel = tree.ravel(x)
    if vector.dtype.kind != "c":
        return vector, unravel
    n = vector.shape[0]
    return np.concatenate([np.real(vector), np.imag(vector)]), lambda parts: unravel(parts[:n] + 1j * parts[n:])


# ---- J^-1 as a matrix -------------------------------------------------------------------------------------------------


def dense_inverse(name: str, jacobian: Any) -> Any:
    """J^-1 as a plain (or mapped) matrix.  Singular: the pseudoinverse, and a warning with the numbers.

    A matrix, because one product then serves every tangent, cotangent and mapped instance; a factorization would be made
    again for each of them.
    """
    jacobian, traces = without_derivative(jacobian), []
    while isinstance(jacobian, Value):
        traces.append(jacobian.owner)
        jacobian = jacobian.value
    inverse: Any = _inverse(name, jacobian)
    for trace in reversed(traces):
        inverse = batched(trace, inverse)
    return inverse


def _inverse(name: str, jacobian: np.ndarray) -> np.ndarray:
    n = jacobian.shape[-1]
    if jacobian.dtype.itemsize not in (4, 8):  # LAPACK has neither half nor long double precision
        return _inverse(name, jacobian.astype(np.float64)).astype(jacobian.dtype)
    if not np.isfinite(jacobian).all():
        errors.warn(
            errors.SingularSystemWarning,
            f"{name}: the Jacobian at the solution is not finite ({np.sum(~np.isfinite(jacobian))} of its {jacobian.size} "
            f"elements){errors.user_line()}, so the derivatives are nan. Solve for other unknowns (log x for x), or move the "
            "solution away from that point.",
        )
        return np.full_like(jacobian, np.nan)
    cutoff = n * float(np.finfo(jacobian.dtype).eps)
    try:
        with np.errstate(all="ignore"):
            inverse = np.linalg.inv(jacobian)
            condition = _norm(jacobian) * _norm(inverse)
    except np.linalg.LinAlgError:
        condition = np.inf
    if np.all(condition < 1 / cutoff):
        return inverse
    s = np.linalg.svdvals(jacobian)
    worst = np.unravel_index(np.argmin(s[..., -1] / np.maximum(s[..., 0], np.finfo(s.dtype).tiny)), s.shape[:-1])
    largest, smallest = float(s[worst][0]), float(s[worst][-1])
    errors.warn(
        errors.SingularSystemWarning,
        f"{name}: the system of {n} equation{'s' * (n != 1)} for the derivatives is singular to working precision: the singular "
        f"values of the Jacobian at the solution go from {largest:.3g} down to {smallest:.3g}, condition number "
        f"{largest / smallest if smallest else np.inf:.3g}{errors.user_line()}. The solution is not locally unique, or not "
        "differentiable; the derivatives are those of minimum norm (pseudoinverse). Add a term that makes the solution "
        "unique, such as a small ridge.",
    )
    return np.linalg.pinv(jacobian, rcond=cutoff)


def _norm(matrices: np.ndarray) -> Any:
    """The 1-norm."""
    return np.max(np.sum(np.abs(matrices), axis=-2), axis=-1, initial=0)


# ---- is it a solution? ------------------------------------------------------------------------------------------------


def default_tolerance(dtype: Any) -> float:
    """eps**(1/4): 1.2e-4 in float64, loose enough for BFGS, which stops at a gradient of 1e-5, tight enough to see a failure."""
    return float(np.finfo(dtype).eps) ** 0.25


def check_residual(name: str, what: str, x: Any, residual: Any, solve: Callable, tol: float | None) -> None:
    """Warn unless |residual| <= tol, or a Newton step would move x by less than tol |x| (largest elements)."""
    if open_box.get() is not None:  # a solver within a solver: what it iterates with is its own affair
        return
    tol = default_tolerance(x.dtype) if tol is None else tol
    size = _largest(residual)
    if np.all(size <= tol):
        return
    with np.errstate(all="ignore"):
        step, scale = _largest(solve(without_derivative(residual))), _largest(x)
    wrong = ~((size <= tol) | (step <= tol * scale))
    if np.any(wrong):
        size, step, scale = (np.broadcast_to(z, wrong.shape)[wrong] for z in (size, step, scale))
        worst = int(np.argmax(np.where(np.isnan(size), np.inf, size)))
        errors.warn(
            errors.ResidualWarning,
            f"{name}: {what} is not zero at the solution returned: its largest element is {size[worst]:.3g}, the tolerance "
            f"{tol:.3g}; a Newton step would move a solution of size {scale[worst]:.3g} by {step[worst]:.3g}"
            f"{errors.user_line()}. The derivatives are not those of a solution: let the solver converge further, or give tol=.",
        )


def _largest(vector: Any) -> Any:
    """The largest absolute value of a vector, for every mapped instance."""
    return np.max(np.abs(innermost(vector)), axis=-1, initial=0)
