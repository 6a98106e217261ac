"""The words of a search: what is trained, what comes back, and what a strategy is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scaler.scaling.shares import Shares

State = Literal["complete", "diverged", "too large"]


@dataclass(frozen=True, order=True)
class TrialSpec:
    """Train a candidate, with the seeds of a seed index, up to a rung (continuing where it stopped).

    ``candidate`` is the number of any network of the experiment; those from ``len(shares)`` on are off the
    budget and cannot be chosen.
    """

    candidate: int
    seed_index: int
    rung: int


@dataclass(frozen=True)
class Observation:
    """A row of ``trials.csv``: a candidate with the seeds of a seed index at a rung, on validation images.

    ``images``, ``train_flops`` and ``seconds`` count from the start of that training, so what a search
    spent is the sum over (candidate, seed index) of the largest rung's. A training reports every rung
    that it passes, also those it was not asked for. One that diverged, or that was too large for the memory,
    has accuracy 0 and loss NaN. ``micro_batch`` is as in an evaluation.
    """

    candidate: int
    seed_index: int
    rung: int
    epochs: int
    images: int
    train_flops: int
    accuracy: float
    loss: float
    seconds: float
    state: State = "complete"
    micro_batch: int = 0


@dataclass(frozen=True)
class Experiment:
    """What a strategy knows before any training.

    Attributes:
        shares: of every candidate (effective shares of the realised network); the index is the candidate.
        epoch_flops: training FLOPs of one epoch of every network, the candidates first.
        rungs: epochs at which trainings are compared, ascending; the last is a full training.
        max_seeds: the most seeds a candidate may get.
        seed: for strategies that draw at random.
        budget: FLOPs of a candidate, as a factor on the base's.
        octaves: of every network, doublings of FLOPs along depth, width and resolution; empty where all are
            candidates that lie where their shares of the budget say.
        up_to: the largest size that is asked about, as a factor on the base's FLOPs.
    """

    shares: tuple[Shares, ...]
    epoch_flops: tuple[float, ...]
    rungs: tuple[int, ...]
    max_seeds: int
    seed: int
    budget: float = 2.0
    octaves: tuple[tuple[float, float, float], ...] = ()
    up_to: float = 16.0


class Strategy(Protocol):
    """Decides what to train next from what has been seen; a pure function, so that a search resumes exactly.

    ``ask`` gives the trainings to run next (they may run in any order and at the same time; no answer
    comes before all are done), and none once it is decided. It is the same in a search and in a replay.
    """

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """The next trainings; an empty list ends the search."""
        ...
