"""What makes a value of an interpreter behave as an ndarray: NumPy's protocols, operators, attributes, methods.

`Traced` is the base of `Dual`, `Variable`, `Batched`.  NumPy hands every ufunc to `__array_ufunc__` and every other
function to `__array_function__`; both look the function up in the registry.  Operators call the same handlers directly
(NumPy's operator mixin costs about 1 us a call).  Comparisons and branches look at the primal; a conversion that would
lose a derivative raises and says what to write instead.
"""
from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from opcode import opmap
from types import FrameType
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.blackbox import open_box, permitted, permitted_call
from dualgrad.core.inplace import assign, is_immutable
from dualgrad.core.primitive import Primitive, Value
from dualgrad.core.registry import CREATORS, FUNCTIONS, KEYWORDS, METHODS, REDUCTIONS, UFUNCS, load_late_rules

_getframe = sys._getframe


class Traced(Value):
    """Base of all traced values; a subclass adds `specialize` and how it lifts a constant."""

    __slots__ = ()
    __array_priority__ = 1000.0
    ufuncs: dict[Any, Callable]  # ufunc -> handler(*args), of each subclass

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.ufuncs = _Handlers(cls)
    __hash__ = None  # type: ignore[assignment]

    # ---- what an interpreter provides -------------------------------------------------------------------------
    @classmethod
    def specialize(cls, primitive: Primitive) -> tuple[Callable, Callable]:
        """The two handlers of a primitive: fast(*args), and general(trace, args, static)."""
        raise NotImplementedError(f"{cls.__name__} does not interpret primitives")

    def lift(self, constant: Any) -> Traced:
        """A value of this value's trace that holds a constant (a buffer that may later receive traced elements)."""
        raise NotImplementedError(f"{type(self).__name__} does not hold constants")

    def parts(self) -> list[Any]:
        """The values one level down that this value is made of, primal first."""
        return [self.value]

    def components(self) -> list[Any]:
        """The plain arrays this value is made of, primal first."""
        return [array for part in self.parts() for array in components(part)]

    # ---- NumPy's protocols ------------------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        fast = self.ufuncs[ufunc]
        if method == "__call__":
            if kwargs:
                return _ufunc_with_keywords(ufunc, UFUNCS[ufunc], inputs, kwargs)
            if len(inputs) == 2:  # a call with a tuple of arguments takes longer
                x, y = inputs
                result = fast(x, y)
            else:
                result = fast(self) if len(inputs) == 1 else fast(*inputs)
            if type(result) is type(self) or isinstance(result, Value):  # `located`, without the call
                frame = _getframe(1)
                result.code = frame.f_code
                result.instruction = frame.f_lasti
            return result
        front = REDUCTIONS.get((ufunc, method))
        if front is None:
            raise errors.unsupported(ufunc, f"its method {method!r} has no derivative rule")
        out = kwargs.pop("out", None)
        _check_keywords(ufunc, kwargs, front)
        result = front(*inputs, **kwargs)
        return result if out is None else assign(out[0] if isinstance(out, tuple) else out, result, f"{ufunc.__name__}.{method}")

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        if open_box.get() is not None and (plain := permitted_call(function, args, kwargs)) is not NotImplemented:
            return plain
        front = FUNCTIONS.get(function)
        if front is None:
            if function in CREATORS:
                return CREATORS[function](self, *args, **kwargs)
            load_late_rules()
            front = FUNCTIONS.get(function)
            if front is None:
                raise errors.unsupported(function)
        out = None
        if kwargs:
            known = KEYWORDS[function]
            if "out" in kwargs and (known is None or "out" not in known):
                kwargs = dict(kwargs)
                out = kwargs.pop("out")
            if known is not None and not known.issuperset(kwargs):
                raise errors.unknown_keyword(function, next(k for k in kwargs if k not in known))
        result = front(*args, **kwargs) if kwargs else front(*args)
        if isinstance(result, Value):
            frame = _getframe(1)
            result.code, result.instruction = frame.f_code, frame.f_lasti
        return result if out is None else assign(out, result, errors.name_of(function))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        primal = permitted(self)
        if primal is None:
            raise _conversion_error(self)
        return np.asarray(primal, dtype)

    def __float__(self) -> float:
        primal = permitted(self)
        if primal is None:
            raise _conversion_error(self, "float()")
        return float(primal)

    def __complex__(self) -> complex:
        primal = permitted(self)
        if primal is None:
            raise _conversion_error(self, "complex()")
        return complex(primal)

    def item(self, *args: Any) -> Any:
        primal = permitted(self)
        if primal is None:
            raise _conversion_error(self, ".item()")
        return primal.item(*args)

    def tolist(self) -> Any:
        primal = permitted(self)
        if primal is None:
            raise _conversion_error(self, ".tolist()")
        return primal.tolist()

    # ---- decisions look at the primal -------------------------------------------------------------------------
    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)

    def __floor__(self) -> int:
        return int(np.floor(self.value))

    def __ceil__(self) -> int:
        return int(np.ceil(self.value))

    __trunc__ = __int__

    def __round__(self, digits: int | None = None) -> Any:
        return np.round(self, digits or 0)

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).any())

    # ---- shape and dtype --------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def T(self) -> Any:
        return METHODS["transpose"](self)

    @property
    def mT(self) -> Any:
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return np.real(self)

    @real.setter
    def real(self, part: Any) -> None:
        assign(self, part + 1j * np.imag(self) if self.dtype.kind == "c" else part, "real")

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @imag.setter
    def imag(self, part: Any) -> None:
        assign(self, np.real(self) + 1j * part, "imag")

    # ---- indexing ---------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __getitem__(self, index: Any) -> Any:
        return located(METHODS["__getitem__"](self, index), _getframe(1))

    def __setitem__(self, index: Any, values: Any) -> None:
        METHODS["__setitem__"](self, index, values)

    def __format__(self, spec: str) -> str:
        """What is printed is the primal: f"{loss:.3f}" is no computation."""
        return format(self.value, spec) if spec else str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({errors.describe(self)}, {self.value!r})"

    def __reduce__(self) -> Any:
        raise errors.TracedConversionError("a traced value cannot be pickled: it belongs to a transform that is still running.")

    def __deepcopy__(self, memo: dict) -> Any:
        return METHODS["copy"](self)

    __copy__ = __deepcopy__


