"""Jacobians: the modes agree, the layout is a tree of blocks, chunks bound the memory, no column is looped over."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from reference import directional

from dualgrad import errors, grad, hessian, jacfwd, jacobian, jacrev, jvp, tree, value_and_jacobian, vjp, vmap

Pair = namedtuple("Pair", ["left", "right"])
RNG = np.random.default_rng(0)
PARAMS = {"w": RNG.normal(size=(2, 3)), "b": [np.array(0.4), RNG.normal(size=2)]}
MODES = {
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "auto": jacobian,
    "forward": lambda f, **kw: jacobian(f, mode="forward", **kw),
    "reverse": lambda f, **kw: jacobian(f, mode="reverse", **kw),
}
modes = pytest.mark.parametrize("mode", [pytest.param(f, id=name) for name, f in MODES.items()])


def model(p: Any) -> Any:
    h = np.tanh(p["w"].T @ p["b"][1] + p["b"][0])
    return {"out": h, "pair": Pair(np.sum(h**2), np.stack([h, 2 * h]) * p["b"][0])}


@modes
def test_blocks_are_ordered_outputs_first_and_shaped_by_both(mode):
    out, blocks = model(PARAMS), mode(model)(PARAMS)
    out_leaves, _structure = tree.flatten(out)
    assert isinstance(blocks["pair"], Pair)
    for y, per_output in zip(out_leaves, [blocks["out"], blocks["pair"].left, blocks["pair"].right], strict=True):
        assert tree.structure(per_output) == tree.structure(PARAMS)
        for x, block in zip(tree.leaves(PARAMS), tree.leaves(per_output), strict=True):
            assert block.shape == np.shape(y) + np.shape(x) and block.dtype == np.float64


@modes
def test_blocks_are_the_derivative_of_plain_numpy(mode):
    blocks = mode(model)(PARAMS)
    leaves, structure = tree.flatten(PARAMS)
    for k, leaf in enumerate(leaves):
        for index in np.ndindex(np.shape(leaf)):
            direction = [np.zeros(np.shape(x)) for x in leaves]
            direction[k][index] = 1.0
            wanted, _ = directional(lambda *xs: tree.leaves(model(tree.unflatten(structure, xs))), leaves, direction)
            for per_output, column in zip([blocks["out"], blocks["pair"].left, blocks["pair"].right], wanted, strict=True):
                np.testing.assert_allclose(tree.leaves(per_output)[k][(..., *index)], column, rtol=1e-9, atol=1e-10)


@modes
def test_several_arguments(mode):
    f = lambda x, y, z: x * y[0] + z["c"]
    args = (np.array([1.0, 2.0]), np.array([3.0, 5.0]), {"c": 1.0})
    by_x, by_z = mode(f, argnums=(0, 2))(*args)
    np.testing.assert_array_equal(by_x, [[3, 0], [0, 3]])
    np.testing.assert_array_equal(by_z["c"], [1, 1])
    np.testing.assert_array_equal(mode(f, argnums=1)(*args), [[1, 0], [2, 0]])
    np.testing.assert_array_equal(mode(f, argnums=-2)(*args), [[1, 0], [2, 0]])
    (only,) = mode(f, argnums=(1,))(*args)
    np.testing.assert_array_equal(only, [[1, 0], [2, 0]])


@modes
def test_shapes_of_every_rank(mode):
    for n, m in itertools.product([(), (1,), (3,), (2, 2), (0,), (2, 0)], repeat=2):
        x = np.ones(n)
        block = mode(lambda x: np.zeros(m) + np.sum(x) * 2)(x)  # noqa: B023
        assert block.shape == m + n
        np.testing.assert_array_equal(block, np.full(m + n, 2.0))


@modes
def test_auxiliary_results(mode):
    found, aux = mode(lambda x: (x**2, {"y": x * 3, "note": "text", "n": 7}), has_aux=True)(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(found, [[2, 0], [0, 4]])
    np.testing.assert_array_equal(aux["y"], [3, 6])
    assert type(aux["y"]) is np.ndarray and aux["note"] == "text" and aux["n"] == 7


@modes
def test_integer_leaves_and_outputs(mode):
    blocks = mode(lambda p: {"y": p["x"] * p["n"], "k": p["n"] + 1})({"x": np.array([1.0, 2.0]), "n": 3, "name": "a", "none": None})
    np.testing.assert_array_equal(blocks["y"]["x"], [[3, 0], [0, 3]])
    assert blocks["y"]["n"] is None and blocks["y"]["name"] is None and blocks["k"] is None


@modes
def test_structural_zeros_of_the_basis(mode):
    """Unit vectors are structurally zero elsewhere: an infinite slope must not turn the rest into nan."""
    got = mode(lambda x: np.sqrt(x))(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(got, [[np.inf, 0], [0, 0.25]])
    got = mode(lambda x: np.sqrt(x[::-1]).reshape(2, 1) * 1.0)(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(got[:, 0, :], [[0, 0.25], [np.inf, 0]])


@modes
def test_float32_and_complex(mode):
    x = np.array([1.0, 2.0], np.float32)
    assert mode(lambda x: x**2 * np.float32(2))(x).dtype == np.float32
    z = np.array([1 + 1j, 2.0])
    with pytest.raises(errors.InputTypeError, match="holomorphic=True"):
        mode(lambda z: z**2)(z)
    np.testing.assert_allclose(
        mode(lambda z: z**2 * np.sum(z), holomorphic=True)(z), np.diag(2 * z * np.sum(z)) + (z**2)[:, None], rtol=1e-14
    )
    np.testing.assert_allclose(mode(lambda x: x * (1 + 2j))(np.array([1.0, 2.0])), np.eye(2) * (1 + 2j))


def test_the_jacobian_of_a_real_map_into_complex_numbers():
    for mode in (jacfwd, jacrev):
        np.testing.assert_allclose(
            mode(lambda x: np.exp(1j * x))(np.array([0.3, 1.0])), np.diag(1j * np.exp(1j * np.array([0.3, 1.0]))), rtol=1e-14
        )


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7, 100, np.int64(2)])
@modes
def test_chunks_change_nothing(mode, chunk_size):
    for a, b in zip(tree.leaves(mode(model)(PARAMS)), tree.leaves(mode(model, chunk_size=chunk_size)(PARAMS)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15)


@pytest.mark.parametrize(
    "mode", [jacfwd, jacrev, lambda f, chunk_size: hessian(lambda x: np.sum(f(x) ** 2), chunk_size=chunk_size)]
)
def test_a_chunk_size_bounds_the_peak_memory(mode):
    """n inputs and outputs, intermediates of n times 40: a whole basis needs n of them at once, chunks of 5 need 5."""
    n = 60

    def f(x: Any) -> Any:
        return np.sum(np.tanh(np.sin(np.broadcast_to(x[:, None], (n, 40)))), axis=1)

    def peak(chunk_size: Any) -> int:
        call = mode(f, chunk_size=chunk_size)
        tracemalloc.start()
        try:
            call(np.zeros(n))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(5) < 0.35 * peak(None)


@pytest.mark.parametrize("transform", [jacfwd, jacrev, jacobian, hessian])
def test_no_loop_over_columns_or_rows(transform):
    """The number of Python-level operations does not depend on the size."""
    counts = []
    for n in (2, 50):
        calls = [0]

        def f(x: Any, calls: Any = calls) -> Any:
            calls[0] += 1
            y = np.tanh(x) ** 2
            return np.sum(y) if transform is hessian else y

        transform(f)(np.zeros(n))
        counts.append(calls[0])
    assert counts[0] == counts[1] <= 2


def test_auto_takes_the_smaller_basis():
    """A function whose pullback refuses to run tells which mode was taken."""
    from dualgrad import custom_vjp

    swept: list[tuple] = []

    @custom_vjp
    def probe(x: Any) -> Any:
        return x

    def note(_: Any, ct: Any) -> tuple:
        swept.append(ct.shape)
        return (ct,)

    probe.defvjp(lambda x: (x, None), note)
    jacobian(lambda x: np.sum(probe(x)))(np.ones(5))
    assert swept
    swept.clear()
    tall = jacobian(lambda x: np.concatenate([x, x, x]))(np.ones(2))
    np.testing.assert_array_equal(tall, np.tile(np.eye(2), (3, 1)))


@pytest.mark.parametrize("mode", ["forwards", None, 1])
def test_an_unknown_mode(mode):
    with pytest.raises(errors.ArgumentError, match="'auto', 'forward' or 'reverse'"):
        jacobian(np.sin, mode=mode)


@pytest.mark.parametrize("chunk_size", [0, -1, 1.5, True, "2"])
@modes
def test_a_wrong_chunk_size(mode, chunk_size):
    with pytest.raises(errors.ArgumentError, match="chunk_size must be a positive int"):
        mode(np.sin, chunk_size=chunk_size)(np.ones(2))


# ---- compositions and values ----------------------------------------------------------------------------------------


def test_a_third_derivative_in_all_eight_ways():
    f = lambda x: np.sum(x**3) * x[0]
    x = np.array([0.5, -1.2])
    reference = jacfwd(jacfwd(jacfwd(f)))(x)
    for outer, middle, inner in itertools.product((jacfwd, jacrev), repeat=3):
        np.testing.assert_allclose(outer(middle(inner(f)))(x), reference, rtol=1e-13, atol=1e-13)


def test_transforms_of_jacobians():
    f = lambda x: np.stack([x[0] * x[1], np.sin(x[0]), x[1] ** 3])
    x, v = np.array([0.4, 1.5]), np.array([1.0, -0.5])
    wanted = jacfwd(jacfwd(f))(x) @ v
    for mode in (jacfwd, jacrev, jacobian):
        np.testing.assert_allclose(jvp(mode(f), (x,), (v,))[1], wanted, rtol=1e-13)
        np.testing.assert_allclose(vmap(mode(f))(np.stack([x, 2 * x]))[1], mode(f)(2 * x), rtol=1e-14)
        np.testing.assert_allclose(vjp(mode(f), x)[1](np.ones((3, 2)))[0], np.sum(jacfwd(jacfwd(f))(x), axis=(0, 1)), rtol=1e-13)
        np.testing.assert_allclose(
            grad(lambda x, mode=mode: np.sum(mode(f)(x) ** 2))(x),
            2 * np.einsum("ij,ijk->k", mode(f)(x), jacfwd(jacfwd(f))(x)),
            rtol=1e-13,
        )


# ---- value and Jacobian -----------------------------------------------------------------------------------------------

TALL = lambda x: {"a": np.stack([x * 2, np.sin(x), x**3]), "n": 3}
WIDE = lambda x: {"a": np.sum(x**2), "n": 3}


@pytest.mark.parametrize("mode_name", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("f", [TALL, WIDE, model], ids=["tall", "wide", "a tree"])
def test_a_value_and_its_jacobian_take_one_evaluation(f, mode_name, chunk_size):
    x = PARAMS if f is model else np.array([0.3, -1.0, 2.0])
    calls: list = []

    def counted(x: Any) -> Any:
        calls.append(0)
        return f(x)

    value, blocks = value_and_jacobian(counted, mode=mode_name, chunk_size=chunk_size)(x)
    assert len(calls) == 1
    for got, want in ((value, f(x)), (blocks, jacobian(f)(x))):
        assert tree.structure(got) == tree.structure(want)
        for a, b in zip(tree.leaves(got), tree.leaves(want), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
    assert type(tree.leaves(value)[0]) in (np.ndarray, np.float64)


def test_a_value_and_jacobian_with_auxiliary_results_and_of_several_arguments():
    f = lambda x, y, scale: (np.concatenate([x * y, x]) * scale, {"note": "text", "twice": 2 * x})
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    (value, aux), (by_x, by_y) = value_and_jacobian(f, argnums=(0, 1), has_aux=True)(x, y, scale=2.0)
    np.testing.assert_array_equal(value, [6, 20, 2, 4])
    np.testing.assert_array_equal(by_x, 2 * np.vstack([np.diag(y), np.eye(2)]))
    np.testing.assert_array_equal(by_y, 2 * np.vstack([np.diag(x), np.zeros((2, 2))]))
    np.testing.assert_array_equal(aux["twice"], 2 * x)
    assert aux["note"] == "text" and not np.shares_memory(value, x)


def test_a_pushed_basis_through_a_recording_keeps_structural_zeros_and_complex_values():
    tall = value_and_jacobian(lambda x: np.concatenate([np.sqrt(x), x]))(np.array([0.0, 4.0]))[1]
    np.testing.assert_array_equal(tall, [[np.inf, 0], [0, 0.25], [1, 0], [0, 1]])
    x = np.array([0.3, 1.0])
    pair = lambda x: np.concatenate([np.exp(1j * x), x * 1j])
    np.testing.assert_allclose(value_and_jacobian(pair)(x)[1], jacfwd(pair)(x), rtol=1e-14)
    holomorphic = value_and_jacobian(lambda z: np.concatenate([z**2, z * 1j]), holomorphic=True)(x + 0.5j)[1]
    np.testing.assert_allclose(holomorphic, np.vstack([np.diag(2 * x + 1j), 1j * np.eye(2)]), rtol=1e-14)


def test_a_value_and_jacobian_is_differentiable_and_mapped():
    f = lambda x: np.stack([x[0] * x[1], np.sin(x[0]), x[1] ** 3])
    x, v = np.array([0.4, 1.5]), np.array([1.0, -0.5])
    second = jacfwd(jacfwd(f))(x)
    for mode in ("auto", "forward", "reverse"):
        both = value_and_jacobian(f, mode=mode)
        np.testing.assert_allclose(jvp(both, (x,), (v,))[1][1], second @ v, rtol=1e-13)
        np.testing.assert_allclose(grad(lambda x, both=both: np.sum(both(x)[1]))(x), np.sum(second, (0, 1)), rtol=1e-13)
        np.testing.assert_allclose(vmap(both)(np.stack([x, 2 * x]))[1][1], jacfwd(f)(2 * x), rtol=1e-14)


def test_an_unknown_mode_of_value_and_jacobian():
    with pytest.raises(errors.ArgumentError, match=r"value_and_jacobian: mode must be 'auto', 'forward' or 'reverse', not 'fast'"):
        value_and_jacobian(np.sin, mode="fast")
    with pytest.raises(errors.InputTypeError, match="value_and_jacobian"):
        value_and_jacobian(np.sin)(3)


def test_mapped_reads_of_one_array_add_up():
    def f(x):
        s = x[0]
        for k in range(5):
            s = np.sin(s) * x[k % 3] + np.sum(x[1:])
        return np.stack([s, 2.0 * s, x[2] * x[0]]) + x

    x = np.array([0.3, 0.7, 1.1])
    np.testing.assert_allclose(jacrev(f)(x), jacfwd(f)(x), rtol=1e-13)
    twice = jacrev(jacrev(f))(x)
    np.testing.assert_allclose(twice, jacfwd(jacfwd(f))(x), rtol=1e-12)
