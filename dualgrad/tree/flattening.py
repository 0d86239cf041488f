"""Taking trees apart, putting them together, and comparing what they are made of.

    unflatten(structure, leaves) = tree        where  leaves, structure = flatten(tree)

Leaves come from left to right. Dicts keep their insertion order, and two dicts with the same keys are one
structure whatever the order: equality goes by key, and `map` and `leaves(tree, like=...)` align by key.
Leaves that were not aligned fit an equal structure only if its order is equal too, which is what `.exact`
compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, islice
from typing import Any

from dualgrad.errors import StructureError
from dualgrad.tree.nodes import Kind, kinds


class Structure:
    """What is left of a tree without its leaves: a hashable, comparable, picklable value.

    >>> structure({'w': [1.0, 2.0], 'b': None})
    Structure({'w': [*, *], 'b': *})
    >>> structure({'w': 1, 'b': 2}) == structure({'b': 3, 'w': 4})
    True
    """

    __slots__ = ("_exact", "_hash", "children", "flat", "kind", "size", "static")

    _exact: Any
    _hash: int

    def __init__(
        self, kind: Any, static: Any, children: tuple[Structure, ...], size: int, flat: bool
    ) -> None:
        self.kind = kind  # a Kind; None for the leaf
        self.static = static
        self.children = children
        self.size = size  # the number of leaves
        self.flat = flat  # a node all of whose children are leaves

    @property
    def exact(self) -> Any:
        """A hashable key that tells apart what `==` does not: the order of the keys of dicts.

        >>> structure({'w': 1, 'b': 2}).exact == structure({'b': 1, 'w': 2}).exact
        False
        """
        try:
            return self._exact
        except AttributeError:
            self._exact = (self.kind.type, self.static, tuple([child.exact for child in self.children]))
            return self._exact

    def _by_key(self) -> tuple[Any, ...]:
        """What equality compares: the children of a dict by key, of everything else by position."""
        if self.kind.keyed:
            extra, keys = self.static
            return self.kind.type, extra, dict(zip(keys, self.children))
        return self.kind.type, self.static, self.children

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Structure):
            return NotImplemented
        if self is LEAF or other is LEAF:
            return False
        return same(self, other) or self._by_key() == other._by_key()

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            cls, static, children = self._by_key()
            self._hash = hash((cls, static, frozenset(children.items()) if self.kind.keyed else children))
            return self._hash

    def __repr__(self) -> str:
        return f"Structure({_show(self)})"

    def __reduce__(self) -> Any:
        if self is LEAF:
            return "LEAF"  # the one leaf stays the one leaf
        return _restore, (self.kind.type, self.static, self.children)


def same(a: Structure, b: Structure) -> bool:
    """Are two structures equal, the order of the keys of dicts included?"""
    if a is b:
        return True
    if a.kind is not b.kind or a.size != b.size or len(a.children) != len(b.children) or a.static != b.static:
        return False
    return (a.flat and b.flat) or all([same(one, other) for one, other in zip(a.children, b.children)])


#: The structure of a single leaf; there is only one.
LEAF = Structure(None, None, (), 1, False)
LEAF._exact, LEAF._hash = None, hash("dualgrad.tree.LEAF")


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree from left to right, and its structure.

    >>> flatten({'w': (1.0, 2.0), 'b': None})
    ([1.0, 2.0, None], Structure({'w': (*, *), 'b': *}))
    >>> flatten('anything else')
    (['anything else'], Structure(*))
    """
    kind = kinds[type(tree)]
    if kind is None:
        return [tree], LEAF
    found: list[Any] = []
    return found, _take_apart(kind, tree, found)


