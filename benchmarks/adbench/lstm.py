"""LSTM: the gradient of a character model's loss, one long chain of small operations.

Layer i has weights main[2i] and biases main[2i+1], each for four gates of width b; its state is h = state[2i], c = state[2i+1].

    x = sequence[t] · extra[0]
    forget, out = σ(x w + b),  in = σ(h w + b),  change = tanh(h w + b),   each with its own w and b, elementwise
    c <- c · forget + in · change,   h <- out · tanh(c),   x <- h for the layer above
    y = h · extra[1] + extra[2],     loss = -mean of sequence[t+1] · (y - log(2 + Σ exp y)) over t < T - 1

The gates stand in the order forget, in, out, change.
"""
from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import Tool, timed
from peers import HIPS, TORCH, Peers
from scipy.special import expit

import dualgrad
from adbench.data import Lstm
from adbench.gmm import timed_jax, timed_torch

TARGETS = {TORCH: 0.5, HIPS: 0.1}
NOTE = "By hand and under jax.jit (a scan) an operation costs its arithmetic; eager tools pay for recording each on few numbers."


def loss(main: Any, extra: Any, state: Any, sequence: Any, xp: Any = np, sigmoid: Callable = expit) -> Any:
    """The objective."""
    layers, (count, width) = len(main) // 2, sequence.shape
    gates = [
        [(main[2 * i, k : k + width], main[2 * i + 1, k : k + width]) for k in range(0, 4 * width, width)] for i in range(layers)
    ]
    hidden, cell = [state[2 * i] for i in range(layers)], [state[2 * i + 1] for i in range(layers)]
    scale, tops = extra[0], []
    for t in range(count - 1):
        x = sequence[t] * scale
        for i, ((w_forget, b_forget), (w_in, b_in), (w_out, b_out), (w_change, b_change)) in enumerate(gates):
            h = hidden[i]
            change = sigmoid(h * w_in + b_in) * xp.tanh(h * w_change + b_change)
            cell[i] = cell[i] * sigmoid(x * w_forget + b_forget) + change
            x = hidden[i] = sigmoid(x * w_out + b_out) * xp.tanh(cell[i])
        tops.append(x)
    y = xp.reshape(xp.concatenate(tops), (count - 1, width)) * extra[1] + extra[2]
    normalizer = xp.log(2 + xp.sum(xp.exp(y), 1))
    return -xp.mean(sequence[1:] * (y - normalizer[:, None]))


def loss_torch(main: Any, extra: Any, state: Any, sequence: Any, torch: Any) -> Any:
    """The objective, as a user of PyTorch writes it."""
    layers, width = len(main) // 2, sequence.shape[1]
    gates = [list(zip(main[2 * i].split(width), main[2 * i + 1].split(width))) for i in range(layers)]
    hidden, cell = list(state[::2]), list(state[1::2])
    scale, tops = extra[0], []
    for character in sequence[:-1]:
        x = character * scale
        for i, ((w_forget, b_forget), (w_in, b_in), (w_out, b_out), (w_change, b_change)) in enumerate(gates):
            h = hidden[i]
            change = torch.sigmoid(h * w_in + b_in) * torch.tanh(h * w_change + b_change)
            cell[i] = cell[i] * torch.sigmoid(x * w_forget + b_forget) + change
            x = hidden[i] = torch.sigmoid(x * w_out + b_out) * torch.tanh(cell[i])
        tops.append(x)
    y = torch.stack(tops) * extra[1] + extra[2]
    normalizer = torch.log(2 + y.exp().sum(1))
    return -(sequence[1:] * (y - normalizer[:, None])).mean()


def loss_jax(main: Any, extra: Any, state: Any, sequence: Any, jax: Any) -> Any:
    """The objective, as a user of JAX writes it: a scan over characters."""
    np, sigmoid = jax.numpy, jax.nn.sigmoid
    width = sequence.shape[1]
    weights, biases = main[::2].reshape(-1, 4, width), main[1::2].reshape(-1, 4, width)

    def step(carry: Any, character: Any) -> Any:
        hidden, cell, x = [], [], character * extra[0]
        for w, b, h, c in zip(weights, biases, *carry):
            c = c * sigmoid(x * w[0] + b[0]) + sigmoid(h * w[1] + b[1]) * np.tanh(h * w[3] + b[3])
            x = sigmoid(x * w[2] + b[2]) * np.tanh(c)
            hidden.append(x)
            cell.append(c)
        return (np.stack(hidden), np.stack(cell)), x

    _, tops = jax.lax.scan(step, (state[::2], state[1::2]), sequence[:-1])
    y = tops * extra[1] + extra[2]
    normalizer = np.log(2 + np.exp(y).sum(1))
    return -(sequence[1:] * (y - normalizer[:, None])).mean()


