"""Bounds on a tree of parameters: low <= x <= high, element by element.

    {"w": (0, 1), "b": (None, 5.0)}        a tree of pairs: at each leaf (low, high), numbers or arrays of the leaf's shape
    ({"w": 0}, {"w": 1, "b": 5.0})         a pair of trees, low and high
    (0, 1)                                 for all elements alike
    scipy.optimize.Bounds(low, high)       over the vector of `tree.ravel`

None, and a key that is left out, is no bound.  Where params is one array of n elements, a list of n pairs is a pair per
element.  Two readings are possible only where params has two elements; then `minimize` takes a tree of pairs, `least_squares`
and `curve_fit` a pair of trees, as SciPy's functions of these names do.  A start outside of the bounds is moved onto them.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from scipy.optimize import Bounds

from dualgrad import errors, tree
from dualgrad.optimize.flat import Coordinates


class _Misfit(Exception):
    """The bounds do not have the form that was tried."""


def limits(name: str, bounds: Any, coordinates: Coordinates, pairs_first: bool) -> tuple[Any, Any] | None:
    """(low, high), two vectors; None where nothing is bounded.

    A start outside of them is moved onto them.  Raises StructureError if the bounds do not fit the parameters, ArgumentError for
    a low above its high, with the path to it.
    """
    if bounds is None:
        return None
    low, high = _read(name, bounds, coordinates, pairs_first)
    for k in np.flatnonzero(~(low <= high))[:1]:
        raise errors.ArgumentError(
            f"{name}: bounds must have low <= high, but for params{coordinates.entry(k)} they are ({low[k]:g}, {high[k]:g})"
            f"{errors.user_line()}."
        )
    coordinates.start = np.clip(coordinates.start, low, high)
    return None if np.all(np.isneginf(low)) and np.all(np.isposinf(high)) else (low, high)


def _read(name: str, bounds: Any, coordinates: Coordinates, pairs_first: bool) -> tuple[Any, Any]:
    if isinstance(bounds, Bounds):
        shape = (coordinates.size,)
        try:
            return tuple(np.broadcast_to(np.asarray(side, np.float64), shape) for side in (bounds.lb, bounds.ub))  # type: ignore[return-value]
        except ValueError:
            raise errors.StructureError(
                f"{name}: scipy.optimize.Bounds of lengths {np.size(bounds.lb)} and {np.size(bounds.ub)} for {shape[0]} parameters"
                f"{errors.user_line()}. They are over the vector of dualgrad.tree.ravel(params)."
            ) from None
    readings = (_tree_of_pairs, _pair_of_trees) if pairs_first else (_pair_of_trees, _tree_of_pairs)
    misfits = []
    for reading in readings:
        try:
            return reading(bounds, coordinates)
        except _Misfit as misfit:
            misfits.append(str(misfit))
    first, second = ("a tree of pairs", "a pair of trees") if pairs_first else ("a pair of trees", "a tree of pairs")
    raise errors.StructureError(
        f"{name}: bounds do not fit params{errors.user_line()}: as {first}, {misfits[0]}; as {second}, {misfits[1]}. Give "
        "(low, high) at each leaf of a tree like params, or two trees like params, low and high; None is no bound."
    )


def _tree_of_pairs(bounds: Any, coordinates: Coordinates) -> tuple[Any, Any]:
    if coordinates.structure is not tree.LEAF and _is_pair(bounds) and all(map(_is_plain, bounds)):
        return _pair_of_trees(bounds, coordinates)
    pairs = _at_leaves(coordinates.structure, bounds, "")
    paths = tree.paths(coordinates.structure)
    sides: tuple[list, list] = ([], [])
    for i, shape in zip(coordinates.places, coordinates.shapes, strict=True):
        for side, values, fill in zip(sides, _pair(pairs[i], shape, paths[i]), (-np.inf, np.inf), strict=True):
            side.append(_vector(values, shape, fill, paths[i]))
    return np.concatenate(sides[0]), np.concatenate(sides[1])


def _pair_of_trees(bounds: Any, coordinates: Coordinates) -> tuple[Any, Any]:
    if not _is_pair(bounds):
        raise _Misfit(f"they are no pair but {_noun(bounds)}")
    return _side(bounds[0], coordinates, -np.inf), _side(bounds[1], coordinates, np.inf)


def _side(values: Any, coordinates: Coordinates, fill: float) -> Any:
    """One vector of the pair of trees."""
    paths = tree.paths(coordinates.structure)
    found = [values] * len(paths) if _is_plain(values) else _at_leaves(coordinates.structure, values, "")
    columns = zip(coordinates.places, coordinates.shapes, strict=True)
    return np.concatenate([_vector(found[i], shape, fill, paths[i]) for i, shape in columns])


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, numbers.Real)


def _is_pair(entry: Any) -> bool:
    return len(entry) == 2 if isinstance(entry, tuple | list) else isinstance(entry, np.ndarray) and entry.shape[:1] == (2,)


def _pair(entry: Any, shape: tuple[int, ...], path: str) -> tuple[Any, Any]:
    """(low, high) of one leaf, from a pair, from one pair per element, or from None."""
    if entry is None:
        return None, None
    if len(shape) == 1 and _rows(entry) == shape[0]:
        low, high = zip(*entry, strict=True)
        return [-np.inf if x is None else x for x in low], [np.inf if x is None else x for x in high]
    if not _is_pair(entry):
        raise _Misfit(f"at {path or 'the root'} there is {_noun(entry)} where a pair (low, high) is needed")
    return entry[0], entry[1]


def _rows(entry: Any) -> int | None:
    """The number of pairs in a list of pairs; None if it is no such list."""
    if isinstance(entry, np.ndarray):
        return len(entry) if entry.shape[1:] == (2,) else None
    pairs = isinstance(entry, tuple | list) and all(isinstance(x, tuple | list) and len(x) == 2 for x in entry)
    return len(entry) if pairs else None


def _vector(values: Any, shape: tuple[int, ...], fill: float, path: str) -> Any:
    """The bounds of one leaf as a vector."""
    try:
        return np.broadcast_to(np.asarray(fill if values is None else values, np.float64), shape).ravel()
    except (ValueError, TypeError):
        raise _Misfit(f"at {path or 'the root'} there is {_noun(values)}, which is no array of shape {shape}") from None


def _at_leaves(structure: tree.Structure, given: Any, path: str) -> list[Any]:
    """What a tree holds where another, of this structure, has its leaves; None for keys that it leaves out."""
    if structure is tree.LEAF or given is None:
        return [given] * structure.size
    kind, where = structure.kind, path or "the root"
    edges = kind.edges(structure.static, len(structure.children))
    if kind.keyed and isinstance(given, dict):
        keys = structure.static[1]
        for key in given:
            if key not in keys:
                raise _Misfit(f"at {where} they have the key {key!r}, which params lacks")
        parts = [given.get(key) for key in keys]
    elif kind.type in (list, tuple) and isinstance(given, list | tuple) and len(given) == len(edges):
        parts = list(given)
    elif kind.type not in (list, tuple) and type(given) is kind.type and len(kind.split(given)[0]) == len(edges):
        parts = list(kind.split(given)[0])
    else:
        raise _Misfit(f"at {where} they are {_noun(given)} and params is a {kind.type.__qualname__} of {len(edges)}")
    return [
        leaf
        for child, part, edge in zip(structure.children, parts, edges, strict=True)
        for leaf in _at_leaves(child, part, path + edge)
    ]


def _noun(value: Any) -> str:
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, list | tuple | dict) else errors.describe(value)
