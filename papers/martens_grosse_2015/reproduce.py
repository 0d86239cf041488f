"""K-FAC: Kronecker products for the Fisher matrix, whose inverse then is one of small matrices (Martens & Grosse 2015).

    z_l = W_l abar_(l-1),    abar = (a, 1),    a_l = tanh(z_l),    g_l = d (-log p) / d z_l
    F_ij = E[abar_(i-1) abar_(j-1)^T kron g_i g_j^T] ~ A_(i-1)(j-1) kron G_ij,    (A kron G)^-1 = A^-1 kron G^-1

On a small classifier all of this is compared with the exact matrix: the approximation F~, its inverse, which is nearly block-
tridiagonal, and what a block-diagonal F_d and an F_t with a block-tridiagonal inverse lose (fisher.py).  On a deep autoencoder
`kfac`, which uses F_d, is compared with gradient descent with momentum and with Adam.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad.optimize import Solver, adam, kfac, sgd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import fisher
import frame
from autoencoder import Steps, autoencoder, batches, digits, entropy, first_order, follow
from fisher import LAMBDAS, adam_way, linear_errors, look

SIZES = (64, 48, 32, 16, 8, 16, 32, 48, 64)  # of the autoencoder: pixels, encoder, code, decoder, pixels
LARGE, SMALL = 250, 100  # images in a batch; K-FAC has large ones
METHODS = {"SGD": lambda rate: sgd(rate, momentum=0.9, nesterov=True), "Adam": adam}
RATES = {"SGD": (0.5, 1.0, 2.0, 4.0), "Adam": (0.003, 0.01, 0.03)}  # tried for each size of batch
DAMPING = 0.1  # the first lambda of K-FAC
STEPS, LONGER = 300, 10  # of K-FAC; steps with small batches, for each of K-FAC's, in its time or more

initialize, model, f = autoencoder(SIZES)


@dataclass(frozen=True)
class Run:
    """One training of the autoencoder."""

    name: str
    rate: float
    batch: int
    steps: np.ndarray
    seconds: np.ndarray  # of processor time
    excess: np.ndarray  # f of all training images above their entropy
    test: float  # the same of the test images, at the end

    def after(self, steps: int) -> float:
        return float(self.excess[self.steps.searchsorted(steps)])

    def at(self, moment: float) -> float:
        return float(np.interp(moment, self.seconds, self.excess))


@dataclass(frozen=True)
class Findings:
    points: np.ndarray  # steps of training the classifier, at which was looked
    single: tuple[float, float]  # errors of a single linear layer
    errors: np.ndarray  # (points, layers) of the diagonal blocks
    inverses: np.ndarray  # (points, LAMBDAS, 2) errors of F_d^-1 and F_t^-1 as F~^-1
    kept: float  # how far F_t is from F~ on and beside the diagonal
    worth: dict[str, np.ndarray]  # cosine and gain: (points, LAMBDAS, 4) of the directions by F_d, F_t, F~, and the gradient
    sizes: np.ndarray  # (points, LAMBDAS, 4, layers, layers) of the blocks of F, F~, F^-1 and F~^-1
    steps: int  # of K-FAC
    runs: dict[str, Run]  # the best of the rates
    starts: list[dict[str, float]]  # where they end from each start, in the same time


def classifier(quick: bool, progress: Any) -> dict[str, Any]:
    """The part of the findings that is about matrices."""
    from sklearn.datasets import load_digits

    (images, labels), (count, steps) = load_digits(return_X_y=True), (300, 40) if quick else (1000, 200)
    x, labels = (images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16) / 16)[:count], labels[:count]
    points = np.linspace(0, steps, 2 if quick else 9).astype(int)
    way = adam_way(fisher.initialize(np.random.default_rng(0)), x, labels, points)
    errors, looks = zip(*(look(params, x, labels) for params in progress(way, desc="Fisher", total=len(points))), strict=True)
    every = lambda what: np.array([[getattr(damped, what) for damped in damping] for damping in looks])
    worth = {"cosine with": every("cosines"), "gain, of that of": every("gains")}
    return {
        "points": points, "single": linear_errors(x), "errors": np.array(errors), "inverses": every("errors"),
        "kept": float(every("kept").max()), "worth": worth, "sizes": every("sizes"),
    }  # fmt: skip


def second_order(solver: Solver, theta: Any, images: Any, batch: int) -> Steps:
    state = None
    for step, x in enumerate(batches(images, batch)):
        state = state or solver.init(theta, x, x)
        yield state.params, step
        state = solver.update(state, x, x)


def training(quick: bool, progress: Any) -> dict[str, Any]:
    """The part that is about the autoencoder."""
    images, (count, steps, large, small) = digits(), (300, 120, 100, 50) if quick else (1500, STEPS, LARGE, SMALL)
    train, test, below = images[:count], images[count:], entropy(images[:count])
    limits = {large: 2 * steps, small: (1 if quick else LONGER) * steps}

    def run(name: str, steps: int, rate: float, batch: int, way: Callable[..., Steps], seed: int = 0) -> Run:
        there = way(initialize(np.random.default_rng(seed)), train, batch)
        theta, rows = follow(there, lambda theta: f(theta, train) - below, steps, every=max(1, steps // 50))
        return Run(name, rate, batch, *rows, float(f(theta, test)) - entropy(test))

    def natural(name: str, momentum: bool = True, seed: int = 0) -> Run:
        solver = kfac(model, "bernoulli", damping=DAMPING, momentum=momentum)
        return run(name, steps, DAMPING, large, lambda *given: second_order(solver, *given), seed)

    def descent(name: str, rate: float, batch: int, seed: int = 0) -> Run:
        way = lambda *given: first_order(f, METHODS[name](rate), *given)
        return run(f"{name}, {batch} images", limits[batch], rate, batch, way, seed)

    names = ("K-FAC",) if quick else ("K-FAC", "K-FAC, no momentum")
    runs = {name: natural(name, name == "K-FAC") for name in progress(names, desc="K-FAC")}
    todo = [(name, rate, batch) for batch in limits for name, rates in RATES.items() for rate in (rates[1:2] if quick else rates)]
    for trial in (descent(*each) for each in progress(todo, desc="first order")):
        runs[trial.name] = min(trial, runs.get(trial.name, trial), key=lambda run: run.excess[-1])
    raced = [each for each in runs.values() if each.batch == small]
    starts = [same_time([runs["K-FAC"], *raced])]
    for seed in progress(() if quick else (1, 2), desc="other starts"):
        again = [descent(each.name.split(",")[0], each.rate, small, seed) for each in raced]
        starts.append(same_time([natural("K-FAC", seed=seed), *again]))
    return {"steps": steps, "runs": runs, "starts": starts}


def same_time(runs: list[Run]) -> dict[str, float]:
    """Where each is when the first of them ends."""
    end = min(run.seconds[-1] for run in runs)
    return {run.name: run.at(end) for run in runs}


def experiment(quick: bool, progress: Any) -> Findings:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    with threadpool_limits(1):  # threads that wait for work spin, and on a busy machine more than double the processor time
        return Findings(**classifier(quick, progress), **training(quick, progress))


# ---- what was found --------------------------------------------------------------------------------------------------

span = lambda values: f"{values.min():.2f} to {values.max():.2f}"
ahead = lambda ours, theirs: f"{np.sum(ours > theirs)} of {len(ours)}"


def off_diagonal(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the blocks of neighbouring layers, and of those further apart."""
    i, j = np.indices(sizes.shape[-2:])
    return sizes[..., abs(i - j) == 1].mean(-1), sizes[..., abs(i - j) > 1].mean(-1)


