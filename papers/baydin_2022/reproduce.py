"""A directional derivative along random v, times v, is an unbiased gradient and trains a network alone (Baydin et al. 2022).

    g(theta) = (grad f(theta) . v) v,   v ~ N(0, I)       the forward gradient, by one forward sweep
    E g = grad f,   E |g - grad f|^2 = (n + 1) |grad f|^2  unbiased; and how noisy, for n parameters
    theta <- theta - eta_i g(theta),    eta_i = eta_0 exp(-k i),  k = 1e-4
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import grad, jvp, tree, value_and_grad, vmap
from dualgrad.models import Model, cross_entropy, mlp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame
from counting import operations, total

DECAY, BATCH = 1e-4, 64
RATES = np.array([1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3], np.float32)
SHARED = 1  # the rate at which both ways are compared step by step; both are stable there
MODELS = {"logistic regression": [64, 10], "network": [64, 32, 32, 10]}


def forward(f: Callable, theta: Any, v: Any) -> tuple[Any, Any]:
    """f(theta) and the forward gradient (grad f(theta) . v) v."""
    value, slope = jvp(f, (theta,), (v,))
    return value, tree.map(lambda part: slope * part, v)


def backward(f: Callable, theta: Any, v: Any) -> tuple[Any, Any]:
    """f(theta) and its gradient, by backpropagation; v is not needed."""
    return value_and_grad(f)(theta)


WAYS = {"forward": forward, "backward": backward}


def beale(theta: Any) -> Any:
    """Minimum 0 at (3, 0.5)."""
    x, y = theta[0], theta[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def rosenbrock(theta: Any) -> Any:
    """Minimum 0 at (1, 1)."""
    return (1 - theta[0]) ** 2 + 100 * (theta[1] - theta[0] ** 2) ** 2


def walk(f: Callable, way: Callable, start: Any, rate: float, steps: int, runs: int) -> tuple[Any, Any]:
    """Runs of gradient descent side by side: f (steps, runs), and the paths (steps, runs, 2)."""
    rng, theta, history = np.random.default_rng(0), np.tile(start, (runs, 1)), []
    step = vmap(lambda theta, v: way(f, theta, v))
    for _ in range(steps):
        value, gradient = step(theta, rng.standard_normal(theta.shape))
        history.append((value, theta))
        theta = theta - rate * gradient
    values, path = zip(*history, strict=True)
    return np.array(values), np.array(path)


# ---- digits -----------------------------------------------------------------------------------------------------------


def digits() -> tuple[Any, Any]:
    """Images (1797, 64) in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels


def initial(model: Model) -> Any:
    return tree.map(lambda leaf: leaf.astype(np.float32), model.init(np.random.default_rng(1)))


def normal(rng: Any, theta: Any) -> Any:
    return tree.map(lambda leaf: rng.standard_normal(leaf.shape, leaf.dtype), theta)


def train(model: Model, way: Callable, steps: int, progress: Any) -> tuple[Any, Any]:
    """All learning rates side by side, on the same batches along the same v: loss (steps, rates), accuracy (rates)."""
    images, labels = digits()
    rng, theta = np.random.default_rng(0), initial(model)

    def step(rate: Any, theta: Any, batch: Any, v: Any) -> tuple[Any, Any]:
        value, gradient = way(lambda theta: cross_entropy(model.apply(theta, images[batch]), labels[batch]), theta, v)
        return tree.map(lambda part, slope: part - rate * slope, theta, gradient), value

    many = tree.map(lambda leaf: np.stack([leaf] * len(RATES)), theta)
    history = []
    with np.errstate(over="ignore", invalid="ignore"):  # the largest rates diverge
        for i in progress(range(steps), desc=way.__name__, leave=False):
            batch, v, rates = rng.integers(len(labels), size=BATCH), normal(rng, theta), RATES * np.float32(np.exp(-DECAY * i))
            many, value = vmap(step, in_axes=(0, 0, None, None))(rates, many, batch, v)
            history.append(value)
        answers = vmap(lambda theta: model.apply(theta, images))(many)
    return np.array(history), np.mean(np.argmax(answers, -1) == labels, -1)


