"""Functions of a parameter tree as SciPy sees them: of one float64 vector, and evaluated once at each point.

    x = ravel(params),    f_flat(x) = f(unravel(x)),    with gradient, Hessian and products from the same evaluation

SciPy compares values to nine digits and more, so f is called with float64 leaves whatever the dtype of the parameters;
results go back to the leaves' own dtypes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.primitive import Value
from dualgrad.operators import HessianOperator, JacobianOperator
from dualgrad.optimize.result import Ending
from dualgrad.transforms.arguments import active, check_function, name_of, scalar_output, split_aux
from dualgrad.transforms.pullback import vjp


class Interrupt(Exception):
    """Raised out of a function that SciPy calls, to end its run."""

    def __init__(self, ending: Ending, detail: str) -> None:
        super().__init__(detail)
        self.ending, self.detail = ending, detail


class Coordinates:
    """Between a tree of parameters and the float64 vector of its floating leaves; other leaves stay as they are."""

    def __init__(self, name: str, params: Any) -> None:
        leaves, self.structure, self.places = active(name, params, "params")
        for i in self.places:
            leaf, path = leaves[i], f"params{tree.paths(self.structure)[i]}"
            if isinstance(leaf, Value):
                raise errors.ArgumentError(
                    f"{name}: {path} is traced{errors.user_line()}, and SciPy cannot be traced. To differentiate through a solve "
                    "wrap it: dualgrad.implicit has the derivatives of roots and minima."
                )
            if leaf.dtype.kind == "c":
                raise errors.InputTypeError(
                    f"{name}: {path} is {errors.describe(leaf)}{errors.user_line()}, and SciPy moves real vectors. "
                    "Make its real and imaginary parts two leaves."
                )
        self.shapes = [np.shape(leaves[i]) for i in self.places]
        self.own = tree.ravel(params)[1]
        for i in self.places:
            leaves[i] = leaves[i].astype(np.float64)
        self.start, self.wide = tree.ravel(tree.unflatten(self.structure, leaves))
        if not self.size:
            raise errors.ArgumentError(f"{name}: params holds no number, only empty arrays{errors.user_line()}.")

    @property
    def size(self) -> int:
        return self.start.size

    def entry(self, k: int) -> str:
        """The way to element k of the vector: `['w'][0, 1]`."""
        for i, shape in zip(self.places, self.shapes, strict=True):
            size = int(np.prod(shape))
            if k < size:
                index = ", ".join(map(str, np.unravel_index(k, shape)))
                return tree.paths(self.structure)[i] + (f"[{index}]" if index else "")
            k -= size
        raise IndexError(k)


class AtPoints:
    """compute(x), remembered for the last few points x: SciPy asks for value, gradient and products one after the other.

    Three points: the one a method stands at, the one it tries, and one more for line searches that go back to an earlier trial.
    """

    def __init__(self, compute: Callable[[Any], Any], capacity: int = 3) -> None:
        self.compute, self.capacity = compute, capacity
        self.kept: dict[bytes, Any] = {}
        self.evaluations = 0

    def __call__(self, x: Any) -> Any:
        x = np.array(x, np.float64)  # a copy: SLSQP moves its x in place
        key = x.tobytes()
        if key in self.kept:
            self.kept[key] = self.kept.pop(key)  # the latest used goes last
            return self.kept[key]
        self.evaluations += 1
        self.kept[key] = found = self.compute(x)
        if len(self.kept) > self.capacity:
            del self.kept[next(iter(self.kept))]
        return found


class ScalarPoint(NamedTuple):
    """What is known of an objective at a point."""

    value: float
    gradient: Any  # None if no derivative is wanted
    hessian: Any  # a HessianOperator, or None


class Objective:
    """A scalar function of a tree as a function of a vector, with `order` derivatives (0, 1 or 2) from each evaluation."""

    def __init__(self, name: str, f: Callable, params: Any, args: Any, has_aux: bool, order: int) -> None:
        check_function(name, f)
        self.name, self.f, self.has_aux, self.order = name, f, has_aux, order
        self.args = args if isinstance(args, tuple) else (args,)
        self.coordinates = Coordinates(name, params)
        self.at = AtPoints(self._evaluate)

    def scalar(self, params: Any) -> Any:
        """f(params, *args), checked to be one real number."""
        out = self.f(params, *self.args)
        return scalar_output(self.name, self.f, split_aux(self.name, self.f, out)[0] if self.has_aux else out, False)

    def _evaluate(self, x: Any) -> ScalarPoint:
        params = self.coordinates.wide(x)
        if self.order == 0:
            return ScalarPoint(float(self.scalar(params)), None, None)
        if self.order == 1:
            value, pullback = vjp(self.scalar, params)
            return ScalarPoint(float(value), tree.ravel(pullback(value.dtype.type(1))[0])[0], None)
        hessian = HessianOperator(self.scalar, params)
        return ScalarPoint(float(hessian.value), tree.ravel(hessian.gradient)[0], hessian)

    def _second(self, x: Any) -> Any:
        """The Hessian at x as an operator.  The first call turns on the recording of second order for all that follow."""
        if self.order < 2:
            self.order = 2
            self.at.kept.clear()
        return self.at(x).hessian

    def fun(self, x: Any) -> float:
        """f at the vector x."""
        return self.at(x).value

    def jac(self, x: Any) -> Any:
        """The gradient at x, of shape (n,)."""
        return self.at(x).gradient.copy()

    def fun_and_jac(self, x: Any) -> tuple[float, Any]:
        """Both, for `jac=True`."""
        return self.fun(x), self.jac(x)

    def hess(self, x: Any) -> Any:
        """The Hessian at x, of shape (n, n), symmetric to the last bit."""
        matrix = self._second(x).to_dense()
        return (matrix + matrix.T) / 2

    def hessp(self, x: Any, v: Any) -> Any:
        """The product of the Hessian at x with v."""
        return self._second(x).matvec(np.asarray(v, np.float64))


class MapPoint(NamedTuple):
    """What is known of a vector-valued function at a point."""

    value: Any  # of shape (m,)
    operator: Any  # its Jacobian, a JacobianOperator


class Map:
    """A function from a tree to an array or a tree, as one from (n,) to (m,), with its Jacobian from the same evaluation."""

    def __init__(self, name: str, f: Callable, coordinates: Coordinates, args: Any) -> None:
        check_function(name, f)
        self.name, self.f, self.coordinates = name, f, coordinates
        self.args = args if isinstance(args, tuple) else (args,)
        self.at = AtPoints(self._evaluate)
        self.jacobian_at = AtPoints(self._jacobian)

    def floating(self, params: Any) -> Any:
        """f(params, *args), every leaf of it checked to be real and floating, so that none is dropped from the vector."""
        out = self.f(params, *self.args)
        leaves, structure = tree.flatten(out)
        for i, y in enumerate(leaves):
            if not tree.is_differentiable(y) or np.result_type(y).kind == "c":
                raise errors.OutputError(
                    f"{self.name}: {name_of(self.f)} must return real floating arrays (or trees of them), but at "
                    f"output{tree.paths(structure)[i]} it returned {errors.describe(y)}{errors.user_line()}."
                )
        return out

    def _evaluate(self, x: Any) -> MapPoint:
        operator = JacobianOperator(self.floating, self.coordinates.wide(x))
        return MapPoint(tree.ravel(operator.value)[0].astype(np.float64, copy=False), operator)

    def _jacobian(self, x: Any) -> Any:
        operator = self.at(x).operator
        m, n = operator.shape
        return np.asarray(operator.to_dense() if m >= n else operator.T.to_dense().T, np.float64)

    def fun(self, x: Any) -> Any:
        """f at the vector x, of shape (m,)."""
        return self.at(x).value.copy()

    def jac(self, x: Any) -> Any:
        """The Jacobian at x, of shape (m, n): min(m, n) products in one batched sweep."""
        return np.array(self.jacobian_at(x), order="C")

    def hess(self, x: Any, v: Any) -> Any:
        """The Hessian of v . f at x, of shape (n, n)."""
        weighted = lambda params: np.dot(v, tree.ravel(self.floating(params))[0])
        matrix = HessianOperator(weighted, self.coordinates.wide(np.array(x, np.float64))).to_dense()
        return (matrix + matrix.T) / 2
