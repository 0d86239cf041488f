"""A layer's block of the Fisher matrix is approximated by a Kronecker product, and so is its inverse (Martens & Grosse 2015).

    z_l = W_l abar_(l-1),    abar = (a, 1),    a_l = tanh(z_l)
    F_l = E[abar abar^T kron g g^T] ~ A_(l-1) kron G_l,    A = E[abar abar^T],    G = E[g g^T],    g = d (-log p) / d z_l     (1)
    (A kron G)^-1 = A^-1 kron G^-1

The expectation is over the targets that the model predicts, in closed form: G = E[B^T (diag p - p p^T) B], B = d logits / d z_l.
"""
from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import reduce
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
LAMBDAS = (0.001, 0.01, 0.1, 1.0)  # in units of the mean of F's diagonal
RATES = {"SGD": (0.3, 1.0, 3.0), "Adam": (0.03, 0.1, 0.3)}  # the best of the full run is the middle one
LONGER = 7  # steps of the first-order methods in the time of a step of K-FAC, or more

initialize, model = mlp(SIZES, np.tanh, glorot_uniform)
loss = lambda params, x, labels: cross_entropy(model(params, x), labels)  # the mean of -log p over the examples
relative = lambda found, exact: float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
span = lambda values: f"{values.min():.2f} to {values.max():.2f}"
linear = lambda layer, a: a @ layer["weight"] + layer["bias"]  # z
with_one = lambda a: np.hstack([a, np.ones((len(a), 1))])  # abar, one row per example


def factors(params: Any, x: Any, model: Any = model) -> list[tuple[Any, Any]]:
    """(A, G) of every layer."""
    p = softmax(model(params, x), axis=-1)
    curvature = p[:, :, np.newaxis] * (np.eye(p.shape[1]) - p[:, np.newaxis, :])
    found, a = [], x
    for k, layer in enumerate(params):
        logits = lambda z, behind=params[k + 1 :]: reduce(lambda z, after: linear(after, np.tanh(z)), behind, z)
        z = linear(layer, a)
        B = vmap(jacobian(logits))(z)
        found.append((with_one(a).T @ with_one(a) / len(x), np.einsum("nci,ncd,ndj->ij", B, curvature, B) / len(x)))
        a = np.tanh(z)
    return found


def compared(params: Any, x: Any, labels: Any) -> tuple[list[float], np.ndarray]:
    """The relative error of every block; and by measure, lambda and direction (K-FAC's, the gradient) what a direction d is worth.

    Measures: the cosine between d and the exact natural gradient (F + lambda I)^-1 g; and the gain, what the quadratic
    g.p + p.(F + lambda I) p / 2 can fall by along d, (g.d)^2 / (2 d.(F + lambda I) d), in units of the most there is.
    """
    F = FisherOperator(model, params, x, likelihood="categorical").to_dense()
    g, _ = tree.ravel(grad(loss)(params, x, labels))
    blocks = [np.kron(A, G) for A, G in factors(params, x)]
    ends = np.cumsum([len(block) for block in blocks])
    there = [slice(end - len(block), end) for block, end in zip(blocks, ends, strict=True)]
    errors = [relative(block, F[part, part]) for block, part in zip(blocks, there, strict=True)]
    worth = np.empty((2, len(LAMBDAS), 2))
    for k, damping in enumerate(np.trace(F) / len(F) * np.array(LAMBDAS)):
        damped = F + damping * np.eye(len(F))
        natural = np.linalg.solve(damped, g)
        solved = [np.linalg.solve(b + damping * np.eye(len(b)), g[part]) for b, part in zip(blocks, there, strict=True)]
        for j, d in enumerate((np.concatenate(solved), g)):
            worth[0, k, j] = d @ natural / np.linalg.norm(d) / np.linalg.norm(natural)
            worth[1, k, j] = (g @ d) ** 2 / (d @ damped @ d) / (g @ natural)
    return errors, worth


def linear_errors(x: Any) -> tuple[float, float]:
    """The error for one linear layer: Gaussian targets, where g does not depend on the inputs; softmax, of one example."""
    init, apply = mlp((x.shape[1], 3))
    params = init(np.random.default_rng(0))
    gaussian = FisherOperator(apply, params, x, likelihood="gaussian").to_dense()
    one = FisherOperator(apply, params, x[:1], likelihood="categorical").to_dense()
    A = with_one(x).T @ with_one(x) / len(x)
    return relative(np.kron(A, 2 / 3 * np.eye(3)), gaussian), relative(np.kron(*factors(params, x[:1], apply)[0]), one)


@dataclass(frozen=True)
class Run:
    name: str
    losses: np.ndarray  # before every step
    seconds: np.ndarray
    passed: tuple = ()  # the parameters before every step


@dataclass(frozen=True)
class Findings:
    steps: np.ndarray  # of training, at which was looked, the last that of the end
    errors: np.ndarray  # (looks, layers)
    worth: np.ndarray  # (looks, cosine and gain, LAMBDAS, K-FAC and the gradient)
    single: tuple[float, float]  # errors of a single linear layer
    runs: dict[str, Run]  # those of first order go on for LONGER


def second_order(name: str, momentum: bool, params: Any, x: Any, labels: Any, steps: int) -> Run:
    start, seconds = time.process_time(), []
    solver = kfac(model, "categorical", damping=0.1, momentum=momentum)
    result = solve(solver, params, x, labels, max_steps=steps, callback=lambda *_: seconds.append(time.process_time() - start))
    return Run(name, np.array([step.value for step in result.history]), np.array(seconds))


