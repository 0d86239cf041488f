"""A deep autoencoder of scikit-learn's digits, and how its training is followed: of Martens 2010 and Martens & Grosse 2015.

    f(theta) = -mean(x log y + (1 - x) log(1 - y)),    y = sigmoid(model(theta, x)),    a mean over images x and their pixels

A method is an iterator that goes on for ever: before each step it yields theta and what it has spent so far.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import xlogy

from dualgrad import value_and_grad
from dualgrad.models import binary_cross_entropy, glorot_uniform, mlp, sigmoid
from dualgrad.optimize import Optimizer, apply_updates

Steps = Iterator[tuple[Any, float]]


def autoencoder(sizes: Sequence[int]) -> tuple[Callable, Callable, Callable]:
    """(initialize, model, f), of layers with so many units, from pixels by the code to pixels; tanh between them."""
    initialize, model = mlp(sizes, np.tanh, glorot_uniform)
    return initialize, model, lambda theta, images: binary_cross_entropy(model(theta, images), images)


def digits() -> np.ndarray:
    """The 1797 images of 8 by 8 pixels in [0, 1], one a row, in random order."""
    from sklearn.datasets import load_digits

    return np.random.default_rng(0).permutation(load_digits().data / 16)


def entropy(images: Any) -> float:
    """What f cannot go below.  f above it is the Kullback-Leibler divergence of pixels and reconstruction.

    >>> round(entropy(np.array([0.5])), 4), entropy(np.array([0.0, 1.0])) == 0
    (0.6931, True)
    """
    return float(-np.mean(xlogy(images, images) + xlogy(1 - images, 1 - images)))


def squared_error(logits: Any, images: Any) -> float:
    """Of a reconstruction, a sum over pixels, a mean over images.

    >>> squared_error(np.zeros((1, 2)), np.array([[0.5, 1.0]]))
    0.25
    """
    return float(np.mean(np.sum((sigmoid(logits) - images) ** 2, axis=-1)))


def batches(images: Any, size: int) -> Iterator[Any]:
    """For ever: the images in new orders, in batches of one size; all of them as they are, if that is the size."""
    count, rng = len(images), np.random.default_rng(1)
    while True:
        order = rng.permutation(count) if size < count else np.arange(count)
        for rows in np.split(order, count // size):
            yield images[rows]


def first_order(f: Callable, optimizer: Optimizer, theta: Any, images: Any, batch: int) -> Steps:
    """Before each step, theta and the number of steps."""
    state = optimizer.init(theta)
    for step, x in enumerate(batches(images, batch)):
        yield theta, step
        gradient = value_and_grad(f)(theta, x)[1]
        updates, state = optimizer.update(gradient, state, theta)
        theta = apply_updates(theta, updates)


def follow(steps: Steps, look: Callable[[Any], float], limit: float, every: float) -> tuple[Any, np.ndarray]:
    """The last theta within the limit; and (3, looks): what was spent, seconds of processor time, and what was seen then.

    Looking is not timed.
    """
    rows, seconds, clock = [], 0.0, time.process_time()
    for there, spent in steps:
        seconds += time.process_time() - clock
        if spent > limit:
            break
        theta = there
        if not rows or spent >= rows[-1][0] + every:
            rows.append((spent, seconds, look(theta)))
        clock = time.process_time()
    return theta, np.array(rows).T
