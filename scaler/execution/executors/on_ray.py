"""Trainings as tasks of a Ray cluster, which places them, shares out GPUs and survives lost nodes.

The leader's node keeps the checkpoints: nodes that see the same folder use it, others send each epoch's file
to it, or to a store that outlives all nodes, and fetch what they go on from. Optional:
``pip install 'compound-scaler[ray]'``.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import socket
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from scaler.errors import UserError
from scaler.execution.executors.executor import ONE_THREAD, Failure, OnEpoch, Outcome, attempt
from scaler.execution.executors.store import Store
from scaler.execution.executors.training import Training
from scaler.execution.protocol import TrialSpec
from scaler.files import write_bytes
from scaler.version import __version__

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise UserError(
        "--engine ray needs Ray, which is not installed: pip install 'compound-scaler[ray]'."
    ) from error

#: File of the checkpoints' folder that tells a node whether it sees the leader's.
MARK = ".leader"


def versions() -> dict[str, str]:
    """What must be the same on all nodes: the package, and torch's major version."""
    return {"scaler": __version__, "torch (major version)": metadata.version("torch").partition(".")[0]}


class OnRay:
    """Hands trainings to a Ray cluster, joined or started here."""

    def __init__(
        self,
        training: Training,
        address: str | None,
        workers: int | None,
        *,
        devices: int = 1,
        gpus: float = 0.0,
        store: Store | None = None,
    ) -> None:
        """Join a cluster.

        Args:
            training: the unit of work.
            address: ``auto`` or ``HOST:PORT`` of a cluster; None starts Ray on this machine.
            workers: the most trainings at a time; None is as many as the cluster has places for.
            devices: processes of a training, each on a CPU of its own.
            gpus: GPUs of a training where the cluster has any; a fraction shares one.
            store: of checkpoints under way, for nodes that do not see the leader's folder.

        Raises:
            UserError: no cluster is to be reached there, or the store is not.
        """
        # Ray tells of lost nodes on stdout, where a command's result stands alone.
        self._redirected = contextlib.ExitStack()
        self._redirected.enter_context(contextlib.redirect_stdout(sys.stderr))
        try:
            _join(address, None if workers is None else workers * devices)
        except BaseException:
            self._redirected.close()
            raise
        self._workers, self._devices = workers, devices
        self._gpus = gpus if ray.cluster_resources().get("GPU") else 0.0
        folder = training.checkpoint(TrialSpec(0, 0, 0)).parent.absolute()
        self._training, self._store = training.checkpointed(folder), store
        mark = write_bytes(folder / MARK, uuid.uuid4().hex.encode()).read_text()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._board: Any = (
            ray.remote(_Board)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
            .remote(folder)
        )
        work = ray.put(pickle.dumps(self._training))
        task = ray.remote(_train).options(num_cpus=devices, num_gpus=self._gpus, max_retries=0)
        self._start: Callable[[TrialSpec], Any] = lambda spec: task.remote(
            work, spec, folder, mark, versions(), self._board, store
        )
        self._out: dict[Any, tuple[TrialSpec, OnEpoch]] = {}

    @property
    def slots(self) -> int:
        """As many as asked for, else as the cluster has places for now."""
        if self._workers:
            return self._workers
        there = ray.cluster_resources()
        places = there.get("CPU", 0.0) // self._devices
        if self._gpus:
            places = min(places, there.get("GPU", 0.0) / self._gpus)
        return max(1, int(places))

    def submit(self, spec: TrialSpec, on_epoch: OnEpoch) -> None:
        """Hand a training to Ray, which waits for a place for it."""
        self._out[self._start(spec)] = spec, on_epoch

    def wait(self, seconds: float) -> list[tuple[TrialSpec, Outcome]]:
        """What has ended; a training whose process or node died is lost."""
        ready, _ = ray.wait(list(self._out), timeout=seconds)
        epochs: Mapping[TrialSpec, int] = ray.get(self._board.take.remote())
        for spec, on_epoch in self._out.values():
            if spec in epochs:
                on_epoch(epochs[spec])
        ended = [(self._out.pop(task)[0], _outcome(task)) for task in ready]
        for spec, outcome in ended:
            if not isinstance(outcome, Failure):  # it is over for now
                _bring_home(self._training.checkpoint(spec), self._store)
        return ended

    def close(self) -> None:
        """Cancel what is out, and leave the cluster."""
        for task in self._out:
            ray.cancel(task, force=True)
        self._out.clear()
        ray.shutdown()
        self._redirected.close()


