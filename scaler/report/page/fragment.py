"""The answer of a page with its tables, for a place within another page, such as a notebook's cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scaler.report.page.page import PageTable, rendered


def fragment(lines: Sequence[str], tables: Sequence[PageTable] = (), report: Path | None = None) -> str:
    """HTML of sentences and tables, without scripts.

    Args:
        lines: the answer, the most important first.
        tables: under it.
        report: the page that says more.
    """
    # Nothing can be clicked here, so that the note would be wrong.
    still = [replace(table, note="") for table in tables]
    return rendered("fragment.html", lines=lines, tables=still, report=report)
