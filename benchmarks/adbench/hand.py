"""HAND: the Jacobian of the residuals of hand tracking, 3N x 26, or with barycentric coordinates compressed, 3N x 28.

A hand of B bones is posed by θ (26): a global rotation vector, a translation, and four angles for each of five fingers.

    absolute_b = absolute_parent relative_b,     relative_b = base_relative_b Rz Ry Rx      (4 x 4)
    vertex_v   = R(θ₀₋₂) Σ_b w_vb absolute_b inverse_base_absolute_b (x_v; 1) + θ₃₋₅

Residual i is point_i - vertex_{c(i)}; in the complicated case c(i) is a triangle and the vertex Σ of its corners with weights
u_i = (u₁, u₂), 1 - u₁ - u₂.  A residual sees no other u than its own, so two seeds serve all of them: 26 + 2 columns.

Vertices and residuals are arrays with a row for each coordinate.  Bones of one generation move together; their matrices are kept
transposed and without the constant last column, 4 x 3.
"""
from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
from measure import Tool, single, timed
from peers import HIPS, JAX, TORCH, Peers

import dualgrad
from adbench.data import FINGERS, THETA, Hand

TARGETS = {TORCH: 1.0, HIPS: 0.1}
NOTE = (
    "Small matrices, and then columns of thousands of residuals: by hand one product takes all derivatives to the vertices, and "
    "buffers are written in place; jax.jit pays nothing per operation."
)


class Given(NamedTuple):
    """What the residuals are given, made ready.  Bones are sorted by generation."""

    base: Any  # B x 4 x 4, base_relative transposed
    inverse: Any  # B x 4 x 4, inverse_base_absolute transposed
    skin: Any  # 4B x V: w_vb (x_v; 1)
    angles: Any  # 2 x B: where its angles about x and z stand in [θ, 0]
    cosines: Any  # 2 x 1 x 4 x 4: Rxᵀ and Rzᵀ are cosines cos + sines sin + fixed
    sines: Any
    fixed: Any
    crosses: Any  # 3 x 9: r @ crosses is [r]ₓ
    parents: tuple  # of each generation after the root, as numbers in the generation before
    corners: tuple  # one or three arrays of N vertices
    points: Any  # 3 x N


def given(problem: Hand) -> Given:
    """The constants of a problem."""
    model = problem.model
    generations = generation(model.parents)
    order = np.concatenate(generations)
    angles = np.full((2, len(order)), THETA)
    for finger in range(FINGERS):
        bone, angle = 2 + 4 * finger, 6 + 4 * finger
        angles[0, bone : bone + 3] = angle, angle + 2, angle + 3
        angles[1, bone] = angle + 1
    homogeneous = np.concatenate([model.vertices, np.ones((len(model.vertices), 1))], 1)
    skin = model.skinning[:, order, None] * homogeneous[:, None]
    parents = tuple(np.searchsorted(before, model.parents[bones]) for before, bones in itertools.pairwise(generations))
    corners = problem.correspondences if problem.u is None else model.triangles[problem.correspondences]
    return Given(
        np.swapaxes(model.base_relative[order], 1, 2).copy(), np.swapaxes(model.inverse_base_absolute[order], 1, 2).copy(),
        skin.reshape(len(skin), -1).T.copy(), angles[:, order], *_rotation_matrices(), parents,
        tuple(np.reshape(corners, (len(corners), -1)).T.copy()), problem.points.T.copy(),
    )  # fmt: skip


def _rotation_matrices() -> tuple[np.ndarray, ...]:
    """cosines, sines, fixed and crosses of `Given`."""
    cosines, sines, fixed = np.zeros((3, 2, 1, 4, 4))
    for k, (i, j) in enumerate([(1, 2), (0, 1)]):  # the plane that turns about x, about z
        cosines[k, 0, i, i] = cosines[k, 0, j, j] = 1
        sines[k, 0, i, j], sines[k, 0, j, i] = 1, -1
        fixed[k, 0] = np.eye(4) - cosines[k, 0]
    crosses = np.cross(np.eye(3), np.eye(3)[:, None])
    return cosines, sines, fixed, crosses.reshape(3, 9)


