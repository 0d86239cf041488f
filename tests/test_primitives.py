"""Every primitive, one harness: what is asked of each row of the table, whatever function it holds.

    value        a traced value has NumPy's result, shape and dtype
    forward      J v is the derivative along v of plain NumPy (complex step, or central differences)
    adjoint      <w, J v> = <J^H w, v>, with Re<a, b>, whichever operands are differentiated
    order two    <w, D^2 f [u, v]> is the same in all four nestings of the modes, and that of plain NumPy
    one sweep    jacfwd and jacrev are the same J, column by column and row by row
    mapped       vmap(f) is the loop over f, also of its derivatives and under them
    precision    float16, float32 and long double stay what they are, on the way as well as at the end

All inputs are read-only, warnings are errors, seeds are the names of the rows.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from cases import CASES
from reference import directional, second
from table.case import Case

from dualgrad import jacfwd, jacrev, jvp, vjp, vmap
from dualgrad.core import primitive as core
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import FUNCTIONS, METHODS, PRIMITIVES, REDUCTIONS, UFUNCS
from dualgrad.core.traced import install_operators

DECLARED = tuple(PRIMITIVES)


def rows(wanted: Callable[[Case], bool] = lambda row: True) -> Any:
    """Parametrize a law over the rows it holds for."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in CASES if wanted(row)])


# ---- what a row is to a law -------------------------------------------------------------------------------------------


class Point:
    """The function of a row, restricted to the operands to be differentiated: tuple of arrays -> tuple of arrays."""

    def __init__(self, row: Case, positions: tuple[int, ...], dtype: Any = None) -> None:
        self.args = tuple(_read_only(a if dtype is None else _cast(a, dtype)) for a in row.args)
        self.f, self.positions = row.f, positions
        self.xs = tuple(self.args[k] for k in positions)
        self.rng = np.random.default_rng(zlib.crc32(row.name.encode()))

    def __call__(self, *xs: Any) -> tuple[Any, ...]:
        """The float and complex outputs."""
        return tuple(y for y in self.all(*xs) if y.dtype.kind in "fc")

    def all(self, *xs: Any) -> tuple[Any, ...]:
        """All outputs that are arrays."""
        args = list(self.args)
        for k, x in zip(self.positions, xs, strict=True):
            args[k] = x
        return tuple(_leaves(self.f(*args)))

    def random(self, like: Any) -> tuple[Any, ...]:
        """Random arrays of the shapes and dtypes of these, of size one."""
        return tuple(_read_only(_random(self.rng, y)) for y in like)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, Value | np.ndarray | np.generic):
        yield value
    elif isinstance(value, bool | int | float | complex):
        yield np.array(value)[()]


def _random(rng: np.random.Generator, like: Any) -> Any:
    x = rng.uniform(-1, 1, np.shape(like))
    if like.dtype.kind == "c":
        x = x + 1j * rng.uniform(-1, 1, np.shape(like))
    return np.asarray(x, like.dtype)[()]


def _read_only(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        x = x.copy()
        x.setflags(write=False)
    return x


def _cast(x: Any, real: Any) -> Any:
    if not _floating(x):
        return x
    return x.astype(real if x.dtype.kind == "f" else np.result_type(real, np.complex64))


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"


def operands(row: Case) -> tuple[int, ...]:
    """The positions of the differentiable operands."""
    return tuple(k for k, x in enumerate(row.args) if _floating(x))


def points(row: Case) -> Iterator[Point]:
    """All operands at once, and each with the others constant: every pattern of dispatch."""
    every = operands(row)
    yield Point(row, every)
    if len(every) > 1:
        yield from (Point(row, (k,)) for k in every)


def inner(a: Any, b: Any) -> float:
    """Re<a, b>, summed over the entries of a tuple."""
    return float(sum(np.real(np.sum(np.conjugate(x) * y)) for x, y in zip(a, b, strict=True)))


def largest(arrays: Any) -> float:
    """The largest finite modulus, at least 1."""
    found = [np.abs(y)[np.isfinite(y)] for y in map(np.asarray, arrays)]
    return max([1.0, *(float(y.max()) for y in found if y.size)])


def assert_agree(got: Any, wanted: Any, tolerance: float, what: str) -> None:
    """Two tuples of arrays agree in shape and dtype, and in value to a fraction of their largest entry."""
    assert len(got) == len(wanted), what
    scale = largest(wanted)
    for g, w in zip(got, wanted, strict=True):
        assert np.shape(g) == np.shape(w), f"{what}: shape {np.shape(g)}, not {np.shape(w)}"
        assert g.dtype.kind == w.dtype.kind, f"{what}: {g.dtype}, not {w.dtype}"
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * scale, err_msg=what)


