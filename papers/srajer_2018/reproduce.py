"""A gradient takes a small multiple of its objective, whatever the number n of variables, where finite differences take n + 1;
a Jacobian whose structure is used takes time linear in the observations (Šrajer, Kukelova and Fitzgibbon 2018: ADBench).

    relative run time = time of the derivative / time of the objective            their measure, for every tool, problem and size

    GMM     L(alpha, mu, Q, L) of equation (5)                   a gradient, n = K (1 + D + D (D + 1) / 2): reverse mode
    BA      e = [w (m - project(p, x)); 1 - w^2]                 residuals know nothing of each other: a block of 3 x 15 for each
    HAND    E = Y - Y'(p, U)                                     26 dense columns and a diagonal part in two: forward mode, seeds
    LSTM    a character model's loss, added to ADBench later     a gradient through a long chain
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import grad, jvp, tree, vjp, vmap

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame
from adbench import ba, data, gmm, hand, lstm
from counting import total

HAND, DUALGRAD, DIFFERENCES = "by hand", "dualgrad", "differences"
MOST = 4000  # evaluations of f; finite differences that need more are left out, as the paper stops a tool after 40 000 s

#: Seconds by hand (C++), by Tapenade (C, reverse mode), by finite differences (C++); tables 2 (10 000 points) and 4 of the paper.
PUBLISHED = {
    ("GMM", 30): (2.96e-3, 7.21e-3, 6.07e-2), ("GMM", 330): (1.12e-2, 3.35e-2, 1.58), ("GMM", 1_200): (0.104, 0.261, 77.2),
    ("GMM", 3_300): (0.111, 0.368, 142), ("GMM", 10_725): (0.359, 1.08, 864), ("GMM", 21_450): (0.790, 2.24, 3_230),
    ("GMM", 53_625): (2.08, 6.29, 20_800), ("BA", 31_843): (1.96e-2, 2.43e-2, 4.25e-2), ("BA", 204_472): (0.132, 0.155, 0.277),
}  # fmt: skip


# ---- the four problems -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Instance:
    problem: str
    size: int  # what grows: variables of GMM, observations of BA, correspondences of HAND, characters of LSTM
    n: int  # variables
    evaluations: int  # of f, by finite differences
    objective: Callable[[], Any]
    tools: dict[str, Callable[[], np.ndarray]]  # the derivative's entries
    program: tuple[Callable, Callable, tuple]  # f, its derivative, their inputs: for counting


def gmm_of(D: int, K: int, points: int = 1000) -> Instance:
    problem = data.make_gmm(D, K, points)
    at, known = (problem.alphas, problem.means, problem.icf), gmm.given(problem)
    log_posterior = lambda *at: gmm.log_posterior(*at, known)
    gradient, n = grad(log_posterior, argnums=(0, 1, 2)), tree.ravel(at)[0].size
    return gradient_of("GMM", n, log_posterior, gradient, lambda: gmm.gradient_by_hand(*at, known), at)


def lstm_of(layers: int, T: int) -> Instance:
    main, extra, state, sequence = data.make_lstm(layers, T)
    loss = lambda main, extra: lstm.loss(main, extra, state, sequence)
    gradient, by_hand = grad(loss, argnums=(0, 1)), lambda: lstm.gradient_by_hand(main, extra, state, sequence)
    return gradient_of("LSTM", T, loss, gradient, by_hand, (main, extra))


def gradient_of(problem: str, size: int, f: Callable, gradient: Callable, by_hand: Callable, at: tuple) -> Instance:
    x, unravel = tree.ravel(at)
    flat, by_differences = lambda parts: tree.ravel(parts)[0], lambda: differences(lambda x: f(*unravel(x)), x, range(x.size))
    tools = {HAND: lambda: flat(by_hand()), DUALGRAD: lambda: flat(gradient(*at)), DIFFERENCES: by_differences}
    return Instance(problem, size, x.size, x.size + 1, lambda: f(*at), tools, (f, gradient, at))


def ba_of(cameras: int, points: int, p: int) -> Instance:
    problem = data.make_ba(cameras, points, p)
    features, one, pattern = ba.observed(problem).features, np.ones(p), ba.Pattern(problem)
    e = lambda cameras, points, w: (*ba.project(cameras, points, w, features), 1 - w**2)

    def inputs() -> tuple:
        seen = ba.observed(problem)
        return tuple(seen.cameras), tuple(seen.points), seen.weights

    def blocks(*inputs: Any) -> list:
        """A row of all blocks at once for each of the three residuals."""
        _, pullback = vjp(e, *inputs)
        return [pullback((one, None, None)), pullback((None, one, None)), pullback((None, None, one))]

    def by_differences() -> np.ndarray:
        """A column of all blocks at once for each of the 15 inputs."""
        x = np.vstack([*inputs()[0], *inputs()[1], inputs()[2]])
        columns = differences(lambda x: np.array(e(x[:11], x[11:14], x[14])), x, range(ba.BLOCK))
        return entries([(columns[:11, a], columns[11:14, a], columns[14, a]) for a in range(3)])

    entries = lambda rows: pattern.matrix(rows[:2], rows[2][2]).data
    by_hand, by_pullbacks = lambda: ba.jacobian_by_hand(problem, pattern).data, lambda: entries(blocks(*inputs()))
    tools = {HAND: by_hand, DUALGRAD: by_pullbacks, DIFFERENCES: by_differences}
    return Instance("BA", p, pattern.shape[1], ba.BLOCK + 1, lambda: ba.residuals(problem), tools, (e, blocks, inputs()))


def hand_of(N: int, complicated: bool) -> Instance:
    problem = data.make_hand(N, complicated)
    known, seeds, at = hand.given(problem), hand.seeds(problem), hand.independents(problem)[: 1 + complicated]
    residuals = lambda theta, U=None: hand.residuals(theta, U, known)
    push = lambda f, x: vmap(lambda tangent: jvp(f, (x,), (tangent,))[1])

    def columns(theta: Any, U: Any = None) -> list:
        """The pushforwards of the seeds: of each of the 26 angles, and in two of all barycentric coordinates."""
        of_theta = push(lambda theta: residuals(theta, U), theta)(seeds[0])
        return [of_theta] if U is None else [of_theta, push(lambda U: residuals(theta, U), U)(seeds[1])]

    def by_differences() -> np.ndarray:
        x, unravel = tree.ravel(at)
        together = [slice(start, start + N) for start in range(26, x.size, N)]
        return hand.matrix([differences(lambda x: residuals(*unravel(x)), x, [*range(26), *together])])

    by_hand, by_pushforwards = lambda: hand.jacobian_by_hand(problem, known), lambda: hand.matrix(columns(*at))
    tools = {HAND: by_hand, DUALGRAD: by_pushforwards, DIFFERENCES: by_differences}
    name, n, evaluations = f"HAND, {'complicated' if complicated else 'simple'}", sum(map(np.size, at)), sum(map(len, seeds)) + 1
    return Instance(name, N, n, evaluations, lambda: residuals(*at), tools, (residuals, columns, at))


def differences(f: Callable, x: np.ndarray, groups: Sequence) -> np.ndarray:
    """(f(x + h d) - f(x)) / h for d = 1 in each group of elements that are moved together, h = sqrt(eps) of the largest."""
    value, columns = f(x), []
    for group in groups:
        moved, h = x.copy(), np.sqrt(np.finfo(float).eps) * max(1.0, np.abs(x[group]).max())
        moved[group] += h
        columns.append((f(moved) - value) / h)
    return np.array(columns)


# ---- the experiment --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    problem: str
    size: int
    n: int
    entries: int  # of the derivative
    operations: tuple[int, int]  # array operations of f and of its derivative
    objective: float  # seconds of processor time
    seconds: dict[str, float]  # of each tool
    errors: dict[str, float]  # relative, against by hand, of the worst column


@dataclass(frozen=True)
class Findings:
    rows: list[Measured]  # of one problem after the other, by size

    def of(self, problem: str) -> list[Measured]:
        return [row for row in self.rows if row.problem == problem]


def experiment(quick: bool, progress: Any) -> Findings:
    gmms = [(2, 5), (10, 5), (2, 200), (10, 50), (64, 5), (64, 10), (64, 25)]  # D, K of the paper
    bas = [(10, 1000, 5000), (49, 7776, 31_843), (372, 47_423, 204_472)]  # the first is ours
    hands, lstms = [100, 800, 3200], [64, 256, 1024]
    if quick:
        gmms, bas, hands, lstms = gmms[:2], [(5, 100, 1000), (10, 1000, 10_000)], [100, 400], [16, 64]
    make = [lambda s=s: gmm_of(*s) for s in gmms] + [lambda s=s: ba_of(*s) for s in bas]
    make += [lambda s=s, kind=kind: hand_of(s, kind) for kind in (False, True) for s in hands]
    make += [lambda s=s: lstm_of(2, s) for s in lstms]
    return Findings([measure(instance(), 0.1 if quick else 1.0) for instance in progress(make, desc="problems")])


def measure(instance: Instance, budget: float) -> Measured:
    """Medians of interleaved rounds, each tool's second call; of finite differences, which are many evaluations, the first."""
    clock = lambda run: (lambda start: (run(), time.process_time() - start))(time.process_time())
    f, derivative, at = instance.program
    tools, last, rounds = dict(instance.tools), {}, []
    by_differences = tools.pop(DIFFERENCES)
    answers = {name: tool() for name, tool in tools.items()}
    if instance.evaluations <= MOST:
        answers[DIFFERENCES], last[DIFFERENCES] = clock(by_differences)
    while len(rounds) < 3 or (len(rounds) < 25 and np.sum(rounds) < budget):
        rounds.append([(run(), clock(run)[1])[1] for run in (instance.objective, *tools.values())])
    objective, *medians = map(float, np.median(rounds, 0))
    norms, right = lambda entries: np.linalg.norm(entries, axis=0), answers[HAND]  # of columns, which differ in scale
    errors = {name: float(np.max(norms(found - right) / norms(right))) for name, found in answers.items()}
    seconds, counts = dict(zip(tools, medians, strict=True)) | last, (total(f, *at), total(derivative, *at))
    return Measured(instance.problem, instance.size, instance.n, right.size, counts, objective, seconds, errors)