def generation(parents: np.ndarray) -> list[np.ndarray]:
    """The bones by distance from the root.

    >>> generation(np.array([-1, 0, 1, 0]))
    [array([0]), array([1, 3]), array([2])]
    """
    depth = np.zeros(len(parents), int)
    for bone in range(1, len(parents)):
        depth[bone] = depth[parents[bone]] + 1
    return [np.flatnonzero(depth == d) for d in range(depth.max() + 1)]


def vertices(theta: Any, given: Given, xp: Any = np) -> Any:
    """All vertices of the posed hand, 3 x V."""
    relative = xp.matmul(rotations(theta, given, xp), given.base)
    absolute, generations, start = relative[:1, :, :3], [], 1
    generations.append(absolute)
    for parents in given.parents:
        absolute = xp.matmul(relative[start : start + len(parents)], absolute[parents])
        generations.append(absolute)
        start += len(parents)
    transforms = xp.reshape(xp.matmul(given.inverse, xp.concatenate(generations)), (-1, 3))
    turned = xp.matmul(rodrigues(theta[:3], given, xp), xp.transpose(transforms))
    return xp.matmul(turned, given.skin) + theta[3:6, None]


def rotations(theta: Any, given: Given, xp: Any) -> Any:
    """(Rz Rx)ᵀ of every bone, B x 4 x 4."""
    angles = xp.concatenate([theta, np.zeros(1)])[given.angles][:, :, None, None]
    x, z = given.cosines * xp.cos(angles) + given.sines * xp.sin(angles) + given.fixed
    return xp.matmul(x, z)


def rodrigues(r: Any, given: Given, xp: Any) -> Any:
    """R(r) = cos t 1 + S [r]ₓ + K r rᵀ, with t = ‖r‖, S = sin t / t, K = (1 - cos t) / t²."""
    square = xp.sum(r * r) + 1e-300  # which no other number feels: at r = 0 it keeps the limit
    angle = xp.sqrt(square)
    cosine = xp.cos(angle)
    crossed = xp.reshape(xp.matmul(r, given.crosses), (3, 3))
    return cosine * np.eye(3) + xp.sin(angle) / angle * crossed + (1 - cosine) / square * (r[:, None] * r)


def residuals(theta: Any, u: Any, given: Given, xp: Any = np) -> Any:
    """The objective, 3 x N; u is 2 x N, or None in the simple case."""
    posed = vertices(theta, given, xp)
    if u is None:
        return given.points - posed[:, given.corners[0]]
    a, b, c = (posed[:, corner] for corner in given.corners)
    return given.points - (u[0] * (a - c) + u[1] * (b - c) + c)


def independents(problem: Hand) -> tuple[np.ndarray, np.ndarray | None]:
    """θ, and u as 2 x N."""
    return problem.theta, None if problem.u is None else problem.u.T.copy()


def seeds(problem: Hand) -> list[np.ndarray]:
    """Tangents whose pushforwards are the columns: of θ one angle at a time, of u first u₁ and then u₂ of all residuals at once."""
    if problem.u is None:
        return [np.eye(THETA)]
    return [np.eye(THETA), np.tile(np.eye(2)[:, :, None], len(problem.u))]


def matrix(columns: list[np.ndarray]) -> np.ndarray:
    """The Jacobian, 3N x 26 or 28, from its columns of θ and of u; N rows for x, then those for y and z."""
    joined = columns[0] if len(columns) == 1 else np.concatenate(columns)
    return joined.reshape(len(joined), -1).T


def jacobian(problem: Hand, known: Given) -> np.ndarray:
    """By dualgrad: the seeds of θ, and those of u, pushed forward in a mapped sweep each."""
    at = independents(problem)
    functions = [lambda theta: residuals(theta, at[1], known), lambda u: residuals(at[0], u, known)]
    columns = [
        dualgrad.vmap(lambda tangent, f=f, x=x: dualgrad.jvp(f, (x,), (tangent,))[1])(tangents)
        for f, x, tangents in zip(functions, at, seeds(problem))
    ]
    return matrix(columns)


