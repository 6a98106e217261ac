"""One training after the other in this process; nothing is pickled."""

from __future__ import annotations

from scaler.execution.executors.executor import OnEpoch, Outcome, TrainTrial, attempt
from scaler.execution.protocol import TrialSpec


class InProcess:
    """Trains in :meth:`wait`, one at a time."""

    slots = 1

    def __init__(self, train_trial: TrainTrial) -> None:
        self._train_trial = train_trial
        self._next: list[tuple[TrialSpec, OnEpoch]] = []

    def submit(self, spec: TrialSpec, on_epoch: OnEpoch) -> None:
        """Keep it for :meth:`wait`."""
        self._next.append((spec, on_epoch))

    def wait(self, seconds: float) -> list[tuple[TrialSpec, Outcome]]:
        """Train what was submitted."""
        taken, self._next = self._next, []
        return [(spec, attempt(self._train_trial, spec, on_epoch)) for spec, on_epoch in taken]

    def close(self) -> None:
        """Forget what was submitted."""
        self._next = []
