"""Pulling cotangents back: one loop over the records from the last to the first.

Two sweeps share the records.  The fast one may meet 0 * inf = nan where the zero is *structural* (made by a selection or
an index, not computed).  A nan cannot leave a linear sweep unless it is selected away, so its result is right unless it
holds a nan; only then the careful sweep runs, which carries with every cotangent its support: where it can be non-zero.
The look for nans is spared where no structural zero can meet an infinite slope (the tape is not `exposed`).
"""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualgrad import errors
from dualgrad.core import primitive as core
from dualgrad.core.arrays import SOLE, quietly, union
from dualgrad.core.inplace import snapshot
from dualgrad.core.primitive import Value
from dualgrad.core.splitting import settled
from dualgrad.interpreters.tape.pulls import CONSTANT, ITEM, PULLS, Suspect, contributions, expanded, has_nan, numbered
from dualgrad.interpreters.tape.recording import Variable

_getrefcount = sys.getrefcount
_ndarray = np.ndarray
_PLAIN = frozenset((_ndarray, np.float64))


def pull_back(tape: Any, outputs: Sequence[Any], cotangents: Sequence[Any], structural: bool = False) -> list[Any]:
    """Cotangents of all inputs of a tape, each owned by the caller, of the shape and dtype of its input.

    `outputs` that are not variables of this tape are constants.  A cotangent of None is zero; with `structural` so are the zeros
    in a cotangent (of unit vectors).
    """
    seeds = []
    careful = tape.places is not None
    for k, y in enumerate(outputs):
        g = cotangents[k]
        if type(y) is Variable and y.owner is tape and g is not None:
            seeds.append((y.index, g))
            if type(y.value) not in _PLAIN or isinstance(g, Value):
                careful = careful or _on_outer_tape(y.value) or _on_outer_tape(g)
    if tape.foreign:
        with np.errstate(all="ignore"):
            found = _cotangents(tape, seeds, careful, structural)
    else:
        found = quietly(_cotangents, tape, seeds, careful, structural)
    results: list[Any] = []
    foreign = tape.foreign
    for shape, dtype, kind in tape.inputs:
        g = found.pop()
        plain = type(g) is _ndarray and g.dtype is dtype and kind is _ndarray and g.base is None
        if plain and _getrefcount(g) <= SOLE and (not foreign or g.flags.writeable):  # only a user's rule makes one read-only
            results.append(g)  # only this name refers to it: it is the caller's already
            continue
        if isinstance(g, Value):
            g = settled(g, tape)
        same = g is not None and g.dtype == dtype
        if g is None:
            g = np.zeros(shape, dtype)
        elif not same:
            g = (np.real(g) if dtype.kind != "c" else g).astype(dtype)
        g = snapshot(g) if isinstance(g, Value) else np.array(g)
        results.append(g[()] if kind is not _ndarray and type(g) is _ndarray and not shape else g)
    return results


def _cotangents(tape: Any, seeds: list, careful: bool, structural: bool) -> list[Any]:
    """One sweep over the whole tape, and a careful one if it meets a nan; the cotangents of its inputs, last first."""
    ct: list[Any] = [None] * len(tape.history)
    supports: list[Any] | None = [None] * len(ct) if careful else None
    for i, g in seeds:
        if supports is not None and structural:
            s = np.not_equal(g, 0)
            supports[i] = s if ct[i] is None else union(supports[i], s)
        ct[i] = g if ct[i] is None else ct[i] + g
    stop = len(tape.inputs)
    try:
        _sweep(tape, ct, supports, stop)
        found = ct[stop - 1 :: -1] if stop else []
        exposed = tape.exposed or (structural and tape.curved)
        if careful or not exposed or not any(g is not None and has_nan(g) for g in found):
            return found
    except Suspect:
        pass
    return _cotangents(tape, seeds, True, structural)


