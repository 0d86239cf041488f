"""Optimizers over parameter pytrees: pure updates, state as a value.

    >>> import numpy as np
    >>> from dualgrad import value_and_grad
    >>> from dualgrad.optimize import adam, apply_updates, chain, clip_by_global_norm, cosine_decay
    >>> def loss(params):
    ...     return np.sum((params["w"] - np.array([1.0, -2.0])) ** 2)
    >>> optimizer = chain(clip_by_global_norm(1.0), adam(cosine_decay(0.3, steps=200)))
    >>> params = {"w": np.zeros(2)}
    >>> state = optimizer.init(params)
    >>> for step in range(200):
    ...     value, gradient = value_and_grad(loss)(params)
    ...     updates, state = optimizer.update(gradient, state, params)
    ...     params = apply_updates(params, updates)
    >>> params["w"].round(3)
    array([ 1., -2.])

Methods of second order are Solvers, triples (init, update, done), and `solve` runs one; each is a search composed with a descent.

    damped_newton(f)                                  subsampled_newton(f), sophia(f, rate): with data or batches
    gauss_newton(r), levenberg_marquardt(r)           |r(params, *data)|^2 / 2
    hessian_free(model, loss)                         loss(model(params, x), *targets), data (x, *targets)
    natural_gradient(model, likelihood), kfac(...)    the same, with the loss of the likelihood

    >>> from dualgrad.optimize import damped_newton, solve
    >>> result = solve(damped_newton(loss), {"w": np.zeros(2)})
    >>> result.params["w"], result.steps
    (array([ 1., -2.]), 1)
"""

from dualgrad.optimize.first_order import (
    AdamState,
    Optimizer,
    accumulate,
    adagrad,
    adam,
    adamw,
    apply_updates,
    chain,
    clip_by_global_norm,
    clip_by_value,
    global_norm,
    rmsprop,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_rms,
    scale_by_sum,
    sgd,
    weight_decay,
)
from dualgrad.optimize.fit import curve_fit, least_squares
from dualgrad.optimize.gauss_newton import gauss_newton, levenberg_marquardt
from dualgrad.optimize.hessian_free import hessian_free
from dualgrad.optimize.kfac import kfac
from dualgrad.optimize.minimize import ScipyProblem, minimize, to_scipy
from dualgrad.optimize.natural_gradient import natural_gradient
from dualgrad.optimize.newton import damped_newton, modified_cholesky
from dualgrad.optimize.result import Ending, Progress, Result
from dualgrad.optimize.root import root
from dualgrad.optimize.schedules import (
    Schedule,
    constant,
    cosine_decay,
    exponential_decay,
    step_decay,
    warm_up,
)
from dualgrad.optimize.search import Search, backtracking, fixed, levenberg
from dualgrad.optimize.solver import Solver, Tolerances, compose, solve
from dualgrad.optimize.sophia import bartlett, hutchinson, sophia
from dualgrad.optimize.subsampled_newton import subsampled_newton

__all__ = [
    "AdamState",
    "Ending",
    "Optimizer",
    "Progress",
    "Result",
    "Schedule",
    "ScipyProblem",
    "Search",
    "Solver",
    "Tolerances",
    "accumulate",
    "adagrad",
    "adam",
    "adamw",
    "apply_updates",
    "backtracking",
    "bartlett",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "compose",
    "constant",
    "cosine_decay",
    "curve_fit",
    "damped_newton",
    "exponential_decay",
    "fixed",
    "gauss_newton",
    "global_norm",
    "hessian_free",
    "hutchinson",
    "kfac",
    "least_squares",
    "levenberg",
    "levenberg_marquardt",
    "minimize",
    "modified_cholesky",
    "natural_gradient",
    "rmsprop",
    "root",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_rms",
    "scale_by_sum",
    "sgd",
    "solve",
    "sophia",
    "step_decay",
    "subsampled_newton",
    "to_scipy",
    "warm_up",
    "weight_decay",
]
