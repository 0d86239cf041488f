"""The Fisher matrix of a small classifier, its approximation by Kronecker products, and what is made of the inverse of that.

    F~_ij = A_(i-1)(j-1) kron G_ij,    A_ij = E[abar_i abar_j^T],    G_ij = E[g_i g_j^T]          for each pair of layers i, j
    F_d^-1 = diag(F~_11^-1, ..., F~_LL^-1)                                                        the paper's F with a breve
    F_t^-1 = Xi^T diag(Sigma_1|2^-1, ..., Sigma_(L-1)|L^-1, F~_LL^-1) Xi                          the paper's F with a hat
    Psi_i,i+1 = F~_i,i+1 F~_(i+1)(i+1)^-1,    Sigma_i|i+1 = F~_ii - Psi_i,i+1 F~_(i+1)i           Xi = I, with -Psi beside it

The last inverse is block-tridiagonal, and F_t has the blocks of F~ on and beside the diagonal.  In both, F~ is F~ + lambda I.
The expectation is over the targets that the model predicts, in closed form: G_ij = E[B_i^T (diag p - p p^T) B_j], with B_i the
derivative of the logits by z_i.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import block_diag
from scipy.special import softmax

from dualgrad import grad, jacobian, tree, vmap
from dualgrad.models import cross_entropy, glorot_uniform, mlp
from dualgrad.operators import FisherOperator
from dualgrad.optimize import adam, apply_updates

SIZES = (16, 8, 8, 8, 8, 10)  # pixels of 4 by 4 images, hidden layers, classes
LAMBDAS = (0.001, 0.01, 0.1, 1.0)  # in units of the mean of F's diagonal
RATE = 0.01  # of Adam, on whose way the matrices are looked at

initialize, model = mlp(SIZES, np.tanh, glorot_uniform)
loss = lambda params, x, labels: cross_entropy(model(params, x), labels)  # the mean of -log p over the examples
linear = lambda layer, a: a @ layer["weight"] + layer["bias"]  # z
with_one = lambda a: np.hstack([a, np.ones((len(a), 1))])  # abar, one row per example
inverse = np.linalg.inv
relative = lambda found, exact: float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

Layers = Sequence[slice]  # where the parameters of each layer are


def adam_way(params: Any, x: Any, labels: Any, at: Any) -> Iterator[Any]:
    """The parameters after so many steps of Adam, for each number in `at`."""
    optimizer = adam(RATE)
    state = optimizer.init(params)
    for step in range(max(at) + 1):
        if step in at:
            yield params
        updates, state = optimizer.update(grad(loss)(params, x, labels), state, params)
        params = apply_updates(params, updates)


def kronecker(params: Any, x: Any, model: Any = model) -> tuple[Any, Layers]:
    """F~, and where the layers are in it."""
    p = softmax(model(params, x), axis=-1)
    curvature = p[:, :, np.newaxis] * (np.eye(p.shape[1]) - p[:, np.newaxis, :])
    inputs, ways, a = [], [], x  # abar and B of every layer, with one row or matrix per example
    for k, layer in enumerate(params):
        logits = lambda z, behind=params[k + 1 :]: reduce(lambda z, after: linear(after, np.tanh(z)), behind, z)
        z = linear(layer, a)
        inputs.append(with_one(a))
        ways.append(vmap(jacobian(logits))(z))
        a = np.tanh(z)
    moments = lambda B, C: np.tensordot(B, curvature @ C, ((0, 1), (0, 1))) / len(x)
    layers = list(zip(inputs, ways, strict=True))
    blocks = [[np.kron(a.T @ b / len(x), moments(B, C)) for b, C in layers] for a, B in layers]
    ends = np.cumsum([0, *(len(row[0]) for row in blocks)])
    return np.block(blocks), [slice(start, end) for start, end in pairwise(ends)]


def block_diagonal(F: Any, layers: Layers) -> Any:
    """F_d^-1."""
    return block_diag(*(inverse(F[i, i]) for i in layers))


def block_tridiagonal(F: Any, layers: Layers) -> Any:
    """F_t^-1."""
    Xi, Sigma = np.eye(len(F)), [F[i, i] for i in layers]
    for k, (i, j) in enumerate(pairwise(layers)):
        Psi = F[i, j] @ inverse(F[j, j])
        Xi[i, j], Sigma[k] = -Psi, F[i, i] - Psi @ F[j, i]
    return Xi.T @ block_diag(*map(inverse, Sigma)) @ Xi


# ---- what they are worth ---------------------------------------------------------------------------------------------


class Damped(NamedTuple):
    """At one point of training, with lambda I added to F and F~."""

    errors: list[float]  # of F_d^-1 and F_t^-1, relative to F~^-1
    kept: float  # the largest relative error, on and beside the diagonal, of a block of F_t as one of F~
    cosines: list[float]  # of the directions that F_d^-1, F_t^-1, F~^-1 and I make of the gradient g, with (F + lambda I)^-1 g
    gains: list[float]  # what g.p + p.(F + lambda I) p / 2 can fall by along these, in units of the most there is
    sizes: list[Any]  # of the blocks of F, F~, F^-1, F~^-1


def block_sizes(matrix: Any, layers: Layers) -> Any:
    """The mean absolute value of the entries of each block, in units of those of the diagonal blocks (their geometric mean)."""
    means = np.array([[np.mean(np.abs(matrix[i, j])) for j in layers] for i in layers])
    return means / np.sqrt(np.outer(means.diagonal(), means.diagonal()))


def damped(F: Any, approximate: Any, layers: Layers, g: Any, damping: float) -> Damped:
    ridge = damping * np.eye(len(F))
    F, approximate = F + ridge, approximate + ridge
    exact, *inverses = inverse(F), block_diagonal(approximate, layers), block_tridiagonal(approximate, layers), inverse(approximate)
    back, beside = inverse(inverses[1]), [*pairwise(layers), *zip(layers, layers, strict=True)]
    directions = [*(each @ g for each in inverses), g]
    return Damped(
        [relative(each, inverses[2]) for each in inverses[:2]],
        max(relative(back[i, j], approximate[i, j]) for i, j in beside),
        [float(d @ exact @ g / np.linalg.norm(d) / np.linalg.norm(exact @ g)) for d in directions],
        [float((g @ d) ** 2 / (d @ F @ d) / (g @ exact @ g)) for d in directions],
        [block_sizes(each, layers) for each in (F, approximate, exact, inverses[2])],
    )


def look(params: Any, x: Any, labels: Any) -> tuple[list[float], list[Damped]]:
    """The relative error of F~'s block of each layer, and what is found at each lambda; of all examples x."""
    F, (approximate, layers) = FisherOperator(model, params, x, likelihood="categorical").to_dense(), kronecker(params, x)
    g, _ = tree.ravel(grad(loss)(params, x, labels))
    errors = [relative(approximate[i, i], F[i, i]) for i in layers]
    return errors, [damped(F, approximate, layers, g, each * np.mean(F.diagonal())) for each in LAMBDAS]


def linear_errors(x: Any) -> tuple[float, float]:
    """The error of F~ for one linear layer: Gaussian targets, where g does not depend on the inputs; softmax, of one example."""
    initialize, apply = mlp((x.shape[1], 3))
    params = initialize(np.random.default_rng(0))
    gaussian = FisherOperator(apply, params, x, likelihood="gaussian").to_dense()
    one = FisherOperator(apply, params, x[:1], likelihood="categorical").to_dense()
    A = with_one(x).T @ with_one(x) / len(x)
    return relative(np.kron(A, 2 / 3 * np.eye(3)), gaussian), relative(kronecker(params, x[:1], apply)[0], one)
