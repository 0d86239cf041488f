"""Functions with a derivative given by the user, in one half: `custom_jvp`, `custom_vjp`; and `stop_gradient`.

Each call becomes one primitive application over the float and complex leaves of the arguments, so a custom function works in
every transform: the missing half is the transpose of the given one, and under vmap the rule itself is mapped.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad import errors, tree
from dualgrad.core.primitive import Primitive, Value, bind
from dualgrad.rules.elementwise import without_derivative
from dualgrad.transforms.arguments import name_of
from dualgrad.transforms.vectorize import vmap


def stop_gradient(x: Any) -> Any:
    """x itself, as a constant: no derivative of any order passes through.  Trees are mapped leaf by leaf.

    >>> from dualgrad.transforms.pullback import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return tree.map(lambda leaf: without_derivative(leaf) if isinstance(leaf, Value | np.ndarray) else leaf, x)


class _Custom:
    """A function with a derivative rule: checks, and one primitive application per call."""

    _rules: tuple[Any, ...] = ()
    _define = ""

    def __init__(self, f: Callable) -> None:
        if not callable(f):
            raise errors.ArgumentError(
                f"{type(self).__name__}: the argument must be a function, not {errors.describe(f)}{errors.user_line()}."
            )
        functools.update_wrapper(self, f)
        self.f = f

    def __reduce__(self) -> str:
        return self.f.__qualname__  # pickled by name, as a function is

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten(args)
        if not any(isinstance(leaf, Value) for leaf in leaves):
            return self.f(*args, **kwargs)
        if not self._rules:
            raise errors.CustomRuleError(
                f"{type(self).__name__}: {name_of(self.f)} was differentiated{errors.user_line()}, but no rule was given: "
                f"call {self._define}."
            )
        indices = [i for i, leaf in enumerate(leaves) if tree.is_differentiable(leaf)]
        operands = tuple(leaves[i] if hasattr(leaves[i], "dtype") else np.array(leaves[i])[()] for i in indices)
        newest = max((x.owner for x in leaves if isinstance(x, Value)), key=lambda trace: trace.serial)
        call = _Call(self, leaves, structure, indices, kwargs, newest)
        outs = bind(self._primitive(call), operands, {})
        return tree.unflatten(call.out_structure, list(outs))

    def _primitive(self, call: _Call) -> Primitive:
        raise NotImplementedError


class _Call:
    """One call of a custom function: how its operands sit in the argument trees."""

    def __init__(self, custom: _Custom, leaves: list, structure: Any, indices: list[int], kwargs: dict, trace: Any) -> None:
        self.custom, self.kwargs, self.top = custom, kwargs, trace
        self.leaves, self.structure, self.indices = leaves, structure, indices
        self.out_structure: Any = None

    @property
    def name(self) -> str:
        return name_of(self.custom.f)

    def arguments(self, operands: tuple) -> tuple:
        """The argument trees with these operands."""
        full = list(self.leaves)
        for i, x in zip(self.indices, operands, strict=True):
            full[i] = x
        return tree.unflatten(self.structure, full)

    def outputs(self, out: Any) -> tuple:
        """The leaves of an output, whose structure is noted."""
        leaves, self.out_structure = tree.flatten(out)
        for leaf in leaves:
            if isinstance(leaf, Value) and leaf.owner is self.top:
                raise errors.CustomRuleError(
                    f"{type(self.custom).__name__}: {self.name} uses a traced value that is not among its arguments"
                    f"{errors.user_line()}; its derivative would be lost. Pass it as an argument."
                )
        return tuple(leaf if hasattr(leaf, "dtype") else np.array(leaf)[()] for leaf in leaves)

    def function(self, *operands: Any) -> tuple:
        return self.outputs(self.custom.f(*self.arguments(operands), **self.kwargs))

    def check(self, rule: str, what: str, got: Any, structure: Any, avals: list) -> list:
        """Leaves of what a rule returned, checked against the leaves it belongs to."""
        problem = tree.difference(got, structure, f"the {what}", "the function")
        if problem is not None:
            raise errors.CustomRuleError(f"{rule} of {self.name}: {problem}{errors.user_line()}.")
        leaves = tree.leaves(got, like=structure)
        for i, (leaf, like) in enumerate(zip(leaves, avals, strict=True)):
            if leaf is None or like is None:
                continue
            if np.shape(leaf) != np.shape(like):
                path = tree.paths(structure)[i]
                raise errors.CustomRuleError(
                    f"{rule} of {self.name}: the {what}{path} has shape {np.shape(leaf)}, but must have shape {np.shape(like)} "
                    f"(that of the value it belongs to){errors.user_line()}."
                )
            if np.result_type(leaf).kind == "c" and np.result_type(like).kind != "c":
                raise errors.CustomRuleError(
                    f"{rule} of {self.name}: the {what}{tree.paths(structure)[i]} is complex, but belongs to a real value"
                    f"{errors.user_line()}; return its real part."
                )
        return leaves


