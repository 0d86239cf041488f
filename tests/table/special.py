"""scipy.special: its ufuncs in their domains, in the tails where a naive slope cancels, and the drop-ins of dualgrad.scipy."""
from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp
from table.case import Case

import dualgrad.rules.bessel
import dualgrad.scipy.special as drop_in

assert dualgrad.rules.bessel  # its rules are loaded late, and all of them must have a row
A = np.array
X = A([0.3, 0.7, -0.4, 1.9])
P = A([1.3, 0.7, 2.4, 0.9])
U = A([0.3, 0.7, 0.05, 0.9])
Z = A([0.3 + 0.2j, -0.7 + 0.4j, 1.2 - 0.5j])
M = A([[0.3, -0.7, 0.55], [-0.2, 0.8, -0.45]])
MZ = M + 0.5j * M[::-1]

_ENTIRE = "erf erfc erfcx erfi dawsn ndtr log_ndtr expm1 rgamma"  # SciPy takes complex arguments too
_REAL = "expit log_expit i0 i1 j0 j1 i0e i1e exprel cosm1 exp2 exp10 cbrt"
_POSITIVE = "gammaln loggamma gamma digamma y0 y1 k0 k1 k0e k1e exp1 expi log1p entr"
_UNIT = "logit erfinv erfcinv ndtri"
_PAIRS = "beta betaln xlogy xlog1py rel_entr kl_div boxcox boxcox1p powm1"
_ORDERED = "jv yv iv kv jve yve ive kve"


def _with(f: Any, *parameters: Any) -> Any:
    return lambda x: f(*parameters, x)


def _rows(names: str, *args: Any, suffix: str = "", **options: Any) -> list[Case]:
    return [Case(f"special.{name}{suffix}", getattr(sp, name), args, **options) for name in names.split()]


ROWS: list[Case] = [
    *_rows(_ENTIRE, X),
    *_rows(_REAL, X),
    *_rows(_POSITIVE, P),
    *_rows(_UNIT, U),
    *_rows(_PAIRS, P, P[::-1] + 0.1),
    *_rows(_PAIRS, P[:, None], P[:2] + 0.3, suffix=": broadcast"),
    *_rows("expit log_expit log_ndtr", A([15.0, -20.0, 30.0]), suffix=": tails", float32=False),
    *_rows("erfcx dawsn", A([9.0, 15.0, 100.0]), suffix=": tails", float32=False),
    *_rows("erf erfc erfcx erfi dawsn ndtr expm1 log1p exp1 expi", Z, suffix=": complex", float32=False),
    *_rows("gamma loggamma", Z, suffix=": complex", order=1, float32=False),
    *_rows("xlogy xlog1py", Z, Z[::-1], suffix=": complex", float32=False),
    Case("special.ndtri_exp", sp.ndtri_exp, (-P,)),
    Case("special.boxcox: parameter at and near 0", lambda x, p: sp.boxcox(x, p), (P, A([0.0, 1e-9, -1e-9, 1.0])), float32=False),
    *(
        Case(f"special.{name}: order {v}", _with(getattr(sp, name), v), (P,), float32=False)
        for name in _ORDERED.split()
        for v in (1, 0.3)
    ),
    *(
        Case(f"special.{name}: complex", _with(getattr(sp, name), 1), (Z,), float32=False)
        for name in ("jv", "yv", "iv", "kv", "kve", "hankel1", "hankel2")
    ),
    Case("special.kn", _with(sp.kn, 2), (P,), float32=False),
    Case("special.yn", _with(sp.yn, 2), (P,), float32=False),
    Case("special.expn", _with(sp.expn, A([0, 1, 2, 5])), (P,), float32=False),
    Case("special.hyp1f1", _with(sp.hyp1f1, 1.5, 2.5), (X,), float32=False),
    *(
        Case(f"special.{name}", _with(getattr(sp, name), A([0.5, 1.0, 2.0, 30.0])), (x,), float32=False)
        for name, x in (("gammainc", P), ("gammaincc", P), ("gammaincinv", U), ("gammainccinv", U))
    ),
    *(
        Case(f"special.{name}", _with(getattr(sp, name), A([0.5, 1.0, 2.0, 3.0]), 2.5), (U,), float32=False)
        for name in ("betainc", "betaincc", "betaincinv", "betainccinv")
    ),
    Case("special.inv_boxcox", lambda y: sp.inv_boxcox(y, A([0.4, 0.0, -0.1, 1.0])), (P,), float32=False),
    Case("special.inv_boxcox1p", lambda y: sp.inv_boxcox1p(y, 0.4), (P,), float32=False),
    Case("special.huber", sp.huber, (P, X * 2)),
    Case("special.pseudo_huber", sp.pseudo_huber, (P, X)),
    Case("i0", np.i0, (X,)),
    # ---- dualgrad.scipy.special
    Case("polygamma", lambda x: drop_in.polygamma(A([0, 1, 2, 3]), x), (P,)),
    Case("multigammaln", lambda a: drop_in.multigammaln(a, 2), (A(3.2)[()],)),
    Case("softplus", drop_in.softplus, (X,)),
    *(
        Case(f"{f.__name__}: axis={axis}, {x.dtype.kind}", lambda x, f=f, axis=axis: f(x, axis), (x,))
        for f in (drop_in.logsumexp, drop_in.softmax, drop_in.log_softmax)
        for axis in (None, 0, -1, (0, 1))
        for x in (M, MZ)
    ),
    Case("logsumexp: weights", lambda a, b: drop_in.logsumexp(a, b=b), (M, M**2)),
    Case("logsumexp: weights broadcast", lambda a, b: drop_in.logsumexp(a, 1, b, True), (M, M[0] ** 2)),
    Case("logsumexp: sign", lambda a, b: drop_in.logsumexp(a, 0, b, return_sign=True), (M, M)),
    Case("logsumexp: keepdims", lambda a: drop_in.logsumexp(a, axis=(0,), keepdims=True), (M,)),
    Case("logsumexp: a number", drop_in.logsumexp, (A(1.5)[()],)),
]
