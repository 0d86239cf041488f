"""Sorting and its kin: ties follow the stable permutation in both modes, under vmap too; the order itself has no derivative."""
import numpy as np
import pytest

from dualgrad import errors, grad, jacfwd, jacrev, jvp, vmap

A, nan = np.array, np.nan
BOTH = pytest.mark.parametrize("jacobian", [jacfwd, jacrev], ids=["forward", "reverse"])






@BOTH
@pytest.mark.parametrize(
    ("f", "x", "order"),
    [
        (np.sort, [1.0, 1.0, 0.0], [2, 0, 1]),
        (np.sort, [nan, 0.0, 1.0], [1, 2, 0]),
        (lambda x: np.sort(x, kind="heapsort"), [2.0, 1.0, 2.0, 1.0], [1, 3, 0, 2]),
        (lambda x: np.partition(x, 1), [1.0, 1.0, 1.0, 0.0], [3, 0, 1, 2]),
        (lambda x: np.unique(x), [2.0, 1.0, 2.0, 1.0], [1, 0]),
    ],
)
def test_ties_follow_the_stable_permutation(jacobian, f, x, order):
    wanted = np.eye(len(x))[order]
    np.testing.assert_array_equal(jacobian(f)(A(x)), wanted)
    np.testing.assert_array_equal(vmap(jacobian(f))(A([x, x])), [wanted, wanted]) if f is np.sort else None


@BOTH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_elements_sorted_away_keep_their_infinite_slopes_to_themselves(jacobian):
    np.testing.assert_array_equal(jacobian(lambda x: np.sort(np.sqrt(x))[1:])(A([4.0, 0.0, 1.0])), [[0, 0, 0.5], [0.25, 0, 0]])


@pytest.mark.parametrize("method", ["sort", "partition"])
def test_sorting_in_place_writes_through_views(method):
    def f(x):
        y = x * 1.0
        getattr(y[1:], method)(*(() if method == "sort" else (1,)))
        return np.sum(y * np.arange(4.0))

    assert grad(f)(A([9.0, 3.0, 1.0, 2.0])).tolist() == [0, 3, 1, 2]


def test_partition_gives_what_numpy_gives():
    rng = np.random.default_rng(0)
    for n in (5, 17, 100, 1000):
        x = rng.integers(0, n // 2, (3, n)).astype(float)
        kth = (n // 3, n // 2)
        value, tangent = jvp(lambda x, kth=kth: np.partition(x, kth, axis=1), (x,), (x,))
        np.testing.assert_array_equal(value, np.partition(x, kth, axis=1))
        np.testing.assert_array_equal(tangent, value)


def test_positions_and_searches_are_plain_integers():
    def f(x):
        found = [np.argmax(x), x.argmin(), np.searchsorted(x, 2.5), np.count_nonzero(x), x.argsort()[0]]
        assert all(isinstance(k, np.integer) for k in found)
        return sum(x[k] for k in found[:2]) + np.searchsorted([0.0, 1.0], x).sum()

    assert grad(f)(A([1.0, 2.0, 3.0])).tolist() == [1, 0, 1]


def test_searches_may_be_mapped_over_values_and_table():
    values, tables = A([[0.1, 0.6], [0.7, 0.3]]), A([[0.0, 0.5, 1.0], [0.2, 0.4, 0.6]])
    for f in (lambda v, t: np.searchsorted(t, v), lambda v, t: np.digitize(v, t)):
        np.testing.assert_array_equal(vmap(f)(values, tables), [f(v, t) for v, t in zip(values, tables, strict=True)])
        np.testing.assert_array_equal(vmap(f, in_axes=(0, None))(values, tables[0]), [f(v, tables[0]) for v in values])
        np.testing.assert_array_equal(vmap(f, in_axes=(None, 0))(values[0], tables), [f(values[0], t) for t in tables])


def test_what_is_not_supported_says_so():
    x = A([2.0, 1.0])
    with pytest.raises(errors.UnsupportedError, match=r"np\.sort: the keyword 'order' is not supported"):
        grad(lambda x: np.sort(x, order="f").sum())(x)
    with pytest.raises(errors.UnsupportedError, match=r"np\.sort_complex is not supported"):
        grad(lambda x: np.sort_complex(x).sum())(x)
    with pytest.raises(ValueError, match="sort kind must be one of"):
        grad(lambda x: np.sort(x, kind="bogo").sum())(x)
    with pytest.raises(errors.TracedConversionError, match="would decide a shape or an order"):
        vmap(np.unique)(A([x, x]))
    with pytest.raises(ValueError, match="All-NaN slice encountered"):
        grad(lambda x: x[np.nanargmax(x * nan)])(x)
