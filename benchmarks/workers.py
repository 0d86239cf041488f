"""One process per library: whatever threads, allocators and imports one brings, the others do not feel.

A worker imports its one peer (or none), builds the cases of a suite there, and samples one tool on request; it sleeps while another
is sampled.  In the process that measures, such a tool is like any other: its sampler asks the worker.
"""
from __future__ import annotations

import dataclasses
import gc
import inspect
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
from measure import BenchmarkError, Case, Tool
from peers import Peers, load
from suites import found


class Worker:
    """A process that holds one peer, or dualgrad alone."""

    def __init__(self, peer: str | None = None) -> None:
        self.name = peer or "dualgrad"
        # spawned, not forked: a fork would inherit what this process has loaded
        self.process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(peer,))

    def ask(self, question: Callable, *arguments: Any) -> Any:
        """question(*arguments), there.  What it raises is raised here."""
        try:
            return self.process.submit(question, *arguments).result()
        except BrokenProcessPool:
            raise BenchmarkError(f"the process of {self.name} died, perhaps for want of memory.") from None

    def cases(self, suite: str, options: dict[str, Any]) -> list[Case]:
        """The cases of a suite, `module:function`, whose tools live in the worker."""
        return [
            dataclasses.replace(case, tools=[self._tool(name, answers, suite, k) for name, answers in case.tools])
            for k, case in enumerate(self.ask(_open, suite, options))
        ]

    def _tool(self, name: str, answers: bool, suite: str, case: int) -> Tool:
        place = suite, case, name
        return Tool(name, _Remote(self, place), (lambda: self.ask(_answer, *place)) if answers else None)

    def close(self) -> None:
        """End the process."""
        self.process.shutdown(cancel_futures=True)


class _Remote:
    """The sampler of a tool in a worker."""

    def __init__(self, worker: Worker, place: tuple[str, int, str]) -> None:
        self.worker, self.place = worker, place
        self.first: float | None = None

    def __call__(self) -> float:
        value, self.first = self.worker.ask(_sample, *self.place)
        return value


def merged(own: Sequence[Case], others: Sequence[Sequence[Case]]) -> list[Case]:
    """The cases of all workers as one list: the subject, the tools of the peers, then what else dualgrad's worker measures.

    Every worker has dualgrad's tools; those of dualgrad's own worker are taken.
    """
    by_name = {case.name: case for case in own}
    for cases in others:
        for case in cases:
            known = by_name.setdefault(case.name, case)
            taken = {tool.name for tool in known.tools}
            new = [tool for tool in case.tools if tool.name not in taken]
            by_name[case.name] = dataclasses.replace(known, tools=[*known.tools, *new])
    mine = {case.name: {tool.name for tool in case.tools[1:]} for case in own}
    return [
        dataclasses.replace(case, tools=sorted(case.tools, key=lambda tool: tool.name in mine.get(case.name, ())))
        for case in by_name.values()
    ]


# ---- in the worker -------------------------------------------------------------------------------------------------

_peers = Peers()
_cases: dict[str, list[Case]] = {}


def _begin(peer: str | None) -> None:
    global _peers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that measures is the one to stop
    _peers = load(peer)


def _open(suite: str, options: dict[str, Any]) -> list[Case]:
    """Build the cases of a suite; what is returned has (name, does it answer?) for tools."""
    build = found(suite)
    known = inspect.signature(build).parameters
    _cases[suite] = list(build(_peers, **{name: value for name, value in options.items() if name in known}))
    return [
        dataclasses.replace(case, tools=[(tool.name, tool.answer is not None) for tool in case.tools]) for case in _cases[suite]
    ]


def _find(suite: str, case: int, name: str) -> Tool:
    return next(tool for tool in _cases[suite][case].tools if tool.name == name)


def _sample(suite: str, case: int, name: str) -> tuple[float, float | None]:
    """One sample, with no garbage left over; and what the first call cost."""
    sampler = _find(suite, case, name).sample
    gc.collect()
    gc.freeze()  # what is left, modules and inputs, no later collection need look at: it takes 80 ms with PyTorch loaded
    return sampler(), getattr(sampler, "first", None)


def _answer(suite: str, case: int, name: str) -> list[Any]:
    answer = _find(suite, case, name).answer
    return [] if answer is None else [np.asarray(array) for array in answer()]
