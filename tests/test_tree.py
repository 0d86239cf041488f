"""Laws of trees: apart and together are inverses, dicts correspond by key, leaves are never touched."""

import copy
import pickle
from collections import Counter, OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dualgrad import tree
from dualgrad.errors import StructureError

laws = settings(derandomize=True, deadline=None, max_examples=60)

Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Layer:
    weight: Any
    bias: Any


@dataclass(frozen=True, slots=True)
class Frozen:
    scale: Any
    name: Any = field(init=False, default="unset")


class Interval:
    """A user's own type, registered below."""

    def __init__(self, low, high, closed):
        self.low, self.high, self.closed = low, high, closed


tree.register(
    Interval, lambda i: ((i.low, i.high), i.closed), lambda closed, children: Interval(*children, closed)
)


class Untouchable:
    """A leaf that fails as soon as anything looks at it."""

    def __array__(self, *args, **kwargs):
        raise AssertionError("a leaf was converted")

    def __eq__(self, other):
        raise AssertionError("a leaf was compared")

    def __bool__(self):
        raise AssertionError("a leaf was tested")

    __hash__ = None  # type: ignore[assignment]


def frozen(scale, name):
    return tree.unflatten(tree.structure(Frozen(0)), [scale, name])


KEYS = st.one_of(st.text("abc", max_size=2), st.integers(0, 3), st.tuples(st.integers(0, 1)))


def nodes(children):
    """Every kind of node over the given children."""
    items = st.dictionaries(KEYS, children, max_size=3)
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        items,
        items.map(OrderedDict),
        items.map(lambda d: defaultdict(list, d)),
        st.builds(Pair, children, children),
        st.builds(Layer, children, children),
        st.builds(frozen, children, children),
        st.builds(Interval, children, children, st.booleans()),
    )


def trees(leaves):
    return st.recursive(leaves, nodes, max_leaves=8)


TREES = trees(st.one_of(st.integers(0, 9), st.text("xy", max_size=2), st.none(), st.floats(-4, 4)))
NUMBERS = trees(st.integers(0, 9))


def shuffled(value):
    """The same tree with the keys of every dict in reverse order."""
    if isinstance(value, dict):
        items = [(key, shuffled(value[key])) for key in reversed(value)]
        return (
            defaultdict(value.default_factory, items)
            if isinstance(value, defaultdict)
            else type(value)(items)
        )
    if isinstance(value, Pair):
        return Pair(*[shuffled(child) for child in value])
    if isinstance(value, list | tuple):
        return type(value)([shuffled(child) for child in value])
    if isinstance(value, Layer):
        return Layer(shuffled(value.weight), shuffled(value.bias))
    if isinstance(value, Frozen):
        return frozen(shuffled(value.scale), shuffled(value.name))
    if isinstance(value, Interval):
        return Interval(shuffled(value.low), shuffled(value.high), value.closed)
    return value


def same(a, b):
    """Are two trees the same, node types, leaf objects and order of keys included?"""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        factories = getattr(a, "default_factory", None), getattr(b, "default_factory", None)
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a) and factories[0] is factories[1]
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, Layer | Interval):
        return list(vars(a)) == list(vars(b)) and all(
            same(x, y) for x, y in zip(vars(a).values(), vars(b).values())
        )
    if isinstance(a, Frozen):
        return same(a.scale, b.scale) and same(a.name, b.name)
    return a is b or a == b


# Taking apart and putting together ------------------------------------------------------------------------


@laws
@given(TREES)
def test_unflatten_is_the_inverse_of_flatten(value):
    leaves, structure = tree.flatten(value)
    assert same(tree.unflatten(structure, leaves), value)
    assert structure.size == len(leaves)
    assert same(tree.leaves(value), leaves) and tree.structure(value) == structure


@laws
@given(NUMBERS, st.data())
def test_flatten_is_the_inverse_of_unflatten(value, data):
    structure = tree.structure(value)
    leaves = data.draw(st.lists(st.integers(), min_size=structure.size, max_size=structure.size))
    found, again = tree.flatten(tree.unflatten(structure, iter(leaves)))
    assert found == leaves and again == structure and again.exact == structure.exact


@pytest.mark.parametrize(
    "leaf",
    [
        None,
        1,
        1.5,
        "relu",
        np.ones(2),
        {1, 2},
        range(3),
        Counter("aab"),
        dict,
        Layer,
        Untouchable(),
        object(),
    ],
)
def test_everything_else_is_a_leaf(leaf):
    leaves, structure = tree.flatten(leaf)
    assert leaves[0] is leaf and len(leaves) == 1 and structure is tree.LEAF
    assert tree.unflatten(structure, leaves) is leaf