def averaging(samples: int, chunk: int) -> tuple[int, Any, Any]:
    """n, and |mean of N forward gradients - gradient|^2 / |gradient|^2 for N = chunk, 2 chunk, ..."""
    images, labels = digits()
    model, rng = mlp(MODELS["logistic regression"]), np.random.default_rng(0)
    theta, unravel = tree.ravel(initial(model))
    loss = lambda theta: cross_entropy(model.apply(unravel(theta), images[:100]), labels[:100])
    gradient, count = grad(loss)(theta).astype(float), np.arange(chunk, samples + 1, chunk)
    estimate = vmap(lambda v: forward(loss, theta, v)[1])
    sums = np.cumsum([np.sum(estimate(normal(rng, np.zeros((chunk, theta.size), np.float32))), 0, dtype=float) for _ in count], 0)
    off = np.sum((sums / count[:, None] - gradient) ** 2, -1) / np.sum(gradient**2)
    return theta.size, count, off


def costs(sizes: list[int]) -> dict[str, Any]:
    """Of f, forward and backward: products of matrices, array operations, processor time (medians of interleaved rounds)."""
    images, labels = digits()
    model, rng = mlp(sizes), np.random.default_rng(0)
    theta, v = initial(model), normal(rng, initial(model))
    loss = lambda theta: cross_entropy(model.apply(theta, images[:BATCH]), labels[:BATCH])
    runs = {"f": lambda theta, v: loss(theta)} | {name: lambda theta, v, way=way: way(loss, theta, v) for name, way in WAYS.items()}
    clock = lambda run: (lambda start: (run(theta, v), time.process_time() - start)[1])(time.process_time())
    seconds = np.median([[clock(run) for run in runs.values()] for _ in range(101)], 0)
    return {
        name: (operations(run, theta, v)["matmul"], total(run, theta, v), spent / seconds[0])
        for (name, run), spent in zip(runs.items(), seconds, strict=True)
    }


