"""Milliseconds of a new interpreter that imports and exits.

Compiled modules are kept in a folder of this run, whatever the environment says about keeping them: where they are not kept,
compiling the sources of dualgrad costs four times as much as importing it.
"""
from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time

from measure import Case, Tool
from peers import HIPS, TORCH, Peers


def startup(peers: Peers) -> list[Case]:
    """What `import dualgrad` adds to `import numpy, scipy`, and what the peers add to `import numpy`."""
    ours = ("numpy, scipy, dualgrad", "numpy, scipy", "numpy, scipy.special")
    theirs = [
        (TORCH, peers.torch, "torch"),
        (HIPS, peers.autograd, "autograd.numpy"),
        ("JAX", peers.jax, "jax.numpy"),
    ]
    tools = [importing(f"import {modules}", modules) for modules in ours]
    tools += [importing(f"{name}, import {module}", module) for name, there, module in theirs if there]
    return [Case("import dualgrad", "ms", tools, {"import numpy, scipy": 60.0}, difference=True, rounds=15, seconds=20)]


def importing(name: str, modules: str) -> Tool:
    """A tool whose sample is a new process."""
    command = [sys.executable, "-c", f"import {modules}"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

    def sample() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, env=environment | {"PYTHONPYCACHEPREFIX": _compiled()})
        return (time.perf_counter() - start) * 1e3

    return Tool(name, sample)


@functools.cache
def _compiled() -> str:
    """A folder for compiled modules that vanishes with this run."""
    folder = tempfile.mkdtemp(prefix="benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
