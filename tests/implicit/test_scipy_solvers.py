"""SciPy's solvers as black boxes: any of them gives the derivative of the solution, of arguments and of what is closed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.optimize as so

from dualgrad import grad, hessian, implicit, jacobian, jvp, vmap

A = np.array([[3.0, 1.0], [1.0, 2.0]])
B = np.array([1.0, 2.0])


def F(x: Any, t: Any) -> Any:
    return A @ x + 0.1 * x**3 - t * B


def f(x: Any, t: Any) -> Any:
    return 0.5 * x @ (A @ x) + 0.025 * np.sum(x**4) - t * (x @ B)


def r(x: Any, t: Any) -> Any:
    return np.concatenate([F(x, t), 0.0 * x[:1]])


class Solver(NamedTuple):
    """A solver of SciPy's for a problem of which t is an argument, or closed over (t is then None)."""

    name: str
    of: Callable  # the function of dualgrad.implicit
    function: Callable
    call: Callable  # (function, x0, args) -> result


def _derivatives(method: str) -> dict:
    found: dict[str, Any] = {}
    if method not in ("Nelder-Mead", "Powell"):
        found["jac"] = lambda g: grad(g)
    if method in ("dogleg", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"):
        found["hess"] = lambda g: hessian(g)
    return found


def _minimize(method: str) -> Callable:
    derivatives = _derivatives(method)
    return lambda g, x0, args: so.minimize(
        g, x0, args=args, method=method, tol=1e-9, **{name: make(g) for name, make in derivatives.items()}
    )


SOLVERS = [
    Solver("fsolve", implicit.root, F, lambda g, x0, args: so.fsolve(g, x0, args=args)),
    *[
        Solver(f"root {method}", implicit.root, F, lambda g, x0, args, m=method: so.root(g, x0, args=args, method=m, tol=1e-10))
        for method in ("hybr", "lm", "broyden1", "krylov", "df-sane")
    ],
    *[
        Solver(f"minimize {method}", implicit.minimum, f, _minimize(method))
        for method in ("Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "SLSQP", "trust-constr",
                       "dogleg", "trust-ncg", "trust-krylov", "trust-exact")
    ],
    *[
        Solver(
            f"least_squares {method}", implicit.minimum, r,
            lambda g, x0, args, m=method: so.least_squares(
                g, x0, args=args, method=m, jac=jacobian(g), xtol=1e-14, ftol=1e-14, gtol=1e-14
            ),
        )
        for method in ("trf", "dogbox", "lm")
    ],
]  # fmt: skip


def half_square(g: Callable) -> Callable:
    return lambda *args: 0.5 * np.sum(g(*args) ** 2)


@pytest.mark.parametrize(
    ("solver", "closed_over"),
    [pytest.param(s, True, id=f"{s.name}, closed over") for s in SOLVERS]  # traced values reach SciPy's code
    + [pytest.param(s, False, id=s.name) for s in SOLVERS if s.name in ("fsolve", "minimize BFGS", "least_squares trf")],
)
def test_any_solver_of_scipys_gives_the_derivative_of_the_solution(solver, closed_over):
    x0, t = np.array([0.5, 0.3]), 0.7
    problem = half_square if solver.function is r else lambda g: g

    def solve(t):
        if not closed_over:
            return solver.of(problem(solver.function), lambda x0, t: solver.call(solver.function, x0, (t,)))(x0, t)
        g = lambda x: solver.function(x, t)
        return solver.of(problem(g))(lambda x0: solver.call(g, x0, ()))(x0)

    x = so.fsolve(F, x0, args=(t,), xtol=1e-12)
    expected = np.linalg.solve(A + 0.3 * np.diag(x**2), B)
    np.testing.assert_allclose(jacobian(solve)(t), expected, rtol=1e-5)
    np.testing.assert_allclose(jvp(solve, (t,), (1.0,))[1], expected, rtol=1e-5)
    np.testing.assert_allclose(vmap(solve)(np.array([t, t]))[1], x, atol=1e-5)


def test_scalar_roots_and_their_result_objects():
    def solve(a, full):
        g = lambda x: x**3 - a
        return implicit.root(g)(lambda bracket: so.root_scalar(g, bracket=bracket) if full else so.brentq(g, *bracket))((0.0, 5.0))

    for full in (True, False):
        np.testing.assert_allclose(grad(lambda a, full=full: solve(a, full))(8.0), 1 / 12, rtol=1e-10)
