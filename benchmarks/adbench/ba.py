"""BA: the sparse Jacobian of the residuals of bundle adjustment.

Observation i sees point j = i mod m with camera k = i mod n (rotation vector r, centre c, focal length f, principal point u, radial
κ₁ κ₂), and has a weight w and a measured feature:

    y = R(r) (x - c),   q = (y₀, y₁) / y₂,   s = ‖q‖²,   e = w (f (1 + κ₁ s + κ₂ s²) q + u - feature),   and 1 - w²

R is Rodrigues' rotation.  The Jacobian is 3p x (11n + 3m + p).  The residuals of an observation see 15 numbers, its own camera,
point and weight, so all blocks 2 x 15 come from two pullbacks: a unit cotangent for one residual of *every* observation at once
gives that row of all blocks.  They are the data of the CSR matrix, whose pattern is known.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from measure import Tool, timed
from peers import HIPS, JAX, TORCH, Peers
from scipy.sparse import csr_array

import dualgrad
from adbench.data import Ba

TARGETS = {TORCH: 1.0}
NOTE = "By hand terms that residuals share are computed once; jax.jit fuses what here passes through memory operation by operation."
BLOCK = 15  # columns of a block: camera 11, point 3, weight 1


class Observed(NamedTuple):
    """The numbers of all observations, an observation per column."""

    cameras: Any  # 11 x p
    points: Any  # 3 x p
    weights: Any  # p
    features: Any  # 2 x p


def observed(problem: Ba) -> Observed:
    """What every observation sees."""
    k = np.arange(len(problem.weights))
    cameras, points = problem.cameras.T[:, k % len(problem.cameras)], problem.points.T[:, k % len(problem.points)]
    return Observed(cameras, points, problem.weights, problem.features.T)


def project(camera: Sequence[Any], point: Sequence[Any], weight: Any, feature: Sequence[Any], xp: Any = np) -> tuple[Any, Any]:
    """The two residuals e, for one observation or for arrays of them."""
    r0, r1, r2, c0, c1, c2, focal, u0, u1, kappa1, kappa2 = camera
    d0, d1, d2 = point[0] - c0, point[1] - c1, point[2] - c2
    square = r0 * r0 + r1 * r1 + r2 * r2 + 1e-300  # which no other number feels: at r = 0 it keeps the limit
    angle = xp.sqrt(square)
    cosine, sine = xp.cos(angle), xp.sin(angle) / angle
    along = (r0 * d0 + r1 * d1 + r2 * d2) * ((1 - cosine) / square)
    y0 = d0 * cosine + (r1 * d2 - r2 * d1) * sine + r0 * along
    y1 = d1 * cosine + (r2 * d0 - r0 * d2) * sine + r1 * along
    y2 = d2 * cosine + (r0 * d1 - r1 * d0) * sine + r2 * along
    q0, q1 = y0 / y2, y1 / y2
    s = q0 * q0 + q1 * q1
    stretch = focal * (1 + s * (kappa1 + kappa2 * s))
    return weight * (stretch * q0 + u0 - feature[0]), weight * (stretch * q1 + u1 - feature[1])


def residuals(problem: Ba) -> tuple[np.ndarray, np.ndarray]:
    """The objective: all e (p x 2), and all 1 - w²."""
    seen = observed(problem)
    return np.stack(project(*seen), 1), 1 - seen.weights**2


# ---- the matrix ------------------------------------------------------------------------------------------------------


class Pattern:
    """Where the blocks stand: rows 2i and 2i + 1 belong to observation i, row 2p + i to its weight."""

    def __init__(self, problem: Ba) -> None:
        n, m, p = len(problem.cameras), len(problem.points), len(problem.weights)
        k = np.arange(p)
        columns = [
            11 * (k % n)[:, None] + np.arange(11), 11 * n + 3 * (k % m)[:, None] + np.arange(3), 11 * n + 3 * m + k[:, None],
        ]  # fmt: skip
        block = np.concatenate(columns, 1)
        weight = block[:, -1]
        self.shape = 3 * p, 11 * n + 3 * m + p
        self.indices = np.concatenate([np.repeat(block, 2, 0).ravel(), weight]).astype(np.int32)
        starts = np.concatenate([BLOCK * np.arange(2 * p), 2 * BLOCK * p + np.arange(p + 1)])
        self.starts = starts.astype(np.int32)

    def matrix(self, rows: Sequence[Sequence[Any]], of_weights: Any) -> csr_array:
        """The Jacobian from row a of all blocks, a = 0, 1: 11 and 3 arrays of p, and one; and from the slopes -2w."""
        p = len(of_weights)
        data = np.empty(len(self.indices))
        blocks = data[: 2 * BLOCK * p].reshape(p, 2, BLOCK)
        for part in _portions(p):  # column by column in cache: 15 ms for 200 000 observations, 33 ms for all at once
            for a, (of_cameras, of_points, of_weight) in enumerate(rows):
                for column, values in enumerate((*of_cameras, *of_points, of_weight)):
                    blocks[part, a, column] = values[part]
        data[2 * BLOCK * p :] = of_weights
        return csr_array((data, self.indices, self.starts), self.shape)


def _portions(count: int, together: int = 4096) -> list[slice]:
    """Observations, so many together that what is computed of them stays in cache."""
    return [slice(start, start + together) for start in range(0, count, together)]


def jacobian(problem: Ba, pattern: Pattern) -> csr_array:
    """By dualgrad: two pullbacks through one recording of all observations, and one for the weights."""
    seen = observed(problem)
    inputs = tuple(seen.cameras), tuple(seen.points), seen.weights
    _, pullback = dualgrad.vjp(lambda *inputs: project(*inputs, seen.features), *inputs)
    one = np.ones(len(seen.weights))
    (of_weights,) = dualgrad.vjp(lambda w: 1 - w**2, seen.weights)[1](one)
    return pattern.matrix([pullback((one, None)), pullback((None, one))], of_weights)


def jacobian_mapped(problem: Ba, pattern: Pattern) -> csr_array:
    """By dualgrad, word for word: the Jacobian of one observation, mapped over all."""
    seen = observed(problem)
    rows = dualgrad.vmap(dualgrad.jacobian(lambda one, feature: project(*one, feature)))(
        (tuple(seen.cameras), tuple(seen.points), seen.weights), tuple(seen.features)
    )
    of_weights = dualgrad.vmap(dualgrad.grad(lambda w: 1 - w**2))(seen.weights)
    return pattern.matrix(rows, of_weights)


def jacobian_by_hand(problem: Ba, pattern: Pattern, together: int = 4096) -> csr_array:
    """By hand, portion by portion."""
    seen = observed(problem)
    rows = [tuple(np.empty_like(value) for value in seen[:3]) for _ in range(2)]
    for part in _portions(len(seen.weights), together):
        _rows_by_hand(Observed(*(value[..., part] for value in seen)), [[out[..., part] for out in row] for row in rows])
    return pattern.matrix(rows, -2 * seen.weights)


def _rows_by_hand(seen: Observed, rows: Sequence[Sequence[Any]]) -> None:
    """For a row g of ∂e/∂y, with d = x - c, S = sin t / t and K = (1 - cos t) / t² of the angle t = ‖r‖:

        g · ∂y/∂x   = cos t g + S g x r + K (g · r) r,      ∂y/∂c = -∂y/∂x
        g · ∂y/∂r   = (-S g·d + (cos t - S) / t² g·(r x d) + (S - 2K) / t² (r·d) (g·r)) r + S d x g + K ((r·d) g + (g·r) d)
    """
    r, centre, (focal, u0, u1, kappa1, kappa2) = seen.cameras[:3], seen.cameras[3:6], seen.cameras[6:]
    d, weight = seen.points - centre, seen.weights
    square = _dot(r, r) + 1e-300
    angle = np.sqrt(square)
    cosine, sine = np.cos(angle), np.sin(angle) / angle
    versine = (1 - cosine) / square
    crossed, r_d = _cross(r, d), _dot(r, d)
    along = r_d * versine
    y = d * cosine + crossed * sine + r * along
    q = y[:2] / y[2]
    s = _dot(q, q)
    stretch, steep = 1 + s * (kappa1 + kappa2 * s), 2 * (kappa1 + 2 * kappa2 * s)
    wf = weight * focal
    outer = wf / y[2]
    of_sine, of_versine = (cosine - sine) / square, (sine - 2 * versine) / square * r_d
    for a, (offset, (of_cameras, of_points, of_weights)) in enumerate(zip((u0, u1), rows)):
        g = np.empty_like(y)
        np.multiply(steep * q[a], q, out=g[:2])
        g[a] += stretch
        g[2] = -_dot(g[:2], q)
        g *= outer
        g_r = _dot(g, r)
        turned = versine * g_r
        np.add(g * cosine + _cross(g, r) * sine, r * turned, out=of_points)
        np.multiply(r, of_sine * _dot(g, crossed) + of_versine * g_r - sine * _dot(g, d), out=of_cameras[:3])
        of_cameras[:3] += _cross(d, g) * sine + g * along + d * turned
        np.negative(of_points, out=of_cameras[3:6])
        projected = stretch * q[a]
        np.multiply(weight, projected, out=of_cameras[6])
        of_cameras[7:9] = 0
        of_cameras[7 + a] = weight
        np.multiply(wf * q[a], s, out=of_cameras[9])
        np.multiply(of_cameras[9], s, out=of_cameras[10])
        np.add(focal * projected, offset - seen.features[a], out=of_weights)


def _dot(a: Any, b: Any) -> Any:
    return np.einsum("kp,kp->p", a, b)


def _cross(a: Any, b: Any) -> Any:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


# ---- tools -----------------------------------------------------------------------------------------------------------


def tools(peers: Peers, problem: Ba) -> list[Tool]:
    """The Jacobian by everyone, dualgrad first, from arrays to CSR; and the objective."""
    pattern = Pattern(problem)
    entries = lambda matrix: [matrix.data]
    by = lambda name, jacobian: timed(name, lambda: jacobian(problem, pattern), entries)
    found = [by("dualgrad", jacobian), by("dualgrad, vmap(jacobian)", jacobian_mapped)]
    if torch := peers.torch:
        found += _torch_tools(torch, problem, by)
    if autograd := peers.autograd:
        found.append(by(HIPS, _by_hips(autograd)))
    if jax := peers.jax:
        found.append(by(JAX, _by_jax(jax)))
    found.append(by("NumPy, by hand", jacobian_by_hand))
    found.append(timed("NumPy, objective", lambda: residuals(problem)))
    return found


def _torch_tools(torch: Any, problem: Ba, by: Callable) -> list[Tool]:
    def leaves(problem: Ba) -> list[Any]:
        return [torch.from_numpy(value) for value in observed(problem)]

    def jacobian(problem: Ba, pattern: Pattern) -> csr_array:
        cameras, points, weights, features = leaves(problem)
        inputs = [value.detach().requires_grad_() for value in (*cameras.unbind(), *points.unbind(), weights)]
        pair = project(inputs[:11], inputs[11:14], inputs[14], features, torch)
        one = torch.ones_like(pair[0])
        rows = [torch.autograd.grad(e, inputs, one, retain_graph=True, materialize_grads=True) for e in pair]
        (of_weights,) = torch.autograd.grad(1 - inputs[14] ** 2, inputs[14], one)
        arrays = [[g.numpy() for g in row] for row in rows]
        return pattern.matrix([(row[:11], row[11:14], row[14]) for row in arrays], of_weights.numpy())

    one_block = torch.func.jacrev(lambda one, feature: project(*one, feature, torch))

    def mapped(problem: Ba, pattern: Pattern) -> csr_array:
        cameras, points, weights, features = leaves(problem)
        blocks = torch.func.vmap(one_block)((cameras.unbind(), points.unbind(), weights), features.unbind())
        of_weights = torch.func.vmap(torch.func.grad(lambda w: 1 - w**2))(weights)
        rows = [([g.numpy() for g in c], [g.numpy() for g in x], w.numpy()) for c, x, w in blocks]
        return pattern.matrix(rows, of_weights.numpy())

    def objective() -> Any:
        cameras, points, weights, features = leaves(problem)
        return torch.stack(project(cameras, points, weights, features, torch), 1), 1 - weights**2

    return [by(TORCH, jacobian), by(f"{TORCH}, vmap(jacrev)", mapped), timed(f"{TORCH}, objective", objective)]


def _by_hips(autograd: Any) -> Callable:
    def jacobian(problem: Ba, pattern: Pattern) -> csr_array:
        seen, xp = observed(problem), autograd.numpy
        function = lambda inputs: xp.stack(project(*inputs, seen.features, xp))
        pullback, value = autograd.make_vjp(function)((tuple(seen.cameras), tuple(seen.points), seen.weights))
        of_weights = autograd.elementwise_grad(lambda w: 1 - w**2)(seen.weights)
        unit = np.zeros((2, *value.shape))
        unit[0, 0] = unit[1, 1] = 1
        return pattern.matrix([pullback(e) for e in unit], of_weights)

    return jacobian


def _by_jax(jax: Any) -> Callable:
    @jax.jit
    def rows(cameras: Any, points: Any, weights: Any, features: Any) -> Any:
        (one, _), pullback = jax.vjp(lambda *inputs: project(*inputs, features, jax.numpy), cameras, points, weights)
        one = jax.numpy.ones_like(one)
        of_weights = jax.vmap(jax.grad(lambda w: 1 - w**2))(weights)
        return [pullback((one, 0 * one)), pullback((0 * one, one))], of_weights

    def jacobian(problem: Ba, pattern: Pattern) -> csr_array:
        found, of_weights = rows(*observed(problem))
        return pattern.matrix([[np.asarray(g) for g in row] for row in found], np.asarray(of_weights))

    return jacobian