# ---- the experiment ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    parameters: int  # n of logistic regression
    samples: np.ndarray  # N forward gradients averaged
    off: np.ndarray  # and how far the mean is from the gradient: squared, relative
    walks: dict[tuple[str, str], tuple]  # function, way: values (steps, runs), paths (steps, runs, 2)
    loss: dict[tuple[str, str], np.ndarray]  # model, way: (steps, rates)
    accuracy: dict[tuple[str, str], np.ndarray]  # (rates,)
    cost: dict[str, dict[str, tuple]]  # model, way: products of matrices, array operations, time in that of f

    def final(self, model: str, way: str) -> Any:
        """The mean loss of the last tenth of the steps, for each rate; infinite where it diverged."""
        losses = self.loss[model, way]
        return np.nan_to_num(losses[-len(losses) // 10 :].mean(0), nan=np.inf)


def experiment(quick: bool, progress: Any) -> Findings:
    walks, loss, accuracy = {}, {}, {}
    for f, start, rate, steps in ((beale, (1.0, 1.0), 1e-2, 3000), (rosenbrock, (-1.2, 1.0), 5e-4, 15_000)):
        for name, way in progress(WAYS.items(), desc=f.__name__, leave=False):
            walks[f.__name__, name] = walk(f, way, start, rate, steps // 10 if quick else steps, 20 if name == "forward" else 1)
    for model, sizes in progress(MODELS.items(), desc="training"):
        steps = 200 if quick else {"logistic regression": 3000, "network": 6000}[model]
        for name, way in WAYS.items():
            loss[model, name], accuracy[model, name] = train(mlp(sizes), way, steps, progress)
    cost = {model: costs(sizes) for model, sizes in MODELS.items()}
    return Findings(*averaging(2000 if quick else 50_000, 100), walks, loss, accuracy, cost)


def table(found: Findings) -> str:
    rows: list[tuple] = [("one step, batch of 64", "paper", "time in that of f", "matrix products", "array operations")]
    published = {("network", "forward"): "2.46", ("network", "backward"): "4.17"}
    for model, cost in found.cost.items():
        for way, (products, count, ratio) in cost.items():
            rows.append((f"{model}, {way}", published.get((model, way), ""), f"{ratio:.2f}", products, count))
    same = f"forward, {RATES[SHARED]:g}", "backward"
    losses: list[tuple] = [("loss on digits", *same, "best forward", "accuracy", "best backward", "accuracy")]
    for model in found.cost:
        same = [f"{found.final(model, way)[SHARED]:.3f}" for way in WAYS]
        best = []
        for way in WAYS:
            final = found.final(model, way)
            k = int(np.argmin(final))
            best += [f"{final[k]:.3f} at {RATES[k]:g}", f"{found.accuracy[model, way][k]:.1%}"]
        losses.append((model, *same, *best))
    functions: list[tuple] = [("f(theta) after", "start", "100 steps", "1000 steps", "all steps")]
    for (f, way), (values, _) in found.walks.items():
        picked = [np.median(values[min(k, len(values) - 1)]) for k in (0, 100, 1000, len(values) - 1)]
        functions.append((f"{f}, {way}", *(f"{value:.2g}" for value in picked)))
    n, count, off = found.parameters, found.samples[-1], found.off[-1]
    noise = f"mean of {count:,} forward gradients, n = {n}: squared error {off:.3f}, (n + 1) / N = {(n + 1) / count:.3f}"
    return "\n".join([frame.aligned(rows), "", frame.aligned(losses), "", frame.aligned(functions), "", noise])


def check(found: Findings) -> None:
    expected = (found.parameters + 1) / found.samples
    assert (np.abs(found.off / expected - 1) < 0.5).all(), f"squared errors are {found.off / expected} times (n + 1) / N: biased"
    for (f, way), (values, _) in found.walks.items():
        ends, starts = np.median(values[-1]), values[0, 0]
        assert ends < 0.1 * starts, f"{f}, {way}: the median run ends at {ends:.2g}, from {starts:.2g}"
    for model, cost in found.cost.items():
        noisy, exact = (found.final(model, way) for way in WAYS)
        first = found.loss[model, "forward"][0, 0]
        close = noisy[SHARED] / exact[SHARED]
        assert 0.7 < close < 1.4, f"{model}: at the same rate forward reaches {close:.2f} times the loss of backward"
        assert noisy.min() < 0.85 * first, f"{model}: forward gradients reach {noisy.min():.2f} from {first:.2f}"
        assert exact.min() < noisy.min(), f"{model}: noise costs nothing: {noisy.min():.3f} forward, {exact.min():.3f} backward"
        assert cost["forward"][0] <= cost["backward"][0], f"{model}: a forward gradient takes more products of matrices: {cost}"
        assert cost["forward"][2] < 6, f"{model}: a forward gradient costs {cost['forward'][2]:.1f} evaluations of f"


def draw(found: Findings, figure: Any) -> None:
    frame.heading(figure, "Gradients without backpropagation", "one forward sweep along random v: unbiased, cheap, and noisy")
    paths, noise, *losses = frame.panels(figure, 4, width_ratios=[1.15, 0.9, 1, 1])
    frame.style(paths, "Beale's function: paths", "θ₁")
    grid = np.meshgrid(np.linspace(0.5, 3.5, 200), np.linspace(-1.2, 1.2, 200))
    paths.contour(*grid, np.log(beale(grid) + 1e-3), 14, colors=frame.PALE, linewidths=0.8)
    for way, colour, runs in (("forward", frame.ORANGE, 4), ("backward", frame.BLUE, 1)):
        for run in range(runs):
            path = found.walks["beale", way][1][:, run]
            paths.plot(*path.T, color=colour, linewidth=1.8 / runs**0.5, label=None if run else way)
    paths.plot(3, 0.5, "*", color=frame.INK, markersize=9)
    frame.legend(paths, loc="lower right")
    frame.style(noise, "Squared error of a mean", "forward gradients averaged, N")
    noise.loglog(found.samples, found.off, color=frame.ORANGE, linewidth=2, label="measured")
    noise.loglog(found.samples, (found.parameters + 1) / found.samples, "--", color=frame.INK, linewidth=1, label="(n + 1) / N")
    frame.legend(noise)
    for axes, model in zip(losses, found.cost, strict=True):
        frame.style(axes, f"Loss: {model}", "iteration")
        for way, colour in (("forward", frame.ORANGE), ("backward", frame.BLUE)):
            best = int(np.argmin(found.final(model, way)))
            for k, line in {SHARED: "-", best: "--"}.items() if best != SHARED else [(SHARED, "-")]:
                curve = np.convolve(found.loss[model, way][:, k], np.ones(50) / 50, mode="valid")
                axes.semilogy(curve, line, color=colour, linewidth=1.4, label=f"{way}, η = {RATES[k]:g}")
        axes.set_ylim(bottom=axes.get_ylim()[0] / 8)
        frame.legend(axes, loc="lower left")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