def table(found: Findings) -> str:
    show = lambda number, form: "" if number is None else format(number, form)
    tools = (HAND, DUALGRAD, DIFFERENCES)
    rows: list[tuple] = [("derivative / objective", "size", "variables", "f, ms", *tools, "OPS", "error", "of differences")]
    for row in found.rows:
        relative = [show(row.seconds[tool] / row.objective if tool in row.seconds else None, ",.1f") for tool in tools]
        counted, errors = row.operations[1] / row.operations[0], [show(row.errors.get(tool), ".0e") for tool in tools[1:]]
        rows += [(row.problem, f"{row.size:,}", f"{row.n:,}", f"{row.objective * 1e3:.2f}", *relative, f"{counted:.2f}", *errors)]
    beside: list[tuple] = [("derivative / by hand", "size", "Tapenade, paper", DUALGRAD, "differences, paper", DIFFERENCES)]
    for row in found.rows:
        if published := PUBLISHED.get((row.problem, row.size)):
            ours = [show(row.seconds[tool] / row.seconds[HAND] if tool in row.seconds else None, ",.1f") for tool in tools[1:]]
            theirs = [f"{seconds / published[0]:,.1f}" for seconds in published[1:]]
            beside += [(row.problem, f"{row.size:,}", theirs[0], ours[0], theirs[1], ours[1])]
    return f"{frame.aligned(rows)}\n\n{frame.aligned(beside)}"


