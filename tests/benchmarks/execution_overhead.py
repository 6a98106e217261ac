"""What execution costs beside training.

``python -m tests.benchmarks.execution_overhead`` hands out trainings that do nothing and writes
``results/reference/execution-overhead.csv``: for each executor and storage the wall time and the leader's
processor time of one training, and from the latter the most workers that one leader keeps busy with trainings
of 30 seconds. With ``--search`` it also runs the smoke search, in which trainings are real, with one worker
and with two: the part of the workers' time that went into training, from their own clocks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scaler.execution.executors.engine import Engine, start
from scaler.execution.executors.executor import Executor, OnEpoch
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.scheduler import search
from scaler.execution.study import Study
from scaler.scaling.shares import Shares
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.training.recipe import Evaluation

TARGET = Path("results/reference/execution-overhead.csv")
CANDIDATES, SEEDS, WORKERS = 60, 5, 2
TRAINING_SECONDS = 30.0


@dataclass(frozen=True)
class Nothing:
    """A training of no time."""

    folder: Path

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        on_epoch(1)
        return [Evaluation(1, 1, 1, 0.5, 1.0, 0.0)]

    def checkpoint(self, spec: TrialSpec) -> Path:
        return self.folder / f"{spec.candidate}-{spec.seed_index}.pt"

    def checkpointed(self, folder: Path) -> Nothing:
        return Nothing(folder)


def overhead(start_executor: Callable[[Nothing], Executor], storage: str, folder: Path) -> dict[str, float]:
    """Milliseconds of a training, from the end of the first one on, when all workers are there."""
    shares = (Shares(1.0, 0.0, 0.0),) * CANDIDATES
    experiment = Experiment(shares, (1.0,) * CANDIDATES, (1,), SEEDS, 0)
    marks: list[tuple[float, float]] = []

    def mark(done: float, total: float) -> None:
        marks.append((time.perf_counter(), time.process_time()))

    address = f"{folder}/study.log" if storage == "journal" else f"sqlite:///{folder}/study.db"
    with Study.open(address, "nothing") as study:
        executor = start_executor(Nothing(folder))
        seen: list[Observation] = search(experiment, Exhaustive(), executor, study, on_progress=mark)
    skipped = 20
    trainings = len(seen) - skipped
    first = next(index for index, _ in enumerate(marks) if index >= skipped)
    wall, processor = (1000 * (marks[-1][i] - marks[first][i]) / trainings for i in (0, 1))
    return {"wall_ms": round(wall, 2), "leader_ms": round(processor, 2)}


def rows() -> list[dict[str, object]]:
    """A row per executor and storage."""
    executors: dict[str, Callable[[Nothing], Executor]] = {
        "this process": lambda work: start(Engine(), work, "cpu", 1),
        "processes": lambda work: start(Engine(), work, "cpu", WORKERS),
        "ray": lambda work: start(Engine("ray"), work, "cpu", WORKERS),
    }
    found: list[dict[str, object]] = []
    for name, start_executor in executors.items():
        for storage in ("journal", "sqlite"):
            with tempfile.TemporaryDirectory() as folder:
                cost = overhead(start_executor, storage, Path(folder))
            most = int(TRAINING_SECONDS * 1000 / max(cost["wall_ms"], cost["leader_ms"]))
            found.append({"executor": name, "storage": storage, **cost, "most_workers": most})
            print(found[-1], flush=True)
    return found


def efficiency(results: Path, workers: int) -> float:
    """Part of the workers' time that a smoke search spent in trainings, its start and end left out."""
    from functools import partial

    from scaler.runs import open_run
    from scaler.search.session import prepare
    from scaler.search.space import read_space
    from scaler.search.workload import Settings

    session = prepare(read_space("smoke").override(strategy="exhaustive"), Settings(workers=workers))
    work = session.work
    with open_run(results, f"workers-{workers}", "search", session.configuration, device="cpu") as run:
        from scaler.execution.run_trials import CHECKPOINTS, run_trials

        began = time.perf_counter()
        executor = partial(work.executor, work.training(run.path / CHECKPOINTS))
        seen = run_trials(
            run,
            work.experiment,
            work.strategy,
            executor,
            storage=None,
            attributes=session.attributes(),
            on_progress=lambda done, total: None,
        )
        wall = time.perf_counter() - began
    longest: dict[tuple[int, int], float] = {}
    for o in seen:
        longest[o.candidate, o.seed_index] = max(o.seconds, longest.get((o.candidate, o.seed_index), 0.0))
    return sum(longest.values()) / (wall * workers)


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--search", action="store_true")
    if options.parse_args().search:
        with tempfile.TemporaryDirectory() as folder:
            for workers in (1, 2):
                print(workers, f"{efficiency(Path(folder), workers):.3f}", flush=True)
        return
    pd.DataFrame(rows()).to_csv(TARGET, index=False)


if __name__ == "__main__":
    main()
