"""Least squares and curve fitting by SciPy on trees of parameters, with exact Jacobians.

    least_squares(r, params)          min 1/2 sum rho(r_i(params)^2)
    curve_fit(model, x, y, params)    the same for r_i = (model(x, params) - y)_i / sigma_i, with the covariance of the parameters

    covariance = s^2 (J^T J)^-1,      s^2 = |r|^2 / (m - n), or 1 where the sigma are absolute
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize

from dualgrad import errors, tree
from dualgrad.optimize.bounds import limits
from dualgrad.optimize.flat import Coordinates, Interrupt, Map
from dualgrad.optimize.residuals import Walk
from dualgrad.optimize.result import Callback, Ending, Observer, Result
from dualgrad.transforms.arguments import check_function
from dualgrad.transforms.pullback import grad

_ENDINGS = {-1: Ending.FAILED, 0: Ending.STEP_LIMIT, 1: Ending.CONVERGED, 2: Ending.SMALL_DECREASE, 3: Ending.SMALL_STEP,
            4: Ending.SMALL_DECREASE}  # fmt: skip

#: SciPy's losses rho(z) of z = (r / f_scale)^2.
_LOSSES: dict[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * (np.sqrt(1 + z) - 1),
    "huber": lambda z: np.where(z <= 1, z, 2 * np.sqrt(np.where(z <= 1, 1.0, z)) - 1),
    "cauchy": np.log1p,
    "arctan": np.arctan,
}


def least_squares(
    residuals: Callable,
    params: Any,
    args: Any = (),
    bounds: Any = None,
    method: str | None = None,
    loss: str = "linear",
    f_scale: float = 1.0,
    tol: float = 1e-15,
    max_evaluations: int | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimize 1/2 sum rho(r_i^2), r = residuals(params, *args), by `scipy.optimize.least_squares`.

    residuals returns an array or a tree of arrays; the result's `value` is SciPy's cost, half the sum of squares where
    rho(z) = z.  Its Jacobian comes from the evaluation that gives the residuals, at min(m, n) products in one batched sweep.

    `method`: "lm" (MINPACK's Levenberg-Marquardt), "trf" or "dogbox" (trust regions, bounds, fewer residuals than parameters).
    None is "lm" where it can be used, else "trf".  Variables are scaled by the columns of the Jacobian (x_scale="jac"), so
    units do not matter.  `loss` is SciPy's: linear, soft_l1, huber, cauchy or arctan, for residuals of the size `f_scale`; it
    needs trf or dogbox.  `tol` is the relative decrease of the cost, and the relative step, that count as converged; by
    default, and at least, that is rounding.  (Where parameters have six digits, the cost is flat to twelve.)
    `max_evaluations` of the residuals: 1000 (n + 1) if None.  `bounds`: a pair of trees (low, high), a tree of pairs, or
    scipy.optimize.Bounds; see `dualgrad.optimize.bounds`.  `callback` and `progress` as in `minimize`; a step is a point that the
    method moves to.

    With linear loss and m > n the result has the `covariance` s^2 (J^T J)^-1 of the vector `tree.ravel(params)`, and the
    `standard_errors`, a tree like params; they are infinite where J has not full rank.

    Raises ArgumentError for an unknown method or loss, and for "lm" with what it cannot do; StructureError for bounds that do
    not fit the tree; OutputError if residuals returns something that is not floating.

    >>> rosenbrock = lambda p: [10 * (p["y"] - p["x"] ** 2), 1 - p["x"]]
    >>> result = least_squares(rosenbrock, {"x": -1.2, "y": 1.0})
    >>> result.success, result.params
    (True, {'x': np.float64(1.0), 'y': np.float64(1.0)})
    """
    coordinates = Coordinates("least_squares", params)
    function = Map("least_squares", residuals, coordinates, args)
    box = limits("least_squares", bounds, coordinates, pairs_first=False)
    return _solve("least_squares", function, box, method, loss, f_scale, tol, max_evaluations, callback, progress, None)


