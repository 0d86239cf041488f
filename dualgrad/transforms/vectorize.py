"""`vmap`: a function of one instance becomes a function of many, in one sweep of array operations."""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.arrays import SOLE
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Trace, Value
from dualgrad.core.serial import next_serial
from dualgrad.interpreters.batch import Batched, batched
from dualgrad.transforms.arguments import evaluate, name_of, output_leaves, transformed


def vmap(f: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """f mapped over an axis of its arguments: vmap(f)(x)[i] = f(x[i]), without a Python loop.

    `in_axes`: the mapped axis of every argument (an int, None for an argument that all instances share, or a tuple with one
    entry per argument, which may be a tree prefix).  `out_axes`: where the axis appears in the outputs.  Operations run once
    over all instances.  An `if` on a mapped value raises: use np.where.  Keyword arguments are shared.

    >>> vmap(lambda x, y: x @ y, in_axes=(0, None))(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    return transformed(_vmap, f, "vmap", in_axes, out_axes)


def _vmap(f: Callable, in_axes: Any, out_axes: Any, /, *args: Any, **kwargs: Any) -> Any:
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise errors.ArgumentError(
            f"vmap: in_axes has {len(in_axes)} entries, but {name_of(f)} was called with {len(args)} arguments{errors.user_line()}."
        )
    leaves, structure = tree.flatten(args)
    axes = _broadcast_prefix(in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args), args)
    paths = tree.paths(structure)
    size = None
    trace = Trace(next_serial(), "vmap")
    lifted = []
    for leaf, axis, path in zip(leaves, axes, paths, strict=True):
        if axis is None or leaf is None:
            lifted.append(leaf)
            continue
        if not isinstance(leaf, Value):
            leaf = np.asarray(leaf)
        if not -leaf.ndim <= axis < leaf.ndim:
            raise errors.ArgumentError(
                f"vmap: in_axes asks for axis {axis} of args{path}, which has shape {leaf.shape}{errors.user_line()}; "
                "use None for an argument that is not mapped."
            )
        if size is not None and leaf.shape[axis] != size:
            raise errors.ArgumentError(
                f"vmap: mapped axes must have equal lengths, but axis {axis} of args{path} has length {leaf.shape[axis]} where "
                f"earlier ones have {size}{errors.user_line()}."
            )
        size = leaf.shape[axis]
        lifted.append(batched(trace, snapshot(np.moveaxis(leaf, axis, 0) if axis else leaf)))
    if size is None:
        raise errors.ArgumentError(f"vmap: no argument is mapped (in_axes={in_axes!r}){errors.user_line()}.")
    try:
        out = evaluate(f, tree.unflatten(structure, lifted), kwargs)
        out_leaves, out_structure = output_leaves("vmap", f, out)
    finally:
        trace.alive = False
    places = _broadcast_prefix(out_axes, out)
    results: list[Any] = []
    for y, place in zip(out_leaves, places, strict=True):
        if y is None:
            results.append(None)
            continue
        if type(y) is Batched and y.owner is trace:
            value = y.value
            if place is None:
                raise errors.ArgumentError(
                    f"vmap: out_axes is None for an output that differs between instances{errors.user_line()}."
                )
        elif place is None:
            results.append(y)
            continue
        else:
            value = np.broadcast_to(y, (size, *np.shape(y)))
        value = np.moveaxis(value, 0, place) if place else value
        results.append(value if isinstance(value, Value) or _is_sole(value) else np.array(value))
    return tree.unflatten(out_structure, results)


def _is_sole(value: Any) -> bool:
    """Is this array held by nothing but its mapped cell (and the caller's name for it)?"""
    return type(value) is np.ndarray and value.base is None and value.flags.writeable and sys.getrefcount(value) <= SOLE + 2


def _broadcast_prefix(axes: Any, full: Any) -> list[Any]:
    """One axis per leaf: `axes` is an axis, or a tree prefix of `full` with an axis at each of its leaves."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(tree.leaves(full))
    if isinstance(full, dict) and isinstance(axes, dict):
        if axes.keys() != full.keys():
            raise errors.StructureError(
                f"vmap: in_axes or out_axes has the keys {list(axes)}, the tree {list(full)}{errors.user_line()}."
            )
        return [a for key in full for a in _broadcast_prefix(axes[key], full[key])]
    if isinstance(full, tuple | list) and isinstance(axes, tuple | list) and len(axes) == len(full):
        return [a for prefix, part in zip(axes, full, strict=True) for a in _broadcast_prefix(prefix, part)]
    raise errors.StructureError(
        f"vmap: in_axes or out_axes {axes!r} is not a prefix of the tree it belongs to{errors.user_line()}."
    )
