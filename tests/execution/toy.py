"""Trainings that sleep, and write what they did. Quick to import, for every worker does."""

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from scaler.execution.executors.executor import OnEpoch
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation

RUNGS = (1, 2, 4)
EPOCH_FLOPS = tuple(1e6 + 1e5 * (c % 4) for c in range(6))


def evaluation(candidate: int, seed_index: int, epochs: int) -> Evaluation:
    accuracy = 0.4 + 0.05 * epochs + 0.01 * ((candidate * 7 + seed_index * 4) % 9)
    flops = round(EPOCH_FLOPS[candidate] * epochs)
    return Evaluation(epochs, 100 * epochs, flops, accuracy, 2 - accuracy, 0.25 * epochs)


@dataclass(frozen=True)
class Toy:
    """Trains by sleeping. Checkpoints after every epoch, and notes every epoch trained in ``log``."""

    folder: Path
    epoch_seconds: float = 0.0
    checkpoints: Path | None = None

    def checkpoint(self, spec: TrialSpec) -> Path:
        return (self.checkpoints or self.folder) / f"{spec.candidate}-{spec.seed_index}.json"

    def checkpointed(self, folder: Path) -> "Toy":
        return replace(self, checkpoints=folder)

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: object = None) -> list[Evaluation]:
        checkpoint = self.checkpoint(spec)
        done = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(done, RUNGS[spec.rung]):
            time.sleep(self.epoch_seconds)
            self.note(spec, epoch)
            beside = checkpoint.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(epoch + 1))
            beside.replace(checkpoint)
            on_epoch(epoch + 1)
        return [evaluation(spec.candidate, spec.seed_index, epochs) for epochs in RUNGS[: spec.rung + 1]]

    def note(self, spec: TrialSpec, epoch: int) -> None:
        with (self.folder / "log").open("a") as log:
            log.write(f"{os.getpid()} {spec.candidate} {spec.seed_index} {epoch}\n")


def noted(folder: Path) -> list[tuple[int, ...]]:
    """(pid, candidate, seed_index, epoch) of every epoch trained."""
    log = folder / "log"
    text = log.read_text() if log.exists() else ""
    return [tuple(int(word) for word in line.split()) for line in text.splitlines()]
