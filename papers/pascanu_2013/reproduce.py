"""Gradients of recurrent networks vanish or explode geometrically; clipping their norm lets them learn (Pascanu et al. 2013).

    dx_t / dx_k = prod_(k < i <= t) dx_i / dx_(i-1),   dx_i / dx_(i-1) = W_rec^T diag(sigma')          equation 5
    |dx_i / dx_(i-1)| <= lambda_1 gamma,   so   |dx_t / dx_k| <= (lambda_1 gamma)^(t-k)                equations 6 and 7
    g <- g threshold / |g|   where   |g| >= threshold                                                   algorithm 1

lambda_1 is the largest singular value of W_rec, rho its spectral radius, gamma = 1 the largest slope of tanh.
"""
from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import grad, jacobian, tree, value_and_grad, vmap
from dualgrad.models import cross_entropy, rnn, rnn_cell, unroll
from dualgrad.optimize import Optimizer, apply_updates, chain, clip_by_global_norm, global_norm, sgd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame

UNITS, BATCH, THRESHOLD, RATE = 50, 20, 1.0, 0.1
cell, network = rnn_cell(6, UNITS), rnn(6, UNITS)

# ---- the temporal order problem ---------------------------------------------------------------------------------------


def sequences(rng: Any, count: int, length: int) -> tuple[Any, Any]:
    """One-hot symbols u of shape (length, count, 6), and which of AA, AB, BA, BB stands among the distractors c, d, e, f."""
    symbols = rng.integers(2, 6, (length, count))
    order, tenth = rng.integers(2, size=(2, count)), length // 10
    for start, letter in zip((tenth, 4 * length // 10), order, strict=True):
        symbols[start + rng.integers(tenth, size=count), np.arange(count)] = letter
    return np.eye(6, dtype=np.float32)[symbols], 2 * order[0] + order[1]


def start(rng: Any) -> dict[str, Any]:
    """The paper's "basic tanh": all weights normal of deviation 0.1, all biases zero."""
    shapes = {"input_weight": (6, UNITS), "state_weight": (UNITS, UNITS), "output_weight": (UNITS, 4)}
    weights = {name: rng.normal(0.0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    return {**weights, "bias": np.zeros(UNITS, np.float32), "output_bias": np.zeros(4, np.float32)}


def read_out(params: Any, state: Any) -> Any:
    return state @ params["output_weight"] + params["output_bias"]


def loss(params: Any, u: Any, order: Any) -> Any:
    """The cost E of the answer at the end of the sequence."""
    return cross_entropy(read_out(params, network.apply(params, u)[-1]), order)


def stacked(trees: list) -> Any:
    return tree.map(lambda *leaves: np.stack(leaves), *trees)


def train(optimizers: list[Optimizer], length: int, seeds: int, steps: int, progress: Any) -> tuple[list, Any, Any]:
    """Networks of all optimizers and seeds, side by side: a list of parameters, losses and norms (optimizers, steps, seeds)."""
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    params = [stacked([start(rng) for rng in rngs])] * len(optimizers)
    states = [vmap(optimizer.init)(params[0]) for optimizer in optimizers]
    slope, norm, history = vmap(vmap(value_and_grad(loss)), in_axes=(0, None, None)), vmap(vmap(global_norm)), []
    for _ in progress(range(steps), desc=f"length {length}", leave=False):
        u, order = map(np.stack, zip(*(sequences(rng, BATCH, length) for rng in rngs), strict=True))
        value, gradient = slope(stacked(params), u, order)
        history.append((value, norm(gradient)))
        for k, optimizer in enumerate(optimizers):
            own = tree.map(lambda g, k=k: g[k], gradient)
            updates, states[k] = vmap(optimizer.update)(own, states[k])
            params[k] = apply_updates(params[k], updates)
    return params, *np.transpose(history, (1, 2, 0, 3))


def mistakes(params: Any, length: int, count: int) -> Any:
    """The share of misclassified sequences among fresh ones, for each seed."""
    answer = vmap(lambda params, u: read_out(params, network.apply(params, u)[-1]), in_axes=(0, None))
    fresh = [sequences(np.random.default_rng([1, part]), 1000, length) for part in range(count // 1000)]
    return np.mean([np.mean(np.argmax(answer(params, u), -1) != order, -1) for u, order in fresh], 0)


# ---- how far errors travel --------------------------------------------------------------------------------------------


def transported(radius: float, distance: int, inputs: float) -> tuple[Any, float]:
    """|dx_t / dx_k| for t - k = 1, ..., distance at a random W_rec of this spectral radius, and its lambda_1."""
    rng = np.random.default_rng(0)
    recurrent = rng.normal(size=(UNITS, UNITS))
    recurrent *= radius / np.max(np.abs(np.linalg.eigvals(recurrent)))
    params = {"input_weight": rng.normal(size=(6, UNITS)), "state_weight": recurrent, "bias": np.zeros(UNITS)}
    u = inputs * rng.normal(size=(distance, 6))
    reached = lambda x, gap: unroll(cell, params, u[:gap], x)[1]
    norms = [np.linalg.norm(jacobian(reached)(np.zeros(UNITS), gap), 2) for gap in range(1, distance + 1)]
    return np.array(norms), float(np.linalg.norm(recurrent, 2))


def error_signals(params: Any, u: Any, order: Any) -> Any:
    """|dE / dx_k| for k = 1, ..., T: all in one reverse sweep, as derivatives by nudges that are added to the states."""

    def nudged(nudges: Any) -> Any:
        state = np.zeros_like(nudges[0])
        for symbol, nudge in zip(u, nudges, strict=True):
            state = cell.step(params, state, symbol)[0] + nudge
        return cross_entropy(read_out(params, state), order)

    signals = grad(nudged)(np.zeros((*u.shape[:2], UNITS), np.float32))
    return np.sqrt(np.sum(signals**2, axis=(1, 2)))


# ---- the experiment ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    radii: np.ndarray  # rho of W_rec
    singular: np.ndarray  # its lambda_1
    linear: np.ndarray  # |dx_t / dx_k| without inputs, where the network is linear; (radii, distances)
    driven: np.ndarray  # the same with inputs
    settings: list[tuple[int, float]]  # length of the sequences, learning rate
    error: np.ndarray  # share of mistakes, (settings, without and with clipping, seeds)
    norms: np.ndarray  # norms of the gradient in the setting shown, (without and with clipping, steps, seeds)
    losses: np.ndarray  # and the losses
    radius: np.ndarray  # spectral radius before and after training with clipping, (2, seeds)
    signals: np.ndarray  # |dE / dx_k| before and after training with clipping, (2, length)

    @property
    def solved(self) -> Any:
        """How many seeds solved the problem, less than 1 % mistakes: (settings, without and with clipping)."""
        return np.sum(self.error < 0.01, axis=-1)


def experiment(quick: bool, progress: Any) -> Findings:
    radii, distance = np.array([0.5, 0.9, 1.1, 1.5]), 12 if quick else 50
    linear, singular = zip(*(transported(radius, distance, 0.0) for radius in radii), strict=True)
    driven = [transported(radius, distance, 0.5)[0] for radius in radii]

    seeds, steps, fresh, shown = (4, 250, 2000, 10) if quick else (5, 1500, 10_000, 20)
    plan = {10: (0.3,)} if quick else {10: (RATE,), 15: (RATE,), 20: (RATE, 0.03, 0.3), 25: (RATE,)}  # length: rates
    settings, errors = [], []
    for length, rates in progress(plan.items(), desc="training"):
        plain = [sgd(rate) for rate in rates]
        clipped = [chain(clip_by_global_norm(THRESHOLD), descent) for descent in plain]
        params, losses, norms = train([*plain, *clipped], length, seeds, steps, progress)
        wrong = [mistakes(trained, length, fresh) for trained in params]
        settings += [(length, rate) for rate in rates]
        errors += list(zip(wrong[: len(rates)], wrong[len(rates) :], strict=True))
        if length == shown:
            pair = slice(None, None, len(rates))  # the first rate, without and with clipping
            losses_shown, norms_shown = losses[pair], norms[pair]
            both = stacked([start(np.random.default_rng(seed)) for seed in range(seeds)]), params[len(rates)]
            radius = [np.max(np.abs(np.linalg.eigvals(weights["state_weight"])), -1) for weights in both]
            batch = sequences(np.random.default_rng(2), BATCH, length)
            signals = [np.mean(vmap(error_signals, in_axes=(0, None, None))(weights, *batch), 0) for weights in both]
    return Findings(
        radii, np.array(singular), np.array(linear), np.array(driven), settings, np.array(errors),
        norms_shown, losses_shown, np.array(radius), np.array(signals),
    )


def table(found: Findings) -> str:
    rows: list[tuple] = [("length", "rate", "solved, clipped", "solved, not", "mistakes, clipped", "mistakes, not")]
    for (length, rate), (plain, clipped), error in zip(found.settings, found.solved, found.error, strict=True):
        counts = [f"{solved} of {error.shape[1]}" for solved in (clipped, plain)]
        rows.append((length, f"{rate:g}", *counts, *(f"{np.median(shares):.1%}" for shares in error[::-1])))
    norms: list[tuple] = [("norm of dx_t / dx_k", "lambda_1", "t - k", "bound", "without inputs", "rho^(t-k)", "with inputs")]
    for rho, one, linear, driven in zip(found.radii, found.singular, found.linear, found.driven, strict=True):
        for gap in (1, 10, len(linear)):
            values = one**gap, linear[gap - 1], rho**gap, driven[gap - 1]
            norms.append((f"rho = {rho:g}", f"{one:.2f}", gap, *(f"{value:.1e}" for value in values)))
    before, after = found.radius.mean(1)
    kept = found.signals[:, 0] / found.signals[:, -1]
    largest = found.norms.max((1, 2))
    return "\n".join([
        frame.aligned(rows), "", frame.aligned(norms), "",
        f"spectral radius of W_rec, trained with clipping: {before:.2f} before, {after:.2f} after",
        f"|dE/dx_1| / |dE/dx_T|: {kept[0]:.1e} before, {kept[1]:.1e} after",
        f"largest norm of the gradient while training: {largest[0]:.0f} without clipping, {largest[1]:.0f} with, before clipping",
    ])


def check(found: Findings) -> None:
    gaps = np.arange(1, found.linear.shape[1] + 1)
    bound = found.singular[:, None] ** gaps
    for norms in (found.linear, found.driven):
        assert (norms <= bound * (1 + 1e-9)).all(), f"a norm exceeds its bound lambda_1^(t-k) by {np.max(norms / bound):.6f}"
    half = len(gaps) // 2
    pace = (found.linear[:, -1] / found.linear[:, half - 1]) ** (1 / (len(gaps) - half))
    assert np.allclose(pace, found.radii, rtol=0.1), f"without inputs norms change by {pace} a step, not by rho = {found.radii}"
    assert found.driven[0, -1] < 1e-2 * found.driven[0, 0], f"lambda_1 = {found.singular[0]:.2f} < 1, but errors do not vanish"
    plain, clipped = found.solved.T
    seeds = found.error.shape[2]
    assert (clipped >= plain).all(), f"clipping solves {clipped} of {seeds}, no clipping {plain}, in the settings {found.settings}"
    assert np.max((clipped == seeds) * (clipped - plain)) > seeds / 2, f"clipping makes no difference: {clipped} against {plain}"
    spike = found.norms[0].max() / np.median(found.norms[0])
    assert spike > 5, f"the largest gradient is only {spike:.1f} times the median"
    before, after = found.radius
    assert (after > before).all(), f"the spectral radius does not grow with memory: {before} to {after}"
    kept = found.signals[:, 0] / found.signals[:, -1]
    assert kept[1] > 3 * kept[0], f"the trained network carries errors no further: {kept}"


def draw(found: Findings, figure: Any) -> None:
    frame.heading(figure, "Clip the gradient's norm, and the recurrent network learns", "temporal order problem, 50 tanh units")
    norms, gradients, losses, success = frame.panels(figure, 4, width_ratios=[1.2, 1.2, 1, 0.9])
    frame.style(norms, "Norm of ∂x_t/∂x_k", "distance t − k   (dashed: bound, dotted: with inputs)")
    gaps = np.arange(1, found.linear.shape[1] + 1)
    for k, colour in enumerate((frame.PURPLE, frame.BLUE, frame.GREEN, frame.ORANGE)):
        norms.semilogy(gaps, found.linear[k], color=colour, label=f"ρ = {found.radii[k]:g}")
        norms.semilogy(gaps, found.driven[k], ":", color=colour)
        norms.semilogy(gaps, found.singular[k] ** gaps, "--", color=colour, linewidth=0.8, alpha=0.6)
    norms.set_ylim(1e-14, 1e24)
    frame.legend(norms, loc="upper left", ncols=2)
    frame.style(gradients, "Norm of the gradient", "update")
    frame.style(losses, "Loss of the same seed", "update")
    clearest = np.argmax(found.norms[0].max(0))
    for row, colour, label in ((0, frame.ORANGE, "not clipped"), (1, frame.BLUE, "clipped")):
        gradients.semilogy(found.norms[row, :, clearest], color=colour, linewidth=0.6, label=label)
        smooth = np.convolve(found.losses[row, :, clearest], np.ones(20) / 20, mode="valid")
        losses.semilogy(smooth, color=colour, linewidth=1.5, label=label)
    gradients.axhline(THRESHOLD, color=frame.INK, linewidth=0.8, linestyle="--")
    common = found.settings[0][1]
    frame.style(success, f"Seeds that solve it, of {found.error.shape[2]}", "length of the sequences")
    for row, colour, label in ((1, frame.BLUE, "clipped"), (0, frame.ORANGE, "not clipped")):
        pairs = zip(found.settings, found.solved[:, row], strict=True)
        lengths, solved = zip(*((length, solved) for (length, rate), solved in pairs if rate == common), strict=True)
        success.plot(lengths, solved, "o-", color=colour, label=label)
        success.set_xticks(lengths)
    success.set_ylim(-0.3, found.error.shape[2] * 1.3)
    frame.legend(losses, loc="lower left")
    frame.legend(success, loc="upper right")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
