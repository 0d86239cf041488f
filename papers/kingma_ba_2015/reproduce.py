"""Adam: running means of the gradient and of its square, both corrected for their start at zero, set the step (Kingma & Ba 2015).

    m_t = beta_1 m_(t-1) + (1 - beta_1) g_t,      m^_t = m_t / (1 - beta_1^t)
    v_t = beta_2 v_(t-1) + (1 - beta_2) g_t^2,    v^_t = v_t / (1 - beta_2^t)       algorithm 1
    theta_t = theta_(t-1) - alpha m^_t / (sqrt v^_t + eps)

A step without the correction, alpha m_t / sqrt v_t, is one with it and alpha (1 - beta_1^t) / sqrt(1 - beta_2^t) instead of alpha.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import tree, value_and_grad, vmap
from dualgrad.models import binary_cross_entropy, cross_entropy, dense, dropout, he_normal, relu, sequential, softplus
from dualgrad.optimize import Optimizer, adagrad, adam, apply_updates, rmsprop, sgd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame

BATCHES = 14  # of 128 digits, an epoch

# ---- optimizers -------------------------------------------------------------------------------------------------------


def decaying(optimizer: Callable) -> Callable:
    """With alpha_t = alpha / sqrt t, as the paper does for logistic regression."""
    return lambda rate: optimizer(lambda step: rate / np.sqrt(step + 1))


def uncorrected(beta_1: float, beta_2: float, corrected: Any) -> Callable:
    """Adam with its bias correction switched off where `corrected` is 0."""

    def optimizer(alpha: Any) -> Optimizer:
        bias = lambda t: (1 - beta_1**t) / np.sqrt(1 - beta_2**t)
        return adam(lambda step: alpha * (corrected + (1 - corrected) * bias(step + 1)), beta_1, beta_2)

    return optimizer


nesterov = lambda rate: sgd(rate, momentum=0.9, nesterov=True)
METHODS = ("SGD, Nesterov", "AdaGrad", "RMSProp", "Adam")
GRIDS = {
    "logistic regression": {
        "SGD, Nesterov": (decaying(nesterov), [0.3, 1, 3, 10]),
        "AdaGrad": (adagrad, [0.03, 0.1, 0.3, 1]),
        "RMSProp": (decaying(rmsprop), [0.03, 0.1, 0.3, 1]),
        "Adam": (decaying(adam), [0.03, 0.1, 0.3, 1]),
    },
    "network with dropout": {
        "SGD, Nesterov": (nesterov, [0.01, 0.03, 0.1, 0.3]),
        "AdaGrad": (adagrad, [0.01, 0.03, 0.1, 0.3]),
        "RMSProp": (rmsprop, [3e-4, 1e-3, 3e-3, 1e-2]),
        "Adam": (adam, [3e-4, 1e-3, 3e-3, 1e-2]),
    },
}

# ---- models: cost(params, images, labels, rng) ------------------------------------------------------------------------

logistic = dense(64, 10)
network = sequential(
    dense(64, 128, he_normal), relu, dropout(0.5), dense(128, 128, he_normal), relu, dropout(0.5), dense(128, 10)
)
encoder = sequential(dense(64, 50), softplus, dense(50, 16))
decoder = sequential(dense(8, 50), softplus, dense(50, 64))


def logistic_cost(params: Any, images: Any, labels: Any, rng: Any) -> Any:
    return cross_entropy(logistic.apply(params, images), labels) + 1e-4 * np.sum(params["weight"] ** 2)


def network_cost(params: Any, images: Any, labels: Any, rng: Any) -> Any:
    return cross_entropy(network.apply(params, images, rng), labels)


def vae_cost(params: Any, images: Any, labels: Any, rng: Any) -> Any:
    """A variational autoencoder's negative bound: reconstruction of z ~ N(mu, exp(s)), and KL from N(0, 1); mean of images."""
    code = encoder.apply(params["encoder"], images)
    mu, s = code[:, :8], code[:, 8:]
    z = mu + np.exp(s / 2) * rng.standard_normal(mu.shape, np.float32)
    divergence = -0.5 * np.mean(np.sum(1 + s - mu**2 - np.exp(s), axis=-1))
    return 64 * binary_cross_entropy(decoder.apply(params["decoder"], z), images) + divergence


