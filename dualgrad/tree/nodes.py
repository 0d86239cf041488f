"""What a node of a tree is, and how each type of node comes apart.

A **node** is a dict, list, tuple, namedtuple, OrderedDict, defaultdict, dataclass instance (frozen ones
too) or an instance of a type given to `register`. Everything else, `None` included, is a **leaf**: never
looked into, converted or compared, so it may be an array, a traced value or any object at all.

A subclass of a built-in container is a node of its own type if it keeps that container's `__new__` and
`__init__`, so that it can be rebuilt from its children (attributes beside them are not kept); otherwise,
and for a subclass of a registered type that is not registered itself, it is a leaf. A dataclass is rebuilt
field by field, without running `__init__` or `__post_init__`: every field is a child.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from dualgrad.errors import StructureError


def register(
    type: type,
    flatten: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten: Callable[[Any, list[Any]], Any],
) -> None:
    """Make instances of exactly this type nodes of trees.

    `flatten(node)` returns the children and a hashable, comparable `static` part.
    `unflatten(static, children)` is its inverse and must accept children of any kind.
    Raises StructureError for a type that is a node already.

    >>> from dualgrad import tree
    >>> class Line:
    ...     def __init__(self, slope, name):
    ...         self.slope, self.name = slope, name
    >>> register(Line, lambda line: ((line.slope,), line.name), lambda name, children: Line(*children, name))
    >>> tree.map(lambda x: 2 * x, Line(3.0, 'fit')).slope
    6.0
    """
    if type in _registered or type in _BUILT_IN:
        raise StructureError(f"register: {type.__qualname__} is a node already. Register each type once.")
    _registered.add(type)
    kinds[type] = _custom(type, flatten, unflatten)


@dataclass(frozen=True, slots=True)  # slots: reading a field of a NamedTuple takes twice as long
class Kind:
    """How the nodes of one type come apart, and what their parts are called."""

    type: type
    split: Callable[[Any], tuple[Any, Any]]  # node -> (children, static)
    join: Callable[[Any, list[Any]], Any]  # (static, children) -> node
    edges: Callable[[Any, int], list[str]]  # (static, number of children) -> the piece of path to each
    show: Callable[[Any, list[str]], str]  # (static, the children's notations) -> notation
    keyed: bool = False  # True: static is (extra, keys), and children correspond by key


def _mapping(cls: type) -> Kind:
    """dict, OrderedDict and, with its factory kept, defaultdict."""

    def show(static: Any, children: list[str]) -> str:
        items = ", ".join([f"{key!r}: {child}" for key, child in zip(static[1], children)])
        return f"{{{items}}}" if cls is dict else f"{cls.__qualname__}({{{items}}})"

    split: Callable[[Any], Any] = lambda node: (node.values(), (None, tuple(node)))
    join: Callable[[Any, Any], Any] = lambda static, children: cls(zip(static[1], children))
    if issubclass(cls, defaultdict):
        split = lambda node: (node.values(), (node.default_factory, tuple(node)))
        join = lambda static, children: cls(static[0], zip(static[1], children))
    return Kind(cls, split, join, lambda static, _: [f"[{key!r}]" for key in static[1]], show, keyed=True)


def _sequence(cls: type) -> Kind:
    """list and tuple."""

    def show(static: Any, children: list[str]) -> str:
        inside = ", ".join(children)
        if issubclass(cls, list):
            notation = f"[{inside}]"
        else:
            notation = f"({inside},)" if len(children) == 1 else f"({inside})"
        return notation if cls in (list, tuple) else f"{cls.__qualname__}({notation})"

    return Kind(cls, lambda node: (node, None), lambda _, children: cls(children), _indices, show)


def _record(cls: type, names: tuple[str, ...]) -> Kind:
    """Nodes whose children are named attributes: dataclasses and namedtuples."""

    def join(_: Any, children: list[Any]) -> Any:
        node: Any = object.__new__(cls)
        for name, child in zip(names, children):
            object.__setattr__(node, name, child)  # frozen ones too
        return node

    if issubclass(cls, tuple):
        join = lambda _, children: tuple.__new__(cls, children)

    def show(_: Any, children: list[str]) -> str:
        return f"{cls.__qualname__}({', '.join([f'{name}={child}' for name, child in zip(names, children)])})"

    return Kind(
        cls,
        lambda node: ([getattr(node, name) for name in names], None),
        join,
        lambda _, count: [f".{name}" for name in names],
        show,
    )


def _custom(cls: type, flatten: Callable[[Any], Any], unflatten: Callable[[Any, list[Any]], Any]) -> Kind:
    """A type given to `register`."""

    def split(node: Any) -> tuple[Any, Any]:
        children, static = flatten(node)
        return tuple(children), static

    def show(static: Any, children: list[str]) -> str:
        return f"{cls.__qualname__}({static!r}, [{', '.join(children)}])"

    return Kind(cls, split, unflatten, _indices, show)


def _indices(_: Any, count: int) -> list[str]:
    return [f"[{index}]" for index in range(count)]


_BUILT_IN: dict[type, Callable[[type], Kind]] = {
    dict: _mapping,
    OrderedDict: _mapping,
    defaultdict: _mapping,
    list: _sequence,
    tuple: _sequence,
}
_registered: set[type] = set()


class _Kinds(dict[type, Kind | None]):
    """The kind of each type met so far, None for leaves; one dict lookup on the hot path."""

    def __missing__(self, cls: type) -> Kind | None:
        kind = self[cls] = _kind_of(cls)
        return kind


def _kind_of(cls: type) -> Kind | None:
    """The kind of a type that is not registered."""
    if is_dataclass(cls):
        return _record(cls, tuple([field.name for field in fields(cls)]))
    if issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        return _record(cls, cls._fields)  # type: ignore[attr-defined]
    for base in cls.__mro__:
        if base in _BUILT_IN:
            rebuilds = cls.__new__ is base.__new__ and cls.__init__ is base.__init__  # type: ignore[misc]
            return _BUILT_IN[base](cls) if rebuilds else None
    return None


kinds = _Kinds()
