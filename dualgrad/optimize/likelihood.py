"""Likelihoods by name: the loss that is the negative logarithm of each, and gradients drawn from the model itself.

    loss = -mean log p(target | output)        E[c c^T] = C,  the curvature of the loss at the output

A score c is n times the gradient of the loss at a target drawn from the model's own distribution, n the number of rows (all axes
of the output but the last).  Its covariance is the Fisher matrix at the output, row by row, so scores pulled back to the
parameters, or to the layers in between, sample the exact Fisher matrix of `dualgrad.operators.FisherOperator`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.models.losses import binary_cross_entropy, cross_entropy, mse
from dualgrad.scipy.special import expit, softmax

LOSSES: dict[str, Callable] = {"categorical": cross_entropy, "bernoulli": binary_cross_entropy, "gaussian": mse}


def loss_of(name: str, likelihood: str) -> Callable:
    """The loss of a likelihood.  Raises ArgumentError for an unknown one."""
    if likelihood not in LOSSES:
        raise errors.ArgumentError(
            f"{name}: likelihood must be one of {', '.join(map(repr, LOSSES))}, not {likelihood!r}{errors.user_line()}. "
            "For another loss use hessian_free(model, loss)."
        )
    return LOSSES[likelihood]


def scores(likelihood: str, output: Any, rng: np.random.Generator) -> Any:
    """A score for every row of an output of shape (..., m), drawn from the model.

    >>> draws = [scores("bernoulli", np.array([[0.0]]), np.random.default_rng(k)) for k in range(1000)]
    >>> round(float(np.mean(np.square(draws))), 12)  # (p - y)^2 = 1/4
    0.25
    """
    width = output.shape[-1]
    if likelihood == "categorical":
        p = softmax(output, axis=-1)
        uniform = rng.random((*output.shape[:-1], 1))
        drawn = np.sum(np.cumsum(p, axis=-1) < uniform * np.sum(p, axis=-1, keepdims=True), axis=-1, keepdims=True)
        found = p - (np.arange(width) == drawn)
    elif likelihood == "bernoulli":  # the mean over m elements of a row: its scores are independent, and smaller
        p = expit(output)
        found = (p - (rng.random(output.shape) < p)) / np.sqrt(width)
    else:
        found = rng.standard_normal(output.shape) * np.sqrt(2 / width)
    return found.astype(output.dtype)
