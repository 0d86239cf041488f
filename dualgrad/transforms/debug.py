"""`debug_nans`: stop at the first value or derivative that is not finite, and say which operation of the user's made it."""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core import primitive as core
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.traced import components, install_operators


@contextmanager
def debug_nans() -> Iterator[None]:
    """Within this context, the first nan or inf of a traced computation raises NonFiniteError.

    The message names the function, the operand or derivative, the index of the first bad element, and the user's file and line
    of the forward operation, also when a cotangent goes bad in the pullback.  For the whole process, and slow: every result
    is inspected.

    >>> from dualgrad.transforms.pullback import grad
    >>> with debug_nans():
    ...     grad(lambda x: np.sqrt(x) * 0.0)(0.0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    dualgrad.errors.NonFiniteError: sqrt: the cotangent of operand 0 is not finite: nan ...
    """
    saved = core.instrument, core.check_cotangent, core.within_rule
    core.instrument, core.check_cotangent, core.within_rule = _instrument, _check_cotangent, _within_rule
    _respecialize()
    try:
        yield
    finally:
        core.instrument, core.check_cotangent, core.within_rule = saved
        _respecialize()


def _respecialize() -> None:
    """Make all handlers again, with or without inspection."""
    core.clear_handlers()
    install_operators()


class _Depth(threading.local):
    """How many rules are being evaluated: what goes wrong within one is reported as the user's operation it belongs to."""

    value = 0


_depth = _Depth()


def _within_rule(call: Callable, *args: Any) -> Any:
    _depth.value += 1
    try:
        return call(*args)
    finally:
        _depth.value -= 1


def _instrument(primitive: Primitive, fast: Callable, general: Callable) -> tuple[Callable, Callable]:
    """Both handlers with an inspection of what they return."""

    def checked_fast(*args: Any) -> Any:
        return _inspect(primitive, args, _within_rule(fast, *args))

    def checked_general(trace: Any, args: tuple, static: dict) -> Any:
        return _inspect(primitive, args, _within_rule(general, trace, args, static))

    return checked_fast, checked_general


def _inspect(primitive: Primitive, args: tuple, result: Any) -> Any:
    place = _place()
    for out in result if isinstance(result, tuple) else (result,):
        if not isinstance(out, Value):
            continue
        if hasattr(out.owner, "places"):
            out.owner.places = out.owner.places or {}
            out.owner.places[out.index] = place
        if not _depth.value:
            _raise_if_bad(primitive, args, out, place)
    return result


def _raise_if_bad(primitive: Primitive, args: tuple, out: Any, place: str) -> None:
    parts = components(out)
    names = ["its value"] + ["its tangent"] * (len(parts) - 1)
    for name, part in zip(names, parts, strict=True):
        bad = _first_bad(part)
        if bad is not None:
            operands = ", ".join(f"operand {k} = {errors.describe(a)}{_sample(a, bad[0])}" for k, a in enumerate(args))
            raise errors.NonFiniteError(
                f"{primitive.name}: {name} is not finite: {bad[1]} at element {bad[0]}, in {place}; {operands}."
            )


def _sample(operand: Any, index: tuple) -> str:
    """The element of an operand that stands where the bad one does, when shapes allow to say."""
    array = components(operand)[0]
    if np.ndim(array) == 0:
        return f" ({array})"
    inside = np.ndim(array) == len(index) and all(i < n for i, n in zip(index, np.shape(array), strict=True))
    return f" ({array[index]} there)" if inside else ""


def _check_cotangent(primitive: Any, operand: int, cotangent: Any, place: Any) -> None:
    if _depth.value:
        return
    for part in components(cotangent):
        bad = _first_bad(part)
        if bad is not None:
            name = getattr(primitive, "name", primitive)
            raise errors.NonFiniteError(
                f"{name}: the cotangent of operand {operand} is not finite: {bad[1]} at element {bad[0]}; "
                f"the forward operation is in {place}."
            )


def _first_bad(array: Any) -> tuple | None:
    if array is None or np.result_type(array).kind not in "fc":
        return None
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0]) if np.ndim(array) else ()
    return index, array[index] if index else array


def _place() -> str:
    """The user's innermost line."""
    frame: Any = sys._getframe(2)
    while frame is not None and errors.is_library_code(frame.f_code):
        frame = frame.f_back
    return "unknown code" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
