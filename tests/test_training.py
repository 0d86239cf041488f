"""The system this library grew from, item by item: training a model by dL/dw, as PyTorch users know it.

References are closed forms, hand-written backpropagation, and frozen numbers of torch 2.13 (float64).
"""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad import check_grads, custom_vjp, grad, hessian, jvp, stop_gradient, tree, value_and_grad
from dualgrad.errors import GradientCheckError
from dualgrad.models import mlp, mse, rnn
from dualgrad.optimize import (
    adam,
    adamw,
    apply_updates,
    chain,
    clip_by_global_norm,
    clip_by_value,
    cosine_decay,
    global_norm,
    rmsprop,
    sgd,
)


def waves(shape, phase):
    return np.sin(phase + np.arange(np.prod(shape))).reshape(shape)


# 1. linear regression 1-1 with MSE


def test_linear_regression_has_the_textbook_gradient():
    """L = mean (w x + b - y)^2:  dL/dw = 2 mean (x e),  dL/db = 2 mean e,  e = w x + b - y."""
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.5, 3.5, 7.0, 8.0])

    def loss(params):
        return mse(params["w"] * x + params["b"], y)

    params = {"w": 0.5, "b": -1.0}
    error = 0.5 * x - 1.0 - y
    value, gradient = value_and_grad(loss)(params)
    np.testing.assert_allclose(value, np.mean(error**2), rtol=1e-15)
    np.testing.assert_allclose(gradient["w"], 2 * np.mean(x * error), rtol=1e-15)
    np.testing.assert_allclose(gradient["b"], 2 * np.mean(error), rtol=1e-15)
    curvature = hessian(loss)(params)
    np.testing.assert_allclose(curvature["w"]["w"], 2 * np.mean(x * x), rtol=1e-15)
    np.testing.assert_allclose(curvature["w"]["b"], 2 * np.mean(x), rtol=1e-15)


def test_linear_regression_learns_the_least_squares_line():
    x = np.linspace(-1, 1, 20)
    y = 3 * x - 0.5 + 0.1 * np.sin(17 * x)
    params, optimizer = {"w": 0.0, "b": 0.0}, sgd(0.5)
    state = optimizer.init(params)
    for _ in range(200):
        gradient = grad(lambda params: mse(params["w"] * x + params["b"], y))(params)
        updates, state = optimizer.update(gradient, state, params)
        params = apply_updates(params, updates)
    np.testing.assert_allclose([params["w"], params["b"]], np.polyfit(x, y, 1), rtol=1e-12)


# 2. an MLP 10-5-1 with ReLU and MSE, all parameter gradients by name

X, Y = np.sin(np.arange(80.0)).reshape(8, 10), np.cos(np.arange(8.0)).reshape(8, 1)
INIT, APPLY = mlp([10, 5, 1])
PARAMS = [
    {"weight": 0.5 * waves((10, 5), 1.0), "bias": 0.1 * waves((5,), 2.0)},
    {"weight": 0.5 * waves((5, 1), 3.0), "bias": 0.1 * waves((1,), 4.0)},
]


def network_loss(params):
    return mse(APPLY(params, X), Y)


def test_an_mlp_has_all_its_gradients_by_name():
    """Backpropagation by hand: e = 2 (y^ - y) / n,  dW2 = h^T e,  db2 = sum e,  d = (e W2^T) [z > 0],  dW1 = x^T d."""
    first, second = PARAMS
    z = X @ first["weight"] + first["bias"]
    h = np.maximum(z, 0)
    e = 2 * (h @ second["weight"] + second["bias"] - Y) / 8
    d = (e @ second["weight"].T) * (z > 0)
    by_hand = {
        "[0]['weight']": X.T @ d,
        "[0]['bias']": d.sum(axis=0),
        "[1]['weight']": h.T @ e,
        "[1]['bias']": e.sum(axis=0),
    }
    gradient = grad(network_loss)(PARAMS)
    by_name = dict(zip(tree.paths(gradient), tree.leaves(gradient)))
    assert by_name.keys() == by_hand.keys()
    for name, expected in by_hand.items():
        np.testing.assert_allclose(by_name[name], expected, rtol=1e-13, atol=1e-15, err_msg=name)


def test_an_mlp_has_the_gradients_of_torch():
    value, gradient = value_and_grad(network_loss)(PARAMS)
    np.testing.assert_allclose(value, 1.1587623416694868, rtol=1e-14)
    np.testing.assert_allclose(
        gradient[0]["bias"],
        [-0.01984228583843379, 0.5023653150513504, 0.521248747079931, 0.1275093331965501, 0.04392014973620287],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        gradient[1]["weight"][:, 0],
        [-0.7339352257158253, -0.9221127598504302, -1.3492800453525913, -1.1318252696447046, 0.18864053573847275],
        rtol=1e-12,
    )
    np.testing.assert_allclose(gradient[1]["bias"], [-1.193897707626103], rtol=1e-12)


def test_a_frozen_layer_has_no_gradient_and_the_others_theirs():
    """requires_grad_(False) is stop_gradient, or an argument that is not differentiated."""
    frozen = grad(lambda params: network_loss([stop_gradient(params[0]), params[1]]))(PARAMS)
    full = grad(network_loss)(PARAMS)
    assert not np.any(frozen[0]["weight"]) and not np.any(frozen[0]["bias"])
    np.testing.assert_array_equal(frozen[1]["weight"], full[1]["weight"])


# 3. a custom differentiable function, x^2, forward and backward given, residuals saved


def custom_square(factor=2.0):
    """x^2 whose backward pass is factor * x * cotangent: right for a factor of 2."""
    calls = []

    @custom_vjp
    def square(x):
        return x * x

    def forward(x):
        calls.append("forward")
        return x * x, x

    def backward(x, cotangent):
        calls.append("backward")
        return (factor * x * cotangent,)

    square.defvjp(forward, backward)
    return square, calls