def _opaque(name: str, function: Callable, **halves: Any) -> Primitive:
    return Primitive(name, function, "opaque", multiple=True, register=False, keeps=None, **halves)


def _like(leaf: Any) -> Any:
    return np.zeros(np.shape(leaf), np.result_type(leaf))[()]


class custom_jvp(_Custom):
    """A function with its own pushforward; the pullback is its transpose.

    `f.defjvp(rule)`, with rule(primals, tangents) -> (out, tangent), both arguments tuples with one entry per argument of f, and
    the tangent linear in tangents.  Leaves that are not float or complex have tangent None.  Works in both modes, at any order.

    >>> from dualgrad.transforms.pullback import grad
    >>> @custom_jvp
    ... def log1pexp(x):
    ...     return np.logaddexp(0.0, x)
    >>> rule = log1pexp.defjvp(lambda primals, tangents: (log1pexp(*primals), tangents[0] / (1.0 + np.exp(-primals[0]))))
    >>> grad(log1pexp)(1000.0)
    np.float64(1.0)
    """

    _define = "defjvp(rule), with rule(primals, tangents) -> (out, tangent)"

    def defjvp(self, rule: Callable) -> Callable:
        """Give the pushforward; returns the rule, so that it can be used as a decorator."""
        if not callable(rule):
            raise errors.CustomRuleError(f"custom_jvp: {self._define}; got {errors.describe(rule)}{errors.user_line()}.")
        self._rules = (rule,)
        return rule

    def _primitive(self, call: _Call) -> Primitive:
        (rule,) = self._rules

        def jvp(tangents: Any, out: tuple, *primals: Any) -> tuple:
            tangents = tangents if isinstance(tangents, tuple) else (tangents,)
            full: list[Any] = [None] * len(call.leaves)
            for i, t, x in zip(call.indices, tangents, primals, strict=True):
                full[i] = _like(x) if t is None else t
            result = rule(call.arguments(primals), tree.unflatten(call.structure, full), **call.kwargs)
            if not isinstance(result, tuple) or len(result) != 2:
                raise errors.CustomRuleError(
                    f"defjvp of {call.name}: the rule must return a pair (out, tangent), "
                    f"not {errors.describe(result)}{errors.user_line()}."
                )
            likes = [y if y.dtype.kind in "fc" else None for y in out]
            pushed = call.check("defjvp", "tangent", result[1], call.out_structure, likes)
            return tuple(
                None if y.dtype.kind not in "fc" else _like(y) if t is None else t for t, y in zip(pushed, out, strict=True)
            )

        def batch(primitive: Primitive, mapped: Any, *values: Any) -> tuple:
            axes = tuple(0 if m else None for m in mapped)

            def mapped_jvp(tangents: Any, out: tuple, *primals: Any) -> tuple:
                tangents = tangents if isinstance(tangents, tuple) else (tangents,)
                given = tuple(_like(x) if t is None else t for t, x in zip(tangents, primals, strict=True))
                both = vmap(lambda p, t, y: [z for z in jvp(tuple(t), y, *p) if z is not None], in_axes=(list(axes), list(axes), 0))
                found = iter(both(list(primals), list(given), list(out)))
                return tuple(next(found) if y.dtype.kind in "fc" else None for y in out)

            return bind(_opaque(call.name, vmap(call.function, in_axes=axes), jvp=mapped_jvp), values, {})

        return _opaque(call.name, call.function, jvp=jvp, batch=batch)


