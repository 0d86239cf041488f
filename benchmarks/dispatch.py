"""What a derivative costs when the numbers are few: the way through the library, not the mathematics.

    gradient of an MLP 10-5-1 (ReLU, MSE, a dictionary of parameters), NumPy in to NumPy out
    gradient, pushforward and recording of a chain of 2 000 small operations, per operation
    the same chain through the null interpreter, which only forwards: what dispatch costs by itself

PyTorch gets its tensors made once and its gradients left in tensors; everyone else starts and ends with NumPy arrays.  All run on
one thread (threads.py), which for small operations is the quickest: on two, the MLP with 64 rows cost PyTorch 66 µs on an idle
machine and 27 ms on a busy one.  That figure has its own row, and no target leans on it.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import null
import numpy as np
from measure import Case, single, timed
from peers import HIPS, JAX, TORCH, Peers, threads

import dualgrad


def dispatch(peers: Peers) -> list[Case]:
    """The cases of this suite."""
    return [_mlp(peers, 1), _mlp(peers, 64), _gradient(peers), _pushforward(peers), _interpreters(peers)]


# ---- a network of few numbers --------------------------------------------------------------------------------------

PARAMETERS = {"W1": (10, 5), "b1": (5,), "W2": (5, 1), "b2": (1,)}


def _mlp(peers: Peers, batch: int) -> Case:
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=shape) for name, shape in PARAMETERS.items()}
    x, target = rng.normal(size=(batch, 10)), rng.normal(size=(batch, 1))

    def loss(params: Any, x: Any, target: Any, xp: Any) -> Any:
        hidden = xp.maximum(x @ params["W1"] + params["b1"], 0.0)
        return xp.mean((hidden @ params["W2"] + params["b2"] - target) ** 2)

    def answer(gradient: Any) -> list[Any]:
        return [np.asarray(gradient[name]) for name in PARAMETERS]

    gradient = dualgrad.grad(loss)
    tools = [timed("dualgrad", lambda: gradient(params, x, target, np), answer)]
    if torch := peers.torch:
        leaves = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
        inputs, targets = torch.tensor(x), torch.tensor(target)

        def by_torch() -> Any:
            for leaf in leaves.values():
                leaf.grad = None
            hidden = torch.relu(inputs @ leaves["W1"] + leaves["b1"])
            ((hidden @ leaves["W2"] + leaves["b2"] - targets) ** 2).mean().backward()
            return leaves

        for name, count in ((TORCH, 1), (f"{TORCH}, 2 threads", 2)):
            gradients = lambda leaves: [leaf.grad.numpy() for leaf in leaves.values()]
            tools.append(timed(name, by_torch, gradients, prepare=threads(torch, count)))
    if autograd := peers.autograd:
        by_hips = autograd.grad(loss)
        tools.append(timed(HIPS, lambda: by_hips(params, x, target, autograd.numpy), answer))
    if jax := peers.jax:
        compiled = jax.jit(jax.grad(lambda params, x, target: loss(params, x, target, jax.numpy)))
        tools.append(
            timed(JAX, lambda: {name: np.asarray(value) for name, value in compiled(params, x, target).items()}, answer)
        )
    tools.append(timed("NumPy, by hand", _mlp_by_hand(params, x, target), answer))
    note = "By hand nothing is looked up, recorded or allocated; jax.jit compiles the gradient once and calls it as one function."
    return Case(f"gradient of an MLP 10-5-1, batch {batch}", "µs", tools, {TORCH: 0.6, HIPS: 0.15}, note=note)


def _mlp_by_hand(params: dict[str, Any], x: Any, target: Any) -> Callable[[], dict[str, Any]]:
    """The same gradient as someone would write it who wants nothing else: no allocation but of the results."""
    w1, b1, w2, b2 = params.values()
    batch = len(x)
    hidden, mask, error, back = np.empty((batch, 5)), np.empty((batch, 5), bool), np.empty((batch, 1)), np.empty((batch, 5))

    def gradient() -> dict[str, Any]:
        np.dot(x, w1, hidden)
        np.add(hidden, b1, hidden)
        np.maximum(hidden, 0.0, out=hidden)
        np.dot(hidden, w2, error)
        np.add(error, b2, error)
        np.subtract(error, target, error)
        np.multiply(error, 2.0 / batch, error)
        np.dot(error, w2.T, back)
        np.greater(hidden, 0.0, mask)
        np.multiply(back, mask, back)
        return {"W1": x.T @ back, "b1": np.add.reduce(back, 0), "W2": hidden.T @ error, "b2": np.add.reduce(error, 0)}

    return gradient


# ---- a chain of small operations -----------------------------------------------------------------------------------

START = np.array([0.3, 0.4])
DIRECTION = np.array([1.0, -2.0])
LENGTH = 2000


def links(xp: Any, x: Any, operations: int = LENGTH) -> Any:
    """s <- sin(s) * x, from s = x: small operations, one after the other."""
    s = x
    for _ in range(operations // 2):
        s = xp.sin(s) * x
    return s


def _gradient(peers: Peers) -> Case:
    """Cost per operation, recorded and pulled back."""
    gradient = dualgrad.grad(lambda x: np.sum(links(np, x)))
    tools = [timed("dualgrad", lambda: gradient(START), single, LENGTH)]
    if torch := peers.torch:
        leaf = torch.tensor(START, requires_grad=True)

        def by_torch() -> Any:
            leaf.grad = None
            links(torch, leaf).sum().backward()
            return leaf

        tools.append(timed(TORCH, by_torch, lambda leaf: [leaf.grad.numpy()], LENGTH, threads(torch)))
    if autograd := peers.autograd:
        by_hips = autograd.grad(lambda x: autograd.numpy.sum(links(autograd.numpy, x)))
        tools.append(timed(HIPS, lambda: by_hips(START), single, LENGTH))
    tools.append(timed("NumPy, no derivative", lambda: links(np, START), None, LENGTH))
    note = "An operation of NumPy on two numbers takes 0.4 µs; recording it and pulling back through it are Python."
    return Case("gradient of 2 000 operations, each", "µs", tools, {TORCH: 0.6}, note=note)


def _pushforward(peers: Peers) -> Case:
    """Cost per operation, pushed forward."""
    tools = [timed("dualgrad", lambda: dualgrad.jvp(lambda x: links(np, x), (START,), (DIRECTION,)), list, LENGTH)]
    if torch := peers.torch:
        mode = torch.autograd.forward_ad
        primal, tangent = torch.tensor(START), torch.tensor(DIRECTION)

        def by_torch() -> Any:
            with mode.dual_level():
                return mode.unpack_dual(links(torch, mode.make_dual(primal, tangent)))

        tools.append(timed(TORCH, by_torch, lambda pair: [value.numpy() for value in pair], LENGTH, threads(torch)))
    if autograd := peers.autograd:
        by_hips = autograd.differential_operators.make_jvp(lambda x: links(autograd.numpy, x))
        tools.append(timed(HIPS, lambda: by_hips(START)(DIRECTION), list, LENGTH))
    tools.append(timed("NumPy, no derivative", lambda: links(np, START), None, LENGTH))
    note = "A tangent costs as many NumPy operations again, and the dual numbers are Python objects."
    return Case("jvp of 2 000 operations, each", "µs", tools, {TORCH: 0.6}, note=note)


def _interpreters(_: Peers) -> Case:
    """The same evaluation under every interpreter: what is left when the mathematics is taken away."""
    f = lambda x: links(np, x)
    first = lambda pair: [pair[0]]
    tools = [
        timed("dualgrad, null interpreter", lambda: null.evaluate(f, START), single, LENGTH),
        timed("dualgrad, recorded", lambda: dualgrad.vjp(f, START), first, LENGTH),
        timed("dualgrad, dual numbers", lambda: dualgrad.jvp(f, (START,), (DIRECTION,)), first, LENGTH),
        timed("NumPy", lambda: f(START), single, LENGTH),
    ]
    note = "The price of plain NumPy code: NumPy hands each call to Python, which finds a handler and makes an object of it."
    return Case("dispatch: evaluation of 2 000 operations, each", "µs", tools, note=note)
