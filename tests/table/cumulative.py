"""Cumulative sums and products, running extrema, in every spelling."""
from __future__ import annotations

import numpy as np
from table.case import Case

A = np.array
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
CUBE = np.linspace(-1.4, 1.7, 24)[np.arange(24) * 7 % 24].reshape(2, 3, 4)  # well apart, so that differences see no tie
ZEROS = A([[0.3, 0.0, 0.55, 1.1], [0.0, 0.8, 0.0, 0.9], [1.3, 0.65, -1.2, 0.25]])
VECTOR = A([0.4, -1.3, 0.9, 0.2, 1.7])
WITH_NAN = A([[0.3, np.nan, 0.55, 1.1], [np.nan, 0.8, -0.45, 0.9]])
Z = A([[0.3 + 0.5j, -0.7 + 0.2j, 0.5 - 0.4j], [-0.2 - 0.8j, 0.8 + 0.1j, 0.45j]])

ROWS: list[Case] = [
    Case("cumsum", np.cumsum, (X,), analytic=True),
    Case("cumsum axis", lambda x: np.cumsum(x * x, axis=-2), (CUBE,), analytic=True),
    Case("cumsum dtype", lambda x: np.cumsum(x, 1, dtype=np.float64), (X,), float32=False),
    Case("cumsum method", lambda x: x.cumsum(1) * x, (X,), analytic=True),
    Case("cumsum complex", lambda z: np.cumsum(z, axis=1), (Z,), analytic=True),
    Case("cumsum of a scalar", np.cumsum, (np.float64(0.7),), analytic=True),
    Case("cumprod", np.cumprod, (VECTOR,), analytic=True),
    Case("cumprod axis", lambda x: np.cumprod(x, axis=1), (CUBE,), analytic=True),
    Case("cumprod with zeros", lambda x: np.cumprod(x, axis=-1), (ZEROS,), analytic=True),
    Case("cumprod method", lambda x: x.cumprod(0), (X,), analytic=True),
    Case("cumprod complex", lambda z: np.cumprod(z, axis=1), (Z,), analytic=True),
    Case("cumprod dtype", lambda x: np.cumprod(x, dtype=np.float64), (VECTOR,), float32=False),
    Case("nancumsum", lambda x: np.nancumsum(x, axis=1), (WITH_NAN,)),
    Case("nancumsum of all", np.nancumsum, (X,)),
    Case("nancumprod", lambda x: np.nancumprod(x, axis=1), (WITH_NAN,)),
    Case("nancumprod of all", np.nancumprod, (X,)),
    Case("add.accumulate", np.add.accumulate, (X,), analytic=True),
    Case("add.accumulate axis", lambda x: np.add.accumulate(x, axis=-1), (CUBE,), analytic=True),
    Case("multiply.accumulate", np.multiply.accumulate, (X,), analytic=True),
    Case("multiply.accumulate axis", lambda x: np.multiply.accumulate(x, 1), (ZEROS,), analytic=True),
    Case("maximum.accumulate", np.maximum.accumulate, (X,), order=1),
    Case("maximum.accumulate axis", lambda x: np.maximum.accumulate(np.exp(x), axis=1), (CUBE,)),
    Case("minimum.accumulate", lambda x: np.minimum.accumulate(x, axis=1), (X,), order=1),
    Case("logaddexp.accumulate", lambda x: np.logaddexp.accumulate(x, axis=1), (X,)),
    Case("logaddexp2.accumulate", np.logaddexp2.accumulate, (X,)),
]
if hasattr(np, "cumulative_sum"):
    ROWS += [
        Case("cumulative_sum", np.cumulative_sum, (VECTOR,), analytic=True),
        Case("cumulative_sum initial", lambda x: np.cumulative_sum(x, axis=1, include_initial=True), (X,), analytic=True),
        Case("cumulative_prod", np.cumulative_prod, (VECTOR,), analytic=True),
        Case("cumulative_prod initial", lambda x: np.cumulative_prod(x, axis=-2, include_initial=True), (CUBE,), analytic=True),
    ]
