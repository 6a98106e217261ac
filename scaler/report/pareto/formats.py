"""A table as a file: CSV and JSON with every column, Markdown and LaTeX with those that people read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pandas as pd

from scaler.files import csv_text, plain
from scaler.report.columns import CSV_FORMATS, Column
from scaler.report.tables import records, shown_columns

#: Characters that LaTeX reads as commands.
_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "±": r"$\pm$",
          "{": r"\{", "}": r"\}", "\\": r"\textbackslash{}", "~": r"\textasciitilde{}",
          "^": r"\textasciicircum{}"}  # fmt: skip


def cells(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[list[Column], list[list[str]]]:
    """The columns that people read, and the text of every row."""
    shown = shown_columns(frame, columns)
    rows = cast("list[dict[str, Any]]", frame.to_dict("records"))
    return shown, [[column.show(row) for column in shown if column.show] for row in rows]


def as_csv(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """Every column, also those not in ``columns``."""
    return csv_text(frame, CSV_FORMATS)


def as_json(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A list of objects, as ``--json`` prints them."""
    return json.dumps(plain(records(frame)), indent=1, allow_nan=False) + "\n"


def as_markdown(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A pipe table; numbers are aligned right."""
    shown, rows = cells(frame, columns)
    rule = ["---" if column.kind is str else "---:" for column in shown]
    table = [[column.title for column in shown], rule, *rows]
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in table]
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped) + "\n"


def as_latex(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A ``tabular`` with the rules of the booktabs package."""
    shown, rows = cells(frame, columns)
    letters = "".join("l" if column.kind is str else "r" for column in shown)
    head = _latex_row([column.title for column in shown])
    body = "\n".join(_latex_row(row) for row in rows)
    lines = [f"\\begin{{tabular}}{{{letters}}}", r"\toprule", head, r"\midrule", body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}", ""])


def _latex_row(row: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX.get(letter, letter) for letter in cell) for cell in row) + r" \\"


#: By the name that ``--format`` and a file's ending give them.
TABLE_FORMATS: dict[str, Callable[[pd.DataFrame, Sequence[Column]], str]] = {
    "csv": as_csv,
    "json": as_json,
    "md": as_markdown,
    "latex": as_latex,
}
ENDINGS = {"csv": ".csv", "json": ".json", "md": ".md", "latex": ".tex"}