def test_a_custom_rule_is_used_and_right_in_both_modes_and_twice():
    square, calls = custom_square()
    x = np.array([3.0, -0.5])
    np.testing.assert_array_equal(square(x), x * x)
    assert calls == []
    np.testing.assert_array_equal(grad(lambda x: np.sum(square(x)))(x), 2 * x)
    assert calls == ["forward", "backward"]
    value, tangent = jvp(square, (x,), (np.array([1.0, 10.0]),))
    np.testing.assert_array_equal(value, x * x)
    np.testing.assert_array_equal(tangent, 2 * x * np.array([1.0, 10.0]))
    np.testing.assert_array_equal(hessian(lambda x: np.sum(square(x)))(x), 2 * np.eye(2))


def test_a_custom_rule_is_obeyed_even_where_it_is_wrong_and_the_checker_says_so():
    square, _ = custom_square(factor=3.0)
    assert grad(square)(2.0) == 6.0
    with pytest.raises(GradientCheckError):
        check_grads(square, (np.array(2.0),), order=1)


# 4. the training loop: every optimizer, a schedule, clipping

# the loss after 50 steps of torch.optim with CosineAnnealingLR(50) and clip_grad_value_(0.2) from PARAMS
TORCH = {
    "sgd": (sgd(cosine_decay(0.1, 50)), 0.1810841531968493),
    "momentum": (sgd(cosine_decay(0.05, 50), momentum=0.9), 0.07514617787257732),
    "rmsprop": (rmsprop(cosine_decay(0.01, 50)), 0.06512536932132512),
    "adam": (adam(cosine_decay(0.01, 50)), 0.2537589541883987),
    "adamw": (adamw(cosine_decay(0.01, 50), decay=0.1), 0.25580789384465286),
}


@pytest.mark.parametrize("name", TORCH)
def test_a_training_run_ends_where_it_ends_in_torch(name):
    optimizer, expected = TORCH[name]
    optimizer = chain(clip_by_value(0.2), optimizer)
    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(50):
        updates, state = optimizer.update(grad(network_loss)(params), state, params)
        params = apply_updates(params, updates)
    np.testing.assert_allclose(network_loss(params), expected, rtol=1e-11)


def test_the_gradient_runs_through_the_training_itself():
    """d (loss after training) / d (learning rate), against central differences: nothing in the loop is opaque."""

    def after_training(rate):
        optimizer = chain(clip_by_global_norm(1.0), adam(rate))
        params, state = PARAMS, optimizer.init(PARAMS)
        for _ in range(5):
            updates, state = optimizer.update(grad(network_loss)(params), state, params)
            params = apply_updates(params, updates)
        return network_loss(params)

    h = 1e-4
    near = after_training(0.01 + h) - after_training(0.01 - h)
    far = after_training(0.01 + 2 * h) - after_training(0.01 - 2 * h)
    np.testing.assert_allclose(grad(after_training)(0.01), (8 * near - far) / (12 * h), rtol=1e-8)


# 5. a recurrent network whose gradient explodes, shown and then clipped

RECURRENT = rnn(2, 4)
SILENCE = np.zeros((40, 2))  # forty steps in which the state, and so tanh, stays at 0, where its slope is 1


def exploding(gain):
    """A recurrent network whose state weight is gain times an orthogonal matrix."""
    params = RECURRENT.init(np.random.default_rng(0))
    return {**params, "state_weight": gain * params["state_weight"]}


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_the_gradient_through_time_grows_by_the_gain_at_every_step(gain):
    """d c.h_T / d x_t = W U^(T - t) c, of norm |W Q^(T - t) c| gain^(T - t) with U = gain Q."""
    params, c = exploding(gain), np.array([1.0, -1.0, 2.0, 0.5])
    sensitivity = grad(lambda xs: RECURRENT.apply(params, xs)[-1] @ c)(SILENCE)
    for time in (0, 10, 39):
        power = np.linalg.matrix_power(params["state_weight"], 39 - time)
        np.testing.assert_allclose(sensitivity[time], params["input_weight"] @ power @ c, rtol=1e-11)


WHISPER = np.concatenate([1e-6 * np.eye(2)[np.newaxis], np.zeros((29, 2, 2))])  # time, batch, features
WANTED = np.tile([0.5, -0.5, 0.5, -0.5], (2, 1))


def last_loss(params):
    """How far the state is from the wanted one, thirty steps after a whisper."""
    return mse(RECURRENT.apply(params, WHISPER)[-1], WANTED)


def test_an_exploding_gradient_is_clipped_and_keeps_its_direction():
    gradient = grad(last_loss)(exploding(1.5))
    norm = float(global_norm(gradient))
    assert norm > 1e4
    clipped, _ = clip_by_global_norm(1.0).update(gradient, ())
    np.testing.assert_allclose(global_norm(clipped), 1.0, rtol=1e-14)
    for name, leaf in gradient.items():
        np.testing.assert_allclose(clipped[name], leaf / norm, rtol=1e-14)


def test_training_survives_the_explosion_only_when_clipped():
    """Unclipped, the first step throws every unit into saturation, where there is no gradient to come back by."""

    def trained(optimizer):
        params = exploding(1.5)
        state = optimizer.init(params)
        for _ in range(200):
            updates, state = optimizer.update(grad(last_loss)(params), state, params)
            params = apply_updates(params, updates)
        return last_loss(params)

    descent = sgd(0.05, momentum=0.9)
    assert trained(descent) > last_loss(exploding(1.5))
    assert trained(chain(clip_by_global_norm(1.0), descent)) < 1e-3
