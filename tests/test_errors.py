"""Bad input is told what happened, where, what was got, and what to do: every message by its text."""

from __future__ import annotations

import inspect
import math
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import dualgrad
from dualgrad import (
    custom_jvp,
    derivative,
    errors,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vjp,
    vmap,
)

HERE = Path(__file__).name
X = np.array([0.3, -1.2])

REVERSE = {"grad": grad, "value_and_grad": value_and_grad, "hessian": hessian}
ALL = {
    **REVERSE,
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "jacobian": jacobian,
    "vjp": lambda f: lambda *args: vjp(f, *args),
    "jvp": lambda f: lambda *args: jvp(f, args, args),
    "linearize": lambda f: lambda *args: linearize(f, *args),
}


def told(run: Any, kind: type, *words: str) -> str:
    """The message of the error of that kind, which names this file and has these words in it."""
    with pytest.raises(kind) as caught:
        run()
    message = str(caught.value)
    assert isinstance(caught.value, errors.DualgradError) and isinstance(caught.value, TypeError | ValueError)
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    assert HERE in message, message
    return message


def test_every_error_is_a_type_error_or_a_value_error_of_this_library():
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(kind, errors.DualgradWarning) and kind.__doc__ for kind in classes if issubclass(kind, Warning))
    kinds = [kind for kind in classes if issubclass(kind, Exception) and not issubclass(kind, Warning)]
    assert len(kinds) > 8
    for kind in kinds:
        assert issubclass(kind, errors.DualgradError) and kind.__doc__
        assert kind is errors.DualgradError or issubclass(kind, TypeError | ValueError)


# ---- arguments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("argument", "got"),
    [
        (3, "3 (int)"),
        (np.arange(3), "int64[3]"),
        (True, "True"),
        (np.ones(2, bool), "bool[2]"),
        ([1, 2], "tree"),
        ({"n": 3, "s": "text"}, "tree"),
        ("text", "text"),
    ],
)
def test_an_integer_argument_names_the_cast(name, argument, got):
    told(lambda: ALL[name](lambda x: np.sum(x))(argument), errors.InputTypeError, got, "float(x)", ".astype(float)")


def test_an_integer_argument_is_named_by_its_number():
    told(lambda: grad(lambda x, n: x**n, argnums=1)(2.0, 3), errors.InputTypeError, "grad", "argument 1", "3 (int)")


@pytest.mark.parametrize("name", ALL)
def test_an_array_of_objects(name):
    told(lambda: ALL[name](lambda x: x)({"a": np.array([None, 1.0])}), errors.InputTypeError, "['a']", "dtype object")


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacfwd, jacrev, jacobian, hessian])
@pytest.mark.parametrize(("argnums", "words"), [(2, "argument 2"), (-3, "argument -3"), ((0, 2), "argument 2")])
def test_an_argument_that_was_not_given(transform, argnums, words):
    message = told(lambda: transform(_two, argnums=argnums)(X, X), errors.ArgumentError, words, "_two", "2 positional arguments")
    assert "by position" in message


def _two(x: Any, y: Any) -> Any:
    return np.sum(x * y)


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacfwd, jacrev, jacobian, hessian])
@pytest.mark.parametrize("argnums", ["0", 1.0, None, (0, 0), (), (0, "1"), True])
def test_argnums_that_are_no_positions(transform, argnums):
    told(lambda: transform(_two, argnums=argnums), errors.ArgumentError, "argnums")


@pytest.mark.parametrize("transform", [*ALL, "vmap", "derivative"])
def test_something_that_is_not_a_function(transform):
    call = {"vmap": vmap, "derivative": derivative, **ALL}[transform]
    told(lambda: call(3.0)(X), errors.ArgumentError, "must be a function", "3.0 (float)")


