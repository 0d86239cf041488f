"""`solve_ivp` on traced values: SciPy's run on plain numbers, then its result with derivatives, field by field."""
from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.integrate

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.interpreters.batch import Batched
from dualgrad.rules.creation import stacked
from dualgrad.rules.elementwise import valued
from dualgrad.scipy.integrate.levels import Levels, NewLevel, Packing, levels, order, primal, primals, silent
from dualgrad.scipy.integrate.replay import Field, Replay
from dualgrad.scipy.integrate.steps import Recorder, Steps
from dualgrad.scipy.integrate.tableaus import tableau_of
from dualgrad.transforms.pushforward import jvp

_NAMES = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")


class Problem:
    """An initial value problem as solve_ivp is given it, with `fun` of one state and the arguments bound later."""

    def __init__(
        self,
        fun: Callable,
        t_span: Any,
        y0: Any,
        method: Any,
        t_eval: Any = None,
        events: Any = None,
        vectorized: bool = False,
        args: Any = None,
        options: Any = None,
        name: str = "solve_ivp",
    ) -> None:
        self.name = name  # what messages call it
        self.solver = _solver_class(method)
        self.fun = (lambda t, y, *args: stacked(fun(t, y[:, None], *args))[:, 0]) if vectorized else fun
        self.columns = fun if vectorized else None  # fun(t, y) of many states, (n, k)
        self.t0, self.t1 = t_span
        self.y0 = stacked(y0)
        self.t_eval = None if t_eval is None else stacked(t_eval)
        self.events = None if events is None else (events,) if callable(events) else tuple(events)
        self.args = _arguments(args)
        self.options = dict(options or {})
        self._check()

    def _check(self) -> None:
        parameters = inspect.signature(self.solver.__init__).parameters.values()
        known = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
        for name in self.options:
            if name not in known:
                raise errors.UnsupportedError(
                    f"{self.name}: {self.solver.__name__} does not know the option {name!r}{errors.user_line()}. Leave it out."
                )
        for name, value in self.options.items():
            if any(isinstance(leaf, Value) for leaf in tree.leaves(value)):
                raise errors.UnsupportedError(
                    f"{self.name}: the option {name!r} holds a traced value{errors.user_line()}, but it only steers the solver: "
                    "the solution has no derivative with respect to it. Pass stop_gradient of it."
                )
        for name, value in (("t_span", self.t0), ("t_span", self.t1), ("t_eval", self.t_eval)):
            if any(isinstance(level, Batched) for level in _chain(value)):
                raise errors.UnsupportedError(
                    f"{self.name}: {name} is mapped by vmap{errors.user_line()}, but all instances share one grid of times. "
                    "Substitute t = t0 + s (t1 - t0) and integrate (t1 - t0) f over 0 <= s <= 1."
                )

    @property
    def traced(self) -> Levels:
        """The transforms that the arguments belong to (what fun closes over is not among them)."""
        return levels((self.t0, self.t1, self.y0, self.t_eval, self.args))


def _chain(value: Any) -> list[Any]:
    """A value and its primals, without tangents: a direction may be mapped, a time not."""
    return [value, *_chain(value.value)] if isinstance(value, Value) else []


def _solver_class(method: Any) -> Any:
    if isinstance(method, str) and method in _NAMES:
        return getattr(scipy.integrate, method)
    if inspect.isclass(method) and issubclass(method, scipy.integrate.OdeSolver):
        return method
    raise ValueError(f"`method` must be one of {_NAMES} or OdeSolver class.")


def _arguments(args: Any) -> tuple:
    try:
        return () if args is None else tuple(args)
    except TypeError as error:
        raise TypeError(
            f"Supplied 'args' cannot be unpacked. Please supply `args` as a tuple (e.g. `args=({errors.describe(args)},)`)"
        ) from error


# ---- the run on plain numbers ------------------------------------------------------------------------------------------


