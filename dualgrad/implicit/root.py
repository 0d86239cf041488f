"""Solutions of equations by any solver: `root`, `fixed_point`, `minimum`.

    root          F(x, *args) = 0                    dx = - (dF/dx)^-1 dF
    fixed_point   x = T(x, *args)                    the root of T(x) - x
    minimum       f(x, *args) least (or stationary)  the root of grad f, whose Jacobian is the Hessian of f

The solver runs once, on plain numbers (blackbox.py); derivatives of any order come from F alone (newton.py), never from the
solver's iterations.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from scipy.optimize import OptimizeResult

from dualgrad import errors, tree
from dualgrad.implicit.blackbox import Suspension, as_seen, closed_over, run
from dualgrad.implicit.linear import System
from dualgrad.implicit.newton import check_residual, constants, dense_inverse, newton, real_vector
from dualgrad.transforms.arguments import check_function, name_of, split_aux
from dualgrad.transforms.jacobian import jacfwd, jacobian
from dualgrad.transforms.pullback import grad
from dualgrad.transforms.pushforward import jvp


class _Condition(NamedTuple):
    """What a solution satisfies, and how to differentiate it."""

    name: str  # of the public function
    what: str  # what is zero
    given: Callable  # the user's function
    residual: Callable  # (x, *args) -> a tree of zeros
    symmetric: bool  # is its Jacobian?
    has_aux: bool
    linear_solver: Callable | None
    tol: float | None


def root(
    F: Callable,
    solver: Callable | None = None,
    *,
    has_aux: bool = False,
    linear_solver: Callable | None = None,
    tol: float | None = None,
) -> Callable:
    """`solver(init, *args) -> x`, a solution of F(x, *args) = 0, with the derivatives of that solution.

    A decorator, `@root(F)`, or a function, `root(F, solver)(init, *args)`.  The solver is a black box: it is called once, with
    plain numbers, and its iterations are neither recorded nor differentiated.  SciPy's results stand for their `.x`
    (`.root`).  The derivatives, of any order, in both modes and under vmap (instance by instance), are those of the implicit
    function theorem at x, with respect to args and to whatever F closes over; not to init, which only says where to
    begin.  Keywords go to the solver and to F alike.  x and args are trees; F returns as many numbers as x has.

    With `has_aux` the solver returns (x, aux), and so does the result; aux is not differentiated (under vmap, a list).
    `linear_solver`: by default J = dF/dx is formed, n by n, and inverted once.  For many unknowns give a solver of linear
    systems, `linear_solver(A, b) -> x`, with A a SciPy LinearOperator: `scipy.sparse.linalg.gmres`, or a lambda with its tolerance.
    Cost, beside the solver: J once, and an evaluation of F for each order; a pullback costs one of F.  Closed-over
    values are traced while the solver computes with them, which takes it a few times longer; pass them in args instead.

    Warns: ResidualWarning if F(x) is not zero (largest element above `tol`, by default 1.2e-4 in float64, and a Newton step moves
    x by more than tol |x|); SingularSystemWarning if J is singular: the derivatives then are those of minimum norm.
    Only when derivatives are taken.  (Blondel et al., Efficient and modular implicit differentiation, 2022.)

    >>> import numpy as np
    >>> from scipy.optimize import brentq
    >>> def excess(E, e, M):
    ...     return E - e * np.sin(E) - M
    >>> kepler = root(excess, lambda bracket, e, M: brentq(excess, *bracket, args=(e, M)))
    >>> E = kepler((0.0, 4.0), 0.3, 1.0)
    >>> dE = grad(kepler, argnums=2)((0.0, 4.0), 0.3, 1.0)          # 1 / (1 - e cos E)
    >>> print(f"{E:.6f} {dE:.6f} {1 / (1 - 0.3 * np.cos(E)):.6f}")
    1.288091 1.091329 1.091329
    """
    return _implicit(_Condition("implicit.root", "F(x)", F, F, False, has_aux, linear_solver, tol), solver)


def fixed_point(
    T: Callable,
    solver: Callable | None = None,
    *,
    has_aux: bool = False,
    linear_solver: Callable | None = None,
    tol: float | None = None,
) -> Callable:
    """`solver(init, *args) -> x`, a solution of x = T(x, *args), with the derivatives of that solution.  All as in `root`.

    T returns a tree like x.

    >>> import numpy as np
    >>> def iterate(x, a):
    ...     for _ in range(200):
    ...         x = np.cos(a * x)
    ...     return x
    >>> a, x = 1.0, fixed_point(lambda x, a: np.cos(a * x), iterate)
    >>> dx = grad(x, argnums=1)(0.5, a)                             # - x sin(a x) / (1 + a sin(a x))
    >>> print(f"{dx:.6f} {-x(0.5, a) * np.sin(x(0.5, a)) / (1 + np.sin(x(0.5, a))):.6f}")
    -0.297474 -0.297474
    """
    check_function("implicit.fixed_point", T)

    def residual(x: Any, *args: Any, **kwargs: Any) -> Any:
        image = T(x, *args, **kwargs)
        problem = tree.difference(image, x, "T(x)", "x")
        if problem is not None:
            raise errors.StructureError(f"implicit.fixed_point: {problem}{errors.user_line()}. T must return a tree like x.")
        return tree.map(lambda t, y: t - y if tree.is_differentiable(y) else None, image, x)

    return _implicit(_Condition("implicit.fixed_point", "T(x) - x", T, residual, False, has_aux, linear_solver, tol), solver)


def minimum(
    f: Callable,
    solver: Callable | None = None,
    *,
    has_aux: bool = False,
    linear_solver: Callable | None = None,
    tol: float | None = None,
) -> Callable:
    """`solver(init, *args) -> x`, a minimum of the scalar f(x, *args) over x, with the derivatives of that minimum.

    All as in `root`, for grad f = 0: any stationary point, of an unconstrained problem.  J is the Hessian of f; where it is
    singular (a valley of minima) the derivatives are those of minimum norm, with a warning.  A `linear_solver` is given a
    symmetric operator: `scipy.sparse.linalg.cg` will do.  For a solver of least squares, f = 0.5 sum r(x)^2.

    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> def f(x, a):
    ...     return np.sum(x**4 - a * x)                             # 4 x^3 = a
    >>> x = minimum(f, lambda x0, a: minimize(f, x0, args=(a,), jac=grad(f), tol=1e-10))
    >>> grad(lambda a: x(np.ones(1), a)[0])(4.0)                    # 1 / (12 x^2)
    np.float64(0.08333333333333333)
    """
    check_function("implicit.minimum", f)
    gradient = grad(f)
    return _implicit(_Condition("implicit.minimum", "grad f(x)", f, gradient, True, has_aux, linear_solver, tol), solver)


def _implicit(condition: _Condition, solver: Callable | None) -> Callable:
    """The solver with derivatives, or the decorator that gives it some."""
    check_function(condition.name, condition.given)
    if condition.linear_solver is not None and not callable(condition.linear_solver):
        raise errors.ArgumentError(
            f"{condition.name}: linear_solver must be a function (A, b) -> x, such as scipy.sparse.linalg.gmres, "
            f"not {errors.describe(condition.linear_solver)}{errors.user_line()}."
        )
    if condition.tol is not None and not condition.tol >= 0:
        raise errors.ArgumentError(f"{condition.name}: tol must not be negative, got {condition.tol!r}{errors.user_line()}.")
    if solver is None:
        return functools.partial(_implicit, condition)
    if not callable(solver):
        raise errors.ArgumentError(
            f"{condition.name}: the solver must be a function (init, *args) -> x, not {errors.describe(solver)}"
            f"{errors.user_line()}."
        )

    @functools.wraps(solver)
    def solve(init: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _solve(condition, solver, init, args, kwargs)

    return solve


def _solve(condition: _Condition, solver: Callable, init: Any, args: tuple, kwargs: dict) -> Any:
    def call(init: Any, args: tuple, kwargs: dict) -> tuple:
        out = solver(init, *args, **kwargs)
        x, aux = split_aux(condition.name, solver, out) if condition.has_aux else (out, None)
        return _solution_of(x), aux

    init, args, kwargs = as_seen((init, args, kwargs))
    known = closed_over(condition.given, solver)
    x, aux = run(call, (init, args, kwargs), known)
    x = _differentiated(condition, solver, x, args, kwargs)
    return (x, aux) if condition.has_aux else x


def _solution_of(result: Any) -> Any:
    """x, of a result of SciPy's too."""
    if isinstance(result, OptimizeResult):
        return result["x"] if "x" in result else result["root"]
    return result


