"""Training FLOPs: what exhaustive search would spend, and what trainings up to their rungs have spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from scaler.execution.protocol import Experiment

#: Highest rung of every training, by (candidate, seed index).
Reached = Mapping[tuple[int, int], int]


class _Trained(Protocol):
    """A trial or an observation."""

    @property
    def candidate(self) -> int: ...
    @property
    def seed_index(self) -> int: ...
    @property
    def rung(self) -> int: ...


def highest_rungs(trials: Iterable[_Trained]) -> dict[tuple[int, int], int]:
    """The highest rung of every training that trials or observations name."""
    reached: dict[tuple[int, int], int] = {}
    for trial in trials:
        training = (trial.candidate, trial.seed_index)
        reached[training] = max(trial.rung, reached.get(training, 0))
    return reached


def exhaustive_flops(experiment: Experiment) -> float:
    """Training FLOPs of every candidate with every seed for every epoch."""
    candidates = experiment.epoch_flops[: len(experiment.shares)]
    return sum(candidates) * experiment.rungs[-1] * experiment.max_seeds


def spent_flops(experiment: Experiment, reached: Reached) -> float:
    """Training FLOPs of trainings that reached these rungs."""
    return sum(experiment.epoch_flops[c] * experiment.rungs[rung] for (c, _), rung in reached.items())
