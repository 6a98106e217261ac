"""Worker processes of this machine: one thread each, silent, and gone when their leader is.

Not ``concurrent.futures`` or loky: with these the death of one worker breaks the pool, and the trainings of
all others go down with it. Here each worker has a pipe of its own, whose end tells of its death.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from scaler.execution.executors.executor import ONE_THREAD, Failure, OnEpoch, Outcome, TrainTrial, attempt
from scaler.execution.executors.forking import context, no_main
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation


class Processes:
    """Workers that start as work comes, and stay for the whole search; one that dies is replaced."""

    def __init__(self, train_trial: TrainTrial, environments: Sequence[Mapping[str, str]]) -> None:
        """Start nothing yet.

        Args:
            train_trial: the unit of work.
            environments: environment variables of each worker, one entry per worker.

        Raises:
            pickle.PicklingError: ``train_trial`` cannot be sent to other processes.
        """
        self.slots = len(environments)
        self._work = pickle.dumps(train_trial)
        self._free = list(reversed(environments))
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, TrialSpec, OnEpoch]] = {}

    def submit(self, spec: TrialSpec, on_epoch: OnEpoch) -> None:
        """Give a training to a worker that waits, or to a new one."""
        while self._idle:
            worker = self._idle.pop()
            # One that died while it waited took nothing along.
            if worker.process.is_alive():
                break
            self._bury(worker)
        else:
            worker = _start(self._work, self._free.pop())
        with contextlib.suppress(BrokenPipeError):  # its death shows in wait
            worker.pipe.send(spec)
        self._busy[worker.pipe] = worker, spec, on_epoch

    def wait(self, seconds: float) -> list[tuple[TrialSpec, Outcome]]:
        """What has ended; a training whose worker died is lost."""
        ended: list[tuple[TrialSpec, Outcome]] = []
        for pipe in wait(list(self._busy), timeout=seconds):
            assert isinstance(pipe, Connection)
            worker, spec, on_epoch = self._busy[pipe]
            try:
                message: int | Outcome = pipe.recv()
            except (EOFError, OSError):
                message = self._bury(worker)
            else:
                if isinstance(message, int):
                    on_epoch(message)
                    continue
                self._idle.append(worker)
            del self._busy[pipe]
            ended.append((spec, message))
        return ended

    def close(self) -> None:
        """Kill all workers; what they were at goes on from its checkpoint another time."""
        for worker in [*self._idle, *(worker for worker, _, _ in self._busy.values())]:
            worker.process.kill()
            self._bury(worker)
        self._idle.clear()
        self._busy.clear()

    def _bury(self, worker: _Worker) -> Failure:
        worker.process.join()
        worker.pipe.close()
        self._free.append(worker.environment)
        code = worker.process.exitcode or 0
        how = f"signal {-code}; is memory short?" if code < 0 else f"exit code {code}"
        return Failure("lost", f"its process ended ({how})")


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    environment: Mapping[str, str]


def _start(work: bytes, environment: Mapping[str, str]) -> _Worker:
    found = context()
    ours, theirs = found.Pipe()
    variables = {**os.environ, **ONE_THREAD, **environment}
    # No daemon, which could start no processes of its own.
    process = found.Process(target=_serve, args=(theirs, work, variables), name="scaler-worker")
    main = contextlib.nullcontext() if b"__main__" in work else no_main()
    with _environment({**ONE_THREAD, **environment}), _interrupts_held(), main:
        process.start()
    theirs.close()  # or it would stay open here when the worker dies
    return _Worker(process, ours, environment)


def _serve(pipe: Connection, work: bytes, variables: Mapping[str, str]) -> None:
    """What a worker does: train, in silence, until the leader has no more or is gone."""
    _fall_silent()
    # A copy of the fork server has the environment in which that one started.
    os.environ.clear()
    os.environ.update(variables)
    threading.Thread(target=end_with_parent, daemon=True).start()
    loaded: list[TrainTrial] = []

    def train_trial(spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        # Unpickled with a spec in hand, so that what goes wrong in it is that spec's failure.
        if not loaded:
            loaded.append(pickle.loads(work))
        return loaded[0](spec, on_epoch)

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(attempt(train_trial, pipe.recv(), pipe.send))


def _fall_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def end_with_parent() -> None:
    """End this process once the one that started it is gone."""
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
    """Hold Ctrl-C back meanwhile. Processes started here never see it: their leader ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
