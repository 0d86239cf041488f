"""Median, quantile and percentile by every method, over axes, of several probabilities, ignoring nan."""
from __future__ import annotations

import numpy as np
from table.case import Case

A = np.array
nan = np.nan
X = A([[0.3, -0.7, 0.55, 1.1], [-0.2, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
CUBE = np.linspace(-1.4, 1.7, 24)[np.arange(24) * 7 % 24].reshape(2, 3, 4)  # well apart, so that differences see no tie
N = A([[0.3, nan, 0.55, 1.1], [nan, 0.8, -0.45, 0.9], [1.3, 0.65, -1.2, 0.25]])
GAP = A([[0.3, nan, 0.55, 1.1], [nan, nan, nan, nan], [1.3, 0.65, -1.2, 0.25]])
VECTOR = A([0.4, -1.3, 0.9, 0.2, 1.7])
CONTINUOUS = ["linear", "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased", "normal_unbiased"]
STEPWISE = ["inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest"]
METHODS = CONTINUOUS + STEPWISE

ROWS: list[Case] = [
    Case("median", np.median, (VECTOR,), order=1),
    Case("median even", np.median, (X,), order=1),
    Case("median axis", lambda x: np.median(np.exp(x), axis=0), (X,)),
    Case("median axes", lambda x: np.median(x, axis=(2, 0), keepdims=True), (CUBE,), order=1),
    Case("median of a scalar", np.median, (np.float64(0.7),), order=1),
    Case("nanmedian", np.nanmedian, (N,), order=1),
    Case("nanmedian axis", lambda x: np.nanmedian(np.exp(x), axis=0, keepdims=True), (N,)),
    *[Case(f"quantile {m}", lambda x, m=m: np.quantile(x, 0.33, method=m), (VECTOR,), order=1) for m in METHODS],
    *[
        Case(f"quantile {m} axis", lambda x, m=m: np.quantile(np.exp(x), [0.0, 0.27, 1.0], axis=1, method=m), (X,), float32=False)
        for m in METHODS
    ],
    *[
        Case(f"quantile by q {m}", lambda x, q, m=m: np.quantile(np.exp(x), q, axis=0, method=m), (X, A([0.37, 0.61])))
        for m in CONTINUOUS
    ],
    Case("quantile axes", lambda x: np.quantile(x, 0.4, axis=(0, 2), keepdims=True), (CUBE,), order=1),
    Case("quantile several", lambda x: np.quantile(x, [[0.4], [0.7]], axis=(0, 2), keepdims=True), (CUBE,), order=1, float32=False),
    Case("percentile", lambda x: np.percentile(x, 30, axis=-1), (X,), order=1),
    Case("percentile by q", lambda x, q: np.percentile(np.exp(x), q), (X, np.float64(42.0)), float32=False),
    Case("nanquantile", lambda x: np.nanquantile(x, 0.3), (N,), order=1),
    Case("nanquantile axis", lambda x: np.nanquantile(np.exp(x), [0.3, 0.8], axis=1), (N,), float32=False),
    Case("nanpercentile", lambda x: np.nanpercentile(x, [30, 70], axis=0, keepdims=True), (N,), order=1, float32=False),
    Case("nanpercentile nearest", lambda x: np.nanpercentile(x, 30, axis=0, method="nearest"), (GAP,), order=1),
]
