"""Trials of a search as means over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

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


#: What no answer is made of, and a table of elsewhere may lack.
_UNTOLD: Mapping[str, float] = {"images": 0, "train_flops": 0, "loss": math.nan, "seconds": math.nan}


def observations(trials: pd.DataFrame) -> list[Observation]:
    """The rows of ``trials.csv``; columns that an observation does not have are passed over."""
    names = [field.name for field in fields(Observation) if field.name in trials]
    rows = trials[names].astype(object).to_dict("records")
    return [Observation(**{**_UNTOLD, **{str(key): value for key, value in row.items()}}) for row in rows]
