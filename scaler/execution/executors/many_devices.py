"""One training on several devices of a machine: a process for each, started together.

A process that dies takes the others along, and the training is lost as with any other worker: the leader
hands it out again, here or on another node, and it goes on from its last epoch. One way to go on serves every
loss; torch's elastic agent, which restarts processes by itself, would know neither what a training gained
between two deaths nor a node that is gone.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from scaler.execution.executors.executor import Failure, OnEpoch, Outcome, TrainingFailedError, attempt
from scaler.execution.executors.forking import context, start_method
from scaler.execution.executors.processes import end_with_parent
from scaler.execution.executors.training import SharedTraining
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation

if TYPE_CHECKING:
    from scaler.training.distributed import Seat

#: Seconds between two looks at what the processes tell.
PAUSE = 0.1


@dataclass(frozen=True)
class ManyDevices:
    """A unit of work whose trainings take several devices each.

    Attributes:
        training: what the processes do together.
        devices: how many.
    """

    training: SharedTraining
    devices: int

    def checkpoint(self, spec: TrialSpec) -> Path:
        """Where the training of a candidate and a seed index stands."""
        return self.training.checkpoint(spec)

    def checkpointed(self, folder: Path) -> Self:
        """The same with its checkpoints in another folder."""
        return replace(self, training=self.training.checkpointed(folder))

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        """Train; raises TrainingFailedError where a process did not come to its end."""
        from torch.multiprocessing.spawn import start_processes

        from scaler.training.distributed import Seat

        reader, writer = context().Pipe(duplex=False)
        with reader, tempfile.TemporaryDirectory(prefix="scaler-") as folder:
            seats = [Seat(rank, self.devices, Path(folder) / "meeting") for rank in range(self.devices)]
            work = (self.training, spec, seats, writer)
            processes = start_processes(  # type: ignore[no-untyped-call]
                _train, work, self.devices, join=False, start_method=start_method()
            )
            writer.close()
            outcome = _followed(processes, reader, on_epoch)
        if isinstance(outcome, Failure):
            raise TrainingFailedError(outcome)
        return outcome


def _train(
    rank: int, training: SharedTraining, spec: TrialSpec, seats: Sequence[Seat], pipe: Connection
) -> None:
    """What each of the processes does."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    outcome = attempt(partial(training, seat=seats[rank]), spec, pipe.send)
    # The others wait for one that has failed, or whose memory is too short.
    alone = isinstance(outcome, Failure) or outcome[-1].too_large
    if rank == 0 or alone:
        pipe.send(outcome)
    if alone:
        sys.exit(1)


def _followed(processes: Any, reader: Connection, on_epoch: OnEpoch) -> Outcome:
    """What came of processes that train together; what the first of them to end early says, if one does."""
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

    outcomes: list[Outcome] = []
    try:
        ended = False
        while not ended:
            ended = processes.join(timeout=PAUSE)
            outcomes += _told(reader, on_epoch)
        return outcomes[0]
    except (ProcessExitedException, ProcessRaisedException) as error:
        outcomes += _told(reader, on_epoch)
        # Those that are left when one is killed fail too, or are ended with SIGTERM.
        killed = [p for p in processes.processes if (p.exitcode or 0) < 0 and p.exitcode != -signal.SIGTERM]
        if killed or not outcomes:
            return Failure("lost", f"one of its processes ended ({str(error).strip().splitlines()[0]})")
        return outcomes[0]


def _told(reader: Connection, on_epoch: OnEpoch) -> Iterator[Outcome]:
    """Outcomes that the processes sent; epochs are passed on."""
    with contextlib.suppress(EOFError):  # all have closed their ends
        while reader.poll():
            message: int | Outcome = reader.recv()
            if isinstance(message, int):
                on_epoch(message)
            else:
                yield message
