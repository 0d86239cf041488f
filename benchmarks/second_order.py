"""Second derivatives: products with the Hessian and the Gauss-Newton matrix, the matrices themselves, diagonal and trace.

    hvp, and a Gauss-Newton product, against one gradient of the same function
    Jacobians and Hessians as matrices, against torch.func, HIPS autograd and jax.jit
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from measure import Case, Tool, single, timed
from peers import HIPS, JAX, TORCH, Peers, threads

import dualgrad
from dualgrad.operators import GaussNewtonOperator


def second_order(peers: Peers, quick: bool = False) -> list[Case]:
    """The cases of this suite."""
    return [*_matrices(peers), *_hessians(peers), *_products(peers), *_diagonals(peers)]


def derivative_tools(peers: Peers, f: Callable, x: Any, ours: Callable, hips: str, theirs: str, *constants: Any) -> list[Tool]:
    """The same derivative of f(x, xp, *constants) by everyone; `theirs` is what PyTorch and JAX call it."""
    derivative = ours(f)
    found = [timed("dualgrad", lambda: derivative(x, np, *constants), single)]
    if torch := peers.torch:
        by_torch, tensors = getattr(torch.func, theirs)(f), [torch.tensor(value) for value in (x, *constants)]
        answer = lambda matrix: [matrix.detach().numpy()]
        found.append(timed(TORCH, lambda: by_torch(tensors[0], torch, *tensors[1:]), answer, prepare=threads(torch)))
    if (autograd := peers.autograd) and hips:
        by_hips = getattr(autograd, hips)(f)
        found.append(timed(HIPS, lambda: by_hips(x, autograd.numpy, *constants), single))
    if jax := peers.jax:
        compiled = jax.jit(getattr(jax, theirs)(lambda x, *constants: f(x, jax.numpy, *constants)))
        found.append(timed(JAX, lambda: np.asarray(compiled(x, *constants)), single))
    return found


# ---- matrices ------------------------------------------------------------------------------------------------------


def _matrices(peers: Peers) -> list[Case]:
    """Derivatives that are matrices: one sweep with a basis, against a loop over rows."""
    rng = np.random.default_rng(0)
    n = 300
    weight, bias, x = rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=n), rng.normal(size=n)

    def layer(x: Any, xp: Any, weight: Any, bias: Any) -> Any:
        return xp.tanh(weight @ x + bias)

    def quartic(x: Any, xp: Any, weight: Any, bias: Any) -> Any:
        return (x**4).sum() + (x @ weight @ x) ** 2 + x @ bias

    jacobian = derivative_tools(peers, layer, x, dualgrad.jacobian, "jacobian", "jacrev", weight, bias)
    hessian = derivative_tools(peers, quartic, x, dualgrad.hessian, "hessian", "hessian", weight, bias)
    note = "The same products of matrices, and around them passes over 300 × 300 numbers that a compiler fuses."
    return [
        Case("Jacobian of a tanh layer 300 → 300", "µs", jacobian, {HIPS: 0.2}, seconds=6, note=note),
        Case("Hessian of a quartic in 300 variables", "µs", hessian, {HIPS: 0.2}, seconds=6, note=note),
    ]


# ---- Hessians ------------------------------------------------------------------------------------------------------

def rosenbrock(x: Any, xp: Any) -> Any:
    """sum 100 (x_k+1 - x_k^2)^2 + (1 - x_k)^2."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def network(p: Any, xp: Any, inputs: Any) -> Any:
    """An MLP 15-11-2 with tanh, its 200 parameters in one vector: 165 + 11, 22 + 2."""
    hidden = xp.tanh(inputs @ p[:165].reshape(15, 11) + p[165:176])
    return hidden @ p[176:198].reshape(11, 2) + p[198:]


def network_loss(p: Any, xp: Any, inputs: Any, targets: Any) -> Any:
    """Its mean squared error."""
    return ((network(p, xp, inputs) - targets) ** 2).mean()


def _network_data() -> tuple:
    rng = np.random.default_rng(0)
    return 0.3 * rng.normal(size=200), rng.normal(size=(32, 15)), rng.normal(size=(32, 2))


def _hessians(peers: Peers) -> list[Case]:
    p, inputs, targets = _network_data()
    of_network = derivative_tools(peers, network_loss, p, dualgrad.hessian, "hessian", "hessian", inputs, targets)
    start = np.tile([-1.2, 1.0], 150)
    of_rosenbrock = derivative_tools(peers, rosenbrock, start, dualgrad.hessian, "hessian", "hessian")
    note = "n sweeps in one: what is left is passes over arrays n times as large, which a compiler fuses."
    return [
        Case("Hessian of an MLP with 200 parameters, 32 rows", "µs", of_network, {TORCH: 1.0}, seconds=8, note=note),
        Case("Hessian of Rosenbrock's function, n = 300", "µs", of_rosenbrock, {TORCH: 1.0}, seconds=8, note=note),
    ]