class UnsupportedAttribute(errors.UnsupportedError, AttributeError):
    """An ndarray attribute without a derivative rule (an AttributeError too, so that hasattr answers)."""


def located(result: Any, frame: FrameType) -> Any:
    """Note in a traced result where it was made, for the message should it escape."""
    if isinstance(result, Value):
        result.code, result.instruction = frame.f_code, frame.f_lasti
    return result


def escaped(*values: Any) -> errors.EscapedTraceError:
    """The error for the first of these values whose transform has ended, with the line where it was made."""
    value = next(v for v in values if isinstance(v, Value) and not v.owner.alive)
    code = getattr(value, "code", None)
    made = f", made at {errors.line_of(code, value.instruction)}," if code is not None else ""
    return errors.EscapedTraceError(
        f"a traced value {errors.describe(value)}{made} was used{errors.user_line()} after its transform "
        f"({value.owner.label}) had returned. Return it from the function (has_aux=True for extras) instead of storing it outside, "
        "or store stop_gradient(value)."
    )


def components(value: Any) -> list[Any]:
    """The plain arrays a value is made of."""
    return value.components() if isinstance(value, Traced) else [value]


def _method(name: str, front: Callable) -> Callable:
    """The method of a traced array that calls a front function."""

    def method(self, *args, **kwargs):
        out = kwargs.pop("out", None)
        if kwargs:
            _check_keywords(f"ndarray.{name}", kwargs, front)
        result = located(front(self, *args, **kwargs), _getframe(1))
        return result if out is None else assign(out, result, f"ndarray.{name}")

    method.__name__ = name
    return method


def _unsupported_attribute(name: str) -> property:
    def get(self):
        raise UnsupportedAttribute(
            f"ndarray.{name} is not supported on traced values{errors.user_line()}: "
            "write it with a NumPy function that has a derivative rule."
        )

    return property(get)


def _check_keywords(function: Any, kwargs: dict, front: Callable) -> None:
    known = KEYWORDS.get(front, ())
    if known == ():
        code = front.__code__
        known = None if code.co_flags & 8 else frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        KEYWORDS[front] = known
    if known is not None:
        for keyword in kwargs:
            if keyword not in known:
                raise errors.unknown_keyword(function, keyword)


def _ufunc_with_keywords(ufunc: Any, entry: Any, inputs: tuple, kwargs: dict) -> Any:
    """A ufunc call with where=, out=, dtype=: the plain call, then a selection and an assignment."""
    if open_box.get() is not None and (plain := permitted_call(ufunc, inputs, kwargs)) is not NotImplemented:
        return plain
    kwargs = dict(kwargs)
    out, mask, dtype = kwargs.pop("out", None), kwargs.pop("where", True), kwargs.pop("dtype", None)
    for keyword, neutral in (("casting", "same_kind"), ("order", "K"), ("subok", True)):
        if keyword in kwargs and kwargs.pop(keyword) != neutral:
            raise errors.unknown_keyword(ufunc, keyword)
    if dtype is not None:
        inputs = tuple(x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype) for x in inputs)
    if isinstance(entry, Primitive) or not kwargs:
        if kwargs:
            raise errors.unknown_keyword(ufunc, next(iter(kwargs)))
    else:
        _check_keywords(ufunc, kwargs, entry.function)
    outs = (None,) * ufunc.nout if out is None else out if isinstance(out, tuple) else (out,)
    if mask is True:
        result = entry(*inputs, **kwargs)
    else:
        with np.errstate(all="ignore"):  # the elements that are masked out are computed too, and dropped
            result = entry(*inputs, **kwargs)
    results = result if isinstance(result, tuple) else (result,)
    finished = []
    for value, target in zip(results, outs, strict=True):
        if mask is not True:
            value = np.where(mask, value, 0 if target is None else target)
        finished.append(value if target is None else assign(target, value, ufunc.__name__))
    return tuple(finished) if isinstance(result, tuple) else finished[0]


