"""Speed and memory of the core against its peers: `python benchmarks/core.py [--quick] [--json PATH] [--plot PATH] [suite ...]`.

    mlp        gradient of an MLP 10-5-1 (ReLU, MSE, a dictionary of parameters), NumPy in to NumPy out
    chain      gradient of a chain of 2 000 small operations, per operation
    linearity  the same chain a hundred times as long
    matrices   Jacobian of a tanh layer 300 -> 300; Hessian of a quartic in 300 variables
    forward    jvp of the chain, per operation
    memory     peak memory of a gradient on 10^6 elements; what a tape of additions keeps alive
    startup    what `import dualgrad` adds to `import numpy, scipy`

PyTorch gets its tensors made once and its gradients left in tensors; everyone else starts and ends with NumPy arrays.  All
run on one thread (threads.py), which for small operations is the quickest: on two, the MLP with 64 rows cost PyTorch 66 µs on
an idle machine and 27 ms on a busy one.  That figure has its own row, and no target leans on it.
"""
from __future__ import annotations

import threads  # noqa: F401  first: a BLAS reads its number of threads when it is loaded

# isort: split
import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from command import Suite, main
from measure import Case, Stopwatch, Tool
from memory import Fresh
from peers import Peers

import dualgrad

TORCH, HIPS, JAX = "PyTorch", "HIPS autograd", "JAX, jit"


def timed(
    name: str,
    run: Callable[[], Any],
    answer: Callable[[Any], Sequence[Any]] | None = None,
    operations: int = 1,
    prepare: Callable[[], Any] = lambda: None,
) -> Tool:
    """A tool whose samples are microseconds; `answer` makes arrays of what `run` returns, if they are to be compared."""
    return Tool(name, Stopwatch(run, operations, prepare), None if answer is None else lambda: answer(run()))


def single(result: Any) -> list[Any]:
    """The answer that is one array."""
    return [result]


# ---- mlp -----------------------------------------------------------------------------------------------------------

PARAMETERS = {"W1": (10, 5), "b1": (5,), "W2": (5, 1), "b2": (1,)}


def mlp(peers: Peers) -> list[Case]:
    """Latency: a gradient of a few operations on a few numbers is all overhead."""
    return [_mlp(peers, batch) for batch in (1, 64)]


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

        for name, threads in ((TORCH, 1), (f"{TORCH}, 2 threads", 2)):
            prepare = functools.partial(torch.set_num_threads, threads)
            tools.append(timed(name, by_torch, lambda leaves: [leaf.grad.numpy() for leaf in leaves.values()], prepare=prepare))
    if autograd := peers.autograd:
        by_hips = autograd.grad(loss)
        tools.append(timed(HIPS, lambda: by_hips(params, x, target, autograd.numpy), answer))
    if jax := peers.jax:
        compiled = jax.jit(jax.grad(lambda params, x, target: loss(params, x, target, jax.numpy)))
        tools.append(
            timed(JAX, lambda: {name: np.asarray(value) for name, value in compiled(params, x, target).items()}, answer)
        )
    tools.append(timed("NumPy, by hand", _mlp_by_hand(params, x, target), answer))
    return Case(f"gradient of an MLP 10-5-1, batch {batch}", "µs", tools, {TORCH: 0.6, HIPS: 0.15})


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


# ---- chain, linearity, forward -------------------------------------------------------------------------------------

START = np.array([0.3, 0.4])
DIRECTION = np.array([1.0, -2.0])


