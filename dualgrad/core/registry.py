"""The tables that join NumPy's names to primitives and front functions.

A *front function* has NumPy's own signature, normalises its arguments and binds a primitive (or is composed of NumPy
calls that do).  NumPy's protocols look functions up here; the rooms under `rules` fill the tables.
"""
from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy

UFUNCS: dict[Any, Any] = {}  # ufunc -> Primitive or Front, both with `.fast[cls]`
REDUCTIONS: dict[tuple[Any, str], Callable] = {}  # (ufunc, method) -> front, e.g. (np.add, "reduce")
FUNCTIONS: dict[Any, Callable] = {}  # NumPy function -> front
KEYWORDS: dict[Any, frozenset[str] | None] = {}  # NumPy function -> the keywords its front knows (None: any)
CREATORS: dict[Any, Callable] = {}  # NumPy function called with like=x -> creator(x, *args, **kwargs)
METHODS: dict[str, Callable] = {}  # ndarray method -> front
PRIMITIVES: list[Any] = []  # every primitive declared, in order
LATE: list[str] = []  # modules of rules for a library that is slow to import, loaded when a function is not in the tables


def load_late_rules() -> None:
    """Import the modules in LATE (a second time costs nothing)."""
    for module in LATE:
        importlib.import_module(module)


def front(*functions: Any, method: str | None = None) -> Callable[[Callable], Callable]:
    """Decorator: the decorated function is what these NumPy functions mean on traced values.

    A name stands for a function that NumPy 2.0 does not have yet.

    With `method`, ndarray's method of that name means the same.
    """

    def register(implementation: Callable) -> Callable:
        parameters = inspect.signature(implementation).parameters.values()
        any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
        known = frozenset(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)
        for function in _present(functions):
            FUNCTIONS[function] = implementation
            KEYWORDS[function] = None if any_keyword else known
        if method is not None:
            METHODS[method] = implementation
        return implementation

    return register


def creator(*functions: Any) -> Callable[[Callable], Callable]:
    """Decorator: the decorated function(like, ...) is what these NumPy functions mean when called with like=traced."""

    def register(implementation: Callable) -> Callable:
        for function in functions:
            CREATORS[function] = implementation
        return implementation

    return register


def _present(functions: tuple) -> list[Any]:
    """NumPy's functions, those given by name if this NumPy has them."""
    found = [getattr(numpy, f, None) if isinstance(f, str) else f for f in functions]
    return [f for f in found if f is not None]


class Front:
    """A ufunc that is no primitive itself (np.divmod, np.square): a function of traced values."""

    __slots__ = ("fast", "function")

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.fast = _Always(function)

    def __call__(self, *args: Any, **static: Any) -> Any:
        return self.function(*args, **static)


class _Always(dict):
    def __init__(self, function: Callable) -> None:
        self.function = function

    def __missing__(self, cls: type) -> Callable:
        return self.function


def front_ufunc(*ufuncs: Any) -> Callable[[Callable], Callable]:
    """Decorator: the decorated function of arrays is what these ufuncs mean on traced values."""

    def register(implementation: Callable) -> Callable:
        for ufunc in _present(ufuncs):
            UFUNCS[ufunc] = Front(implementation)
        return implementation

    return register


def front_method(ufunc: Any, method: str) -> Callable[[Callable], Callable]:
    """Decorator: the decorated function is `ufunc.method` (reduce, accumulate, outer, at) on traced values."""

    def register(implementation: Callable) -> Callable:
        REDUCTIONS[ufunc, method] = implementation
        return implementation

    return register