def first_order(name: str, optimizer: Any, params: Any, x: Any, labels: Any, steps: int) -> Run:
    state, losses, seconds, passed, start = optimizer.init(params), [], [], [], time.process_time()
    for _ in range(steps + 1):
        passed.append(params)
        value, gradient = value_and_grad(loss)(params, x, labels)
        losses.append(float(value))
        seconds.append(time.process_time() - start)
        updates, state = optimizer.update(gradient, state, params)
        params = apply_updates(params, updates)
    return Run(name, np.array(losses), np.array(seconds), tuple(passed))


def experiment(quick: bool, progress: Any) -> Findings:
    from sklearn.datasets import load_digits

    (images, labels), (count, steps) = load_digits(return_X_y=True), (300, 40) if quick else (1000, 200)
    x = (images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16) / 16)[:count]
    labels, start = labels[:count], initialize(np.random.default_rng(0))
    make = {"SGD": lambda rate: sgd(rate, momentum=0.9), "Adam": adam}
    runs = {name: second_order(name, name == "K-FAC", start, x, labels, steps) for name in ("K-FAC", "K-FAC, no momentum")}
    best: dict[str, float] = {}
    for name, rate in progress([(name, rate) for name, rates in RATES.items() for rate in rates], desc="first order"):
        run = first_order(f"{name}, {rate:g}", make[name](rate), start, x, labels, steps)
        if name not in runs or run.losses[-1] < runs[name].losses[-1]:
            runs[name], best[name] = run, rate
    for name, rate in best.items():
        runs[name] = first_order(f"{name}, {rate:g}", make[name](rate), start, x, labels, LONGER * steps)
    passed = first_order("", adam(0.01), start, x, labels, steps).passed
    at = np.linspace(0, steps, 4 if quick else 9).astype(int)
    found = [compared(passed[k], x, labels) for k in progress(at, desc="Fisher")]
    errors, worth = (np.array(column) for column in zip(*found, strict=True))
    return Findings(at, errors, worth, linear_errors(x), runs)


def table(found: Findings) -> str:
    rows: list[tuple] = [("K-FAC on 4 by 4 digits", "paper", "K-FAC", "gradient", "K-FAC ahead")]
    for what, error in zip(("Gaussian", "softmax, one example"), found.single, strict=True):
        rows += [(f"error of A kron G, one linear layer, {what}", "exact", f"{error:.0e}", "", "")]
    for k, errors in enumerate(found.errors.T):
        rows += [(f"error of A kron G, layer {k + 1}, over training", "", span(errors), "", "")]
    for m, measure in enumerate(("cosine with", "gain, of that of")):
        for value, (ours, plain) in zip(LAMBDAS, found.worth[:, m].transpose(1, 2, 0), strict=True):
            row = f"{measure} the natural gradient, lambda = {value:g}"
            rows += [(row, "", span(ours), span(plain), f"{np.sum(ours > plain)} of {len(ours)}")]
    for name, run in found.runs.items():
        text = f"{run.losses[found.steps[-1]]:.1e}"
        rows += [(f"loss after {found.steps[-1]} steps, {run.name}", "", *(("", text) if name in RATES else (text, "")), "")]
    for name in RATES:
        both = found.runs["K-FAC"], found.runs[name]
        end = min(run.seconds[-1] for run in both)
        losses = (f"{run.losses[run.seconds <= end][-1]:.1e}" for run in both)
        rows += [(f"loss in the same time, {found.runs[name].name}", "", *losses, "")]
    return frame.aligned(rows)


def check(found: Findings) -> None:
    assert max(found.single) < 1e-10, f"of one linear layer A kron G is off by {found.single}"
    assert found.errors.max() < 1, f"a block is off by {found.errors.max():.2f} of its norm"
    for m, measure in enumerate(("cosine", "gain")):
        ours, plain = found.worth[:, m, 0].T
        assert (ours > plain).all(), f"at lambda = {LAMBDAS[0]} K-FAC's {measure} is {ours}, the gradient's {plain}"
    ours = found.runs["K-FAC"].losses[found.steps[-1]]
    for name in RATES:
        theirs = found.runs[name].losses[found.steps[-1]]
        assert ours < theirs / 2, f"K-FAC is at {ours:.2e} after {found.steps[-1]} steps, {name} at {theirs:.2e}"


def draw(found: Findings, figure: Any) -> None:
    frame.heading(figure, "Kronecker-factored curvature", "A kron G for each layer's block of the Fisher matrix; 4 by 4 digits")
    quality, by_step, by_time = frame.panels(figure, 3)
    frame.style(quality, "Cosine with the exact natural gradient", "step of training (in the legend: lambda)")
    for j, (name, colour) in enumerate((("K-FAC", frame.BLUE), ("gradient", frame.ORANGE))):
        for k, line in ((0, "o-"), (2, "s--")):
            label = f"{name}, {LAMBDAS[k]:g}"
            quality.plot(found.steps, found.worth[:, 0, k, j], line, color=colour, markersize=4, label=label)
    quality.set_ylim(0, 1.45)
    frame.legend(quality, loc="upper left", ncols=2)
    colours = {"K-FAC": frame.BLUE, "K-FAC, no momentum": frame.GREEN, "SGD": frame.ORANGE, "Adam": frame.PURPLE}
    frame.style(by_step, "Loss by step", "step")
    frame.style(by_time, "Loss by time", "seconds of processor time")
    for name, run in found.runs.items():
        by_step.semilogy(run.losses[: found.steps[-1] + 1], color=colours[name], label=run.name)
        by_time.semilogy(run.seconds, run.losses, color=colours[name])
    frame.legend(by_step, loc="lower left")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