def _differentiated(condition: _Condition, solver: Callable, x: Any, args: tuple, kwargs: dict) -> Any:
    """The solution x with its derivatives: as many as the residual carries."""
    if not any(map(tree.is_differentiable, tree.leaves(x))):
        raise errors.OutputError(
            f"{condition.name}: the solver {name_of(solver)} must return floating numbers (or trees of them), but returned "
            f"{errors.describe(x)}{errors.user_line()}."
        )
    vector, restore = real_vector(x)

    def equations_with(args: tuple, kwargs: dict) -> Callable:
        def equations(v: Any) -> Any:
            residual = real_vector(condition.residual(restore(v), *args, **kwargs))[0]
            if residual.shape != v.shape:
                raise errors.StructureError(
                    f"{condition.name}: {condition.what} has {residual.shape[0]} elements for {v.shape[0]} unknowns"
                    f"{errors.user_line()}. Give one equation for each unknown."
                )
            return residual

        return equations

    def system(residual: Any) -> Callable:
        at_point = equations_with(constants(args), constants(kwargs))
        if condition.linear_solver is None:
            with Suspension([residual]):
                derivative = (jacfwd if condition.symmetric else jacobian)(at_point)(vector)
                inverse = dense_inverse(condition.name, derivative)
            solve = lambda r: inverse @ r
        else:
            solve = System(
                condition.name, lambda v: jvp(at_point, (vector,), (v,))[1], at_point, vector, [residual],
                condition.linear_solver, None, condition.symmetric, None,
            )  # fmt: skip
        check_residual(condition.name, condition.what, vector, residual, solve, condition.tol)
        return solve

    return restore(newton(vector, equations_with(args, kwargs), system))
