"""The autoencoder that two papers train: its lower bound, its batches, and that looking costs nothing."""
from __future__ import annotations

import doctest
import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "papers"))
import autoencoder

from dualgrad.optimize import sgd


def test_its_doctests():
    assert doctest.testmod(autoencoder).failed == 0


def test_f_is_the_entropy_where_the_reconstruction_is_perfect():
    _, _, f = autoencoder.autoencoder((3, 2, 3))
    logits = np.random.default_rng(0).normal(size=3)
    image = 1 / (1 + np.exp(-logits[np.newaxis]))
    perfect = [{"weight": np.zeros((3, 2)), "bias": np.zeros(2)}, {"weight": np.zeros((2, 3)), "bias": logits}]
    near = [perfect[0], {"weight": np.zeros((2, 3)), "bias": logits + 0.1}]
    np.testing.assert_allclose(f(perfect, image), autoencoder.entropy(image), rtol=1e-14)
    assert f(near, image) > autoencoder.entropy(image)


def test_batches_have_every_image_once_before_any_twice():
    images = np.arange(12)
    twice = list(itertools.islice(autoencoder.batches(images, 4), 6))
    first, second = np.concatenate(twice[:3]), np.concatenate(twice[3:])
    np.testing.assert_array_equal(np.sort(first), images)
    np.testing.assert_array_equal(np.sort(second), images)
    assert (first != second).any()
    np.testing.assert_array_equal(next(autoencoder.batches(images, 12)), images)


def test_a_step_of_gradient_descent_is_minus_rate_times_gradient():
    f = lambda theta, x: theta**2 / 2 + 0 * x.sum()
    way = autoencoder.first_order(f, sgd(0.5), 8.0, np.ones(4), batch=4)
    assert [(float(theta), step) for theta, step in itertools.islice(way, 4)] == [(8.0, 0), (4.0, 1), (2.0, 2), (1.0, 3)]


def test_following_looks_every_so_often_up_to_the_limit_and_looking_is_not_timed(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(autoencoder, "time", SimpleNamespace(process_time=lambda: clock[0]))

    def steps():
        for k in itertools.count():
            clock[0] += 1  # what a step takes
            yield k, k / 2

    def look(theta):
        clock[0] += 100
        return 10 * theta

    theta, (spent, seconds, seen) = autoencoder.follow(steps(), look, limit=4, every=1.5)
    assert theta == 8  # the last that spent no more than the limit
    np.testing.assert_array_equal(spent, [0, 1.5, 3])
    np.testing.assert_array_equal(seen, [0, 30, 60])
    np.testing.assert_array_equal(seconds, [1, 4, 7])