# ---- the laws ---------------------------------------------------------------------------------------------------------


@rows()
def test_a_traced_value_has_the_value_of_numpy(row):
    for point in points(row):
        wanted = Point.all(point, *point.xs)
        tangents = point.random(point.xs)
        spied: list[Any] = []

        def spy(*xs: Any, point: Point = point, spied: list[Any] = spied) -> Any:
            spied[:] = point.all(*xs)
            return spied

        for mode, run in (
            ("forward", lambda spy=spy, point=point, tangents=tangents: jvp(spy, point.xs, tangents)[0]),
            ("reverse", lambda spy=spy, point=point: vjp(spy, *point.xs)[0]),
        ):
            got = run()
            assert len(got) == len(wanted)
            for g, traced, w in zip(got, spied, wanted, strict=True):
                assert traced.dtype == g.dtype == w.dtype, f"{mode}: {traced.dtype} and {g.dtype}, not {w.dtype}"
                assert traced.shape == np.shape(g) == np.shape(w), f"{mode}: shape {np.shape(g)}, not {np.shape(w)}"
                np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-13 * largest(wanted), err_msg=mode)


@rows(operands)
def test_the_pushforward_is_the_derivative_of_plain_numpy(row):
    for point in points(row):
        complex_operand = any(x.dtype.kind == "c" for x in point.xs)
        direction = point.random(point.xs)
        for v in (direction, [1j * t for t in direction]) if all(x.dtype.kind == "c" for x in point.xs) else (direction,):
            wanted, error = directional(point, point.xs, v, row.analytic and not complex_operand)
            got = jvp(point, point.xs, tuple(v))[1]
            assert error <= 1e-5 * largest(wanted), f"plain NumPy is not smooth here: {error}"
            assert_agree(
                got, wanted, 3e-13 + 1e-9 * (not row.analytic or complex_operand) + 4 * error, f"operands {point.positions}"
            )


@rows(operands)
def test_the_pullback_is_the_adjoint_of_the_pushforward(row):
    for point in points(row):
        out, pullback = vjp(point, *point.xs)
        if not out:
            continue
        v, w = point.random(point.xs), point.random(out)
        pushed, pulled = jvp(point, point.xs, v)[1], pullback(w)
        for g, x in zip(pulled, point.xs, strict=True):
            assert np.shape(g) == np.shape(x) and g.dtype == x.dtype, f"gradient {g.dtype}{np.shape(g)} of {x.dtype}{np.shape(x)}"
        assert_owned(pulled, [*point.args, *w])
        left, right = inner(w, pushed), inner(pulled, v)
        assert left == pytest.approx(right, rel=1e-11, abs=1e-12 * largest([*pushed, *pulled])), f"operands {point.positions}"
        assert_agree(pullback(w), pulled, 0.0, "the pullback called again")


def assert_owned(gradients: Any, others: Any) -> None:
    """Gradients are writeable and share memory with nothing."""
    gradients = [g for g in gradients if isinstance(g, np.ndarray)]
    assert all(g.flags.writeable for g in gradients)
    others = [x for x in others if isinstance(x, np.ndarray)]
    assert not any(np.shares_memory(g, x) for g in gradients for x in others)
    assert not any(np.shares_memory(a, b) for a, b in combinations(gradients, 2))


