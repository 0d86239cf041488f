"""Optimizers: the trajectories of torch.optim, and the laws of pure updates over trees."""

from __future__ import annotations

import numpy as np
import pytest

from dualgrad import grad, tree
from dualgrad.errors import ArgumentError
from dualgrad.optimize import (
    accumulate,
    adagrad,
    adam,
    adamw,
    apply_updates,
    chain,
    clip_by_global_norm,
    clip_by_value,
    cosine_decay,
    exponential_decay,
    global_norm,
    rmsprop,
    scale_by_learning_rate,
    sgd,
    step_decay,
    warm_up,
    weight_decay,
)

# 50 steps of torch.optim (torch 2.13, float64) from START along `slope`: frozen numbers
TORCH = {
    "sgd": (
        sgd(0.05),
        [2.3129417970466046, -0.6274471745450266, 0.6194281741404136, 1.7869461224945358],
    ),
    "momentum": (
        sgd(0.05, momentum=0.9),
        [2.0106098838491016, -0.7597835050946276, 0.7056880457152525, 1.5916118846131129],
    ),
    "nesterov": (
        sgd(0.05, momentum=0.9, nesterov=True),
        [2.0765094289148416, -0.2744869743724442, 0.23462171618874733, 1.8974619308913903],
    ),
    "sgd, L2": (
        chain(weight_decay(0.1), sgd(0.05, momentum=0.9)),
        [-0.15107766032550388, 0.018974033541074582, 0.23209597456749792, -0.02858433191760979],
    ),
    "adagrad": (
        adagrad(0.1),
        [2.10585096532658, -0.9302404498947002, 0.7510789495696526, 1.8950183893532686],
    ),
    "rmsprop": (
        rmsprop(0.01),
        [2.136093763136472, -0.8987122138424471, 0.7441185142577647, 1.8655117071209883],
    ),
    "rmsprop, momentum": (
        rmsprop(0.01, decay=0.9, momentum=0.9),
        [2.4103122130218195, -0.8305396202798424, 0.8442081564533128, 1.5643980998063414],
    ),
    "adam": (
        adam(0.05),
        [2.39325103449693, -0.6637544463123536, 0.7194124217586273, 1.5967985528604276],
    ),
    "adam, L2": (
        chain(weight_decay(0.1), adam(0.05)),
        [2.2628232405746207, -0.5694210264809233, 0.6550625222414697, 1.5445034765534618],
    ),
    "adamw": (
        adamw(0.05, mean_decay=0.8, square_decay=0.99, decay=0.3),
        [1.1023917528246143, -0.3204036878168694, 0.4683159601965378, 0.7768641586294175],
    ),
    "StepLR": (
        sgd(step_decay(0.05, 0.5, every=7)),
        [2.2970700468991985, -0.6862078395017391, 0.6232134018441686, 1.8112803921777576],
    ),
    "ExponentialLR": (
        adam(exponential_decay(0.05, 0.9)),
        [1.496256224999103, -1.5056472800295255, 0.9662083482234204, 2.5042718930009764],
    ),
    "CosineAnnealingLR": (
        adamw(cosine_decay(0.05, 50, final=0.001)),
        [2.1755200322825456, -0.8299532815129854, 0.8176708259556035, 1.7677103573605986],
    ),
    "LinearLR, then CosineAnnealingLR": (
        sgd(warm_up(10, cosine_decay(0.05, 40))),
        [2.3291136943496147, -0.644059784529733, 0.6276357886292647, 1.7896947740080382],
    ),
    "clip_grad_value_": (
        chain(clip_by_value(0.5), adam(0.05)),
        [2.272833855440412, -0.7970946018347859, 0.8166628899473206, 1.6948851054911327],
    ),
}
START = np.array([1.0, -2.0, 0.5, 3.0])
EVERY = {name: optimizer for name, (optimizer, _) in TORCH.items()}


def slope(w, step):
    """Some gradient that depends on where and when."""
    matrix = np.sin(np.arange(24.0)).reshape(6, 4)
    return matrix.T @ np.tanh(matrix @ w - np.cos(np.arange(6.0))) + 0.1 * np.cos(step * w)


def frozen(value):
    """The same tree with read-only leaves."""

    def freeze(leaf):
        if isinstance(leaf, np.ndarray):
            leaf = leaf.copy()
            leaf.flags.writeable = False
        return leaf

    return tree.map(freeze, value)


