"""Constrained test problems of Hock and Schittkowski, with bounds, equalities and inequalities, by their number.

From W. Hock, K. Schittkowski, Test Examples for Nonlinear Programming Codes, Lecture Notes in Economics and Mathematical
Systems 187, Springer, 1981.  The values are the book's [H].  Where x is not a short expression it was refined from the book's
by Newton's method on the conditions of Karush, Kuhn and Tucker; [C] marks a minimum computed here.

    no   n  constraints                                minima f at x
    1    2  one bound, not active                      0 at (1, 1) [H]
    2    2  one bound, active                          0.0504261879 [H];  4.94122932 at (-1.221, 1.5) [C], where most methods end
    4    2  two bounds, active                         8/3 at (1, 0) [H]
    5    2  four bounds, not active                    -√3/2 - π/3 at (1/2 - π/3, -1/2 - π/3) [H]
    6    2  one equality                               0 at (1, 1) [H]
    7    2  one equality                               -√3 at (0, √3) [H]
    28   3  one linear equality                        0 at (1/2, -1/2, 1/2) [H]
    35   3  one linear inequality, x >= 0              1/9 at (4/3, 7/9, 4/9) [H]
    38   4  bounds, not active                         0 at (1, 1, 1, 1) [H]; the Wood function
    43   4  three inequalities, two active             -44 at (0, 1, 2, -1) [H]
    45   5  bounds, the upper ones active              1 at (1, 2, 3, 4, 5) [H]
    48   5  two linear equalities                      0 at (1, 1, 1, 1, 1) [H]
    71   4  equality, inequality and bounds            17.0140173 [H]
    76   4  three linear inequalities, x >= 0          -4.681818181 at (3/11, 23/11, 0, 6/11) [H]
    100  7  four inequalities, two active              680.6300573 [H]

Number 2 starts outside its bound and 71 off its equality, as in the book.
"""

from __future__ import annotations

import numpy as np

from problems.problem import Constrained, Minimum, fixed
from problems.residuals import wood

inf = np.inf


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def hs4(x):
    return (x[0] + 1) ** 3 / 3 + x[1]


def hs5(x):
    return np.sin(x[0] + x[1]) + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1


def hs6(x):
    return (1 - x[0]) ** 2


def hs6_equality(x):
    return 10 * (x[1:] - x[:1] ** 2)


def hs7(x):
    return np.log(1 + x[0] ** 2) - x[1]


def hs7_equality(x):
    return (1 + x[:1] ** 2) ** 2 + x[1:] ** 2 - 4


def hs28(x):
    return (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2


def hs28_equality(x):
    return np.array([[1.0, 2.0, 3.0]]) @ x - 1


def hs35(x):
    squares = 2 * x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2
    return 9 - 8 * x[0] - 6 * x[1] - 4 * x[2] + squares + 2 * x[0] * x[1] + 2 * x[0] * x[2]


def hs35_inequality(x):
    return 3 - np.array([[1.0, 1.0, 2.0]]) @ x


def hs38(x):
    return (wood(x) ** 2).sum()


def hs43(x):
    return np.array([1, 1, 2, 1]) @ x**2 - np.array([5, 5, 21, -7]) @ x


def hs43_inequality(x):
    quadratic = np.array([[1, 1, 1, 1], [1, 2, 1, 2], [2, 1, 1, 0]])
    linear = np.array([[-1, 1, -1, 1], [1, 0, 0, 1], [-2, 1, 0, 1]])
    return np.array([8, 10, 5]) - quadratic @ x**2 + linear @ x


def hs45(x):
    return 2 - x.prod() / 120


def hs48(x):
    return (x[0] - 1) ** 2 + (x[1] - x[2]) ** 2 + (x[3] - x[4]) ** 2


def hs48_equality(x):
    return np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, -2.0, -2.0]]) @ x - np.array([5, -3])


def hs71(x):
    return x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2]


def hs71_equality(x):
    return (x**2).sum(keepdims=True) - 40


def hs71_inequality(x):
    return x.prod(keepdims=True) - 25


def hs76(x):
    return np.array([1, 0.5, 1, 0.5]) @ x**2 - x[0] * x[2] + x[2] * x[3] + np.array([-1, -3, 1, -1]) @ x