# ---- outputs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REVERSE)
def test_an_output_that_is_not_scalar(name):
    told(lambda: REVERSE[name](lambda x: x * 2.0)(X), errors.OutputError, "scalar", "shape (2,)", ".sum()", "jacobian")
    told(lambda: REVERSE[name](lambda x: np.sum(x, keepdims=True))(X), errors.OutputError, "shape (1,)")
    told(lambda: REVERSE[name](lambda x: {"loss": np.sum(x), "acc": 1.0})(X), errors.OutputError, "['loss']", "has_aux=True")
    told(lambda: REVERSE[name](lambda x: (np.sum(x), x))(X), errors.OutputError, "has_aux=True")
    told(lambda: REVERSE[name](lambda x: None)(X), errors.OutputError, "NoneType")
    told(lambda: REVERSE[name](lambda x: "text")(X), errors.OutputError, "text")
    told(lambda: REVERSE[name](lambda x: [])(X), errors.OutputError, "scalar")
    told(lambda: REVERSE[name](lambda x: np.sum(x) * 1j)(X), errors.OutputError, "complex128", "holomorphic=True", "real")


def test_the_name_of_the_function_is_in_the_message():
    def energy(x: Any) -> Any:
        return x

    told(lambda: grad(energy)(X), errors.OutputError, "grad", "energy")
    told(lambda: grad(np.sin)(X), errors.OutputError, "sin")


@pytest.mark.parametrize("name", [n for n in ALL if n not in REVERSE])
def test_an_output_that_is_no_array(name):
    told(lambda: ALL[name](lambda x: {"a": x, "b": ["text"]})(X), errors.OutputError, "['b'][0]", "text", "has_aux=True")


@pytest.mark.parametrize("call", [grad, value_and_grad, jacfwd, jacrev, jacobian])
def test_auxiliary_results_that_are_missing(call):
    told(lambda: call(lambda x: np.sum(x), has_aux=True)(X), errors.OutputError, "has_aux=True", "pair (value, aux)")
    told(lambda: call(lambda x: (np.sum(x), 1, 2), has_aux=True)(X), errors.OutputError, "pair (value, aux)")


# ---- tangents and cotangents --------------------------------------------------------------------------------------------


def test_a_tangent_tree_that_does_not_fit():
    f = lambda p: np.sum(p["w"]) + p["b"]
    p = {"w": X, "b": 1.0}
    told(lambda: jvp(f, (p,), ({"w": X},)), errors.StructureError, "jvp", "tangents", "b")
    told(lambda: jvp(f, (p,), ({"w": X, "c": 1.0},)), errors.StructureError, "jvp", "tangents")
    told(lambda: jvp(f, (p,), ({"w": X[:1], "b": 1.0},)), errors.StructureError, "tangents[0]['w']", "(1,)", "(2,)")
    told(lambda: jvp(f, (p,), ({"w": X, "b": np.ones(1)},)), errors.StructureError, "['b']", "(1,)", "()")
    told(lambda: jvp(f, (p,), (p, p)), errors.StructureError, "tangents")
    told(lambda: jvp(f, p, (p,)), errors.StructureError, "primals must be a tuple", "(primal,)")
    told(lambda: jvp(np.sin, (X,), X), errors.StructureError, "tangents must be a tuple", "(tangent,)")
    told(lambda: jvp(np.sin, (X,), (X * 1j,)), errors.StructureError, "complex", "float64")
    told(lambda: hvp(f, p, {"w": X}), errors.StructureError, "hvp")
    told(lambda: linearize(f, p)[1]({"w": X}), errors.StructureError, "linearize")


def test_a_cotangent_that_does_not_fit():
    _, pullback = vjp(lambda x: {"y": x * 2.0, "z": np.sum(x)}, X)
    told(lambda: pullback({"y": X}), errors.StructureError, "vjp", "cotangent")
    told(lambda: pullback({"y": X[:1], "z": 1.0}), errors.StructureError, "cotangent['y']", "(1,)", "(2,)")
    told(lambda: pullback(X), errors.StructureError, "cotangent")
    told(lambda: pullback({"y": X * 1j, "z": 1.0}), errors.StructureError, "complex")


# ---- conversions that would lose a derivative ---------------------------------------------------------------------------

