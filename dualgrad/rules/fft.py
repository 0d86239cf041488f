"""Discrete Fourier transforms.  Two pairs of unnormalised linear maps along one axis, each the adjoint of the other.

    forward  y_k = sum_j x_j e**(-2 pi i j k / n)      backward: the same with e**(+…)
    half     y_k for k <= n/2, of real x                whole: real, from k <= n/2, with each inner k counted twice (w_k = 2)

    forward^H = backward          half^H g = whole(g / w)          whole^H g = w half(g)

Loaded at the first use of a function that is not in the tables, as NumPy itself loads np.fft.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualgrad.core.primitive import Value
from dualgrad.core.registry import front
from dualgrad.rules.declare import batch_axis, linear
from dualgrad.rules.shaping import axes_of

forward: Any = linear(
    lambda x, *, axis: np.fft.fft(x, axis=axis),
    lambda g, _x, *, axis: backward(g, axis=axis),
    batch=batch_axis("axis"),
    name="fft",
)
backward: Any = linear(
    lambda x, *, axis: np.fft.ifft(x, axis=axis, norm="forward"),
    lambda g, _x, *, axis: forward(g, axis=axis),
    batch=batch_axis("axis"),
    name="ifft",
)


def _counts(n: int, axis: int, like: Any) -> Any:
    """w: 2 for the frequencies that stand for a conjugate pair, 1 for the lowest and, if n is even, the highest."""
    w = np.full(n // 2 + 1, 2, np.finfo(like.dtype).dtype)
    w[0] = 1
    if n % 2 == 0:
        w[-1] = 1
    return np.reshape(w, (-1,) + (1,) * (like.ndim - axis - 1))


half: Any = linear(
    lambda x, *, axis: np.fft.rfft(x, axis=axis),
    lambda g, x, *, axis: whole(g / _counts(x.shape[axis], axis, g), axis=axis, n=x.shape[axis]),
    batch=batch_axis("axis"),
    name="rfft",
)
whole: Any = linear(
    lambda x, *, axis, n: np.fft.irfft(x, n, axis, norm="forward"),
    lambda g, _x, *, axis, n: half(g, axis=axis) * _counts(n, axis, g),
    batch=batch_axis("axis"),
    name="irfft",
)


def _scaled(y: Any, n: int, norm: Any, inverse: bool) -> Any:
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f"Invalid norm value {norm}; should be \"backward\", \"ortho\" or \"forward\".")
    if norm == "ortho":
        return y * (1 / n**0.5)
    return y * (1 / n) if inverse == (norm != "forward") else y


def _sized(x: Any, n: int, axis: int) -> Any:
    """Cropped or padded with zeros to n entries along the axis."""
    have = x.shape[axis]
    if have > n:
        return x[(*(slice(None),) * axis, slice(0, n))]
    return np.pad(x, [(0, n - have if k == axis else 0) for k in range(x.ndim)]) if have < n else x


def _transform(kind: str, a: Any, n: Any, axis: int, norm: Any) -> Any:
    a = a if isinstance(a, Value) else np.asarray(a)
    (axis,) = axes_of(axis, a.ndim)
    if n is None:
        n = 2 * (a.shape[axis] - 1) if kind == "irfft" else a.shape[axis]
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    if kind == "irfft":
        return _scaled(whole(_sized(a, n // 2 + 1, axis), axis=axis, n=n), n, norm, True)
    if kind == "rfft" and a.dtype.kind == "c":
        raise TypeError("ufunc 'rfft_n_even' did not contain a loop with signature matching types")
    a = _sized(a, n, axis)
    y = {"fft": forward, "ifft": backward, "rfft": half}[kind](a, axis=axis)
    return _scaled(y, n, norm, kind == "ifft")


def _one_axis(function: Any, kind: str) -> None:
    @front(function)
    def along(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        return _transform(kind, a, n, axis, norm)


for _function, _kind in ((np.fft.fft, "fft"), (np.fft.ifft, "ifft"), (np.fft.rfft, "rfft"), (np.fft.irfft, "irfft")):
    _one_axis(_function, _kind)

_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


@front(np.fft.hfft)
def _hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _transform("irfft", np.conjugate(a), n, axis, _SWAPPED[norm])


@front(np.fft.ihfft)
def _ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return np.conjugate(_transform("rfft", a, n, axis, _SWAPPED[norm]))


def _several_axes(function: Any, kind: str, default: Any) -> None:
    """The last axis first for real input (its length decides the shape of the output), last for real output."""

    def apply(a: Any, s: Any, axes: Any, norm: Any) -> Any:
        if axes is None:
            axes = tuple(range(a.ndim)) if s is None else tuple(range(-len(s), 0))
        sizes = [a.shape[k] for k in axes] if s is None else [a.shape[k] if n == -1 else n for n, k in zip(s, axes, strict=True)]
        if s is None and kind == "irfft":
            sizes[-1] = 2 * (a.shape[axes[-1]] - 1)
        steps = list(zip(sizes, axes, strict=True))
        if kind == "irfft":
            for n, k in steps[:-1]:
                a = _transform("ifft", a, n, k, norm)
            return _transform("irfft", a, *steps[-1], norm)
        if kind == "rfft":
            a = _transform("rfft", a, *steps.pop(), norm)
        for n, k in reversed(steps):
            a = _transform("fft" if kind == "rfft" else kind, a, n, k, norm)
        return a

    if default is None:

        @front(function)
        def over_all(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
            return apply(a, s, axes, norm)
    else:

        @front(function)
        def over_two(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
            return apply(a, s, axes, norm)


for _kind in ("fft", "ifft", "rfft", "irfft"):
    _several_axes(getattr(np.fft, f"{_kind}n"), _kind, None)
    _several_axes(getattr(np.fft, f"{_kind}2"), _kind, (-2, -1))


def _shift(function: Any, amount: Callable[[int], int]) -> None:
    @front(function)
    def shift(x: Any, axes: Any = None) -> Any:
        places = tuple(range(x.ndim)) if axes is None else (axes,) if np.ndim(axes) == 0 else tuple(axes)
        return np.roll(x, tuple(amount(x.shape[k]) for k in places), places)


_shift(np.fft.fftshift, lambda n: n // 2)
_shift(np.fft.ifftshift, lambda n: -(n // 2))
