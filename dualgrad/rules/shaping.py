"""Moving elements about: reshape, transpose, broadcast, cast, concatenate, and the views that share memory in NumPy.

Each is linear and its transpose moves the elements back, adding what was copied.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import plain, unbroadcast
from dualgrad.core.inplace import link
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import METHODS, front
from dualgrad.rules.declare import batch_axes, linear, opaque

# ---- primitives -------------------------------------------------------------------------------------------------------


def _batch_reshape(primitive: Primitive, mapped: Any, x: Any, shape: tuple) -> Any:
    return primitive(x, shape=(x.shape[0], *shape))


reshape: Primitive = linear(
    lambda x, *, shape: np.reshape(x, shape),
    lambda g, x, *, shape: reshape(g, shape=x.shape),
    batch=_batch_reshape,
    local=True, onto=True,
    name="reshape",
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return (1, 0) if axes == (1, 0) else tuple(sorted(range(len(axes)), key=axes.__getitem__))


transpose: Primitive = linear(
    lambda x, *, axes: x.transpose(axes),
    lambda g, _x, *, axes: transpose(g, axes=_inverse(axes)),
    batch=lambda primitive, _mapped, x, axes: primitive(x, axes=(0, *(a + 1 for a in axes))),
    local=True, onto=True,
    name="transpose",
)


def _batch_broadcast(primitive: Primitive, mapped: Any, x: Any, shape: tuple) -> Any:
    x = np.reshape(x, (x.shape[0],) + (1,) * (len(shape) + 1 - np.ndim(x)) + x.shape[1:])
    return primitive(x, shape=(x.shape[0], *shape))


broadcast = linear(
    lambda x, *, shape: np.broadcast_to(x, shape),
    lambda g, x, *, shape: unbroadcast(g, x.shape),
    batch=_batch_broadcast,
    local=True, onto=True,
    name="broadcast_to",
)


def _pieces(g: Any, *xs: Any, axis: int) -> tuple:
    before, pieces, start = (slice(None),) * axis, [], 0
    for x in xs:
        end = start + x.shape[axis]
        pieces.append(g[(*before, slice(start, end))])
        start = end
    return tuple(pieces)


concatenate = linear(
    lambda *xs, axis: np.concatenate(xs, axis), _pieces, batch=batch_axes("axis"), local=True, onto=True, name="concatenate"
)

cast = linear(
    lambda x, *, dtype: x.astype(dtype),
    lambda g, x, *, dtype: np.real(g).astype(x.dtype) if x.dtype.kind == "f" else g.astype(x.dtype),
    batch=lambda primitive, _mapped, x, dtype: primitive(x, dtype=dtype),
    local=True, onto=True,
    name="astype",
)
real_part = opaque(
    np.real,
    jvp=lambda t, _z, _x: np.real(t),
    vjp=lambda g, _z, _x: np.real(g).astype(_x.dtype),
    batch=lambda primitive, _mapped, x: primitive(x),
    local=True,
    name="real",
)
imaginary_part = opaque(
    np.imag,
    jvp=lambda t, _z, _x: np.imag(t),
    vjp=lambda g, _z, _x: np.real(g) * 1j,  # the number last: 1j * np.float64 is a Python complex
    batch=lambda primitive, _mapped, x: primitive(x),
    local=True,
    name="imag",
)
copy = linear(np.array, lambda g, _x: g, batch=lambda primitive, _mapped, x: primitive(x), local=True, onto=True, name="copy")

# ---- views: shape changes that share memory in NumPy ------------------------------------------------------------------


def _reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    out = reshape(x, shape=shape)
    return link(out, x, _read_reshaped, _write_reshaped, shape) if isinstance(x, Value) else out


def _read_reshaped(owner: Any, shape: tuple[int, ...]) -> Any:
    return reshape(owner, shape=shape)


def _write_reshaped(owner: Any, view: Any, _shape: tuple[int, ...]) -> Any:
    return reshape(view, shape=owner.shape)


def _permuted(x: Any, axes: tuple[int, ...]) -> Any:
    out = transpose(x, axes=axes)
    return link(out, x, _read_permuted, _write_permuted, axes) if isinstance(x, Value) else out


def _read_permuted(owner: Any, axes: tuple[int, ...]) -> Any:
    return transpose(owner, axes=axes)


def _write_permuted(_owner: Any, view: Any, axes: tuple[int, ...]) -> Any:
    return transpose(view, axes=_inverse(axes))


def _resolved(shape: Any, size: int) -> tuple[int, ...]:
    """A shape with -1 filled in."""
    shape = tuple([int(n) for n in shape]) if np.iterable(shape) else (int(shape),)
    if -1 in shape:
        rest = math.prod([n for n in shape if n != -1])
        shape = tuple(size // rest if n == -1 and rest else n for n in shape)
    if math.prod(shape) != size:
        raise ValueError(f"cannot reshape array of size {size} into shape {shape}")
    return shape


@front(np.reshape)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    if order == "F":
        axes = tuple(reversed(range(np.ndim(a))))
        flipped = _resolved(shape, np.size(a))
        out = _reshaped(_permuted(a, axes), flipped[::-1])
        return _permuted(out, tuple(reversed(range(len(flipped)))))
    if order not in "CAK":
        raise errors.unknown_keyword(np.reshape, "order")
    return _reshaped(a, _resolved(shape, np.size(a)))


def _method_reshape(a: Any, *shape: Any, order: str = "C") -> Any:
    return _reshape(a, shape[0] if len(shape) == 1 else shape, order=order)


METHODS["reshape"] = _method_reshape


@front(np.ravel, method="ravel")
def _ravel(a: Any, order: str = "C") -> Any:
    return _reshape(a, (-1,), order="C" if order in "CK" else order)


METHODS["flatten"] = lambda a, order="C": copy(_ravel(a, order))


@front(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    n = np.ndim(a)
    if axes is None:
        axes = range(n - 1, -1, -1)
    return _permuted(a, tuple(int(k) % n if n else 0 for k in axes))


METHODS["transpose"] = lambda a, *axes: _transpose(a, axes[0] if len(axes) == 1 else axes or None)


@front(np.permute_dims)
def _permute_dims(a: Any, axes: Any = None) -> Any:
    return _transpose(a, axes)


@front(np.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    return _swapaxes(x, -1, -2)


@front(np.linalg.matrix_transpose)
def _linalg_matrix_transpose(x: Any, /) -> Any:
    return _swapaxes(x, -1, -2)


@front(np.swapaxes, method="swapaxes")
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(np.ndim(a)))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return _permuted(a, tuple(axes))


@front(np.moveaxis)
def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    n = a.ndim
    source = [s % n for s in np.atleast_1d(source).tolist()]
    destination = [d % n for d in np.atleast_1d(destination).tolist()]
    order = [k for k in range(n) if k not in source]
    for d, s in sorted(zip(destination, source, strict=True)):
        order.insert(d, s)
    return _permuted(a, tuple(order))


@front(np.rollaxis)
def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return _moveaxis(a, axis, start - 1 if axis < start else start)


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axis arguments as non-negative ints."""
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    for k in axes:
        if not -ndim <= k < ndim:
            raise np.exceptions.AxisError(k, ndim)
    return tuple(int(k) % ndim for k in axes)


