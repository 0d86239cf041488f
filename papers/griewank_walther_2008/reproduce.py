"""A gradient costs a small multiple of its function, whatever the number n of variables (Griewank & Walther 2008).

    OPS(f, J v)    <= w_tang OPS(f),  w_tang <= 5/2      forward: one direction per sweep, so a gradient takes n sweeps
    OPS(f, grad f) <= w_grad OPS(f),  w_grad <= 4        reverse: one sweep; counting arithmetic alone (Griewank 1989): 5

Counted on the tape: the derivative of a program of numbers is run under a tape, where each arithmetic operation leaves one line.
"""
from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from dualgrad import grad, jvp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame
from counting import operations, total

# ---- programs of numbers ----------------------------------------------------------------------------------------------


def speelpenning(x: list) -> Any:
    """x_1 x_2 ... x_n, Speelpenning's example of 1980."""
    return reduce(lambda y, factor: y * factor, x)


def rosenbrock(x: list) -> Any:
    """Sum of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2."""
    return sum(100.0 * square(b - square(a)) + square(1.0 - a) for a, b in itertools.pairwise(x))


def helmholtz(x: list) -> Any:
    """The Helmholtz energy of a mixture, by which Griewank showed in 1989 what a gradient costs."""
    n = len(x)
    bx = dot([0.5 / (n + i) for i in range(n)], x)
    quadratic = dot(x, [dot([1.0 / (1.0 + i + j) for j in range(n)], x) for i in range(n)])
    mixing = sum(xi * np.log(xi / (1.0 - bx)) for xi in x)
    root = 2.0**0.5
    return mixing - quadratic / (2.0 * root * bx) * np.log((1.0 + (1.0 + root) * bx) / (1.0 + (1.0 - root) * bx))


def network(weights: list) -> Any:
    """The squared output of tanh layers of equal width w: n = 3 w^2 weights."""
    width = round((len(weights) / 3) ** 0.5)
    rows = [weights[k : k + width] for k in range(0, len(weights), width)]
    units = [0.1 * k for k in range(width)]
    for layer in range(3):
        units = [np.tanh(dot(row, units)) for row in rows[layer * width : (layer + 1) * width]]
    return dot(units, units)


def chain(elements: list) -> Any:
    """The trace of A B C D, of four square matrices of n/4 elements."""
    size = round((len(elements) / 4) ** 0.5)
    rows = [elements[k : k + size] for k in range(0, len(elements), size)]
    matrices = [rows[k : k + size] for k in range(0, len(rows), size)]
    result = reduce(lambda a, b: [[dot(row, column) for column in zip(*b, strict=True)] for row in a], matrices)
    return sum(result[k][k] for k in range(1, size)) + result[0][0]


def square(x: Any) -> Any:
    return x * x


def dot(a: list, b: list) -> Any:
    first, *rest = (p * q for p, q in zip(a, b, strict=True))
    return sum(rest, first)


def point(n: int) -> list:
    """n positive numbers whose product neither vanishes nor overflows."""
    return list(np.exp(0.1 * np.sin(np.arange(1.0, n + 1))))


# ---- the experiment ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    sizes: np.ndarray  # n of Speelpenning's product
    value: np.ndarray  # arithmetic operations of f,
    tangent: np.ndarray  # of f and one directional derivative,
    gradient: np.ndarray  # of f and its gradient
    error: float  # of that gradient against f / x_i, relative, the largest
    programs: dict[str, np.ndarray]  # rows (n, value, tangent, gradient)
    matmul: tuple[int, int]  # matrix products in a chain of eight arrays, and in its gradient


PROGRAMS = {
    "Speelpenning": (speelpenning, (10, 100, 1000)),
    "Rosenbrock": (rosenbrock, (10, 100, 1000)),
    "Helmholtz": (helmholtz, (10, 30, 60)),
    "network": (network, (3 * 4**2, 3 * 10**2, 3 * 20**2)),
    "matrix chain": (chain, (4 * 3**2, 4 * 5**2, 4 * 8**2)),
}


def costs(f: Any, n: int) -> tuple[int, int, int]:
    """Operations of f, of f and a directional derivative, of f and its gradient."""
    x = point(n)
    return total(f, x), total(lambda x, v: jvp(f, (x,), (v,)), x, x), total(grad(f), x)


