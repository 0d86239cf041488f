"""The table of suites: what each is about, where its cases are made, and what it adds to the common table and figure.

A suite is a function from the peers (one at a time, in a process of its own) to its cases; what it names among `quick` and `data`
it is given.  Places are written `module:function`.
"""
from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """What the command needs to know of a suite."""

    about: str  # one line for people
    cases: str  # (peers) -> list of Case
    summary: str | None = None  # (results) -> text, below the table
    figure: str | None = None  # (figure_type, path, results, about), in place of the common figure
    tabulated: bool = True  # are the cases few enough for a table?


def found(place: str) -> Callable:
    """The function at a place."""
    module, function = place.split(":")
    return getattr(importlib.import_module(module), function)


SUITES = {
    "modes": Suite(
        "Forward or reverse, mapped or looped, chunked, checkpointed: which is fastest, and does `auto` know?",
        "modes:modes", summary="modes:summary", figure="modes:draw", tabulated=False,
    ),
    "dispatch": Suite("The way through the library, where the numbers are few.", "dispatch:dispatch"),
    "scaling": Suite("Time and memory, as programs grow longer and arrays larger.", "scaling:scaling"),
    "training": Suite("One step of training: loss, gradient by name, parameters moved.", "training:training"),
    "second-order": Suite("Hessians, their products, diagonals and traces; Gauss–Newton products.", "second_order:second_order"),
    "adbench": Suite("The problems of Šrajer, Kukelová and Fitzgibbon (2018).", "adbench:adbench", summary="adbench:table"),
    "import": Suite("What it takes to start.", "startup:startup"),
}  # fmt: skip
