"""Learning-rate schedules: their end points, their joints, and what they refuse."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgrad.errors import ArgumentError
from dualgrad.optimize import constant, cosine_decay, exponential_decay, step_decay, warm_up


@given(st.integers(1, 200), st.floats(0.01, 10), st.floats(0, 0.01))
def test_a_cosine_falls_from_the_rate_to_the_final_rate_and_stays(steps, rate, final):
    schedule = cosine_decay(rate, steps, final)
    rates = [schedule(step) for step in range(steps + 3)]
    assert math.isclose(rates[0], rate)
    assert all(math.isclose(last, final, abs_tol=1e-15) for last in rates[steps:])
    assert all(after <= before for before, after in pairwise(rates))


@given(st.integers(1, 50), st.floats(0.01, 10))
def test_a_warm_up_rises_in_equal_steps_and_joins_its_schedule(steps, rate):
    then = exponential_decay(rate, 0.9)
    schedule = warm_up(steps, then)
    assert all(math.isclose(schedule(k), rate * (k + 1) / steps) for k in range(steps))
    assert [schedule(steps + k) for k in range(5)] == [then(k) for k in range(5)]


def test_a_step_decay_is_constant_between_its_drops():
    assert [step_decay(1.0, 0.1, every=3)(step) for step in (0, 2, 3, 5, 6)] == [1.0, 1.0, 0.1, 0.1, 0.1**2]


def test_a_constant_is_constant():
    assert {constant(0.3)(step) for step in range(10)} == {0.3}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: step_decay(1.0, 0.5, every=0), "step_decay: every must be at least 1, got 0"),
        (lambda: cosine_decay(1.0, 0), "cosine_decay: steps must be at least 1, got 0"),
        (lambda: warm_up(0, constant(1.0)), "warm_up: steps must be at least 1, got 0"),
    ],
)
def test_wrong_lengths_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
