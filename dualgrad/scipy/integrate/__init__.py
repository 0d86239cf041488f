"""`scipy.integrate`, with differentiable initial value problems: `import dualgrad.scipy.integrate as integrate`.

`solve_ivp` and `odeint` are SciPy's; all other names are passed on.

    levels.py      derivatives off, and components side by side       steps.py      a run of a SciPy solver, and its steps
    tableaus.py    Runge-Kutta methods as arrays                      replay.py     the steps again, differentiable
    solving.py     solve_ivp, field by field                          augmented.py  the variational equations
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy.integrate

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.scipy.integrate.augmented import augmented
from dualgrad.scipy.integrate.odeint import odeint
from dualgrad.scipy.integrate.solving import Problem, replayed

__all__ = ["odeint", "solve_ivp"]


def __getattr__(name: str) -> Any:
    return getattr(scipy.integrate, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(scipy.integrate)})


def solve_ivp(
    fun: Callable,
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    *,
    sensitivity: str = "discrete",
    **options: Any,
) -> Any:
    """`scipy.integrate.solve_ivp`, differentiable: y' = fun(t, y, *args), y(t0) = y0, by SciPy's own solvers.

    With plain arguments it is SciPy's function.  With traced ones (y0, t_span, t_eval, args, a tuple of trees; or what fun and
    events close over) SciPy solves the plain problem, and the result, of the same class and fields, is traced:

    - y and t: the derivative of the steps SciPy took (their lengths are constants, except that the first and the last move with
      t_span), or of a step from the grid point before each point of t_eval.  As accurate as the solution itself.
    - t_events, y_events: with g(t_e, y(t_e)) = 0, dt_e = -(g_t + g_y y')^-1 dg; a terminal event moves the last t and y.
    - sol, with dense_output: a function sol(t) differentiable in t as well.

    All orders, modes and nestings; forward and reverse mode agree to rounding.  RK23, RK45, DOP853 (and other explicit Runge-Kutta
    classes) are replayed with their own coefficients, any other solver's steps as steps of Radau IIA (see replay.py).
    sensitivity="augmented" instead integrates the variational equations together with the problem, their errors controlled by the
    same tolerances: forward mode only, without events, jac, a moving t_eval.

    Inside vmap all instances are one system with common steps.  If the integration fails, a RuntimeWarning says where, and result
    and derivatives are those of the solution up to there.  Raises UnsupportedError for an option that the solver does not know or
    that is traced, for a complex solution of an implicit method, and inside vmap for events, jac, and times that differ between
    instances.

    fun must be differentiable code; it is also called on many states at once (as by vmap) where it can be.  If it branches on
    t or y, steps of explicit methods are taken one by one, which is slower.
    Cost: one solve, one evaluation of fun and its Jacobian over all stages of all steps at once, and per order one more
    evaluation; O((s n)^3) arithmetic per step with s stages up to s n = 96, and for implicit methods always; a gradient is cheaper
    than finite differences from 2 to 4 parameters on.  Memory: the stages of the solution, and the residuals of 1024 steps
    (longer runs are checkpointed).
    (Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, sec. II.6; Griewank & Walther, Evaluating Derivatives.)

    >>> import numpy as np
    >>> from dualgrad import grad
    >>> end = lambda k: solve_ivp(lambda t, y: -k * y, (0.0, 1.0), [2.0], rtol=1e-8, atol=1e-8).y[0, -1]
    >>> bool(np.isclose(grad(end)(0.5), -2.0 * np.exp(-0.5))), bool(np.isclose(grad(grad(end))(0.5), 2.0 * np.exp(-0.5)))
    (True, True)
    """
    if sensitivity not in ("discrete", "augmented"):
        raise errors.ArgumentError(
            f"solve_ivp: sensitivity must be 'discrete' or 'augmented', not {sensitivity!r}{errors.user_line()}."
        )
    given = (t_span, y0, t_eval, args, options)
    if not any(isinstance(leaf, Value) for leaf in tree.leaves(given)):
        try:
            return scipy.integrate.solve_ivp(fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args, **options)
        except errors.TracedConversionError:  # fun or an event closes over a traced value
            pass
    problem = Problem(fun, t_span, y0, method, t_eval, events, vectorized, args, options)
    return (replayed if sensitivity == "discrete" else augmented)(problem, dense_output)
