"""Initializers: the variances and the orthogonality their papers ask for."""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad.errors import ArgumentError
from dualgrad.models import glorot_normal, glorot_uniform, he_normal, he_uniform, ones, orthogonal, zeros


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [(he_normal, 2 / 400), (he_uniform, 2 / 400), (glorot_normal, 2 / 1000), (glorot_uniform, 2 / 1000)],
)
def test_the_variance_is_that_of_the_paper(initializer, variance):
    weight = initializer(np.random.default_rng(0), (400, 600))
    assert abs(weight.mean()) < 4 * np.sqrt(variance / weight.size)
    assert abs(weight.var() / variance - 1) < 0.02


@pytest.mark.parametrize(
    ("initializer", "limit"), [(he_uniform, np.sqrt(6 / 4)), (glorot_uniform, np.sqrt(6 / 10))]
)
def test_uniform_weights_stay_in_their_interval(initializer, limit):
    weight = initializer(np.random.default_rng(0), (4, 6))
    assert abs(weight).max() <= limit


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 1)])
def test_the_short_side_of_an_orthogonal_weight_is_orthonormal(shape):
    weight = orthogonal(np.random.default_rng(0), shape, gain=3.0)
    gram = weight.T @ weight if shape[0] >= shape[1] else weight @ weight.T
    assert weight.shape == shape
    np.testing.assert_allclose(gram, 9 * np.eye(min(shape)), atol=1e-14)


def test_orthogonal_weights_are_uniform_not_only_orthonormal():
    """Without the sign of R's diagonal the trace of Q would have a negative mean."""
    rng = np.random.default_rng(0)
    traces = [np.trace(orthogonal(rng, (2, 2))) for _ in range(4000)]
    assert abs(np.mean(traces)) < 4 / np.sqrt(4000)


def test_a_convolution_kernel_counts_its_field():
    weight = he_normal(np.random.default_rng(0), (3, 3, 50, 60))
    assert abs(weight.var() / (2 / 450) - 1) < 0.05


def test_constants_are_constant():
    rng = np.random.default_rng(0)
    assert zeros(rng, (2, 3)).sum() == 0 and ones(rng, (2, 3)).sum() == 6


def test_the_same_seed_gives_the_same_weight():
    first, second = (he_normal(np.random.default_rng(7), (3, 4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_shapes_that_have_no_fan_are_named():
    with pytest.raises(ArgumentError, match=r"he_normal: shape must be .*inputs, outputs\), got \(3,\)"):
        he_normal(np.random.default_rng(0), (3,))
    with pytest.raises(ArgumentError, match=r"orthogonal: shape must be .*, got \(2, 3, 4\)"):
        orthogonal(np.random.default_rng(0), (2, 3, 4))
