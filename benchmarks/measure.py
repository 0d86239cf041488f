"""Measuring side by side: in every round each tool is sampled once, in a new order, so what disturbs the machine disturbs all.

    sample       one measurement of one tool: a loop of calls long enough to time, or one fresh process
    median       of a tool's samples; its subject, the tool in question, is the first of a case
    comparison   median of the subject over (or minus) the median of another tool, with the interval that holds 95 % of it
                 when whole rounds are drawn again with replacement (the bootstrap; a round keeps its tools together)

Before anything is measured all tools of a case must give the same answer.  What the first call costs (imports, compilation, caches)
stands apart, and so does peak memory, which `Peak` measures.
"""
from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class BenchmarkError(Exception):
    """What ends a benchmark with one line that says why."""


class DisagreementError(BenchmarkError):
    """Two tools of a case gave different answers, so their costs do not compare."""


@dataclass(frozen=True)
class Tool:
    """One way to do what a case asks.  An attribute `first` of the sampler, if there is one, is the cost of its first call."""

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
    seconds: float | None = None  # for at most so long, once there are rounds enough for an interval
    note: str = ""  # why it stands where it stands: RESULTS.md prints it where the subject loses
    tags: dict[str, Any] = field(default_factory=dict)  # sizes and the like, for a suite's own figure


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
    first: dict[str, float] = field(default_factory=dict)  # the first call, in the unit of the case, where it was timed

    @property
    def subject(self) -> str:
        return self.case.tools[0].name

    def median(self, tool: str) -> float:
        return float(np.median(self.samples[tool]))

    def compare(self, tool: str) -> Comparison:
        """The subject against a tool."""
        return self.between(self.subject, tool)

    def between(self, first: str, second: str) -> Comparison:
        """One tool against another."""
        how = difference_of_medians if self.case.difference else ratio_of_medians
        return how(self.samples[first], self.samples[second])

    def reached(self, tool: str) -> bool | None:
        """Is the target against this tool reached?  None if there is none, or the tool was not measured."""
        if tool not in self.case.targets or tool not in self.samples:
            return None
        return self.compare(tool).value <= self.case.targets[tool]


def is_objective(tool: str) -> bool:
    """Is this tool the function itself, measured for the ratio derivative / objective?"""
    return tool.endswith(", objective")


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

    The first call is timed apart, and those that follow find out how many calls that loop takes.  `prepare` runs before the
    clock does.
    """

    def __init__(
        self, run: Callable[[], Any], operations: int = 1, prepare: Callable[[], Any] = lambda: None, at_least: float = 5e-3
    ) -> None:
        self.run, self.operations, self.prepare, self.at_least, self.calls = run, operations, prepare, at_least, 0
        self.first: float | None = None

    def __call__(self) -> float:
        self.prepare()
        if self.calls:
            elapsed = self._elapsed()
        else:
            self.calls = 1
            self.first = self._elapsed() / self.operations * 1e6
            while (elapsed := self._elapsed()) < self.at_least:
                self.calls *= 2
        return elapsed / self.calls / self.operations * 1e6

    def _elapsed(self) -> float:
        run, calls = self.run, range(self.calls)
        start = time.perf_counter()
        for _ in calls:
            run()
        return time.perf_counter() - start


class Peak:
    """Megabytes that one call of `run` needs at most, as tracemalloc sees them: all of NumPy's, none of another library's."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self.run = run

    def __call__(self) -> float:
        self.run()  # what the first call makes and keeps is not counted
        tracemalloc.start()
        try:
            self.run()
            return tracemalloc.get_traced_memory()[1] / 1e6
        finally:
            tracemalloc.stop()


def timed(
    name: str,
    run: Callable[[], Any],
    answer: Callable[[Any], Sequence[Any]] | None = None,
    operations: int = 1,
    prepare: Callable[[], Any] = lambda: None,
) -> Tool:
    """A tool whose samples are microseconds; `answer` makes arrays of what `run` returns, if they are to be compared."""
    return Tool(name, Stopwatch(run, operations, prepare), None if answer is None else lambda: answer(run()))


def single(result: Any) -> list[Any]:
    """The answer that is one array."""
    return [result]


def measure(case: Case, rounds: int, seconds: float = np.inf, least: int = 5) -> Result:
    """Sample every tool once per round, after one round that does not count and the comparison of answers.

    The order is drawn anew each round.  After the `least` number of rounds it stops when the case has taken so many seconds.
    """
    first = {}
    for tool in case.tools:
        tool.sample()
        if (cost := getattr(tool.sample, "first", None)) is not None:
            first[tool.name] = cost
    check_answers(case)
    samples: dict[str, list[float]] = {tool.name: [] for tool in case.tools}
    order, shuffle = list(case.tools), random.Random(0).shuffle
    wanted, end = rounds_of(case, rounds), time.monotonic() + min(seconds, np.inf if case.seconds is None else case.seconds)
    for done in range(wanted):
        if done >= least and time.monotonic() > end:
            break
        shuffle(order)
        for tool in order:
            samples[tool.name].append(tool.sample())
    return Result(case, {name: np.array(values) for name, values in samples.items()}, first)


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