@front(np.squeeze, method="squeeze")
def _squeeze(a: Any, axis: Any = None) -> Any:
    drop = tuple(k for k, n in enumerate(a.shape) if n == 1) if axis is None else axes_of(axis, a.ndim)
    if any(a.shape[k] != 1 for k in drop):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return _reshaped(a, tuple(n for k, n in enumerate(a.shape) if k not in drop))


@front(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    new = axis if isinstance(axis, tuple | list) else (axis,)
    places = axes_of(new, a.ndim + len(new))
    rest = iter(a.shape)
    return _reshaped(a, tuple(1 if k in places else next(rest) for k in range(a.ndim + len(new))))


def _at_least(n: int, function: Any) -> None:
    @front(function)
    def at_least(*arys: Any) -> Any:
        outs = []
        for a in arys:
            a = a if isinstance(a, Value) else np.asanyarray(a)
            shape = a.shape
            if n == 3 and a.ndim < 3:
                shape = (1, 1, 1) if a.ndim == 0 else (1, a.shape[0], 1) if a.ndim == 1 else (*a.shape, 1)
            elif a.ndim < n:
                shape = (1,) * (n - a.ndim) + a.shape
            outs.append(a if shape == a.shape else _reshaped(a, shape))
        return outs[0] if len(outs) == 1 else tuple(outs)


for _n, _function in ((1, np.atleast_1d), (2, np.atleast_2d), (3, np.atleast_3d)):
    _at_least(_n, _function)


@front(np.real)
def _real(val: Any) -> Any:
    return real_part(val) if val.dtype.kind == "c" else val


@front(np.imag)
def _imag(val: Any) -> Any:
    return imaginary_part(val) if val.dtype.kind == "c" else np.zeros(val.shape, val.dtype)


@front(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Any:
    return _real(a) if np.isrealobj(np.real_if_close(plain(a), tol)) else a


@front(np.broadcast_to)
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return broadcast(array, shape=tuple(int(n) for n in shape) if np.iterable(shape) else (int(shape),))


@front(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(_broadcast_to(a, shape) for a in args)


@front(np.copy, method="copy")
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return copy(a)


@front(np.astype)
def _astype_function(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return _astype(x, dtype)


def _astype(x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    dtype = np.dtype(dtype)
    if dtype.kind in "fc":
        if dtype.kind == "f" and x.dtype.kind == "c":
            x = np.real(x)
        return cast(x, dtype=dtype)
    if dtype.kind == "O":
        raise errors.unsupported("ndarray.astype", "an array of dtype object cannot carry derivatives")
    return integer_cast(x, dtype=dtype)


integer_cast = Primitive(
    "astype", lambda x, *, dtype: x.astype(dtype), "constant", batch=lambda primitive, _mapped, x, dtype: primitive(x, dtype=dtype)
)
METHODS["astype"] = _astype
