"""The table of derivatives.  Importing this package declares every rule."""
from dualgrad.core.traced import install_operators
from dualgrad.rules import contraction, creation, elementwise, indexing, joining, reductions, shaping

__all__ = ["contraction", "creation", "elementwise", "indexing", "joining", "reductions", "shaping"]

install_operators()
