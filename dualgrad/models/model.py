"""What a model is: a pair of plain functions over an explicit parameter pytree.

    init(rng) -> params                 draws parameters from a numpy Generator
    apply(params, x, rng=None) -> y     a rng means training (dropout draws from it), none means evaluation
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Model(NamedTuple):
    """The pair (init, apply); unpack it or use it by name.

    >>> import numpy as np
    >>> scale = Model(lambda rng: {"gain": np.full(2, 3.0)}, lambda params, x, rng=None: params["gain"] * x)
    >>> scale.apply(scale.init(np.random.default_rng(0)), np.array([1.0, 2.0]))
    array([3., 6.])
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]
