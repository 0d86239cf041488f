"""The nonlinear regression problems of NIST's Statistical Reference Datasets: y = model(x, b) + e, certified to eleven digits.

    minimize S(b) = Σ (model(xᵢ, b) - yᵢ)²;   s² = S / (number of data - number of parameters);   deviations = s √diag (Jᵀ J)⁻¹

The folder nist/ holds NIST's own files, unchanged (public domain, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml; the
copies are those of lmfit's NIST_STRD).  A file names the lines of its starting values, certified values and data.  NIST found
the certified values in 128-bit arithmetic with two algorithms that agree.  The first of the two starts is the harder one.

    lower     Misra1a Chwirut2 Chwirut1 Lanczos3 Gauss1 Gauss2 DanWood Misra1b
    average   Kirby2 Hahn1 Nelson MGH17 Lanczos1 Lanczos2 Gauss3 Misra1c Misra1d Roszman1 ENSO
    higher    MGH09 Thurber BoxBOD Rat42 MGH10 Eckerle4 Rat43 Bennett5

Lanczos1 has S = 1.43e-25, data and model being equal to thirteen digits: in float64 its S has three digits at best, and at the
printed parameters none.  Nelson's response is log y, and its x has two rows.  Rat43's file prints 9 degrees of freedom; its
standard deviations are those of 15 - 4 = 11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from problems.problem import fixed


@dataclass(frozen=True, eq=False)
class Dataset:
    """n observations; x is (n,), Nelson's (2, n).  The level is lower, average or higher."""

    name: str
    level: str
    model: Callable[[Any, Any], Any]
    x: np.ndarray
    y: np.ndarray
    starts: tuple[np.ndarray, np.ndarray]
    parameters: np.ndarray
    deviations: np.ndarray
    residual_sum_of_squares: float
    residual_standard_deviation: float

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.y) - len(self.parameters)

    def residuals(self, b: Any) -> Any:
        return self.model(self.x, b) - self.y


# ---- the models ------------------------------------------------------------------------------------------------------


def saturation(x, b):
    return b[0] * (1 - np.exp(-b[1] * x))


def misra1b(x, b):
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def misra1c(x, b):
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def misra1d(x, b):
    return b[0] * b[1] * x / (1 + b[1] * x)


def chwirut(x, b):
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def lanczos(x, b):
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def gauss(x, b):
    decay = b[0] * np.exp(-b[1] * x)
    return decay + b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)


def power(x, b):
    return b[0] * x ** b[1]


def quadratics(x, b):
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def cubics(x, b):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def nelson(x, b):
    return b[0] - b[1] * x[0] * np.exp(-b[2] * x[1])


def two_exponentials(x, b):
    return b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4])


def roszman(x, b):
    return b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi


def enso(x, b):
    angles = 2 * np.pi * x / 12, 2 * np.pi * x / b[3], 2 * np.pi * x / b[6]
    year = b[0] + b[1] * np.cos(angles[0]) + b[2] * np.sin(angles[0])
    return year + b[4] * np.cos(angles[1]) + b[5] * np.sin(angles[1]) + b[7] * np.cos(angles[2]) + b[8] * np.sin(angles[2])


def kowalik_osborne(x, b):
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def meyer(x, b):
    return b[0] * np.exp(b[1] / (x + b[2]))


def logistic(x, b):
    return b[0] / (1 + np.exp(b[1] - b[2] * x))


def richards(x, b):
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def bell(x, b):
    return b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def bennett(x, b):
    return b[0] * (b[1] + x) ** (-1 / b[2])


#: In NIST's order, from the lower level to the higher one.
MODELS = {
    "Misra1a": saturation,
    "Chwirut2": chwirut,
    "Chwirut1": chwirut,
    "Lanczos3": lanczos,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "DanWood": power,
    "Misra1b": misra1b,
    "Kirby2": quadratics,
    "Hahn1": cubics,
    "Nelson": nelson,
    "MGH17": two_exponentials,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Gauss3": gauss,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Roszman1": roszman,
    "ENSO": enso,
    "MGH09": kowalik_osborne,
    "Thurber": cubics,
    "BoxBOD": saturation,
    "Rat42": logistic,
    "MGH10": meyer,
    "Eckerle4": bell,
    "Rat43": richards,
    "Bennett5": bennett,
}

# ---- the files -------------------------------------------------------------------------------------------------------


def read(name: str, number: Callable[[str], Any] = float) -> Dataset:
    """The dataset in nist/<name>.dat, every number read by `number`, which may keep more digits than float does."""
    text = (Path(__file__).parent / "nist" / f"{name}.dat").read_text(encoding="ascii")
    lines = text.splitlines()

    def block(title: str) -> np.ndarray:
        """The numbers of the lines that the head of the file announces, one row per column there."""
        first, last = map(int, re.search(rf"{title} +\(lines +(\d+) +to +(\d+)\)", text).groups())
        return np.array([[number(word) for word in line.split("=")[-1].split()] for line in lines[first - 1 : last]]).T

    def value(title: str) -> str:
        return re.search(rf"{title}: +(\S+)", text)[1]

    start_1, start_2, parameters, deviations = block("Starting Values")
    y, *x = block("Data")
    return Dataset(
        name=name,
        level=re.search(r"(Lower|Average|Higher) +Level", text)[1].lower(),
        model=MODELS[name],
        x=fixed(x if len(x) > 1 else x[0]),
        y=fixed(np.log(y) if name == "Nelson" else y),
        starts=(fixed(start_1), fixed(start_2)),
        parameters=fixed(parameters),
        deviations=fixed(deviations),
        residual_sum_of_squares=number(value("Residual Sum of Squares")),
        residual_standard_deviation=number(value("Residual Standard Deviation")),
    )


DATASETS = {name: read(name) for name in MODELS}
