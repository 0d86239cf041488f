"""The test problems of Moré, Garbow and Hillstrom: minimize f(x) = Σ fᵢ(x)² from the start and to the minima that they publish.

All 35 of J. J. Moré, B. S. Garbow, K. E. Hillstrom, Testing unconstrained optimization software, ACM TOMS 7 (1981) 17-41, the
variably dimensioned ones at sizes for which a minimum is published.  The functions themselves are in `residuals`.

Where each number comes from.  [M]: the paper, to six digits.  [K]: the output of MINPACK-1's test driver, to eight.  [R]: Meyer
and Roth, 1972.  [S]: Shang and Qiu, A note on the extended Rosenbrock function, Evolutionary Computation 14 (2006) 119-126.
[C]: computed here.  Every x that is not a short decimal was refined by Newton's method in 80-digit arithmetic and is the double
nearest to the minimum.

    no  name                          n        m       minima f at x
     1  rosenbrock                    2        2       0 at (1, 1) [M]
     2  freudenstein_roth             2        2       0 at (5, 4) [M];  48.9842 at (11.41, -0.8968) [M]
     3  powell_badly_scaled           2        2       0 at (1.098e-5, 9.106) [M]
     4  brown_badly_scaled            2        3       0 at (1e6, 2e-6) [M]
     5  beale                         2        3       0 at (3, 1/2) [M]
     6  jennrich_sampson              2        10      124.362 at (0.2578, 0.2578) [M]
     7  helical_valley                3        3       0 at (1, 0, 0) [M]
     8  bard                          3        15      8.21487e-3 [M] at [K];  17.4286 at (0.8406, -inf, -inf) [M]
     9  gaussian                      3        15      1.12793e-8 [M] at [C]
    10  meyer                         3        16      87.9458 [M] at [K, R]; it is NIST's MGH10
    11  gulf                          3        99      0 at (50, 25, 1.5) [M]
    12  box                           3        10      0 at (1, 10, 1), at (10, 1, -1) and at all (c, c, 0) [M]
    13  powell_singular               4        4       0 at 0 [M]
    14  wood                          4        6       0 at (1, 1, 1, 1) [M]
    15  kowalik_osborne               4        11      3.07505e-4 [M] at [K]; it is NIST's MGH09
                                                       1.02734e-3 at (inf, -14.07, -inf, -inf) [M]
    16  brown_dennis                  4        20      85822.2 [M] at [K]
    17  osborne_1                     5        33      5.46489e-5 [M] at [K]; it is NIST's MGH17
    18  biggs_exp6                    6        13      0 at (1, 10, 1, 5, 4, 3), (4, 10, 3, 5, 1, 1) [C];  5.65565e-3 [M] at [C]
    19  osborne_2                     11       65      4.01377e-2 [M] at [K]
    20  watson_6, _9, _12             6 9 12   31      2.28767e-3, 1.39976e-6, 4.72238e-10 [M] at [K]
    21  extended_rosenbrock_10        10       10      0 at (1, ..., 1) [M]
    22  extended_powell_12            12       12      0 at 0 [M]
    23  penalty_1_4, _10              4 10     n + 1   2.24997e-5, 7.08765e-5 [M] at [C]
    24  penalty_2_4, _10              4 10     2 n     9.37629e-6, 2.93660e-4 [M] at [C]
    25  variably_dimensioned_10       10       12      0 at (1, ..., 1) [M]
    26  trigonometric_10              10       10      0 [M] at 0 [C];  2.79506e-5 at [C], where most methods end; there are others
    27  brown_almost_linear_10        10       10      0 at (1, ..., 1) and at (a, ..., a, a⁻⁹) [M];  1 at (0, ..., 0, 11) [M]
    28  discrete_boundary_value_10    10       10      0 [M] at [K]
    29  discrete_integral_equation_10 10       10      0 [M] at [K], the x of 28
    30  broyden_tridiagonal_10        10       10      0 [M] at [K]
    31  broyden_banded_10             10       10      0 [M] at [K]
    32  linear_full_rank_5            5        10      m - n = 5 at (-1, ..., -1) [M]
    33  linear_rank_1_5               5        10      m (m - 1) / (4 m + 2) = 15/7 where Σ j xⱼ = 3 / (2 m + 1) [M]
    34  linear_rank_1_zero_5          5        10      (m² + 3 m - 6) / (4 m - 6) = 62/17 where Σ j xⱼ = 3 / (2 m - 3) [M]
    35  chebyquad_7, _8, _9, _10      7 8 9 10 n       0, 3.51687e-3, 0, 6.50395e-3 [M] at [K];  for n = 10 also 4.77271e-3 at [C]

Three entries of the paper need a word.  11: "mi" in the printed exponent is a minus; m = 99, for f₁₀₀ has a kink at the solution.
18: the published 5.65565e-3 is the minimum where x₁ = x₅ and x₃ = x₆.  The start is there and so is every gradient; in all six
variables the point is a saddle, the least eigenvalue of the Hessian being -0.0098.  27: the point of f = 1 is stationary and no
minimum, for f < 1 along (s, ..., s, 11 - 10 s) with s > 0.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from problems import residuals as r
from problems.problem import Minimum, Problem, fixed


def problem(name, residuals, start, m, *minima):
    """A row of the table: each minimum is (value, point) or (value, point, direction)."""
    return Problem(name, residuals, fixed(start), m, tuple(Minimum(value, *map(fixed, points)) for value, *points in minima))


def rosenbrock(n: int) -> Problem:
    """The chained form Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)² from (-1.2, 1, -1.2, ...): 0 at (1, ..., 1).

    From n = 4 on there is one more minimum, near (-1, 1, ..., 1) [S].  To six digits its value is 3.98662 from n = 20 on [C].
    """
    minima = [(0, np.ones(n))] + [(3.98662,)] * (n >= 20)
    return problem(f"rosenbrock_{n}", r.chained_rosenbrock, np.resize([-1.2, 1], n), 2 * (n - 1), *minima)


T = r.interior(10)[0]
ROWS = [
    problem("rosenbrock", r.chained_rosenbrock, [-1.2, 1], 2, (0, [1, 1])),
    problem("freudenstein_roth", r.freudenstein_roth, [0.5, -2], 2,
        (0, [5, 4]),
        (48.9842, [11.412778986902094, -0.8968052532744765]),
    ),
    problem("powell_badly_scaled", r.powell_badly_scaled, [0, 1], 2, (0, [1.0981593296998053e-5, 9.106146739866624])),
    problem("brown_badly_scaled", r.brown_badly_scaled, [1, 1], 3, (0, [1e6, 2e-6])),
    problem("beale", r.beale, [1, 1], 3, (0, [3, 0.5])),
    problem("jennrich_sampson", r.jennrich_sampson, [0.3, 0.4], 10, (124.362, [0.2578252136703641, 0.2578252136703641])),
    problem("helical_valley", r.helical_valley, [-1, 0, 0], 3, (0, [1, 0, 0])),
    problem("bard", r.bard, [1, 1, 1], 15,
        (8.21487e-3, [0.08241055974978899, 1.1330360920297224, 2.3436951786425366]),
        (17.4286, [r.BARD.mean(), 0, 0], [0, -1, -1]),
    ),
    problem("gaussian", r.gaussian, [0.4, 1, 0], 15, (1.12793e-8, [0.39895613783875666, 1.0000190844878056, 0])),
    problem("meyer", r.meyer, [0.02, 4000, 250], 16, (87.9458, [0.005609636471028053, 6181.346346286372, 345.2236346241365])),
    problem("gulf", r.gulf, [5, 2.5, 0.15], 99, (0, [50, 25, 1.5])),
    problem("box", r.box, [0, 10, 20], 10, (0, [1, 10, 1]), (0, [10, 1, -1]), (0, [0, 0, 0], [1, 1, 0])),
    problem("powell_singular", r.extended_powell, [3, -1, 0, 1], 4, (0, np.zeros(4))),
    problem("wood", r.wood, [-3, -1, -3, -1], 6, (0, np.ones(4))),
    problem("kowalik_osborne", r.kowalik_osborne, [0.25, 0.39, 0.415, 0.39], 11,
        (3.07505e-4, [0.1928069345790379, 0.1912823287343668, 0.12305650692632074, 0.13606233068379475]),
        (1.02734e-3, [0, -14.075883400603313, 0, 0], [1, 0, -45.257191739323034, -28.231496899087826]),
    ),
    problem("brown_dennis", r.brown_dennis, [25, 5, -5, -1], 20,
        (85822.2, [-11.594439904762165, 13.203630051207202, -0.4034394881768595, 0.23677877445573628]),
    ),
    problem("osborne_1", r.osborne_1, [0.5, 1.5, -1, 0.01, 0.02], 33,
        (5.46489e-5, [0.37541005210695194, 1.9358469127123559, -1.4646871366134115, 0.012867534640057266, 0.02212269966167266]),
    ),
    problem("biggs_exp6", r.biggs_exp6, [1, 2, 1, 1, 1, 1], 13,
        (0, [1, 10, 1, 5, 4, 3]),
        (0, [4, 10, 3, 5, 1, 1]),
        (5.65565e-3, [
            1.7114159947195877, 17.683198180949063, 1.1631436609188925, 5.186561551993451, 1.7114159947195877, 1.1631436609188925,
        ]),
    ),
    problem("osborne_2", r.osborne_2, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], 65,
        (4.01377e-2, [
            1.3099771546273007, 0.431553794602989, 0.633661698960724, 0.5994305347859162, 0.7541832263280114, 0.9042885798596336,
            1.3658118352370279, 4.823698817227157, 2.3986848661317546, 4.568874597667672, 5.6753414705806415,
        ]),
    ),
    problem("watson_6", r.watson, np.zeros(6), 31,
        (2.28767e-3, [
            -0.01572508640145843, 1.0124348693691099, -0.23299162595673695, 1.2604300877996055, -1.5137289227222757,
            0.9929964324311327,
        ]),
    ),
    problem("watson_9", r.watson, np.zeros(9), 31,
        (1.39976e-6, [
            -1.5307036521403266e-5, 0.9997897039319483, 0.014763963693560233, 0.146342328299322, 1.0008211030049168,
            -2.617731140519554, 4.104403164479594, -3.14361227855695, 1.0526264080103054,
        ]),
    ),
    problem("watson_12", r.watson, np.zeros(12), 31,
        (4.72238e-10, [
            -6.638060467758891e-9, 1.0000016441178619, -0.0005639322103110821, 0.3478205405034476, -0.15673150409128733,
            1.052815177185306, -3.2472711534001535, 7.288434897834806, -10.271848241205944, 9.074113646993439, -4.541375466659075,
            1.01201188854677,
        ]),
    ),
    problem("extended_rosenbrock_10", r.extended_rosenbrock, np.tile([-1.2, 1], 5), 10, (0, np.ones(10))),
    problem("extended_powell_12", r.extended_powell, np.tile([3, -1, 0, 1], 3), 12, (0, np.zeros(12))),
    problem("penalty_1_4", r.penalty_1, np.arange(1, 5), 5, (2.24997e-5, np.full(4, 0.2500074995875379))),
    problem("penalty_1_10", r.penalty_1, np.arange(1, 11), 11, (7.08765e-5, np.full(10, 0.15812230111311634))),
    problem("penalty_2_4", r.penalty_2, np.full(4, 0.5), 8,
        (9.37629e-6, [0.1999993333503804, 0.19131670099277245, 0.4801014853326232, 0.5188454043902005]),
    ),
    problem("penalty_2_10", r.penalty_2, np.full(10, 0.5), 20,
        (2.93660e-4, [
            0.19998360519782363, 0.010350648471292299, 0.019604934480438405, 0.03208906722068565, 0.0499326773996413,
            0.07651399515399361, 0.11862407286950419, 0.1921448723355767, 0.3473205869418436, 0.36916437415935077,
        ]),
    ),
    problem("variably_dimensioned_10", r.variably_dimensioned, 1 - np.arange(1, 11) / 10, 12, (0, np.ones(10))),
    problem("trigonometric_10", r.trigonometric, np.full(10, 0.1), 10,
        (0, np.zeros(10)),
        (2.79506e-5, [
            0.05515090398069129, 0.05684061679473856, 0.058764001762695084, 0.06099060865676081, 0.06362621369585451,
            0.06684317945275879, 0.20816151856988116, 0.16436309588564774, 0.08500689568850744, 0.09143145071470794,
        ]),
    ),
    problem("brown_almost_linear_10", r.brown_almost_linear, np.full(10, 0.5), 10,
        (0, np.ones(10)),
        (0, np.append(np.full(9, 0.9794303033498625), 1.2056969665013755)),
        (1, np.append(np.zeros(9), 11)),
    ),
    problem("discrete_boundary_value_10", r.discrete_boundary_value, T * (T - 1), 10,
        (0, [
            -0.04316498251876487, -0.08157715653538689, -0.11448571438052929, -0.14097357686259668, -0.1599086961819831,
            -0.16987720231277492, -0.16908998378120835, -0.15524953522183182, -0.125355891678935, -0.07541653368589209,
        ]),
    ),
    problem("discrete_integral_equation_10", r.discrete_integral_equation, T * (T - 1), 10,
        (0, [
            -0.04316498251876487, -0.08157715653538689, -0.11448571438052928, -0.14097357686259668, -0.1599086961819831,
            -0.16987720231277492, -0.16908998378120835, -0.15524953522183182, -0.12535589167893496, -0.07541653368589211,
        ]),
    ),
    problem("broyden_tridiagonal_10", r.broyden_tridiagonal, -np.ones(10), 10,
        (0, [
            -0.5707221320112248, -0.681806949984275, -0.7022100760176601, -0.7055106298950804, -0.7049061557287437,
            -0.7014966070298512, -0.6918893223547983, -0.6657965144058537, -0.5960351090263657, -0.4164122575286934,
        ]),
    ),
    problem("broyden_banded_10", r.broyden_banded, -np.ones(10), 10,
        (0, [
            -0.4283028635872503, -0.47659642435629024, -0.5196524636468617, -0.5580993248321809, -0.5925061568294574,
            -0.624503682199468, -0.6232394714405911, -0.6213938417965735, -0.6204535966590874, -0.5864692707204351,
        ]),
    ),
    problem("linear_full_rank_5", partial(r.linear_full_rank, 10), np.ones(5), 10, (5, -np.ones(5))),
    problem("linear_rank_1_5", partial(r.linear_rank_1, 10), np.ones(5), 10, (15 / 7, np.full(5, 1 / 105))),
    problem("linear_rank_1_zero_5", partial(r.linear_rank_1_zero, 10), np.ones(5), 10, (62 / 17, [0, 1 / 51, 1 / 51, 1 / 51, 0])),
    problem("chebyquad_7", r.chebyquad, np.arange(1, 8) / 8, 7,
        (0, [
            0.05806914962097548, 0.2351716123574216, 0.3380440947400462, 0.5, 0.6619559052599538, 0.7648283876425784,
            0.9419308503790246,
        ]),
    ),
    problem("chebyquad_8", r.chebyquad, np.arange(1, 9) / 9, 8,
        (3.51687e-3, [
            0.04315276015101663, 0.1930908403841861, 0.26632870689027294, 0.5, 0.5, 0.7336712931097271, 0.8069091596158139,
            0.9568472398489833,
        ]),
    ),
    problem("chebyquad_9", r.chebyquad, np.arange(1, 10) / 10, 9,
        (0, [
            0.04420534613578276, 0.19949067230988096, 0.23561910847106002, 0.416046907892598, 0.5, 0.583953092107402,
            0.76438089152894, 0.8005093276901191, 0.9557946538642172,
        ]),
    ),
    problem("chebyquad_10", r.chebyquad, np.arange(1, 11) / 11, 10,
        (4.77271e-3, [
            0.07474816621460248, 0.17151817694809265, 0.286434152584, 0.35964645062893413, 0.47075052286659347, 0.616738335038745,
            0.616738335038745, 0.7998108015386137, 0.8448546422409267, 0.9670066269819255,
        ]),
        (6.50395e-3, [
            0.059619900535812696, 0.1667082818358614, 0.2391706589426085, 0.3988842923060445, 0.3988842923060445,
            0.6011157076939555, 0.6011157076939555, 0.7608293410573915, 0.8332917181641386, 0.9403800994641873,
        ]),
    ),
]
PROBLEMS = {row.name: row for row in ROWS}
