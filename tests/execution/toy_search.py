"""A search without networks, for tests of what runs it: trainings that sleep, and write what they did."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaler.execution.executors.engine import local
from scaler.execution.executors.executor import Executor, OnEpoch
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.scheduler import search
from scaler.execution.study import Study
from scaler.scaling.shares import Shares
from scaler.search.strategies.halving import Halving
from scaler.training.recipe import Evaluation

RUNGS = (1, 2, 4)
EXPERIMENT = Experiment(
    shares=tuple(Shares(c / 5, 1 - c / 5, 0.0) for c in range(6)),
    epoch_flops=tuple(1e6 + 1e5 * (c % 4) for c in range(6)),
    rungs=RUNGS,
    max_seeds=2,
    seed=0,
)

STRATEGY = Halving(least=2)


def evaluation(candidate: int, seed_index: int, epochs: int) -> Evaluation:
    accuracy = 0.4 + 0.05 * epochs + 0.01 * ((candidate * 7 + seed_index * 4) % 9)
    flops = round(EXPERIMENT.epoch_flops[candidate] * epochs)
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

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
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


def address(storage: str, folder: Path) -> str:
    """Of a journal or an SQLite file in a folder; a URL stands for itself."""
    folder.mkdir(exist_ok=True)
    return {"journal": str(folder / "study.log"), "sqlite": f"sqlite:///{folder}/study.db"}.get(
        storage, storage
    )


def lead(executor: Executor, storage: str, folder: Path, **more: Any) -> list[Observation]:
    """Search with the toy strategy, or another, on the study in a folder."""
    asked = {"experiment": EXPERIMENT, "strategy": STRATEGY, **more}
    with Study.open(address(storage, folder), "toy") as study:
        return search(executor=executor, study=study, **asked)


def run(
    storage: str, folder: Path, workers: int = 1, epoch_seconds: float = 0.0, **more: Any
) -> list[Observation]:
    return lead(local(Toy(folder, epoch_seconds), "cpu", workers), storage, folder, **more)


if __name__ == "__main__":
    # A shell that starts tests in the background has them ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(sys.argv[1], Path(sys.argv[2]), workers=int(sys.argv[3]), epoch_seconds=float(sys.argv[4]))