def _join(address: str | None, workers: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    alone = {"include_dashboard": False, "num_cpus": workers} if address is None else {}
    on_sigterm = signal.getsignal(signal.SIGTERM)  # Ray puts its own in place
    try:
        if address is not None and address != "auto":  # where Ray itself would try for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, runtime_env={"env_vars": dict(ONE_THREAD)}, **quiet, **alone)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--ray-address {address} is not to be reached ({reason}): start the cluster with "
            "`ray start --head`, and give its HOST:PORT."
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)


def _outcome(task: Any) -> Outcome:
    try:
        outcome: Outcome = ray.get(task)
        return outcome
    except (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError):
        return Failure("evicted", "its node was lost")
    except ray.exceptions.RayTaskError as error:
        # A training's own failures are outcomes: what is raised is that it could not begin.
        return Failure("MachineError", f"a node cannot run trainings: {str(error).strip().splitlines()[-1]}")
    except ray.exceptions.RayError as error:
        return Failure("lost", f"its process ended ({str(error).strip().splitlines()[0]})")


class _Board:
    """On the leader's node: epochs done, and the checkpoints for nodes that do not see its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._epochs: dict[TrialSpec, int] = {}

    def tell(self, spec: TrialSpec, epochs: int) -> None:
        self._epochs[spec] = epochs

    def take(self) -> dict[TrialSpec, int]:
        taken, self._epochs = self._epochs, {}
        return taken

    def read(self, name: str) -> bytes | None:
        file = self._folder / name
        return file.read_bytes() if file.exists() else None

    def write(self, name: str, content: bytes) -> None:
        write_bytes(self._folder / name, content)


# --- on a node -------------------------------------------------------------------------------------------


def _train(
    work: bytes,
    spec: TrialSpec,
    folder: Path,
    mark: str,
    expected: Mapping[str, str],
    board: Any,
    store: Store | None,
) -> Outcome:
    """Train on this node, if it is like the leader's; epochs and checkpoints go to the board."""
    found = versions()
    for name, version in expected.items():
        if found[name] != version:
            return Failure("UserError", f"node {node()} has {name} {found[name]}, the leader {version}.")

    def train_trial(spec: TrialSpec, on_epoch: OnEpoch) -> Any:
        training: Training = pickle.loads(work)
        with _checkpoints(training, spec, folder, mark, board, store) as (training, send):

            def after(epochs: int) -> None:
                send()
                on_epoch(epochs)

            return training(spec, after)

    return attempt(train_trial, spec, lambda epochs: board.tell.remote(spec, epochs))


def node() -> str:
    """The name of this node, for people."""
    return f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"


@contextlib.contextmanager
def _checkpoints(
    training: Training, spec: TrialSpec, folder: Path, mark: str, board: Any, store: Store | None
) -> Iterator[tuple[Training, Any]]:
    """The training with a folder for its checkpoint on this node, and what sends that to the leader's."""
    if _sees(folder, mark):
        _bring_home(training.checkpoint(spec), store)  # what a node that was lost has left there
        yield training, lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="scaler-") as place:
        moved = training.checkpointed(Path(place))
        file = moved.checkpoint(spec)
        # What the store holds is younger than what was brought home.
        content = store.read(file.name) if store else None
        if content is None:
            content = ray.get(board.read.remote(file.name))
        if content is not None:
            file.write_bytes(content)
        if store:
            yield moved, lambda: store.write(file.name, file.read_bytes())
        else:
            yield moved, lambda: ray.get(board.write.remote(file.name, file.read_bytes()))


def _sees(folder: Path, mark: str) -> bool:
    """Whether this node sees the leader's folder."""
    with contextlib.suppress(OSError):
        return (folder / MARK).read_text() == mark
    return False


def _bring_home(file: Path, store: Store | None) -> None:
    """Take a checkpoint from the store, whose is always the younger, to the leader's folder."""
    if store is not None and (content := store.read(file.name)) is not None:
        write_bytes(file, content)
        store.remove(file.name)
