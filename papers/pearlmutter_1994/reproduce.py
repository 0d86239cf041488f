"""A Hessian-vector product is exact and costs about one more gradient, whatever the number n of weights (Pearlmutter 1994).

    R_v{f(w)} = d/dr f(w + r v) at r = 0                    the operator; it obeys the rules of differentiation
    R_v{w} = v,    R_v{grad E} = H v                        so applied to the program of the gradient it gives the product
    H v = (grad E(w + r v) - grad E(w)) / r + O(r)          what it replaces: cancellation for small r, truncation for large
"""
from __future__ import annotations

import itertools
import sys
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from dualgrad import grad, hessian, hvp, jvp, tree
from dualgrad.models import cross_entropy, glorot_uniform, mlp
from dualgrad.operators import HessianOperator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frame
from counting import operations, total


def R(v: Any, f: Any, w: Any) -> Any:
    """R_v{f(w)}, as it is defined."""
    moved = lambda r: tree.map(lambda x, direction: x + r * direction, w, v)
    return jvp(lambda r: f(moved(r)), (0.0,), (1.0,))[1]


# ---- functions -------------------------------------------------------------------------------------------------------


def rosenbrock(x: Any) -> Any:
    """Sum of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2, of an array."""
    return np.sum(100.0 * (x[1:] - x[:-1] * x[:-1]) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_of_numbers(x: list) -> Any:
    """The same of a list of numbers, an operation at a time."""
    terms = (100.0 * ((b - a * a) * (b - a * a)) + (1.0 - a) * (1.0 - a) for a, b in itertools.pairwise(x))
    return sum(terms, next(terms))


def rosenbrock_product(x: Any, v: Any) -> Any:
    """Its Hessian times v by hand: tridiagonal, 1200 x_i^2 - 400 x_(i+1) + 202 and -400 x_i."""
    diagonal, beside = np.zeros_like(x), -400.0 * x[:-1]
    diagonal[:-1] += 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    diagonal[1:] += 200.0
    product = diagonal * v
    product[:-1] += beside * v[1:]
    product[1:] += beside * v[:-1]
    return product


def digits(steps: int, progress: Any) -> tuple[Any, Any]:
    """The loss E(w) of a network 64-8-10 on 300 handwritten digits, and weights after so many steps of gradient descent."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    init, apply = mlp([64, 8, 10], np.tanh, glorot_uniform)
    loss = lambda w: cross_entropy(apply(w, images[:300] / 16), labels[:300])
    w = init(np.random.default_rng(0))
    for _ in progress(range(steps), desc="training"):
        w = tree.map(lambda x, g: x - 0.5 * g, w, grad(loss)(w))
    return loss, w


# ---- the experiment --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    weights: int  # n of the network
    exact: dict[str, float]  # relative error of H v: against the dense Hessian, against the formula by hand
    step: np.ndarray  # r of finite differences, and their errors:
    one_sided: np.ndarray
    central: np.ndarray
    n: np.ndarray  # of Rosenbrock's function of numbers
    counted: np.ndarray  # OPS(H v) / OPS(grad), rows: hvp, R
    lines: np.ndarray  # array operations of hvp and of grad, rows by size of the array
    size: np.ndarray  # of the array
    seconds: np.ndarray  # time of hvp in that of grad
    vectors: np.ndarray  # peak memory of hvp, in vectors of n
    spectrum: np.ndarray  # eigenvalues of the dense Hessian, ascending
    power: np.ndarray  # error of the largest by power iteration, after each product
    lanczos: tuple[int, float]  # products that Lanczos took for the five largest, and its largest error


def experiment(quick: bool, progress: Any) -> Findings:
    loss, w = digits(20 if quick else 300, progress)
    rng = np.random.default_rng(1)
    v = tree.map(lambda x: rng.standard_normal(x.shape), w)
    flat = lambda parameters: tree.ravel(parameters)[0]
    product, dense = flat(hvp(loss, w, v)), hessian(loss, flat=True)(w)
    gradient = lambda r: flat(grad(loss)(tree.map(lambda x, t: x + r * t, w, v)))
    step = 10.0 ** -np.arange(1, 14)
    one_sided = np.array([off((gradient(r) - gradient(0)) / r, product) for r in step])
    central = np.array([off((gradient(r) - gradient(-r)) / (2 * r), product) for r in step])

    x, t = rng.standard_normal((2, 100_000))
    exact = {"dense Hessian": off(dense @ flat(v), product), "R{grad}": off(flat(R(v, grad(loss), w)), product)}
    exact["by hand, n = 100,000"] = off(hvp(rosenbrock, x, t), rosenbrock_product(x, t))

    n, size = np.array([10, 100, 300] if quick else [10, 100, 1000, 10_000]), 10 ** np.arange(2, 5 if quick else 7)
    counted = np.array([ratios_of_counts(k) for k in progress(n, desc="counting")]).T
    lines = np.array([lines_of(k) for k in size])
    measured = np.array([measure(k) for k in progress(size, desc="time and memory")]).T

    spectrum = np.linalg.eigvalsh(dense)
    operator = HessianOperator(loss, w)
    power = power_iteration(operator, rng.standard_normal(len(dense)), 60 if quick else 200) / spectrum[-1] - 1
    products = itertools.count()
    counting = LinearOperator(operator.shape, lambda u: (next(products), operator.matvec(u))[1], dtype=float)
    largest = eigsh(counting, k=5, which="LA", v0=np.ones(len(dense)), return_eigenvectors=False)
    lanczos = next(products), float(np.max(np.abs(np.sort(largest) / spectrum[-5:] - 1)))
    return Findings(
        len(dense), exact, step, one_sided, central, n, counted, lines, size, *measured, spectrum, np.abs(power), lanczos
    )


def off(found: Any, right: Any) -> float:
    """The relative error of a vector."""
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def ratios_of_counts(n: int) -> tuple[float, float]:
    """Operations of H v by reverse over forward and by forward over reverse, in those of the gradient."""
    x, f = list(np.linspace(0.5, 1.5, n)), rosenbrock_of_numbers
    one = total(grad(f), x)
    return total(lambda x, v: hvp(f, x, v), x, x) / one, total(lambda x, v: jvp(grad(f), (x,), (v,)), x, x) / one


def lines_of(n: int) -> tuple[int, int]:
    """Array operations of hvp and of grad."""
    x = np.linspace(0.5, 1.5, n)
    return operations(lambda x, v: hvp(rosenbrock, x, v), x, x).total(), operations(grad(rosenbrock), x).total()


def measure(n: int) -> tuple[float, float]:
    """Processor time of hvp in that of grad, medians of interleaved rounds; its peak memory in vectors of n."""
    x = np.linspace(0.5, 1.5, n)
    clock = lambda run: (lambda start: (run(), time.process_time() - start)[1])(time.process_time())
    rounds = [(clock(lambda: hvp(rosenbrock, x, x)), clock(lambda: grad(rosenbrock)(x))) for _ in range(9)]
    tracemalloc.start()
    hvp(rosenbrock, x, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(np.divide(*np.median(rounds, 0))), peak / x.nbytes


def power_iteration(operator: Any, u: Any, count: int) -> Any:
    """Rayleigh quotients of u, H u, H^2 u, ..."""
    quotients = []
    for _ in range(count):
        u = u / np.linalg.norm(u)
        product = operator @ u
        quotients.append(u @ product)
        u = product
    return np.array(quotients)


def table(found: Findings) -> str:
    rows: list[tuple] = [("Hessian-vector products", "paper", "measured")]
    rows += [(f"relative error, against {what}", "exact", f"{error:.0e}") for what, error in found.exact.items()]
    rows += [("the best of finite differences, one-sided", "", f"{found.one_sided.min():.0e}")]
    rows += [("the best of finite differences, central", "", f"{found.central.min():.0e}")]
    for k, name in enumerate(("hvp", "R{grad}")):
        rows += [(f"OPS({name}) / OPS(grad), n = {n:,}", "about 2", f"{found.counted[k, j]:.2f}") for j, n in enumerate(found.n)]
    rows += [(f"array operations, n = {found.size[0]:,} to {found.size[-1]:,}", "", "{} against {}".format(*found.lines[-1]))]
    rows += [(f"peak memory in vectors, n = {found.size[-1]:,}", "O(1)", f"{found.vectors[-1]:.1f}")]
    rows += [("error of the largest eigenvalue, power iteration", "", f"{found.power[-1]:.0e}, {len(found.power)} products")]
    rows += [("error of the five largest, Lanczos", "", "{1:.0e}, {0} products".format(*found.lanczos))]
    return frame.aligned(rows)


def check(found: Findings) -> None:
    for what, error in found.exact.items():
        assert error < 1e-13, f"H v is off by {error:.1e} against {what}"
    best = min(found.one_sided.min(), found.central.min())
    assert best > 1e3 * max(found.exact.values()), f"finite differences reach {best:.1e}, as good as {found.exact}"
    assert (found.counted < 3).all(), f"a product takes {found.counted.max():.2f} gradients"
    assert (np.ptp(found.counted, axis=1) < 0.1).all(), f"the cost of a product changes with n: {found.counted}"
    assert not np.ptp(found.lines, axis=0).any(), f"the number of array operations changes with n: {found.lines}"
    assert found.vectors[-1] < 2 * found.vectors[-2] < 100, f"memory grows faster than n: {found.vectors} vectors"
    assert found.power[-1] < 0.1, f"power iteration is off by {found.power[-1]:.1e}"
    assert found.lanczos[1] < 1e-8, f"the eigenvalues by Lanczos are off by {found.lanczos[1]:.1e}"
    assert found.lanczos[0] < found.weights / 2, f"Lanczos took {found.lanczos[0]} products, no less than a dense Hessian"


def draw(found: Findings, figure: Any) -> None:
    frame.heading(figure, "Exact Hessian-vector products at the price of a gradient", "H v = R{grad E}: no step, no matrix")
    accuracy, cost, eigen = frame.panels(figure, 3)
    frame.style(accuracy, "Relative error of H v", "step r of the finite difference")
    accuracy.loglog(found.step, found.one_sided, "o-", color=frame.ORANGE, markersize=4, label="one-sided")
    accuracy.loglog(found.step, found.central, "o-", color=frame.PURPLE, markersize=4, label="central")
    accuracy.axhline(max(found.exact.values()), color=frame.BLUE, linewidth=2, label="hvp")
    frame.legend(accuracy, loc="upper center")
    frame.style(cost, "Cost of H v, in gradients", "number of variables n")
    cost.semilogx(found.n, found.counted[1], "s-", color=frame.PURPLE, markersize=5, label="operations, forward over reverse")
    cost.semilogx(found.n, found.counted[0], "o-", color=frame.BLUE, markersize=5, label="operations, reverse over forward")
    cost.semilogx(found.size, found.seconds, ":", color=frame.MUTED, label="time on arrays, the latter")
    cost.set_ylim(0, max(4.5, 1.3 * found.seconds.max()))
    frame.legend(cost, loc="upper right")
    frame.style(eigen, "Error of the largest eigenvalues", f"products H v, of a network of {found.weights} weights")
    eigen.semilogy(np.arange(1, len(found.power) + 1), found.power, color=frame.ORANGE, label="power iteration, the largest")
    count, error = found.lanczos
    eigen.semilogy(count, error, "o", color=frame.BLUE, markersize=8, label="Lanczos, the five largest")
    frame.legend(eigen, loc="upper right")


if __name__ == "__main__":
    sys.exit(frame.main(__doc__, experiment, table, check, draw, __file__))
