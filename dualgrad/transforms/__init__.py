"""Transforms: short sentences composing interpreters."""
