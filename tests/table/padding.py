"""np.pad: all modes, all forms of its widths and options."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

X = np.array([[0.3, -0.7, 0.55, 1.2], [-0.2, 0.8, -0.45, 0.1], [1.4, 0.05, -0.9, 0.6]])
Z = np.array([0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j])
WIDTHS: tuple[Any, ...] = (1, (2, 1), ((1, 0), (3, 2)), 9, [(5,)], {-1: (2, 3)})
LINEAR = ("constant", "edge", "linear_ramp", "mean", "wrap", "reflect", "symmetric", "empty")


def _padded(*args: Any, **kwargs: Any) -> Any:
    return lambda x: np.pad(x, *args, **kwargs)


ROWS: list[Case] = [
    *(
        Case(f"pad: {mode}, {width}", _padded(width, mode), (X,), analytic=mode in LINEAR)
        for mode in ("edge", "wrap", "constant", "linear_ramp", "maximum", "minimum", "mean", "median", "reflect", "symmetric")
        for width in (WIDTHS if mode in ("reflect", "symmetric", "wrap") else WIDTHS[:3])
    ),
    *(
        Case(f"pad: {mode}, odd, {width}", _padded(width, mode, reflect_type="odd"), (X,), analytic=True)
        for mode in ("reflect", "symmetric")
        for width in WIDTHS
    ),
    Case("pad: odd reflection of one element", _padded(3, "reflect", reflect_type="odd"), (X[0, :1],), analytic=True),
    *(
        Case(f"pad: {mode}, stat_length={length}", _padded(2, mode, stat_length=length), (X,), analytic=mode == "mean")
        for mode in ("maximum", "minimum", "mean", "median")
        for length in (1, (2, 1), ((1, 2), (3, 9)))
    ),
    *(
        Case(f"pad: {keyword}={values}", _padded(((1, 2), (0, 3)), mode, **{keyword: values}), (X,), analytic=True)
        for mode, keyword in (("constant", "constant_values"), ("linear_ramp", "end_values"))
        for values in (2.0, (1.0, 2.0), ((1.0, 2.0), (3.0, 4.0)), [[5.0], [6.0]])
    ),
    Case("pad: traced constants", lambda x: np.pad(x, 2, constant_values=((x[0, 0], 1.0), (2.0, x[1, 1]))), (X,)),
    *(Case(f"pad: complex, {mode}", _padded(2, mode), (Z,), analytic=True) for mode in LINEAR[:-1]),
    Case("pad: nothing", _padded(0, "edge"), (X,), analytic=True),
    Case("pad: empty", lambda x: np.pad(x, 1, "empty")[1:-1, 1:-1], (X,), analytic=True),
]
