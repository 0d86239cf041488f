"""Losses: prediction and target to one number, the mean over elements (over examples for cross_entropy).

    mse                   mean (p - t)^2
    mae                   mean |p - t|
    huber                 mean h(p - t), h(e) = e^2 / 2 for |e| <= delta, delta (|e| - delta / 2) beyond
    cross_entropy         mean -sum_k t_k log softmax(z)_k        from logits z
    binary_cross_entropy  mean -t log s(z) - (1 - t) log s(-z)    from logits z, s the logistic function

Shapes must agree: (n, 1) against (n,) would broadcast to (n, n) and train on nonsense, so it raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from dualgrad.errors import ArgumentError
from dualgrad.scipy.special import log_softmax


def mse(prediction: Any, target: Any) -> Any:
    """Mean squared error.

    >>> mse(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(2.0)
    """
    error = _error("mse", prediction, target)
    return np.mean(error * error)


def mae(prediction: Any, target: Any) -> Any:
    """Mean absolute error.  Its derivative where prediction equals target is 0.

    >>> mae(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(1.0)
    """
    return np.mean(np.abs(_error("mae", prediction, target)))


def huber(prediction: Any, target: Any, delta: float = 1.0) -> Any:
    """Mean of e^2 / 2 for |e| <= delta, delta (|e| - delta / 2) beyond, e = prediction - target (Huber 1964).

    With c = clip(e, -delta, delta) both pieces are c (e - c / 2).

    >>> huber(np.array([0.5, 3.0]), np.array([0.0, 0.0]))
    np.float64(1.3125)
    """
    if not delta > 0:
        raise ArgumentError(f"huber: delta must be positive, got {delta}.")
    error = _error("huber", prediction, target)
    clipped = np.clip(error, -delta, delta)
    return np.mean(clipped * (error - clipped / 2))


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Mean over examples of -sum_k t_k log softmax(logits)_k.

    logits of shape (..., classes); labels either integers of shape (...), or probabilities (one-hot,
    smoothed) of the shape of the logits.  Logits may be as large as the dtype holds.

    >>> np.exp(-cross_entropy(np.array([[0.0, np.log(3.0)]]), np.array([1]))).round(12)
    np.float64(0.75)
    >>> cross_entropy(np.array([[0.0, 1000.0]]), np.array([[0.5, 0.5]]))
    np.float64(500.0)
    """
    shape, classes = np.shape(logits), np.shape(logits)[-1]
    if np.shape(labels) == shape:
        per_example = -np.sum(_floating(labels, logits) * log_softmax(logits, axis=-1), axis=-1)
    elif np.shape(labels) == shape[:-1]:
        _check_labels(labels, classes)
        per_example = -np.take_along_axis(log_softmax(logits, axis=-1), np.expand_dims(labels, -1), axis=-1)
    else:
        raise ArgumentError(
            f"cross_entropy: for logits of shape {shape} labels must be integers of shape {shape[:-1]} "
            f"or probabilities of shape {shape}, got shape {np.shape(labels)}."
        )
    return np.mean(per_example)


def binary_cross_entropy(logits: Any, targets: Any) -> Any:
    """Mean of -t log s(z) - (1 - t) log s(-z), s the logistic function, z the logits, t in [0, 1].

    Both logarithms are SciPy's log_expit, so neither tail loses a digit.

    >>> binary_cross_entropy(np.array([0.0, 40.0]), np.array([0.0, 1.0])) == np.log(2) / 2 + np.exp(-40.0) / 2
    np.True_
    """
    _check_shapes("binary_cross_entropy", logits, targets)
    targets = _floating(targets, logits)
    return -np.mean(targets * special.log_expit(logits) + (1 - targets) * special.log_expit(-logits))


def _error(name: str, prediction: Any, target: Any) -> Any:
    _check_shapes(name, prediction, target)
    return prediction - target


def _check_shapes(name: str, prediction: Any, target: Any) -> None:
    if np.shape(prediction) != np.shape(target):
        raise ArgumentError(
            f"{name}: the prediction has shape {np.shape(prediction)} and the target {np.shape(target)}. "
            f"Reshape one of them; broadcasting would compare predictions with targets of other examples."
        )


def _check_labels(labels: Any, classes: int) -> None:
    """Integers in [0, classes): a negative label would silently mean a class counted from the end."""
    dtype = getattr(labels, "dtype", np.dtype(type(labels)))
    if dtype.kind not in "iu":
        raise ArgumentError(f"cross_entropy: labels without a class axis must be integers, got {dtype}.")
    if isinstance(labels, np.ndarray) and labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ArgumentError(
            f"cross_entropy: labels must be in 0..{classes - 1}, got {labels.min()} to {labels.max()}."
        )


def _floating(targets: Any, like: Any) -> Any:
    """Integer or boolean targets in the dtype of the logits, so that float32 stays float32."""
    kind = getattr(targets, "dtype", np.dtype(float)).kind
    return targets.astype(like.dtype) if kind in "iub" else targets
