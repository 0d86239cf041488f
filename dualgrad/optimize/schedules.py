"""Learning-rate schedules: functions of the step k = 0, 1, 2, ... to a rate, wherever a rate is expected.

    constant           r
    step_decay         r factor^floor(k / every)
    exponential_decay  r factor^k
    cosine_decay       final + (r - final) (1 + cos(pi min(k, steps) / steps)) / 2   Loshchilov, Hutter 2017
    warm_up            r0 (k + 1) / steps, then another schedule with first rate r0   Goyal et al. 2017
"""

from __future__ import annotations

import math
from collections.abc import Callable

from dualgrad.errors import ArgumentError

Schedule = Callable[[int], float]


def constant(rate: float) -> Schedule:
    """The same rate at every step.

    >>> constant(0.1)(7)
    0.1
    """
    return lambda step: rate


def step_decay(rate: float, factor: float, every: int) -> Schedule:
    """rate factor^floor(step / every), PyTorch's StepLR.

    >>> [step_decay(8.0, 0.5, every=2)(step) for step in range(5)]
    [8.0, 8.0, 4.0, 4.0, 2.0]
    """
    _check_steps("step_decay", "every", every)
    return lambda step: rate * factor ** (step // every)


def exponential_decay(rate: float, factor: float) -> Schedule:
    """rate factor^step, PyTorch's ExponentialLR.

    >>> [exponential_decay(8.0, 0.5)(step) for step in range(3)]
    [8.0, 4.0, 2.0]
    """
    return lambda step: rate * factor**step


def cosine_decay(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine from rate to final in the given number of steps, then final; PyTorch's CosineAnnealingLR.

    >>> [round(cosine_decay(8.0, 4)(step), 3) for step in range(6)]
    [8.0, 6.828, 4.0, 1.172, 0.0, 0.0]
    """
    _check_steps("cosine_decay", "steps", steps)

    def schedule(step: int) -> float:
        return final + (rate - final) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2

    return schedule


def warm_up(steps: int, then: Schedule) -> Schedule:
    """A linear rise to the first rate of a schedule, then that: `warm_up(100, cosine_decay(1e-3, 900))`.

    >>> [warm_up(4, step_decay(8.0, 0.5, every=1))(step) for step in range(7)]
    [2.0, 4.0, 6.0, 8.0, 8.0, 4.0, 2.0]
    """
    _check_steps("warm_up", "steps", steps)
    peak = then(0)
    return lambda step: peak * (step + 1) / steps if step < steps else then(step - steps)


def _check_steps(name: str, argument: str, value: int) -> None:
    if value < 1:
        raise ArgumentError(f"{name}: {argument} must be at least 1, got {value}.")
