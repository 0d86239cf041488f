"""Primitives, traced values, the registry."""
