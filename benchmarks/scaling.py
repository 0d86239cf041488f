"""How cost grows with the length of the program and with the size of its arrays: time per operation, and memory.

    length    the gradient of 10^2 ... 10^6 small operations costs the same per operation
    size      the gradient of sum(tanh(sin x * exp(-x^2))) for 10^2 ... 10^6 elements
    memory    the peak of a gradient on 10^6 elements; what a tape of additions keeps; what it keeps per operation
"""
from __future__ import annotations

import functools
import gc
import tracemalloc
from typing import Any

import numpy as np
from dispatch import START, links
from measure import Case, Tool, single, timed
from memory import Fresh
from peers import HIPS, JAX, TORCH, Peers, threads

import dualgrad


def scaling(peers: Peers, quick: bool = False) -> list[Case]:
    """The cases of this suite; `quick` stops at 10^4 operations."""
    lengths = [10**k for k in range(2, 5 if quick else 7)]
    return [
        *(_length(peers, length) for length in lengths),
        _linearity(lengths[-1]),
        *(_size(peers, 10**k) for k in range(2, 7, 2)),
        *_memory(peers),
        _per_operation(),
    ]


def spelled(count: int) -> str:
    """10000 -> 10 000."""
    return f"{count:,}".replace(",", " ")


def _length(peers: Peers, length: int) -> Case:
    gradient = dualgrad.grad(lambda x: np.sum(links(np, x, length)))
    tools = [timed("dualgrad", lambda: gradient(START), single, length)]
    if (torch := peers.torch) and length <= 10**5:
        leaf = torch.tensor(START, requires_grad=True)

        def by_torch() -> Any:
            leaf.grad = None
            links(torch, leaf, length).sum().backward()
            return leaf

        tools.append(timed(TORCH, by_torch, lambda leaf: [leaf.grad.numpy()], length, threads(torch)))
    if (autograd := peers.autograd) and length <= 10**4:  # 25 µs an operation
        by_hips = autograd.grad(lambda x: autograd.numpy.sum(links(autograd.numpy, x, length)))
        tools.append(timed(HIPS, lambda: by_hips(START), single, length))
    return Case(f"gradient of {spelled(length)} operations, each", "µs", tools, seconds=6, tags={"length": length})


def _linearity(longest: int) -> Case:
    """A hundred times the operations cost a hundred times as much, no more than 20 % off."""
    tools = []
    for length in (longest, longest // 10, longest // 100):
        gradient = dualgrad.grad(lambda x, length: np.sum(links(np, x, length)))
        tools.append(timed(f"dualgrad, {spelled(length)}", functools.partial(gradient, START, length), None, length))
    note = "A long tape does not fit the processor's caches, nor do the values it keeps."
    return Case("cost per operation, long against short", "µs", tools, {tools[-1].name: 1.2}, rounds=7, seconds=12, note=note)


def _size(peers: Peers, size: int) -> Case:
    x = np.linspace(-2.0, 2.0, size)

    def f(x: Any, xp: Any) -> Any:
        return xp.sum(xp.tanh(xp.sin(x) * xp.exp(-(x**2))))

    gradient = dualgrad.grad(f)
    tools = [timed("dualgrad", lambda: gradient(x, np), single)]
    if torch := peers.torch:
        leaf = torch.tensor(x, requires_grad=True)

        def by_torch() -> Any:
            leaf.grad = None
            f(leaf, torch).backward()
            return leaf

        tools.append(timed(TORCH, by_torch, lambda leaf: [leaf.grad.numpy()], prepare=threads(torch)))
    if autograd := peers.autograd:
        by_hips = autograd.grad(f)
        tools.append(timed(HIPS, lambda: by_hips(x, autograd.numpy), single))
    if jax := peers.jax:
        compiled = jax.jit(jax.grad(lambda x: f(x, jax.numpy)))
        tools.append(timed(JAX, lambda: np.asarray(compiled(x)), single))
    tools.append(timed("NumPy, no derivative", lambda: f(x, np)))
    note = "On large arrays every operation is one pass over memory; a compiler that fuses them makes one pass of all."
    name = f"gradient of sum(tanh(sin x · exp(−x²))), {spelled(size)} elements"
    return Case(name, "µs", tools, seconds=5, note=note, tags={"size": size})


def _memory(peers: Peers) -> list[Case]:
    """Megabytes, each figure from fresh processes (memory.py)."""
    tools = [Fresh("gradient", "dualgrad").tool("dualgrad")]
    if peers.torch:
        tools.append(Fresh("gradient", "torch").tool(TORCH))
    tools.append(Fresh("traced").tool("dualgrad, by tracemalloc"))
    few, many = "5 additions", "50 additions"
    kept = [Fresh("tape", count.split()[0]).tool(f"dualgrad, {count}") for count in (many, few)]
    return [
        Case("peak memory, 50 operations on 10⁶ elements", "MB", tools, {TORCH: 1.0}, rounds=3),
        Case("kept by a tape of 50 additions to 10⁶ elements", "MB", kept, {f"dualgrad, {few}": 1.05}, rounds=1),
    ]


def _per_operation() -> Case:
    """What the records of small operations keep alive, their values included."""
    tools = []
    for length in (10**5, 10**3):

        def sample(length: int = length) -> float:
            gc.collect()
            tracemalloc.start()
            with dualgrad.Tape() as tape:
                links(np, tape.watch(START), length)
            try:
                return tracemalloc.get_traced_memory()[0] / length
            finally:
                tracemalloc.stop()

        tools.append(Tool(f"dualgrad, {spelled(length)}", sample))
    return Case("kept by a tape, per small operation", "bytes", tools, {tools[1].name: 1.1}, rounds=1)
