"""Fourier transforms: all norms, odd and even lengths, cropped and padded, real and complex."""
from __future__ import annotations

from typing import Any

import numpy as np
from table.case import Case

import dualgrad.rules.fft

assert dualgrad.rules.fft  # its rules are loaded late, and all of them must have a row
A = np.array
REAL = A([[0.3, -0.7, 0.55, 1.2], [-0.2, 0.8, -0.45, 0.1], [1.4, 0.05, -0.9, 0.6]])
COMPLEX = REAL + 1j * REAL[::-1, ::-1] * 0.7


def _rows(name: str, x: Any) -> list[Case]:
    f = getattr(np.fft, name)
    return [
        Case(f"{name}", f, (x,)),
        *(
            Case(f"{name}: n={n}, norm={norm}", lambda x, n=n, norm=norm: f(x, n, 0, norm), (x,), order=1)
            for n in (None, 2, 5)
            for norm in ("ortho", "forward")
        ),
    ]


ROWS: list[Case] = [
    *_rows("fft", COMPLEX),
    *_rows("ifft", COMPLEX),
    *_rows("rfft", REAL),
    *_rows("irfft", COMPLEX),
    *_rows("hfft", COMPLEX),
    *_rows("ihfft", REAL),
    Case("fft: real", np.fft.fft, (REAL,)),
    Case("fft2", np.fft.fft2, (COMPLEX,)),
    Case("ifft2: sizes", lambda x: np.fft.ifft2(x, (4, 3)), (COMPLEX,)),
    Case("fftn", np.fft.fftn, (REAL,)),
    Case("ifftn: axes", lambda x: np.fft.ifftn(x, axes=(0,)), (COMPLEX,)),
    Case("rfft2", np.fft.rfft2, (REAL,)),
    Case("irfft2", np.fft.irfft2, (COMPLEX,)),
    Case("rfftn: sizes", lambda x: np.fft.rfftn(x, (2, 5), (1, 0)), (REAL,)),
    Case("irfftn: sizes", lambda x: np.fft.irfftn(x, (3, 5), (0, 1)), (COMPLEX,)),
    Case("fftshift", np.fft.fftshift, (REAL,)),
    Case("ifftshift: axes", lambda x: np.fft.ifftshift(x, 1), (REAL,)),
]
