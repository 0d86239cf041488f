"""The Fisher information matrix as an operator: the mean over examples of E[g g^T], g the gradient of -log p(target | params).

    exact       F = J^T C J,  J = d output / d params,  the expectation over targets drawn from the model, in closed form:

                likelihood     C                           output                          its loss
                categorical    (diag(p) - p p^T) / N       logits, p = softmax             cross_entropy, N examples
                bernoulli      diag(p (1 - p)) / N         logits, p = expit               binary_cross_entropy, N elements
                gaussian       2 / N                       mean, of variance 1/2           mse, N elements

    empirical   F = sum_i g_i g_i^T / N = J^T J / N,  J = d losses / d params,  at the targets that were observed

Each exact one is also the generalized Gauss-Newton matrix of its loss, whatever the targets (Martens 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.operators.gauss_newton import CurvatureOperator
from dualgrad.operators.recorded import Product, record_map
from dualgrad.operators.space import real_space
from dualgrad.scipy.special import expit, softmax
from dualgrad.transforms.arguments import name_of


class FisherOperator(CurvatureOperator):
    """The Fisher information of the model(params, *args) under a likelihood, at params, averaged as the matching loss is.

    The model returns one array, the logits of a "categorical" likelihood (classes in the last axis), the logits of a "bernoulli"
    one, or the mean of a "gaussian" one.  No targets are needed.  The gaussian has variance 1/2, for which the mean of -log p is
    mse; for another variance s multiply by 1 / (2 s).  The model is evaluated once, `output` is what it returned.
    Cost of a product: less than a gradient.  Raises ArgumentError for another likelihood, OutputError if the model does not
    return one real array, InputTypeError for integer or complex params.

    >>> F = FisherOperator(lambda w: w * np.array([1.0, 2.0]), np.array([0.0, 0.0]), likelihood="bernoulli")
    >>> F.to_dense()
    array([[0.125, 0.   ],
           [0.   , 0.5  ]])
    """

    def __init__(self, model: Callable, params: Any, *args: Any, likelihood: str) -> None:
        name = "FisherOperator"
        if likelihood not in _CURVATURES:
            raise errors.ArgumentError(
                f"{name}: likelihood must be one of {', '.join(map(repr, _CURVATURES))}, not {likelihood!r}{errors.user_line()}. "
                "For another one use GaussNewtonOperator with its negative logarithm, or FisherOperator.empirical."
            )
        space = real_space(name, "params", params)
        mapping = record_map(name, model, params, args)
        if likelihood == "categorical":
            self.output = _array(name, model, mapping.value, 1, "the logits, with the classes in the last axis")
        else:
            self.output = _array(name, model, mapping.value, 0, "the logits or means")
        super().__init__(name, space, mapping, _CURVATURES[likelihood](self.output))

    @classmethod
    def empirical(cls, losses: Callable, params: Any, *args: Any) -> FisherOperator:
        """The mean of g_i g_i^T over examples, g_i the gradient of entry i of losses(params, *args), `output`.

        `losses` returns the loss of every example, not their mean; no gradient of a single example is formed.  It is not the
        Fisher matrix unless the targets are distributed as the model says (Kunstner, Balles & Hennig 2019).
        Raises OutputError if losses does not return one real array with at least one axis.

        >>> x, y = np.array([1.0, 2.0]), np.array([0.0, 1.0])
        >>> F = FisherOperator.empirical(lambda w: (w * x - y) ** 2, 1.0)  # gradients 2 (w x - y) x = 2, 4
        >>> F.to_dense()
        array([[10.]])
        """
        name = "FisherOperator.empirical"
        space = real_space(name, "params", params)
        mapping = record_map(name, losses, params, args)
        output = _array(name, losses, mapping.value, 1, "the loss of every example, not their mean")
        operator = cls.__new__(cls)
        CurvatureOperator.__init__(operator, name, space, mapping, lambda u: [u[0] / output.size])
        operator.output = output
        return operator


def _array(name: str, f: Callable, output: Any, axes: int, wanted: str) -> Any:
    """The output, if it is one real array with at least that many axes."""
    if tree.structure(output) is not tree.LEAF or output.dtype.kind != "f" or output.ndim < axes:
        raise errors.OutputError(
            f"{name}: {name_of(f)} must return one real array{errors.user_line()}, {wanted}, "
            f"but it returned {tree.map(errors.describe, output)}."
        )
    return output


def _categorical(logits: Any) -> Product:
    p, count = softmax(logits, axis=-1), logits.size // logits.shape[-1]

    def curvature(u: list) -> list:
        weighted = p * u[0]
        return [(weighted - p * np.sum(weighted, axis=-1, keepdims=True)) / count]

    return curvature


def _bernoulli(logits: Any) -> Product:
    variance = expit(logits) * expit(-logits) / logits.size
    return lambda u: [variance * u[0]]


def _gaussian(mean: Any) -> Product:
    return lambda u: [u[0] * (2 / mean.size)]


_CURVATURES = {"categorical": _categorical, "bernoulli": _bernoulli, "gaussian": _gaussian}
