"""det and slogdet, exact at every rank and every order.

The derivative of det is the matrix of cofactors, d det(A) = sum_ij C_ij dA_ij, a polynomial in A, so it must not be computed
by dividing by det(A).  With A = U diag(s) V^H, det(A) = det(U) det(V^H) det(D) for D = U^H A V, which is diagonal at A.  There

    D^m det [E_1, …, E_m] = sum over i_1, …, i_m distinct and permutations p of
                            sign(p) (product of all s_k with k not in i) prod_a E_a[i_a, i_p(a)]

(Horn & Johnson, Matrix Analysis, 0.8.12 for m = 1).  `cofactor(A, E_1, …, E_k)` is the gradient of D^k det [E_1, …, E_k] with
respect to A: symmetric and linear in the E, and its derivative with respect to A is cofactor(A, E_1, …, E_k, dA).  So this one
primitive is closed under differentiation.  Cost: an SVD for the first derivative, n**3 for the second, n**m for the m-th.
"""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from dualgrad.core.arrays import conjugate, unbroadcast
from dualgrad.core.registry import front
from dualgrad.rules.declare import opaque
from dualgrad.rules.linalg import adjoint, batch_matrices

_LETTERS = "ijklmnopqrst"

# ---- cofactors --------------------------------------------------------------------------------------------------------


def _cofactor(a: Any, *directions: Any) -> Any:
    """The gradient of D^k det(a)[directions] (see the module docstring)."""
    u, s, vh = np.linalg.svd(a)
    unit = np.linalg.slogdet(u)[0] * np.linalg.slogdet(vh)[0]
    order = len(directions) + 1
    products = _products_of_others(s, order)
    rotated = [np.matmul(np.matmul(adjoint(u), e), adjoint(vh)) for e in directions]
    letters, eye = _LETTERS[:order], np.eye(a.shape[-1], dtype=s.dtype)
    total: Any = 0
    for permutation in itertools.permutations(range(order)):
        terms = [f"...{letters[k]}{letters[permutation[k]]}" for k in range(order)]
        diagonal = permutation[-1] == order - 1
        subscripts = f"{','.join(['...' + letters, *terms[:-1]])}->...{letters[-1] if diagonal else terms[-1][3:]}"
        term = np.einsum(subscripts, products, *rotated)
        total = total + _sign(permutation) * (term[..., None] * eye if diagonal else term)
    return np.asarray(unit)[..., None, None] * np.matmul(np.matmul(conjugate(u), total), conjugate(vh))


def _products_of_others(s: Any, order: int) -> Any:
    """P[i_1, …, i_m] = the product of all s_k with k not among the i, and 0 where two of the i are equal.

    No division: products from the left times products from the right, of mantissas and exponents apart so that no partial
    product over- or underflows.
    """
    n = s.shape[-1]
    mantissa, exponent = np.frexp(s.astype(float))
    eye = np.eye(n, dtype=bool)
    for level in range(order - 1):
        one = eye.reshape((n,) + (1,) * level + (n,))
        mantissa = np.where(one, 1.0, np.expand_dims(mantissa, -2 - level))
        exponent = np.where(one, 0, np.expand_dims(exponent, -2 - level))
    ones = np.ones_like(mantissa[..., :1])
    left = np.cumprod(np.concatenate([ones, mantissa[..., :-1]], -1), -1)
    right = np.cumprod(np.concatenate([ones, mantissa[..., :0:-1]], -1), -1)[..., ::-1]
    products = np.ldexp(left * right, np.sum(exponent, -1, keepdims=True) - exponent).astype(s.dtype)
    for j, k in itertools.combinations(range(order), 2):
        products = np.where(eye.reshape(tuple(n if m in (j, k) else 1 for m in range(order))), 0, products)
    return products


def _sign(permutation: tuple[int, ...]) -> int:
    return (-1) ** sum(permutation[j] > permutation[k] for j, k in itertools.combinations(range(len(permutation)), 2))


def _cofactor_jvp(tangents: Any, _out: Any, *matrices: Any) -> Any:
    """cofactor(A, E…, dA) + sum over the E of cofactor(A, …, dE, …)."""
    ta, *rest = tangents if len(matrices) > 1 else (tangents,)
    a, *directions = matrices
    terms = [] if ta is None else [cofactor(a, *directions, ta)]
    terms += [cofactor(a, *directions[:k], t, *directions[k + 1 :]) for k, t in enumerate(rest) if t is not None]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return np.broadcast_to(total, _out.shape) if total.shape != _out.shape else total


def _cofactor_vjp(g: Any, _out: Any, *matrices: Any) -> tuple:
    """The same derivative of det with conj(g) in the place of what is asked for."""
    a, *directions = matrices
    w = conjugate(g)
    found = [cofactor(a, *directions, w)]
    found += [cofactor(a, *directions[:k], *directions[k + 1 :], w) for k in range(len(directions))]
    return tuple(unbroadcast(conjugate(c), m.shape) for c, m in zip(found, matrices, strict=True))


cofactor = opaque(_cofactor, _cofactor_jvp, _cofactor_vjp, batch=batch_matrices, name="cofactor")

# ---- det and slogdet --------------------------------------------------------------------------------------------------

det = opaque(
    np.linalg.det,
    jvp=lambda t, _d, a: np.sum(cofactor(a) * t, (-2, -1)),
    vjp=lambda g, _d, a: conjugate(cofactor(a)) * g[..., None, None],
    batch=batch_matrices,
)


def _inverse(a: Any) -> Any:
    """The inverse, and where there is none cofactors / 0 as IEEE has it: the slope of log|det| is infinite there."""
    singular = np.equal(np.linalg.slogdet(a)[0], 0)[..., None, None]
    if not np.any(singular):
        return np.linalg.inv(a)
    with np.errstate(all="ignore"):
        infinite = np.swapaxes(_cofactor(a), -1, -2) / np.zeros((), a.dtype)
        return np.where(singular, infinite, np.linalg.inv(np.where(singular, np.eye(a.shape[-1], dtype=a.dtype), a)))


inverse = opaque(
    _inverse,
    lambda t, y, _a: -(y @ t @ y),
    lambda g, y, _a: -(adjoint(y) @ g @ adjoint(y)),
    batch=batch_matrices,
    name="inverse",
)


def _slogdet_jvp(t: Any, out: tuple, a: Any) -> tuple:
    """d log|det| = Re tr(A^-1 dA), d sign = i sign Im tr(A^-1 dA)."""
    change = np.sum(np.swapaxes(inverse(a), -1, -2) * t, (-2, -1))
    return (out[0] * np.imag(change) * 1j, np.real(change)) if a.dtype.kind == "c" else (None, change)


def _slogdet_vjp(g: list, out: tuple, a: Any) -> Any:
    """A^-H times the cotangent of tr(A^-1 dA), which is g_log + i Im(conj(sign) g_sign)."""
    g_sign, g_log = g
    if a.dtype.kind != "c":
        return None if g_log is None else adjoint(inverse(a)) * g_log[..., None, None]
    turn = None if g_sign is None else np.imag(np.conjugate(out[0]) * g_sign) * 1j
    total = g_log if turn is None else turn if g_log is None else turn + g_log
    return None if total is None else adjoint(inverse(a)) * total[..., None, None]


slogdet = opaque(
    lambda a: tuple(np.linalg.slogdet(a)), _slogdet_jvp, _slogdet_vjp, batch=batch_matrices, multiple=True, name="slogdet"
)
SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


@front(np.linalg.det)
def _det(a: Any) -> Any:
    return det(a)


@front(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    return SlogdetResult(*slogdet(a))
