"""Every exception dualgrad raises and every warning it issues on purpose: what happened, where, what was got, what to do.

All derive from `DualgradError`, and each from the built-in (TypeError, ValueError) that NumPy users expect.
Messages name the function, the argument or leaf path, shape and dtype, the user's own file and line, and the repair.
"""
from __future__ import annotations

import os
import sys
import warnings
from types import CodeType, FrameType
from typing import Any

import numpy
import scipy

_LIBRARIES = tuple(
    os.path.dirname(os.path.abspath(path)) + os.sep for path in (__file__, numpy.__file__, scipy.__file__)
)


class DualgradError(Exception):
    """Base of all errors of this library."""


class TracedConversionError(DualgradError, TypeError):
    """A traced value was about to become a plain number or array, which would lose its derivative."""


class EscapedTraceError(DualgradError, ValueError):
    """A traced value was used after the transform that made it had returned."""


class UnsupportedError(DualgradError, TypeError):
    """A function, or a keyword of it, that has no derivative rule."""


class ArgumentError(DualgradError, ValueError):
    """An argument of a transform is out of range or of the wrong kind."""


class InputTypeError(DualgradError, TypeError):
    """An argument to differentiate that is not floating or complex."""


class OutputError(DualgradError, TypeError):
    """The differentiated function returned something the transform cannot use (not a scalar, not an array)."""


class StructureError(DualgradError, ValueError):
    """Two trees that must have the same structure or leaf shapes differ."""


class CustomRuleError(DualgradError, ValueError):
    """A user's rule returned the wrong structure, shape or dtype, or is missing."""


class NonFiniteError(DualgradError, ValueError):
    """Raised by `debug_nans` at the first non-finite value."""


class DegeneracyError(DualgradError, ValueError):
    """A derivative of a matrix factorization that depends on an arbitrary choice of basis."""


class NotElementwiseError(DualgradError, ValueError):
    """`derivative` was given a function whose Jacobian is not diagonal."""


class GradientCheckError(DualgradError, ValueError, AssertionError):
    """`check_grads` found a derivative that disagrees with its reference."""


class DualgradWarning(UserWarning):
    """Base of all warnings of this library."""


class ResidualWarning(DualgradWarning):
    """A solver returned what does not solve its equation, so the derivatives are not those of a solution."""


class SingularSystemWarning(DualgradWarning):
    """The linear system of an implicit derivative has no unique solution, or none of the digits of one."""


def is_library_code(code: CodeType) -> bool:
    """Does this code belong to dualgrad, NumPy or SciPy rather than to the user?"""
    return code.co_filename.startswith(_LIBRARIES) or code.co_filename.startswith("<__array_function__")


def user_frame() -> FrameType | None:
    """The innermost frame on the stack that is the user's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library_code(frame.f_code):
        frame = frame.f_back
    return frame


def line_of(code: CodeType, instruction: int) -> str:
    """File and line of one instruction of a code object, as `file.py:12`."""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
            break
    return f"{code.co_filename}:{line}"


def user_line() -> str:
    """` (at file.py:12)` for the user's innermost frame, or nothing when there is none."""
    frame = user_frame()
    return "" if frame is None else f" (at {frame.f_code.co_filename}:{frame.f_lineno})"


def warn(category: type[DualgradWarning], message: str) -> None:
    """Issue a warning at the user's innermost line."""
    frame = user_frame()
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
    else:
        registry, module = frame.f_globals.setdefault("__warningregistry__", {}), frame.f_globals.get("__name__")
        warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, module, registry)


def describe(value: Any) -> str:
    """A short description of a value: `float64[3,2]`, or the type of what is not an array."""
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is None or shape is None:
        return f"{value!r} ({type(value).__name__})" if isinstance(value, int | float | str) else type(value).__name__
    return f"{dtype}[{','.join(map(str, shape))}]"


def name_of(function: Any) -> str:
    """The name a user knows a function by: `np.linalg.eig`, `scipy.special.jv`, `np.add`."""
    if isinstance(function, str):
        return function
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__name__", None) or repr(function)
    if isinstance(function, numpy.ufunc):
        return f"np.{name}" if getattr(numpy, name, None) is function else f"scipy.special.{name}"
    return f"{module}.{name}".replace("numpy.", "np.", 1) if module.startswith("numpy") else name


def unsupported(function: Any, detail: str = "") -> UnsupportedError:
    """The error for a NumPy function without a rule."""
    reason = detail or "it has no derivative rule. Write it with supported functions, or give it one with custom_jvp or custom_vjp"
    return UnsupportedError(f"{name_of(function)} is not supported on traced values: {reason}{user_line()}.")


def unknown_keyword(function: Any, keyword: str) -> UnsupportedError:
    """The error for a keyword that a rule does not know; it is never swallowed."""
    return UnsupportedError(
        f"{name_of(function)}: the keyword {keyword!r} is not supported on traced values{user_line()}. "
        f"Leave it out, or apply its effect with other NumPy functions."
    )
