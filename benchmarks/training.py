"""One step of training, as a loop would call it: loss, gradient by name, every parameter moved against its gradient.

    regression    w x + b on 20 points
    mlp           10-5-1, ReLU, mean squared error, a batch of 8
    rnn           30 steps of a state of 4, the gradient through time
    digits        64-128-64-10, tanh, cross-entropy, a batch of 64 (the network of the demo, on random pixels)

The loss is one function of parameters and namespace, the same for every library.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from measure import Case, timed
from peers import HIPS, JAX, TORCH, Peers, threads

import dualgrad

RATE = 0.1


def training(peers: Peers) -> list[Case]:
    """The cases of this suite."""
    return [_step(peers, name, *problem()) for name, problem in PROBLEMS.items()]


def _regression() -> tuple:
    x = np.linspace(-1.0, 1.0, 20)
    y = 3 * x - 0.5 + 0.1 * np.sin(17 * x)

    def loss(p: Any, xp: Any, x: Any, y: Any) -> Any:
        return xp.mean((p["w"] * x + p["b"] - y) ** 2)

    return {"w": np.array(0.5), "b": np.array(0.0)}, loss, (x, y)


def _mlp() -> tuple:
    rng = np.random.default_rng(0)
    params = {"W1": rng.normal(size=(10, 5)), "b1": np.zeros(5), "W2": rng.normal(size=(5, 1)), "b2": np.zeros(1)}

    def loss(p: Any, xp: Any, x: Any, y: Any) -> Any:
        return xp.mean((xp.relu(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"] - y) ** 2)

    return params, loss, (rng.normal(size=(8, 10)), rng.normal(size=(8, 1)))


def _rnn() -> tuple:
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(2, 4)), "U": np.linalg.qr(rng.normal(size=(4, 4)))[0], "b": np.zeros(4)}

    def loss(p: Any, xp: Any, xs: Any, y: Any) -> Any:
        h = 0.0 * y
        for t in range(len(xs)):
            h = xp.tanh(xs[t] @ p["W"] + h @ p["U"] + p["b"])
        return xp.mean((h - y) ** 2)

    return params, loss, (rng.normal(size=(30, 2, 2)), rng.normal(size=(2, 4)))


def _digits() -> tuple:
    rng = np.random.default_rng(0)
    sizes = (64, 128, 64, 10)
    params = {f"W{k}": rng.normal(size=pair) / np.sqrt(pair[0]) for k, pair in enumerate(itertools.pairwise(sizes))}
    params |= {f"b{k}": np.zeros(size) for k, size in enumerate(sizes[1:])}

    def loss(p: Any, xp: Any, x: Any, labels: Any) -> Any:
        for k in range(2):
            x = xp.tanh(x @ p[f"W{k}"] + p[f"b{k}"])
        z = x @ p["W2"] + p["b2"]
        return xp.mean(xp.log(xp.exp(z).sum(1)) - z[np.arange(64), labels])

    return params, loss, (rng.random((64, 64)), rng.integers(10, size=64))


PROBLEMS: dict[str, Callable[[], tuple]] = {
    "linear regression": _regression,
    "MLP 10-5-1, batch 8": _mlp,
    "RNN, 30 steps": _rnn,
    "digits 64-128-64-10, batch 64": _digits,
}


def names(module: Any, relu: Callable) -> SimpleNamespace:
    """What a loss calls, in the words of one library."""
    return SimpleNamespace(mean=module.mean, tanh=module.tanh, exp=module.exp, log=module.log, relu=relu)


def _step(peers: Peers, name: str, params: dict[str, Any], loss: Callable, data: tuple) -> Case:
    def moved(params: Any, gradient: Any) -> dict[str, Any]:
        return {key: value - RATE * gradient[key] for key, value in params.items()}

    def answer(new: Any) -> list[Any]:
        return [np.asarray(new[key]) for key in params]

    value_and_grad, plain = dualgrad.value_and_grad(loss), names(np, lambda x: np.maximum(x, 0.0))
    tools = [timed("dualgrad", lambda: moved(params, value_and_grad(params, plain, *data)[1]), answer)]
    if torch := peers.torch:
        leaves = {key: torch.tensor(value, requires_grad=True) for key, value in params.items()}
        inputs, space = [torch.tensor(array) for array in data], names(torch, torch.relu)

        def by_torch() -> dict[str, Any]:
            for leaf in leaves.values():
                leaf.grad = None
            loss(leaves, space, *inputs).backward()
            with torch.no_grad():
                return {key: leaf - RATE * leaf.grad for key, leaf in leaves.items()}

        tools.append(timed(TORCH, by_torch, answer, prepare=threads(torch)))
    if autograd := peers.autograd:
        by_hips, theirs = autograd.value_and_grad(loss), names(autograd.numpy, lambda x: autograd.numpy.maximum(x, 0.0))
        tools.append(timed(HIPS, lambda: moved(params, by_hips(params, theirs, *data)[1]), answer))
    if jax := peers.jax:
        traced = names(jax.numpy, lambda x: jax.numpy.maximum(x, 0.0))
        compiled = jax.jit(lambda params, *data: moved(params, jax.grad(loss)(params, traced, *data)))
        tools.append(timed(JAX, lambda: {key: np.asarray(value) for key, value in compiled(params, *data).items()}, answer))
    note = "jax.jit compiles the whole step; here every operation is a call of NumPy, each with its own pass over memory."
    return Case(f"training step: {name}", "µs", tools, note=note)
