"""`check_grads`: is a derivative right?  Every order and mode against central differences, and the modes against each other.

    order 1   J v against (f(x + h v) - f(x - h v)) / 2h at two step sizes (Richardson), leaf by leaf
              <w, J v> = <J^H w, v>
    order k   the same for x -> J(x) v and x -> J(x)^H w, with v and w fixed
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.transforms.arguments import name_of
from dualgrad.transforms.pullback import vjp
from dualgrad.transforms.pushforward import jvp


def check_grads(
    f: Callable,
    args: Sequence,
    order: int = 2,
    modes: Sequence[str] = ("forward", "reverse"),
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> None:
    """Check derivatives of f at `args` (a tuple of trees) up to `order` in the given modes; returns None if they are right.

    Directions are random with a fixed seed.  The tolerance follows the precision of the arguments (rtol 1e-6 at order 1 in
    float64, times 30 per order) unless given.  Raises GradientCheckError naming the mode, leaf, index, got and expected value;
    ArgumentError for an unknown mode or an order below 1.  Cost: about 6 evaluations of f per order and mode.

    >>> check_grads(lambda x, y: np.sum(np.sin(x) * y), (np.array([0.1, 0.2]), 2.0))
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise errors.ArgumentError(f"check_grads: order must be a positive int, not {order!r}{errors.user_line()}.")
    unknown = [m for m in modes if m not in ("forward", "reverse")]
    if isinstance(modes, str) or unknown:
        raise errors.ArgumentError(f"check_grads: modes must be among ('forward', 'reverse'), not {modes!r}{errors.user_line()}.")
    if not isinstance(args, tuple | list):
        raise errors.ArgumentError(
            f"check_grads: args must be a tuple with one entry per argument of f{errors.user_line()}; write (x,)."
        )
    primals = tree.map(lambda x: np.array(x)[()] if tree.is_differentiable(x) else x, tuple(args))
    _check(f, primals, order, tuple(modes), rtol, atol, np.random.default_rng(seed), name_of(f), 1)


def _check(f: Callable, x: tuple, order: int, modes: tuple, rtol: Any, atol: Any, rng: Any, name: str, level: int) -> None:
    epsilon = max((float(np.finfo(leaf.dtype).eps) for leaf in tree.leaves(x) if tree.is_differentiable(leaf)), default=2.2e-16)
    relative = (epsilon**0.38 if rtol is None else rtol) * 30 ** (level - 1)
    absolute = (epsilon**0.5 if atol is None else atol) * 30 ** (level - 1)
    v = _random_like(x, rng)
    expected = _central_difference(f, x, v, epsilon)
    out, pullback = vjp(f, *x)
    w = _random_like(out, rng)
    for mode in modes:
        if mode == "forward":
            got = jvp(f, x, v)[1]
            _compare(f"check_grads({name}): forward mode, order {level}, derivative of output", got, expected, relative, absolute)
        else:
            got_inner = _inner(pullback(w), v)
            expected_inner = _inner(w, expected)
            scale = _norm(w) * _norm(expected)
            if not abs(got_inner - expected_inner) <= relative * scale + absolute:
                _blame(f, x, pullback, w, epsilon, relative, absolute, name, level)
                raise errors.GradientCheckError(
                    f"check_grads({name}): reverse mode, order {level}: <J^H w, v> is {got_inner:.10g}, "
                    f"expected <w, J v> = {expected_inner:.10g}."
                )
        if order > 1:
            if mode == "forward":
                _check(lambda *y: jvp(f, y, v)[1], x, order - 1, modes, rtol, atol, rng, f"jvp of {name}", level + 1)
            else:
                _check(lambda *y: vjp(f, *y)[1](w), x, order - 1, modes, rtol, atol, rng, f"vjp of {name}", level + 1)


def _blame(
    f: Callable, x: tuple, pullback: Callable, w: Any, epsilon: float, rtol: float, atol: float, name: str, level: int
) -> None:
    """Find the leaf and element of J^H w that is wrong, by differences of <w, f> in one coordinate after another."""
    leaves, structure = tree.flatten(x)
    gradient = tree.leaves(pullback(w))
    paths = tree.paths(structure)
    for k, leaf in enumerate(leaves):
        if not tree.is_differentiable(leaf):
            continue
        for index in np.ndindex(*np.shape(leaf)):
            for unit in (1.0, 1j) if leaf.dtype.kind == "c" else (1.0,):
                direction: list[Any] = [np.zeros(np.shape(y), y.dtype) if tree.is_differentiable(y) else None for y in leaves]
                direction[k][index] = unit
                expected = _inner(w, _central_difference(f, x, tree.unflatten(structure, direction), epsilon))
                got = float(np.real(np.conj(unit) * np.asarray(gradient[k])[index]))
                if not abs(got - expected) <= rtol * max(abs(got), abs(expected)) + atol:
                    raise errors.GradientCheckError(
                        f"check_grads({name}): reverse mode, order {level}: gradient at argument{paths[k]}, index {index}: "
                        f"got {got:.10g}, expected {expected:.10g}."
                    )


def _central_difference(f: Callable, x: tuple, v: tuple, epsilon: float) -> Any:
    """(4 D(h/2) - D(h)) / 3 with D(h) = (f(x + h v) - f(x - h v)) / 2h: error O(h**4) + O(epsilon / h)."""
    h = epsilon**0.2 / 2

    def difference(step: float) -> Any:
        plus, minus = f(*_shifted(x, v, step)), f(*_shifted(x, v, -step))
        return tree.map(lambda a, b: (a - b) / (2 * step) if tree.is_differentiable(a) else None, plus, minus)

    return tree.map(lambda fine, coarse: None if fine is None else (4 * fine - coarse) / 3, difference(h / 2), difference(h))


def _shifted(x: tuple, v: tuple, step: float) -> tuple:
    return tree.map(lambda a, t: a if t is None else (a + step * t).astype(a.dtype), x, v)


def _random_like(x: Any, rng: Any) -> Any:
    def one(leaf: Any) -> Any:
        if not tree.is_differentiable(leaf):
            return None
        leaf = np.asarray(leaf)
        t = rng.standard_normal(leaf.shape)
        if leaf.dtype.kind == "c":
            t = t + 1j * rng.standard_normal(leaf.shape)
        return np.asarray(t, leaf.dtype)[()]

    return tree.map(one, x)


def _inner(a: Any, b: Any) -> float:
    """Re <a, b> over all leaves."""
    pairs = zip(tree.leaves(a), tree.leaves(b), strict=True)
    return float(sum(np.real(np.vdot(p, q)) for p, q in pairs if p is not None and q is not None))


def _norm(a: Any) -> float:
    return float(np.sqrt(_inner(a, a)))


def _compare(what: str, got: Any, expected: Any, rtol: float, atol: float) -> None:
    paths = tree.paths(expected)
    for path, g, e in zip(paths, tree.leaves(got), tree.leaves(expected), strict=True):
        if e is None:
            continue
        scale = np.max(np.abs(e), initial=0.0)
        wrong = ~(np.abs(g - e) <= rtol * np.maximum(np.abs(e), 0.1 * scale) + atol)
        if np.any(wrong):
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise errors.GradientCheckError(
                f"{what}{path}, index {index}: got {np.asarray(g)[index]:.10g}, expected {np.asarray(e)[index]:.10g}."
            )
