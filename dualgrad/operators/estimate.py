"""What the estimators share: an estimate with its standard error, the seed, and checks of the operator.

Every estimator takes anything that `scipy.sparse.linalg.aslinearoperator` takes: the operators of this package, sums and
products of them, matrices.  It multiplies by blocks of vectors, so an operator with a batched `matmat` is swept, not looped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dualgrad import errors

Seed = int | np.random.Generator | None


class Estimate(NamedTuple):
    """A value and its standard error; an exact value has the error 0."""

    value: Any
    error: Any


def real_square(name: str, operator: Any) -> LinearOperator:
    """The operator, if it is square and real."""
    try:
        operator = aslinearoperator(operator)
    except TypeError:
        raise errors.ArgumentError(
            f"{name}: the first argument must be a matrix or a LinearOperator, not {errors.describe(operator)}{errors.user_line()}."
        ) from None
    if operator.shape[0] != operator.shape[1]:
        raise errors.ArgumentError(
            f"{name}: the operator must be square, but it has shape {operator.shape}{errors.user_line()}. "
            "Of a Jacobian J take J.T @ J."
        )
    if np.dtype(operator.dtype).kind not in "fiub":
        raise errors.ArgumentError(f"{name}: the operator must be real, but its dtype is {operator.dtype}{errors.user_line()}.")
    return operator


def check_method(name: str, method: str, known: tuple[str, ...]) -> None:
    """`method` is one of those known."""
    if method not in known:
        raise errors.ArgumentError(
            f"{name}: method must be one of {', '.join(map(repr, known))}, not {method!r}{errors.user_line()}."
        )


def check_count(name: str, what: str, count: Any, least: int) -> int:
    """An int of at least `least`."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise errors.ArgumentError(f"{name}: {what} must be an int of at least {least}, not {count!r}{errors.user_line()}.")
    return int(count)


def working_dtype(operator: LinearOperator) -> Any:
    """The dtype of the computation: float32 for a float32 operator, float64 otherwise."""
    return np.float32 if operator.dtype == np.float32 else np.float64


def signs(rng: Seed, shape: tuple[int, int], dtype: Any) -> Any:
    """Independent +1 and -1."""
    return np.random.default_rng(rng).choice(np.array([-1, 1], dtype), shape)


def gaussians(rng: Seed, shape: tuple[int, int], dtype: Any) -> Any:
    """Independent standard normal numbers."""
    return np.random.default_rng(rng).standard_normal(shape, dtype)


def mean_and_error(samples: Any) -> Estimate:
    """The mean over the last axis and its standard error."""
    count = samples.shape[-1]
    return Estimate(np.mean(samples, axis=-1), np.std(samples, axis=-1, ddof=1) / count**0.5)
