"""Degenerate spectra: a formal infinitesimal e that splits what is tied, so that every limit is a quotient of coefficients.

The slope of an eigenvector has 1 / (w_j - w_i) in it.  Where w_i = w_j, a function that does not depend on the choice of the
basis still has a derivative, the limit of 0/0.  The tape therefore records a degenerate factorization of A as that of
A + e V diag(s) V^H with distinct numbers s: the eigenvalues become dual numbers w + e s of a hidden trace, just below the
tape, and all that follows carries its first order in e along.  In the pullback numerators and w_j - w_i = e (s_j - s_i) both
begin at first order (L'Hopital); a numerator that does not is a cotangent that depends on the choice of basis, an error.
The hidden level is taken off what leaves the tape.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dualgrad import errors
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Trace, Value

# Installed by the forward interpreter: (trace, value, tangent) -> a dual number.
make_dual: Callable = None  # type: ignore[assignment]


class Splitting(Trace):
    """The hidden trace of one tape."""

    __slots__ = ()


def split(tape: Any, outputs: tuple, directions: tuple) -> tuple:
    """The outputs moved by e times the directions (None: not moved)."""
    if tape.splitting is None:
        tape.splitting = Splitting(tape.serial - 2**-20, "a degenerate spectrum")
    return tuple(z if d is None else _moved(tape.splitting, z, d) for z, d in zip(outputs, directions, strict=True))


def _moved(splitting: Splitting, z: Any, direction: Any) -> Any:
    z, already = series(z, splitting)
    return make_dual(splitting, z, direction if already is None else already + direction)


def splitting_of(x: Any) -> Splitting | None:
    """The hidden trace x belongs to, if any."""
    return x.owner if isinstance(x, Value) and type(x.owner) is Splitting else None


def differentiated(x: Any) -> bool:
    """Does an outer transform differentiate x?  (Mapped levels have another shape than their values.)"""
    while isinstance(x, Value):
        if x.shape == x.value.shape and type(x.owner) is not Splitting:
            return True
        x = x.value
    return False


def series(x: Any, splitting: Splitting | None) -> tuple[Any, Any]:
    """(x_0, x_1) with x = x_0 + e x_1; x_1 is None where it is zero."""
    if splitting is None or not isinstance(x, Value) or x.owner.serial < splitting.serial:
        return x, None
    if x.owner is splitting:
        return x.value, x.tangent
    tangent = getattr(x, "tangent", None)
    (value_0, value_1), (tangent_0, tangent_1) = series(x.value, splitting), series(tangent, splitting)
    if value_0 is x.value and tangent_0 is tangent:
        return x, None
    if hasattr(x, "index"):
        raise errors.DegeneracyError(
            f"the pullback of a factorization of a matrix with equal eigenvalues or singular values{errors.user_line()} cannot be "
            "differentiated or transposed again (by linearize, for a second derivative). Use jvp or vjp, or separate the spectrum."
        )
    return _level(x, value_0, tangent_0), None if value_1 is None and tangent_1 is None else _level(
        x, value_0 * 0 if value_1 is None else value_1, tangent_1
    )


def _level(x: Value, value: Any, tangent: Any) -> Any:
    """A value of the interpreter of x with another content."""
    out = snapshot(x)
    out.value = value
    if hasattr(x, "tangent"):
        out.tangent = tangent
    return out
