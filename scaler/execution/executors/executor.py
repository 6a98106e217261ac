"""What an executor is: it takes trainings, and gives their evaluations or their failures.

An executor knows nothing of the search and writes nothing of the study. All calls come from one thread.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from scaler.errors import MachineError, UserError
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation

#: Told of the epochs that a training has done.
OnEpoch = Callable[[int], None]

#: Trains what a spec asks for: one evaluation for every rung up to the spec's, ascending. It must be
#: picklable to run in other processes: a frozen dataclass with ``__call__``.
TrainTrial = Callable[[TrialSpec, OnEpoch], list[Evaluation]]

#: ``lost``: its process died, maybe by its fault; ``evicted``: its machine is gone, which is not;
#: ``interrupted``: the search ended first.
FailureKind = Literal["error", "lost", "evicted", "interrupted", "UserError", "MachineError"]

#: Processes with several threads each on the same cores are 4 to 15 times slower than with one each.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Failure:
    """Why a training failed."""

    kind: FailureKind
    reason: str


class TrainingFailedError(Exception):
    """Raised by a unit of work that knows better than its exceptions why it failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


#: What comes of a training.
Outcome = list[Evaluation] | Failure


class Executor(Protocol):
    """Runs trainings, several at a time."""

    @property
    def slots(self) -> int:
        """The most trainings that it takes at a time."""
        ...

    def submit(self, spec: TrialSpec, on_epoch: OnEpoch) -> None:
        """Hand a training out; ``on_epoch`` is called during :meth:`wait`. No spec is out twice."""
        ...

    def wait(self, seconds: float) -> list[tuple[TrialSpec, Outcome]]:
        """What has ended, waiting so long for the first of it (or longer, where this process trains)."""
        ...

    def close(self) -> None:
        """Cancel what is out, and free what the executor holds."""
        ...


def attempt(train_trial: TrainTrial, spec: TrialSpec, on_epoch: OnEpoch) -> Outcome:
    """Train; what the training raises becomes its failure."""
    try:
        return train_trial(spec, on_epoch)
    except TrainingFailedError as error:
        return error.failure
    except (UserError, MachineError) as error:
        return Failure("UserError" if isinstance(error, UserError) else "MachineError", str(error))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(str(error).split())[:300]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"
        return Failure("error", f"{type(error).__name__}: {reason} ({where})")
