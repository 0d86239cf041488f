"""Losses: closed forms, stability at extreme logits, exactness at kinks, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad import grad, hessian, jvp, value_and_grad, vmap
from dualgrad.errors import ArgumentError
from dualgrad.models import binary_cross_entropy, cross_entropy, huber, mae, mse

PREDICTION = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 2.0]])
TARGET = np.array([[0.5, 1.0], [0.5, 2.0], [-2.0, 1.5]])
ERROR = PREDICTION - TARGET  # 0.5, -3, 0, 1, 4, 0.5
LOGITS = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])
LABELS = np.array([2, 0])
ONE_HOT = np.eye(3)[LABELS]


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("loss", "value", "slope"),
    [
        (mse, np.mean(ERROR**2), 2 * ERROR / 6),
        (mae, np.mean(abs(ERROR)), np.sign(ERROR) / 6),
        (huber, (0.125 + 2.5 + 0 + 0.5 + 3.5 + 0.125) / 6, np.clip(ERROR, -1, 1) / 6),
        (
            lambda p, t: huber(p, t, delta=2.0),
            (0.125 + 4.0 + 0 + 0.5 + 6.0 + 0.125) / 6,
            np.clip(ERROR, -2, 2) / 6,
        ),
    ],
)
def test_a_regression_loss_has_its_closed_form_in_both_modes(loss, value, slope):
    got, gradient = value_and_grad(loss)(PREDICTION, TARGET)
    np.testing.assert_allclose(got, value, rtol=1e-15)
    np.testing.assert_allclose(gradient, slope, rtol=1e-15, atol=1e-16)
    np.testing.assert_allclose(grad(loss, argnums=1)(PREDICTION, TARGET), -slope, rtol=1e-15, atol=1e-16)
    _, tangent = jvp(lambda p: loss(p, TARGET), (PREDICTION,), (TARGET,))
    np.testing.assert_allclose(tangent, np.sum(slope * TARGET), rtol=1e-14)


def test_huber_is_a_parabola_at_zero_error():
    np.testing.assert_array_equal(hessian(huber)(np.zeros(2), np.zeros(2)), np.eye(2) / 2)


def test_cross_entropy_pulls_the_softmax_to_the_label():
    for labels in (LABELS, ONE_HOT, ONE_HOT.astype(int)):
        value, gradient = value_and_grad(cross_entropy)(LOGITS, labels)
        np.testing.assert_allclose(value, -np.mean(np.log(softmax(LOGITS)[[0, 1], LABELS])), rtol=1e-14)
        np.testing.assert_allclose(gradient, (softmax(LOGITS) - ONE_HOT) / 2, rtol=1e-14)


def test_the_curvature_of_cross_entropy_is_the_softmax_covariance():
    p = softmax(LOGITS[0])
    np.testing.assert_allclose(
        hessian(cross_entropy)(LOGITS[0], np.array(1)), np.diag(p) - np.outer(p, p), atol=1e-15
    )


def test_cross_entropy_accepts_smoothed_labels_and_differentiates_them():
    smooth = 0.9 * ONE_HOT + 0.1 / 3
    gradient = grad(cross_entropy, argnums=1)(LOGITS, smooth)
    np.testing.assert_allclose(gradient, -np.log(softmax(LOGITS)) / 2, rtol=1e-13)


def test_cross_entropy_is_stable_at_extreme_logits():
    logits = np.array([[1e4, 0.0, -1e4], [1e300, -1e300, 0.0]])
    value, gradient = value_and_grad(cross_entropy)(logits, np.array([1, 0]))
    assert value == 5e3
    np.testing.assert_array_equal(gradient, [[0.5, -0.5, 0.0], [0.0, 0.0, 0.0]])


def test_per_example_gradients_are_mapped_ones():
    mapped = vmap(grad(cross_entropy))(LOGITS, LABELS)
    np.testing.assert_allclose(mapped, softmax(LOGITS) - ONE_HOT, rtol=1e-14)


def test_sequences_of_logits_average_over_all_examples():
    logits, labels = np.sin(np.arange(24.0)).reshape(2, 4, 3), np.arange(8).reshape(2, 4) % 3
    flat = cross_entropy(logits.reshape(8, 3), labels.reshape(8))
    np.testing.assert_allclose(cross_entropy(logits, labels), flat, rtol=1e-15)


@pytest.mark.parametrize("logit", [-800.0, -40.0, -1.0, 0.0, 2.0, 40.0, 800.0])
def test_binary_cross_entropy_keeps_every_digit_in_both_tails(logit):
    for target in (0.0, 1.0):
        wrong = logit if target == 0 else -logit  # the loss is log(1 + e^wrong)
        expected = wrong + np.log1p(np.exp(-wrong)) if wrong > 0 else np.log1p(np.exp(wrong))
        value, slope = value_and_grad(binary_cross_entropy)(np.array([logit]), np.array([target]))
        np.testing.assert_allclose(value, expected, rtol=1e-14)
        chance = 1 / (1 + np.exp(-wrong)) if wrong > -700 else 0.0
        np.testing.assert_allclose(slope[0], chance if target == 0 else -chance, rtol=1e-13)


def test_the_curvature_of_binary_cross_entropy_at_zero_is_a_quarter():
    second = hessian(binary_cross_entropy)(np.zeros(1), np.ones(1))
    np.testing.assert_allclose(second, [[0.25]], rtol=1e-15)


@pytest.mark.parametrize("loss", [mse, mae, huber, binary_cross_entropy, cross_entropy])
def test_float32_stays_float32(loss):
    value, gradient = value_and_grad(loss)(LOGITS.astype(np.float32), ONE_HOT.astype(np.float32))
    assert value.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT.astype(int), ONE_HOT.astype(bool)])
def test_integer_labels_do_not_raise_float32_logits(labels):
    assert cross_entropy(LOGITS.astype(np.float32), labels).dtype == np.float32


def test_boolean_targets_are_probabilities():
    targets = ONE_HOT.astype(bool)
    assert binary_cross_entropy(LOGITS, targets) == binary_cross_entropy(LOGITS, ONE_HOT)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mse(np.ones((3, 1)), np.ones(3)), r"mse: .* has shape \(3, 1\) and the target \(3,\)"),
        (lambda: huber(1.0, 2.0, delta=0.0), "huber: delta must be positive, got 0.0"),
        (
            lambda: binary_cross_entropy(np.ones((3, 1)), np.ones(3)),
            "binary_cross_entropy: the prediction has",
        ),
        (lambda: cross_entropy(LOGITS, np.array([0, -1])), r"labels must be in 0\.\.2, got -1 to 0"),
        (lambda: cross_entropy(LOGITS, np.array([0, 3])), r"labels must be in 0\.\.2, got 0 to 3"),
        (lambda: cross_entropy(LOGITS, np.array([0.0, 1.0])), "labels without a class axis must be integers"),
        (lambda: cross_entropy(LOGITS, np.zeros(3, int)), r"integers of shape \(2,\) or prob.* \(2, 3\)"),
    ],
)
def test_what_cannot_be_meant_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
