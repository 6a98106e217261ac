"""What execution costs beside training, in processor time, which other programs do not disturb much.

``python -m tests.benchmarks.execution_overhead`` writes ``results/reference/execution-overhead.csv``; with
``training``, ``search`` or ``workers`` those rows only:

- *training*: what the leader spends on a training that does nothing, for each executor and storage, and from
  that the most workers that one leader keeps busy with trainings of 30 seconds;
- *search*: what a whole search adds to its trainings. ``smoke`` is run as it is; of ``quick`` the leader does
  all it does, with its strategy, study and tables, and its trainings take the time that a calibration says;
- *workers*: what the same trainings need on two workers at once, as a part of what they need on one, for both
  engines: what they take from one another. Waiting is not in it, and cannot be measured on a machine that
  others use.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd

from scaler.execution.executors.engine import Engine, start
from scaler.execution.executors.executor import Executor, OnEpoch
from scaler.execution.plan import BESIDE_STEPS, END_SECONDS, START_SECONDS
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.proxy_training import ProxyTraining
from scaler.execution.run_trials import CHECKPOINTS, run_trials
from scaler.execution.scheduler import search
from scaler.execution.study import Study
from scaler.runs import open_run
from scaler.scaling.shares import Shares
from scaler.search.session import Session, prepare
from scaler.search.space import read_space
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.workload import Settings
from scaler.training.recipe import Evaluation
from tests.benchmarks.processes import descendants, processor_seconds

TARGET = Path("results/reference/execution-overhead.csv")
CANDIDATES, SEEDS, WORKERS, REPEATS = 60, 5, 2, 3
TRAINING_SECONDS = 30.0
Rows = list[dict[str, object]]


def row(what: str, executor: str, of: str, measure: str, value: float, unit: str) -> dict[str, object]:
    """A row of the table, printed as it comes."""
    shown = float(f"{value:.4g}")
    found = {"what": what, "executor": executor, "of": of, "measure": measure, "value": shown, "unit": unit}
    print(found, flush=True)
    return found


# --- trainings that do nothing ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Nothing:
    """A training of no time, up to the last of some rungs."""

    folder: Path
    rungs: tuple[int, ...] = (1,)

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: object = None) -> list[Evaluation]:
        on_epoch(1)
        value = 0.5 + 0.01 * (spec.candidate % 7)
        return [Evaluation(epochs, 1, 1, value, 1.0, 0.0) for epochs in self.rungs[: spec.rung + 1]]

    def checkpoint(self, spec: TrialSpec) -> Path:
        return self.folder / f"{spec.candidate}-{spec.seed_index}.pt"

    def checkpointed(self, folder: Path) -> Nothing:
        return replace(self, folder=folder)


def training_cost(start_executor: Callable[[Nothing], Executor], storage: str, folder: Path) -> float:
    """Milliseconds of the leader's processor for a training, once all workers are there."""
    shares = (Shares(1.0, 0.0, 0.0),) * CANDIDATES
    experiment = Experiment(shares, (1.0,) * CANDIDATES, (1,), SEEDS, 0)
    marks: list[float] = []
    address = f"{folder}/study.log" if storage == "journal" else f"sqlite:///{folder}/study.db"
    with Study.open(address, "nothing") as study:
        executor = start_executor(Nothing(folder))
        seen: list[Observation] = search(
            experiment,
            Exhaustive(),
            executor,
            study,
            on_progress=lambda done, total: marks.append(time.process_time()),
        )
    skipped = 20
    return 1000 * (marks[-1] - marks[skipped]) / (len(seen) - skipped)


def training_rows() -> Rows:
    """A training's cost for each executor and storage, and what one leader serves."""
    executors: dict[str, Callable[[Nothing], Executor]] = {
        "this process": lambda work: start(Engine(), work, "cpu", 1),
        "processes": lambda work: start(Engine(), work, "cpu", WORKERS),
        "ray": lambda work: start(Engine("ray"), work, "cpu", WORKERS),
    }
    rows: Rows = []
    for name, start_executor in executors.items():
        for storage in ("journal", "sqlite"):
            with tempfile.TemporaryDirectory() as folder:
                cost = training_cost(start_executor, storage, Path(folder))
            rows.append(row("training", name, storage, "leader's processor time", cost, "ms"))
            served = TRAINING_SECONDS * 1000 / cost
            rows.append(row("training", name, storage, "workers that one leader serves", served, "workers"))
    return rows