def _sweep(tape: Any, ct: list, supports: list | None, stop: int) -> None:
    """Pull back through all records from the last down to number `stop`."""
    records = tape.history
    if supports is None:
        pop, pulls = ct.pop, PULLS  # ct holds the cotangents of the records before the one at hand
        for record in records[: stop - 1 : -1] if stop else records[::-1]:
            g = pop()
            if g is not None:
                pulls[record[0]](ct, g, record)
        return
    for i in range(len(records) - 1, stop - 1, -1):
        g = ct[i]
        if g is None:
            continue
        record, support = records[i], supports[i]
        ct[i] = supports[i] = None
        pull = record[0]
        if pull == _CHECKPOINT:
            _pull_checkpoint(ct, g, record, supports)
        elif pull in (CONSTANT[0], ITEM, _FORGOTTEN[0]):
            PULLS[pull](ct, g, record)
        else:
            debugged = tape.places is not None
            found = core.within_rule(contributions, record, g, support) if debugged else contributions(record, g, support)
            for parent, c, s in found:
                if debugged:
                    primitive, parents = expanded(record)[:2]
                    core.check_cotangent(primitive, parents.index(parent), c, tape.places.get(i))
                supports[parent] = s if ct[parent] is None else union(supports[parent], s)
                ct[parent] = c if ct[parent] is None else ct[parent] + c


def _pull_forgotten(ct: list, g: Any, record: tuple) -> None:
    raise errors.EscapedTraceError(
        "a value made inside checkpoint(f) or a solver was used outside without being its output, so its record is gone; return it."
    )


_FORGOTTEN = (numbered(_pull_forgotten, lambda record: ("forgotten", (), None, (), {})),)


def forget(tape: Any, start: int, outputs: list[int], run_again: Callable) -> None:
    """Replace all records after `start` by one at `start` that makes them again; `outputs` are those that stay in use."""
    records = tape.history
    tape.lock = tape.lock or threading.RLock()
    tape.foreign = True
    records[start + 1 :] = [_FORGOTTEN] * (len(records) - start - 1)
    for j, i in enumerate(outputs):
        records[i] = (ITEM, start, j, len(outputs))
    records[start] = (_CHECKPOINT, tape, run_again)


class _Nowhere:
    """Stands in for the records of a suspended tape: whatever is recorded is the one forgotten record."""

    def __init__(self, tape: Any) -> None:
        if not tape.history or tape.history[-1] is not _FORGOTTEN:
            tape.history.append(_FORGOTTEN)
        self.size = len(tape.history)

    def append(self, record: Any) -> None:
        pass

    def __len__(self) -> int:
        return self.size


def suspend(tape: Any) -> Callable[[], None]:
    """Keep no records until the returned function is called; pulling back through a value made meanwhile raises."""
    records, tape.records = tape.records, _Nowhere(tape)

    def resume() -> None:
        tape.records = records

    return resume


def _pull_checkpoint(ct: list, g: list, record: tuple, supports: list | None = None) -> None:
    """Record again behind the end of the tape, sweep that part, and forget it."""
    _, tape, run_again = record
    with tape.lock:
        records, alive, end, kept = tape.records, tape.alive, len(tape.history), len(ct)
        tape.records, tape.alive = tape.history, True
        try:
            outputs = run_again()
            grown = len(tape.history) - kept
            ct.extend([None] * grown)
            if supports is not None:
                supports.extend([None] * grown)
            for variable, c in zip(outputs, g, strict=True):
                if c is not None:
                    ct[variable.index] = c if ct[variable.index] is None else ct[variable.index] + c
            tape.records, tape.alive = records, alive
            _sweep(tape, ct, supports, end)
        finally:
            tape.records, tape.alive = records, alive
            del tape.history[end:], ct[kept:]
            if supports is not None:
                del supports[kept:]


_CHECKPOINT = numbered(_pull_checkpoint, lambda record: ("checkpoint", (), None, (), {}))


def _on_outer_tape(value: Any) -> bool:
    """Is a value one level down on another tape, whose own sweep will have to see the structural zeros of this one?"""
    return isinstance(value, Value) and (type(value) is Variable or any(map(_on_outer_tape, value.parts())))
