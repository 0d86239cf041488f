"""Convolution, correlation, and polynomials given by their coefficients.

One bilinear primitive along the last axis, "full" or "valid"; the transpose of the one in an operand is the other with the
other operand reversed.  "same" and the correlations are slices of it.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core.arrays import conjugate, plain, unbroadcast
from dualgrad.core.primitive import Value
from dualgrad.core.registry import front
from dualgrad.rules.declare import batch_core, multilinear


def _slide(a: Any, v: Any, *, valid: bool) -> Any:
    """sum_j a_(i - j) v_j along the last axis, leading axes broadcasting; len(a) >= len(v) if valid."""
    if np.ndim(a) == np.ndim(v) == 1:
        return np.convolve(a, v, "valid" if valid else "full")
    if a.shape[-1] < v.shape[-1]:
        a, v = v, a
    if not valid:
        a = np.pad(a, [(0, 0)] * (a.ndim - 1) + [(v.shape[-1] - 1,) * 2])
    windows = np.lib.stride_tricks.sliding_window_view(a, v.shape[-1], axis=-1)
    return np.matmul(windows, v[..., ::-1, None])[..., 0]


def _transpose_a(g: Any, a: Any, v: Any, *, valid: bool) -> Any:
    return unbroadcast(convolution(g, v[..., ::-1], valid=not valid), a.shape)


def _transpose_v(g: Any, a: Any, v: Any, *, valid: bool) -> Any:
    if valid:
        return unbroadcast(convolution(a, g[..., ::-1], valid=True)[..., ::-1], v.shape)
    return unbroadcast(convolution(g, a[..., ::-1], valid=True), v.shape)


convolution = multilinear(_slide, (_transpose_a, _transpose_v), batch=batch_core(1, 1), name="convolve")


def _operands(function: str, *xs: Any) -> tuple:
    xs = tuple(np.ravel(x) if np.ndim(x) == 0 else x if isinstance(x, Value) else np.asarray(x) for x in xs)
    if any(x.ndim > 1 for x in xs):
        raise ValueError("object too deep for desired array")
    if any(not x.size for x in xs):
        raise ValueError(f"{function}: an operand cannot be empty")
    return xs


def _mode(mode: Any) -> str:
    names = {0: "valid", 1: "same", 2: "full"}
    if isinstance(mode, str) and mode in names.values():
        return mode
    if mode in names:
        return names[mode]
    raise ValueError(f"mode must be one of 'valid', 'same' or 'full' (got {mode!r})")


def _part(a: Any, v: Any, mode: str, start: int) -> Any:
    """The part of the full convolution that a mode returns; "same" begins at `start`."""
    a, v = (v, a) if v.size > a.size else (a, v)
    if mode != "same":
        return convolution(a, v, valid=mode == "valid")
    return convolution(a, v, valid=False)[start : start + a.size]


@front(np.convolve)
def _convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    a, v = _operands("convolve", a, v)
    return _part(a, v, _mode(mode), (min(a.size, v.size) - 1) // 2)


@front(np.correlate)
def _correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    a, v = _operands("correlate", a, v)
    start = a.size // 2 if v.size > a.size else (v.size - 1) // 2
    return _part(a, conjugate(v)[::-1], _mode(mode), start)


# ---- polynomials, highest power first ---------------------------------------------------------------------------------


def _array(p: Any) -> Any:
    return p if isinstance(p, Value) else np.asarray(p)


def _coefficients(p: Any) -> Any:
    return np.atleast_1d(_array(p))


def _trimmed(p: Any) -> Any:
    """Without leading zeros, as np.poly1d stores it; a mapped polynomial, whose instances may differ in degree, as it is."""
    p = _coefficients(p)
    try:
        leading = np.flatnonzero(plain(p))
    except errors.TracedConversionError:
        return p
    return p[leading[0] :] if leading.size else p[:1]


@front(np.polyval)
def _polyval(p: Any, x: Any) -> Any:
    """Horner's rule."""
    x = x if isinstance(x, Value) else np.asarray(x)
    y = np.zeros(x.shape, x.dtype)
    for c in _coefficients(p):
        y = y * x + c
    return y


@front(np.polyadd)
def _polyadd(a1: Any, a2: Any) -> Any:
    a1, a2 = _coefficients(a1), _coefficients(a2)
    short = a1.size - a2.size
    return np.pad(a1, (max(-short, 0), 0)) + np.pad(a2, (max(short, 0), 0))


@front(np.polysub)
def _polysub(a1: Any, a2: Any) -> Any:
    return _polyadd(a1, -_coefficients(a2))


@front(np.polymul)
def _polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(_trimmed(a1), _trimmed(a2))


@front(np.polyder)
def _polyder(p: Any, m: int = 1) -> Any:
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _coefficients(p)
    for _ in range(int(m)):
        p = p[:-1] * np.arange(p.size - 1, 0, -1)
    return p


@front(np.polyint)
def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p, m = _coefficients(p), int(m)
    constants = _coefficients(0.0 if k is None else k)
    if constants.size == 1 and m > 1:
        constants = np.broadcast_to(constants, (m,))
    if constants.size < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.concatenate([p / np.arange(p.size, 0, -1), np.reshape(constants[i], (1,))])
    return p
