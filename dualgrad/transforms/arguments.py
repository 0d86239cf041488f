"""Where pytrees enter and leave: checking arguments, taking trees apart for interpreters, putting results together.

Every transform lifts the leaves of the chosen arguments, calls f, and reads leaves of the output; the checks that name
arguments, leaf paths, shapes and repairs are here.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.memory import keep_freed_memory
from dualgrad.core.primitive import Value


def check_function(name: str, f: Any) -> None:
    """Every transform begins here: its first argument is a function."""
    keep_freed_memory()
    if not callable(f):
        raise errors.ArgumentError(f"{name}: the first argument must be a function, not {errors.describe(f)}{errors.user_line()}.")


def transformed(call: Callable, f: Callable, name: str, *settings: Any) -> Callable:
    """`functools.partial(call, f, *settings)` that looks like f: picklable when f is."""
    check_function(name, f)
    result = functools.partial(call, f, *settings)
    result.__name__ = f"{name}({getattr(f, '__name__', 'f')})"  # type: ignore[attr-defined]
    result.__wrapped__ = f  # type: ignore[attr-defined]
    return result


def name_of(f: Any) -> str:
    """What a message calls the function."""
    return getattr(f, "__name__", None) or type(f).__name__


def check_argnums(name: str, argnums: Any) -> Any:
    """An int or a tuple of distinct ints."""
    numbers = argnums if isinstance(argnums, tuple | list) else (argnums,)
    for k in numbers:
        if isinstance(k, bool) or not isinstance(k, int | np.integer):
            raise errors.ArgumentError(f"{name}: argnums must be an int or a tuple of ints, not {argnums!r}{errors.user_line()}.")
    if len(set(numbers)) != len(numbers) or not numbers:
        raise errors.ArgumentError(
            f"{name}: argnums must name at least one argument and none twice, got {argnums!r}{errors.user_line()}."
        )
    return tuple(argnums) if isinstance(argnums, list) else argnums


def chosen(name: str, f: Callable, argnums: Any, args: tuple) -> tuple[Any, tuple[int, ...]]:
    """The differentiated part of the arguments (one, or a tuple for a tuple of argnums), and the positions."""
    if type(argnums) is int and 0 <= argnums < len(args):
        return args[argnums], (argnums,)
    positions = argnums if type(argnums) is tuple else (argnums,)
    found = []
    for k in positions:
        if not -len(args) <= k < len(args):
            raise errors.ArgumentError(
                f"{name}: argnums names argument {k}, but {name_of(f)} was called with {len(args)} positional "
                f"argument{'s' * (len(args) != 1)}{errors.user_line()}. Pass that argument by position."
            )
        found.append(args[k])
    positions = tuple(k % len(args) for k in positions)
    return (tuple(found) if type(argnums) is tuple else found[0]), positions


def restore(args: tuple, positions: tuple[int, ...], part: Any, argnums: Any) -> tuple:
    """The arguments with the differentiated part put back."""
    if type(argnums) is not tuple:
        (k,) = positions
        return (*args[:k], part, *args[k + 1 :]) if k else (part, *args[1:])
    new = list(args)
    for k, value in zip(positions, part, strict=True):
        new[k] = value
    return tuple(new)


_ndarray = np.ndarray
_FLOAT64 = np.dtype(np.float64)
_COUNTING = list(range(64))


def active(name: str, part: Any, argument: Any) -> tuple[list, Any, list[int]]:
    """(leaves, structure, positions of the leaves to differentiate).  Float and complex leaves are differentiated."""
    leaves, structure = tree.flatten(part)
    for leaf in leaves:
        if type(leaf) is not _ndarray or leaf.dtype is not _FLOAT64:
            break
    else:  # the common case, made lean
        if leaves:
            return leaves, structure, _COUNTING[: len(leaves)] if len(leaves) <= 64 else list(range(len(leaves)))
    indices = []
    for i, leaf in enumerate(leaves):
        if type(leaf) is np.ndarray or isinstance(leaf, Value | np.generic):
            kind = leaf.dtype.kind
            if kind == "f" or kind == "c":
                indices.append(i)
            elif kind == "O":
                raise errors.InputTypeError(
                    f"{name}: {_argument(argument)}{tree.paths(structure)[i]} is an array of dtype object{errors.user_line()}; "
                    "use a float array, or a list or dict of arrays (a tree)."
                )
        elif isinstance(leaf, float | complex):
            leaves[i] = np.array(leaf)[()]
            indices.append(i)
        elif isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fc":
            if not isinstance(leaf, np.memmap):
                raise errors.InputTypeError(
                    f"{name}: {_argument(argument)}{tree.paths(structure)[i]} is a {type(leaf).__name__}{errors.user_line()}, "
                    "whose operations differ from an array's; pass np.asarray(x), of a masked array x.filled() or x.data."
                )
            leaves[i] = np.asarray(leaf)
            indices.append(i)
    if not indices:
        shown = ", ".join(map(errors.describe, leaves[:4])) + ", ..." * (len(leaves) > 4)
        got = shown if len(leaves) == 1 else f"a tree with none ({shown or 'it is empty'})"
        raise errors.InputTypeError(
            f"{name}: {_argument(argument)} must be floating or complex, or hold such leaves, but it is {got}{errors.user_line()}. "
            "To differentiate with respect to it, pass it as a float: float(x), or x.astype(float)."
        )
    return leaves, structure, indices


def _argument(argument: Any) -> str:
    return argument if isinstance(argument, str) else f"argument {argument}"


def evaluate(f: Callable, args: tuple, kwargs: dict | None = None) -> Any:
    """f(*args, **kwargs).

    NumPy answers `buffer[0] = traced` with a ValueError of its own, caused by ours; ours is the one that helps.
    """
    try:
        return f(*args) if not kwargs else f(*args, **kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, errors.TracedConversionError):
            raise error.__cause__ from None
        raise


def output_leaves(name: str, f: Callable, out: Any) -> tuple[list, Any]:
    """Leaves and structure of what f returned; every leaf must be a number, an array of numbers, or None."""
    leaves, structure = tree.flatten(out)
    for i, leaf in enumerate(leaves):
        if leaf is None or (isinstance(leaf, Value | np.ndarray | np.generic) and leaf.dtype.kind in "fcbiu"):
            continue
        if isinstance(leaf, bool | int | float | complex):
            leaves[i] = np.array(leaf)[()]
            continue
        raise errors.OutputError(
            f"{name}: {name_of(f)} must return arrays (or trees of arrays), but at output{tree.paths(out)[i]} it returned "
            f"{errors.describe(leaf)}{errors.user_line()}. Return other results with has_aux=True."
        )
    return leaves, structure


def split_aux(name: str, f: Callable, result: Any) -> tuple[Any, Any]:
    """(value, aux) as returned by f under has_aux."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise errors.OutputError(
            f"{name}: with has_aux=True {name_of(f)} must return a pair (value, aux), but it returned {errors.describe(result)}"
            f"{errors.user_line()}."
        )
    return result