CONVERSIONS = {
    "float": (lambda x: float(x[0]), ["float()", "np.sin for math.sin", "stop_gradient"]),
    "math.sin": (lambda x: math.sin(x[0]), ["float()", "np.sin for math.sin"]),
    "math.exp": (lambda x: math.exp(x[0]), ["math.*"]),
    "complex": (lambda x: complex(x[0]), ["complex()", "stop_gradient"]),
    "item": (lambda x: x[0].item(), [".item()", "stop_gradient"]),
    "tolist": (lambda x: x.tolist(), [".tolist()"]),
    "np.array": (lambda x: np.array(x), ["np.array", "traced value float64[2]", "np.stack"]),
    "np.asarray": (lambda x: np.asarray(x), ["np.asarray", "drop np.asarray"]),
    "np.array of a list": (lambda x: np.array([x[0], 1.0]), ["np.stack", "like=x", "dualgrad.numpy.array"]),
    "np.array with dtype": (lambda x: np.array(x, dtype=np.float32), ["np.array"]),
    "scipy.linalg": (lambda x: scipy.linalg.expm(np.stack([x, x])), ["scipy.linalg", "derivative would be lost"]),
}


def test_formatting_shows_the_primal():
    shown = []
    dualgrad.grad(lambda x: (shown.append(f"{x[0]:.3f} {np.sum(x):8.2e}"), np.sum(x * x))[1])(np.array([0.5, 1.0]))
    assert shown == ["0.500 1.50e+00"]


@pytest.mark.parametrize("mode", [grad, jacfwd], ids=["reverse", "forward"])
@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_conversion_that_would_lose_the_derivative(name, mode):
    f, words = CONVERSIONS[name]
    message = told(lambda: mode(lambda x: (f(x), np.sum(x))[1])(X), errors.TracedConversionError, *words)
    assert f":{f.__code__.co_firstlineno}" in message


def test_the_line_of_a_plain_buffer():
    def f(x: Any) -> Any:
        buffer = np.zeros(3)
        buffer[1] = x[0]
        return buffer

    message = told(lambda: grad(f)(X), errors.TracedConversionError, "np.zeros_like(x)", "np.zeros(shape, like=x)")
    assert f"{HERE}:{f.__code__.co_firstlineno + 2}" in message


# ---- functions and keywords ---------------------------------------------------------------------------------------------

UNSUPPORTED = {
    "np.histogram": lambda x: np.histogram(x),
    "np.poly": lambda x: np.poly(x),
    "np.roots": lambda x: np.roots(x),
    "np.add.reduceat": lambda x: np.add.reduceat(x, [0, 1]),
    "scipy.special.struve": lambda x: scipy.special.struve(0.5, x),
    "scipy.special.hyp2f1": lambda x: scipy.special.hyp2f1(1.0, 2.0, 3.0, x),
    "np.packbits": lambda x: np.packbits(x),
    "np.lib.stride_tricks": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2),
    "np.save": lambda x: x.dumps(),
    "ndarray.tobytes": lambda x: x.tobytes(),
    "ndarray.view": lambda x: x.view(np.int64),
    "ndarray.byteswap": lambda x: x.byteswap(),
}


@pytest.mark.parametrize("mode", [grad, jacfwd], ids=["reverse", "forward"])
@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_function_without_a_rule_is_named(name, mode):
    last = name.split(".")[-1] if name not in ("np.save", "np.add.reduceat", "np.lib.stride_tricks") else ""
    told(lambda: mode(lambda x: np.sum(UNSUPPORTED[name](x)))(X), errors.DualgradError, last, "not supported on traced values")


@pytest.mark.parametrize(
    ("call", "keyword"),
    [
        (lambda x: np.sin(x, casting="unsafe"), "casting"),
        (lambda x: np.sin(x, order="F"), "order"),
        (lambda x: np.add(x, x, subok=False), "subok"),
        (lambda x: np.matmul(np.stack([x, x]), np.stack([x, x]), axes=[(0, 1), (0, 1), (0, 1)]), "axes"),
        (lambda x: np.reshape(x, (2, 1), order="Z"), "order"),
    ],
)
def test_a_keyword_without_a_rule_is_named(call, keyword):
    for mode in (grad, jacfwd):
        told(
            lambda mode=mode: mode(lambda x: np.sum(call(x)))(X),
            errors.UnsupportedError,
            repr(keyword),
            "not supported on traced values",
        )


