"""What a training that may run on another machine has to say about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from scaler.execution.executors.executor import OnEpoch
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation


class Training(Protocol):
    """A unit of work that keeps its state in a file of a folder."""

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        """Train; the checkpoint of an epoch is there before ``on_epoch`` is called."""
        ...

    def checkpoint(self, spec: TrialSpec) -> Path:
        """Where the training of a candidate and a seed index stands."""
        ...

    def checkpointed(self, folder: Path) -> Self:
        """The same with its checkpoints in another folder."""
        ...