def _take_apart(kind: Kind, node: Any, found: list[Any]) -> Structure:
    """The structure of a node; its leaves are appended to `found`."""
    values, static = kind.split(node)
    for value in values:
        if kinds[type(value)] is not None:
            break
    else:  # the common case: nothing but leaves, in one go
        found.extend(values)
        return Structure(kind, static, (LEAF,) * len(values), len(values), True)
    start = len(found)
    children = []
    for value in values:
        inner = kinds[type(value)]
        if inner is None:
            found.append(value)
            children.append(LEAF)
        else:
            children.append(_take_apart(inner, value, found))
    return Structure(kind, static, tuple(children), len(found) - start, False)


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree with this structure and these leaves; the inverse of `flatten`.

    Raises StructureError when there are too few leaves or too many.

    >>> unflatten(structure({'w': (0, 0), 'b': 0}), [1.0, 2.0, None])
    {'w': (1.0, 2.0), 'b': None}
    """
    values = list(leaves)
    if len(values) != structure.size:
        raise StructureError(
            f"unflatten: {structure} has {structure.size} leaves, but {len(values)} were given. "
            f"Give one value for each leaf."
        )
    if structure.flat:
        return structure.kind.join(structure.static, values)
    return values[0] if structure is LEAF else _put_together(structure, iter(values))


def _put_together(structure: Structure, remaining: Iterator[Any]) -> Any:
    """The node with this structure, its leaves taken from `remaining`."""
    children = structure.children
    if structure.flat:
        values = list(islice(remaining, len(children)))
    else:
        values = [next(remaining) if child is LEAF else _put_together(child, remaining) for child in children]
    return structure.kind.join(structure.static, values)


def structure(tree: Any) -> Structure:
    """The structure of a tree.

    >>> structure([1.0, {'a': 2.0}])
    Structure([*, {'a': *}])
    """
    return flatten(tree)[1]


def leaves(tree: Any, like: Structure | None = None) -> list[Any]:
    """The leaves of a tree from left to right; with `like`, in the order that this equal structure has.

    Raises StructureError when the structure of the tree is not equal to `like`.

    >>> leaves({'w': 1.0, 'b': 2.0})
    [1.0, 2.0]
    >>> leaves({'w': 1.0, 'b': 2.0}, like=structure({'b': 0, 'w': 0}))
    [2.0, 1.0]
    """
    found, own = flatten(tree)
    if like is None or same(own, like):
        return found
    reason = difference(like, own, "the structure asked for", "the tree")
    if reason is not None:
        raise StructureError(f"leaves: {reason}. Give a tree of the structure {like}.")
    return [found[index] for index in _positions(like, own, 0)]


def _positions(like: Structure, own: Structure, start: int) -> list[int]:
    """For each leaf of `like`, its index in `own`, an equal structure whose leaves begin at `start`."""
    if like is LEAF:
        return [start]
    starts = list(accumulate([child.size for child in own.children], initial=start))
    places: Iterable[int] = range(len(own.children))
    if like.kind.keyed:
        place_of = {key: place for place, key in enumerate(own.static[1])}
        places = [place_of[key] for key in like.static[1]]
    return [
        index
        for child, place in zip(like.children, places)
        for index in _positions(child, own.children[place], starts[place])
    ]


def map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree with f(leaf, *corresponding leaves of rest) for each leaf; dicts correspond by key.

    The result has the structure of the first tree, the order of its keys included. A `None` in the first tree
    passes through: it stays None and f is not called. A `None` in `rest` is given to f.
    Raises StructureError when the structures differ.

    >>> map(lambda w, g: w - g, {'w': 5, 'b': [2, None]}, {'b': [1, 1], 'w': 3})
    {'w': 2, 'b': [1, None]}
    """
    first, own = flatten(tree)
    columns = [first]
    for number, other in enumerate(rest, start=2):
        found, theirs = flatten(other)
        if not same(theirs, own):
            reason = difference(own, theirs, "the first tree", f"tree {number}")
            if reason is not None:
                raise StructureError(f"map: {reason}. Give map trees of one structure.")
            found = [found[index] for index in _positions(own, theirs, 0)]
        columns.append(found)
    return unflatten(own, [None if column[0] is None else f(*column) for column in zip(*columns)])