def test_every_numpy_function_is_right_or_raises_by_name():
    """No NumPy function that dispatches returns something silently untraced of a traced float array.

    Each is called with one traced vector or matrix, in turn; what comes back must be traced, be an answer about shapes, kinds or
    order, or be an error.
    """
    answers = re.compile(
        r"arg|shape|size|ndim|is|all|any|count|nonzero|where|sign|search|digit|result_type|can_cast|common_type|min_scalar|flatnonzero"
        r"|lexsort|floor|ceil|rint|trunc|round|around|fix|equal|array2string|array_repr|array_str|save|zeros|ones|empty|full|bit|indices"
        r"|diag_indices|tril_indices|triu_indices|mask_indices|ix_|in1d|may_share|shares|broadcast_shapes|einsum_path|iscomplex|isreal"
        r"|matrix_rank|imag|modf|divmod|copyto|put|place|fill_diagonal|histogram_bin|unravel|ravel_multi|typename|mintypecode|spacing|logical|printoptions|get_"
    )
    silent = []
    for function in (
        np.testing.overrides.get_overridable_numpy_array_functions() | np.testing.overrides.get_overridable_numpy_ufuncs()
    ):
        name = getattr(function, "__name__", str(function))
        if answers.search(name) or name in {
            "set_printoptions",
            "genfromtxt",
            "loadtxt",
            "fromfile",
            "savez",
            "savez_compressed",
            "savetxt",
        }:
            continue
        for start in (np.array([0.5, 0.25, 0.75]), np.array([[0.5, 0.25], [0.125, 0.75]])):
            for extra in range(3):

                def f(x: Any, function: Any = function, extra: int = extra, name: str = name) -> Any:
                    try:
                        with np.errstate(all="ignore"):
                            out = function(x, *[x] * extra)
                    except Exception:
                        return np.sum(x)
                    for y in out if isinstance(out, tuple | list) else [out]:
                        if isinstance(y, np.ndarray | np.generic) and y.dtype.kind in "fcO" and y.size:
                            silent.append(name)
                    return np.sum(x)

                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    grad(f)(start)
    assert not silent, f"these drop the derivative without a word: {sorted(set(silent))}"


# ---- Boolean and other answers stay answers -----------------------------------------------------------------------------


def test_decisions_look_at_the_primal():
    def f(x: Any) -> Any:
        assert x[0] > 0 and not x[1] > 0 and (x == x).all() and bool(x[0]) and len(x) == 2 and 0.3 in x
        assert isinstance(x > 0, np.ndarray) and (x > 0).dtype == bool
        return np.sum(x) if x[0] > x[1] else np.sum(x) * 100

    np.testing.assert_array_equal(grad(f)(X), [1, 1])
    np.testing.assert_array_equal(jacfwd(f)(X), [1, 1])


def test_a_traced_value_cannot_be_hashed_or_pickled():
    def f(x: Any) -> Any:
        with pytest.raises(TypeError, match="unhashable"):
            {x}
        with pytest.raises(errors.TracedConversionError, match="pickled"):
            pickle.dumps(x)
        return np.sum(x)

    grad(f)(X)


def test_public_names():
    promised = {
        "grad", "value_and_grad", "jvp", "vjp", "linearize", "jacfwd", "jacrev", "jacobian", "hessian", "hvp", "vmap", "derivative",
        "custom_jvp", "custom_vjp", "stop_gradient", "checkpoint", "Dual", "Tape", "tree", "check_grads", "debug_nans", "errors",
    }  # fmt: skip
    assert promised <= set(dualgrad.__all__)
    for name in ("flatten", "unflatten", "map", "leaves", "structure", "ravel", "register"):
        assert callable(getattr(dualgrad.tree, name))
    assert callable(custom_jvp(np.sin).defjvp)