@rows(lambda row: operands(row) and row.order >= 2)
def test_the_second_derivative_is_the_same_in_all_four_nestings(row):
    for point in points(row):
        out = point(*point.xs)
        if not out:
            continue
        u, v, w = point.random(point.xs), point.random(point.xs), point.random(out)
        wanted, error = second(point, point.xs, u, v, row.analytic)
        assert error <= 1e-3 * largest(wanted), f"plain NumPy is not twice smooth here: {error}"

        def pushed(*xs: Any, point: Point = point, v: Any = v) -> Any:
            return jvp(point, xs, v)[1]

        def pulled(*xs: Any, point: Point = point, w: Any = w) -> Any:
            return vjp(point, *xs)[1](w)

        directly = jvp(pushed, point.xs, u)[1]
        assert_agree(directly, wanted, 1e-7 + 4 * error, f"forward over forward, operands {point.positions}")
        number = inner(w, directly)
        scale = largest([*directly, *pulled(*point.xs)])
        for nesting, found in {
            "forward over reverse": inner(jvp(pulled, point.xs, u)[1], v),
            "reverse over forward": inner(vjp(pushed, *point.xs)[1](w), u),
            "reverse over reverse": inner(vjp(pulled, *point.xs)[1](v), u),
        }.items():
            assert found == pytest.approx(number, rel=1e-10, abs=1e-11 * scale), f"{nesting}, operands {point.positions}"


@rows(lambda row: len(operands(row)) > 1 and row.order >= 2)
def test_a_mixed_derivative_by_two_operands_of_two_traces(row):
    """The inner transform differentiates one operand, the outer another, so that the traces of both meet."""
    first, last = operands(row)[0], operands(row)[-1]
    for inside, outside in ((first, last), (last, first)):
        point = Point(row, (inside, outside))
        a, b = point.xs
        out = point(a, b)
        if not out:
            continue
        (v, u), w = point.random((a, b)), point.random(out)
        directly = jvp(lambda b: jvp(lambda a: point(a, b), (a,), (v,))[1], (b,), (u,))[1]  # noqa: B023
        zero_v, zero_u = np.zeros_like(v), np.zeros_like(u)
        wanted, error = second(point, (a, b), (zero_v, u), (v, zero_u), row.analytic)
        assert_agree(directly, wanted, 1e-7 + 4 * error, f"operand {inside} inside {outside}")
        number = inner(w, directly)
        pushed = lambda b: jvp(lambda a: point(a, b), (a,), (v,))[1]  # noqa: B023
        pulled = lambda b: vjp(lambda a: point(a, b), a)[1](w)  # noqa: B023
        scale = largest([*directly, *pulled(b)])
        for nesting, found in {
            "forward over reverse": inner(jvp(pulled, (b,), (u,))[1], (v,)),
            "reverse over forward": inner(vjp(pushed, b)[1](w), (u,)),
            "reverse over reverse": inner(vjp(pulled, b)[1]((v,)), (u,)),
        }.items():
            assert found == pytest.approx(number, rel=1e-10, abs=1e-11 * scale), f"{nesting}, operand {inside} inside {outside}"


@rows(lambda row: operands(row) and row.mapped)
def test_mapped_is_the_loop(row):
    for point in points(row):
        stacks = tuple(np.stack([x, *(x + 1e-3 * t for (t,) in (point.random((x,)) for _ in range(2)))]) for x in point.xs)
        if any(np.isnan(x).any() for x in stacks):
            continue
        axes = tuple(k % s.ndim for k, s in enumerate(stacks))
        moved = [np.moveaxis(s, 0, axis) for s, axis in zip(stacks, axes, strict=True)]
        wanted = _loop(point.all, stacks)
        assert_agree(vmap(point.all, in_axes=axes)(*moved), wanted, 1e-12, f"operands {point.positions}")

        tangents = tuple(np.stack(t) for t in zip(*(point.random(point.xs) for _ in range(3)), strict=True))
        push = lambda xs, v, point=point: jvp(point, xs, v)[1]
        directly = _loop(push, (stacks, tangents))
        if not directly:
            continue
        assert_agree(vmap(push)(stacks, tangents), directly, 1e-11, f"vmap of jvp, operands {point.positions}")
        assert_agree(jvp(vmap(point), stacks, tangents)[1], directly, 1e-11, f"jvp of vmap, operands {point.positions}")

        cotangents = point.random(directly)
        pull = lambda xs, w, point=point: vjp(point, *xs)[1](w)
        directly = _loop(pull, (stacks, cotangents))
        assert_agree(vmap(pull)(stacks, cotangents), directly, 1e-11, f"vmap of vjp, operands {point.positions}")
        assert_agree(vjp(vmap(point), *stacks)[1](cotangents), directly, 1e-11, f"vjp of vmap, operands {point.positions}")


