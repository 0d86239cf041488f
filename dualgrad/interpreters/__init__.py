"""One file per meaning of applying a primitive."""
from dualgrad.interpreters import laurent as laurent  # whose values no transform makes, but core/splitting.py
