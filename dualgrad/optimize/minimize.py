"""SciPy's minimizers on trees of parameters, with exact derivatives.

    minimize(f, params, method=...) -> Result          any of SciPy's methods
    to_scipy(f, params) -> ScipyProblem                x0, fun, jac, hess, hessp, for calls of scipy.optimize of one's own

Where f or its gradient is not finite, a method sees a wall: a value above all that were seen, and no slope, from which every
method of SciPy turns back.  (From an infinite value L-BFGS-B and TNC do not; from nan hardly any.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

from dualgrad import errors
from dualgrad.optimize import constraints as conditions
from dualgrad.optimize.bounds import limits
from dualgrad.optimize.flat import Interrupt, Objective
from dualgrad.optimize.result import Callback, Ending, Observer, Result
from dualgrad.optimize.trials import Trials


class Method(NamedTuple):
    """What a method of SciPy takes, and what its status numbers mean."""

    derivatives: str  # "", "jac", "hess" or "hessp"
    bounds: bool
    constraints: bool
    endings: dict[int, Ending]

    @property
    def order(self) -> int:
        return {"": 0, "jac": 1, "hess": 2, "hessp": 2}[self.derivatives]


_LINE_SEARCH = {0: Ending.CONVERGED, 1: Ending.STEP_LIMIT, 2: Ending.NO_DESCENT, 3: Ending.NOT_FINITE}
_TRUST_REGION = {0: Ending.CONVERGED, 1: Ending.STEP_LIMIT, 2: Ending.NO_DESCENT, 3: Ending.INDEFINITE}
_NEWTON_CG = {0: Ending.SMALL_STEP, 1: Ending.STEP_LIMIT, 2: Ending.NO_DESCENT, 3: Ending.INDEFINITE}
_TNC = {-1: Ending.INFEASIBLE, 0: Ending.CONVERGED, 1: Ending.SMALL_DECREASE, 2: Ending.SMALL_STEP, 3: Ending.STEP_LIMIT,
        4: Ending.NO_DESCENT, 5: Ending.CONVERGED, 6: Ending.NO_DESCENT}  # fmt: skip
_SLSQP = {0: Ending.SMALL_DECREASE, 2: Ending.INFEASIBLE, 4: Ending.INFEASIBLE, 5: Ending.SINGULAR, 6: Ending.SINGULAR,
          7: Ending.SINGULAR, 8: Ending.NO_DESCENT, 9: Ending.STEP_LIMIT}  # fmt: skip
_TRUST_CONSTR = {0: Ending.STEP_LIMIT, 1: Ending.CONVERGED, 2: Ending.SMALL_STEP, 4: Ending.INFEASIBLE}
_SIMPLEX = {0: Ending.SMALL_STEP, 1: Ending.STEP_LIMIT, 2: Ending.STEP_LIMIT}

METHODS = {
    "BFGS": Method("jac", False, False, _LINE_SEARCH),
    "CG": Method("jac", False, False, _LINE_SEARCH),
    "L-BFGS-B": Method("jac", True, False, {0: Ending.CONVERGED, 1: Ending.STEP_LIMIT, 2: Ending.NO_DESCENT}),
    "TNC": Method("jac", True, False, _TNC),
    "SLSQP": Method("jac", True, True, _SLSQP),
    "Newton-CG": Method("hessp", False, False, _NEWTON_CG),
    "trust-ncg": Method("hessp", False, False, _TRUST_REGION),
    "trust-krylov": Method("hessp", False, False, _TRUST_REGION),
    "trust-exact": Method("hess", False, False, _TRUST_REGION),
    "dogleg": Method("hess", False, False, _TRUST_REGION),
    "trust-constr": Method("hess", True, True, _TRUST_CONSTR),
    "Nelder-Mead": Method("", True, False, _SIMPLEX),
    "Powell": Method("", True, False, _SIMPLEX),
}


def minimize(
    f: Callable,
    params: Any,
    args: Any = (),
    method: str | None = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callback | None = None,
    tol: float | None = None,
    options: dict | None = None,
    progress: bool = False,
    has_aux: bool = False,
) -> Result:
    """Minimize f(params, *args) over the floating leaves of params, by a method of `scipy.optimize.minimize`.

    `method`    derivatives it is given          bounds  constraints
    BFGS, CG, L-BFGS-B, TNC   gradient           L-BFGS-B and TNC
    SLSQP                     gradient           yes     yes
    Newton-CG, trust-ncg, trust-krylov           gradient, Hessian-vector products
    trust-exact, dogleg       gradient, Hessian of shape (n, n)
    trust-constr              gradient, Hessian  yes     yes
    Nelder-Mead, Powell       none               yes

    None is SLSQP with constraints, L-BFGS-B with bounds or more than 1000 parameters, else BFGS.  Where minima are flat or
    curved valleys, "trust-exact" (up to some hundred parameters) and "trust-ncg" use the curvature and are the more reliable.

    f is evaluated once at each point: the value, the gradient and the recording that products with the Hessian replay come from
    one call.  It is called with float64 leaves; `result.params` has the dtypes of params.  Integers and other leaves stay.

    `bounds`: a tree of pairs (low, high), a pair of trees, or scipy.optimize.Bounds; see `dualgrad.optimize.bounds`.
    `constraints`: SciPy's dictionaries {"type": "eq" | "ineq", "fun": c}, NonlinearConstraint or LinearConstraint, c a function
    of the tree; see `dualgrad.optimize.constraints`.  `tol` and `options` are SciPy's, but for trust-constr with inequalities,
    whose `gtol` is 0 unless it is given.  `callback(progress, params)` is called at the start and after each step; it stops the
    run by returning True or raising StopIteration.  `progress=True` shows a bar (tqdm).
    With `has_aux`, f returns (value, aux), and `result.aux` is that of the best point, from one more evaluation.

    The result holds the best point that was evaluated: the lowest, with constraints the lowest that satisfies them to 1e-6,
    unless SciPy succeeded with an equally low one.  How it ended is `result.ending`; an objective that is not finite or a Hessian
    that is indefinite does not raise.  After a success of trust-exact, dogleg, trust-ncg, trust-krylov or Newton-CG with at most
    300 parameters the Hessian is looked at, so that a saddle is not taken for a minimum.
    `gradient_norm`, in the result and in the history, is |g|; with bounds |x - P(x - g)|, P the projection on them; with
    constraints min |g - J^T u| over multipliers u of the active ones: it is 0 at a minimum in each case.

    Raises ArgumentError for an unknown method, or one that takes no bounds or constraints; StructureError for bounds that do not
    fit the tree; InputTypeError for complex leaves or no floating one; OutputError if f does not return a real scalar.

    >>> rosenbrock = lambda p: (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2
    >>> result = minimize(rosenbrock, {"x": -1.2, "y": 1.0}, method="trust-exact")
    >>> result.ending.value, round(float(result.params["x"]), 5), round(float(result.params["y"]), 5)
    ('The norm of the gradient fell below its tolerance.', 1.0, 1.0)
    >>> round(float(minimize(rosenbrock, {"x": 0.0, "y": 0.0}, bounds={"x": (None, 0.5)}).params["x"]), 6)
    0.5
    """
    order = 1 if method is None else METHODS[_known(method)].order
    objective = Objective("minimize", f, params, args, has_aux, order)
    coordinates = objective.coordinates
    box = limits("minimize", bounds, coordinates, pairs_first=True)
    subject_to = conditions.read("minimize", constraints, coordinates)
    if method is None:
        method = "SLSQP" if subject_to else "L-BFGS-B" if box or coordinates.size > 1000 else "BFGS"
    method = _known(method)
    row = METHODS[method]
    _check_support(method, box is not None, bool(subject_to))
    if method != "trust-constr" and any(np.any(condition.keep_feasible) for condition in subject_to):
        raise errors.ArgumentError(f"minimize: {method} cannot keep a constraint feasible{errors.user_line()}; trust-constr can.")

    options = dict(options or {})
    if method == "trust-constr" and (box is not None or any(condition.is_inequality for condition in subject_to)):
        # SciPy's test of the gradient is passed by the first barrier problem: it ends 1e-3 short on Hock and Schittkowski's 45th.
        options.setdefault("gtol", 0.0)
    given: dict[str, Any] = {"method": method, "tol": tol, "options": options}
    if box is not None:
        given["bounds"] = scipy.optimize.Bounds(*box)
    if method == "SLSQP":
        given["constraints"] = [part for condition in subject_to for part in condition.for_slsqp()]
    elif subject_to:
        given["constraints"] = [condition.for_trust_constr() for condition in subject_to]
    with Observer(f"minimize, {method}", callback, progress, options.get("maxiter")) as observer:
        trials = Trials(objective, observer, box, subject_to)
        if row.derivatives:
            given["jac"] = trials.jac
        if row.order > 1:
            given[row.derivatives] = getattr(trials, row.derivatives)
        found = None
        ending, note = Ending.FAILED, ""
        try:
            trials.begin()
            with np.errstate(all="ignore"):  # SciPy's own arithmetic; f is called with the caller's state
                found = scipy.optimize.minimize(trials.fun, coordinates.start.copy(), callback=trials.step, **given)
            ending, note = _ending(method, found), f"{method}: {str(found.message).strip().rstrip('.')}."
            if ending is Ending.INDEFINITE:
                note += " trust-exact and trust-ncg do not need it to be definite."
        except StopIteration:  # at the start, or from TNC; out of other methods of SciPy it does not come
            if not trials.stopped:
                raise
        except Interrupt as interrupt:
            ending, note = interrupt.ending, interrupt.detail
        if trials.stopped:
            ending, note = Ending.STOPPED, ""
        return trials.result(ending, note, found)


def _known(method: Any) -> str:
    """The method in SciPy's spelling."""
    for name in METHODS:
        if isinstance(method, str) and method.lower() == name.lower():
            return name
    raise errors.ArgumentError(
        f"minimize: there is no method {method!r}{errors.user_line()}. The methods are {', '.join(METHODS)}."
    )


def _check_support(method: str, bounded: bool, constrained: bool) -> None:
    for what, wanted in (("bounds", bounded), ("constraints", constrained)):
        if wanted and not getattr(METHODS[method], what):
            able = ", ".join(name for name, row in METHODS.items() if getattr(row, what))
            raise errors.ArgumentError(f"minimize: {method} takes no {what}{errors.user_line()}. These do: {able}.")


def _ending(method: str, found: Any) -> Ending:
    """SciPy's status as a sentence."""
    ending = METHODS[method].endings.get(found.status)
    if method == "L-BFGS-B" and ending is Ending.CONVERGED and "REDUCTION" in found.message:
        return Ending.SMALL_DECREASE
    return Ending.FAILED if ending is None or (ending.success and not found.success) else ending


class ScipyProblem(NamedTuple):
    """A problem in SciPy's terms: functions of the vector x0 = ravel(params), and `unravel` back to a tree."""

    x0: Any
    fun: Callable[[Any], float]
    jac: Callable[[Any], Any]
    hess: Callable[[Any], Any]
    hessp: Callable[[Any, Any], Any]
    fun_and_jac: Callable[[Any], tuple[float, Any]]
    unravel: Callable[[Any], Any]


def to_scipy(f: Callable, params: Any, args: Any = ()) -> ScipyProblem:
    """The pieces for a call of SciPy's own: x0, fun, jac, hess, hessp, fun_and_jac, unravel.

    All take a vector of shape (n,) and return float64; f is evaluated once at each point, whichever of them are called there.
    The first call of hess or hessp turns on recordings of second order, which products replay.  `unravel` has the dtypes of params.

    >>> import scipy.optimize
    >>> p = to_scipy(lambda tree: np.sum((tree["w"] - 3.0) ** 4), {"w": np.zeros(2, np.float32)})
    >>> found = scipy.optimize.minimize(p.fun, p.x0, jac=p.jac, hess=p.hess, method="trust-exact", tol=1e-9)
    >>> p.unravel(found.x)["w"].round(2)
    array([3., 3.], dtype=float32)
    >>> p.hessp(p.x0, np.array([1.0, 0.0]))
    array([108.,   0.])
    """
    o = Objective("to_scipy", f, params, args, False, 1)
    return ScipyProblem(o.coordinates.start, o.fun, o.jac, o.hess, o.hessp, o.fun_and_jac, o.coordinates.own)