def hs76_inequality(x):
    return np.array([5, 4, -1.5]) - np.array([[1, 2, 1, 1], [3, 1, 2, -1], [0, -1, -4, 0]]) @ x


def hs100(x):
    squares = (x[0] - 10) ** 2 + 5 * (x[1] - 12) ** 2 + 3 * (x[3] - 11) ** 2 + 7 * x[5] ** 2
    return squares + x[2] ** 4 + 10 * x[4] ** 6 + x[6] ** 4 - 4 * x[5] * x[6] - 10 * x[5] - 8 * x[6]


def hs100_inequality(x):
    return np.stack(
        [
            127 - 2 * x[0] ** 2 - 3 * x[1] ** 4 - x[2] - 4 * x[3] ** 2 - 5 * x[4],
            282 - 7 * x[0] - 3 * x[1] - 10 * x[2] ** 2 - x[3] + x[4],
            196 - 23 * x[0] - x[1] ** 2 - 6 * x[5] ** 2 + 8 * x[6],
            -4 * x[0] ** 2 - x[1] ** 2 + 3 * x[0] * x[1] - 2 * x[2] ** 2 - 5 * x[5] + 11 * x[6],
        ]
    )


def hs(number, objective, start, *minima, bounds=None, equality=None, inequality=None):
    """A row of the table: each minimum is (value, point), the bounds are (lower, upper) for all variables or for each."""
    lower, upper = (None, None) if bounds is None else (fixed(np.broadcast_to(side, len(start))) for side in bounds)
    known = tuple(Minimum(value, fixed(point)) for value, point in minima)
    return Constrained(f"hs{number}", objective, fixed(start), known, lower, upper, equality, inequality)


X71 = [1, 4.742999637264417, 3.8211499841848737, 1.3794082931726723]
X100 = [
    2.33049937287957, 1.951372372896889, -0.4775413923888716, 4.36572623365581,
    -0.6244869705268175, 1.0381310186079584, 1.5942267116118685,
]
ROWS = [
    hs(1, rosenbrock, [-2, 1], (0, [1, 1]), bounds=([-inf, -1.5], inf)),
    hs(2, rosenbrock, [-2, 1],
        (0.0504261879, [1.2243707487363524, 1.5]),
        (4.94122932, [-1.2210262421071016, 1.5]),
        bounds=([-inf, 1.5], inf),
    ),
    hs(4, hs4, [1.125, 0.125], (8 / 3, [1, 0]), bounds=([1, 0], inf)),
    hs(5, hs5, [0, 0], (-np.sqrt(3) / 2 - np.pi / 3, [0.5 - np.pi / 3, -0.5 - np.pi / 3]), bounds=([-1.5, -3], [4, 3])),
    hs(6, hs6, [-1.2, 1], (0, [1, 1]), equality=hs6_equality),
    hs(7, hs7, [2, 2], (-np.sqrt(3), [0, np.sqrt(3)]), equality=hs7_equality),
    hs(28, hs28, [-4, 1, 1], (0, [0.5, -0.5, 0.5]), equality=hs28_equality),
    hs(35, hs35, [0.5, 0.5, 0.5], (1 / 9, [4 / 3, 7 / 9, 4 / 9]), bounds=(0, inf), inequality=hs35_inequality),
    hs(38, hs38, [-3, -1, -3, -1], (0, np.ones(4)), bounds=(-10, 10)),
    hs(43, hs43, np.zeros(4), (-44, [0, 1, 2, -1]), inequality=hs43_inequality),
    hs(45, hs45, np.full(5, 2), (1, [1, 2, 3, 4, 5]), bounds=(0, [1, 2, 3, 4, 5])),
    hs(48, hs48, [3, 5, -3, 2, -2], (0, np.ones(5)), equality=hs48_equality),
    hs(71, hs71, [1, 5, 5, 1], (17.0140173, X71), bounds=(1, 5), equality=hs71_equality, inequality=hs71_inequality),
    hs(76, hs76, np.full(4, 0.5), (-4.681818181, [3 / 11, 23 / 11, 0, 6 / 11]), bounds=(0, inf), inequality=hs76_inequality),
    hs(100, hs100, [1, 2, 0, 4, 0, 1, 1], (680.6300573, X100), inequality=hs100_inequality),
]
CONSTRAINED = {row.name: row for row in ROWS}
