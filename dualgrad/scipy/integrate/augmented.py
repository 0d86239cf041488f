"""Forward sensitivities by one solve of the variational equations together with the problem itself:

    y' = f(t, y, p),        (dy)' = f_y dy + f_p dp

The state holds the components of the traced y side by side (all instances and directions of vmap too), and f applied to it gives
the components of y': the solver controls the error of derivatives as it does that of the solution, so its steps are others than
those of a plain solve.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import scipy.integrate

from dualgrad import errors
from dualgrad.core.primitive import Value
from dualgrad.interpreters.tape import Tape
from dualgrad.rules.creation import stacked
from dualgrad.scipy.integrate.levels import NewLevel, Packing, primal
from dualgrad.scipy.integrate.solving import Problem, spread


def augmented(problem: Problem, dense_output: bool) -> Any:
    """SciPy's result of the augmented problem, its arrays traced."""
    _check(problem)
    found = problem.traced
    while True:
        if other := [trace.label for trace in found if isinstance(trace, Tape) or hasattr(trace, "order")]:
            raise errors.UnsupportedError(
                f"solve_ivp: sensitivity='augmented' is forward mode by dual numbers, not for {other[0]}{errors.user_line()}. "
                "Use jvp or jacobian(mode='forward'), or leave sensitivity out."
            )
        try:
            return _solve(problem, dense_output, Packing(found))
        except NewLevel as new:
            found = {**found, **new.levels}


def _check(problem: Problem) -> None:
    unsupported = {
        "events": problem.events is not None,
        "a traced t_eval": isinstance(problem.t_eval, Value),
        "t_eval with a traced t_span": problem.t_eval is not None and _moving(problem),
        **{name: problem.options.get(name) is not None for name in ("jac", "jac_sparsity", "lband", "uband")},
    }
    for what, given in unsupported.items():
        if given:
            raise errors.UnsupportedError(
                f"solve_ivp: {what} is not supported with sensitivity='augmented'{errors.user_line()}. "
                "Leave it out, or leave sensitivity out."
            )


def _moving(problem: Problem) -> bool:
    return isinstance(problem.t0, Value) or isinstance(problem.t1, Value)


def _solve(problem: Problem, dense_output: bool, packing: Packing) -> Any:
    t0, t1 = primal(problem.t0), primal(problem.t1)
    speed = (problem.t1 - problem.t0) / (t1 - t0) if _moving(problem) and t1 != t0 else 1.0

    def time(s: Any) -> Any:
        """The traced time that belongs to a plain one: a traced interval is stretched."""
        return problem.t0 + (s - t0) * speed if _moving(problem) else s

    def fun(s: float, flat: Any) -> Any:
        slope = stacked(problem.fun(time(s), packing.states(flat, ()), *problem.args))
        return packing.flat(slope * speed if _moving(problem) else slope)

    options = dict(problem.options)
    for name in {"rtol", "atol"} & set(options):
        options[name] = spread(options[name], packing, np.shape(problem.y0))
    result = scipy.integrate.solve_ivp(
        fun, (t0, t1), packing.flat(problem.y0), problem.solver, problem.t_eval, dense_output, **options
    )
    result.y = packing.states(result.y.T, (len(result.t),)).T
    result.t = time(result.t)
    if result.sol is not None:
        result.sol = Packed(packing, result.sol, _moving(problem))
    return result


class Packed:
    """The solution as a function of plain t."""

    def __init__(self, packing: Packing, plain: Any, moving: bool) -> None:
        self._packing, self._plain, self._moving = packing, plain, moving

    def __call__(self, t: Any) -> Any:
        if self._moving or isinstance(t, Value):
            raise errors.UnsupportedError(
                f"solve_ivp: with sensitivity='augmented', sol(t) needs a plain t and a plain t_span{errors.user_line()}. "
                "Leave sensitivity out."
            )
        return self._packing.states(self._plain(t).T, np.shape(t)).T

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)