def experiment(quick: bool, progress: Any) -> Findings:
    sizes = np.array([2, 4, 10, 100, 300] if quick else [2, 4, 10, 30, 100, 300, 1000, 3000, 10_000])
    product = np.array([costs(speelpenning, n) for n in progress(sizes, desc="Speelpenning's product")])
    error = max(np.max(np.abs(grad(speelpenning)(x) * np.array(x) / speelpenning(x) - 1)) for x in map(point, sizes))
    programs = {}
    for name, (f, all_sizes) in progress(PROGRAMS.items(), desc="programs"):
        programs[name] = np.array([(n, *costs(f, n)) for n in all_sizes[: 1 if quick else 3]])
    matrices = [np.eye(3)] * 8
    trace = lambda matrices: np.trace(reduce(np.matmul, matrices))
    matmul = operations(trace, matrices)["matmul"], operations(grad(trace), matrices)["matmul"]
    return Findings(sizes, *product.T, error, programs, matmul)


def table(found: Findings) -> str:
    rows = [("program", "n", "OPS(f)", "w_tang", "book", "w_grad", "book", "bound", "forward/reverse")]
    for name, counts in found.programs.items():
        for n, value, tangent, gradient in counts:
            sweeps = f"{n * tangent / gradient:,.0f}"
            ratios = f"{tangent / value:.2f}", "2 to 2.5", f"{gradient / value:.2f}", "3 to 4"
            rows.append((name, n, f"{value:,}", *ratios, "<= 5", sweeps))
    n, value, gradient, (once, thrice) = found.sizes[-1], found.value[-1], found.gradient[-1], found.matmul
    product = f"Speelpenning, n = {n:,}: f takes {value:,} products, f and gradient {gradient:,}; largest error {found.error:.0e}"
    arrays = f"the chain of eight as arrays: f takes {once} products of matrices, f and gradient {thrice}"
    return "\n".join([frame.aligned(rows), "", product, arrays])


def check(found: Findings) -> None:
    assert (found.value == found.sizes - 1).all(), f"the product takes {found.value} operations, not n - 1"
    assert (found.gradient == 3 * found.value).all(), f"the gradients take {found.gradient} operations, not 3 (n - 1)"
    assert found.error < 1e-11, f"the gradient is off by {found.error:.1e}"
    for name, counts in found.programs.items():
        n, value, tangent, gradient = counts.T
        assert (gradient <= 5 * value).all(), f"{name}: a gradient takes {gradient / value} times the operations, more than 5"
        assert (tangent <= 4 * value).all(), f"{name}: a direction takes {tangent / value} times the operations, more than 4"
        assert (n * tangent > 0.5 * n * gradient).all(), f"{name}: {n} forward sweeps cost {n * tangent}, one reverse {gradient}"
        spread = np.ptp(gradient / value)
        assert spread < 0.5, f"{name}: the ratio changes by {spread:.2f} from n = {n[0]} to {n[-1]}"
    assert found.matmul[1] == 3 * found.matmul[0], f"{found.matmul} products of matrices, not three times as many"


def draw(found: Findings, figure: Any) -> None:
    frame.heading(figure, "Gradients are cheap", "arithmetic operations of f and its derivatives, counted on the tape")
    left, right = frame.panels(figure, 2, width_ratios=[1, 1.1])
    frame.style(left, "Speelpenning's product: operations", "number of variables n")
    n = found.sizes
    lines = [("f, and all n partial derivatives forward", n * found.tangent, frame.ORANGE)]
    lines += [("f, and all n reverse", found.gradient, frame.BLUE), ("f alone", found.value, frame.MUTED)]
    for name, counts, colour in lines:
        left.loglog(n, counts, "o-", color=colour, markersize=4, label=name)
    frame.legend(left)
    frame.style(right, "Operations in units of those of f", "")
    for k, (name, counts) in enumerate(found.programs.items()):
        for column, colour, lift in ((2, frame.ORANGE, -0.12), (3, frame.BLUE, 0.12)):
            ratio = counts[:, column] / counts[:, 1]
            right.scatter(ratio, [k + lift] * len(ratio), s=20 + 12 * np.arange(len(ratio)), color=colour, alpha=0.7, linewidth=0)
        right.text(0.05, k, name, color=frame.INK, size=10, va="center")
        right.axhline(k + 0.5, color=frame.PALE, linewidth=0.8)
    right.axvspan(3, 4, color=frame.BLUE, alpha=0.08, linewidth=0)
    right.axvspan(2, 2.5, color=frame.ORANGE, alpha=0.1, linewidth=0)
    right.axvline(5, color=frame.BLUE, linewidth=1.5)
    direction, gradient = (2.25, "one direction,\nby the book", frame.ORANGE), (3.5, "gradient,\nby the book", frame.BLUE)
    for x, text, colour in (direction, gradient, (5, "bound", frame.BLUE)):
        right.text(x, -0.7, text, color=colour, size=9, ha="center", va="top", backgroundcolor="white" if x == 5 else "none")
    right.set(xlim=(0, 5.3), ylim=(len(found.programs) - 0.6, -0.75), yticks=[])
    right.grid(visible=False, axis="y")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
