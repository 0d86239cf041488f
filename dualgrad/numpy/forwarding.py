"""How a drop-in namespace forwards to NumPy: as it is, but a list that holds traced values becomes one array first.

NumPy's protocols look at the arguments of a function, not inside lists: np.sum([x[0], 2 * x[1]]) never reaches us.
"""
from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from dualgrad.core.primitive import Value
from dualgrad.rules.creation import stacked


def holds_traced(x: list | tuple) -> bool:
    """Is there a traced value somewhere in a nested list?"""
    return any(isinstance(y, Value) or (type(y) in (list, tuple) and holds_traced(y)) for y in x)


def joined(x: Any) -> Any:
    """A nested list of numbers and traced values as one array; anything else as it is."""
    return stacked(x) if type(x) in (list, tuple) and holds_traced(x) else x


def each_joined(x: Any) -> Any:
    """The same for every array of a sequence of arrays."""
    return [joined(y) for y in x] if type(x) in (list, tuple) else x


class Forwarded:
    """A NumPy function or ufunc that accepts nested lists of traced values; its attributes are NumPy's."""

    def __init__(self, function: Any, join: Callable) -> None:
        self.function, self.join, self.__doc__ = function, join, function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) is list or type(x) is tuple:
                args = tuple([self.join(x) for x in args])
                break
        if kwargs:
            kwargs = {name: self.join(x) for name, x in kwargs.items()}
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return repr(self.function)


def forwarder(module: ModuleType, namespace: dict, sequences: set[str], untouched: set[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a drop-in for `module`, which keeps what it has made in `namespace`.

    `sequences`: functions whose lists are of arrays; `untouched`: functions that read nested lists themselves.
    """
    dispatched = (np.ufunc, type(np.sum))

    def getattribute(name: str) -> Any:
        found = getattr(module, name)
        if isinstance(found, dispatched) and name not in untouched:
            found = Forwarded(found, each_joined if name in sequences else joined)
        namespace[name] = found
        return found

    return getattribute