@pytest.mark.parametrize("name", TORCH)
def test_fifty_steps_are_those_of_torch(name):
    optimizer, expected = TORCH[name]
    w, state = START, optimizer.init(START)
    for step in range(50):
        updates, state = optimizer.update(slope(w, step), state, w)
        w = apply_updates(w, updates)
    np.testing.assert_allclose(w, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_an_update_is_pure(name):
    optimizer = EVERY[name]
    params = frozen({"w": START, "b": [np.ones((2, 3))]})
    state = frozen(optimizer.init(params))
    gradient = frozen({"w": slope(START, 0), "b": [np.full((2, 3), -2.0)]})
    first = optimizer.update(gradient, state, params)
    second = optimizer.update(gradient, state, params)
    assert tree.structure(first) == tree.structure(second)
    for one, other in zip(tree.leaves(first), tree.leaves(second)):
        np.testing.assert_array_equal(one, other)
    apply_updates(params, frozen(first[0]))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_dtype_of_the_parameters_is_kept(name, dtype):
    optimizer = EVERY[name]
    params = {"w": START.astype(dtype), "b": np.ones((2, 3), dtype)}
    state = optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update({"w": -params["w"], "b": params["b"]}, state, params)
        params = apply_updates(params, updates)
    assert {leaf.dtype for leaf in tree.leaves(params)} == {np.dtype(dtype)}
    assert {leaf.dtype for leaf in tree.leaves(state) if isinstance(leaf, np.ndarray)} <= {np.dtype(dtype)}


def test_a_float64_rate_does_not_raise_float32_parameters():
    params = np.ones(3, np.float32)
    optimizer = sgd(lambda step: np.float64(0.1))
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert updates.dtype == np.float32
    assert apply_updates(params, np.ones(3)).dtype == np.float32


@pytest.mark.parametrize("name", EVERY)
def test_leaves_without_a_gradient_pass_through(name):
    optimizer = EVERY[name]
    params = {"w": START, "count": 3, "name": "relu", "none": None}
    gradient = {"w": slope(START, 0), "count": None, "name": None, "none": None}
    state, alone = optimizer.init(params), optimizer.init(START)
    w = START
    for _ in range(2):
        updates, state = optimizer.update(gradient, state, params)
        params = apply_updates(params, updates)
        updates, alone = optimizer.update(gradient["w"], alone, w)
        w = apply_updates(w, updates)
    assert (params["count"], params["name"], params["none"]) == (3, "relu", None)
    np.testing.assert_array_equal(params["w"], w)


def test_a_frozen_float_leaf_keeps_its_memory():
    optimizer = accumulate(0.5)
    updates, memory = optimizer.update({"w": None}, {"w": np.array([4.0])})
    assert updates == {"w": None}
    np.testing.assert_array_equal(memory["w"], [4.0])


def test_chain_is_associative():
    a, b, c = clip_by_global_norm(1.0), weight_decay(0.1), sgd(0.1, momentum=0.9)
    left, right = chain(chain(a, b), c), chain(a, chain(b, c))
    gradient = slope(START, 0)
    one, _ = left.update(gradient, left.init(START), START)
    other, _ = right.update(gradient, right.init(START), START)
    np.testing.assert_array_equal(one, other)


def test_the_empty_chain_is_the_identity():
    assert chain().update(1.5, chain().init(1.0)) == (1.5, ())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_clipped_gradient_has_the_norm_asked_for_and_its_direction(scale):
    gradient = {"w": scale * np.ones((3, 4)), "b": [scale * np.arange(4.0)], "n": None}
    clipped, _ = clip_by_global_norm(1.0).update(gradient, ())
    norm = float(global_norm(gradient))
    np.testing.assert_allclose(global_norm(clipped), min(norm, 1.0), rtol=1e-14)
    factor = min(1.0, 1.0 / norm)
    np.testing.assert_allclose(clipped["b"][0], factor * gradient["b"][0], rtol=1e-14)
    assert clipped["n"] is None


def test_a_zero_gradient_is_clipped_to_itself():
    clipped, _ = clip_by_global_norm(1.0).update([np.zeros(3)], ())
    np.testing.assert_array_equal(clipped[0], np.zeros(3))


def test_a_gradient_that_is_not_a_number_stays_visible():
    clipped, _ = clip_by_global_norm(1.0).update(np.array([np.nan, 1.0]), ())
    assert np.isnan(clipped).all()


def test_the_global_norm_of_nothing_is_zero():
    assert global_norm({}) == 0.0 == global_norm([None])


def test_complex_parameters_descend_with_adam():
    z, optimizer = np.array([3.0 + 4.0j]), adam(0.1)
    state = optimizer.init(z)
    for _ in range(300):
        updates, state = optimizer.update(2 * z, state, z)  # the gradient of |z|^2
        z = apply_updates(z, updates)
    assert abs(z[0]) < 1e-2


def test_plain_numbers_are_parameters_too():
    optimizer = sgd(0.5, momentum=0.9)
    updates, _ = optimizer.update({"w": 2.0}, optimizer.init({"w": 1.0}), {"w": 1.0})
    assert apply_updates({"w": 1.0}, updates) == {"w": 0.0}


def test_a_derivative_goes_through_the_training_loop():
    def trained(rate):
        """k steps down w^2 / 2 from 3: w = 3 (1 - rate)^k."""
        w, optimizer = np.array(3.0), sgd(rate)
        state = optimizer.init(w)
        for _ in range(5):
            updates, state = optimizer.update(w, state, w)
            w = apply_updates(w, updates)
        return w

    np.testing.assert_allclose(grad(trained)(0.1), -15 * 0.9**4, rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sgd(0.1, momentum=1.0), r"sgd: momentum must be in \[0, 1\), got 1.0"),
        (lambda: sgd(0.1, nesterov=True), "sgd: nesterov=True needs a positive momentum"),
        (lambda: rmsprop(0.1, decay=-0.1), r"scale_by_rms: decay must be in \[0, 1\), got -0.1"),
        (lambda: adam(0.1, square_decay=2.0), r"scale_by_adam: square_decay must be in \[0, 1\), got 2.0"),
        (lambda: clip_by_global_norm(0.0), "clip_by_global_norm: max_norm must be positive, got 0.0"),
        (lambda: clip_by_value(-1.0), "clip_by_value: limit must be positive, got -1.0"),
        (lambda: adamw(0.1).update(1.0, adamw(0.1).init(1.0)), "weight_decay: update needs params"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_schedule_counts_from_zero():
    seen = []
    optimizer = scale_by_learning_rate(lambda step: seen.append(step) or 0.1)
    state = optimizer.init(START)
    for _ in range(3):
        _, state = optimizer.update(START, state)
    assert seen == [0, 1, 2]


def test_an_infinite_norm_clips_nothing():
    gradient = [np.array([3.0, 4.0]), np.array(0.0)]
    clipped, _ = clip_by_global_norm(np.inf).update(gradient, ())
    np.testing.assert_array_equal(clipped[0], gradient[0])
