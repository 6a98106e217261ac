"""Trainings that see which node they are on. Quick to import, for every process of Ray's does."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import ray

from scaler.execution.executors.executor import OnEpoch
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation
from tests.execution.toy import Toy


@dataclass(frozen=True)
class Elsewhere(Toy):
    """Its node does not see the folder of the leader's checkpoints."""

    def checkpointed(self, folder: Path) -> "Elsewhere":
        return replace(self, checkpoints=folder)

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: object = None) -> list[Evaluation]:
        assert self.checkpoints is not None
        assert self.checkpoints.name.startswith("scaler-")
        return super().__call__(spec, on_epoch)


@dataclass(frozen=True)
class Overtaken(Toy):
    """After its first epoch it waits until a node was removed; on that one it never goes on.

    The processes of a removed node live on for some time, which is longer the busier the machine is.
    """

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: object = None) -> list[Evaluation]:
        here, removed = ray.get_runtime_context().get_node_id(), self.folder / "removed"
        (self.folder / f"node-{spec.candidate}").write_text(here)

        def after(epochs: int) -> None:
            on_epoch(epochs)
            while not removed.exists() or removed.read_text() == here:
                time.sleep(0.05)

        return super().__call__(spec, after)