def test_leaves_are_never_converted_compared_or_tested():
    value = {"a": Untouchable(), "b": [Untouchable(), Untouchable()]}
    leaves, structure = tree.flatten(value)
    assert tree.unflatten(structure, leaves)["b"][1] is value["b"][1]
    assert tree.difference(value, shuffled(value)) is None
    tree.map(lambda x, y: (x, y), value, shuffled(value))
    vector, unravel = tree.ravel(value)
    assert vector.shape == (0,) and unravel(vector)["a"] is value["a"]


@pytest.mark.parametrize("count", [0, 1, 3, 4])
@pytest.mark.parametrize("value", [{"w": 0, "b": 0}, [0, {"w": 0}]])
def test_a_wrong_number_of_leaves_raises(value, count):
    with pytest.raises(StructureError, match=rf"has 2 leaves, but {count} were given"):
        tree.unflatten(tree.structure(value), range(count))


def test_a_deep_tree_is_no_problem():
    value = 0
    for _ in range(200):
        value = {"inner": [value]}
    assert tree.map(lambda x: x + 1, value) != value
    assert tree.paths(value) == ["['inner'][0]" * 200]


# Nodes that are not plain containers ----------------------------------------------------------------------


def test_a_dataclass_is_rebuilt_without_running_its_constructor():
    ran = []

    @dataclass(frozen=True)
    class Checked:
        rate: Any

        def __post_init__(self):
            ran.append(self.rate)

    doubled = tree.map(lambda x: 2 * x, Checked(3))
    assert doubled.rate == 6 and ran == [3]
    assert type(doubled) is Checked


def test_a_subclass_that_keeps_its_constructor_is_a_node_of_its_own_type():
    class Params(dict):
        def total(self):
            return sum(self.values())

    class Stack(list):
        pass

    result = tree.map(lambda x: x + 1, Params(a=1, b=Stack([2, 3])))
    assert type(result) is Params and type(result["b"]) is Stack and result == {"a": 2, "b": [3, 4]}


def test_a_subclass_with_a_constructor_of_its_own_is_a_leaf_until_registered():
    class Scaled(tuple):
        def __new__(cls, scale, *items):
            self = tuple.__new__(cls, items)
            self.scale = scale
            return self

    value = Scaled(2.0, 1, 2)
    assert tree.leaves(value)[0] is value
    tree.register(Scaled, lambda s: (tuple(s), s.scale), lambda scale, children: Scaled(scale, *children))
    doubled = tree.map(lambda x: 2 * x, value)
    assert doubled == (2, 4) and doubled.scale == 2.0
    assert tree.leaves(type("Child", (Scaled,), {})(1.0, 3)) != [3]  # a subclass is registered for itself


def test_a_type_is_registered_once():
    for taken in Interval, dict:
        with pytest.raises(StructureError, match="is a node already"):
            tree.register(taken, lambda node: ((), None), lambda static, children: None)


def test_defaultdict_keeps_its_factory():
    value = tree.map(lambda x: x, defaultdict(list, a=1))
    assert value["new"] == []


# Structures are values ------------------------------------------------------------------------------------


@laws
@given(TREES)
def test_structures_are_pickled_copied_and_hashed_as_values(value):
    structure = tree.structure(value)
    for other in (
        pickle.loads(pickle.dumps(structure)),
        copy.deepcopy(structure),
        tree.structure(shuffled(value)),
        tree.structure(tree.map(lambda x: object(), value)),
    ):
        assert other == structure and hash(other) == hash(structure)
        assert tree.difference(structure, other) is None
    again = pickle.loads(pickle.dumps(structure))
    assert same(tree.unflatten(again, tree.leaves(value)), value) and again.exact == structure.exact


@laws
@given(TREES, TREES)
def test_structures_are_equal_exactly_when_there_is_no_difference(a, b):
    a, b = tree.structure(a), tree.structure(b)
    assert (a == b) == (tree.difference(a, b) is None)
    assert (a == b) == (b == a) and (a != b) != (a == b)
    if a.exact == b.exact:
        assert a == b and repr(a) == repr(b)


def test_nodes_of_different_types_are_different_structures():
    values = [
        [1],
        (1,),
        {0: 1},
        OrderedDict({0: 1}),
        defaultdict(None, {0: 1}),
        defaultdict(list, {0: 1}),
        Frozen(1),
    ]
    values += [Interval(1, 2, True), Interval(1, 2, False), Pair(1, 2), Layer(1, 2), 1, [[1]], [], (), {}]
    structures = [tree.structure(value) for value in values]
    for i, a in enumerate(structures):
        for j, b in enumerate(structures):
            assert (a == b) == (i == j)
    assert len(set(structures)) == len(values)