COSTS = {"logistic regression": (logistic.init, logistic_cost), "network with dropout": (network.init, network_cost)}
vae_init = lambda rng: {"encoder": encoder.init(rng), "decoder": decoder.init(rng)}


def train(init: Callable, cost: Callable, optimizer: Callable, settings: tuple, epochs: int, bar: Any) -> Any:
    """optimizer(*setting) for all settings side by side, on the same batches and noise: cost by epoch, (epochs, settings)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, rng = (images / 16).astype(np.float32), np.random.default_rng(0)
    settings = tuple(np.array(setting, np.float32) for setting in settings)
    params = tree.map(lambda leaf: np.stack([leaf.astype(np.float32)] * len(settings[0])), init(np.random.default_rng(1)))

    def step(setting: Any, params: Any, state: Any, batch: Any, seed: Any) -> tuple[Any, Any, Any]:
        value, gradient = value_and_grad(cost)(params, images[batch], labels[batch], np.random.default_rng(seed))
        updates, state = optimizer(*setting).update(gradient, state, params)
        return apply_updates(params, updates), state, value

    state = vmap(lambda setting, params: optimizer(*setting).init(params))(settings, params)
    together, history = vmap(step, in_axes=(0, 0, 0, None, None)), []
    with np.errstate(over="ignore", invalid="ignore"):  # the largest rates may diverge
        for _ in bar(range(epochs), desc="epochs", leave=False):
            for batch in np.array_split(rng.permutation(len(labels)), BATCHES):
                params, state, value = together(settings, params, state, batch, rng.integers(2**31))
                history.append(value)
    return np.nan_to_num(np.array(history).reshape(epochs, BATCHES, -1).mean(1), nan=np.inf)


# ---- the experiment ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    costs: dict[tuple[str, str], np.ndarray]  # model, method: (epochs, rates)
    alphas: np.ndarray  # of the autoencoder
    betas: list[tuple[float, float]]
    biased: np.ndarray  # its cost, (betas, without and with correction, epochs, alphas)

    def best(self, model: str, method: str) -> tuple[float, Any, float]:
        """The best rate of the grid, its cost by epoch, and in the end, the mean of the last tenth of the epochs."""
        costs = self.costs[model, method]
        end = costs[-max(1, len(costs) // 10) :].mean(0)
        k = int(np.argmin(end))
        return GRIDS[model][method][1][k], costs[:, k], float(end[k])


def experiment(quick: bool, progress: Any) -> Findings:
    costs = {}
    for model, grid in GRIDS.items():
        epochs = {"logistic regression": (6, 60), "network with dropout": (3, 100)}[model][not quick]
        for method, (optimizer, rates) in progress(grid.items(), desc=model):
            costs[model, method] = train(*COSTS[model], optimizer, (rates,), epochs, progress)
    betas = [(b1, b2) for b1 in (0.0, 0.9) for b2 in (0.99, 0.999, 0.9999)]
    alphas = 10.0 ** np.arange(-4, 0)
    if quick:
        betas, alphas = [(0.9, 0.9999)], 10.0 ** np.arange(-3, -1)
    switch = np.repeat([0.0, 1.0], len(alphas))
    biased = []
    for b1, b2 in progress(betas, desc="bias correction"):
        optimizer = lambda alpha, corrected, b1=b1, b2=b2: uncorrected(b1, b2, corrected)(alpha)
        found = train(vae_init, vae_cost, optimizer, (np.tile(alphas, 2), switch), 3 if quick else 30, progress)
        biased.append(np.moveaxis(found.reshape(len(found), 2, -1), 1, 0))
    return Findings(costs, alphas, betas, np.array(biased))


def table(found: Findings) -> str:
    rows: list[tuple] = [("cost, best rate of the grid", "rate", "epoch 1", "halfway", "in the end")]
    for model, method in found.costs:
        rate, curve, end = found.best(model, method)
        rows.append((f"{model}, {method}", f"{rate:g}", *(f"{cost:.4f}" for cost in (curve[0], curve[len(curve) // 2], end))))
    bias: list[tuple] = [("autoencoder: beta_1, beta_2, correction", "", *(f"alpha {alpha:g}" for alpha in found.alphas))]
    for (b1, b2), costs in zip(found.betas, found.biased, strict=True):
        for epoch, name in ((0, "epoch 1"), (-1, "last")):
            for correction, curves in zip(("without", "with"), costs, strict=True):
                cells = [f"{cost:.2f}" if cost < 1e3 else "diverged" for cost in curves[epoch]]
                bias.append((f"{b1:g}, {b2:g}, {correction}", name, *cells))
    return "\n".join([frame.aligned(rows), "", frame.aligned(bias)])


def check(found: Findings) -> None:
    for model in GRIDS:
        ends = {method: found.best(model, method)[2] for method in METHODS}
        worse = ends["Adam"] / min(ends.values())
        assert worse < 1.6, f"{model}: Adam ends at {worse:.2f} times the cost of the best method"
        if model == "network with dropout" and len(found.costs[model, "Adam"]) > 50:  # late enough to tell
            for method in ("SGD, Nesterov", "AdaGrad"):
                share = ends["Adam"] / ends[method]
                assert share < 0.9, f"{model}: Adam ends at {share:.2f} times the cost of {method}"
    for betas, (without, corrected) in zip(found.betas, found.biased, strict=True):
        assert np.isfinite(corrected).all(), f"beta_1, beta_2 = {betas}: diverges with bias correction"
        best = corrected[-1].min() / without[-1].min()
        assert best < 1.02, f"beta_1, beta_2 = {betas}: at the best alpha the cost with correction is {best:.2f} times that without"
        shaken = without[0, -1] / corrected[0, -1]
        assert betas[1] < 0.9999 or shaken > 2, f"betas {betas}: without correction the first epoch costs {shaken:.2f} times"


def draw(found: Findings, figure: Any) -> None:
    caption = "costs on digits, each method at its best rate; an autoencoder with bias correction (solid), without (dashed)"
    frame.heading(figure, "Adam, and what its bias correction is for", caption)
    logistic_axes, network_axes, first, last = frame.panels(figure, 4)
    for axes, model in ((logistic_axes, "logistic regression"), (network_axes, "network with dropout")):
        frame.style(axes, model.capitalize(), "epoch")
        for method, colour in zip(METHODS, (frame.MUTED, frame.PURPLE, frame.ORANGE, frame.BLUE), strict=True):
            rate, curve, _ = found.best(model, method)
            axes.semilogy(np.arange(1, len(curve) + 1), curve, color=colour, linewidth=1.6, label=f"{method}, {rate:g}")
        frame.legend(axes)
    count = found.biased.shape[2]
    for axes, epoch, name in ((first, 0, "1"), (last, -1, f"{count}")):
        frame.style(axes, f"Autoencoder, epoch {name}", "α")
        shown = [k for k, (b1, _) in enumerate(found.betas) if b1 == 0.9]
        for k, colour in zip(shown, (frame.GREEN, frame.PURPLE, frame.BLUE), strict=False):
            without, corrected = np.minimum(found.biased[k][:, epoch], 1e3)
            axes.semilogx(found.alphas, corrected, "o-", color=colour, markersize=4, label=f"β₂ = {found.betas[k][1]:g}")
            axes.semilogx(found.alphas, without, "s--", color=colour, markersize=4, alpha=0.8)
        bottom = found.biased[:, 1, epoch].min()
        axes.set_ylim(0.9 * bottom, 1.2 * found.biased[:, 1, epoch].max())
    frame.legend(first, loc="upper left")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
