"""Forward mode in chunks: n/k sweeps with k tangents at once, in memory for k, not n (Revels, Lubin & Papamarkou 2016).

    f(x + e_1 t_1 + ... + e_k t_k) = f(x) + sum over i of (df/dx t_i) e_i,    e_i e_j = 0

A chunk of one repeats the work on x n times, a chunk of n holds n times the memory; all give the same numbers.
"""
from __future__ import annotations

import math
import sys
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import grad, jacfwd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame


def rosenbrock(x: Any) -> Any:
    """Sum of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2."""
    return np.sum((1.0 - x[:-1]) ** 2 + 100.0 * (x[1:] - x[:-1] ** 2) ** 2)


def ackley(x: Any) -> Any:
    """-20 exp(-0.2 sqrt(mean x^2)) - exp(mean cos 2 pi x) + 20 + e."""
    mean_square, mean_cosine = np.sum(x * x) / x.size, np.sum(np.cos(2.0 * np.pi * x)) / x.size
    return -20.0 * np.exp(-0.2 * np.sqrt(mean_square)) - np.exp(mean_cosine) + 20.0 + np.e


FUNCTIONS = {"Rosenbrock": rosenbrock, "Ackley": ackley}
# Seconds for Rosenbrock's gradient, n = 10,000, by chunk size: ForwardDiff.jl's manual, Configuring Chunk Size.
PUBLISHED = {1: 0.775139, 4: 0.386459, 10: 0.282529}


@dataclass(frozen=True)
class Curve:
    """One function, by chunk size."""

    sweeps: np.ndarray  # evaluations of f
    seconds: np.ndarray
    peak: np.ndarray  # memory, in vectors of n
    error: np.ndarray  # against reverse mode, relative
    change: np.ndarray  # against the first chunk size, relative
    reverse: float  # seconds of the gradient in reverse mode


@dataclass(frozen=True)
class Findings:
    n: int
    chunks: np.ndarray
    curves: dict[str, Curve]


def experiment(quick: bool, progress: Any) -> Findings:
    n, chunks = (100, [1, 4, 10, 20, 100]) if quick else (2000, [1, 2, 4, 10, 20, 50, 100, 200, 500, 2000])
    x = np.random.default_rng(0).random(n)
    curves = {}
    for name, f in FUNCTIONS.items():
        right, first, rows = grad(f)(x), None, []
        for k in progress(chunks, desc=name):
            seconds = clock(jacfwd(f, chunk_size=k), x, 3)
            sweeps, most, found = swept(f, x, k)
            first = found if first is None else first
            rows.append((sweeps, seconds, most, off(found, right), off(found, first)))
        curves[name] = Curve(*np.array(rows).T, clock(grad(f), x, 9))
    return Findings(n, np.array(chunks), curves)


def clock(gradient: Any, x: Any, rounds: int) -> float:
    """Processor time, the median."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        gradient(x)
        times.append(time.process_time() - start)
    return float(np.median(times))


def swept(f: Any, x: Any, k: int) -> tuple[int, float, Any]:
    """How often f was evaluated, the most memory in use, in vectors like x, and the gradient."""
    calls = []
    gradient = jacfwd(lambda x: (calls.append(k), f(x))[1], chunk_size=k)
    tracemalloc.start()
    found = gradient(x)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return len(calls), most / x.nbytes, found


def off(found: Any, right: Any) -> float:
    return float(np.max(np.abs(found - right)) / np.max(np.abs(right)))


def table(found: Findings) -> str:
    header = ("function", "chunk k", "sweeps", "peak, vectors", "per k", "ms", "of k = 1", "ForwardDiff, of k = 1", "error")
    rows: list[tuple] = [header]
    for name, curve in found.curves.items():
        for j, k in enumerate(found.chunks):
            published = f"{PUBLISHED[k] / PUBLISHED[1]:.2f}" if name == "Rosenbrock" and k in PUBLISHED else ""
            memory = f"{curve.peak[j]:,.0f}", f"{curve.peak[j] / k:.1f}"
            times = f"{1e3 * curve.seconds[j]:,.1f}", f"{curve.seconds[j] / curve.seconds[0]:.2f}", published
            rows.append((name, k, f"{curve.sweeps[j]:.0f}", *memory, *times, f"{curve.error[j]:.0e}"))
        rows.append((name, "reverse", 1, "", "", f"{1e3 * curve.reverse:,.2f}", "", "", ""))
    return f"{frame.aligned(rows)}\n\nn = {found.n:,}"


def check(found: Findings) -> None:
    k = found.chunks
    for name, curve in found.curves.items():
        sweeps = [math.ceil(found.n / size) for size in k]
        assert (curve.sweeps == sweeps).all(), f"{name}: {curve.sweeps} evaluations, not {sweeps}"
        assert curve.error.max() < 1e-13, f"{name}: the gradient is off by {curve.error.max():.1e}"
        assert curve.change.max() < 1e-15, f"{name}: another chunk size changes the gradient by {curve.change.max():.1e}"
        held = curve.peak[k >= 10] / k[k >= 10]
        assert held.max() < 12, f"{name}: the peak is {held} vectors for each of k tangents, more than 12"
        ten = curve.peak[list(k).index(10)]
        assert ten < 0.3 * curve.peak[-1], f"{name}: ten at once take {ten:.0f} vectors of {curve.peak[-1]:.0f} for all at once"


def draw(found: Findings, figure: Any) -> None:
    frame.heading(figure, "Forward mode in chunks", f"the same gradient of {found.n:,} variables, k tangents at a time")
    memory, sweeps, seconds = frame.panels(figure, 3)
    frame.style(memory, "Peak memory, in vectors of n", "chunk size k")
    frame.style(sweeps, "Evaluations of f", "chunk size k")
    frame.style(seconds, "Time, in that of k = 1", "chunk size k")
    for (name, curve), colour in zip(found.curves.items(), (frame.BLUE, frame.ORANGE), strict=True):
        memory.loglog(found.chunks, curve.peak, "o-", color=colour, markersize=4, label=name)
        sweeps.loglog(found.chunks, curve.sweeps, "o-", color=colour, markersize=4, label=name)
        seconds.loglog(found.chunks, curve.seconds / curve.seconds[0], "o-", color=colour, markersize=4, label=name)
    k, published = np.array(list(PUBLISHED.items())).T
    label = "Rosenbrock, n = 10,000, ForwardDiff.jl"
    seconds.loglog(k, published / published[0], "s--", color=frame.MUTED, markersize=5, label=label)
    for axes, place in ((memory, "upper left"), (sweeps, "upper right"), (seconds, "lower left")):
        frame.legend(axes, loc=place)
    seconds.set_ylim(0.3 * min(np.min(curve.seconds / curve.seconds[0]) for curve in found.curves.values()), 1.3)


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
