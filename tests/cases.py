"""The table of primitives: all rows, gathered from one file per room of rules."""

from __future__ import annotations

import importlib
from pathlib import Path

from table.case import Case

CASES: list[Case] = [
    row
    for path in sorted((Path(__file__).parent / "table").glob("*.py"))
    if path.stem not in ("case", "__init__")
    for row in importlib.import_module(f"table.{path.stem}").ROWS
]
