"""The trainings of a search as a table: ``trials.csv``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

from scaler.execution.protocol import Observation, TrialSpec
from scaler.training.recipe import Evaluation

if TYPE_CHECKING:
    from pandas import DataFrame

TRIALS_FILE = "trials.csv"

#: In the order of an observation's fields.
COLUMNS = (
    "candidate",
    "seed_index",
    "rung",
    "epochs",
    "images",
    "train_flops",
    "accuracy",
    "loss",
    "seconds",
    "state",
    "micro_batch",
)

#: Formats of the float columns; accuracies are quotients of small numbers, so that six digits order them.
FORMATS = {"accuracy": ".6f", "loss": ".6f", "seconds": ".3f"}


def observe(spec: TrialSpec, evaluations: Sequence[Evaluation]) -> list[Observation]:
    """The observations of a training, one for every rung up to the spec's.

    Args:
        spec: what was trained.
        evaluations: one for every rung from the first, ascending. A training that diverged, or was too
            large, may end early: the last one then stands for the rungs that it did not reach.

    Raises:
        ValueError: there are too few or too many of them.
    """
    rungs = spec.rung + 1
    filled = list(evaluations)
    if filled and filled[-1].ended:
        filled += [filled[-1]] * (rungs - len(filled))
    if len(filled) != rungs:
        raise ValueError(
            f"a training up to rung {spec.rung} must give {rungs} evaluations, not {len(filled)}"
        )
    return [_observation(replace(spec, rung=rung), evaluation) for rung, evaluation in enumerate(filled)]


def _observation(spec: TrialSpec, evaluation: Evaluation) -> Observation:
    ended = evaluation.ended
    return Observation(
        candidate=spec.candidate,
        seed_index=spec.seed_index,
        rung=spec.rung,
        epochs=evaluation.epochs,
        images=evaluation.images,
        train_flops=evaluation.train_flops,
        accuracy=0.0 if ended else evaluation.accuracy,
        loss=math.nan if ended else evaluation.loss,
        seconds=evaluation.seconds,
        state="too large" if evaluation.too_large else "diverged" if ended else "complete",
        micro_batch=evaluation.micro_batch,
    )


def trials_table(observations: Iterable[Observation]) -> DataFrame:
    """The rows of ``trials.csv``, by candidate, seed and rung; write it with :data:`FORMATS`."""
    import pandas as pd

    rows = [
        astuple(observation)
        for observation in sorted(observations, key=lambda o: (o.candidate, o.seed_index, o.rung))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
