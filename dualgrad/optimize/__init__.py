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
"""

from dualgrad.optimize.first_order import (
    AdamState,
    Optimizer,
    accumulate,
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
    sgd,
    weight_decay,
)
from dualgrad.optimize.schedules import (
    Schedule,
    constant,
    cosine_decay,
    exponential_decay,
    step_decay,
    warm_up,
)

__all__ = [
    "AdamState",
    "Optimizer",
    "Schedule",
    "accumulate",
    "adam",
    "adamw",
    "apply_updates",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "constant",
    "cosine_decay",
    "exponential_decay",
    "global_norm",
    "rmsprop",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_rms",
    "sgd",
    "step_decay",
    "warm_up",
    "weight_decay",
]
