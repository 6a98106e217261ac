"""Run what a strategy asks for inside a run directory: study, workers, ``trials.csv``, checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from scaler.execution.protocol import Experiment, Observation, Strategy
from scaler.execution.proxy_training import ProxyTraining
from scaler.execution.scheduler import OnProgress, search
from scaler.execution.study import Study, StudyAddress
from scaler.execution.trials_table import FORMATS, TRIALS_FILE, trials_table
from scaler.runs import Run

CHECKPOINTS = "checkpoints"


def run_trials(
    run: Run,
    experiment: Experiment,
    strategy: Strategy,
    training: ProxyTraining,
    *,
    workers: int,
    storage: str | None,
    attributes: Sequence[Mapping[str, Any]],
    on_progress: OnProgress,
) -> list[Observation]:
    """Train from wherever the run stands; what was done before is not done again.

    Args:
        run: its directory gets ``trials.csv`` and, without ``storage``, the study.
        experiment: what is compared.
        strategy: decides what is trained.
        training: the unit of work.
        workers: processes.
        storage: URL of a database for the study; None keeps it in ``study.log``.
        attributes: of each candidate, for whoever looks at the study.
        on_progress: told of the training FLOPs done and planned.

    Raises:
        MachineError: a training failed again and again, or the disk is full.
    """
    address = StudyAddress(storage or str(run.path / "study.log"), run.name)
    study = Study.create(address, json.dumps(dict(run.configuration), sort_keys=True))
    run.file(f"{CHECKPOINTS}/.keep").touch()

    def keep(seen: Sequence[Observation]) -> None:
        run.write_csv(TRIALS_FILE, trials_table(seen), FORMATS)

    seen = search(
        experiment,
        strategy,
        training,
        study,
        workers=workers,
        environments=_environments(training.device, workers),
        attributes=attributes,
        on_progress=on_progress,
        on_batch=keep,
    )
    keep(seen)
    return seen


def drop_checkpoints(run: Run) -> None:
    """Remove the trainings in progress of a run that needs them no more."""
    shutil.rmtree(run.path / CHECKPOINTS, ignore_errors=True)


def _environments(device: str, workers: int) -> list[dict[str, str]]:
    """Which GPU each worker sees: they are shared out in turn when the device is left open."""
    import torch

    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return [{} for _ in range(workers)]
    gpus = torch.cuda.device_count()
    return [{"CUDA_VISIBLE_DEVICES": str(index % gpus)} for index in range(workers)]
