"""Making buffers that can hold traced values, and questions about shape and dtype."""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.inplace import mutate
from dualgrad.core.primitive import Value
from dualgrad.core.registry import creator, front
from dualgrad.core.traced import Traced

# ---- np.zeros(shape, like=x), np.array([...], like=x): NumPy hands the call to x ----------------------------------------


def stacked(x: Any) -> Any:
    """A nested list of numbers and traced values as one array."""
    if isinstance(x, list | tuple):
        parts = [stacked(y) for y in x]
        return np.stack(parts) if any(isinstance(y, Traced) for y in parts) else np.array(parts)
    return x if isinstance(x, Traced) else np.asarray(x)


@creator(np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.require)
def _array(like: Any, object: Any, dtype: Any = None, **_layout: Any) -> Any:
    out = stacked(object)
    out = out if isinstance(out, Traced) else like.lift(np.array(out, np.result_type(out, like.dtype) if dtype is None else dtype))
    return np.copy(out) if dtype is None else out.astype(dtype)


def _buffer(function: Any) -> None:
    @creator(function)
    def create(like: Any, *args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        return like.lift(made) if made.dtype.kind in "fc" else made


for _function in (np.zeros, np.ones, np.empty, np.eye, np.identity, np.arange, np.tri, np.fromfunction):
    _buffer(_function)


@creator(np.full)
def _full(like: Any, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **_device: Any) -> Any:
    out = like.lift(np.zeros(shape, dtype or np.result_type(fill_value, like.dtype)))
    mutate(out, np.broadcast_to(fill_value, out.shape))
    return out


# ---- np.zeros_like(x) -------------------------------------------------------------------------------------------------


def _like(function: Any) -> None:
    @front(function)
    def create(a: Any, /, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Any:
        made = function(np.broadcast_to(np.zeros((), a.dtype), a.shape), dtype=dtype, shape=shape)
        if made.dtype == object:
            raise errors.unsupported(function, "an array of dtype object cannot carry derivatives")
        return a.lift(made) if made.dtype.kind in "fc" else made


for _function_like in (np.zeros_like, np.ones_like, np.empty_like):
    _like(_function_like)


@front(np.full_like)
def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    out = np.zeros(np.shape(a) if shape is None else shape, dtype or a.dtype, like=a if isinstance(a, Value) else fill_value)
    out[...] = fill_value
    return out


@front(np.linspace)
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    step = (stop - start) / (num - 1 if endpoint else num) if num > 1 or not endpoint else np.nan
    weights = np.linspace(0.0, 1.0, num, endpoint)
    weights = np.reshape(weights, (num,) + (1,) * max(np.ndim(start), np.ndim(stop)))
    out = np.moveaxis(start + weights * (stop - start), 0, axis)
    out = out if dtype is None else out.astype(dtype)
    return (out, step) if retstep else out


# ---- questions --------------------------------------------------------------------------------------------------------

@front(np.shape)
def _shape(a: Any) -> tuple:
    return a.shape


@front(np.ndim)
def _ndim(a: Any) -> int:
    return a.ndim


@front(np.size)
def _size(a: Any, axis: int | None = None) -> int:
    return a.size if axis is None else a.shape[axis]


@front(np.result_type)
def _result_type(*arrays_and_dtypes: Any) -> Any:
    return np.result_type(*(_representative(a) for a in arrays_and_dtypes))


def _representative(a: Any) -> Any:
    return a.dtype if isinstance(a, Value) else a


@front(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return x.dtype.kind == "c"


@front(np.isrealobj)
def _isrealobj(x: Any) -> bool:
    return x.dtype.kind != "c"


@front(np.can_cast)
def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(_representative(from_), to, casting)


@front(np.min_scalar_type)
def _min_scalar_type(a: Any) -> Any:
    return a.dtype


@front(np.common_type)
def _common_type(*arrays: Any) -> Any:
    return np.common_type(*(np.empty(0, _representative(a) if isinstance(a, Value) else np.asarray(a).dtype) for a in arrays))