def check(found: Findings) -> None:
    for row in found.rows:
        where, error, coarse = f"{row.problem}, size {row.size:,}", row.errors[DUALGRAD], row.errors.get(DIFFERENCES)
        assert error < 1e-10, f"{where}: the derivative is off by {error:.1e}"
        assert coarse is None or 1e-10 < coarse < 1e-3, f"{where}: finite differences are off by {coarse:.1e}"
    for problem in {row.problem for row in found.rows}:
        ratios = [row.operations[1] / row.operations[0] for row in found.of(problem)]
        assert max(ratios) < 1.1 * min(ratios), f"{problem}: operations of the derivative in those of f grow with size: {ratios}"
    for problem in ("GMM", "LSTM"):
        *_, last = [row for row in found.of(problem) if DIFFERENCES in row.seconds]
        ratio = last.operations[1] / last.operations[0]
        assert ratio < 5, f"{problem}: a gradient takes {ratio:.1f} times the operations of f"
        gain = last.seconds[DIFFERENCES] / last.seconds[DUALGRAD]
        assert gain > 4, f"{problem}, {last.n:,} variables: finite differences take only {gain:.1f} times as long"
    small, *_, large = found.of("BA")
    assert small.entries / small.size == large.entries / large.size == 31, "BA: the Jacobian has not 31 entries per observation"
    growth = large.seconds[DUALGRAD] / small.seconds[DUALGRAD] * small.size / large.size
    assert growth < 6, f"BA: an observation takes {growth:.1f} times as long among {large.size:,} as among {small.size:,}"


def draw(found: Findings, figure: Any) -> None:
    figure.set_size_inches(12.5, 7.6)
    caption = "processor time against size, as in the paper: absolute above, in objectives below; all axes logarithmic"
    frame.heading(figure, "Derivatives of real problems, at a few times their objective", caption)
    place = {"left": 0.055, "right": 0.985, "top": 0.83, "bottom": 0.08, "wspace": 0.12, "hspace": 0.38}
    grid = figure.subplots(2, 4, sharey="row", gridspec_kw=place)
    looks = {"objective": (frame.MUTED, ":"), HAND: (frame.PURPLE, "o-")}
    looks |= {DUALGRAD: (frame.BLUE, "o-"), DIFFERENCES: (frame.ORANGE, "s-")}
    units = {"GMM": "variables", "BA": "observations", "HAND, complicated": "correspondences", "LSTM": "characters"}
    for k, (problem, unit) in enumerate(units.items()):
        rows, (absolute, relative) = found.of(problem), grid[:, k]
        for axes, title in ((absolute, f"{problem}: ms"), (relative, "derivative / objective")):
            frame.style(axes, title, unit)
            axes.minorticks_off()
        for tool, (colour, line) in looks.items():
            timed = [row for row in rows if tool == "objective" or tool in row.seconds]
            size = [row.size for row in timed]
            seconds = np.array([row.objective if tool == "objective" else row.seconds[tool] for row in timed])
            absolute.loglog(size, 1e3 * seconds, line, color=colour, markersize=4, label=tool)
            relative.loglog(size, seconds / [row.objective for row in timed], line, color=colour, markersize=4)
    frame.legend(grid[0, 2], loc="upper left")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