def links(xp: Any, x: Any, operations: int = 2000) -> Any:
    """s <- sin(s) * x, from s = x: small operations, one after the other."""
    s = x
    for _ in range(operations // 2):
        s = xp.sin(s) * x
    return s


def chain(peers: Peers) -> list[Case]:
    """Cost per operation, recorded and pulled back."""
    gradient = dualgrad.grad(lambda x: np.sum(links(np, x)))
    tools = [timed("dualgrad", lambda: gradient(START), single, 2000)]
    if torch := peers.torch:
        leaf = torch.tensor(START, requires_grad=True)

        def by_torch() -> Any:
            leaf.grad = None
            links(torch, leaf).sum().backward()
            return leaf

        prepare = functools.partial(torch.set_num_threads, 1)
        tools.append(timed(TORCH, by_torch, lambda leaf: [leaf.grad.numpy()], 2000, prepare))
    if autograd := peers.autograd:
        by_hips = autograd.grad(lambda x: autograd.numpy.sum(links(autograd.numpy, x)))
        tools.append(timed(HIPS, lambda: by_hips(START), single, 2000))
    tools.append(timed("NumPy, no derivative", lambda: links(np, START), None, 2000))
    return [Case("gradient of 2 000 operations, each", "µs", tools, {TORCH: 0.6})]


def linearity(_: Peers) -> list[Case]:
    """A hundred times the operations cost a hundred times as much, no more than 20 % off."""
    tools = []
    for operations in (200_000, 2_000):
        gradient = dualgrad.grad(lambda x, operations: np.sum(links(np, x, operations)))
        name = f"dualgrad, {operations // 1000} 000 operations"
        tools.append(timed(name, functools.partial(gradient, START, operations), None, operations))
    return [Case("gradient of 200 000 operations, each", "µs", tools, {tools[1].name: 1.2}, rounds=7)]


def forward(peers: Peers) -> list[Case]:
    """Cost per operation, pushed forward."""
    tools = [timed("dualgrad", lambda: dualgrad.jvp(lambda x: links(np, x), (START,), (DIRECTION,)), list, 2000)]
    if torch := peers.torch:
        mode = torch.autograd.forward_ad
        primal, tangent = torch.tensor(START), torch.tensor(DIRECTION)

        def by_torch() -> Any:
            with mode.dual_level():
                return mode.unpack_dual(links(torch, mode.make_dual(primal, tangent)))

        prepare = functools.partial(torch.set_num_threads, 1)
        tools.append(timed(TORCH, by_torch, lambda pair: [value.numpy() for value in pair], 2000, prepare))
    if autograd := peers.autograd:
        by_hips = autograd.differential_operators.make_jvp(lambda x: links(autograd.numpy, x))
        tools.append(timed(HIPS, lambda: by_hips(START)(DIRECTION), list, 2000))
    tools.append(timed("NumPy, no derivative", lambda: links(np, START), None, 2000))
    return [Case("jvp of 2 000 operations, each", "µs", tools, {TORCH: 0.6})]


# ---- matrices ------------------------------------------------------------------------------------------------------


def matrices(peers: Peers) -> list[Case]:
    """Derivatives that are matrices: one sweep with a basis, against a loop over rows."""
    rng = np.random.default_rng(0)
    n = 300
    weight, bias, x = rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n), rng.normal(size=n)

    def layer(x: Any, weight: Any, bias: Any, xp: Any) -> Any:
        return xp.tanh(weight @ x + bias)

    def quartic(x: Any, weight: Any, bias: Any, xp: Any) -> Any:
        return (x**4).sum() + (x @ weight @ x) ** 2 + x @ bias

    def tools(f: Callable, ours: Callable, hips: str, name: str) -> list[Tool]:
        """The same derivative by everyone; `name` is what PyTorch and JAX call it."""
        derivative = ours(f)
        found = [timed("dualgrad", lambda: derivative(x, weight, bias, np), single)]
        if autograd := peers.autograd:
            by_hips = getattr(autograd, hips)(f)
            found.append(timed(HIPS, lambda: by_hips(x, weight, bias, autograd.numpy), single))
        if torch := peers.torch:
            by_torch, tensors = getattr(torch.func, name)(f), [torch.tensor(value) for value in (x, weight, bias)]
            prepare = functools.partial(torch.set_num_threads, 1)
            answer = lambda matrix: [matrix.detach().numpy()]
            found.append(timed(TORCH, lambda: by_torch(*tensors, torch), answer, prepare=prepare))
        if jax := peers.jax:
            compiled = jax.jit(getattr(jax, name)(lambda x, weight, bias: f(x, weight, bias, jax.numpy)))
            found.append(timed(JAX, lambda: np.asarray(compiled(x, weight, bias)), single))
        return found

    jacobian = tools(layer, dualgrad.jacobian, "jacobian", "jacrev")
    hessian = tools(quartic, dualgrad.hessian, "hessian", "hessian")
    return [
        Case("Jacobian of a tanh layer 300 → 300", "µs", jacobian, {HIPS: 0.2}),
        Case("Hessian of a quartic in 300 variables", "µs", hessian, {HIPS: 0.2}),
    ]


# ---- memory, startup -----------------------------------------------------------------------------------------------


def memory(peers: Peers) -> list[Case]:
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


def startup(_: Peers) -> list[Case]:
    """Milliseconds of a new interpreter that imports and exits.

    Compiled modules are kept in a folder of this run, whatever the environment says about keeping them: where they are not
    kept, compiling the sources of dualgrad costs four times as much as importing it.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

    def importing(modules: str) -> Tool:
        command = [sys.executable, "-c", f"import {modules}"]

        def sample() -> float:
            start = time.perf_counter()
            subprocess.run(command, check=True, env=environment | {"PYTHONPYCACHEPREFIX": _compiled()})
            return (time.perf_counter() - start) * 1e3

        return Tool(f"import {modules}", sample)

    tools = [importing(modules) for modules in ("numpy, scipy, dualgrad", "numpy, scipy", "numpy, scipy.special")]
    return [Case("import dualgrad", "ms", tools, {"import numpy, scipy": 60.0}, difference=True)]


@functools.cache
def _compiled() -> str:
    """A folder for compiled modules that vanishes with this run."""
    folder = tempfile.mkdtemp(prefix="benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


SUITES: dict[str, Suite] = {suite.__name__: suite for suite in (mlp, chain, linearity, matrices, forward, memory, startup)}

if __name__ == "__main__":
    sys.exit(main("Speed and memory of dualgrad's core against its peers.", SUITES, "dualgrad-core"))
