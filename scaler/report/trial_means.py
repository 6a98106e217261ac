"""Trials of a search as means over seeds."""

from __future__ import annotations

import pandas as pd

from scaler.execution.protocol import Observation


def means(trials: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy of every candidate at every rung, from the table of ``trials.csv``.

    Columns ``candidate, rung, epochs, accuracy, accuracy_stderr, seeds``; the standard error is that of the
    mean over seeds, NaN for one seed. Only complete trainings count.
    """
    complete = trials[trials["state"] == "complete"]
    groups = complete.groupby(["candidate", "rung", "epochs"])["accuracy"]
    table = groups.agg(accuracy="mean", accuracy_stderr="sem", seeds="count").reset_index()
    return table.astype({"accuracy_stderr": float})


def at_highest_rung(table: pd.DataFrame) -> pd.DataFrame:
    """Each candidate's row of :func:`means` at the highest rung that it reached."""
    return table.loc[table.groupby("candidate")["rung"].idxmax()].reset_index(drop=True)


def at_shared_rung(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`means` at the highest rung that all candidates reached: equally long trainings."""
    shared = table.groupby("candidate")["rung"].max().min()
    own: pd.DataFrame = table[table["rung"] == shared].reset_index(drop=True)
    return own


def observations(trials: pd.DataFrame) -> list[Observation]:
    """The rows of ``trials.csv``."""
    rows = trials.astype(object).to_dict("records")
    return [Observation(**{str(key): value for key, value in row.items()}) for row in rows]
