"""The trainings of a search as a table: ``trials.csv``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

from scaler.errors import UserError
from scaler.search.types import Observation, State, Task
from scaler.training.recipe import Evaluation

if TYPE_CHECKING:
    from pandas import DataFrame

TRIALS_FILE = "trials.csv"

#: In the order of an observation's fields.
COLUMNS = (
    "candidate",
    "seed",
    "rung",
    "epochs",
    "images",
    "train_flops",
    "accuracy",
    "loss",
    "seconds",
    "state",
)

#: Formats of the float columns; accuracies are quotients of small numbers, so that six digits order them.
FORMATS = {"accuracy": ".6f", "loss": ".6f", "seconds": ".3f"}


def observe(task: Task, evaluations: Sequence[Evaluation]) -> list[Observation]:
    """The observations of a training, one for every rung up to the task's.

    Args:
        task: what was trained.
        evaluations: one for every rung from the first, ascending. A training that diverged may end
            early: the last one then stands for the rungs that it did not reach.

    Raises:
        ValueError: there are too few or too many of them.
    """
    rungs = task.rung + 1
    filled = list(evaluations)
    if filled and filled[-1].diverged:
        filled += [filled[-1]] * (rungs - len(filled))
    if len(filled) != rungs:
        raise ValueError(
            f"a training up to rung {task.rung} must give {rungs} evaluations, not {len(filled)}"
        )
    return [_observation(replace(task, rung=rung), evaluation) for rung, evaluation in enumerate(filled)]


def _observation(task: Task, evaluation: Evaluation) -> Observation:
    return Observation(
        candidate=task.candidate,
        repetition=task.repetition,
        rung=task.rung,
        epochs=evaluation.epochs,
        images=evaluation.images,
        train_flops=evaluation.train_flops,
        accuracy=0.0 if evaluation.diverged else evaluation.accuracy,
        loss=math.nan if evaluation.diverged else evaluation.loss,
        seconds=evaluation.seconds,
        state="diverged" if evaluation.diverged else "complete",
    )


def trials_table(observations: Iterable[Observation]) -> DataFrame:
    """The rows of ``trials.csv``, by candidate, seed and rung; write it with :data:`FORMATS`."""
    import pandas as pd

    rows = [
        astuple(observation)
        for observation in sorted(observations, key=lambda o: (o.candidate, o.repetition, o.rung))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read_trials(path: Path) -> list[Observation]:
    """The observations that a ``trials.csv`` holds.

    Raises:
        UserError: it cannot be read, or a row is not one of a search.
    """
    try:
        rows = list(csv.DictReader(StringIO(path.read_text())))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    observations = []
    for number, row in enumerate(rows, start=2):
        try:
            observations.append(_from_row(row))
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path}, line {number}, is not a row of trials ({', '.join(COLUMNS)})."
            ) from None
    return observations


def _from_row(row: dict[str, str]) -> Observation:
    if row["state"] not in ("complete", "diverged", "failed"):
        raise ValueError(row["state"])
    return Observation(
        candidate=int(row["candidate"]),
        repetition=int(row["seed"]),
        rung=int(row["rung"]),
        epochs=int(row["epochs"]),
        images=int(row["images"]),
        train_flops=int(row["train_flops"]),
        accuracy=float(row["accuracy"]),
        loss=float(row["loss"] or "nan"),
        seconds=float(row["seconds"]),
        state=cast(State, row["state"]),
    )
