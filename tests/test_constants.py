"""A constant operand may be a list, an integer or boolean array, a narrower float: the derivative is that of its values.

Each function takes a traced vector of three and a constant of three; whatever type the constant has, in every mode the result
is that with the constant as an array of float64.  (An integer constant must not be taken for an index, nor for a tangent.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualgrad import grad, hvp, jacfwd, jacrev, jvp, vmap

X = np.array([1.3, 2.2, 0.4])
V = np.array([0.3, -0.5, 0.9])

CONSTANTS: dict[str, Any] = {
    "a list": [1, 0, 3],
    "a list of floats": [1.0, 0.0, 3.0],
    "a tuple": (1, 0, 3),
    "integers": np.array([1, 0, 3]),
    "small integers": np.array([1, 0, 3], np.int8),
    "unsigned integers": np.array([1, 0, 3], np.uint8),
    "float32": np.array([1, 0, 3], np.float32),
    "strided": np.array([1, 9, 0, 9, 3, 9])[::2],
    "booleans": np.array([True, False, True]),
}

FUNCTIONS: dict[str, Any] = {
    "x + c": lambda x, c: x * (x + c),
    "c - x": lambda x, c: x * (c - x),
    "c * x": lambda x, c: (c * x) ** 2,
    "x / c": lambda x, c: x**2 / (np.add(c, 1)),
    "c / x": lambda x, c: np.divide(c, x),
    "x ** c": lambda x, c: x**c if not isinstance(c, list | tuple) else np.power(x, c),
    "power": lambda x, c: np.power(x, c),
    "c ** x": lambda x, c: np.power(np.add(c, 1.5), x),
    "maximum": lambda x, c: x * np.maximum(x, c),
    "minimum": lambda x, c: x * np.minimum(c, x),
    "hypot": lambda x, c: np.hypot(x, c),
    "arctan2": lambda x, c: np.arctan2(c, x),
    "logaddexp": lambda x, c: np.logaddexp(x, c),
    "copysign": lambda x, c: x * np.copysign(x, c),
    "remainder": lambda x, c: x * np.remainder(x, np.add(c, 1)),
    "fmod": lambda x, c: x * np.fmod(np.multiply(c, 2.5), x),
    "x @ c": lambda x, c: x[0] * (x @ c),
    "c @ x": lambda x, c: x[0] * np.matmul(c, x),
    "matrix @ x": lambda x, c: x * (np.stack([c, c, c]) @ x),
    "dot": lambda x, c: x * np.dot(x, c),
    "inner": lambda x, c: x * np.inner(c, x),
    "vdot": lambda x, c: x * np.vdot(c, x),
    "outer": lambda x, c: np.outer(x, c) @ x,
    "kron": lambda x, c: np.kron(c, x) ** 2,
    "einsum": lambda x, c: x * np.einsum("i,i", c, x),
    "tensordot": lambda x, c: x * np.tensordot(c, x, 1),
    "cross": lambda x, c: np.cross(c, x) * x,
    "concatenate": lambda x, c: np.concatenate([x, c, x]) ** 2,
    "concatenate, constant first": lambda x, c: np.concatenate([c, x]) ** 2,
    "stack": lambda x, c: np.stack([x, c]) * x,
    "vstack": lambda x, c: np.vstack([c, x]) * x,
    "hstack": lambda x, c: np.hstack([x, c]) ** 2,
    "append": lambda x, c: np.append(x, c) ** 2,
    "insert": lambda x, c: np.insert(x, 1, c[0]) ** 2,
    "block": lambda x, c: np.block([x, np.asarray(c)]) ** 2,
    "where": lambda x, c: np.where(c, x**2, c),
    "where, constant first": lambda x, c: np.where([True, False, True], c, x**2),
    "where, as condition": lambda x, c: np.where(c, x**2, -x),
    "select": lambda x, c: np.select([np.asarray(c) > 0], [x**2], default=c),
    "choose": lambda x, c: np.choose([0, 1, 0], [x**2, c]),
    "clip": lambda x, c: x * np.clip(x, c, np.add(c, 1)),
    "setitem": lambda x, c: _written(x, slice(None), c),
    "setitem, indices": lambda x, c: _written(x, [0, 2], c[:2]),
    "setitem, mask": lambda x, c: _written(x, np.array([True, False, True]), c[0]),
    "put": lambda x, c: _through(np.put, x, [0, 2], c[:2]),
    "place": lambda x, c: _through(np.place, x, np.array([True, False, True]), c[:2]),
    "copyto": lambda x, c: _through(np.copyto, x, c, where=[True, False, True]) if not isinstance(c, bool) else x,
    "putmask": lambda x, c: _through(np.putmask, x, [True, False, True], c),
    "put_along_axis": lambda x, c: _through(np.put_along_axis, x, np.array([0, 2]), np.asarray(c)[:2], 0),
    "add.at": lambda x, c: _through(np.add.at, x, [0, 0], c[:2]),
    "fill_diagonal": lambda x, c: _through(np.fill_diagonal, np.outer(x, x), c[0]),
    "solve": lambda x, c: np.linalg.solve(np.diag(x), c),
    "convolve": lambda x, c: np.convolve(c, x) ** 2,
    "correlate": lambda x, c: np.correlate(x, c, "same") ** 2,
    "interp": lambda x, c: np.interp([0.5, 1.5], [0, 1, 2], x * c),
    "interp, values": lambda x, c: np.interp(x / 3, [0, 1, 2], c) * x,
    "polyval": lambda x, c: np.polyval(c, x),
    "trapezoid": lambda x, c: np.trapezoid(x**2, c),
    "average": lambda x, c: x * np.average(x, weights=c),
    "diff, append": lambda x, c: np.diff(x, append=c) ** 2,
    "pad": lambda x, c: np.pad(x, 1, constant_values=c[2]) ** 2,
    "sum, initial": lambda x, c: x * np.sum(x, initial=c[2]),
    "prod, initial": lambda x, c: x * np.prod(x, initial=c[2]),
    "max, initial": lambda x, c: x * np.max(x, initial=c[2]),
    "linspace": lambda x, c: np.linspace(x, c, 3) ** 2,
    "full_like": lambda x, c: x * np.full_like(x, c),
    "in place": lambda x, c: _augmented(x, c),
    "ldexp": lambda x, c: np.ldexp(x**2, np.asarray(c, int)),
    "take": lambda x, c: np.take(x**2, np.asarray(c, int) % 3),
    "repeat": lambda x, c: np.repeat(x**2, np.asarray(c, int)),
}


def _written(x: Any, index: Any, c: Any) -> Any:
    y = x**2
    y[index] = c
    return y * x


def _through(write: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    y = x**2
    write(y, *args, **kwargs)
    return y * x


def _augmented(x: Any, c: Any) -> Any:
    y = x * 1.0
    y += c
    y *= c
    y -= c
    return y * x


def everything(f: Any, c: Any) -> list[Any]:
    """All modes and orders of x -> sum f(x, c), with the vector-valued Jacobians."""
    total = lambda x: np.sum(f(x, c))
    vector = lambda x: np.ravel(f(x, c))
    return [
        grad(total)(X),
        jacfwd(vector)(X),
        jacrev(vector)(X),
        jvp(vector, (X,), (V,))[1],
        hvp(total, X, V),
        jacrev(jacfwd(total))(X),
        grad(lambda x: np.sum(grad(total)(x) * V))(X),
        vmap(vector)(np.stack([X, X + 0.1])),
        vmap(grad(total))(np.stack([X, X + 0.1])),
    ]


@pytest.mark.parametrize("kind", CONSTANTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_constant_of_any_type(name, kind):
    f, c = FUNCTIONS[name], CONSTANTS[kind]
    try:
        plain = f(X, c)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        pytest.skip(f"NumPy: {error}")
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = everything(f, np.asarray(c, float))
        got = everything(f, c)
    if not np.allclose(plain, f(X, np.asarray(c, float))):
        pytest.skip("NumPy: the type changes the value")
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6 if kind == "float32" else 1e-12, atol=1e-12)
