"""Truncated Newton steps on the Gauss-Newton matrix train a deep autoencoder on which gradient descent is slow (Martens 2010).

    q(p) = f + grad f.p + p.B p / 2,    B = G + lambda I,    G = J^T H_L J       minimized by conjugate gradients, B never formed
    rho = (f(theta + p) - f(theta)) / (q(p) - q(0)):    lambda <- 3/2 lambda if rho < 1/4,    2/3 lambda if rho > 3/4      (4.1)
    CG ends when i > k, phi(x_i) < 0 and (phi(x_i) - phi(x_(i-k))) / phi(x_i) < k epsilon,    k = max(10, i / 10)          (4.4)
"""
from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import tree
from dualgrad.models import binary_cross_entropy
from dualgrad.optimize import Solver, adam, hessian_free, sgd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame
from autoencoder import Steps, autoencoder, digits, entropy, first_order, follow, squared_error

SIZES = (64, 32, 16, 8, 16, 32, 64)  # of the autoencoder: pixels, encoder, code, decoder, pixels
FIRST = 1e-2  # the first lambda of HF, not the best one
EPSILON = 5e-4  # the progress of CG below which it ends
BATCH = 100
METHODS = {"SGD": lambda rate: sgd(rate, momentum=0.9), "Adam": adam}
RATES = {"SGD": (0.3, 1.0, 3.0), "Adam": (0.003, 0.01, 0.03)}  # tried; the best is the middle one
MIDDLE = {name: rates[1:2] for name, rates in RATES.items()}

initialize, model, f = autoencoder(SIZES)


# ---- methods ---------------------------------------------------------------------------------------------------------
# The unit of what is spent is one evaluation of f, of its gradient, or of a product G v, for all images; for a batch it is the
# part that the batch is.


def second_order(solver: Solver, theta: Any, images: Any) -> Steps:
    state = solver.init(theta, images, images)
    while solver.done(state) is None:
        yield state.params, state.evaluations
        state = solver.update(state, images, images)


def held(solver: Solver, damping: float) -> Solver:
    """The same with lambda put back after each step."""
    return solver._replace(update=lambda state, *data: replace(solver.update(state, *data), search=damping, radius=damping))


def descent(name: str, rate: float, theta: Any, images: Any, batch: int) -> Steps:
    part = batch / len(images)
    return ((there, step * part) for there, step in first_order(f, METHODS[name](rate), theta, images, batch))


# ---- the experiment --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One method: what it spent, and where that brought it."""

    name: str
    spent: np.ndarray  # evaluations
    seconds: np.ndarray  # of processor time
    excess: np.ndarray  # f of all training images above their entropy
    squares: tuple[float, float]  # squared error at the end, of training and test images

    @property
    def end(self) -> float:
        return float(self.excess[-1])


@dataclass(frozen=True)
class Findings:
    budget: int  # evaluations
    images: tuple[int, int]  # to train with, to test with
    weights: int
    longer: Run  # HF with twice the budget
    adapted: dict[float, Run]  # HF by first lambda
    fixed: dict[float, Run]  # HF by lambda, held
    lengths: dict[int, Run]  # HF by iterations of CG, whatever the progress
    whole: dict[str, list[Run]]  # first order, all images in each step
    batches: dict[str, list[Run]]
    starts: dict[str, list[float]]  # where HF and the first order, all images, end from other first weights


def experiment(quick: bool, progress: Any) -> Findings:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    images = digits()
    count, budget = (200, 200) if quick else (1000, 500)
    with threadpool_limits(1):  # threads that wait for work spin, and on a busy machine more than double the processor time
        return compared(images[:count], images[count:], budget, quick, progress)


def compared(train: Any, test: Any, budget: int, quick: bool, progress: Any) -> Findings:
    start, below, count = initialize(np.random.default_rng(0)), entropy(train), len(train)

    def run(name: str, steps: Steps, limit: int = budget) -> Run:
        """Up to `limit` evaluations."""
        theta, rows = follow(steps, lambda there: f(there, train) - below, limit, every=4)
        return Run(name, *rows, (squared_error(model(theta, train), train), squared_error(model(theta, test), test)))

    def hf(name: str, damping: float = FIRST, hold: bool = False, limit: int = budget, theta: Any = start, **settings: Any) -> Run:
        solver = hessian_free(model, binary_cross_entropy, damping=damping, **{"progress": EPSILON, **settings})
        return run(name, second_order(held(solver, damping) if hold else solver, theta, train), limit)

    def descents(batch: int, rates: dict, theta: Any = start) -> dict[str, list[Run]]:
        todo = progress([(name, rate) for name in rates for rate in rates[name]], desc=f"first order, {batch} images a step")
        runs = [run(name, descent(name, rate, theta, train, batch)) for name, rate in todo]
        return {name: [each for each in runs if each.name == name] for name in rates}

    def another(seed: int) -> dict[str, float]:
        theta = initialize(np.random.default_rng(seed))
        runs = [hf("HF", theta=theta), *(best(group) for group in descents(count, MIDDLE, theta).values())]
        return {each.name: each.end for each in runs}

    dampings, lengths = ([1e-1, 1e-2], [250]) if quick else ([1e-1, 1e-2, 1e-3, 1e-4], [10, 250])
    starts = [another(seed) for seed in progress(() if quick else (1, 2), desc="other starts")]
    return Findings(
        budget,
        (count, len(test)),
        tree.ravel(start)[0].size,
        hf("HF", limit=2 * budget),
        {damping: hf(f"HF, lambda from {damping:g}", damping) for damping in progress(dampings, desc="HF, lambda adapted")},
        {damping: hf(f"HF, lambda = {damping:g}", damping, hold=True) for damping in progress(dampings, desc="HF, lambda fixed")},
        {k: hf(f"HF, {k} of CG", progress=0.0, cg_steps=k) for k in progress(lengths, desc="HF, CG of fixed length")},
        descents(count, MIDDLE if quick else RATES),
        descents(BATCH, MIDDLE if quick else RATES),
        {name: [ends[name] for ends in starts] for name in ("HF", *METHODS)},
    )


