"""Hessians: every nesting agrees with closed forms and differences; one evaluation; flat, diagonal, and products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import second

from dualgrad import (
    custom_vjp,
    errors,
    grad,
    hessian,
    hessian_diagonal,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    tree,
    value_grad_and_hessian,
    vmap,
)

RNG = np.random.default_rng(5)
MODES = ("auto", "forward-reverse", "reverse-reverse", "reverse-forward", "forward-forward")
modes = pytest.mark.parametrize("mode", MODES)


def energy(p: Any) -> Any:
    return np.sum(np.sin(p["a"]) * p["b"][0] ** 3) + p["b"][0] * np.exp(p["b"][1])


POINT = {"a": np.array([0.3, -1.0]), "b": (np.array(0.7), np.array(0.2))}


@modes
def test_a_hessian_is_a_tree_of_trees(mode):
    h = hessian(energy, mode=mode)(POINT)
    a, b0, b1 = POINT["a"], 0.7, 0.2
    np.testing.assert_allclose(h["a"]["a"], np.diag(-np.sin(a) * b0**3), rtol=1e-14)
    np.testing.assert_allclose(h["a"]["b"][0], np.cos(a) * 3 * b0**2, rtol=1e-14)
    np.testing.assert_allclose(h["b"][0]["a"], np.cos(a) * 3 * b0**2, rtol=1e-14)
    np.testing.assert_allclose(h["b"][0]["b"][0], np.sum(np.sin(a)) * 6 * b0, rtol=1e-14)
    np.testing.assert_allclose(h["b"][0]["b"][1], np.exp(b1), rtol=1e-14)
    np.testing.assert_allclose(h["b"][1]["b"][1], b0 * np.exp(b1), rtol=1e-14)
    np.testing.assert_array_equal(h["a"]["b"][1], [0, 0])


@modes
def test_a_hessian_of_several_arguments(mode):
    f = lambda x, y: np.sum(x**2) * y
    (xx, xy), (yx, yy) = hessian(f, argnums=(0, 1), mode=mode)(np.array([1.0, 2.0]), 3.0)
    np.testing.assert_array_equal(xx, 6 * np.eye(2))
    np.testing.assert_array_equal(xy, [2, 4])
    np.testing.assert_array_equal(yx, [2, 4])
    assert yy == 0
    found, aux = hessian(lambda x: (np.sum(x**3), x * 2), has_aux=True, mode=mode)(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(found, np.diag([6, 12]))
    np.testing.assert_array_equal(aux, [2, 4])


@modes
def test_a_hessian_of_a_tree_with_other_leaves(mode):
    """The inner gradient is None at an integer, and so is a derivative of it."""
    p = {"x": np.array([1.0, 2.0]), "n": 3, "name": "a", "none": None}
    f = lambda p: np.sum(p["x"] ** p["n"])
    h = hessian(f, mode=mode)(p)
    np.testing.assert_array_equal(h["x"]["x"], np.diag(6 * p["x"]))
    assert h["x"]["n"] is None and h["n"] is None and h["name"] is None and h["none"] is None
    v = {"x": np.array([1.0, -1.0]), "n": None, "name": None, "none": None}
    product = hvp(f, p, v)
    np.testing.assert_array_equal(product["x"], [6, -12])
    assert product["n"] is None
    for outer in (jacfwd, jacrev):
        np.testing.assert_array_equal(outer(grad(f))(p)["x"]["x"], np.diag(6 * p["x"]))
    np.testing.assert_array_equal(
        vmap(grad(f), in_axes=({"x": 0, "n": None, "name": None, "none": None},))({**p, "x": np.stack([p["x"], p["x"]])})["x"][1],
        3 * p["x"] ** 2,
    )


def test_a_hessian_vector_product_is_the_hessian_times_the_vector():
    v = {"a": np.array([1.0, -2.0]), "b": (np.array(0.5), np.array(3.0))}
    product = hvp(energy, POINT, v)
    h = hessian(energy)(POINT)
    for rows, got in ((h["a"], product["a"]), (h["b"][0], product["b"][0]), (h["b"][1], product["b"][1])):
        wanted = rows["a"] @ v["a"] + rows["b"][0] * v["b"][0] + rows["b"][1] * v["b"][1]
        np.testing.assert_allclose(got, wanted, rtol=1e-13)
    with pytest.raises(errors.StructureError, match="hvp"):
        hvp(energy, POINT, {"a": v["a"]})


# ---- the matrix -------------------------------------------------------------------------------------------------------


def network(p: Any) -> Any:
    return np.mean((np.tanh(DATA @ p["w"] + p["b"]) @ p["v"] - 1) ** 2) + p["scale"] * np.logaddexp(p["b"][0], p["v"][1])


DATA = RNG.normal(size=(7, 3))
PARAMS = {"w": RNG.normal(size=(3, 4)), "b": RNG.normal(size=4), "layers": 2, "v": RNG.normal(size=4), "scale": 0.3}


@modes
@pytest.mark.parametrize("chunk_size", [None, 5])
def test_every_nesting_gives_one_symmetric_matrix(mode, chunk_size):
    matrix = hessian(network, mode=mode, flat=True, chunk_size=chunk_size)(PARAMS)
    vector, unravel = tree.ravel(PARAMS)
    assert matrix.shape == (21, 21) and np.array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix, hessian(network, mode="forward-reverse", flat=True)(PARAMS), rtol=1e-12, atol=1e-14)
    u, v = RNG.normal(size=(2, 21))
    wanted, error = second(lambda x: (network(unravel(x)),), (vector,), (u,), (v,))
    assert u @ matrix @ v == pytest.approx(wanted[0], abs=1e-7 + 4 * error)
    blocks = hessian(network, mode=mode, chunk_size=chunk_size)(PARAMS)
    np.testing.assert_allclose(blocks["w"]["v"].reshape(12, 4), matrix[:12, 16:20], rtol=1e-12, atol=1e-14)


@modes
def test_values_gradients_and_hessians_take_one_evaluation(mode):
    calls: list = []

    def counted(p: Any) -> Any:
        calls.append(0)
        return network(p), {"seen": p["b"] * 2, "note": "text"}

    for chunk_size in (None, 4):
        calls.clear()
        (value, aux), gradient, blocks = value_grad_and_hessian(counted, has_aux=True, mode=mode, chunk_size=chunk_size)(PARAMS)
        assert len(calls) == 1
        assert value == pytest.approx(network(PARAMS), rel=1e-15) and isinstance(value, np.float64)
        np.testing.assert_array_equal(aux["seen"], 2 * PARAMS["b"])
        assert type(aux["seen"]) is np.ndarray and aux["note"] == "text"
        for got, want in ((gradient, grad(network)(PARAMS)), (blocks, hessian(network)(PARAMS))):
            assert tree.structure(got) == tree.structure(want)
            for a, b in zip(tree.leaves(got), tree.leaves(want), strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    value, gradient, matrix = value_grad_and_hessian(network, mode=mode, flat=True)(PARAMS)
    np.testing.assert_allclose(gradient, tree.ravel(grad(network)(PARAMS))[0], rtol=1e-13)
    assert matrix.shape == (21, 21) and gradient.shape == (21,) and np.array_equal(matrix, matrix.T)


@modes
def test_flat_matrices_of_other_arguments(mode):
    f = lambda x, y: np.sum(x**2) * y + y**3
    value, gradient, matrix = value_grad_and_hessian(f, argnums=(1, 0), mode=mode, flat=True)(np.array([1.0, 2.0]), 3.0)
    assert value == 42
    np.testing.assert_array_equal(gradient, [32, 6, 12])
    np.testing.assert_array_equal(matrix, [[18, 2, 4], [2, 6, 0], [4, 0, 6]])
    assert hessian(lambda x: x**3, mode=mode, flat=True)(2.0).tolist() == [[12]]
    single = hessian(lambda x: np.sum(np.tanh(x) ** 2), mode=mode, flat=True)(np.float32([0.5, 1.0]))
    assert single.dtype == np.float32
    assert hessian(lambda x: np.float64(3.0), mode=mode, flat=True)(np.ones((2, 2))).tolist() == np.zeros((4, 4)).tolist()
    np.testing.assert_array_equal(
        hessian(lambda z: np.sum(z**3), mode=mode, flat=True, holomorphic=True)(np.array([1j, 2.0])), np.diag([6j, 12])
    )


def test_a_large_sweep_in_parts_that_fit_the_cache():
    n = 300
    x = RNG.normal(size=n)
    f = lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    matrix = hessian(f, flat=True)(x)
    low, high = x[:-1], x[1:]
    wanted = np.diag(np.r_[1200 * low**2 - 400 * high + 2, 0] + np.r_[0, np.full(n - 1, 200.0)])
    wanted[np.arange(n - 1), np.arange(1, n)] = wanted[np.arange(1, n), np.arange(n - 1)] = -400 * low
    np.testing.assert_allclose(matrix, wanted, rtol=1e-12, atol=1e-12)


@modes
def test_special_points(mode):
    found = hessian(lambda x: np.linalg.norm(x) ** 2, mode=mode)(np.zeros(3))
    np.testing.assert_array_equal(found, 2 * np.eye(3))
    matrix = np.array([[1.0, 2.0], [5.0, 3.0]])
    np.testing.assert_array_equal(hessian(lambda x: x @ matrix @ x, mode=mode)(np.zeros(2)), matrix + matrix.T)
    kinked = hessian(lambda x: np.sum(np.maximum(x, 0) ** 1.5), mode=mode)
    np.testing.assert_array_equal(kinked(np.array([-1.0, 4.0])), np.diag([0, 0.375]))
    spectrum = hessian(lambda a: np.sum(np.linalg.eigvalsh((a + a.T) / 2) ** 3), mode=mode, flat=True)
    np.testing.assert_allclose(spectrum(np.eye(2)), [[6, 0, 0, 0], [0, 3, 3, 0], [0, 3, 3, 0], [0, 0, 0, 6]], atol=1e-14)
    value, _, _ = value_grad_and_hessian(lambda a: np.sum(np.linalg.eigvalsh(a)), mode=mode)(np.eye(2))
    assert value == 2  # its basis follows the tangents, its value does not


@modes
def test_hessians_nest_and_map(mode):
    f = lambda x: np.sum(np.sin(x) * x[::-1] ** 2)
    x = np.array([0.3, -0.8, 1.1])
    third = jacfwd(hessian(f, mode=mode, flat=True))(x)
    np.testing.assert_allclose(third, jacfwd(jacfwd(jacfwd(f)))(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(vmap(hessian(f, mode=mode, flat=True))(np.stack([x, 2 * x]))[1], hessian(f)(2 * x), rtol=1e-12)
    gradient = grad(lambda x: np.sum(value_grad_and_hessian(f, mode=mode)(x)[2]))(x)
    np.testing.assert_allclose(gradient, np.sum(third, (0, 1)), rtol=1e-12)


# ---- products and the diagonal ----------------------------------------------------------------------------------------


def test_products_with_partial_vectors_in_every_transform():
    product = hvp(network, PARAMS, {"w": None, "b": np.ones(4), "layers": None, "v": None, "scale": 0.0})
    matrix = hessian(network, flat=True)(PARAMS)
    np.testing.assert_allclose(tree.ravel(product)[0], matrix[:, 12:16].sum(1), rtol=1e-12, atol=1e-14)
    f = lambda x: np.sum(np.exp(x) * x[::-1])
    x, v = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(vmap(lambda v: hvp(f, x, v))(np.eye(3)), hessian(f)(x), rtol=1e-13)
    np.testing.assert_allclose(jacfwd(lambda x: hvp(f, x, v))(x), jacfwd(hessian(f))(x) @ v, rtol=1e-12)
    np.testing.assert_array_equal(hvp(lambda x: np.float64(3), x, v), np.zeros(3))
    np.testing.assert_allclose(hvp(lambda z: np.sum(np.abs(z) ** 2), x + 1j, v * 1j), 2j * v, rtol=1e-14)


SEPARABLE = lambda p: np.sum(np.sin(p["x"]) * p["x"] ** 2) + p["y"] ** 4 + 3 * p["n"]
COUPLED = lambda p: np.prod(p["x"]) ** 2 + p["y"] ** 3 * p["x"][0, 0] + np.sum(p["x"] @ p["x"].T)


@pytest.mark.parametrize("f", [SEPARABLE, COUPLED], ids=["separable", "coupled"])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_the_diagonal_is_that_of_the_hessian(f, chunk_size):
    p = {"x": RNG.normal(size=(2, 3)), "n": 2, "y": 0.7}
    found = hessian_diagonal(f, chunk_size=chunk_size)(p)
    wanted = np.diagonal(hessian(f, flat=True)(p))
    np.testing.assert_allclose(found["x"].ravel(), wanted[:6], rtol=1e-12)
    assert found["y"] == pytest.approx(wanted[6], rel=1e-12) and isinstance(found["y"], np.float64)
    assert found["n"] is None and found["x"].shape == (2, 3) and found["x"].flags.owndata


def test_a_separable_function_takes_one_sweep_and_any_other_two_through_the_same_recording():
    swept: list[int] = []
    calls: list[int] = []

    @custom_vjp
    def of_cotangents(ct: Any) -> Any:
        return ct

    def note(_: Any, ct: Any) -> tuple:
        swept.append(0)
        return (ct,)

    of_cotangents.defvjp(lambda ct: (ct, None), note)

    @custom_vjp
    def probe(x: Any) -> Any:
        return x

    probe.defvjp(lambda x: (x, None), lambda _, ct: (of_cotangents(ct),))  # a product pulls back through its pullback
    for f, sweeps in ((lambda x: np.sum(probe(x) ** 3), 1), (lambda x: np.prod(probe(x) ** 2), 2)):
        calls.clear()
        swept.clear()
        hessian_diagonal(lambda x, f=f: calls.append(0) or f(x))(np.array([1.0, 2.0, 3.0]))
        assert (len(calls), len(swept)) == (1, sweeps)


def test_a_small_coupling_among_large_numbers_is_seen():
    """Row by row: what is far below the largest second derivative is not rounding."""
    f = lambda x: 1e12 * x[0] ** 2 + 1e-9 * (x[1] ** 2 + 3 * x[1] * x[2])
    np.testing.assert_array_equal(hessian_diagonal(f)(np.ones(3)), [2e12, 2e-9, 0])
    np.testing.assert_array_equal(hessian_diagonal(lambda x: np.sum(np.sqrt(x)))(np.array([0.0, 4.0])), [-np.inf, -1 / 32])


def test_a_diagonal_nests_and_maps():
    f = lambda x: np.sum(np.sin(x) ** 3) * x[0]
    x = np.array([0.3, 0.8, 1.1])
    diagonal = lambda x: np.diagonal(hessian(f)(x))
    np.testing.assert_allclose(vmap(hessian_diagonal(f))(np.stack([x, 2 * x]))[1], diagonal(2 * x), rtol=1e-12)
    np.testing.assert_allclose(jacfwd(hessian_diagonal(f))(x), jacfwd(diagonal)(x), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(jacrev(hessian_diagonal(f))(x), jacfwd(diagonal)(x), rtol=1e-11, atol=1e-13)
    assert jvp(hessian_diagonal(lambda x: x**4), (2.0,), (1.0,)) == (48, 48)


# ---- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["forward", "reverse-auto", None, 1])
def test_an_unknown_mode(mode):
    for transform in (hessian, value_grad_and_hessian):
        listed = f"{transform.__name__}: mode must be 'auto', 'forward-reverse', .* or 'forward-forward', not"
        with pytest.raises(errors.ArgumentError, match=listed):
            transform(np.sum, mode=mode)


@modes
def test_an_output_that_is_no_scalar(mode):
    for transform in (hessian, value_grad_and_hessian):
        told = rf"{transform.__name__}: sin must return a scalar, but it returned shape \(2,\).*jacobian\(f\)"
        with pytest.raises(errors.OutputError, match=told):
            transform(np.sin, mode=mode)(np.ones(2))
    with pytest.raises(errors.OutputError, match="hvp: sin must return a scalar"):
        hvp(np.sin, np.ones(2), np.ones(2))
    with pytest.raises(errors.OutputError, match="hessian_diagonal: sin must return a scalar"):
        hessian_diagonal(np.sin)(np.ones(2))


@modes
def test_wrong_arguments(mode):
    with pytest.raises(errors.InputTypeError, match="hessian: argument 0 must be floating"):
        hessian(np.sum, mode=mode)(np.ones(2, int))
    with pytest.raises(errors.ArgumentError, match="hessian: argnums names argument 3"):
        hessian(np.sum, argnums=3, mode=mode)(np.ones(2))
    with pytest.raises(errors.ArgumentError, match="hessian: chunk_size must be a positive int"):
        hessian(np.sum, chunk_size=0, mode=mode)(np.ones(2))
    with pytest.raises(errors.OutputError, match="has_aux=True"):
        hessian(np.sum, has_aux=True, mode=mode)(np.ones(2))


def test_a_diagonal_of_complex_arguments():
    with pytest.raises(errors.InputTypeError, match=r"hessian_diagonal: the argument must be real"):
        hessian_diagonal(lambda z: np.sum(np.abs(z)))(np.ones(2) * 1j)
