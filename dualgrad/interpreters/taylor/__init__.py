"""Taylor mode: a value is a power series in one formal variable t, and every operation computes with series.

    x(t) = x_0 + x_1 t + x_2 t**2 + ...        z = f(x)  solves  z'(t) = jvp(x'(t); z(t), x(t))

So the rule that every primitive has, evaluated on *series*, gives the coefficients of the output from those of the operands,

    z_m = (1 / m) [t**(m - 1)] jvp(x'; z, x)

    Series, Stream     a value, and its coefficients                                    series.py
    expand             the coefficients of one operation, by kind of primitive           operation.py
    closed slopes      for the functions whose slope is a new function at every order    closed.py

The right-hand side reads z up to t**(m - 1) only.  Inside a rule a coefficient is therefore computed when it is first asked for
(McIlroy, Power series, power serious, 1999): the rule is evaluated once and closes on itself, and order k costs O(k**2)
per operation (Griewank & Walther, Evaluating Derivatives, ch. 13).
"""
from dualgrad.interpreters.taylor.operation import Series, line
from dualgrad.interpreters.taylor.series import Expansion

__all__ = ["Expansion", "Series", "line"]
