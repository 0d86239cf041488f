"""Measuring side by side: in every round each tool is sampled once, in a new order, so what disturbs the machine disturbs all.

    sample       one measurement of one tool: a loop of calls long enough to time, or one fresh process
    median       of a tool's samples; its subject, the tool in question, is the first of a case
    comparison   median of the subject over (or minus) the median of another tool, with the interval that holds 95 % of it
                 when whole rounds are drawn again with replacement (the bootstrap; a round keeps its tools together)

Before anything is measured all tools of a case must give the same answer.
"""
from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class DisagreementError(Exception):
    """Two tools of a case gave different answers, so their costs do not compare."""


@dataclass(frozen=True)
class Tool:
    """One way to do what a case asks."""

    name: str
    sample: Callable[[], float]
    answer: Callable[[], Sequence[Any]] | None = None  # arrays, the same for every tool of the case


@dataclass(frozen=True)
class Case:
    """What is measured.  The first tool is the subject; a target is the most that its comparison with a tool may be."""

    name: str
    unit: str
    tools: Sequence[Tool]
    targets: dict[str, float] = field(default_factory=dict)  # name of the tool compared with -> limit
    difference: bool = False  # compare by difference, in the unit, and not by ratio
    rounds: int | None = None  # at most so many, where one sample is slow


@dataclass(frozen=True)
class Comparison:
    """Subject against another tool, and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """A case with the samples of its tools; column k of all of them is round k."""

    case: Case
    samples: dict[str, np.ndarray]

    @property
    def subject(self) -> str:
        return self.case.tools[0].name

    def median(self, tool: str) -> float:
        return float(np.median(self.samples[tool]))

    def compare(self, tool: str) -> Comparison:
        """The subject against a tool."""
        how = difference_of_medians if self.case.difference else ratio_of_medians
        return how(self.samples[self.subject], self.samples[tool])

    def reached(self, tool: str) -> bool | None:
        """Is the target against this tool reached?  None if there is none, or the tool was not measured."""
        if tool not in self.case.targets or tool not in self.samples:
            return None
        return self.compare(tool).value <= self.case.targets[tool]


def ratio_of_medians(above: Any, below: Any) -> Comparison:
    """median(above) / median(below).

    >>> ratio_of_medians([2.0, 2.0, 2.0], [4.0, 4.0, 4.0])
    Comparison(value=0.5, low=0.5, high=0.5)
    """
    return _bootstrap(lambda a, b: np.median(a, axis=-1) / np.median(b, axis=-1), above, below)


def difference_of_medians(first: Any, second: Any) -> Comparison:
    """median(first) - median(second).

    >>> difference_of_medians([5.0, 5.0, 5.0], [4.0, 4.0, 4.0])
    Comparison(value=1.0, low=1.0, high=1.0)
    """
    return _bootstrap(lambda a, b: np.median(a, axis=-1) - np.median(b, axis=-1), first, second)


def _bootstrap(statistic: Callable, a: Any, b: Any, resamples: int = 2000) -> Comparison:
    a, b = np.asarray(a), np.asarray(b)
    drawn = np.random.default_rng(0).integers(len(a), size=(resamples, len(a)))
    low, high = np.quantile(statistic(a[drawn], b[drawn]), [0.025, 0.975])
    return Comparison(float(statistic(a, b)), float(low), float(high))


class Stopwatch:
    """Microseconds per call of `run` (or per one of its `operations`), from a loop of at least `at_least` seconds.

    The first call finds out how many calls that takes, and warms up on the way.  `prepare` runs before the clock does.
    """

    def __init__(
        self, run: Callable[[], Any], operations: int = 1, prepare: Callable[[], Any] = lambda: None, at_least: float = 5e-3
    ) -> None:
        self.run, self.operations, self.prepare, self.at_least, self.calls = run, operations, prepare, at_least, 0

    def __call__(self) -> float:
        self.prepare()
        if not self.calls:
            self.run()
            self.calls = 1
            while self._elapsed() < self.at_least:
                self.calls *= 2
        return self._elapsed() / self.calls / self.operations * 1e6

    def _elapsed(self) -> float:
        run, calls = self.run, range(self.calls)
        start = time.perf_counter()
        for _ in calls:
            run()
        return time.perf_counter() - start


def measure(case: Case, rounds: int, step: Callable[[], Any] = lambda: None) -> Result:
    """Sample every tool once per round, after one round that does not count and the comparison of answers.

    The order is drawn anew each round, and every sample starts with no garbage left over by another tool.
    """
    for tool in case.tools:
        tool.sample()
    check_answers(case)
    samples: dict[str, list[float]] = {tool.name: [] for tool in case.tools}
    order, shuffle = list(case.tools), random.Random(0).shuffle
    gc.freeze()  # modules and inputs: what collecting garbage need not look at again
    try:
        for _ in range(rounds_of(case, rounds)):
            shuffle(order)
            for tool in order:
                gc.collect()
                samples[tool.name].append(tool.sample())
            step()
    finally:
        gc.unfreeze()
    return Result(case, {name: np.array(values) for name, values in samples.items()})


def rounds_of(case: Case, rounds: int) -> int:
    """How many rounds this case gets when `rounds` are asked for."""
    return rounds if case.rounds is None else min(rounds, case.rounds)


def check_answers(case: Case) -> None:
    """All tools that give an answer give the same, to 1e-8 of its largest element; DisagreementError otherwise."""
    answers = {tool.name: tool.answer() for tool in case.tools if tool.answer is not None}
    (first, expected), *others = answers.items() if answers else [("", ())]
    for name, answer in others:
        if len(answer) != len(expected):
            raise DisagreementError(f"{case.name}: {first} gives {len(expected)} arrays, {name} {len(answer)}.")
        for k, (one, other) in enumerate(zip(expected, answer)):
            one, other = np.asarray(one), np.asarray(other)
            if one.shape != other.shape:
                raise DisagreementError(f"{case.name}: array {k} is {one.shape} from {first}, {other.shape} from {name}.")
            error = np.max(np.abs(one - other), initial=0.0) / np.max(np.abs(one), initial=1e-300)
            if not error <= 1e-8:
                raise DisagreementError(f"{case.name}: array {k} from {name} is off that from {first} by {error:.1e} of its size.")


def machine() -> dict[str, Any]:
    """Where and with what this was measured: processor, system, load, versions of all that is installed."""
    info: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "system": platform.platform(terse=True),
    }
    if hasattr(os, "getloadavg"):
        info["load average"] = round(os.getloadavg()[0], 2)
    return info | {"python": platform.python_version()} | dict(_versions())


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
