"""The 35 functions of Moré, Garbow and Hillstrom as residual vectors, by their number in the paper; f is the sum of the squares.

    extended_rosenbrock:  f₂ᵢ₋₁ = 10 (x₂ᵢ - x₂ᵢ₋₁²),  f₂ᵢ = 1 - x₂ᵢ₋₁

Plain NumPy on a vector x; where the number of variables is free it is read off x.  The starts and the minima, and the paper,
are in `more_garbow_hillstrom`.
"""

from __future__ import annotations

import numpy as np


def chained_rosenbrock(x):
    """1 for n = 2; beyond it every variable drives the next"""
    return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


def freudenstein_roth(x):
    """2"""
    return np.stack([x[0] - 13 + ((5 - x[1]) * x[1] - 2) * x[1], x[0] - 29 + ((x[1] + 1) * x[1] - 14) * x[1]])


def powell_badly_scaled(x):
    """3"""
    return np.stack([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x):
    """4"""
    return np.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):
    """5"""
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** np.arange(1, 4))


def jennrich_sampson(x):
    """6"""
    i = np.arange(1, 11)
    return 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))


def helical_valley(x):
    """7, with θ(x₁, x₂) = arctan(x₂ / x₁) / 2π, and 1/2 more where x₁ < 0"""
    turn = np.arctan(x[1] / x[0]) / (2 * np.pi) + np.where(x[0] < 0, 0.5, 0.0)
    return np.stack([10 * (x[2] - 10 * turn), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


BARD = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])


def bard(x):
    """8"""
    u = np.arange(1, 16)
    v = 16 - u
    return BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


GAUSSIAN = np.array([9e-4, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989])


def gaussian(x):
    """9"""
    t = (7 - np.arange(15)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - np.concatenate([GAUSSIAN, GAUSSIAN[-2::-1]])


MEYER = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
)


def meyer(x):
    """10"""
    return x[0] * np.exp(x[1] / (45 + 5 * np.arange(1, 17) + x[2])) - MEYER


def gulf(x):
    """11, with |d|^p as (d²)^(p/2), which a complex step sees"""
    t = np.arange(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.exp(-(((y - x[1]) ** 2) ** (x[2] / 2)) / x[0]) - t


def box(x):
    """12"""
    t = np.arange(1, 11) / 10
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def wood(x):
    """14"""
    return np.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            np.sqrt(90) * (x[3] - x[2] ** 2),
            1 - x[2],
            np.sqrt(10) * (x[1] + x[3] - 2),
            (x[1] - x[3]) / np.sqrt(10),
        ]
    )


KOWALIK = np.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
U = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def kowalik_osborne(x):
    """15"""
    return KOWALIK - x[0] * (U**2 + U * x[1]) / (U**2 + U * x[2] + x[3])