def curve_fit(
    model: Callable,
    x: Any,
    y: Any,
    params: Any,
    sigma: Any = None,
    absolute_sigma: bool = False,
    bounds: Any = None,
    method: str | None = None,
    tol: float = 1e-15,
    max_evaluations: int | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Fit y = model(x, params) + noise by least squares, from params; the result has `covariance` and `standard_errors`.

    The model is called as model(x, params), with any tree of parameters; a *tuple* of parameters is spread, as SciPy does:
    model(x, *params).  x is handed over as it is; y and what the model returns have one shape.

    `sigma`: standard deviations of the noise, a number or of the shape of y, or its covariance matrix of shape (m, m), m = y.size.
    They count as relative, and the covariance of the parameters is scaled by s^2 = |r|^2 / (m - n), unless `absolute_sigma`.
    `covariance` is (n, n), over the vector `tree.ravel(params)`; `standard_errors` is a tree like params, None at leaves that
    are not fitted.  Both are infinite where the data do not determine the parameters, or m = n without absolute sigma.
    The other arguments are those of `least_squares`.

    Raises ArgumentError if y or sigma is not finite or does not fit, StructureError if the model's shape is not that of y.

    >>> x = np.array([0.0, 1.0, 2.0, 3.0])
    >>> y = np.array([1.0, 2.9, 5.1, 7.0])
    >>> line = curve_fit(lambda x, p: p["a"] + p["b"] * x, x, y, {"a": 0.0, "b": 1.0})
    >>> round(float(line.params["b"]), 3), round(float(line.standard_errors["b"]), 5)
    (2.02, 0.04243)
    >>> a, b = curve_fit(lambda x, a, b: a + b * x, x, y, (0.0, 1.0)).params
    >>> round(float(a), 3), round(float(b), 3)
    (0.97, 2.02)
    """
    check_function("curve_fit", model)
    spread = type(params) is tuple
    _check_call(model, x, params if spread else (params,))
    y = np.asarray(y, np.float64)
    if not y.size or not np.all(np.isfinite(y)):
        raise errors.ArgumentError(f"curve_fit: y must hold finite numbers, at least one{errors.user_line()}.")
    whiten = _whitening(sigma, y)

    def residuals(p: Any) -> Any:
        predicted = model(x, *p) if spread else model(x, p)
        if np.shape(predicted) != y.shape:
            raise errors.StructureError(
                f"curve_fit: the model returned {errors.describe(predicted)}, but y has shape {y.shape}{errors.user_line()}."
            )
        return whiten(np.ravel(predicted - y))

    coordinates = Coordinates("curve_fit", params)
    function = Map("curve_fit", residuals, coordinates, ())
    box = limits("curve_fit", bounds, coordinates, pairs_first=False)
    return _solve("curve_fit", function, box, method, "linear", 1.0, tol, max_evaluations, callback, progress, absolute_sigma)


def _check_call(model: Callable, x: Any, arguments: tuple) -> None:
    """Can the model be called with these?  Says what else can be done where it cannot."""
    try:
        signature = inspect.signature(model)
    except (TypeError, ValueError):
        return  # a function without a signature, of C
    try:
        signature.bind(x, *arguments)
    except TypeError as error:
        raise errors.ArgumentError(
            f"curve_fit: the model cannot be called with x and {len(arguments)} argument{'s' * (len(arguments) != 1)}: {error}"
            f"{errors.user_line()}. It gets model(x, params); for model(x, a, b, c) give params as a tuple (a, b, c)."
        ) from None


def _whitening(sigma: Any, y: Any) -> Callable[[Any], Any]:
    """The map that makes the noise of the residuals white: division by sigma, or by the Cholesky factor of a covariance."""
    if sigma is None:
        return lambda r: r
    sigma = np.asarray(sigma, np.float64)
    if sigma.shape == (y.size, y.size) and y.size > 1:
        try:
            inverse = np.linalg.inv(np.linalg.cholesky(sigma))
        except np.linalg.LinAlgError:
            raise errors.ArgumentError(
                f"curve_fit: sigma, a covariance matrix, must be positive definite{errors.user_line()}."
            ) from None
        return lambda r: inverse @ r
    if sigma.shape not in ((), y.shape) or not np.all(sigma > 0):
        raise errors.ArgumentError(
            f"curve_fit: sigma must be positive, a number, of the shape {y.shape} of y or a covariance matrix of shape "
            f"({y.size}, {y.size}), but it is {errors.describe(sigma)}{errors.user_line()}."
        )
    weights = np.ravel(1 / sigma)
    return lambda r: weights * r


# ---- the solve ---------------------------------------------------------------------------------------------------------


def _solve(
    name: str, function: Map, box: Any, method: Any, loss: str, f_scale: float, tol: float, limit: int | None,
    callback: Any, progress: bool, absolute: bool | None,
) -> Result:  # fmt: skip
    n = function.coordinates.size
    if loss not in _LOSSES:
        raise errors.ArgumentError(f"{name}: there is no loss {loss!r}{errors.user_line()}. The losses are {', '.join(_LOSSES)}.")
    if box is not None:
        for k in np.flatnonzero(box[0] == box[1])[:1]:
            raise errors.ArgumentError(
                f"{name}: the bounds of params{function.coordinates.entry(k)} are equal{errors.user_line()}. Fix a parameter by "
                "leaving it out of params."
            )
    m = function.fun(function.coordinates.start).size
    method = _method(name, method, box is not None, loss, m < n)

    def cost(r: Any) -> tuple[float, Any]:
        """(1/2 f^2 sum rho, the weighted residuals rho' r whose product with J^T is the gradient)."""
        if loss == "linear":
            return float(r @ r) / 2, r
        z = (r / f_scale) ** 2
        return float(f_scale**2 * np.sum(_LOSSES[loss](z))) / 2, grad(lambda z: np.sum(_LOSSES[loss](z)))(z) * r

    limit = 1000 * (n + 1) if limit is None else limit
    tol = max(tol, 1e-15)  # MINPACK needs more than the rounding unit
    with Observer(f"{name}, {method}", callback, progress, None) as observer:
        walk, found = Walk(function, observer, cost, box), None
        try:
            walk.begin()
            with np.errstate(all="ignore"):
                found = scipy.optimize.least_squares(
                    walk.fun, walk.start.copy(), walk.jac, bounds=(-np.inf, np.inf) if box is None else box, method=method,
                    ftol=tol, xtol=tol, gtol=1e-15, x_scale="jac", loss=loss, f_scale=f_scale, max_nfev=limit,
                )  # fmt: skip
            ending, note = walk.judged(_ENDINGS[found.status], f"{method}: {found.message.rstrip('.')}.")
        except Interrupt as interrupt:
            ending, note = interrupt.ending, interrupt.detail
    point = walk.chosen(None if found is None else found.x)
    return _result(walk, point, ending, note, found, absolute if loss == "linear" else None, loss == "linear")


def _method(name: str, method: Any, bounded: bool, loss: str, wide: bool) -> str:
    """The method, checked to be able to do what is asked for."""
    reasons = [("bounds", bounded), (f"the loss {loss!r}", loss != "linear"), ("fewer residuals than parameters", wide)]
    against = [reason for reason, holds in reasons if holds]
    if method is None:
        return "trf" if against else "lm"
    if method not in ("lm", "trf", "dogbox"):
        raise errors.ArgumentError(
            f"{name}: there is no method {method!r}{errors.user_line()}. The methods are 'lm', 'trf' and 'dogbox'."
        )
    if method == "lm" and against:
        raise errors.ArgumentError(f"{name}: lm cannot do {against[0]}{errors.user_line()}; trf and dogbox can.")
    return method


def _result(walk: Walk, x: Any, ending: Ending, note: str, found: Any, absolute: bool | None, fitted: bool) -> Result:
    function, coordinates = walk.residuals, walk.residuals.coordinates
    r, jacobian = function.fun(x), function.jac(x)
    value, norm = walk.value_and_norm(x, r, jacobian)
    steps, evaluations = max(len(walk.observer.history) - 1, 0), function.at.evaluations
    how = f"After {steps} steps and {evaluations} evaluations"
    detail = f"{how} the cost is {value:.6g}, the norm of its gradient {norm:.2g}. {note}".rstrip()
    covariance = deviations = None
    if fitted and np.isfinite(norm) and (absolute is not None or r.size > x.size):
        covariance = covariance_of(r, jacobian, bool(absolute))
        if not np.all(np.isfinite(covariance)):
            detail += " The covariance is infinite: the residuals do not determine all parameters."
        spread = coordinates.own(np.sqrt(np.diag(covariance)))
        deviations = tree.map(lambda leaf: leaf if tree.is_differentiable(leaf) else None, spread)
    return Result(
        coordinates.own(x), value, norm, ending, steps, evaluations, tuple(walk.observer.history), detail, scipy=found,
        covariance=covariance, standard_errors=deviations,
    )  # fmt: skip


def covariance_of(r: Any, jacobian: Any, absolute: bool) -> Any:
    """s^2 (J^T J)^-1 by the singular values of J with columns of unit length; infinite if J has not full rank.

    The columns are scaled because their lengths are units: in NIST's data sets they differ by up to ten powers of ten.
    """
    m, n = jacobian.shape
    lengths = np.linalg.norm(jacobian, axis=0)
    if np.all(lengths > 0) and (absolute or m > n):
        _, s, vt = scipy.linalg.svd(jacobian / lengths, full_matrices=False)
        if m >= n and s[-1] > np.finfo(np.float64).eps * m * s[0]:
            half = (vt.T / s) / lengths[:, None]
            return half @ half.T * (1.0 if absolute else float(r @ r) / (m - n))
    return np.full((n, n), np.inf)
