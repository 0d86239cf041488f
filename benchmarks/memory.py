"""Peak memory, each measurement in a fresh process: `python benchmarks/memory.py WHAT` prints it as JSON.

    gradient WITH    a chain of 50 elementwise operations on 10^6 elements, reverse mode, by dualgrad or torch: the growth
                     of the process from just before the gradient to its peak
    traced           the same by dualgrad, as tracemalloc sees it (PyTorch's allocations it does not see)
    tape ADDITIONS   a tape of so many additions of 1 to 10^6 elements: what it keeps alive, as tracemalloc sees it

The peak resident size of a process is reset, or at least read, by the process itself: what `getrusage` reports of a
child includes the size of its parent before exec, and the parent here has all peers loaded.
"""
from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import Tool

ELEMENTS = 1_000_000
MEGABYTE = 1e6


def chain(xp: Any, x: Any) -> Any:
    """Ten times five elementwise operations; those of x, 0.5 and tanh keep every value in [1/e, e]."""
    s = x
    for _ in range(10):
        s = xp.exp(xp.tanh(xp.sin(s) * x + 0.5))
    return xp.sum(s)


class Fresh:
    """Runs this file with the given arguments in a new process: megabytes per call; the gradient's sum is kept as answer."""

    def __init__(self, *arguments: str) -> None:
        self.command = [sys.executable, __file__, *arguments]
        self.checksum = 0.0

    def __call__(self) -> float:
        done = subprocess.run(self.command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(self.command)} failed:\n{done.stderr}")
        found = json.loads(done.stdout)
        self.checksum = found["checksum"]
        return found["bytes"] / MEGABYTE

    def answer(self) -> list[float]:
        return [self.checksum]

    def tool(self, name: str) -> Tool:
        return Tool(name, self, self.answer)


# ---- in the fresh process ------------------------------------------------------------------------------------------


def measured(arguments: list[str]) -> dict[str, float]:
    """What the command line asked for."""
    what, *rest = arguments
    x = np.linspace(0.1, 1.0, ELEMENTS)
    if what == "tape":
        return _kept_by_a_tape(x, int(rest[0]))
    differentiate = _by_torch() if rest == ["torch"] else _by_dualgrad()
    differentiate(x[::25].copy())  # loads and starts what the first gradient loads and starts
    if what == "traced":
        tracemalloc.start()
        gradient = differentiate(x)
        return {"bytes": tracemalloc.get_traced_memory()[1], "checksum": float(np.sum(gradient))}
    before = _resident(reset=True)
    gradient = differentiate(x)
    return {"bytes": _resident() - before, "checksum": float(np.sum(gradient))}


def _by_dualgrad() -> Callable:
    return importlib.import_module("dualgrad").grad(lambda x: chain(np, x))


def _by_torch() -> Callable:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)

    def gradient(x: Any) -> Any:
        leaf = torch.from_numpy(x).requires_grad_()
        chain(torch, leaf).backward()
        return leaf.grad.numpy()

    return gradient


def _kept_by_a_tape(x: Any, additions: int) -> dict[str, float]:
    tape_type = importlib.import_module("dualgrad").Tape
    tracemalloc.start()
    with tape_type() as tape:
        y = tape.watch(x)
        for _ in range(additions):
            y = y + 1.0
    kept = tracemalloc.get_traced_memory()[0]
    return {"bytes": kept, "checksum": float(np.sum(tape.pullback(y)[0]))}


def _resident(reset: bool = False) -> int:
    """The peak resident size of this process in bytes; with `reset`, the present size, from where the peak starts anew."""
    try:
        if reset:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
                control.write("5")
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        usage = importlib.import_module("resource").getrusage(importlib.import_module("resource").RUSAGE_SELF).ru_maxrss
        return usage if sys.platform == "darwin" else usage * 1024


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1:])))
