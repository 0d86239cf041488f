"""Where and with what something was measured, and how steady the machine was.

    calibration    one fixed loop of Python and NumPy, timed before, between and after all cases: its spread is the noise of the
                   run, its median the speed of the machine, by which runs on two machines compare
"""
from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def calibrate() -> float:
    """Milliseconds for a fixed amount of work: 20 000 turns of a Python loop, and 150 small NumPy calls."""
    start = time.perf_counter()
    total = 0.0
    for k in range(20_000):
        total += 0.5 * k
    x = np.linspace(0.0, 1.0, 4096)
    for _ in range(50):
        x = np.sin(x) * 1.0001 + 0.1
    return (time.perf_counter() - start) * 1e3


def calibration(samples: Sequence[float]) -> dict[str, Any]:
    """The samples, their median and their spread: the middle nine tenths, in parts of the median.

    >>> calibration([4.0, 4.0, 5.0])["median"]
    4.0
    """
    low, middle, high = np.quantile(samples, [0.05, 0.5, 0.95])
    return {"unit": "ms", "median": float(middle), "spread": float((high - low) / middle), "samples": list(samples)}


def machine() -> dict[str, Any]:
    """Processor, system, load, versions of all that is installed."""
    info: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }
    if hasattr(os, "getloadavg"):
        info["load average"] = round(os.getloadavg()[0], 2)
    return info | {"python": platform.python_version()} | dict(_versions())


def described(machine: dict[str, Any]) -> list[str]:
    """The machine in one line, what is installed in another."""
    facts = [str(value) if name in ("processor", "system") else f"{name} {value}" for name, value in machine.items()]
    split = list(machine).index("python")
    return [", ".join(facts[:split]), ", ".join(facts[split:])]


def steadiness(about: dict[str, Any]) -> str:
    """What the calibration of a run says, in one line; a warning where ratios are all one should read."""
    found, load = about["calibration"], about["machine"].get("load average", 0.0)
    text = f"The calibration loop took {found['median']:.2f} ms, nine tenths of the time within {found['spread']:.0%} of each other"
    noisy = found["spread"] > 0.25 or load > 0.5
    return text + (f" (load average {load} at the start): read ratios, and least those of a wide interval." if noisy else ".")


def _versions() -> Iterator[tuple[str, str]]:
    for package in ("dualgrad", "numpy", "scipy", "torch", "jax", "autograd"):
        try:
            yield package, importlib.metadata.version(package)
        except ImportError:
            continue


def _processor() -> str:
    """The name of the processor, as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