def replayed(problem: Problem, dense_output: bool) -> Any:
    """SciPy's result, with the derivatives of the steps it took."""
    args = primals(problem.args)
    (recorder, result), packing = plain_run(problem, args, lambda *state: _scipys(problem, args, dense_output, *state))
    if result.status < 0:
        warnings.warn(
            f"{problem.name}: the integration failed at t = {recorder.t[-1]:g}{errors.user_line()}: {result.message} "
            "The result and its derivatives are those of the solution up to there.",
            RuntimeWarning,
            stacklevel=3,
        )
    replay = replay_of(problem, args, recorder.steps(packing), problem.t1 if result.status == 0 else None)
    if problem.events is not None:
        _differentiate_events(problem, replay, result)
    if problem.t_eval is None:
        t, y = replay.t[: len(result.t)], replay.states[: len(result.t)]
        if result.status == 1:
            t, y = _with_end(result, t, y)
        result.t, result.y = t, y.T
    elif np.size(result.t):
        t = problem.t_eval[: len(result.t)]
        result.t, result.y = t, replay.at(t, packing.states(result.y.T, (len(result.t),))).T
    if result.sol is not None:
        result.sol = Solution(replay, result.sol, packing)
    return result


def replay_of(problem: Problem, args: tuple, steps: Steps, end: Any) -> Replay:
    """These steps with derivatives; `end`: the time of the last grid point, None where it does not move."""
    if steps.y.dtype.kind == "c" and not steps.tableau.explicit:
        raise errors.UnsupportedError(
            f"{problem.name}: derivatives of a complex solution by {problem.solver.__name__} are not supported"
            f"{errors.user_line()}. Use RK23, RK45 or DOP853, or integrate real and imaginary parts."
        )
    return Replay(problem.fun, problem.args, args, steps, _grid(steps.t, problem.t0, end), problem.y0)


def plain_run(problem: Problem, args: tuple, solve: Callable) -> tuple[Any, Packing]:
    """solve(fun, y0, packing, closed) of the plain problem, with `fun` of time and the state that a solver sees, and the packing.

    Inside vmap it is one problem of all instances.  Where a function turns out to close over traced values (`closed`), it starts
    again with derivatives taken off; where over mapped ones, with all instances.
    """
    mapped: Levels = {trace: size for trace, size in levels((primal(problem.y0), args)).items() if size is not None}
    closed = bool(mapped)
    while True:
        packing = Packing(mapped)
        if mapped:
            _check_mapped(problem)
        try:
            return solve(*_state(problem, args, packing, closed), packing, closed), packing
        except NewLevel as new:
            mapped.update(new.levels)
        except errors.TracedConversionError:
            if closed:
                raise
            closed = True


def _state(problem: Problem, args: tuple, packing: Packing, closed: bool) -> tuple[Callable, Any]:
    """fun and y0 of the state that a solver sees."""
    y0 = primal(problem.y0)
    if packing.lead:
        fun = bound_to(problem.fun, args, closed)
        return lambda t, y: packing.flat(stacked(fun(t, packing.states(y, ())))), packing.flat(y0)
    fun = bound_to(problem.columns or problem.fun, args, closed)
    return (lambda t, y: packing.pack(stacked(fun(t, y)))) if closed else fun, y0


def _scipys(problem: Problem, args: tuple, dense_output: bool, fun: Callable, y0: Any, packing: Packing, closed: bool) -> tuple:
    recorder = Recorder(problem.solver, tableau_of(problem.solver))
    options = dict(problem.options)
    for name in {"rtol", "atol"} & set(options):
        options[name] = spread(options[name], packing, np.shape(problem.y0))
    if callable(jac := options.get("jac")):
        options["jac"] = bound_to(jac, args, closed)
    result = scipy.integrate.solve_ivp(
        fun,
        (primal(problem.t0), primal(problem.t1)),
        y0,
        method=recorder.solver,
        t_eval=primal(problem.t_eval),
        dense_output=dense_output,
        events=None if problem.events is None else [_plain_event(event, args, closed) for event in problem.events],
        vectorized=problem.columns is not None and not packing.lead,
        **options,
    )
    return recorder, result