def _loop(f: Callable, stacks: Any) -> tuple[Any, ...]:
    """f applied to every instance of (trees of) stacked arrays, and stacked."""
    instance = lambda part, i: tuple(instance(p, i) for p in part) if isinstance(part, tuple) else part[i]
    count = len(stacks[0][0] if isinstance(stacks[0], tuple) else stacks[0])
    outs = [f(*instance(stacks, i)) for i in range(count)]
    return tuple(np.stack(column) for column in zip(*outs, strict=True))


@rows(lambda row: operands(row) and row.mapped)
def test_jacobians_in_one_sweep_are_the_directional_derivatives(row):
    """A sweep over a basis carries structural zeros along and maps every rule: other code than a single direction takes."""
    point = Point(row, operands(row))
    out, pullback = vjp(point, *point.xs)
    if not out or any(x.dtype.kind == "c" for x in point.xs) or sum(np.size(x) for x in (*out, *point.xs)) > 120:
        pytest.skip("complex operands, or large")
    every = tuple(range(len(point.xs)))
    v, w = point.random(point.xs), point.random(out)
    pushed, pulled = jvp(point, point.xs, v)[1], pullback(w)
    for transform in (jacfwd, jacrev):
        blocks = transform(point, argnums=every)(*point.xs)
        assert all(
            b.shape == np.shape(y) + np.shape(x)
            for y, bs in zip(out, blocks, strict=True)
            for x, b in zip(point.xs, bs, strict=True)
        )
        products = [sum(np.tensordot(b, t, np.ndim(t)) for b, t in zip(bs, v, strict=True)) for bs in blocks]
        assert_agree(products, pushed, 1e-10, f"{transform.__name__} times a tangent")
        columns = zip(*blocks, strict=True)
        parts = [sum(_transposed(b, y) for b, y in zip(bs, w, strict=True)) for bs in columns]
        assert_agree(parts, pulled, 1e-10, f"a cotangent times {transform.__name__}")


def _transposed(block: Any, y: Any) -> Any:
    """Re J^H y for one block J of shape y.shape + x.shape."""
    return np.real(np.tensordot(np.conjugate(block), y, (range(np.ndim(y)),) * 2))[()]


# ---- precision --------------------------------------------------------------------------------------------------------

_cotangent_dtypes: list[Any] = []


def _note_cotangent(g: Any, _z: Any, _x: Any) -> Any:
    _cotangent_dtypes.append(g.dtype)
    return g


_probe = Primitive("probe", lambda x: x, "opaque", jvp=lambda t, _z, _x: t, vjp=_note_cotangent, register=False)


def _probed(point: Point) -> Callable:
    return lambda *xs: point(*(_probe(x) for x in xs))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble], ids=["float16", "float32", "longdouble"])
