"""Processes that do a search's trainings. They never print: all that they have to say is in the study."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import connection
from multiprocessing.process import BaseProcess

from scaler.errors import MachineError, UserError
from scaler.execution.protocol import TrialSpec
from scaler.execution.study import Failure, FailureKind, StoredTrial, Study, StudyAddress
from scaler.training.recipe import Evaluation

#: Trains what a spec asks for: one evaluation for every rung up to the spec's, ascending. It must be
#: picklable to run in other processes: a frozen dataclass with ``__call__``.
TrainTrial = Callable[[TrialSpec], list[Evaluation]]

#: Seconds between signs of life.
HEARTBEAT = 30.0
#: A worker without work looks for some after so many seconds; the longer it waits, the less often.
SHORTEST_NAP, LONGEST_NAP = 0.01, 0.25
#: Seconds that a worker has to end before it is killed.
GRACE = 2.0

#: Processes with several threads each on the same cores are 4 to 15 times slower than with one each.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def work_once(study: Study, train_trial: TrainTrial) -> bool:
    """Take a spec and run it; false if none waits. What the training raises is recorded as its failure."""
    trial = study.claim()
    if trial is None:
        return False
    try:
        with _signs_of_life(study, trial):
            evaluations = train_trial(trial.spec)
        study.complete(trial, evaluations)
    except Exception as error:
        study.fail(trial, _failure(error))
    except BaseException:
        study.fail(trial, Failure("interrupted", "the search was interrupted"))
        raise
    return True


def work(study: Study, train_trial: TrainTrial) -> None:
    """Run specs, and wait for more, until the search is over."""
    nap = SHORTEST_NAP
    while not study.finished:
        if work_once(study, train_trial):
            nap = SHORTEST_NAP
        else:
            time.sleep(nap)
            nap = min(2 * nap, LONGEST_NAP)


def _failure(error: Exception) -> Failure:
    kind: FailureKind = "error"
    if isinstance(error, (UserError, MachineError)):
        kind = "UserError" if isinstance(error, UserError) else "MachineError"
        return Failure(kind, str(error))
    place = traceback.extract_tb(error.__traceback__)[-1]
    reason = " ".join(str(error).split())[:300]
    return Failure(
        kind, f"{type(error).__name__}: {reason} ({os.path.basename(place.filename)}:{place.lineno})"
    )


@contextlib.contextmanager
def _signs_of_life(study: Study, trial: StoredTrial) -> Iterator[None]:
    """Tell the study every now and then that the training goes on."""
    ended = threading.Event()

    def heartbeat() -> None:
        while not ended.wait(HEARTBEAT):
            # A sign that could not be given is no reason to end the training.
            with contextlib.suppress(Exception):
                study.heartbeat(trial)

    thread = threading.Thread(target=heartbeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# --- worker processes ------------------------------------------------------------------------------------


class WorkerPool:
    """Worker processes of this machine, started as work comes and kept for the whole search."""

    def __init__(
        self, address: StudyAddress, train_trial: TrainTrial, environments: list[Mapping[str, str]]
    ) -> None:
        """Start nothing yet.

        Args:
            address: of the study.
            train_trial: the unit of work.
            environments: environment variables of each worker, one entry per worker.

        Raises:
            pickle.PicklingError: ``train_trial`` cannot be sent to other processes.
        """
        self._address = address
        self._work = pickle.dumps(train_trial)
        self._environments = environments
        self._processes: dict[int, BaseProcess] = {}

    def wait(self, specs: int, seconds: float) -> list[int]:
        """Have as many workers as there are specs (and places), and wait; gives exit codes of dead ones."""
        for place in range(min(specs, len(self._environments))):
            if place not in self._processes:
                self._processes[place] = self._start(place)
        connection.wait([process.sentinel for process in self._processes.values()], timeout=seconds)
        dead = [place for place, process in self._processes.items() if process.exitcode is not None]
        return [self._processes.pop(place).exitcode or 0 for place in dead]

    def stop(self) -> None:
        """End all workers at once; what they were at starts again from its checkpoint."""
        for process in self._processes.values():
            process.terminate()
        end = time.monotonic() + GRACE
        for process in self._processes.values():
            process.join(max(0.0, end - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        self._processes.clear()

    def _start(self, place: int) -> BaseProcess:
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(self._address, self._work), name=f"scaler-worker-{place}", daemon=True
        )
        with _environment({**ONE_THREAD, **self._environments[place]}), _interrupts_held():
            process.start()
        return process


def _serve(address: StudyAddress, pickled: bytes) -> None:
    """What a worker process does: work, in silence, until it is stopped or its parent is gone."""
    _fall_silent()
    threading.Thread(target=_end_with_parent, daemon=True).start()

    @functools.cache
    def unpickled() -> TrainTrial:
        loaded: TrainTrial = pickle.loads(pickled)
        return loaded

    # Unpickled with the first spec in hand, so that what goes wrong in it is reported as that spec's failure.
    work(Study.join(address), lambda spec: unpickled()(spec))


def _fall_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for a process that starts: OpenMP reads its own before any code of ours runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back meanwhile. Processes started here never see it: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