def jacobian_by_hand(problem: Hand, known: Given) -> np.ndarray:
    """By hand: the transforms of all bones have 20 + 3 derivatives, and one product with `skin` takes them to all vertices.

    d absolute_b = d relative_b absolute_parent + relative_b d absolute_parent, where only the bone of an angle has d relative_b;
    with the angle t = ‖r‖, S = sin t / t and K = (1 - cos t) / t² of the global rotation,

        ∂R / ∂r_k = r_k (-S 1 + (cos t - S) / t² [r]ₓ + (S - 2K) / t² r rᵀ) + S [e_k]ₓ + K (e_k rᵀ + r e_kᵀ)
    """
    (theta, u), bones = independents(problem), len(known.base)
    turned = rotations(theta, known, np)
    relative, of_relative = turned @ known.base, np.zeros((THETA - 6, bones, 4, 4))
    about_x, about_z = known.sines[:, 0]
    for places, slopes in zip(known.angles, (about_x @ turned, turned @ about_z)):  # (Rz Rx)ᵀ turns further about x on its left
        moved = np.flatnonzero(places < THETA)
        of_relative[places[moved] - 6, moved] = slopes[moved] @ known.base[moved]

    absolute, of_absolute = np.empty((bones, 4, 3)), np.empty((THETA - 6, bones, 4, 3))
    absolute[0], of_absolute[:, 0] = relative[0, :, :3], of_relative[:, 0, :, :3]
    before, start = 0, 1
    for parents in known.parents:
        here, parents = slice(start, start + len(parents)), before + parents
        absolute[here] = relative[here] @ absolute[parents]
        of_absolute[:, here] = of_relative[:, here] @ absolute[parents] + relative[here] @ of_absolute[:, parents]
        before, start = start, here.stop
    rotation = rodrigues(theta[:3], known, np)
    transforms = (known.inverse @ absolute).reshape(-1, 3)

    of_transforms = np.empty((3 + len(of_absolute), 3, 4 * bones))
    np.matmul(_slopes_of_rotation(theta[:3], known.crosses.reshape(3, 3, 3)), transforms.T, out=of_transforms[:3])
    inner = (known.inverse @ of_absolute).reshape(len(of_absolute), -1, 3)
    np.matmul(rotation, np.swapaxes(inner, 1, 2), out=of_transforms[3:])
    of_vertices = (of_transforms.reshape(-1, 4 * bones) @ known.skin).reshape(len(of_transforms), 3, -1)

    columns = np.empty((THETA if u is None else THETA + 2, *known.points.shape))
    columns[3:6] = -np.eye(3)[:, :, None]
    moves = [np.take(of_vertices, corner, 2) for corner in known.corners]
    if u is None:
        moved = moves[0]
    else:
        for move, weight in zip(moves, (u[0], u[1], 1 - u[0] - u[1])):
            move *= weight
        moved = np.add(moves[0], moves[1], out=moves[0])
        moved += moves[2]
        a, b, c = (np.take(rotation @ transforms.T @ known.skin, corner, 1) for corner in known.corners)
        columns[THETA], columns[THETA + 1] = c - a, c - b
    np.negative(moved[:3], out=columns[:3])
    np.negative(moved[3:], out=columns[6:THETA])
    return matrix([columns])


def _slopes_of_rotation(r: np.ndarray, crosses: np.ndarray) -> np.ndarray:
    """∂R / ∂r_k, 3 x 3 x 3."""
    square = r @ r + 1e-300
    angle = np.sqrt(square)
    sine = np.sin(angle) / angle
    versine, unit = (1 - np.cos(angle)) / square, np.eye(3)
    common = -sine * unit + (np.cos(angle) - sine) / square * np.tensordot(r, crosses, 1)
    common += (sine - 2 * versine) / square * np.outer(r, r)
    mixed = unit[:, :, None] * r
    return r[:, None, None] * common + sine * crosses + versine * (mixed + mixed.swapaxes(1, 2))


# ---- peers -----------------------------------------------------------------------------------------------------------