@rows(lambda row: operands(row) and row.float32)
def test_a_precision_stays_what_it_is(row, dtype):
    if dtype is np.float16 and any(x.dtype.kind == "c" for x in map(np.asarray, row.args)):
        pytest.skip("NumPy has no complex numbers of this precision")
    for point in (Point(row, each.positions, dtype) for each in points(row)):
        try:
            with np.errstate(all="ignore"):
                plain = point(*point.xs)
        except (TypeError, np.linalg.LinAlgError):
            if dtype is np.float32:
                raise
            continue  # NumPy's own function does not know this precision
        if not plain:
            continue
        v, w = point.random(point.xs), point.random(plain)
        met: list[Any] = []

        def spy(*xs: Any, point: Point = point, met: list[Any] = met) -> Any:
            out = point(*xs)
            met[:] = [(y.dtype, y.tangent.dtype) for y in out if isinstance(y, Value) and y.tangent is not None]
            return out

        with np.errstate(all="ignore"):
            values, pushed = jvp(spy, point.xs, v)
            _cotangent_dtypes.clear()
            pulled = vjp(_probed(point), *point.xs)[1](w)
        assert [y.dtype for y in values] == [y.dtype for y in plain]
        assert [y.dtype for y in pushed] == [y.dtype for y in plain]
        wider = [(value, tangent) for value, tangent in met if tangent.itemsize > value.itemsize]
        assert not wider, f"the tangent of a {wider[0][0]} is {wider[0][1]}, operands {point.positions}"
        assert [g.dtype for g in pulled] == [x.dtype for x in point.xs]
        if all(y.dtype == _cast(y, dtype).dtype and (dtype is not np.float16 or y.dtype.kind == "f") for y in plain):
            wider = [d for d in _cotangent_dtypes if d.itemsize > max(x.dtype.itemsize for x in point.xs)]
            assert not wider, f"a cotangent of {np.dtype(dtype)} is {wider[0]} on its way, operands {point.positions}"
        if dtype is np.float32:
            wide = Point(row, point.positions)
            wide.args = tuple(_cast(a, np.float64) for a in point.args)
            xs = tuple(_cast(x, np.float64) for x in point.xs)
            exact = jvp(wide, xs, tuple(_cast(t, np.float64) for t in v))[1]
            assert_agree(pushed, exact, 1e-3, "float32 against float64, forward")
            exact = vjp(wide, *xs)[1](tuple(_cast(y, np.float64) for y in w))
            assert_agree(pulled, exact, 1e-3, "float32 against float64, reverse")


# ---- the table is complete --------------------------------------------------------------------------------------------


def test_every_row_has_a_name_of_its_own():
    assert not [name for name, count in Counter(row.name for row in CASES).items() if count > 1]


@pytest.fixture(scope="module")
def exercised() -> tuple[set[int], set[Any]]:
    """(ids of the primitives bound on traced values, code objects run) when every row is pulled back twice and mapped."""
    bound: set[int] = set()
    codes: set[Any] = set()

    def instrument(primitive: Any, fast: Callable, general: Callable) -> tuple[Callable, Callable]:
        bound.add(id(primitive))
        return fast, general

    core.clear_handlers()
    install_operators()
    core.instrument = instrument
    sys.setprofile(lambda frame, event, arg: codes.add(frame.f_code) if event == "call" else None)
    try:
        for row in CASES:
            point = Point(row, operands(row))

            def pulled(xs: Any, cotangents: Any, point: Point = point) -> Any:
                return vjp(point, *xs)[1](cotangents)

            vjp(pulled, point.xs, tuple(np.zeros_like(y) for y in point(*point.xs)))
            if row.mapped and point.xs:
                vmap(point.all)(*(np.stack([x, x]) for x in point.xs))
    finally:
        sys.setprofile(None)
        core.instrument = None
        core.clear_handlers()
        install_operators()
    return bound, codes


def test_every_primitive_has_a_row(exercised):
    bound, _ = exercised
    missing = sorted({p.name for p in DECLARED if id(p) not in bound})
    assert not missing, f"primitives that no row of the table reaches: {missing}"


def test_every_front_function_has_a_row(exercised):
    _, codes = exercised
    fronts = {**FUNCTIONS, **METHODS, **REDUCTIONS, **{u: f.function for u, f in UFUNCS.items() if not isinstance(f, Primitive)}}
    missing = sorted(
        str(getattr(name, "__name__", name))
        for name, front in fronts.items()
        if getattr(front, "__code__", None) is not None and front.__code__ not in codes
    )
    assert not missing, f"supported functions that no row of the table calls: {missing}"
