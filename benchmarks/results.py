"""RESULTS.md: what was measured, on what, where dualgrad wins, where it loses and why, from the results of one run.

A win is a median below that of another library, a loss one above; where 95 % of the ratio has 1 in it, neither.  Why a case is lost
stands beside the case, in its `note`.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from machine import described, steadiness
from measure import Result, is_objective
from report import as_limit, compared, number, quantity
from suites import Suite
from suites import found as located

NOT_RIVALS = ("dualgrad", "NumPy")  # the first words of tools that are no other library


def as_markdown(
    suites: dict[str, Suite], found: dict[str, Sequence[Result]], about: dict[str, Any], figures: dict[str, str]
) -> str:
    """The page; `figures` are the files beside it, by suite."""
    everything = [result for results in found.values() for result in results]
    lines = [
        "# Results",
        "",
        "Written by `python -m dualgrad bench --peers --results`; every figure is from one run, none was typed.",
        "",
        *_setting(about),
        "",
        "## Where dualgrad stands",
        "",
        *_standing(everything),
        "",
        *_targets(everything),
    ]
    for name, results in found.items():
        lines += ["", f"## {name}", "", suites[name].about, ""]
        if name in figures:
            lines += [f"![{name}]({figures[name]})", ""]
        parts = [list(_table(results))] if suites[name].tabulated else []
        parts += [["```", text.rstrip(), "```"] for text in summaries(suites[name], results)]
        lines += [line for part in parts for line in (*part, "")][:-1]
    return "\n".join(lines) + "\n"


def summaries(suite: Suite, results: Sequence[Result]) -> list[str]:
    """What the suite itself says of its results."""
    return [located(suite.summary)(results)] if suite.summary else []


def _setting(about: dict[str, Any]) -> Iterator[str]:
    machine, versions = described(about["machine"])
    yield f"- On {machine}."
    yield f"- With {versions}."
    quick = ", --quick: a look, not a measurement" if about["quick"] else ""
    yield f"- {about['started'][:10]}, {about['seconds'] / 60:.0f} minutes{quick}."
    yield f"- Data of ADBench: {about['data']}."
    yield f"- {steadiness(about)}"
    yield "- Each library in a process of its own, on one thread; all tools of a case interleaved; medians."
    yield "- × is the time of a case's first tool over that of the tool in the line; in brackets, where 95 % of it lies."


def rivals(result: Result) -> list[str]:
    """The derivatives by other libraries, if the subject is dualgrad's."""
    if not result.subject.startswith("dualgrad") or result.case.difference:
        return []
    return [tool for tool in result.samples if not tool.startswith(NOT_RIVALS) and not is_objective(tool)]


def _standing(results: Sequence[Result]) -> Iterator[str]:
    """Wins and losses by library, then every loss with its reason."""
    pairs = [(result, tool, result.compare(tool)) for result in results for tool in rivals(result)]
    if not pairs:
        yield "Measured alone: no other library was asked for, or none was installed."
        return
    yield "| against | cases | wins | even | losses | middle ratio |"
    yield "|---|---|---|---|---|---|"
    for library in dict.fromkeys(tool for _, tool, _ in pairs):
        found = [ratio for _, tool, ratio in pairs if tool == library]
        wins, losses = sum(ratio.high < 1 for ratio in found), sum(ratio.low > 1 for ratio in found)
        middle = sorted(ratio.value for ratio in found)[len(found) // 2]
        yield f"| {library} | {len(found)} | {wins} | {len(found) - wins - losses} | {losses} | × {number(middle)} |"
    lost: dict[int, list[str]] = {}
    cases = {id(result): result for result, _, _ in pairs}
    for result, tool, ratio in pairs:
        if ratio.low > 1:
            lost.setdefault(id(result), []).append(f"{tool} × {number(ratio.value)}")
    if lost:
        yield ""
        yield "Where it loses, and why:"
        yield ""
    for key, tools in lost.items():
        case = cases[key].case
        yield f"- **{case.name}**: {', '.join(tools)}. {case.note}".rstrip()


def _targets(results: Sequence[Result]) -> Iterator[str]:
    """What was promised."""
    found = [(result, tool, result.reached(tool)) for result in results for tool in result.case.targets]
    if not found:
        return
    reached = sum(state is True for *_, state in found)
    yield f"Targets: {reached} of {len(found)} reached."
    for result, tool, state in found:
        limit = as_limit(result, result.case.targets[tool])
        if state is False:
            yield f"- missed: {result.case.name}, against {tool}: {compared(result, tool)}, target {limit}."
        elif state is None:
            yield f"- not measured: {result.case.name}, against {tool}, target {limit}."


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield "| case | tool | median | first call | dualgrad against it | target |"
    yield "|---|---|---:|---:|---|---|"
    for result in results:
        name, unit = result.case.name, result.case.unit
        for tool in result.samples:
            first = quantity(result.first[tool], unit) if tool in result.first else ""
            against, target = "", ""
            if tool != result.subject:
                against = compared(result, tool)
                if tool in result.case.targets:
                    mark = "reached" if result.reached(tool) else "**missed**"
                    target = f"{as_limit(result, result.case.targets[tool])}, {mark}"
            yield f"| {name} | {tool} | {quantity(result.median(tool), unit)} | {first} | {against} | {target} |"
            name = ""
