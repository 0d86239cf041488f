"""A layer's block of the Fisher matrix is nearly a Kronecker product, and so is its inverse (Martens & Grosse 2015).

    z_l = W_l abar_(l-1),    abar = (a, 1),    a_l = tanh(z_l)
    F_l = E[abar abar^T kron g g^T] ~ A_(l-1) kron G_l,    A = E[abar abar^T],    G = E[g g^T],    g = d (-log p) / d z_l     (1)
    (A kron G)^-1 = A^-1 kron G^-1

The expectation is over the targets that the model predicts, in closed form: G = E[B^T (diag p - p p^T) B], B = d logits / d z_l.
"""
from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from dualgrad import grad, jacobian, tree, value_and_grad, vmap
from dualgrad.models import cross_entropy, glorot_uniform, mlp
from dualgrad.operators import FisherOperator
from dualgrad.optimize import adam, apply_updates, kfac, sgd, solve

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame

SIZES = (16, 12, 10, 10)  # pixels of 4 by 4 images, two hidden layers, classes
LAMBDA = 0.1  # in units of the mean of F's diagonal
RATES = {"SGD": (0.1, 0.3, 1.0), "Adam": (0.003, 0.01, 0.03)}

initialize, model = mlp(SIZES, np.tanh, glorot_uniform)


def loss(params: Any, x: Any, labels: Any) -> Any:
    """The mean of -log p over the examples."""
    return cross_entropy(model(params, x), labels)


# ---- the factors -----------------------------------------------------------------------------------------------------


def with_one(a: Any) -> Any:
    """abar, one row per example."""
    return np.hstack([a, np.ones((len(a), 1))])


def factors(params: Any, x: Any) -> list[tuple[Any, Any]]:
    """(A, G) of every layer."""
    p = softmax(model(params, x), axis=-1)
    curvature = p[:, :, np.newaxis] * (np.eye(p.shape[1]) - p[:, np.newaxis, :])
    found, a = [], x
    for k, layer in enumerate(params):
        z = a @ layer["weight"] + layer["bias"]

        def logits(z: Any, behind: Any = params[k + 1 :]) -> Any:
            for layer in behind:
                z = np.tanh(z) @ layer["weight"] + layer["bias"]
            return z

        B = vmap(jacobian(logits))(z)
        A, G = with_one(a).T @ with_one(a) / len(x), np.einsum("nci,ncd,ndj->ij", B, curvature, B) / len(x)
        found.append((A, G))
        a = np.tanh(z)
    return found


def compared(params: Any, x: Any, labels: Any) -> tuple[list[float], float, float]:
    """(relative error of every block, what K-FAC's direction gains, what the gradient gains).

    Along d the quadratic m(p) = g.p + p.(F + lambda I) p / 2 falls by (g.d)^2 / (2 d.(F + lambda I) d) at most: the gain is that in
    units of the most there is, along the exact natural gradient.
    """
    F = FisherOperator(model, params, x, likelihood="categorical").to_dense()
    g, _ = tree.ravel(grad(loss)(params, x, labels))
    damping = LAMBDA * np.trace(F) / len(F)
    B = F + damping * np.eye(g.size)
    errors, parts, start = [], [], 0
    for A, G in factors(params, x):
        block = np.kron(A, G)
        there = slice(start, start + len(block))
        errors.append(float(np.linalg.norm(F[there, there] - block) / np.linalg.norm(F[there, there])))
        parts.append(np.linalg.solve(block + damping * np.eye(len(block)), g[there]))
        start += len(block)

    def gain(d: Any) -> float:
        return float((g @ d) ** 2 / (d @ B @ d) / (g @ np.linalg.solve(B, g)))

    return errors, gain(np.concatenate(parts)), gain(g)


def linear_error(x: Any) -> float:
    """The same of one linear layer with Gaussian targets, where g does not depend on the inputs."""
    init, apply = mlp((x.shape[1], 3))
    F = FisherOperator(apply, init(np.random.default_rng(0)), x, likelihood="gaussian").to_dense()
    block = np.kron(with_one(x).T @ with_one(x) / len(x), 2 / 3 * np.eye(3))
    return float(np.linalg.norm(F - block) / np.linalg.norm(F))


# ---- training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    name: str
    losses: np.ndarray  # before every step
    seconds: np.ndarray


@dataclass(frozen=True)
class Findings:
    steps: np.ndarray  # of training, at which was looked
    errors: np.ndarray  # (looks, layers)
    kfac_gain: np.ndarray
    gradient_gain: np.ndarray
    linear: float
    runs: dict[str, Run]


def second_order(name: str, momentum: bool, params: Any, x: Any, labels: Any, steps: int) -> Run:
    start, seconds = time.process_time(), []
    solver = kfac(model, "categorical", damping=0.1, momentum=momentum)
    result = solve(solver, params, x, labels, max_steps=steps, callback=lambda *_: seconds.append(time.process_time() - start))
    return Run(name, np.array([step.value for step in result.history]), np.array(seconds))


