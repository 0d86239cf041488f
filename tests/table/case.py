"""One row of the table of primitives: a function of arrays as a user writes it, and the point where it is examined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    """`f(*args)` is plain NumPy; every float or complex array in `args` is differentiated."""

    name: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    analytic: bool = False  # f accepts complex arguments: the reference is the complex step (1e-13), else central differences
    order: int = 2  # 1 where the function has a kink or the second derivative is not defined by the reference
    mapped: bool = True  # vmap(f) equals the loop
    float32: bool = True  # float32 in, float32 out
    covers: tuple[str, ...] = ()  # names of primitives this row exercises beyond the one it is named after