# --- searches --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timed:
    """A real training that writes down the processor time it took, and nothing else did."""

    training: ProxyTraining
    log: Path

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: object = None) -> list[Evaluation]:
        began = time.process_time()
        found = self.training(spec, on_epoch)
        with self.log.open("a") as log:
            log.write(f"{time.process_time() - began}\n")
        return found

    def checkpoint(self, spec: TrialSpec) -> Path:
        return self.training.checkpoint(spec)

    def checkpointed(self, folder: Path) -> Timed:
        return replace(self, training=self.training.checkpointed(folder))

    @property
    def seconds(self) -> list[float]:
        """Of every training so far."""
        return [float(line) for line in self.log.read_text().split()]


def run(session: Session, results: Path, name: str, start_executor: Callable[[], Executor]) -> float:
    """Run a session's trainings; the leader's processor time."""
    began = time.process_time()
    with open_run(results, name, "search", session.configuration, device="cpu") as opened:
        run_trials(
            opened,
            session.work.experiment,
            session.work.strategy,
            start_executor,
            storage=None,
            attributes=session.attributes(),
            on_progress=lambda done, total: None,
        )
    return time.process_time() - began


def started() -> float:
    """Processor time of the processes that this one started, ended or not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + sum(map(processor_seconds, descendants(os.getpid())))


def search_rows(results: Path) -> Rows:
    """What searches add to their trainings."""
    session = prepare(read_space("smoke").override(strategy="exhaustive"), Settings(workers=WORKERS))
    timed = Timed(session.work.training(results / CHECKPOINTS), results / "log")
    before = started()
    leader = run(session, results, "smoke", lambda: start(Engine(), timed, "cpu", WORKERS))
    workers, trained = started() - before, sum(timed.seconds)
    rows = [
        row("search", "processes", "smoke", "trainings", trained, "s"),
        row("search", "processes", "smoke", "leader", leader, "s"),
        row("search", "processes", "smoke", "a worker's start and end", (workers - trained) / WORKERS, "s"),
    ]
    quick = prepare(read_space("quick"), Settings(workers=WORKERS))
    nothing = Nothing(results, quick.work.experiment.rungs)
    leader = run(quick, results, "quick", lambda: start(Engine(), nothing, "cpu", 1))
    # Without what the plan adds for starts, the end and what is beside steps.
    trained = (quick.work.seconds - START_SECONDS - END_SECONDS) * WORKERS / BESIDE_STEPS
    added = 100 * (leader + workers_start(rows)) / trained
    return [
        *rows,
        row("search", "processes", "quick", "trainings, by a calibration", trained, "s"),
        row("search", "processes", "quick", "leader", leader, "s"),
        row("search", "processes", "quick", "leader, of the trainings", 100 * leader / trained, "%"),
        row("search", "processes", "quick", "leader and workers' starts, of the trainings", added, "%"),
    ]


def workers_start(rows: Rows) -> float:
    """What the start of all workers takes, by the row that tells of one."""
    (one,) = (float(str(r["value"])) for r in rows if r["measure"] == "a worker's start and end")
    return one * WORKERS


def worker_rows(results: Path) -> Rows:
    """Processor time of the same trainings on two workers against one, in turn; median of some repeats."""
    session = prepare(read_space("smoke").override(strategy="exhaustive"), Settings(workers=WORKERS))
    rows: Rows = []
    for engine in ("local", "ray"):
        ratios = []
        for repeat in range(REPEATS):
            spent = []
            for workers in (1, WORKERS):
                folder = results / f"{engine}-{repeat}-{workers}"
                (folder / CHECKPOINTS).mkdir(parents=True)
                timed = Timed(session.work.training(folder / CHECKPOINTS), folder / "log")
                run(session, folder, "smoke", partial(start, Engine(engine), timed, "cpu", workers))
                spent.append(sum(timed.seconds))
            ratios.append(spent[0] / spent[1])
        for measure, value in (("median", median(ratios)), ("least", min(ratios)), ("most", max(ratios))):
            rows.append(row("workers", engine, "smoke", f"one against two, {measure}", value, "ratio"))
    return rows


def main() -> None:
    """Measure, print, write."""
    parts: dict[str, Callable[[Path], Rows]] = {
        "training": lambda folder: training_rows(),
        "search": search_rows,
        "workers": worker_rows,
    }
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("part", nargs="*", metavar="|".join(parts), help="default: all")
    asked = options.parse_args().part or [*parts]
    if unknown := set(asked) - set(parts):
        options.error(f"no such part: {', '.join(sorted(unknown))}")
    table = pd.read_csv(TARGET) if TARGET.exists() else pd.DataFrame({"what": []})
    for part in asked:
        with tempfile.TemporaryDirectory() as folder:
            new = pd.DataFrame(parts[part](Path(folder)))
        table = pd.concat([table[table.what != part], new])
        table.to_csv(TARGET, index=False)


if __name__ == "__main__":
    # Ray's workers find a training's class by the name of its module, which is not "__main__" there.
    from tests.benchmarks import execution_overhead

    execution_overhead.main()