def table(found: Findings) -> str:
    rows: list[tuple] = [("classifier of 4 by 4 digits", "paper", "F_d, as K-FAC", "F_t", "F~", "gradient", "F_d > g", "F_t > F_d")]
    for what, error in zip(("Gaussian", "softmax, one example"), found.single, strict=True):
        rows.append((f"error of F~, one linear layer, {what}", "exact", "", "", f"{error:.0e}", "", "", ""))
    for k, errors in enumerate(found.errors.T):
        rows.append((f"error of F~_ll, layer {k + 1}", "", "", "", span(errors), "", "", ""))
    rows.append(("error of F_t as F~, on and beside the diagonal", "exact", "", f"{found.kept:.0e}", "", "", "", ""))
    for k, value in enumerate(LAMBDAS):
        ours, theirs = found.inverses[:, k].T
        name = f"error of the inverse as F~^-1, lambda = {value:g}"
        rows.append((name, "", span(ours), span(theirs), "", "", "", ahead(-theirs, -ours)))
    for measure, worth in found.worth.items():
        for k, value in enumerate(LAMBDAS):
            diagonal, beside, _, plain = each = worth[:, k].T
            name = f"{measure} the natural gradient, lambda = {value:g}"
            rows.append((name, "", *map(span, each), ahead(diagonal, plain), ahead(beside, diagonal)))
    sizes = [("entries of a block, those of the diagonal being 1", "F", "F~", "F^-1", "F~^-1")]
    for k, value in enumerate(LAMBDAS):
        beside, apart = off_diagonal(found.sizes[:, k])
        sizes.append((f"layers l, l + 1, lambda = {value:g}", *map(span, beside.T)))
        sizes.append((f"layers further apart, lambda = {value:g}", *map(span, apart.T)))
    header = "autoencoder of digits|rate|at K-FAC's steps|steps|in the end|of test images|seconds|in equal time, by start"
    trained = [tuple(header.split("|"))]
    for run in found.runs.values():
        early = f"{run.after(found.steps):.4f}" if run.batch == found.runs["K-FAC"].batch else ""
        starts = " ".join(f"{start[run.name]:.4f}" for start in found.starts if run.name in start)
        ends = f"{run.steps[-1]:.0f}", f"{run.excess[-1]:.4f}", f"{run.test:.4f}", f"{run.seconds[-1]:.1f}"
        trained.append((run.name, f"{run.rate:g}", early, *ends, starts))
    return "\n\n".join(map(frame.aligned, (rows, sizes, trained)))


