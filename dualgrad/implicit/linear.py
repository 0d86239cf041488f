"""Linear systems solved by a black box: A x = b with A known by its products, x = S b, S = A^-1.

    dx = S (db - dA x)          the cotangent of b is S^H g, where S^H is the black box on A^H

S is a linear primitive, and S^H its transpose: so the black box is called once per tangent and once per cotangent, on plain
vectors.  The derivatives come from Newton's method as for any root (newton.py).
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from dualgrad import errors, tree
from dualgrad.implicit.blackbox import BlackBox, as_seen, closed_over, mapped_traces
from dualgrad.implicit.newton import default_tolerance, newton
from dualgrad.interpreters.batch import batched
from dualgrad.rules.declare import linear
from dualgrad.rules.elementwise import without_derivative
from dualgrad.transforms.arguments import check_function
from dualgrad.transforms.pullback import vjp


def linear_solve(
    matvec: Callable,
    b: Any,
    solve: Callable,
    transpose_solve: Callable | None = None,
    symmetric: bool = False,
    *,
    tol: float | None = None,
) -> Any:
    """The solution x of matvec(x) = b by any solver, with the derivatives of b and of all that matvec closes over.

    `matvec` is linear, from trees like b to trees like b.  `solve(A, b) -> x` is given vectors: A a SciPy LinearOperator of all
    leaves in a row (A @ v, A(v), A.H), b a vector; it may return (x, info), as SciPy's do, and may ignore A (a factorization made
    beforehand).  Pullbacks solve with A^H: by `transpose_solve(A.H, g)` if given, by `solve(A, g)` if `symmetric`
    (A = A^H), else by `solve(A.H, g)`.

    Every solve is verified with one product: ResidualWarning if |A x - b| > tol |b| (tol: 1.2e-4 in float64), as in a singular
    system without a solution, an iteration that stopped early, or a pullback through a `solve` that ignores A.H.
    Cost: one solve, and one more per tangent or cotangent and order.  Under vmap, instance by instance.

    >>> from scipy.sparse.linalg import cg
    >>> from dualgrad.transforms.pullback import grad
    >>> L = np.array([[2.0, -1.0], [-1.0, 2.0]])
    >>> def energy(k):                      # (k L) x = b, b.x = b.(L^-1 b) / k, with derivative -b.(L^-1 b) / k^2
    ...     b = np.array([1.0, 0.0])
    ...     return b @ linear_solve(lambda v: k * (L @ v), b, cg, symmetric=True)
    >>> grad(energy)(2.0)
    np.float64(-0.16666666666666666)
    """
    for function in (matvec, solve) if transpose_solve is None else (matvec, solve, transpose_solve):
        check_function("implicit.linear_solve", function)
    vector, unravel = tree.ravel(as_seen(b))

    def product(v: Any) -> Any:
        out = matvec(unravel(v))
        problem = tree.difference(out, b, "matvec(x)", "b")
        flat = tree.ravel(out)[0]
        if problem is not None or flat.shape != v.shape:
            problem = problem or f"matvec(x) has {flat.shape[0]} elements and b has {v.shape[0]}"
            raise errors.StructureError(f"implicit.linear_solve: {problem}{errors.user_line()}. Give a square system.")
        return flat

    probe = product(np.zeros(vector.shape, vector.dtype))  # knows all that the operator closes over
    if probe.dtype.kind == "c" and vector.dtype.kind != "c":
        complex_b = tree.map(lambda leaf: leaf + 0j if tree.is_differentiable(leaf) else leaf, b)
        return linear_solve(matvec, complex_b, solve, transpose_solve, symmetric, tol=tol)
    known, zeros = [probe, *closed_over(solve, transpose_solve)], np.zeros(probe.shape, probe.dtype)
    system = System("implicit.linear_solve", product, product, zeros, known, solve, transpose_solve, symmetric, tol)
    x = system(without_derivative(vector))
    return unravel(newton(x, lambda v: product(v) - vector, lambda residual: system))


class System:
    """S = A^-1 by a black box: system(b) for vectors b, traced or plain.

    forward(v) = A v, and function has the Jacobian A at the vector `at`; `known` are the traced values that both are made of.
    Where those are mapped, S is given, beside its vector, the number of its instance.
    """

    def __init__(
        self,
        name: str,
        forward: Callable,
        function: Callable,
        at: Any,
        known: list,
        solve: Callable,
        transpose_solve: Callable | None,
        symmetric: bool,
        tol: float | None,
    ) -> None:
        self.name, self.forward, self.function, self.at, self.known = name, forward, function, at, known
        self.solve, self.transpose_solve, self.symmetric, self.tol = solve, transpose_solve, symmetric, tol
        mapped = {trace: size for value in known for trace, size in mapped_traces(value).items()}
        self.traces = sorted(mapped, key=lambda trace: trace.serial)
        self.instances = [batched(trace, np.arange(mapped[trace])) for trace in self.traces]
        self.largest = 0.0  # the norm of a right-hand side so far: others may be its rounding errors, in later Newton steps

    def __call__(self, b: Any) -> Any:
        return solved(b, *self.instances, system=self, transposed=False)

    def solved(self, b: Any, instance: tuple, transposed: bool) -> Any:
        """S b, or S^H b, of a plain vector."""
        dtype = np.result_type(self.at.dtype, b.dtype)
        if not np.any(b):  # the primal of a Newton step
            return np.zeros(b.shape, dtype)
        with BlackBox(dict(zip(self.traces, map(int, instance), strict=True)), self.known) as box:
            operator, solve = self._operator(box), self.solve
            if transposed and not self.symmetric:
                operator = operator.H
            if transposed and self.transpose_solve is not None:
                solve = self.transpose_solve
            x = solve(operator, b.copy())
            x = np.array(box.plain(x[0] if isinstance(x, tuple) else x)).astype(dtype)
            if x.size != b.size:
                raise errors.StructureError(
                    f"{self.name}: the linear solver must return a vector of {b.size} elements, but returned "
                    f"{errors.describe(x)}{errors.user_line()}."
                )
            x = x.reshape(b.shape)
            self._verify(operator, x, b, transposed)
        return x

    def _operator(self, box: BlackBox) -> LinearOperator:
        def product(v: Any) -> Any:
            return box.plain(self.forward(np.ravel(v)))

        @functools.cache
        def pullback() -> Callable:  # of this box, hence of its instance; evaluated only if asked for
            return vjp(self.function, self.at)[1]

        def adjoint(g: Any) -> Any:
            return box.plain(pullback()(np.ravel(g))[0])

        n = self.at.shape[0]
        return LinearOperator((n, n), matvec=product, rmatvec=product if self.symmetric else adjoint, dtype=self.at.dtype)

    def _verify(self, operator: LinearOperator, x: Any, b: Any, transposed: bool) -> None:
        tol = default_tolerance(b.dtype) if self.tol is None else self.tol
        residual, scale = float(np.linalg.norm(operator.matvec(x) - b)), float(np.linalg.norm(b))
        self.largest = max(self.largest, scale)
        if residual <= max(tol * scale, 100 * float(np.finfo(b.dtype).eps) * self.largest):
            return
        which, advice = "A x = b: |A x - b|", "let the solver converge further"
        if transposed:
            which, advice = "the transposed system A^H y = g: |A^H y - g|", "give transpose_solve=, or symmetric=True"
        errors.warn(
            errors.ResidualWarning,
            f"{self.name}: the linear solver did not solve {which} = {residual:.3g}, the tolerance is {tol:.3g} of {scale:.3g}"
            f"{errors.user_line()}. What is computed from it is wrong by as much: {advice}, or give tol=.",
        )


def _transpose(g: Any, *operands: Any, system: System, transposed: bool) -> tuple:
    _, *instance = operands
    return solved(g, *instance, system=system, transposed=not transposed), *(None for _ in instance)


solved = linear(
    lambda b, *instance, system, transposed: system.solved(b, instance, transposed), _transpose, data=1, name="linear_solve"
)
solved.registered = False  # its pullback runs a user's code
