"""The Pareto table of runs: their networks, and which of them no other beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.table import Table

from scaler.curves.pareto import Objective, front, resolve
from scaler.report.columns import CURVE_COLUMNS, EPOCHS_COLUMN, RUN_COLUMN
from scaler.report.run_tables import CURVE, network_table
from scaler.report.tables import records, rich_table
from scaler.runs import Run


@dataclass(frozen=True)
class ParetoTable:
    """The networks of some runs; the column ``on_front`` is for these objectives.

    Attributes:
        frame: columns of ``pareto.csv``, with ``run`` in front if there are several.
        objectives: under their columns' names.
        notes: what the table does not say by itself, in sentences.
    """

    frame: pd.DataFrame
    objectives: tuple[Objective, ...]
    notes: tuple[str, ...]

    def rich(self) -> Table:
        """For the terminal."""
        columns = (RUN_COLUMN, *CURVE_COLUMNS[:-2], EPOCHS_COLUMN, *CURVE_COLUMNS[-2:])
        return rich_table(self.frame, columns)

    def json(self) -> dict[str, Any]:
        """Plain data."""
        names = [objective.name for objective in self.objectives]
        return {"objectives": names, "networks": records(self.frame)}


def pareto_table(runs: Sequence[Run], objectives: Sequence[Objective]) -> ParetoTable:
    """The networks of all runs together, and the front among them.

    Raises:
        UserError: a run has no networks, or no column for an objective.
    """
    tables = [network_table(run) for run in runs]
    for run, table in zip(runs, tables, strict=True):
        resolve(objectives, table, str(run.path))
    if len(runs) > 1:
        for run, table in zip(runs, tables, strict=True):
            table.insert(0, "run", run.name)
    frame = pd.concat(tables, ignore_index=True)
    found = resolve(objectives, frame, "the table")
    frame["on_front"] = front(frame, found)
    return ParetoTable(frame, found, tuple(_notes(runs, frame)))


def _notes(runs: Sequence[Run], frame: pd.DataFrame) -> list[str]:
    notes = []
    if any(not (run.path / CURVE).is_file() for run in runs):
        notes.append(
            "The accuracy of a search's candidate is the mean over its seeds at the highest rung that it "
            "reached; those with fewer epochs were stopped early."
        )
    if len({(run.path / CURVE).is_file() for run in runs}) > 1:
        notes.append("A search is judged on validation images and a scaling on test images.")
    if frame["accuracy"].isna().all():
        notes.append("No network was trained, so none has an accuracy.")
    if len({_ground(run) for run in runs}) > 1:
        notes.append("The runs differ in data, proxy or recipe: their accuracies do not compare.")
    return notes


def _ground(run: Run) -> str:
    """What must be equal for the accuracies of two runs to compare."""
    space = run.configuration.get("space") or {}
    return str([run.configuration.get("data_fingerprint"), *(space.get(k) for k in ("proxy", "recipe"))])