def gradient_by_hand(main: Any, extra: Any, state: Any, sequence: Any) -> tuple[Any, Any]:
    """∇ loss.  Backwards, with g the cotangent of h and a that of c, and z the arguments of the gates:

        a += g · out (1 - tanh²c);   g_z = (a c' f(1-f), a change in(1-in), g tanh c out(1-out), a in (1 - change²))

    then a · forget goes to the c before, g_z · w of in and change to the h before, of forget and out to the layer below.
    """
    layers, (count, width) = len(main) // 2, sequence.shape
    steps = count - 1
    weights, biases = main[::2].reshape(layers, 4, width), main[1::2].reshape(layers, 4, width)
    inputs = np.empty((steps + 1, layers + 1, width))  # row 0 the x, row i + 1 the h of layer i; of h, time 0 is before the first
    cells, gates = np.empty((steps + 1, layers, width)), np.empty((steps, layers, 4, width))
    inputs[:-1, 0], inputs[0, 1:], cells[0] = sequence[:-1] * extra[0], state[::2], state[1::2]
    squashed = np.empty((steps, layers, width))
    pair = np.empty((2, 2, width))
    for t in range(steps):
        x = inputs[t, 0]
        for i in range(layers):
            pair[:, 0], pair[:, 1] = x, inputs[t, i + 1]
            z = gates[t, i]
            np.multiply(pair.reshape(4, width), weights[i], out=z)
            z += biases[i]
            expit(z[:3], out=z[:3])
            np.tanh(z[3], out=z[3])
            np.multiply(cells[t, i], z[0], out=cells[t + 1, i])
            cells[t + 1, i] += z[1] * z[3]
            np.tanh(cells[t + 1, i], out=squashed[t, i])
            x = np.multiply(z[2], squashed[t, i], out=inputs[t + 1, i + 1])
    tops = inputs[1:, layers]
    y = tops * extra[1] + extra[2]
    exponentials = np.exp(y)
    factor = sequence[1:].sum(1, keepdims=True) / (2 + exponentials.sum(1, keepdims=True))
    of_y = (exponentials * factor - sequence[1:]) / sequence[1:].size

    forget, enter, leave, change = np.moveaxis(gates, 2, 0)
    slopes = np.stack([cells[:-1] * forget * (1 - forget), change * enter * (1 - enter), enter * (1 - change**2)], 2)
    of_leave, of_cell = squashed * leave * (1 - leave), leave * (1 - squashed**2)
    of_gates = np.empty_like(gates)
    g, a = np.zeros((layers, width)), np.zeros((layers, width))
    of_tops, of_x = of_y * extra[1], np.empty((steps, width))
    product = np.empty((4, width))
    for t in range(steps - 1, -1, -1):
        below = of_tops[t]
        for i in range(layers - 1, -1, -1):
            g[i] += below
            a[i] += g[i] * of_cell[t, i]
            into = of_gates[t, i]
            np.multiply(a[i], slopes[t, i, :2], out=into[:2])
            np.multiply(a[i], slopes[t, i, 2], out=into[3])
            np.multiply(g[i], of_leave[t, i], out=into[2])
            a[i] *= gates[t, i, 0]
            np.multiply(into, weights[i], out=product)
            below = product[0] + product[2]
            np.add(product[1], product[3], out=g[i])
        of_x[t] = below

    # what multiplied the weights: x of layer i is row 0 before the step, or the new h of the layer below
    x = np.concatenate([inputs[:-1, :1], inputs[1:, 1:layers]], 1)
    of_main = np.empty_like(main).reshape(layers, 2, 4, width)
    of_main[:, 0, 0::2] = np.einsum("tikb,tib->ikb", of_gates[:, :, 0::2], x)
    of_main[:, 0, 1::2] = np.einsum("tikb,tib->ikb", of_gates[:, :, 1::2], inputs[:-1, 1:])
    of_main[:, 1] = of_gates.sum(0)
    of_extra = np.stack([(of_x * sequence[:-1]).sum(0), (of_y * tops).sum(0), of_y.sum(0)])
    return of_main.reshape(main.shape), of_extra


def tools(peers: Peers, problem: Lstm) -> list[Tool]:
    """The gradient by everyone, dualgrad first; and the objective."""
    independents, constants = (problem.main, problem.extra), (problem.state, problem.sequence)
    gradient = dualgrad.grad(loss, argnums=(0, 1))
    found = [timed("dualgrad", lambda: gradient(*problem), list)]
    if torch := peers.torch:
        leaves, fixed = [torch.tensor(v, requires_grad=True) for v in independents], [torch.tensor(v) for v in constants]
        found += timed_torch(torch, lambda: loss_torch(*leaves, *fixed, torch), leaves)
    if autograd := peers.autograd:
        sigmoid = importlib.import_module("autograd.scipy.special").expit
        by_hips = autograd.grad(functools.partial(loss, xp=autograd.numpy, sigmoid=sigmoid), argnum=(0, 1))
        found.append(timed(HIPS, lambda: by_hips(*problem), list))
    if jax := peers.jax:
        objective = lambda *args: loss_jax(*args, *constants, jax)
        found += timed_jax(jax, jax.grad(objective, argnums=(0, 1)), objective, independents)
    found.append(timed("NumPy, by hand", lambda: gradient_by_hand(*problem), list))
    found.append(timed("NumPy, objective", lambda: loss(*problem)))
    return found