def residuals_torch(theta: Any, u: Any, given: Given, torch: Any) -> Any:
    """The objective, as a user of PyTorch writes it."""
    angles = torch.cat([theta, theta.new_zeros(1)])[given.angles][:, :, None, None]
    x, z = given.cosines * angles.cos() + given.sines * angles.sin() + given.fixed
    relative = x @ z @ given.base
    absolute, generations, start = relative[:1, :, :3], [], 1
    generations.append(absolute)
    for parents in given.parents:
        absolute = relative[start : start + len(parents)] @ absolute[parents]
        generations.append(absolute)
        start += len(parents)
    transforms = (given.inverse @ torch.cat(generations)).reshape(-1, 3)

    r = theta[:3]
    square = (r * r).sum() + 1e-300
    angle = square.sqrt()
    cosine, crossed = angle.cos(), (r @ given.crosses).reshape(3, 3)
    unit = torch.eye(3, dtype=r.dtype)
    rotation = cosine * unit + angle.sin() / angle * crossed + (1 - cosine) / square * (r[:, None] * r)
    posed = rotation @ transforms.T @ given.skin + theta[3:6, None]
    if u is None:
        return given.points - posed[:, given.corners[0]]
    a, b, c = (posed[:, corner] for corner in given.corners)
    return given.points - (u[0] * (a - c) + u[1] * (b - c) + c)


def tools(peers: Peers, problem: Hand) -> list[Tool]:
    """The Jacobian by everyone, dualgrad first; and the objective."""
    known, at = given(problem), independents(problem)
    found = [timed("dualgrad", lambda: jacobian(problem, known), single)]
    if torch := peers.torch:
        found += _torch_tools(torch, problem, known)
    if autograd := peers.autograd:
        found.append(timed(HIPS, lambda: _by_hips(autograd, problem, known), single))
    if jax := peers.jax:
        found += _jax_tools(jax, problem, known)
    found.append(timed("NumPy, by hand", lambda: jacobian_by_hand(problem, known), single))
    found.append(timed("NumPy, objective", lambda: residuals(*at, known)))
    return found


def _torch_tools(torch: Any, problem: Hand, known: Given) -> list[Tool]:
    tensor = lambda value: None if value is None else torch.tensor(value)
    frozen = Given(*(tuple(map(tensor, value)) if type(value) is tuple else tensor(value) for value in known))
    at, tangents = [tensor(value) for value in independents(problem)], [tensor(value) for value in seeds(problem)]
    functions = [lambda theta: residuals_torch(theta, at[1], frozen, torch), lambda u: residuals_torch(at[0], u, frozen, torch)]
    pushes = [
        torch.func.vmap(lambda tangent, f=f, x=x: torch.func.jvp(f, (x,), (tangent,))[1]) for f, x in zip(functions, at)
    ]
    return [
        timed(TORCH, lambda: matrix([push(tangent).numpy() for push, tangent in zip(pushes, tangents)]), single),
        timed(f"{TORCH}, objective", lambda: residuals_torch(*at, frozen, torch)),
    ]


def _jax_tools(jax: Any, problem: Hand, known: Given) -> list[Tool]:
    at, tangents = independents(problem), seeds(problem)

    @jax.jit
    def columns(at: Any, tangents: Any) -> Any:
        functions = [lambda theta: residuals(theta, at[1], known, jax.numpy), lambda u: residuals(at[0], u, known, jax.numpy)]
        return [
            jax.vmap(lambda tangent, f=f, x=x: jax.jvp(f, (x,), (tangent,))[1])(seed)
            for f, x, seed in zip(functions, at, tangents)
        ]

    alone = jax.jit(lambda theta, u: residuals(theta, u, known, jax.numpy))
    return [
        timed(JAX, lambda: matrix([np.asarray(column) for column in columns(at, tangents)]), single),
        timed(f"{JAX}, objective", lambda: np.asarray(alone(*at))),
    ]


def _by_hips(autograd: Any, problem: Hand, known: Given) -> np.ndarray:
    """One pushforward after the other: HIPS autograd maps nothing."""
    function = functools.partial(residuals, given=known, xp=autograd.numpy)
    pushes = [autograd.make_jvp(function, argnum)(*independents(problem)) for argnum in (0, 1)]
    return matrix([np.stack([push(tangent)[1] for tangent in tangents]) for push, tangents in zip(pushes, seeds(problem))])