class _Handlers(dict):
    """ufunc -> its handler for the values of one class, looked up on first use."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __missing__(self, ufunc: Any) -> Callable:
        if ufunc not in UFUNCS:
            load_late_rules()
            if ufunc not in UFUNCS:
                raise errors.unsupported(ufunc)
        self[ufunc] = UFUNCS[ufunc].fast[self.cls]
        return self[ufunc]


# ---- operators ------------------------------------------------------------------------------------------------
_BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "matmul": np.matmul, "divmod": np.divmod,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift,
}  # fmt: skip
_COMPARISONS = {
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
_UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}


def install_operators() -> None:
    """Give `Traced` its operators and methods, and its subclasses their handlers as operators; called once all is declared.

    All are attributes of the class: a `__getattr__` would make every access to a slot ten times slower, and an operator that is
    the handler itself saves a call.
    """
    for name, front in METHODS.items():
        if not name.startswith("__"):
            setattr(Traced, name, _method(name, front))
    for name in dir(np.ndarray):
        if not name.startswith("__") and not hasattr(Traced, name):
            setattr(Traced, name, _unsupported_attribute(name))
    for cls in Traced.__subclasses__():
        cls.ufuncs.clear()
    for name, ufunc in (_BINARY | _COMPARISONS | _UNARY).items():
        fast = UFUNCS[ufunc].fast
        for cls in Traced.__subclasses__():
            setattr(cls, f"__{name}__", _operator(cls, name, fast))
        if name in _BINARY:
            setattr(Traced, f"__r{name}__", _reflected(fast))
            if name != "divmod":
                setattr(Traced, f"__i{name}__", _inplace(fast, name))


def _operator(cls: type, name: str, fast: dict) -> Callable:
    """An operator that makes its handler, and gives it its place, when it is first used: making all of them would add 12 ms to
    `import dualgrad`."""

    def method(*operands):
        handler = getattr(fast[cls], "operator", fast[cls])
        setattr(cls, f"__{name}__", handler)
        return located(handler(*operands), _getframe(1))

    return method


def _reflected(fast: dict) -> Callable:
    def method(self, other):
        return located(fast[type(self)](other, self), _getframe(1))

    return method


def _inplace(fast: dict, name: str) -> Callable:
    def method(self, other):
        result = located(fast[type(self)](self, other), _getframe(1))
        return result if is_immutable(self) else assign(self, result, f"__i{name}__")

    return method


# ---- conversions that would lose a derivative -----------------------------------------------------------------
def _conversion_error(value: Traced, conversion: str | None = None) -> errors.TracedConversionError:
    """Say which call of the user's wanted a plain value, and what to write instead."""
    frame, library = sys._getframe(2), None
    while frame is not None and errors.is_library_code(frame.f_code):
        library, frame = frame, frame.f_back  # type: ignore[assignment]
    what = errors.describe(value)
    if frame is not None and frame.f_code.co_code[frame.f_lasti] == opmap["STORE_SUBSCR"]:
        return errors.TracedConversionError(
            f"a traced value {what} was assigned into a plain NumPy buffer{errors.user_line()}, which cannot carry its "
            "derivative. Make the buffer with np.zeros_like(x) or np.zeros(shape, like=x), where x is traced."
        )
    if library is not None and not library.f_globals.get("__name__", "").startswith("dualgrad"):
        module = library.f_globals.get("__name__", "")
        name = f"{'np' if module.startswith('numpy') else module}.{library.f_code.co_name}"
        return errors.TracedConversionError(
            f"{name} was given a traced value {what}, alone or in a list{errors.user_line()}, and wanted a plain array: "
            "its derivative would be lost. Join a list with np.stack([...]) first; else use a supported NumPy function, "
            "or the drop-in of this one in dualgrad.numpy or dualgrad.scipy."
        )
    if conversion == "float()":
        return errors.TracedConversionError(
            f"float() of a traced value {what}{errors.user_line()} would lose its derivative. Leave float() out; "
            "for a math.* function use NumPy's (np.sin for math.sin); to drop the derivative on purpose, use stop_gradient."
        )
    if conversion is not None:
        return errors.TracedConversionError(
            f"{conversion} of a traced value {what}{errors.user_line()} would lose its derivative. Leave it out; "
            "to drop the derivative on purpose, use stop_gradient."
        )
    return errors.TracedConversionError(
        f"np.array or np.asarray of a traced value {what}, or a list of them given to a NumPy function{errors.user_line()}, "
        "would lose its derivative. Use np.stack([...]), np.array([...], like=x) with x traced, or dualgrad.numpy.array; "
        "drop np.asarray, traced values are arrays already."
    )