# ---- products ------------------------------------------------------------------------------------------------------


def _products(peers: Peers) -> list[Case]:
    p, inputs, targets = _network_data()
    v = np.random.default_rng(1).normal(size=200)
    start = np.tile([-1.2, 1.0], 150)
    rng = np.random.default_rng(2)
    direction = rng.normal(size=300)

    def loss(p: Any) -> Any:
        return network_loss(p, np, inputs, targets)

    model = lambda p: network(p, np, inputs)
    square = lambda output: np.mean((output - targets) ** 2)
    operator = GaussNewtonOperator(model, square, p)
    gradient = dualgrad.grad(loss)
    fresh = timed("dualgrad, recording included", lambda: GaussNewtonOperator(model, square, p) @ v, single)
    product = [timed("dualgrad", lambda: operator @ v, single), timed("dualgrad, gradient", lambda: gradient(p)), fresh]
    return [
        _hvp(peers, "an MLP with 200 parameters", network_loss, p, v, inputs, targets),
        _hvp(peers, "Rosenbrock's function, n = 300", rosenbrock, start, direction),
        Case("Gauss–Newton product of an MLP with 200 parameters", "µs", product, {"dualgrad, gradient": 3.0}),
    ]


def _hvp(peers: Peers, name: str, f: Callable, x: Any, v: Any, *constants: Any) -> Case:
    ours = lambda x: f(x, np, *constants)
    gradient = dualgrad.grad(ours)
    tools = [timed("dualgrad", lambda: dualgrad.hvp(ours, x, v), single)]
    if torch := peers.torch:
        tensors, primal, tangent = [torch.tensor(value) for value in constants], torch.tensor(x), torch.tensor(v)
        slope = torch.func.grad(lambda x: f(x, torch, *tensors))
        by_torch = lambda: torch.func.jvp(slope, (primal,), (tangent,))[1]
        tools.append(timed(TORCH, by_torch, lambda product: [product.detach().numpy()], prepare=threads(torch)))
    if autograd := peers.autograd:
        by_hips = autograd.hessian_vector_product(lambda x: f(x, autograd.numpy, *constants))
        tools.append(timed(HIPS, lambda: by_hips(x, v), single))
    if jax := peers.jax:
        theirs = jax.grad(lambda x: f(x, jax.numpy, *constants))
        compiled = jax.jit(lambda x, v: jax.jvp(theirs, (x,), (v,))[1])
        tools.append(timed(JAX, lambda: np.asarray(compiled(x, v)), single))
    tools.append(timed("dualgrad, gradient", lambda: gradient(x)))
    note = "On few numbers a product is all dispatch, which jax.jit pays once, when it compiles."
    return Case(f"Hessian–vector product of {name}", "µs", tools, {"dualgrad, gradient": 2.5}, note=note)


# ---- diagonal and Laplacian ----------------------------------------------------------------------------------------


def _diagonals(_: Peers) -> list[Case]:
    """Against the whole Hessian, which is the other way to get there."""
    p, inputs, targets = _network_data()
    loss = lambda p: network_loss(p, np, inputs, targets)
    separable = lambda x: np.sum(np.sin(x) * np.exp(-x * x))
    x = np.random.default_rng(0).normal(size=300)
    cases = []
    for name, f, at in (("an MLP with 200 parameters", loss, p), ("a separable function, n = 300", separable, x)):
        whole = dualgrad.hessian(f)
        diagonal, laplacian = dualgrad.hessian_diagonal(f), dualgrad.laplacian(f)
        by_matrix = "dualgrad, of the matrix"
        cases += [
            Case(f"diagonal of the Hessian of {name}", "µs",
                 [timed("dualgrad", lambda diagonal=diagonal, at=at: diagonal(at), single),
                  timed(by_matrix, lambda whole=whole, at=at: np.diag(whole(at)), single)], seconds=4),
            Case(f"Laplacian of {name}", "µs",
                 [timed("dualgrad", lambda laplacian=laplacian, at=at: laplacian(at), single),
                  timed(by_matrix, lambda whole=whole, at=at: np.trace(whole(at)), single)], seconds=4),
        ]  # fmt: skip
    return cases
