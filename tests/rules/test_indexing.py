"""Reading with arrays of integers: its adjoint adds up, by another way if there is much to add."""
from __future__ import annotations

import numpy as np
import pytest

from dualgrad import vjp


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
@pytest.mark.parametrize(
    "shape, count, axis",
    [
        ((40, 200), (700,), 0),
        ((300,), (5000,), 0),
        ((3, 20), (2000,), 1),
        ((90, 20), (60,), 1),
        ((6, 9, 80), (3, 5), 1),
        ((70, 80), (0,), 0),
    ],
)
def test_the_adjoint_of_a_read_adds_up(dtype, shape, count, axis):
    rng = np.random.default_rng(0)
    indices = rng.integers(-shape[axis], shape[axis], count)
    index = (slice(None),) * axis + (indices,)
    x = rng.normal(size=shape).astype(dtype)
    y, pull = vjp(lambda x: x[index], x)
    g = (rng.normal(size=y.shape) + (1j * rng.normal(size=y.shape) if dtype == "c16" else 0)).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, g)
    (found,) = pull(g)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "f4" else 1e-12, atol=1e-4 if dtype == "f4" else 1e-12)
