"""A linear map between trees that is also a `scipy.sparse.linalg.LinearOperator` between their vectors.

    operator.apply(v)      a tree like the domain's  ->  a tree like the codomain's
    operator @ x           the same for a tree; for x of shape (n,) or (n, k) SciPy's product, an array

A subclass records its function once and hands over two functions on lists of leaves: push, the product, and pull, the
transposed one.  A matrix of k columns is one batched sweep, vmap(push), not k products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.operators.dense import to_dense
from dualgrad.operators.determinants import logdet
from dualgrad.operators.diagonals import diagonal
from dualgrad.operators.estimate import Estimate, Seed
from dualgrad.operators.recorded import Product
from dualgrad.operators.space import Space
from dualgrad.operators.traces import trace
from dualgrad.transforms.vectorize import vmap


class TreeOperator(LinearOperator):
    """The base of all operators: shape (m, n), m and n the numbers of elements of codomain and domain.

    The vector of a tree is that of `tree.ravel`.  float32 parameters make a float32 operator, and a product is computed in the
    dtypes of the leaves, whatever the dtype of the vector.  `+`, `-`, `*` and `@` of operators are SciPy's: they make
    operators on vectors.  `apply` and `@` may stand inside grad, jvp or vmap; SciPy's own methods are for plain arrays.
    """

    def __init__(self, name: str, domain: Space, codomain: Space, push: Product, pull: Product) -> None:
        super().__init__(np.result_type(domain.dtype, codomain.dtype), (codomain.size, domain.size))
        self.name, self.domain, self.codomain = name, domain, codomain
        self._push, self._pull = push, pull

    def apply(self, v: Any) -> Any:
        """The product with a tree: v like the domain's tree (a leaf of None is zero), the result like the codomain's.

        Leaves that are not differentiated come back as None.  Raises StructureError if v has another structure or other shapes.
        """
        return self.codomain.tree(self._push(self.domain.check(self.name, v)))

    def dot(self, x: Any) -> Any:
        """`operator @ x`: of a tree a tree, of an array of shape (n,) or (n, k) an array, of an operator an operator."""
        if isinstance(x, LinearOperator) or np.isscalar(x) or issparse(x):
            return super().dot(x)
        if not isinstance(x, np.ndarray | Value):
            return super().dot(x) if self.domain.structure is tree.LEAF else self.apply(x)
        if x.ndim in (1, 2) and x.shape[0] == self.shape[1]:
            if isinstance(x, Value):
                return self._of_vector(x) if x.ndim == 1 else self._of_matrix(x)
            return super().dot(x)
        if self.domain.structure is tree.LEAF and x.shape == self.domain.shapes[0]:
            return self.apply(x)
        raise errors.StructureError(
            f"{self.name}: cannot multiply {errors.describe(x)}{errors.user_line()}. Give a vector of shape ({self.shape[1]},), "
            f"a matrix of shape ({self.shape[1]}, k), or a tree like {self.domain.what}."
        )

    def _of_vector(self, x: Any) -> Any:
        return self.codomain.join(self._push(self.domain.cut(x)))

    def _of_matrix(self, X: Any) -> Any:
        return self.codomain.join(vmap(self._push)(self.domain.cut(X.T)), (X.shape[1],)).T

    def _matvec(self, x: Any) -> Any:
        x = np.asarray(x).reshape(-1)
        return self._matmat(x[:, None])[:, 0] if x.dtype.kind == "c" else self._of_vector(x)

    def _matmat(self, X: Any) -> Any:
        X = np.asarray(X)
        count = X.shape[1]
        if X.dtype.kind == "c":
            both = self._matmat(np.hstack([X.real, X.imag]))
            return both[:, :count] + 1j * both[:, count:]
        if not count:
            return np.zeros((self.shape[0], 0), self.codomain.dtype)
        return self._of_matrix(X)

    def _rmatvec(self, x: Any) -> Any:
        return self.T._matvec(x)

    def _rmatmat(self, X: Any) -> Any:
        return self.T._matmat(X)

    def _transpose(self) -> TreeOperator:
        """All operators are real: the transpose is the adjoint."""
        return TreeOperator(f"{self.name}.T", self.codomain, self.domain, self._pull, self._push)

    def _adjoint(self) -> TreeOperator:
        return self._transpose()

    def to_dense(self, chunk_size: int | None = None) -> Any:
        """The matrix, of shape (m, n), by one batched sweep over unit vectors.  See `dualgrad.operators.to_dense`."""
        return to_dense(self, chunk_size)

    def trace(self, products: int = 60, method: str = "xtrace", rng: Seed = None) -> Estimate:
        """An estimate of the trace and its standard error.  See `dualgrad.operators.trace`."""
        return trace(self, products, method, rng)

    def diagonal(self, products: int = 60, method: str = "xdiag", rng: Seed = None) -> Estimate:
        """An estimate of the diagonal and its standard errors, two vectors.  See `dualgrad.operators.diagonal`."""
        return diagonal(self, products, method, rng)

    def logdet(self, samples: int = 16, steps: int = 24, method: str = "lanczos", rng: Seed = None) -> Estimate:
        """An estimate of log det of a positive definite operator and its standard error.  See `dualgrad.operators.logdet`."""
        return logdet(self, samples, steps, method, rng)


class SymmetricOperator(TreeOperator):
    """An operator that is its own transpose."""

    def __init__(self, name: str, space: Space, push: Product) -> None:
        super().__init__(name, space, space, push, push)

    def _transpose(self) -> TreeOperator:
        return self
