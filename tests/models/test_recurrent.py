"""Recurrent networks: PyTorch's numbers, finite differences, and backpropagation through time in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import central_gradient

from dualgrad import grad, stop_gradient, tree, value_and_grad
from dualgrad.errors import ArgumentError
from dualgrad.models import gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell, unroll


def waves(shape, phase):
    return np.sin(phase + np.arange(np.prod(shape))).reshape(shape)


def weights(gates):
    params = {
        "input_weight": waves((2, 3 * gates), 1.0),
        "state_weight": waves((3, 3 * gates), 2.0),
        "bias": waves((3 * gates,), 3.0),
    }
    return {**params, "candidate_bias": waves((3,), 4.0)} if gates == 3 else params


XS = waves((4, 3, 2), 5.0)  # time, batch, features
MODELS = {"rnn": (rnn(2, 3), 1), "gru": (gru(2, 3), 3), "lstm": (lstm(2, 3), 4)}
CELLS = {"rnn": rnn_cell(2, 3), "gru": gru_cell(2, 3), "lstm": lstm_cell(2, 3)}

# torch 2.13, float64, torch.nn.RNN / GRU / LSTM with the same weights: the last output of the first sequence,
# the sum of squares of all outputs, and of its gradient the norms over the two weights and the bias
TORCH = {
    "rnn": (
        [-0.09334569587115023, -0.6312099956131081, -0.610507632326056],
        15.7473248196231,
        (5.505732385000614, 8.825343503280797),
        [0.20693612494891722, -7.3126573356835625, -7.287072906533918],
    ),
    "gru": (
        [-0.29197153709174073, -0.5366324014555626, -0.5519297647158081],
        4.169179249892039,
        (3.910629636185025, 1.0087912859929364),
        [-0.12634363620288008, 0.6260181438021365, 0.124594690357366, -0.4246408033410305,
         -1.6217829089079063, -1.543058159178436, 2.0162616021872104,
         -2.7874832794469793, -1.6558533890180838],
    ),
    "lstm": (
        [-0.18097598385175234, -0.2499559250457533, -0.4838023270255885],
        1.2942031432865215,
        (0.8703978909287386, 0.24177191235077286),
        [0.20646067260375622, 0.37865338146057825, 1.0834980869028457, 0.0822846022846852,
         0.07998956116866451, 0.21335717811571253, -0.03992022841786595,
         0.035144480243319086, -0.5030881277921997,
         0.34283800961019734, 0.17722273092673227, 0.26502663192459724],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_gradients_are_those_of_torch(name):
    model, gates = MODELS[name]
    last, value, norms, bias = TORCH[name]
    params = weights(gates)
    np.testing.assert_allclose(model.apply(params, XS)[-1, 0], last, rtol=1e-13)
    got, gradient = value_and_grad(lambda params: np.sum(model.apply(params, XS) ** 2))(params)
    np.testing.assert_allclose(got, value, rtol=1e-13)
    for weight, norm in zip(("input_weight", "state_weight"), norms):
        np.testing.assert_allclose(np.linalg.norm(gradient[weight]), norm, rtol=1e-12)
    np.testing.assert_allclose(gradient["bias"], bias, rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_finite_differences(name):
    model, _ = MODELS[name]
    params = {**model.init(np.random.default_rng(0)), "xs": XS[:, 0]}  # inputs too, and no batch axis

    def loss(params):
        return np.sum(model.apply(params, params["xs"]) ** 3)

    exact, reference = grad(loss)(params), central_gradient(loss, params)
    for path, one in zip(tree.paths(exact), tree.leaves(exact)):
        key = path[2:-2]
        np.testing.assert_allclose(one, reference[key], rtol=1e-7, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("name", CELLS)
def test_unrolling_in_pieces_is_unrolling_at_once(name):
    cell, gates = CELLS[name], MODELS[name][1]

    def whole(params):
        return np.sum(unroll(cell, params, XS)[0] ** 2)

    def pieces(params, between=lambda state: state):
        first, state = unroll(cell, params, XS[:2])
        second, _ = unroll(cell, params, XS[2:], between(state))
        return np.sum(first**2) + np.sum(second**2)

    params = weights(gates)
    exact, same = grad(whole)(params), grad(pieces)(params)
    truncated = grad(lambda params: pieces(params, stop_gradient))(params)
    for key in params:
        np.testing.assert_allclose(same[key], exact[key], rtol=1e-12, atol=1e-14)
        assert not np.allclose(truncated[key], exact[key], rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_float32_stays_float32(name):
    model, gates = MODELS[name]
    params = tree.map(lambda leaf: leaf.astype(np.float32), weights(gates))
    gradient = grad(lambda params: np.sum(model.apply(params, XS.astype(np.float32))))(params)
    assert {leaf.dtype for leaf in tree.leaves(gradient)} == {np.dtype(np.float32)}


def test_an_lstm_remembers_at_first():
    params = lstm(2, 3).init(np.random.default_rng(0))
    np.testing.assert_array_equal(params["bias"], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_the_state_weights_start_orthogonal_gate_by_gate():
    weight = gru(2, 3).init(np.random.default_rng(0))["state_weight"]
    for gate in np.split(weight, 3, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(3), atol=1e-14)


def test_no_time_at_all_is_an_error():
    with pytest.raises(ArgumentError, match=r"unroll: the first axis of xs is time.* \(0, 2\)"):
        rnn(2, 3).apply(weights(1), np.zeros((0, 2)))
