"""The libraries measured against, each optional: an absent one is None, and its rows are left out."""
from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HINT = 'pip install "dualgrad[bench]"'
TORCH, HIPS, JAX = "PyTorch", "HIPS autograd", "JAX, jit"  # as tables name their tools

#: The name of a peer, as a table names it -> the package it comes in.
PACKAGES = {"PyTorch": "torch", "HIPS autograd": "autograd", "JAX": "jax"}


@dataclass(frozen=True)
class Peers:
    """Modules, or None.  JAX computes in float64."""

    torch: Any = None
    jax: Any = None
    autograd: Any = None


def installed() -> list[str]:
    """The names of the peers that are there, found out without importing them."""
    return [name for name, package in PACKAGES.items() if importlib.util.find_spec(package) is not None]


def load(name: str | None) -> Peers:
    """One peer, imported; or none."""
    if name is None:
        return Peers()
    package = PACKAGES[name]
    if package == "jax":  # one thread, as for all others
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    module = importlib.import_module(package)
    if package == "torch":
        importlib.import_module("torch.autograd.forward_ad")
        module.set_num_threads(1)
    if package == "jax":
        module.config.update("jax_enable_x64", True)
    if package == "autograd":
        importlib.import_module("autograd.numpy")
        importlib.import_module("autograd.differential_operators")
    return Peers(**{package: module})


def threads(torch: Any, count: int = 1) -> Callable[[], None]:
    """What a tool of PyTorch prepares, where a neighbour of it may have changed the number of threads."""
    return functools.partial(torch.set_num_threads, count)
