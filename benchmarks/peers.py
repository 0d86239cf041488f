"""The libraries measured against, each optional: an absent one is None, and its rows are left out."""
from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

HINT = 'pip install "dualgrad[bench]"'


@dataclass(frozen=True)
class Peers:
    """Modules, or None.  JAX computes in float64."""

    torch: Any = None
    jax: Any = None
    autograd: Any = None

    def missing(self) -> list[str]:
        """The names of those not installed, as tables name them."""
        known = {"PyTorch": self.torch, "JAX": self.jax, "HIPS autograd": self.autograd}
        return [name for name, module in known.items() if module is None]


def load() -> Peers:
    """Import what is installed."""
    torch, jax, autograd = _optional("torch"), _optional("jax"), _optional("autograd")
    if torch is not None:
        importlib.import_module("torch.autograd.forward_ad")
    if jax is not None:
        jax.config.update("jax_enable_x64", True)
    if autograd is not None:
        importlib.import_module("autograd.numpy")
        importlib.import_module("autograd.differential_operators")
    return Peers(torch, jax, autograd)


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
