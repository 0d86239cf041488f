"""Roots of square systems, F(params) = 0, by SciPy's MINPACK on trees, with exact Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

from dualgrad import errors
from dualgrad.optimize.flat import Coordinates, Interrupt, Map
from dualgrad.optimize.residuals import FAR, Walk
from dualgrad.optimize.result import Callback, Ending, Observer, Result

#: MINPACK's status numbers; those not here say that no progress was made.
_LIMIT = {"hybr": 2, "lm": 5}


def root(
    F: Callable,
    params: Any,
    args: Any = (),
    method: str = "hybr",
    tol: float | None = None,
    options: dict | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Solve F(params, *args) = 0 for as many floating numbers as F returns, in an array or a tree.

    `method`: "hybr" (Powell's hybrid method) or "lm" (Levenberg-Marquardt on |F|^2), both of MINPACK by `scipy.optimize.root`,
    whose are `tol` and `options`.  `value` is |F|^2 / 2, `gradient_norm` that of its gradient J^T F.  A step, for `callback`,
    `progress` and the history, is a point at which the Jacobian is evaluated.

    A run ends with Ending.ROOT; with Ending.SINGULAR where |F| is stationary and not zero, which needs a singular Jacobian;
    with Ending.FAILED where MINPACK makes no progress otherwise.  The point of least |F| is kept.

    Raises ArgumentError for an unknown method, StructureError if F returns more or fewer numbers than params has.

    >>> circle_and_line = lambda p: {"circle": p["x"] ** 2 + p["y"] ** 2 - 2, "line": p["x"] - p["y"]}
    >>> result = root(circle_and_line, {"x": 2.0, "y": 0.5})
    >>> result.ending.name, round(float(result.params["x"]), 12), round(float(result.params["y"]), 12)
    ('ROOT', 1.0, 1.0)
    """
    if method not in _LIMIT:
        raise errors.ArgumentError(f"root: there is no method {method!r}{errors.user_line()}. The methods are 'hybr' and 'lm'.")
    coordinates = Coordinates("root", params)
    function = Map("root", F, coordinates, args)
    count = function.fun(coordinates.start).size
    if count != coordinates.size:
        raise errors.StructureError(
            f"root: F returns {count} numbers for {coordinates.size} unknowns{errors.user_line()}. Give it as many equations as "
            "unknowns, or use least_squares."
        )
    with Observer(f"root, {method}", callback, progress, None) as observer:
        walk = Walk(function, observer, lambda r: (float(r @ r) / 2, r), far=None if method == "hybr" else FAR)
        found = None
        try:
            walk.begin()
            with np.errstate(all="ignore"):
                found = scipy.optimize.root(walk.fun, walk.start.copy(), jac=walk.jac, method=method, tol=tol, options=options)
            ending, note = Ending.FAILED, f"{method}: {' '.join(found.message.split()).rstrip('.')}."
        except Interrupt as interrupt:
            ending, note = interrupt.ending, interrupt.detail
    x = walk.chosen(None if found is None else found.x)
    F_x, jacobian = function.fun(x), function.jac(x)
    value, gradient_norm = walk.value_and_norm(x, F_x, jacobian)
    if found is not None and np.isnan(gradient_norm):
        ending, note = Ending.NOT_FINITE, f"The Jacobian is not finite at the point of least |F|. {note}"
    elif found is not None:
        # Where MINPACK gave up: lm does so at what is stationary.
        given_up = {_LIMIT[method]: Ending.STEP_LIMIT}.get(found.status, Ending.FAILED if method == "hybr" else Ending.SINGULAR)
        ending, note = walk.judged(_ending(walk.start, walk.r_0, x, F_x, jacobian) or given_up, note)
    steps, evaluations = max(len(observer.history) - 1, 0), function.at.evaluations
    norm = float(np.linalg.norm(F_x))
    detail = f"After {evaluations} evaluations the norm of F is {norm:.2g}, that of J^T F {gradient_norm:.2g}. {note}".rstrip()
    return Result(
        coordinates.own(x), value, gradient_norm, ending, steps, evaluations, tuple(observer.history), detail, scipy=found
    )


def _ending(x_0: Any, F_0: Any, x: Any, F_x: Any, jacobian: Any) -> Ending | None:
    """What a point is at which MINPACK ended, whatever it says itself; None if that cannot be told.

    A root is |F| <= 1e-8 |J| |x|, a step of Newton's of 1e-8 |x|, or |F| <= 1e-15 |F_0|.  Where the step would be a thousand
    times as long as all that is at hand, J is singular for that F.
    """
    norm = float(np.linalg.norm(F_x))
    if norm <= max(1e-8 * float(np.linalg.norm(jacobian, 2) * np.linalg.norm(x)), 1e-15 * float(np.linalg.norm(F_0))):
        return Ending.ROOT
    step = np.linalg.norm(np.linalg.pinv(jacobian, rcond=1e-14) @ F_x)
    rank = np.linalg.matrix_rank(jacobian, tol=1e-14 * np.linalg.norm(jacobian, 2))
    far = 1e3 * max(np.linalg.norm(x), np.linalg.norm(x - x_0))
    return Ending.SINGULAR if rank < x.size or step > far else None