def _check_mapped(problem: Problem) -> None:
    unsupported = {name: problem.options.get(name) for name in ("jac", "jac_sparsity", "lband", "uband")}
    unsupported["events"] = problem.events
    for name, value in unsupported.items():
        if value is not None:
            raise errors.UnsupportedError(
                f"{problem.name}: {name} is not supported inside vmap{errors.user_line()}: all instances are one system with "
                "common steps. Leave it out, or write a Python loop over the instances."
            )


def bound_to(f: Callable, args: tuple, closed: bool) -> Callable:
    """f with its plain arguments; `closed`: over traced values."""
    bound = (lambda t, y: f(t, y, *args)) if args else f
    return silent(bound) if closed else bound


def _plain_event(event: Callable, args: tuple, closed: bool) -> Callable:
    bound = bound_to(event, args, closed)
    plain = lambda t, y: bound(t, y)  # with attributes of its own
    for name in ("terminal", "direction"):
        if hasattr(event, name):
            setattr(plain, name, getattr(event, name))
    return plain


def spread(tolerance: Any, packing: Packing, shape: tuple[int, ...]) -> Any:
    """The tolerances of a state for all its components."""
    return np.ravel(np.broadcast_to(tolerance, (*packing.lead, *shape))) if np.ndim(tolerance) else tolerance


def _grid(t: Any, t0: Any, t1: Any) -> Any:
    """The grid; its ends move with t_span, the points between stay.  (`t1` is None for a run that ended before it.)"""
    ends = (t0 if isinstance(t0, Value) else t[0], t1 if isinstance(t1, Value) else t[-1])
    if not any(isinstance(end, Value) for end in ends):
        return t
    return np.stack([ends[0], *t[1:-1], ends[1]])


# ---- events ------------------------------------------------------------------------------------------------------------


def _differentiate_events(problem: Problem, replay: Replay, result: Any) -> None:
    for e, event in enumerate(problem.events or ()):
        if len(result.t_events[e]):
            result.t_events[e], result.y_events[e] = _moments(event, problem.args, replay, result.t_events[e], result.y_events[e])


def _moments(event: Callable, args: tuple, replay: Replay, t: Any, y: Any) -> tuple[Any, Any]:
    """Times and states with g(t, y(t)) = 0, by Newton's method in the ring of derivatives: t - g / (dg/dt).

    A round that begins right to order k ends right to order 2 k + 1.
    """
    g = Field(lambda t, y: event(t, y, *args))

    def on_the_way(t: Any) -> Any:
        return g(t, replay.at(t, y))

    moment, right = t, 0
    while True:
        with np.errstate(all="ignore"):  # an event that only touches zero has an infinite derivative
            value, slope = jvp(on_the_way, (moment,), (np.ones_like(t),))
            moment = valued(t, moment - value / slope)
        right = 2 * right + 1
        if right >= order(moment):
            return moment, replay.at(moment, y)


def _with_end(result: Any, t: Any, y: Any) -> tuple[Any, Any]:
    """Grid and states of a run that an event has ended: the last point is the event."""
    end = result.t[-1]
    e = next(e for e, times in enumerate(result.t_events) if len(times) and primal(times[-1]) == end)
    return np.concatenate([t[:-1], result.t_events[e][-1:]]), np.concatenate([y[:-1], result.y_events[e][-1:]])


class Solution:
    """The solution as a function of t, like scipy.integrate.OdeSolution: sol(t) of shape (n,) or (n, len(t)).

    Differentiable with respect to t and to all that the solution depends on.  Other attributes are those of SciPy's object, plain.
    """

    def __init__(self, replay: Replay, plain: Any, packing: Packing) -> None:
        self._replay, self._plain, self._packing = replay, plain, packing

    def __call__(self, t: Any) -> Any:
        t = stacked(t)
        times = np.atleast_1d(t)
        flat = self._plain(np.atleast_1d(primal(times))).T
        y = self._replay.at(times, self._packing.states(flat, np.shape(times))).T
        return y if np.ndim(t) else y[:, 0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)
