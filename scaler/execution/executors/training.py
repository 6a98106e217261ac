"""What a training that may run on another machine has to say about itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from scaler.execution.executors.executor import OnEpoch
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation

if TYPE_CHECKING:
    from scaler.training.distributed import Seat


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


class SharedTraining(Training, Protocol):
    """A unit of work that several processes can do together."""

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: Seat | None = None) -> list[Evaluation]:
        """Train, alone or in a seat; the process in the first one writes checkpoints and tells of epochs."""
        ...
