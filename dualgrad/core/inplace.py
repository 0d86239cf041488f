"""In-place writes on traced arrays: a traced array is a mutable cell over an immutable value.

`y[i] = v`, `y += v` and `out=y` compute a new value (a pure scatter) and put it into the cell; interpreters never see a
write.  A view remembers its base and how to read from it and write back to it, a base its live views (weakly), so a
write through either is seen by both, as in NumPy.  Reading costs nothing: all the work is done by the writer.
"""
from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors
from dualgrad.core.primitive import Value

_UNUSED: Any = object()  # stands for the content of a slot that an interpreter does not use


class Origin(NamedTuple):
    """Where a view comes from: view = read(owner, how), and owner = write(owner, view, how)."""

    owner: Value
    read: Callable[[Any, Any], Any]
    write: Callable[[Any, Any, Any], Any]
    how: Any  # the index, the shape, the order of axes


_new_origin = tuple.__new__  # half the time of Origin(...)


def link(view: Any, owner: Value, read: Callable, write: Callable, how: Any) -> Any:
    """Declare `view` a view of `owner`, if it is a cell of its own; returns it."""
    if not isinstance(view, Value) or view is owner:
        return view
    view.origin = _new_origin(Origin, (owner, read, write, how))
    views = getattr(owner, "views", None)
    if views is None:
        owner.views = [weakref.ref(view)]
    else:
        if len(views) >= 16 and not len(views) & (len(views) - 1):  # drop dead ones at powers of two: amortized O(1)
            views[:] = [ref for ref in views if ref() is not None]
        views.append(weakref.ref(view))
    return view


def snapshot(value: Any) -> Any:
    """A value that later in-place writes cannot change: a copy of an ndarray, a new handle of a traced value."""
    if type(value) is np.ndarray:
        return value.copy()
    if isinstance(value, Value):
        handle = object.__new__(type(value))
        _fill(handle, value)
        return handle
    return value if isinstance(value, np.generic) or not isinstance(value, (list, tuple, np.ndarray)) else np.array(value)


def is_immutable(value: Any) -> bool:
    """Is this what NumPy would hold in an immutable scalar?  Then `s += 1` rebinds the name."""
    while isinstance(value, Value):
        if not value.shape and value.value.shape:
            return True  # a mapped scalar
        value = value.value
    return not isinstance(value, np.ndarray)


def assign(target: Any, result: Any, function: str) -> Any:
    """`target[...] = result` for out= and augmented assignment; returns the target."""
    if not isinstance(target, Value):
        raise errors.TracedConversionError(
            f"{function}: a traced result cannot be written into a plain NumPy buffer{errors.user_line()}. "
            "Make the buffer with np.zeros_like(x) or np.zeros(shape, like=x), where x is traced."
        )
    shape, dtype = target.shape, target.dtype
    if np.shape(result) != shape:
        if np.broadcast_shapes(np.shape(result), shape) != shape:
            raise ValueError(
                f"non-broadcastable output operand with shape {shape} doesn't match the broadcast shape {np.shape(result)}"
            )
        result = np.broadcast_to(result, shape)
    if np.result_type(result) != dtype:
        if not np.can_cast(np.result_type(result), dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast {function} output from {np.result_type(result)!r} to {dtype!r} with casting rule 'same_kind'"
            )
        result = result.astype(dtype)
    mutate(target, result)
    return target


def mutate(cell: Value, new: Any) -> None:
    """Put a new value into a cell, its base, and all their views."""
    origin = getattr(cell, "origin", None)
    if origin is not None:
        mutate(origin.owner, origin.write(origin.owner, new, origin.how))
        return
    _replace(cell, new)
    _refresh(cell)


def _refresh(owner: Value) -> None:
    for ref in getattr(owner, "views", None) or ():
        view = ref()
        if view is not None:
            _replace(view, view.origin.read(owner, view.origin.how))
            _refresh(view)


def _replace(cell: Value, new: Any) -> None:
    if not isinstance(new, Value):
        new = cell.lift(np.array(new))
    cell.__class__ = new.__class__
    _fill(cell, new)


def _fill(cell: Value, source: Value) -> None:
    """Copy the content, slot by slot: 0.4 us, where a loop over their names with an AttributeError or two took 2.1 us."""
    cell.owner, cell.value, cell.square = source.owner, source.value, getattr(source, "square", None)
    index = getattr(source, "index", _UNUSED)
    if index is not _UNUSED:  # a Variable
        cell.index = index
    tangent = getattr(source, "tangent", _UNUSED)
    if tangent is not _UNUSED:  # a Dual
        cell.tangent, cell.support = tangent, source.support
    coefficients = getattr(source, "coefficients", _UNUSED)
    if coefficients is not _UNUSED:  # a Series
        cell.coefficients, cell.support = coefficients, source.support
    code = getattr(source, "code", _UNUSED)
    if code is not _UNUSED:
        cell.code, cell.instruction = code, source.instruction
