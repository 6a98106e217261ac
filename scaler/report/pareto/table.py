"""The Pareto table of runs: their networks, and which of them no other beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scaler.curves.pareto import Objective, front, resolve
from scaler.report.columns import (
    CURVE_COLUMNS,
    EPOCHS_COLUMN,
    NETWORK_COLUMN,
    RUN_COLUMN,
    SCALING_COLUMNS,
    Column,
    cost_columns,
    typed,
)
from scaler.report.fitted import Fitted
from scaler.report.pareto.published import NOTE as PUBLISHED_NOTE
from scaler.report.pareto.published import PUBLISHED_RUN, published_networks
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

    @property
    def columns(self) -> tuple[Column, ...]:
        """What people read of it."""
        known = [NETWORK_COLUMN if c.name == "network" else c for c in CURVE_COLUMNS]
        return (RUN_COLUMN, *known[:-2], *cost_columns(self.frame), EPOCHS_COLUMN, *known[-2:])

    def rich(self) -> Fitted:
        """For the terminal."""
        return rich_table(self.frame, self.columns)

    def json(self) -> dict[str, Any]:
        """Plain data."""
        names = [objective.name for objective in self.objectives]
        return {"objectives": names, "networks": records(self.frame)}


#: Adds columns to the networks of a run.
Measure = Callable[[Run, pd.DataFrame], pd.DataFrame]


def pareto_table(
    runs: Sequence[Run],
    objectives: Sequence[Objective],
    *,
    strict: bool = False,
    published: bool = False,
    measure: Measure | None = None,
) -> ParetoTable:
    """The networks of all runs together, and the front among them.

    Accuracies of runs that differ in data, proxy or recipe do not compare: each such ground has a front of
    its own, and so have published networks. Costs alone compare everywhere.

    Args:
        runs: scalings and searches.
        objectives: two or more.
        strict: the plain rule, without standard errors.
        published: published networks as well.
        measure: adds what the networks of a run really cost, such as :func:`scaler.api.measuring.with_costs`.

    Raises:
        UserError: a run has no networks, or no column for an objective.
    """
    tables = [network_table(run) for run in runs]
    if measure:
        tables = [measure(run, table) for run, table in zip(runs, tables, strict=True)]
    for run, table in zip(runs, tables, strict=True):
        resolve(objectives, table, str(run.path))
    grounds = [_ground(run) for run in runs]
    names = _names(runs)
    if published:
        tables.append(published_networks())
        grounds.append(PUBLISHED_RUN)
        names.append(PUBLISHED_RUN)
    if len(tables) > 1:
        for name, table in zip(names, tables, strict=True):
            table.insert(0, "run", name)
    frame = pd.concat([table.astype(object) for table in tables], ignore_index=True)
    frame = typed(frame, (RUN_COLUMN, *CURVE_COLUMNS, *SCALING_COLUMNS, EPOCHS_COLUMN))
    found = resolve(objectives, frame, "the table")
    by_row = [ground for ground, table in zip(grounds, tables, strict=True) for _ in range(len(table))]
    frame["on_front"] = _fronts(frame, found, by_row, strict=strict)
    return ParetoTable(frame, found, tuple(_notes(runs, frame, published=published)))


def _names(runs: Sequence[Run]) -> list[str]:
    """Of runs; those of one name, from different folders, by their paths."""
    names = [run.name for run in runs]
    return [str(run.path) if names.count(run.name) > 1 else run.name for run in runs]


def _fronts(
    frame: pd.DataFrame, objectives: Sequence[Objective], grounds: Sequence[str], *, strict: bool
) -> pd.Series:
    """The front of every ground, where accuracy is an objective; else one of all."""
    compared = any(objective.name == "accuracy" for objective in objectives)
    on_front = pd.Series(False, index=frame.index, dtype="boolean")
    for ground in dict.fromkeys(grounds) if compared else [""]:
        rows = frame[[not compared or one == ground for one in grounds]]
        on_front[rows.index] = front(rows, objectives, strict=strict)
    return on_front


def _notes(runs: Sequence[Run], frame: pd.DataFrame, *, published: bool) -> list[str]:
    notes = []
    if published:
        notes.append(PUBLISHED_NOTE)
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
        notes.append(
            "The runs differ in data, proxy or recipe: their accuracies do not compare, and each has a "
            "front of its own."
        )
    return notes


def _ground(run: Run) -> str:
    """What must be equal for the accuracies of two runs to compare."""
    space = run.configuration.get("space") or {}
    return str([run.configuration.get("data_fingerprint"), *(space.get(k) for k in ("proxy", "recipe"))])
