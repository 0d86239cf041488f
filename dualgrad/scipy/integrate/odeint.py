"""`odeint`: the values are SciPy's, the derivatives those of a replay of the steps it took.

The solver runs in compiled code and tells nothing of its steps, but it calls func at the end of each: those times are the grid.
The states at all stages of Radau IIA on it come from a second run, with these as the times asked for.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.integrate

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.rules.creation import stacked
from dualgrad.rules.elementwise import valued
from dualgrad.scipy.integrate.levels import Packing, primal, primals
from dualgrad.scipy.integrate.solving import Problem, bound_to, plain_run, replay_of, spread
from dualgrad.scipy.integrate.steps import Steps, stage_times
from dualgrad.scipy.integrate.tableaus import RADAU


def odeint(
    func: Callable,
    y0: Any,
    t: Any,
    args: tuple = (),
    Dfun: Callable | None = None,
    col_deriv: int = 0,
    full_output: int = 0,
    ml: int | None = None,
    mu: int | None = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: float = 0.0,
    hmax: float = 0.0,
    hmin: float = 0.0,
    ixpr: int = 0,
    mxstep: int = 0,
    mxhnil: int = 0,
    mxordn: int = 12,
    mxords: int = 5,
    printmessg: int = 0,
    tfirst: bool = False,
) -> Any:
    """`scipy.integrate.odeint`, differentiable: the solution of y' = func(y, t, *args) at the times t, of shape (len(t), len(y0)).

    With plain arguments it is SciPy's function.  Otherwise its values are SciPy's, and its derivatives with respect to y0, t, args
    (a tuple of trees) and traced values that func closes over are those of the steps it took, as with `solve_ivp`.
    The entries of t are independent: dy(t_i)/dt_i = func(y(t_i), t_i), and t_0 is where y = y0.  Cost: two runs of the compiled
    solver (three for a traced t), and the replay.  Raises UnsupportedError for tcrit and for traced settings of the solver.

    >>> from dualgrad import grad
    >>> decay = lambda k: odeint(lambda y, t: -k * y, [2.0], [0.0, 1.0])[-1, 0]
    >>> bool(np.isclose(grad(decay)(0.5), -2.0 * np.exp(-0.5), rtol=1e-7))
    True
    """
    settings = {
        "full_output": full_output, "ml": ml, "mu": mu, "rtol": rtol, "atol": atol, "h0": h0, "hmax": hmax, "hmin": hmin,
        "ixpr": ixpr, "mxstep": mxstep, "mxhnil": mxhnil, "mxordn": mxordn, "mxords": mxords, "printmessg": printmessg,
    }  # fmt: skip
    if not any(isinstance(leaf, Value) for leaf in tree.leaves((y0, t, args, settings))):
        try:
            return scipy.integrate.odeint(func, y0, t, args, Dfun, col_deriv, tcrit=tcrit, tfirst=tfirst, **settings)
        except errors.TracedConversionError:  # func closes over a traced value
            pass
    if tcrit is not None:
        raise errors.UnsupportedError(
            f"odeint: tcrit is not supported with traced values{errors.user_line()}. "
            "Integrate piece by piece, from one critical point to the next."
        )
    t = stacked(t)
    problem = Problem(
        func if tfirst else lambda t, y, *args: func(y, t, *args),
        (t[0], t[-1]),
        np.atleast_1d(stacked(y0)),
        "LSODA",
        args=args,
        options={"rtol": rtol, "atol": atol},
        name="odeint",
    )
    plain_args, times = primals(problem.args), primal(t)

    def solve(fun: Callable, y0: Any, packing: Packing, closed: bool) -> tuple:
        tolerances = {name: spread(settings[name], packing, np.shape(problem.y0)) for name in ("rtol", "atol")}
        asked = {**settings, **tolerances, "tfirst": True}
        if Dfun is not None and not packing.lead:
            asked["Dfun"] = bound_to(Dfun if tfirst else lambda t, y, *args: Dfun(y, t, *args), plain_args, closed)
            asked["col_deriv"] = col_deriv
        found, grid = _solved(fun, y0, times, asked)
        return found, _steps(fun, y0, grid, packing, {**asked, "full_output": 0, "printmessg": 0, "ixpr": 0})

    (found, steps), packing = plain_run(problem, plain_args, solve)
    y, extra = (found[0], found[1:]) if full_output else (found, ())
    values, replay = packing.states(y, (len(y),)), replay_of(problem, plain_args, steps, t[-1])
    if isinstance(t, Value):
        y = replay.at(t, values)
    else:  # all are grid points
        direction = _direction(times)
        y = valued(values, replay.states[np.searchsorted(direction * steps.t, direction * times)])
    return (y, *extra) if full_output else y


def _direction(times: Any) -> int:
    return 1 if times[-1] >= times[0] else -1


def _solved(fun: Callable, y0: Any, times: Any, settings: dict) -> tuple[Any, Any]:
    """What SciPy returns, and the grid: the ends of the steps it took, and the times asked for."""
    visited = []

    def noted(t: float, y: Any) -> Any:
        visited.append(t)
        return fun(t, y)

    found = scipy.integrate.odeint(noted, y0, times, **settings)
    grid, direction = [times[0]], _direction(times)
    for t in visited:
        while len(grid) > 1 and direction * (t - grid[-1]) < 0:  # the step has been rejected
            grid.pop()
        if direction * (t - grid[-1]) > 0:
            grid.append(t)
    inside = [t for t in grid if direction * (times[-1] - t) > 0]  # the last step went beyond
    every = np.unique(np.concatenate([inside, times]))[::direction]
    return found, every if len(every) > 1 else np.repeat(every, 2)


def _steps(fun: Callable, y0: Any, grid: Any, packing: Packing, settings: dict) -> Steps:
    """Steps of Radau IIA on this grid."""
    direction = _direction(grid)

    def between(times: Any) -> Any:
        """States of the solver, (q, s, size), at times (q, s)."""
        order = np.argsort(direction * np.ravel(times), kind="stable")
        found = scipy.integrate.odeint(fun, y0, np.concatenate([grid[:1], np.ravel(times)[order]]), **settings)[1:]
        states = np.empty_like(found)
        states[order] = found
        return np.reshape(states, (*times.shape, -1))

    states = between(stage_times(grid, RADAU))
    y = np.concatenate([np.reshape(y0, (1, -1)), states[:, -1]])  # the last stage is the end of the step
    inside = lambda k, times: packing.states(between(times), times.shape)
    return Steps(grid, packing.states(y, y.shape[:1]), RADAU, None, packing.states(states, states.shape[:2]), inside)
