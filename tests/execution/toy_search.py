"""A search without networks, for tests of what runs it: trainings that sleep, and write what they did."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.scheduler import search
from scaler.execution.study import Study, StudyAddress
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
    """Trains by sleeping. Checkpoints at every rung, and notes every epoch trained in ``log``."""

    folder: Path
    epoch_seconds: float = 0.0

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        checkpoint = self.folder / f"{spec.candidate}-{spec.seed_index}.json"
        done = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
        for rung in range(spec.rung + 1):
            for epoch in range(done, RUNGS[rung]):
                time.sleep(self.epoch_seconds)
                self.note(spec, epoch)
            if done < RUNGS[rung]:
                done = RUNGS[rung]
                beside = checkpoint.with_suffix(f".{os.getpid()}")
                beside.write_text(json.dumps(done))
                beside.replace(checkpoint)
        return [evaluation(spec.candidate, spec.seed_index, epochs) for epochs in RUNGS[: spec.rung + 1]]

    def note(self, spec: TrialSpec, epoch: int) -> None:
        with (self.folder / "log").open("a") as log:
            log.write(f"{os.getpid()} {spec.candidate} {spec.seed_index} {epoch}\n")


def noted(folder: Path) -> list[tuple[int, ...]]:
    """(pid, candidate, seed_index, epoch) of every epoch trained."""
    log = folder / "log"
    text = log.read_text() if log.exists() else ""
    return [tuple(int(word) for word in line.split()) for line in text.splitlines()]


def address(storage: str, folder: Path) -> StudyAddress:
    folder.mkdir(exist_ok=True)
    return StudyAddress(
        str(folder / "study.log") if storage == "journal" else f"sqlite:///{folder}/study.db", "toy"
    )


def run(
    storage: str, folder: Path, workers: int = 1, epoch_seconds: float = 0.0, **more: Any
) -> list[Observation]:
    study = Study.create(address(storage, folder))
    return search(EXPERIMENT, STRATEGY, Toy(folder, epoch_seconds), study, workers=workers, **more)


if __name__ == "__main__":
    # A shell that starts tests in the background has them ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(sys.argv[1], Path(sys.argv[2]), workers=int(sys.argv[3]), epoch_seconds=float(sys.argv[4]))
