"""Laws over random shapes, broadcastings, indices and trees (Hypothesis, derandomized)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dualgrad import grad, hvp, jacfwd, jacrev, jvp, tree, vjp, vmap

laws = settings(derandomize=True, deadline=None, max_examples=50)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
full_shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def values(shape: tuple[int, ...], seed: int = 0) -> Any:
    """Distinct numbers between 0.5 and 2."""
    x = np.random.default_rng(seed).uniform(0.5, 2.0, shape)
    x.setflags(write=False)
    return x


def check_linear(f: Any, x: Any, wanted: Any) -> None:
    """f is linear in x and equals `wanted`: value, pushforward, adjoint, mapping, and transposition of its transpose."""
    np.testing.assert_array_equal(vjp(f, x)[0], wanted)
    v, w = values(np.shape(x), 1), values(np.shape(wanted), 2)
    pushed = jvp(f, (x,), (v,))[1]
    np.testing.assert_allclose(pushed, f(v), rtol=1e-14)
    (pulled,) = vjp(f, x)[1](w)
    assert pulled.shape == np.shape(x)
    np.testing.assert_allclose(np.sum(pulled * v), np.sum(w * pushed), rtol=1e-12, atol=1e-12)
    # the pullback is linear in w, and its own pullback is f again
    (again,) = vjp(lambda w: vjp(f, x)[1](w)[0], w)[1](v)
    np.testing.assert_allclose(again, pushed, rtol=1e-13)
    np.testing.assert_allclose(jvp(lambda w: vjp(f, x)[1](w)[0], (w,), (w,))[1], pulled, rtol=1e-13, atol=1e-13)
    stack = np.stack([x, v])
    np.testing.assert_array_equal(vmap(f)(stack), np.stack([f(x), f(v)]))
    np.testing.assert_allclose(vmap(lambda w: vjp(f, x)[1](w)[0])(np.stack([w, 2 * w])), np.stack([pulled, 2 * pulled]), rtol=1e-13)
    np.testing.assert_allclose(
        vmap(lambda x, w: vjp(f, x)[1](w)[0])(stack, np.stack([w, 2 * w])), np.stack([pulled, 2 * pulled]), rtol=1e-13
    )


# ---- indexing -----------------------------------------------------------------------------------------------------------


@laws
@given(st.data())
def test_basic_indices(data):
    shape = data.draw(shapes)
    x = values(shape)
    index = data.draw(hnp.basic_indices(shape, max_dims=5, allow_newaxis=True, allow_ellipsis=True))
    check_linear(lambda x: x[index] * 1.0, x, x[index])


@laws
@given(st.data())
def test_integer_array_indices(data):
    shape = data.draw(full_shapes)
    x = values(shape)
    index = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)))
    check_linear(lambda x: x[index] * 1.0, x, x[index])


@laws
@given(st.data())
def test_mixed_indices(data):
    """Slices, integers, new axes, masks and index arrays (that broadcast) side by side or apart."""
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4))
    broadcast = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    entries: list[Any] = []
    for n in shape[: data.draw(st.integers(1, len(shape)))]:
        kind = data.draw(st.sampled_from(["slice", "int", "array", "array", "newaxis", "mask"]))
        if kind == "newaxis":
            entries.append(None)
            kind = "slice"
        if kind == "slice":
            entries.append(data.draw(st.slices(n)))
        elif kind == "int":
            entries.append(data.draw(st.integers(-n, n - 1)))
        elif kind == "array":
            entries.append(data.draw(hnp.arrays(np.intp, broadcast, elements=st.integers(-n, n - 1))))
        else:
            mask = np.zeros(n, bool)
            mask[data.draw(st.integers(0, n - 1))] = True  # one true entry broadcasts with every array
            entries.append(mask)
    if data.draw(st.booleans()):
        entries.insert(data.draw(st.integers(0, len(entries))), Ellipsis) if len(entries) <= len(shape) else None
    index = tuple(entries)
    x = values(shape)
    try:
        wanted = x[index]
    except IndexError:
        return
    check_linear(lambda x: x[index] * 1.0, x, wanted)


@laws
@given(st.data())
def test_assignments(data):
    shape = data.draw(full_shapes)
    x = values(shape)
    kinds = st.one_of(
        hnp.basic_indices(shape, allow_newaxis=True),
        hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
        hnp.arrays(bool, shape),
    )
    index = data.draw(kinds)
    region = x[index].shape
    value_shape = data.draw(
        st.sampled_from(
            [region, region[1:], (), (1,) * len(region), (1, *region)] if not isinstance(index, np.ndarray) else [region, ()]
        )
    )
    v = values(value_shape, 3)[()]

    def write(x: Any, v: Any) -> Any:
        y = np.positive(x) * 1.0 + 0.0 * np.sum(v)
        y[index] = v
        return y

    try:
        wanted = write(x, v)
    except ValueError:
        return
    np.testing.assert_array_equal(vjp(write, x, v)[0], wanted)
    dx, dv, w = values(shape, 4), values(value_shape, 5)[()], values(shape, 6)
    pushed = jvp(write, (x, v), (dx, dv))[1]
    np.testing.assert_array_equal(pushed, write(dx, dv))
    by_x, by_v = vjp(write, x, v)[1](w)
    assert by_x.shape == shape and np.shape(by_v) == value_shape
    np.testing.assert_allclose(np.sum(by_x * dx) + np.sum(by_v * dv), np.sum(w * pushed), rtol=1e-12)
    got = vmap(write)(np.stack([x, dx]), np.stack([v, dv]))
    np.testing.assert_array_equal(got, np.stack([write(x, v), write(dx, dv)]))
    np.testing.assert_array_equal(vmap(write, in_axes=(0, None))(np.stack([x, dx]), v), np.stack([write(x, v), write(dx, v)]))
    np.testing.assert_array_equal(vmap(write, in_axes=(None, 0))(x, np.stack([v, dv])), np.stack([write(x, v), write(x, dv)]))


# ---- shapes and broadcasting --------------------------------------------------------------------------------------------


@laws
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3),
    st.sampled_from(["+", "-", "*", "/", "**", "max", "where", "hypot"]),
)
def test_broadcasting(broadcast, operation):
    a, b = (values(shape, seed)[()] for seed, shape in enumerate(broadcast.input_shapes))
    f = {
        "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b, "**": lambda a, b: a**b,
        "max": np.maximum, "where": lambda a, b: np.where(np.bool(sum(broadcast.result_shape) % 2), a * b, b), "hypot": np.hypot,
    }[operation]  # fmt: skip
    out, pullback = vjp(f, a, b)
    assert np.shape(out) == broadcast.result_shape
    da, db, w = (values(s, 7)[()] for s in (*broadcast.input_shapes, broadcast.result_shape))
    pushed = jvp(f, (a, b), (da, db))[1]
    step = 1e-6
    np.testing.assert_allclose(
        pushed, (f(a + step * da, b + step * db) - f(a - step * da, b - step * db)) / (2 * step), rtol=1e-6, atol=1e-8
    )
    by_a, by_b = pullback(w)
    assert np.shape(by_a) == np.shape(a) and np.shape(by_b) == np.shape(b)
    np.testing.assert_allclose(np.sum(by_a * da) + np.sum(by_b * db), np.sum(w * pushed), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(vjp(lambda a: f(a, b), a)[1](w)[0], by_a, rtol=1e-13)
    np.testing.assert_allclose(vjp(lambda b: f(a, b), b)[1](w)[0], by_b, rtol=1e-13)
    np.testing.assert_allclose(vmap(f)(np.stack([a, da]), np.stack([b, db])), np.stack([f(a, b), f(da, db)]), rtol=1e-14)
    np.testing.assert_allclose(vmap(f, in_axes=(0, None))(np.stack([a, da]), b), np.stack([f(a, b), f(da, b)]), rtol=1e-14)


@laws
@given(st.data())
def test_moving_elements(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3))
    x = values(shape)
    axes = data.draw(st.permutations(range(len(shape))))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    for f in (
        lambda x: np.transpose(x, axes),
        lambda x: np.reshape(x, -1),
        lambda x: np.moveaxis(x, axis, 0),
        lambda x: np.flip(x, axis),
        lambda x: np.roll(x, 2, axis),
        lambda x: np.expand_dims(x, axis),
        lambda x: np.repeat(x, 2, axis),
        lambda x: np.concatenate([x, 2 * x], axis),
        lambda x: np.stack([x, x], axis),
        lambda x: np.sum(x, axis, keepdims=True),
        lambda x: np.cumsum(x, axis),
        lambda x: np.broadcast_to(x, (2, *shape)),
        lambda x: np.take(x, [0, 0, -1], axis),
        lambda x: np.diff(x, axis=axis),
        lambda x: np.sum(x, tuple(range(len(shape)))[: len(shape) // 2 + 1]),
        lambda x: np.swapaxes(x, axis, 0),
    ):
        wanted = f(x)
        np.testing.assert_allclose(vjp(f, x)[0], wanted, rtol=1e-14)
        v, w = values(shape, 1), values(np.shape(wanted), 2)
        pushed = jvp(f, (x,), (v,))[1]
        np.testing.assert_allclose(pushed, f(v), rtol=1e-13)
        np.testing.assert_allclose(np.sum(vjp(f, x)[1](w)[0] * v), np.sum(w * pushed), rtol=1e-12)
        np.testing.assert_allclose(vmap(f)(np.stack([x, v])), np.stack([f(x), f(v)]), rtol=1e-14)


@laws
@given(
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
)
def test_jacobians_of_every_shape(inputs, outputs):
    x = values(inputs)[()]
    weights = values((*outputs, *inputs), 3)

    def f(x: Any) -> Any:
        return np.sum(weights * np.sin(x), axis=tuple(range(len(outputs), len(outputs) + len(inputs))))

    wanted = weights * np.cos(x)
    for mode in (jacfwd, jacrev):
        got = mode(f)(x)
        assert got.shape == outputs + inputs
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


# ---- trees --------------------------------------------------------------------------------------------------------------

leaves = st.one_of(
    st.floats(0.5, 2.0), hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2, max_side=3), elements=st.floats(0.5, 2.0)),
    st.integers(-3, 3), st.none(), st.sampled_from(["text"]), st.booleans(),
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda t: st.one_of(st.lists(t, max_size=3), st.tuples(t, t), st.dictionaries(st.sampled_from("abcd"), t, max_size=3)),
    max_leaves=8,
)


def energy(p: Any) -> Any:
    return sum((k + 1) * np.sum(np.sin(x) * x) for k, x in enumerate(y for y in tree.leaves(p) if tree.is_differentiable(y))) + 0.0


@laws
@given(trees.filter(lambda p: any(tree.is_differentiable(x) for x in tree.leaves(p))))
def test_gradients_of_trees(p):
    gradient = grad(energy)(p)
    assert tree.structure(gradient) == tree.structure(p)
    k = 0
    for g, x in zip(tree.leaves(gradient), tree.leaves(p), strict=True):
        if not tree.is_differentiable(x):
            assert g is None
            continue
        k += 1
        np.testing.assert_allclose(g, k * (np.cos(x) * x + np.sin(x)), rtol=1e-13)
    pushed = jvp(energy, (p,), (gradient,))[1]
    np.testing.assert_allclose(pushed, sum(np.sum(g**2) for g in tree.leaves(gradient) if g is not None), rtol=1e-12)
    product = hvp(energy, p, gradient)
    assert tree.structure(product) == tree.structure(p)
    k = 0
    for h, g, x in zip(tree.leaves(product), tree.leaves(gradient), tree.leaves(p), strict=True):
        if g is not None:
            k += 1
            np.testing.assert_allclose(h, k * (2 * np.cos(x) - np.sin(x) * x) * g, rtol=1e-11, atol=1e-11)
    for mode in (jacfwd, jacrev):
        for a, b in zip(tree.leaves(mode(energy)(p)), tree.leaves(gradient), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-13)
