"""vmap: axes of trees in and out, nesting, no branches on mapped values, no loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualgrad import errors, grad, jacfwd, jvp, vmap

A = np.arange(12.0).reshape(3, 4)


def test_axes_in():
    f = lambda x, y: np.sum(x) * y
    np.testing.assert_array_equal(vmap(f)(A, A[:, 0]), A.sum(1) * A[:, 0])
    np.testing.assert_array_equal(vmap(f, in_axes=(1, None))(A, 2.0), A.sum(0) * 2)
    np.testing.assert_array_equal(vmap(f, in_axes=(-1, 0))(A, A[0]), A.sum(0) * A[0])
    np.testing.assert_array_equal(vmap(f, in_axes=[None, 0])(A, A[0]), A.sum() * A[0])
    np.testing.assert_array_equal(vmap(lambda x, k=1: x * k)(A, k=3), 3 * A)


def test_axes_of_trees():
    p = {"w": A, "b": [A[0], 5.0]}
    f = lambda p, x: p["w"] @ x + p["b"][0] * p["b"][1]
    got = vmap(f, in_axes=({"w": 1, "b": [0, None]}, None))(p, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(got, A.T @ [1, 2, 3] + A[0] * 5)
    got = vmap(lambda p: p["w"] * p["b"], in_axes=({"w": 0, "b": None},))({"w": A, "b": 2.0})
    np.testing.assert_array_equal(got, 2 * A)
    np.testing.assert_array_equal(vmap(lambda p: p["a"] + p["b"])({"a": A, "b": 2 * A}), 3 * A)


def test_axes_out():
    f = lambda x: {"y": np.outer(x, x), "z": (np.sum(x), 7.0)}
    out = vmap(f, out_axes={"y": -1, "z": (0, None)})(A)
    np.testing.assert_array_equal(out["y"], np.einsum("ki,kj->ijk", A, A))
    np.testing.assert_array_equal(out["z"][0], A.sum(1))
    assert out["z"][1] == 7
    np.testing.assert_array_equal(vmap(lambda x: x, out_axes=1)(A), A.T)
    np.testing.assert_array_equal(vmap(lambda x: 3.0)(A), [3, 3, 3])


def test_nesting():
    f = lambda x, y: x * y + np.sin(x)
    np.testing.assert_allclose(
        vmap(vmap(f, in_axes=(None, 0)), in_axes=(0, None))(A[0], A[1]), A[0][:, None] * A[1] + np.sin(A[0])[:, None]
    )
    np.testing.assert_allclose(vmap(vmap(f))(A, A), f(A, A))
    np.testing.assert_allclose(vmap(lambda x: vmap(lambda y: x @ y)(A))(A), A @ A.T)
    np.testing.assert_allclose(vmap(lambda x: np.sum(vmap(lambda y: x * y)(x)))(A), A.sum(1) ** 2)


def test_nesting_with_derivatives():
    f = lambda x: np.sum(np.sin(x) * x)
    slope = np.cos(A) * A + np.sin(A)
    np.testing.assert_allclose(vmap(grad(f))(A), slope, rtol=1e-14)
    np.testing.assert_allclose(grad(lambda a: np.sum(vmap(f)(a)))(A), slope, rtol=1e-14)
    np.testing.assert_allclose(jvp(vmap(f), (A,), (A,))[1], np.sum(slope * A, 1), rtol=1e-14)
    np.testing.assert_allclose(vmap(lambda x, t: jvp(f, (x,), (t,))[1])(A, A), np.sum(slope * A, 1), rtol=1e-14)
    np.testing.assert_allclose(vmap(jacfwd(grad(f)))(A)[1], np.diag(2 * np.cos(A[1]) - A[1] * np.sin(A[1])), rtol=1e-13, atol=1e-15)
    shared = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(
        grad(lambda w: np.sum(vmap(lambda x: np.sum(x * w) ** 2)(A)))(shared), 2 * A.T @ (A @ shared), rtol=1e-14
    )


def test_a_captured_value_is_shared():
    w = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(vmap(lambda x: x @ w)(A), A @ w)
    np.testing.assert_array_equal(vmap(lambda x: np.where(w > 2, x, w))(A), np.where(w > 2, A, w))


def test_in_place_writes():
    def f(x: Any, i: Any) -> Any:
        y = np.zeros((2, 4), like=x)
        y[0] = x
        y[1] += x[::-1]
        y[0, 1] *= 2.0
        y[:, 0] = x[-1]
        return y * i

    np.testing.assert_array_equal(vmap(f)(A, np.arange(3.0)), np.stack([np.asarray(f_plain(x)) * i for i, x in enumerate(A)]))


def f_plain(x: Any) -> Any:
    y = np.zeros((2, 4))
    y[0] = x
    y[1] += x[::-1]
    y[0, 1] *= 2.0
    y[:, 0] = x[-1]
    return y


def test_mapped_indices():
    index = np.array([[0, 1], [3, 3], [2, 0]])
    np.testing.assert_array_equal(vmap(lambda x, i: x[i])(A, index), np.take_along_axis(A, index, 1))
    np.testing.assert_array_equal(vmap(lambda i: np.take_along_axis(A[0], i, 0))(index), A[0][index])
    np.testing.assert_array_equal(vmap(lambda x, i: np.take_along_axis(x, i, 0))(A, index), np.take_along_axis(A, index, 1))

    def write(x: Any, i: Any) -> Any:
        y = x * 1.0
        y[i] = 100.0
        return y

    np.testing.assert_array_equal(vmap(write)(A, index), np.stack([write(x, i) for x, i in zip(A, index)]))
    accumulate = lambda x, i: grad(lambda x: np.sum(x[i] ** 2))(x)
    np.testing.assert_array_equal(vmap(accumulate)(A, index), np.stack([accumulate(x, i) for x, i in zip(A, index)]))


def test_integers_and_booleans_are_mapped_too():
    np.testing.assert_array_equal(vmap(lambda n: n * 2)(np.arange(4)), 2 * np.arange(4))
    np.testing.assert_array_equal(vmap(lambda n: n > 1)(np.arange(4)), np.arange(4) > 1)
    np.testing.assert_array_equal(vmap(lambda x: np.argmax(x))(A), A.argmax(1))


@pytest.mark.parametrize(
    "branch",
    [
        lambda x: x if x > 0 else -x,
        lambda x: float(x),
        lambda x: int(x),
        lambda x: [1.0, 2.0][x > 0],
        lambda x: x and 1.0,
        lambda x: np.ones(3)[: int(x)],
    ],
)
def test_a_branch_on_a_mapped_value_raises_and_names_where(branch):
    with pytest.raises(errors.TracedConversionError) as caught:
        vmap(branch)(np.array([1.0, -2.0]))
    assert "test_vectorize.py" in str(caught.value)


def test_a_branch_says_np_where():
    with pytest.raises(errors.TracedConversionError, match=r"np\.where"):
        vmap(lambda x: x if x > 0 else -x)(np.array([1.0, -2.0]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: vmap(lambda x, y: x)(A), "argument"),
        (lambda: vmap(lambda x, y: x, in_axes=(0,))(A, A), "in_axes has 1 entries"),
        (lambda: vmap(lambda x, y: x + y)(A, A[:2]), "equal lengths"),
        (lambda: vmap(lambda x: x, in_axes=2)(A), "axis 2"),
        (lambda: vmap(lambda x: x)(3.0), "axis 0"),
        (lambda: vmap(lambda x: x, in_axes=None)(A), "no argument is mapped"),
        (lambda: vmap(lambda p: p["a"], in_axes=({"b": 0},))({"a": A}), "keys"),
        (lambda: vmap(lambda x: x, out_axes=None)(A), "out_axes is None"),
        (lambda: vmap(lambda x: "text")(A), "must return arrays"),
        (lambda: vmap(3.0), "must be a function"),
    ],
)
def test_bad_arguments(call, words):
    with pytest.raises((errors.DualgradError, TypeError), match=words):
        call()


def test_one_call_whatever_the_number_of_instances():
    calls = []
    vmap(lambda x: calls.append(1) or np.sin(x))(np.ones((1000, 2)))
    assert len(calls) == 1


def test_no_instances_at_all():
    none = np.zeros((0, 3))
    for f, shape in (
        (np.sum, (0,)),
        (grad(lambda x: np.sum(x**2)), (0, 3)),
        (np.sort, (0, 3)),
        (lambda x: np.einsum("i,i", x, x), (0,)),
        (lambda x: x[[0, 2]], (0, 2)),
        (lambda x: np.outer(x, x), (0, 3, 3)),
        (lambda x: np.where(x > 0, x, 0), (0, 3)),
        (lambda x: jacfwd(np.sin)(x), (0, 3, 3)),
    ):
        assert vmap(f)(none).shape == shape


def test_results_are_owned():
    out = vmap(lambda x: (x, np.ones(2)))(A)
    for a in out:
        assert a.flags.writeable and not np.shares_memory(a, A)
