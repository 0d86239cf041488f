"""Recurrence: a cell is one step in time, and unrolling it makes a model.

    step(params, state, x) -> (state, output)       x (..., inputs), output (..., size)
    unroll(cell, params, xs) -> (outputs, state)    xs (time, ..., inputs), outputs (time, ..., size)

    rnn   h' = tanh(x W + h U + b)                                                Elman 1990
    gru   r, z = s(..);  n = tanh(x W + b + r (h U + c));  h' = (1 - z) n + z h   Cho et al. 2014
    lstm  i, f, o = s(..), g = tanh(..);  c' = f c + i g;  h' = o tanh(c')        Hochreiter, Schmidhuber 1997

The gates of one cell share one product: their weights stand side by side in the last axis, in PyTorch's
order.  Weights from the input start Glorot uniform, those from the state orthogonal, gate by gate.  The
gradient runs through the product of the steps' Jacobians, so it explodes or vanishes with the largest of
their singular values (Pascanu, Mikolov, Bengio 2013); `dualgrad.optimize.clip_by_global_norm` is the cure for
the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from dualgrad.errors import ArgumentError
from dualgrad.models.initializers import glorot_uniform, orthogonal
from dualgrad.models.model import Model


class Cell(NamedTuple):
    """A recurrence: init(rng) -> params, step(params, state, x) -> (state, output), start(x) -> state."""

    init: Callable[..., Any]
    step: Callable[..., Any]
    start: Callable[..., Any]


class Memory(NamedTuple):
    """The state of an LSTM: its hidden output h and its cell c, each of shape (..., size)."""

    hidden: Any
    cell: Any


def unroll(cell: Cell, params: Any, xs: Any, state: Any = None) -> tuple[Any, Any]:
    """Run a cell over the first axis of xs, from its start or a given state: all outputs, and the last state.

    xs of shape (time, ..., inputs) to outputs of shape (time, ..., size).  A state handed on between calls is
    backpropagation through time in pieces; `stop_gradient(state)` truncates it.

    >>> cell = rnn_cell(2, 3)
    >>> params = cell.init(np.random.default_rng(0))
    >>> xs = np.random.default_rng(1).normal(size=(5, 2))
    >>> outputs, state = unroll(cell, params, xs)
    >>> first, between = unroll(cell, params, xs[:2])
    >>> second, last = unroll(cell, params, xs[2:], between)
    >>> np.array_equal(outputs, np.concatenate([first, second])) and np.array_equal(state, last)
    True
    """
    steps = np.shape(xs)[0]
    if steps == 0:
        raise ArgumentError(f"unroll: the first axis of xs is time, it is empty in shape {np.shape(xs)}.")
    if state is None:
        state = cell.start(xs[0])
    outputs = []
    for time in range(steps):
        state, output = cell.step(params, state, xs[time])
        outputs.append(output)
    return np.stack(outputs), state


def rnn(inputs: int, size: int) -> Model:
    """h' = tanh(x W + h U + b) from h = 0: xs of shape (time, ..., inputs) to all h, (time, ..., size).

    >>> init, apply = rnn(1, 1)
    >>> params = {"input_weight": np.eye(1), "state_weight": np.eye(1), "bias": np.zeros(1)}
    >>> bool(np.isclose(apply(params, np.ones((2, 1)))[1, 0], np.tanh(1 + np.tanh(1))))
    True
    """
    return _unrolled(rnn_cell(inputs, size))


def gru(inputs: int, size: int) -> Model:
    """A gated recurrent network (`gru_cell`) from zeros: xs (time, ..., inputs) to all h, (time, ..., size).

    >>> init, apply = gru(2, 3)
    >>> apply(init(np.random.default_rng(0)), np.ones((7, 4, 2))).shape
    (7, 4, 3)
    """
    return _unrolled(gru_cell(inputs, size))


def lstm(inputs: int, size: int) -> Model:
    """A long short-term memory (`lstm_cell`) from zeros: xs (time, ..., inputs) to all h, (time, ..., size).

    >>> init, apply = lstm(2, 3)
    >>> apply(init(np.random.default_rng(0)), np.ones((7, 4, 2))).shape
    (7, 4, 3)
    """
    return _unrolled(lstm_cell(inputs, size))


def rnn_cell(inputs: int, size: int) -> Cell:
    """h' = tanh(x W + h U + b); the output is the state.  (Elman 1990)

    Parameters `{"input_weight": (inputs, size), "state_weight": (size, size), "bias": (size,)}`.
    """

    def init(rng: np.random.Generator) -> dict[str, Any]:
        return {**_weights(rng, inputs, size, gates=1), "bias": np.zeros(size)}

    def step(params: dict[str, Any], hidden: Any, x: Any) -> tuple[Any, Any]:
        hidden = np.tanh(x @ params["input_weight"] + hidden @ params["state_weight"] + params["bias"])
        return hidden, hidden

    return Cell(init, step, lambda x: _zeros(x, size))


def gru_cell(inputs: int, size: int) -> Cell:
    """The gated recurrent unit: reset r and update z decide how much old state stays (Cho et al. 2014).

        [r z n_x] = x W + b      [r z n_h] = h U
        r = s(r),  z = s(z),  n = tanh(n_x + r (n_h + c)),  h' = (1 - z) n + z h

    The reset gate acts after the product with U, as in cuDNN and PyTorch, not before as in the paper.
    Parameters `{"input_weight": (inputs, 3 size), "state_weight": (size, 3 size), "bias": (3 size,),
    "candidate_bias": (size,)}`.
    """

    def init(rng: np.random.Generator) -> dict[str, Any]:
        biases = {"bias": np.zeros(3 * size), "candidate_bias": np.zeros(size)}
        return {**_weights(rng, inputs, size, gates=3), **biases}

    def step(params: dict[str, Any], hidden: Any, x: Any) -> tuple[Any, Any]:
        from_input = x @ params["input_weight"] + params["bias"]
        from_state = hidden @ params["state_weight"]
        gates = special.expit(from_input[..., : 2 * size] + from_state[..., : 2 * size])
        reset, update = gates[..., :size], gates[..., size:]
        proposal = from_state[..., 2 * size :] + params["candidate_bias"]
        candidate = np.tanh(from_input[..., 2 * size :] + reset * proposal)
        hidden = candidate + update * (hidden - candidate)
        return hidden, hidden

    return Cell(init, step, lambda x: _zeros(x, size))


def lstm_cell(inputs: int, size: int) -> Cell:
    """Long short-term memory: a cell that is added to, not multiplied (Hochreiter, Schmidhuber 1997).

        [i f g o] = x W + h U + b
        c' = s(f) c + s(i) tanh(g),   h' = s(o) tanh(c')

    With the forget gate f of Gers, Schmidhuber, Cummins 2000, whose bias starts at 1 so that the cell
    remembers at first (Jozefowicz, Zaremba, Sutskever 2015).  The state is `Memory(hidden, cell)`.
    Parameters `{"input_weight": (inputs, 4 size), "state_weight": (size, 4 size), "bias": (4 size,)}`.
    """

    def init(rng: np.random.Generator) -> dict[str, Any]:
        bias = np.repeat([0.0, 1.0, 0.0, 0.0], size)
        return {**_weights(rng, inputs, size, gates=4), "bias": bias}

    def step(params: dict[str, Any], state: Memory, x: Any) -> tuple[Memory, Any]:
        gates = x @ params["input_weight"] + state.hidden @ params["state_weight"] + params["bias"]
        admit, forget = special.expit(gates[..., :size]), special.expit(gates[..., size : 2 * size])
        candidate, expose = np.tanh(gates[..., 2 * size : 3 * size]), special.expit(gates[..., 3 * size :])
        cell = forget * state.cell + admit * candidate
        hidden = expose * np.tanh(cell)
        return Memory(hidden, cell), hidden

    return Cell(init, step, lambda x: Memory(_zeros(x, size), _zeros(x, size)))


def _unrolled(cell: Cell) -> Model:
    return Model(cell.init, lambda params, xs, rng=None: unroll(cell, params, xs)[0])


def _weights(rng: np.random.Generator, inputs: int, size: int, gates: int) -> dict[str, Any]:
    return {
        "input_weight": np.hstack([glorot_uniform(rng, (inputs, size)) for _ in range(gates)]),
        "state_weight": np.hstack([orthogonal(rng, (size, size)) for _ in range(gates)]),
    }


def _zeros(x: Any, size: int) -> Any:
    """The state before the first step, for inputs like x of shape (..., inputs)."""
    return np.zeros((*x.shape[:-1], size), dtype=x.dtype)
