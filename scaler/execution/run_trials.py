"""Run what a strategy asks for inside a run directory: study, workers, ``trials.csv``, checkpoints."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scaler.execution.executors.executor import Executor
from scaler.execution.protocol import Experiment, Observation, Strategy
from scaler.execution.scheduler import OnProgress, search
from scaler.execution.study import Study
from scaler.execution.trials_table import FORMATS, TRIALS_FILE, trials_table
from scaler.runs import Run

CHECKPOINTS = "checkpoints"


def run_trials(
    run: Run,
    experiment: Experiment,
    strategy: Strategy,
    start: Callable[[], Executor],
    *,
    storage: str | None,
    attributes: Sequence[Mapping[str, Any]],
    on_progress: OnProgress,
) -> list[Observation]:
    """Train from wherever the run stands; what was done before is not done again.

    Args:
        run: its directory gets ``trials.csv`` and, without ``storage``, the study.
        experiment: what is compared.
        strategy: decides what is trained.
        start: gives who runs the trainings.
        storage: URL of a database for the study; None keeps it in ``study.log``.
        attributes: of each candidate, for whoever looks at the study.
        on_progress: told of the training FLOPs done and planned.

    Raises:
        MachineError: a training failed again and again, or the disk is full.
    """
    run.file(f"{CHECKPOINTS}/.keep").touch()
    configuration = json.dumps(dict(run.configuration), sort_keys=True)

    def keep(seen: Sequence[Observation]) -> None:
        run.write_csv(TRIALS_FILE, trials_table(seen), FORMATS)

    with (
        ended_by_sigterm(),
        Study.open(storage or str(run.path / "study.log"), run.name, configuration) as study,
    ):
        seen = search(
            experiment,
            strategy,
            start(),
            study,
            attributes=attributes,
            on_progress=on_progress,
            on_batch=keep,
        )
    keep(seen)
    return seen


def drop_checkpoints(run: Run) -> None:
    """Remove the trainings in progress of a run that needs them no more."""
    shutil.rmtree(run.path / CHECKPOINTS, ignore_errors=True)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM (of Slurm, of Kubernetes) end a search as Ctrl-C does: within its grace, all in order."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
