"""GMM: the gradient of the log posterior of a Gaussian mixture with a Wishart prior.

    f = Σ_n logsumexp_k(α_k + Σ logdiag_k - ½ ‖Q_k (x_n - μ_k)‖²) - N logsumexp(α)
        + ½ γ² (Σ exp(logdiag)² + Σ l²) - m Σ logdiag + const

Row k of icf is [logdiag (D), l (D(D-1)/2)]; Q_k is lower triangular with diagonal exp(logdiag) and l below it, column by column.
All points are one matrix of homogeneous columns (x; 1), so that Q_k (x_n - μ_k) for all k and n is one product,
[Q_k, -Q_k μ_k] (x_n; 1), with the points along the last axis, where NumPy is quick.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from measure import Tool, timed
from peers import HIPS, JAX, TORCH, Peers
from scipy.special import multigammaln

import dualgrad
from adbench.data import Gmm

TARGETS = {TORCH: 1.0, HIPS: 0.6}
NOTE = (
    "By hand nothing is kept that is not read again, and buffers are written in place; jax.jit fuses the elementwise operations "
    "between the two matrix products, which here pass through memory one by one."
)


class Given(NamedTuple):
    """What the posterior is given, made ready."""

    points: Any  # (D+1) x N, the last row ones
    placement: Any  # D x D: where the elements of Q stand in [exp(logdiag), l, 0]
    gamma: float
    m: int
    constant: float


def given(problem: Gmm) -> Given:
    """The constants of a problem."""
    count, dimension = problem.x.shape
    points = np.concatenate([problem.x.T, np.ones((1, count))])
    degrees = dimension + problem.m + 1
    normal = count * dimension / 2 * np.log(2 * np.pi)
    prior = degrees * dimension * (np.log(problem.gamma) - 0.5 * np.log(2)) - multigammaln(degrees / 2, dimension)
    constant = float(-normal - len(problem.alphas) * prior)
    return Given(points, placement(dimension), problem.gamma, problem.m, constant)


def placement(dimension: int) -> np.ndarray:
    """Where the elements of Q are in [exp(logdiag), l, 0].

    >>> placement(3)
    array([[0, 6, 6],
           [3, 1, 6],
           [4, 5, 2]])
    """
    columns, rows = np.triu_indices(dimension, 1)
    index = np.full((dimension, dimension), dimension + len(rows))
    index[rows, columns] = dimension + np.arange(len(rows))
    np.fill_diagonal(index, np.arange(dimension))
    return index


def log_posterior(alphas: Any, means: Any, icf: Any, given: Given, xp: Any = np) -> Any:
    """f."""
    components, dimension = means.shape
    count = given.points.shape[1]
    log_diagonal, lower = icf[:, :dimension], icf[:, dimension:]
    diagonal, sums = xp.exp(log_diagonal), xp.sum(log_diagonal, 1)
    q = xp.concatenate([diagonal, lower, np.zeros((components, 1))], 1)[:, given.placement]
    affine = xp.concatenate([q, -xp.matmul(q, means[:, :, None])], 2)
    whitened = xp.reshape(xp.matmul(xp.reshape(affine, (-1, dimension + 1)), given.points), (components, dimension, count))
    densities = (alphas + sums)[:, None] - 0.5 * xp.einsum("kdn,kdn->kn", whitened, whitened)
    likelihood = xp.sum(logsumexp(densities, xp)) - count * logsumexp(alphas, xp)
    prior = 0.5 * given.gamma**2 * (xp.sum(xp.square(diagonal)) + xp.sum(xp.square(lower))) - given.m * xp.sum(sums)
    return likelihood + prior + given.constant


def logsumexp(a: Any, xp: Any) -> Any:
    """Over the first axis."""
    largest = xp.amax(a, 0)
    return largest + xp.log(xp.sum(xp.exp(a - largest), 0))


def log_posterior_torch(alphas: Any, means: Any, icf: Any, given: Given, torch: Any) -> Any:
    """f, as a user of PyTorch writes it."""
    components, dimension = means.shape
    count = given.points.shape[1]
    log_diagonal, lower = icf[:, :dimension], icf[:, dimension:]
    diagonal, sums = log_diagonal.exp(), log_diagonal.sum(1)
    q = torch.cat([diagonal, lower, diagonal.new_zeros(components, 1)], 1)[:, given.placement]
    affine = torch.cat([q, -q @ means[:, :, None]], 2)
    whitened = (affine.reshape(-1, dimension + 1) @ given.points).reshape(components, dimension, count)
    densities = (alphas + sums)[:, None] - 0.5 * whitened.square().sum(1)
    likelihood = torch.logsumexp(densities, 0).sum() - count * torch.logsumexp(alphas, 0)
    prior = 0.5 * given.gamma**2 * (diagonal.square().sum() + lower.square().sum()) - given.m * sums.sum()
    return likelihood + prior + given.constant


def gradient_by_hand(alphas: Any, means: Any, icf: Any, given: Given) -> tuple[Any, Any, Any]:
    """∇f.  With responsibilities r_kn = softmax_k and y = Q_k (x_n - μ_k):

        ∂f/∂α_k = Σ_n r_kn - N softmax(α)_k,   ∂f/∂[Q, -Qμ]_k = -Σ_n r_kn y (x_n; 1)ᵀ
    """
    components, dimension = means.shape
    count = given.points.shape[1]
    log_diagonal, lower = icf[:, :dimension], icf[:, dimension:]
    diagonal = np.exp(log_diagonal)
    q = np.concatenate([diagonal, lower, np.zeros((components, 1))], 1)[:, given.placement]
    affine = np.concatenate([q, -q @ means[:, :, None]], 2)
    whitened = (affine.reshape(-1, dimension + 1) @ given.points).reshape(components, dimension, count)
    densities = np.einsum("kdn,kdn->kn", whitened, whitened)
    densities *= -0.5
    densities += (alphas + log_diagonal.sum(1))[:, None]
    densities -= densities.max(0)
    responsibilities = np.exp(densities, out=densities)
    responsibilities /= responsibilities.sum(0)

    whitened *= responsibilities[:, None]
    slope = -(whitened.reshape(-1, count) @ given.points.T).reshape(affine.shape)
    of_offset = slope[:, :, dimension:]
    of_q = slope[:, :, :dimension] - of_offset * means[:, None, :]
    weights, shares = responsibilities.sum(1), np.exp(alphas - alphas.max())
    columns, rows = np.triu_indices(dimension, 1)
    of_diagonal = np.einsum("kdd->kd", of_q) * diagonal + weights[:, None] + given.gamma**2 * diagonal**2 - given.m
    of_lower = of_q[:, rows, columns] + given.gamma**2 * lower
    of_means = -(np.swapaxes(q, 1, 2) @ of_offset)[:, :, 0]
    return weights - count * shares / shares.sum(), of_means, np.concatenate([of_diagonal, of_lower], 1)


def tools(peers: Peers, problem: Gmm) -> list[Tool]:
    """The gradient by everyone, dualgrad first; and the objective."""
    independents, known = (problem.alphas, problem.means, problem.icf), given(problem)
    gradient = dualgrad.grad(log_posterior, argnums=(0, 1, 2))
    found = [timed("dualgrad", lambda: gradient(*independents, known), list)]
    if torch := peers.torch:
        tensors = [torch.tensor(value, requires_grad=True) for value in independents]
        frozen = known._replace(points=torch.tensor(known.points), placement=torch.tensor(known.placement))
        found += timed_torch(torch, lambda: log_posterior_torch(*tensors, frozen, torch), tensors)
    if autograd := peers.autograd:
        by_hips = autograd.grad(functools.partial(log_posterior, xp=autograd.numpy), argnum=(0, 1, 2))
        found.append(timed(HIPS, lambda: by_hips(*independents, known), list))
    if jax := peers.jax:
        objective = functools.partial(log_posterior, given=known, xp=jax.numpy)
        found += timed_jax(jax, jax.grad(objective, argnums=(0, 1, 2)), objective, independents)
    found.append(timed("NumPy, by hand", lambda: gradient_by_hand(*independents, known), list))
    found.append(timed("NumPy, objective", lambda: log_posterior(*independents, known)))
    return found


# ---- what the gradients of PyTorch and JAX have in common ------------------------------------------------------------


def timed_torch(torch: Any, objective: Callable[[], Any], tensors: list) -> list[Tool]:
    """PyTorch's gradient of a scalar of these leaves, and its objective without one."""

    def gradient() -> list[Any]:
        return torch.autograd.grad(objective(), tensors)

    def alone() -> Any:
        with torch.no_grad():
            return objective()

    return [timed(TORCH, gradient, lambda found: [g.numpy() for g in found]), timed(f"{TORCH}, objective", alone)]


def timed_jax(jax: Any, derivative: Callable, objective: Callable, independents: tuple) -> list[Tool]:
    """A derivative by JAX and the objective, compiled, from NumPy arrays to NumPy arrays."""
    compiled, alone = jax.jit(derivative), jax.jit(objective)
    arrays = lambda found: [np.asarray(value) for value in jax.tree.leaves(found)]
    return [
        timed(JAX, lambda: arrays(compiled(*independents)), list),
        timed(f"{JAX}, objective", lambda: arrays(alone(*independents))),
    ]
