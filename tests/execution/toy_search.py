"""A search without networks, for tests of what runs it."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from scaler.execution.executors import forking
from scaler.execution.executors.engine import local
from scaler.execution.executors.executor import Executor
from scaler.execution.protocol import Experiment, Observation
from scaler.execution.scheduler import search
from scaler.execution.study import Study
from scaler.scaling.shares import Shares
from scaler.search.strategies.halving import Halving
from tests.execution.toy import EPOCH_FLOPS, RUNGS, Toy

EXPERIMENT = Experiment(
    shares=tuple(Shares(c / 5, 1 - c / 5, 0.0) for c in range(6)),
    epoch_flops=EPOCH_FLOPS,
    rungs=RUNGS,
    max_seeds=2,
    seed=0,
)

STRATEGY = Halving(least=2)
#: Seconds that tests wait for what other processes do.
PATIENCE = 300


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


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing happened for five minutes"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def trials(folder: Path, storage: str = "journal") -> list[FrozenTrial]:
    """As Optuna shows them to anyone."""
    there = address(storage, folder)
    opened = there if "://" in there else JournalStorage(JournalFileBackend(there))
    return optuna.load_study(study_name="toy", storage=opened).trials


if __name__ == "__main__":
    # A shell that starts tests in the background has them ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Its workers sleep: they need no torch, whose import takes longer than all of the search.
    forking._IMPORTED = ["tests.execution.toy"]
    run(sys.argv[1], Path(sys.argv[2]), workers=int(sys.argv[3]), epoch_seconds=float(sys.argv[4]))
