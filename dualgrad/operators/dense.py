"""The matrix of an operator, and its exact trace and diagonal: n products with unit vectors, in batched sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dualgrad.operators.estimate import check_count, working_dtype


def to_dense(operator: Any, chunk_size: int | None = None) -> Any:
    """The matrix of shape (m, n) of a linear operator, column j its product with the unit vector e_j.

    One batched sweep; with `chunk_size` sweeps of that many columns, which bounds the memory of the products.
    Raises ArgumentError for a chunk_size that is not a positive int.

    >>> from scipy.sparse.linalg import aslinearoperator
    >>> to_dense(2 * aslinearoperator(np.array([[1.0, 2.0, 3.0]])))
    array([[2., 4., 6.]])
    """
    operator = aslinearoperator(operator)
    matrix = np.empty(operator.shape, operator.dtype)
    for columns, block in swept(operator, chunk_size):
        matrix[:, columns] = block
    return matrix


def exact_diagonal(operator: LinearOperator) -> Any:
    """The diagonal, in sweeps of 256 columns: memory for a matrix of n rows is not needed."""
    diagonal = np.empty(operator.shape[0], operator.dtype)
    for columns, block in swept(operator, 256):
        diagonal[columns] = np.diagonal(block, -columns.start)
    return diagonal


def swept(operator: LinearOperator, chunk_size: int | None) -> Iterator[tuple[slice, Any]]:
    """(columns, the matrix's columns there), chunk by chunk."""
    n = operator.shape[1]
    size = n if chunk_size is None else check_count("to_dense", "chunk_size", chunk_size, 1)
    for start in range(0, n, max(size, 1)):
        columns = slice(start, min(start + size, n))
        yield columns, operator.matmat(np.eye(n, columns.stop - start, -start, working_dtype(operator)))
