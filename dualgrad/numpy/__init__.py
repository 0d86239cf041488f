"""`import dualgrad.numpy as np`: NumPy, and what its protocols cannot reach.

Everything is NumPy's own (plain `import numpy as np` differentiates as well), except that lists may hold traced values:

>>> import dualgrad.numpy as np
>>> from dualgrad import grad
>>> grad(lambda x: np.sum(np.array([[x[0], 0.0], [x[0] * x[1], 1.0]])))(np.array([1.0, 2.0]))
array([3., 1.])
>>> grad(lambda x: np.sum([x[0], 2 * x[1]]))(np.array([1.0, 2.0]))
array([1., 2.])
"""
from __future__ import annotations

from typing import Any

import numpy as _numpy

from dualgrad.core.primitive import Value as _Value
from dualgrad.numpy import linalg
from dualgrad.numpy.forwarding import forwarder as _forwarder
from dualgrad.numpy.forwarding import joined as _joined

__all__ = ["array", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray", "full", "linalg"]

_SEQUENCES = {
    "stack", "concatenate", "concat", "vstack", "hstack", "dstack", "column_stack", "select", "choose", "lexsort",
}  # fmt: skip
_UNTOUCHED = {"block", "piecewise", "pad", "einsum_path"}
_forward = _forwarder(_numpy, globals(), _SEQUENCES, _UNTOUCHED)


def __getattr__(name: str) -> Any:
    return _forward(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(_numpy)})


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0, **layout: Any) -> Any:
    """`numpy.array`, which also makes an array of nested lists that hold traced values."""
    out = _joined(object)
    if not isinstance(out, _Value):
        return _numpy.array(object, dtype, copy=copy, ndmin=ndmin, **layout)
    if dtype is not None and out.dtype != dtype:
        out = out.astype(dtype)
    elif copy and out is object:
        out = _numpy.copy(out)
    rank = _numpy.ndim(out)
    return out if rank >= ndmin else _numpy.reshape(out, (1,) * (ndmin - rank) + _numpy.shape(out))


def asarray(a: Any, dtype: Any = None, **layout: Any) -> Any:
    """`numpy.asarray`; a traced value is an array already."""
    out = _joined(a)
    return array(out, dtype, copy=None) if isinstance(out, _Value) else _numpy.asarray(a, dtype, **layout)


asanyarray = ascontiguousarray = asfortranarray = asarray


def full(shape: Any, fill_value: Any, dtype: Any = None, **layout: Any) -> Any:
    """`numpy.full`, which also fills with a traced value."""
    fill_value = _joined(fill_value)
    if isinstance(fill_value, _Value):
        layout["like"] = fill_value
    return _numpy.full(shape, fill_value, dtype, **layout)
