"""Derivatives through solvers: the solution of an equation has derivatives whoever found it, and however.

    root(F)           F(x, *args) = 0
    fixed_point(T)    x = T(x, *args)
    minimum(f)        grad f(x, *args) = 0
    linear_solve      A x = b, A known by its products

around any black box (SciPy's root, minimize, least_squares, cg; your own loop), in both modes, at any order, with all that is
closed over:

    >>> import numpy as np
    >>> from dualgrad import grad, implicit
    >>> from scipy.optimize import fsolve
    >>> @implicit.root(lambda x, a: x**2 - a)
    ... def square_root(init, a):
    ...     return fsolve(lambda x: x**2 - a, init)[0]
    >>> second = grad(grad(square_root, argnums=1), argnums=1)(1.0, 4.0)
    >>> print(f"{second:.6f}")                                      # -1/4 a^(-3/2) = -1/32
    -0.031250
"""

from dualgrad.implicit.linear import linear_solve
from dualgrad.implicit.root import fixed_point, minimum, root

__all__ = ["fixed_point", "linear_solve", "minimum", "root"]