def brown_dennis(x):
    """16"""
    t = np.arange(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


OSBORNE_1 = np.array(
    [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603, 0.580]
    + [0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406]
)


def osborne_1(x):
    """17"""
    t = 10 * np.arange(33)
    return OSBORNE_1 - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def biggs_exp6(x):
    """18"""
    t = np.arange(1, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


OSBORNE_2 = np.array(
    [1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606, 0.602]
    + [0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395]
    + [0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645]
    + [0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054]
)


def osborne_2(x):
    """19"""
    t = np.arange(65) / 10
    bells = [x[1 + k] * np.exp(-((t - x[8 + k]) ** 2) * x[5 + k]) for k in range(3)]
    return OSBORNE_2 - (x[0] * np.exp(-t * x[4]) + bells[0] + bells[1] + bells[2])


def watson(x):
    """20: the residual of p' = p² + 1 for the polynomial p of coefficients x, and p(0) = 0"""
    power = np.arange(len(x))
    vandermonde = (np.arange(1, 30)[:, None] / 29) ** power
    slope = (vandermonde[:, :-1] * power[1:]) @ x[1:]
    return np.concatenate([slope - (vandermonde @ x) ** 2 - 1, x[:1], x[1:2] - x[:1] ** 2 - 1])


def extended_rosenbrock(x):
    """21"""
    odd, even = x[0::2], x[1::2]
    return np.concatenate([10 * (even - odd**2), 1 - odd])


def extended_powell(x):
    """22, and with n = 4 the Powell singular function, 13"""
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    return np.concatenate([a + 10 * b, np.sqrt(5) * (c - d), (b - 2 * c) ** 2, np.sqrt(10) * (a - d) ** 2])


def penalty_1(x):
    """23"""
    return np.concatenate([np.sqrt(1e-5) * (x - 1), (x**2).sum(keepdims=True) - 0.25])


def penalty_2(x):
    """24"""
    n = len(x)
    power, known = np.exp(x / 10), np.exp(np.arange(1, n + 1) / 10)
    pairs = power[1:] + power[:-1] - (known[1:] + known[:-1])
    last = (np.arange(n, 0, -1) * x**2).sum(keepdims=True) - 1
    return np.concatenate([x[:1] - 0.2, np.sqrt(1e-5) * pairs, np.sqrt(1e-5) * (power[1:] - np.exp(-0.1)), last])


def variably_dimensioned(x):
    """25"""
    total = (np.arange(1, len(x) + 1) * (x - 1)).sum(keepdims=True)
    return np.concatenate([x - 1, total, total**2])


def trigonometric(x):
    """26"""
    n = len(x)
    return n - np.cos(x).sum() + np.arange(1, n + 1) * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x):
    """27"""
    return np.concatenate([x[:-1] + x.sum() - (len(x) + 1), x.prod(keepdims=True) - 1])


def interior(n):
    """The n inner points of a grid on [0, 1], with its spacing."""
    return np.arange(1, n + 1) / (n + 1), 1 / (n + 1)


def neighbours(x):
    """x one place further and one place nearer, with a zero beyond either end."""
    return np.concatenate([0 * x[:1], x[:-1]]), np.concatenate([x[1:], 0 * x[:1]])


def discrete_boundary_value(x):
    """28"""
    t, h = interior(len(x))
    left, right = neighbours(x)
    return 2 * x - left - right + h**2 * (x + t + 1) ** 3 / 2


def discrete_integral_equation(x):
    """29: x + G (x + t + 1)³ / 2, with Green's function G(s, t) = h min(s, t) (1 - max(s, t)) of -d²/dt²"""
    t, h = interior(len(x))
    green = h * np.minimum.outer(t, t) * (1 - np.maximum.outer(t, t))
    return x + green @ (x + t + 1) ** 3 / 2


def broyden_tridiagonal(x):
    """30"""
    left, right = neighbours(x)
    return (3 - 2 * x) * x - left - 2 * right + 1


def broyden_banded(x):
    """31: a row sees five neighbours on its left and one on its right"""
    ones = np.ones((len(x), len(x)))
    band = np.tril(ones, 1) - np.tril(ones, -6) - np.eye(len(x))
    return x * (2 + 5 * x**2) + 1 - band @ (x * (1 + x))


def linear_full_rank(m, x):
    """32"""
    return np.concatenate([x, np.zeros(m - len(x))]) - 2 * x.sum() / m - 1


def linear_rank_1(m, x):
    """33"""
    return np.arange(1, m + 1) * (np.arange(1, len(x) + 1) @ x) - 1


def linear_rank_1_zero(m, x):
    """34: the first and last columns and rows are zero"""
    rows, columns = np.arange(m), np.arange(1, len(x) + 1)
    rows[-1] = columns[0] = columns[-1] = 0
    return rows * (columns @ x) - 1


def chebyquad(x):
    """35: the error of the quadrature with equal weights at x, for the shifted Chebyshev polynomials of degrees 1 to n"""
    before, now = 1 + 0 * x, 2 * x - 1
    errors = []
    for degree in range(1, len(x) + 1):
        errors.append(now.sum() / len(x) + (0 if degree % 2 else 1 / (degree**2 - 1)))
        before, now = now, 2 * (2 * x - 1) * now - before
    return np.stack(errors)
