"""The one counter: every trace takes the next serial, so a trace made later is an inner one."""
from __future__ import annotations

import itertools

_counter = itertools.count(1)


def next_serial() -> int:
    """A serial larger than all before (atomic, so threads need no lock)."""
    return next(_counter)