def test_repr_reads_as_the_tree():
    value = {"layers": [(1, 2), Layer(1, (2,))], "rest": OrderedDict(a=None), 3: Interval(1, 2, True)}
    assert repr(tree.structure(value)) == (
        "Structure({'layers': [(*, *), Layer(weight=*, bias=(*,))], 'rest': OrderedDict({'a': *}), "
        "3: Interval(True, [*, *])})"
    )


# Mapping and alignment ------------------------------------------------------------------------------------


@laws
@given(NUMBERS)
def test_map_composes(value):
    f, g = lambda x: x + 3, lambda x: 2 * x
    assert same(tree.map(g, tree.map(f, value)), tree.map(lambda x: g(f(x)), value))
    assert same(tree.map(lambda x: x, value), value)


@laws
@given(NUMBERS)
def test_dicts_correspond_by_key_in_the_order_of_the_first(value):
    named = tree.unflatten(tree.structure(value), tree.paths(value))
    other = shuffled(named)
    assert same(tree.map(lambda a, b, c: (a == b == c) and a, named, other, named), named)
    assert tree.leaves(other, like=tree.structure(named)) == tree.leaves(named)
    assert same(tree.unflatten(tree.structure(value), tree.leaves(other, like=tree.structure(value))), named)


def test_none_passes_through_map_and_is_shown_to_f_from_the_others():
    calls = []
    value = tree.map(
        lambda *a: calls.append(a) or 1, {"a": None, "b": 2, "c": 3}, {"a": 5, "b": None, "c": 4}
    )
    assert value == {"a": None, "b": 1, "c": 1} and calls == [(2, None), (3, 4)]


@laws
@given(NUMBERS, NUMBERS)
def test_map_and_leaves_raise_exactly_when_structures_differ(a, b):
    reason = tree.difference(a, b)
    if reason is None:
        tree.map(lambda x, y: x, a, b)
    else:
        with pytest.raises(
            StructureError, match=r"map: at .*the first tree .*tree 2|map: at .*tree 2 .*the first tree"
        ):
            tree.map(lambda x, y: x, a, b)
        with pytest.raises(StructureError, match="leaves: at"):
            tree.leaves(b, like=tree.structure(a))


# Paths and differences ------------------------------------------------------------------------------------


@laws
@given(trees(st.integers(0, 9)).filter(lambda value: "Interval" not in repr(tree.structure(value))))
def test_a_path_is_the_python_expression_that_reaches_its_leaf(value):
    leaves, paths = tree.leaves(value), tree.paths(value)
    assert len(leaves) == len(paths) == len(set(paths))
    for leaf, path in zip(leaves, paths):
        assert eval("value" + path) is leaf


def test_paths_in_words():
    assert tree.paths({"layers": [Layer(1, Pair(2, 3))]}) == [
        "['layers'][0].weight",
        "['layers'][0].bias.left",
        "['layers'][0].bias.right",
    ]
    assert tree.paths(None) == [""] and tree.paths([]) == []
    assert tree.paths(Interval(1, 2, True)) == ["[0]", "[1]"]


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (1, [1], "at the root, x is a leaf and v is a list of 1"),
        ({"w": 1}, [1], "at the root, x is a dict with the keys 'w' and v is a list of 1"),
        (
            {"w": 1},
            OrderedDict(w=1),
            "at the root, x is a dict with the keys 'w' and v is an OrderedDict with the keys 'w'",
        ),
        ({}, (), "at the root, x is a dict of 0 and v is a tuple of 0"),
        ({"a": [1, {"w": 1, "b": 2}]}, {"a": [1, {"w": 1}]}, "at ['a'][1], x has the key 'b', which v lacks"),
        ({"a": [1, {"w": 1}]}, {"a": [1, {"w": 1, "b": 2}]}, "at ['a'][1], v has the key 'b', which x lacks"),
        ({"a": 1, "b": (1,)}, {"b": (1, 2), "a": 1}, "at ['b'], x is a tuple of 1 and v is a tuple of 2"),
        (Layer(1, None), Layer(1, [2]), "at .bias, x is a leaf and v is a list of 1"),
        (
            [Interval(1, 2, True)],
            [Interval(1, 2, False)],
            "at [0], x is an Interval with True and v is an Interval with False",
        ),
        (
            defaultdict(int, a=1),
            defaultdict(None, a=1),
            "at the root, x is a defaultdict with <class 'int'> and v is a defaultdict with None",
        ),
        (
            Pair(1, 2),
            namedtuple("Pair", "left right")(1, 2),
            "at the root, x is a Pair of 2 and v is a Pair of 2 of another class",
        ),
    ],
)
def test_a_difference_is_a_sentence(a, b, sentence):
    assert tree.difference(a, b, "x", "v") == sentence
    assert tree.difference(tree.structure(a), tree.structure(b), "x", "v") == sentence


