"""In-place writes: on traced arrays they mean what NumPy means, in every mode; into plain arrays they are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import directional

from dualgrad import errors, grad, jacfwd, jacrev, jvp, vjp, vmap

HERE = Path(__file__).name
X = np.array([3.0, 1.0])


def _zeros_then_add(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[0]
    y += x
    return y


def _an_element_cleared(x: Any) -> Any:
    y = x * 1.0
    y[0] = 0.0
    return y**2


def _overlap(x: Any) -> Any:
    y = x * 1.0
    y += y[::-1]
    return y**2


def _through_a_slice(x: Any) -> Any:
    y = x * 1.0
    v = y[:1]
    v *= 2
    return y**2


def _through_a_view_of_a_view(x: Any) -> Any:
    y = x * 1.0
    w = y[1:][::-1]
    w[0] = x[0] * x[1]
    y *= 3
    w += y[0]
    return y * np.sum(w)


def _a_view_sees_its_base(x: Any) -> Any:
    y = x * 1.0
    v = y[1:]
    y[1] = x[0] ** 2
    return v * x[-1]


def _a_view_made_before_and_after(x: Any) -> Any:
    y = x * 2.0
    before = y.T
    y[0] = x[1]
    after = y.reshape(-1)
    after[-1] = x[0] ** 2
    return before + y * after


def _an_old_value_kept(x: Any) -> Any:
    """z was computed before the write and keeps the value it had; so does its derivative."""
    y = x * 1.0
    z = y * y
    y[:] = 0.0
    return z + y


def _a_copy_is_not_a_view(x: Any) -> Any:
    y = x * 1.0
    c = y[:].copy()
    c[0] = 100.0
    a = y[np.array([0, 1])]
    a[0] = 100.0
    m = y[np.ones(len(y), bool)]
    m[0] = 100.0
    return y**2


def _augmented_everything(x: Any) -> Any:
    y = x + 2.0
    y *= x
    y -= 1.0
    y /= x + 3.0
    y **= 2.0
    y += 1.0
    y[1:] *= y[:-1]
    y[0] /= 2.0
    return y


def _a_name_bound_twice(x: Any) -> Any:
    y = x * 1.0
    z = y
    z += 1.0
    return y * x


def _scalar_augmented(x: Any) -> Any:
    """`s += 1` on a NumPy scalar rebinds s; t keeps the old number."""
    s = x[0]
    t = s
    s += x[1]
    s *= 2.0
    return s * t + x[0]


def _an_iteration_writes(x: Any) -> Any:
    y = np.stack([x, 2 * x, 3 * x])
    for row in y:
        row[0] *= 2.0
        row += 1.0
    return y


def _rows_swapped(x: Any) -> Any:
    y = np.stack([x, x**2])
    y[[0, 1]] = y[[1, 0]]
    return y * x


def _columns_shifted(x: Any) -> Any:
    y = x * 1.0
    y[1:] = y[:-1]
    return y**2 + x


def _accumulate_in_a_loop(x: Any) -> Any:
    s = 0.0
    for k in range(len(x)):
        s += x[k] * (k + 1)
    total = np.zeros((), like=x)
    total += s
    return total * s


def _out_keywords(x: Any) -> Any:
    y = np.empty_like(x)
    np.multiply(x, x, out=y)
    np.sin(y, out=y)
    np.add(y, x, y)
    z = np.zeros((2, *x.shape), like=x)
    np.exp(x, out=z[1])
    return y * z[1] + z[0]


def _sum_into(x: Any) -> Any:
    y = np.zeros(3, like=x)
    np.sum(np.outer(np.ones(3), x), axis=1, out=y)
    return y**2


WRITES = [
    _zeros_then_add, _an_element_cleared, _overlap, _through_a_slice, _through_a_view_of_a_view, _a_view_sees_its_base,
    _a_view_made_before_and_after, _an_old_value_kept, _a_copy_is_not_a_view, _augmented_everything, _a_name_bound_twice,
    _scalar_augmented, _an_iteration_writes, _rows_swapped, _columns_shifted, _accumulate_in_a_loop, _out_keywords, _sum_into,
]  # fmt: skip


@pytest.mark.parametrize("f", WRITES)
def test_writing_in_place_means_what_numpy_means(f):
    x = np.array([1.3, -0.7, 0.4])
    x.setflags(write=False)
    plain = f(x)
    (v,) = (np.array([0.3, 0.9, -0.5]),)
    wanted, _error = directional(lambda y: (np.asarray(f(y)),), (x,), (v,))
    value, tangent = jvp(f, (x,), (v,))
    np.testing.assert_allclose(value, plain, rtol=1e-15)
    np.testing.assert_allclose(tangent, wanted[0], rtol=1e-9, atol=1e-9)
    out, _pullback = vjp(f, x)
    np.testing.assert_allclose(out, plain, rtol=1e-15)
    jacobian_forward, jacobian_reverse = jacfwd(f)(x), jacrev(f)(x)
    np.testing.assert_allclose(jacobian_forward @ v, wanted[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(jacobian_reverse, jacobian_forward, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(jacfwd(jacrev(f))(x), jacrev(jacfwd(f))(x), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(vmap(f)(np.stack([x, 2 * x])), np.stack([f(x), f(2 * x)]), rtol=1e-14)


@pytest.mark.parametrize("mode", [jacfwd, jacrev])
def test_only_the_last_of_several_writes_receives_the_cotangent(mode):
    def f(v: Any) -> Any:
        y = np.zeros(2, like=v)
        y[[0, 0, 1]] = v
        return y

    np.testing.assert_array_equal(mode(f)(np.array([1.0, 2.0, 3.0])), [[0, 1, 0], [0, 0, 1]])


def test_the_callers_array_is_never_written():
    x = X.copy()

    def f(x: Any) -> Any:
        x[0] = 5.0
        x += 1.0
        return np.sum(x**2)

    for mode in (grad, jacfwd, jacrev):
        np.testing.assert_array_equal(mode(f)(x), [0, 4])
        np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(jvp(f, (x,), (np.ones(2),))[1], 4)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(vmap(f)(np.stack([x, x])), [40, 40])
    np.testing.assert_array_equal(x, X)


def test_a_plain_buffer_is_refused_with_its_line():
    def f(x: Any) -> Any:
        buffer = np.zeros(5)
        buffer[np.array([True, False, True, False, False])] = x
        return np.sum(buffer)

    where = f"{HERE}:{f.__code__.co_firstlineno + 2}"
    for mode in (grad, jacfwd, jacrev, lambda f: lambda x: vmap(f)(np.stack([x, x]))):
        with pytest.raises(errors.TracedConversionError, match=r"plain NumPy buffer") as caught:
            mode(f)(X)
        assert where in str(caught.value)
        assert "np.zeros_like" in str(caught.value) and "np.zeros(shape, like=x)" in str(caught.value)


@pytest.mark.parametrize(
    "write",
    [
        lambda b, x: b.__setitem__(0, x[0]),
        lambda b, x: b.__setitem__(slice(0, 2), x),
        lambda b, x: b.__iadd__(x),
        lambda b, x: np.add(x, x, out=b),
        lambda b, x: np.sum(np.stack([x, x]), axis=0, out=b),
        lambda b, x: np.copyto(b, x),
        lambda b, x: np.put(b, [0, 1], x),
        lambda b, x: np.put_along_axis(b, np.array([0, 1]), x, 0),
        lambda b, x: np.add.at(b, [0, 0], x),
        lambda b, x: np.fill_diagonal(b[None], x[0]),
        lambda b, x: np.putmask(b, [True, True], x),
        lambda b, x: np.place(b, np.array([True, True]), x),
        lambda b, x: b.fill(x[0]),
    ],
)
def test_every_way_into_a_plain_buffer_is_refused(write):
    def f(x: Any) -> Any:
        buffer = np.zeros(2)
        write(buffer, x)
        return np.sum(buffer * x)

    for mode in (grad, jacfwd):
        with pytest.raises(errors.DualgradError) as caught:
            mode(f)(X)
        assert HERE in str(caught.value)