class custom_vjp(_Custom):
    """A function with its own pullback; the pushforward is its transpose.

    `f.defvjp(fwd, bwd)`: fwd(*args) -> (out, residuals) runs in place of f when a pullback is wanted and saves what it needs;
    bwd(residuals, ct) -> a tuple of cotangents, one per argument of f (None for zero).  Works in both modes, at any order.

    >>> from dualgrad.transforms.pullback import grad
    >>> @custom_vjp
    ... def square(x):
    ...     return x**2
    >>> square.defvjp(lambda x: (x**2, x), lambda x, ct: (ct * 2 * x,))
    >>> grad(square)(3.0), grad(grad(square))(3.0)
    (np.float64(6.0), np.float64(2.0))
    """

    _define = "defvjp(fwd, bwd), with fwd(*args) -> (out, residuals) and bwd(residuals, ct) -> tuple of cotangents"

    def defvjp(self, fwd: Callable, bwd: Callable) -> None:
        """Give the pullback in two halves, what to save and what to do with it."""
        for rule in (fwd, bwd):
            if not callable(rule):
                raise errors.CustomRuleError(f"custom_vjp: {self._define}; got {errors.describe(rule)}{errors.user_line()}.")
        self._rules = (fwd, bwd)

    def _primitive(self, call: _Call) -> Primitive:
        fwd, bwd = self._rules

        def save(*operands: Any) -> tuple:
            result = fwd(*call.arguments(operands), **call.kwargs)
            if not isinstance(result, tuple) or len(result) != 2:
                raise errors.CustomRuleError(
                    f"defvjp of {call.name}: fwd must return a pair (out, residuals), "
                    f"not {errors.describe(result)}{errors.user_line()}."
                )
            out = call.outputs(result[0])
            return out, (result[1], [_aval(y) for y in out], [_aval(x) for x in operands])

        def vjp(cotangents: Any, saved: tuple) -> tuple:
            residuals, outs, operands = saved
            given = [np.zeros(s, d)[()] if g is None else g for g, (s, d) in zip(cotangents, outs, strict=True)]
            found = bwd(residuals, tree.unflatten(call.out_structure, given))
            parts = call.structure.children if hasattr(call.structure, "children") else None
            count = len(parts) if parts is not None else len(call.arguments(tuple(np.empty(s, d) for s, d in operands)))
            if not isinstance(found, tuple | list) or len(found) != count:
                got = f"{len(found)} of them" if isinstance(found, tuple | list) else errors.describe(found)
                raise errors.CustomRuleError(
                    f"defvjp of {call.name}: bwd must return a tuple of {count} cotangent{'s' * (count != 1)}, one per argument, "
                    f"not {got}{errors.user_line()}."
                )
            full: list[Any] = [None] * len(call.leaves)
            for i, (s, d) in zip(call.indices, operands, strict=True):
                full[i] = np.broadcast_to(np.zeros((), d), s)
            likes = tree.unflatten(call.structure, full)
            results: list[Any] = []
            for k, (part, like) in enumerate(zip(found, likes, strict=True)):
                like_leaves, structure = tree.flatten(like)
                if part is None:
                    results += [None] * len(like_leaves)
                    continue
                results += call.check("defvjp", f"cotangent of argument {k}", part, structure, like_leaves)
            return tuple(results[i] for i in call.indices)

        def batch(primitive: Primitive, mapped: Any, *values: Any) -> tuple:
            axes = tuple(0 if m else None for m in mapped)
            others: list[Any] = []

            def mapped_save(*operands: Any) -> tuple:
                def one(*instance: Any) -> Any:
                    out, (residuals, _, _) = save(*instance)
                    leaves, structure = tree.flatten(residuals)
                    arrays = [tree.is_differentiable(x) or hasattr(x, "dtype") for x in leaves]
                    others[:] = [structure, arrays, [None if a else x for a, x in zip(arrays, leaves, strict=True)]]
                    return list(out), [x for a, x in zip(arrays, leaves, strict=True) if a]

                out, residuals = vmap(one, in_axes=axes)(*operands)
                return tuple(out), (residuals, [_aval(y) for y in out], [_aval(x) for x in operands])

            def mapped_vjp(cotangents: Any, saved: tuple) -> tuple:
                residuals, outs, operands = saved
                structure, arrays, static = others
                given = [np.zeros(s, d) if g is None else g for g, (s, d) in zip(cotangents, outs, strict=True)]

                def one(instance_residuals: list, instance_cotangents: list) -> list:
                    moving = iter(instance_residuals)
                    full = [next(moving) if a else x for a, x in zip(arrays, static, strict=True)]
                    out_avals = [(s[1:], d) for s, d in outs]
                    avals = [(s[1:] if m else s, d) for (s, d), m in zip(operands, mapped, strict=True)]
                    found = vjp(instance_cotangents, (tree.unflatten(structure, full), out_avals, avals))
                    return [np.zeros(s, d) if c is None else c for c, (s, d) in zip(found, avals, strict=True)]

                found = vmap(one)(residuals, given)
                return tuple(c if m else np.sum(c, axis=0) for c, m in zip(found, mapped, strict=True))

            return bind(_opaque(call.name, vmap(call.function, in_axes=axes), save=mapped_save, vjp=mapped_vjp), values, {})

        return _opaque(call.name, call.function, save=save, vjp=vjp, batch=batch)


def _aval(x: Any) -> tuple:
    return np.shape(x), np.result_type(x)
