"""`numpy.linalg`, whose functions also take nested lists that hold traced values."""
from __future__ import annotations

from typing import Any

import numpy as _numpy

from dualgrad.numpy.forwarding import forwarder as _forwarder

_forward = _forwarder(_numpy.linalg, globals(), {"multi_dot"}, set())


def __getattr__(name: str) -> Any:
    return _forward(name)


def __dir__() -> list[str]:
    return dir(_numpy.linalg)
