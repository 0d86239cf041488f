"""The natural gradient: the steepest descent of the loss where distance is that of the model's distributions (Amari 1998).

    d = -(F + damping I)^-1 g        F the exact Fisher matrix of the model's likelihood, g the gradient of its loss

    likelihood     the model returns             the loss
    categorical    logits, classes last          cross_entropy(logits, labels)
    bernoulli      logits                        binary_cross_entropy(logits, targets)
    gaussian       means, variance 1/2           mse(means, targets)

These are exponential families in their natural parameters, for which F is the Gauss-Newton matrix of the loss; where the model is
linear, as in logistic regression, it is the Hessian, and the method is Newton's (Martens 2020, sections 8 and 9).
"""

from __future__ import annotations

from collections.abc import Callable

from dualgrad.operators import FisherOperator
from dualgrad.optimize.descent import Descent, Direction, Local, Objective, composed, truncated
from dualgrad.optimize.likelihood import loss_of
from dualgrad.optimize.search import Search, backtracking
from dualgrad.optimize.solver import Solver, Tolerances, compose


def natural_gradient(
    model: Callable,
    likelihood: str,
    search: Search | None = None,
    cg_tol: float = 1e-6,
    cg_steps: int = 250,
    tol: float | None = None,
    step_tol: float = 0.0,
    decrease_tol: float = 0.0,
) -> Solver:
    """Natural gradient descent for data (x, targets), the model being model(params, x): minimizes the loss of its likelihood.

    F is never formed; the system is solved by conjugate gradients to `cg_tol`, relative to g, in at most `cg_steps` products.
    `search` is backtracking, or what you give: `fixed(0.1, damping=1e-3)` with batches, `levenberg()` for a damping that adapts.
    Cost of a step: three gradients and a product with F (less than a gradient) for each CG iteration.
    Raises ArgumentError for a likelihood that is not in the table.

    >>> import numpy as np
    >>> from dualgrad.optimize.solver import solve
    >>> x, y = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0, 1.0])
    >>> result = solve(natural_gradient(lambda w, x: w * x, "bernoulli"), 0.0, x, y)
    >>> print(result.params.round(6), result.steps)
    0.756308 4
    """
    descent = fisher(model, likelihood, cg_tol, cg_steps)
    return compose(descent, backtracking() if search is None else search, Tolerances(tol, step_tol, decrease_tol))


def fisher(model: Callable, likelihood: str, cg_tol: float = 1e-6, cg_steps: int = 250) -> Descent:
    """The descent -(F + damping I)^-1 g."""
    loss = loss_of("natural_gradient", likelihood)

    def local(objective: Objective, memory: None) -> Local:
        value, gradient = objective.value_and_grad()
        build = lambda params, *inputs: FisherOperator(model, params, *inputs, likelihood=likelihood)
        operator = objective.counted(build, objective.params, *objective.data[:1])

        def direction(damping: float) -> Direction:
            return truncated(objective.product(operator, damping), gradient, damping, cg_tol, cg_steps)

        return Local(value, gradient, direction)

    return Descent(composed(model, loss), local)