def first_order(name: str, optimizer: Any, params: Any, x: Any, labels: Any, steps: int, looks: list | None = None) -> Run:
    state, losses, seconds, start = optimizer.init(params), [], [], time.process_time()
    for _ in range(steps + 1):
        if looks is not None:
            looks.append(params)
        value, gradient = value_and_grad(loss)(params, x, labels)
        losses.append(float(value))
        seconds.append(time.process_time() - start)
        updates, state = optimizer.update(gradient, state, params)
        params = apply_updates(params, updates)
    return Run(name, np.array(losses), np.array(seconds))


def experiment(quick: bool, progress: Any) -> Findings:
    from sklearn.datasets import load_digits

    data = load_digits()
    count, steps = (300, 40) if quick else (1000, 200)
    x = (data.data.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16) / 16)[:count]
    labels, start = data.target[:count], initialize(np.random.default_rng(0))
    make = {"SGD": lambda rate: sgd(rate, momentum=0.9), "Adam": adam}
    runs = {
        "K-FAC": second_order("K-FAC", True, start, x, labels, steps),
        "K-FAC, no momentum": second_order("K-FAC, no momentum", False, start, x, labels, steps),
    }
    todo = [(name, rate) for name, rates in RATES.items() for rate in rates]
    for name, rate in progress(todo, desc="first order"):
        run = first_order(f"{name}, {rate:g}", make[name](rate), start, x, labels, steps)
        if name not in runs or run.losses[-1] < runs[name].losses[-1]:
            runs[name] = run
    passed: list = []
    first_order("", make["Adam"](0.01), start, x, labels, steps, passed)
    at = np.linspace(0, steps, 4 if quick else 9).astype(int)
    found = [compared(passed[k], x, labels) for k in progress(at, desc="Fisher")]
    errors, kfac_gain, gradient_gain = (np.array(column) for column in zip(*found, strict=True))
    return Findings(at, errors, kfac_gain, gradient_gain, linear_error(x), runs)


def table(found: Findings) -> str:
    rows: list[tuple] = [("K-FAC on 4 by 4 digits", "paper", "measured")]
    rows += [("error of A kron G, one linear layer", "exact", f"{found.linear:.0e}")]
    for k, errors in enumerate(found.errors.T):
        rows += [(f"error of A kron G, layer {k + 1}, over training", "", f"{errors.min():.2f} to {errors.max():.2f}")]
    for name, gains in (("K-FAC", found.kfac_gain), ("the gradient", found.gradient_gain)):
        rows += [(f"gain along {name}, of the natural gradient's", "", f"{gains.min():.2f} to {gains.max():.2f}")]
    for name, run in found.runs.items():
        text = f"{run.losses[-1]:.1e} in {run.seconds[-1]:.1f} s"
        rows += [(f"loss at the end, {name}", "", text)]
    return frame.aligned(rows)


def check(found: Findings) -> None:
    assert found.linear < 1e-10, f"of one linear layer A kron G is off by {found.linear:.1e}"
    better = found.kfac_gain > found.gradient_gain
    assert better.all(), f"K-FAC gains {found.kfac_gain}, the gradient {found.gradient_gain}"
    assert found.errors.max() < 1, f"a block is off by {found.errors.max():.2f} of its norm"
    ours = found.runs["K-FAC"].losses[-1]
    for name in RATES:
        assert ours < found.runs[name].losses[-1], f"K-FAC ends at {ours:.2e}, {name} at {found.runs[name].losses[-1]:.2e}"


def draw(found: Findings, figure: Any) -> None:
    caption = "A kron G in place of each layer's block of the Fisher matrix; 4 by 4 digits"
    frame.heading(figure, "Kronecker-factored curvature", caption)
    quality, by_step, by_time = frame.panels(figure, 3)
    frame.style(quality, "Against the exact Fisher matrix", "step of training")
    quality.plot(found.steps, found.kfac_gain, "o-", color=frame.BLUE, label="gain along K-FAC's direction")
    quality.plot(found.steps, found.gradient_gain, "o-", color=frame.ORANGE, label="gain along the gradient")
    quality.plot(found.steps, found.errors.mean(1), "s--", color=frame.MUTED, label="relative error of a block")
    quality.set_ylim(0, 1.35)
    frame.legend(quality, loc="upper right")
    colours = {"K-FAC": frame.BLUE, "K-FAC, no momentum": frame.GREEN, "SGD": frame.ORANGE, "Adam": frame.PURPLE}
    frame.style(by_step, "Loss by step", "step")
    frame.style(by_time, "Loss by time", "seconds of processor time")
    for name, run in found.runs.items():
        by_step.semilogy(run.losses, color=colours[name], label=run.name)
        by_time.semilogy(run.seconds, run.losses, color=colours[name])
    frame.legend(by_step, loc="lower left")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