# Vectors --------------------------------------------------------------------------------------------------

DTYPES = st.sampled_from(["f2", "f4", "f8", "g", "c8", "c16", "i4", "?"])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
ARRAYS = hnp.arrays(DTYPES, SHAPES, elements=st.integers(0, 1)).map(lambda a: a if a.ndim else a[()])
VALUES = trees(
    st.one_of(ARRAYS, st.floats(-4, 4), st.complex_numbers(max_magnitude=4), st.none(), st.just("relu"))
)


@laws
@given(VALUES)
def test_unravel_is_the_inverse_of_ravel(value):
    vector, unravel = tree.ravel(value)
    floating = [leaf for leaf in tree.leaves(value) if tree.is_differentiable(leaf)]
    assert vector.ndim == 1 and vector.size == sum(np.size(leaf) for leaf in floating)
    assert vector.dtype == np.result_type(*[np.asarray(leaf).dtype for leaf in floating] or [np.float64])
    again = pickle.loads(pickle.dumps(unravel))(vector)
    assert tree.structure(again).exact == tree.structure(value).exact
    for before, after in zip(tree.leaves(value), tree.leaves(again)):
        if tree.is_differentiable(before):
            assert np.shape(before) == np.shape(after) and np.asarray(before).dtype == after.dtype
            assert isinstance(after, np.ndarray) == isinstance(before, np.ndarray)
            np.testing.assert_array_equal(before, after)
        else:
            assert before is after or type(before) is type(after) is np.ndarray or before == after


def test_ravel_and_unravel_share_no_memory_with_what_they_are_given():
    x = np.ones(3)
    vector, unravel = tree.ravel([x])
    (y,) = unravel(vector)
    vector[:] = 7.0
    assert x.tolist() == y.tolist() == [1.0, 1.0, 1.0] and y.flags.owndata and y.flags.writeable


def test_real_leaves_beside_complex_ones_take_the_real_part():
    vector, unravel = tree.ravel({"a": np.array([1.0, 2.0]), "b": 3.0, "c": 1j})
    assert vector.dtype == np.complex128
    value = unravel(vector * (1 + 1j))
    assert value["a"].dtype == np.float64 and value["a"].tolist() == [1.0, 2.0]
    assert value["b"] == 3.0 and value["c"] == -1 + 1j


class Duck:
    """An array known only through NumPy's protocols, as traced values are: converting it is an error."""

    def __init__(self, value):
        self.value, self.shape, self.dtype = value, value.shape, value.dtype

    def __array__(self, *args, **kwargs):
        raise AssertionError("a traced leaf was converted")

    def __array_function__(self, function, types, args, kwargs):
        plain = [
            [a.value if isinstance(a, Duck) else a for a in arg] if type(arg) is list else arg for arg in args
        ]
        return Duck(function(*[a.value if isinstance(a, Duck) else a for a in plain], **kwargs))

    def __getitem__(self, index):
        return Duck(self.value[index])

    def astype(self, dtype):
        return Duck(self.value.astype(dtype))


def test_ravel_and_unravel_reach_traced_values_through_the_protocols_alone():
    vector, unravel = tree.ravel({"w": Duck(np.ones((2, 2), np.float32)), "b": 3.0, "n": 2})
    assert type(vector) is Duck and vector.value.tolist() == [1, 1, 1, 1, 3] and vector.dtype == np.float64
    value = unravel(vector)
    assert type(value["w"]) is type(value["b"]) is Duck and value["n"] == 2
    assert value["w"].shape == (2, 2) and value["w"].dtype == np.float32 and value["b"].shape == ()


@pytest.mark.parametrize("vector", [np.zeros(3), np.zeros((2, 1)), 1.0, [1.0, 2.0]])
def test_unravel_wants_a_vector_of_the_right_length(vector):
    _, unravel = tree.ravel((1.0, "tanh", 2.0))
    with pytest.raises(StructureError, match=r"unravel: expected a vector of shape \(2,\), but got"):
        unravel(vector)


def test_unravel_does_not_drop_an_imaginary_part_silently():
    _, unravel = tree.ravel([1.0, np.ones(2, np.float32)])
    with pytest.raises(StructureError, match=r"the tree is real \(float64\), but the vector is complex128"):
        unravel(np.ones(3, complex))