def scalar_output(name: str, f: Callable, out: Any, holomorphic: bool) -> Any:
    """The scalar that f returned, checked."""
    if isinstance(out, Value) and out.shape == () and out.dtype.kind == "f":
        return out
    if isinstance(out, bool | int | float | complex):
        out = np.array(out)[()]
    if not isinstance(out, Value | np.ndarray | np.generic):
        paths = tree.paths(out) if tree.structure(out) != tree.LEAF else []
        detail = f"a tree with leaves {', '.join(paths[:4])}" if paths else errors.describe(out)
        raise errors.OutputError(
            f"{name}: {name_of(f)} must return a scalar, but it returned {detail}{errors.user_line()}. "
            "Return one number (extras with has_aux=True), or use jacobian(f)."
        )
    if out.shape != ():
        raise errors.OutputError(
            f"{name}: {name_of(f)} must return a scalar, but it returned shape {out.shape}{errors.user_line()}. "
            "Reduce it (for instance with .sum()), or use jacobian(f)."
        )
    if out.dtype.kind == "c" and not holomorphic:
        raise errors.OutputError(
            f"{name}: {name_of(f)} must return a real scalar, but it returned {errors.describe(out)}{errors.user_line()}. "
            "Return its real part or modulus, pass holomorphic=True for a holomorphic function, or use jvp and vjp for C -> C maps."
        )
    return out


def same_tree(name: str, what: str, tangent: Any, primal_leaves: Sequence, structure: Any, primal_name: str) -> list:
    """The leaves of a tangent or cotangent, checked leaf by leaf against primals; None leaves stay None."""
    leaves, own = tree.flatten(tangent)
    if not tree.same(own, structure):
        problem = tree.difference(own, structure, what, primal_name)
        if problem is not None:
            raise errors.StructureError(f"{name}: {problem}{errors.user_line()}.")
        leaves = tree.leaves(tangent, like=structure)
    for i, (t, x) in enumerate(zip(leaves, primal_leaves, strict=True)):
        if t is None or isinstance(t, str):  # a leaf that is not differentiated
            continue
        shape = np.shape(t)
        if shape != np.shape(x):
            path = tree.paths(structure)[i]
            raise errors.StructureError(
                f"{name}: {what}{path} has shape {shape}, but {primal_name}{path} has shape {np.shape(x)}{errors.user_line()}. "
                f"Give the {what} the shape of its primal."
            )
        if np.result_type(t).kind == "c" and np.result_type(x).kind != "c":
            path = tree.paths(structure)[i]
            raise errors.StructureError(
                f"{name}: {what}{path} is complex, but {primal_name}{path} is {np.result_type(x)}{errors.user_line()}. "
                "Make the primal complex, or give a real tangent."
            )
    return leaves