# ---- what was found --------------------------------------------------------------------------------------------------


def best(runs: list[Run]) -> Run:
    """The lowest in the end, of several rates."""
    return min(runs, key=lambda run: run.end)


def in_hf(found: Findings, name: str) -> np.ndarray:
    """Where a method of first order ends, all images in a step, in units of where HF does; from every start."""
    ends = [best(found.whole[name]).end, *found.starts[name]]
    return np.array(ends) / [found.adapted[FIRST].end, *found.starts["HF"]]


def table(found: Findings) -> str:
    raced = [found.longer, *(best(runs) for group in (found.whole, found.batches) for runs in group.values())]
    moment = min(run.seconds[-1] for run in raced)  # the first of them to end
    header = "autoencoder of digits,paper,above entropy,evaluations,seconds,at T,squared error,of test images"
    rows = [tuple(header.split(","))]

    def row(name: str, paper: str, run: Run) -> None:
        after = f"{np.interp(moment, run.seconds, run.excess):.4f}" if any(run is each for each in raced) else ""
        squares = [f"{error:.2f}" for error in run.squares]
        rows.append((name, paper, f"{run.end:.4f}", f"{run.spent[-1]:.0f}", f"{run.seconds[-1]:.1f}", after, *squares))

    for damping, run in found.adapted.items():
        row(f"HF, lambda from {damping:g}", "fits" if damping == FIRST else "", run)
    row("HF, twice the evaluations", "", found.longer)
    for damping, run in found.fixed.items():
        row(f"HF, lambda = {damping:g}", "", run)
    for count, run in found.lengths.items():
        row(f"HF, {count} iterations of CG", "", run)
    for size, group in (("all", found.whole), (BATCH, found.batches)):
        for name, runs in group.items():
            row(f"{name}, {size} images a step", "underfits" if (name, size) == ("SGD", "all") else "", best(runs))
    ratios = (f"{name} " + ", ".join(f"{ratio:.2f}" for ratio in in_hf(found, name)) for name in METHODS)
    note = f"T: {moment:.1f} s.  Above entropy from each start, all images a step, in that of HF: {'; '.join(ratios)}"
    return f"{frame.aligned(rows)}\n\n{note}"


def check(found: Findings) -> None:
    hf, descent = found.adapted[FIRST], best(found.whole["SGD"])
    sgd_ratios, adam_ratios = in_hf(found, "SGD"), in_hf(found, "Adam")
    assert (sgd_ratios > 1.15).all(), f"gradient descent with momentum ends at only {sgd_ratios} of HF"
    assert (adam_ratios > 0.75).all(), f"Adam on all images ends at {adam_ratios} of HF, which is far below it"
    assert hf.squares[1] < descent.squares[1], f"on test images HF is at {hf.squares[1]:.2f}, descent at {descent.squares[1]:.2f}"
    for damping in (1e-1, 1e-2):
        adapted, fixed = found.adapted[damping].end, found.fixed[damping].end
        assert adapted < fixed, f"from lambda = {damping:g} adapting it gives {adapted:.4f}, holding it {fixed:.4f}"
    longest = max(found.lengths)
    assert hf.end < found.lengths[longest].end, f"{longest} iterations of CG are as good as stopping by progress"


def draw(found: Findings, figure: Any) -> None:
    sizes = "-".join(map(str, SIZES))
    caption = f"cross-entropy of {found.images[0]} digits above their entropy; autoencoder {sizes}, {found.weights} weights"
    frame.heading(figure, "Hessian-free optimization of a deep autoencoder", caption)
    by_count, by_time, damping = frame.panels(figure, 3)
    runs = [
        ("HF", found.longer, frame.BLUE, "-"), ("SGD, all images", best(found.whole["SGD"]), frame.ORANGE, "-"),
        ("Adam, all images", best(found.whole["Adam"]), frame.PURPLE, "-"),
        (f"SGD, {BATCH} images", best(found.batches["SGD"]), frame.ORANGE, "--"),
        (f"Adam, {BATCH} images", best(found.batches["Adam"]), frame.PURPLE, "--"),
    ]  # fmt: skip
    frame.style(by_count, "Against evaluations", "evaluations of f, its gradient or G v")
    frame.style(by_time, "Against time", "seconds of processor time")
    for name, run, colour, line in runs:
        by_count.semilogy(run.spent, run.excess, line, color=colour, label=name)
        by_time.semilogy(run.seconds, run.excess, line, color=colour)
    by_count.set_xlim(0, found.budget)
    frame.legend(by_count, loc="upper right")
    frame.style(damping, "Damping: adapted or held", "first lambda")
    for name, group, colour in (("adapted", found.adapted, frame.BLUE), ("held", found.fixed, frame.ORANGE)):
        damping.loglog(list(group), [run.end for run in group.values()], "o-", color=colour, label=name)
    frame.legend(damping, loc="upper center")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