def paths(tree: Any) -> list[str]:
    """The way to each leaf of a tree (or Structure), written as Python would go it; aligned with `leaves`.

    >>> paths({'layers': [(1.0, 2.0)], 'scale': 3.0})
    ["['layers'][0][0]", "['layers'][0][1]", "['scale']"]
    >>> paths(1.0)
    ['']
    """
    found: list[str] = []
    _append_paths(tree if isinstance(tree, Structure) else structure(tree), "", found)
    return found


def _append_paths(structure: Structure, prefix: str, found: list[str]) -> None:
    if structure is LEAF:
        found.append(prefix)
        return
    edges = structure.kind.edges(structure.static, len(structure.children))
    for edge, child in zip(edges, structure.children):
        _append_paths(child, prefix + edge, found)


def difference(a: Any, b: Any, first: str = "the first", second: str = "the second") -> str | None:
    """Where and how the structures of two trees (or two Structures) first differ; None if they are equal.

    >>> difference({'w': [1, 2]}, {'w': [1, 2, 3]}, 'x', 'v')
    "at ['w'], x is a list of 2 and v is a list of 3"
    >>> difference({'w': 1}, {'w': 1, 'b': 2})
    "at the root, the second has the key 'b', which the first lacks"
    """
    a = a if isinstance(a, Structure) else structure(a)
    b = b if isinstance(b, Structure) else structure(b)
    return None if a == b else _difference(a, b, "", first, second)


def _difference(a: Structure, b: Structure, path: str, first: str, second: str) -> str:
    """The sentence for two structures known to differ at or below `path`."""
    where = f"at {path or 'the root'}"
    if a is LEAF or b is LEAF or a.kind.type is not b.kind.type:
        one, other = _noun(a), _noun(b)
        other += " of another class" if one == other else ""
        return f"{where}, {first} is {one} and {second} is {other}"
    mates: dict[Any, Structure] | tuple[Structure, ...] = b.children
    names: Iterable[Any] = range(len(a.children))
    extras = a.static, b.static
    if a.kind.keyed:
        (extra_a, names), (extra_b, keys_b) = a.static, b.static
        extras, mates = (extra_a, extra_b), dict(zip(keys_b, b.children))
        for owner, keys, lacking, others in (first, names, second, keys_b), (second, keys_b, first, names):
            for key in keys:
                if key not in others:
                    return f"{where}, {owner} has the key {key!r}, which {lacking} lacks"
    if len(a.children) != len(b.children):
        return f"{where}, {first} is {_noun(a)} and {second} is {_noun(b)}"
    if extras[0] != extras[1]:
        name = _name(a)
        return f"{where}, {first} is {name} with {extras[0]!r} and {second} is {name} with {extras[1]!r}"
    edges = a.kind.edges(a.static, len(a.children))
    return next(
        _difference(child, mates[name], path + edge, first, second)
        for name, edge, child in zip(names, edges, a.children)
        if child != mates[name]
    )


def _noun(structure: Structure) -> str:
    """What a structure is, for an error: `a leaf`, `a dict with the keys 'w', 'b'`, `a list of 3`."""
    if structure is LEAF:
        return "a leaf"
    name = _name(structure)
    if structure.kind.keyed and structure.children:
        return f"{name} with the keys {', '.join([repr(key) for key in structure.static[1]])}"
    return f"{name} of {len(structure.children)}"


def _name(structure: Structure) -> str:
    """`a dict`, `an OrderedDict`."""
    name = structure.kind.type.__qualname__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def _show(structure: Structure) -> str:
    if structure is LEAF:
        return "*"
    return structure.kind.show(structure.static, [_show(child) for child in structure.children])


def _restore(cls: type, static: Any, children: tuple[Structure, ...]) -> Structure:
    """A structure from its pickle."""
    kind = kinds[cls]
    if kind is None:
        raise StructureError(f"unpickling: {cls.__qualname__} is no node here. Call register for it first.")
    size = sum([child.size for child in children])
    return Structure(kind, static, children, size, all([child is LEAF for child in children]))