def check(found: Findings) -> None:
    assert max(found.single) < 1e-10, f"of one linear layer F~ is off by {found.single}"
    assert found.kept < 1e-6, f"on and beside the diagonal F_t is off F~ by {found.kept:.0e}"
    ratio = np.max(found.inverses[..., 1] / found.inverses[..., 0])
    assert ratio < 0.8, f"the block-tridiagonal inverse is off by {ratio:.2f} of what the block-diagonal one is off"
    there, gone = off_diagonal(found.sizes)[1][..., [1, 3]].T
    assert np.all(gone < there / 2), f"beyond neighbours the blocks of F~ are {there}, those of its inverse still {gone}"
    ours, plain = found.worth["cosine with"][:, 0, [0, 3]].T
    assert np.all(ours > plain), f"the cosines of K-FAC are {ours}, those of the gradient {plain}"
    end = found.runs["K-FAC"].excess[-1]
    for run in found.runs.values():
        if run.name.startswith(tuple(METHODS)) and run.batch == found.runs["K-FAC"].batch:
            assert end < run.excess[-1], f"K-FAC ends at {end:.4f}, {run.name}, after twice the steps at {run.excess[-1]:.4f}"


def draw(found: Findings, figure: Any) -> None:
    figure.set_size_inches(11.5, 7.1)
    middle, (small, deep) = len(found.points) // 2, ("-".join(map(str, sizes)) for sizes in (fisher.SIZES, SIZES))
    above = f"above: mean size of a block's entries, on the diagonal 1; classifier {small}, lambda = {LAMBDAS[1]:g}"
    frame.heading(figure, "Kronecker-factored curvature", f"{above}; loss above entropy: autoencoder {deep}")
    blocks = figure.add_gridspec(1, 4, left=0.05, right=0.985, top=0.86, bottom=0.5, wspace=0.24)
    titles = "F, exact", "F~, of Kronecker products", "inverse of F", "inverse of F~"
    for cell, title, sizes in zip(blocks, titles, found.sizes[middle, 1], strict=True):
        axes = figure.add_subplot(cell)
        frame.style(axes, title)
        axes.grid(visible=False)
        axes.imshow(sizes, cmap="GnBu", vmin=0, vmax=1.5)
        for (i, j), size in np.ndenumerate(sizes):
            axes.text(j, i, f"{size:.2f}", ha="center", va="center", size=8.5, color="white" if size > 0.9 else frame.INK)
        axes.set_xticks(range(len(sizes)), [f"layer {k + 1}" for k in range(len(sizes))], size=7.5)
        axes.set_yticks(range(len(sizes)), [f"{k + 1}" for k in range(len(sizes))], size=7.5)
    below = figure.add_gridspec(1, 3, left=0.05, right=0.985, top=0.4, bottom=0.07, wspace=0.2)
    gain, by_step, by_time = (figure.add_subplot(cell) for cell in below)
    frame.style(gain, "Gain, natural gradient = 1", "step of training the classifier")
    names = "F_d, as K-FAC", "F_t, tridiagonal inverse", "F~", "gradient"
    colours = frame.BLUE, frame.GREEN, frame.MUTED, frame.ORANGE
    for name, colour, values in zip(names, colours, found.worth["gain, of that of"][:, 1].T, strict=True):
        gain.plot(found.points, values, "o-", color=colour, markersize=4, label=name)
    gain.set_ylim(0, 1.3)
    frame.legend(gain, loc="upper right", ncols=2)
    large = found.runs["K-FAC"].batch
    frame.style(by_step, f"Loss, {large} images a step", "step")
    frame.style(by_time, "Loss by time", "seconds of processor time")
    by_name = {"K-FAC": frame.BLUE, "K-FAC, no momentum": frame.GREEN, "SGD": frame.ORANGE, "Adam": frame.PURPLE}
    for name, run in found.runs.items():
        look = {"color": by_name.get(name) or by_name[name.split(",")[0]], "label": name}
        if run.batch == large:
            by_step.semilogy(run.steps, run.excess, **look)
        if run.batch != large or name.startswith("K-FAC"):
            by_time.semilogy(run.seconds, run.excess, **look)
    for axes in (by_step, by_time):
        axes.set_yticks((0.03, 0.05, 0.1, 0.2, 0.5), ("0.03", "0.05", "0.1", "0.2", "0.5"))
        axes.minorticks_off()
        frame.legend(axes, loc="upper right")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
