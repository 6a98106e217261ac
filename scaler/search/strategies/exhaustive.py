"""Every candidate with every seed, to the end: dear, and beyond doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scaler.search.types import Contest, Observation, Task


@dataclass(frozen=True)
class Exhaustive:
    """Trains every candidate with the seeds of every repetition up to the last rung."""

    name = "exhaustive"

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """All trainings at once, then none."""
        last = len(contest.rungs) - 1
        done = {(o.candidate, o.repetition) for o in seen if o.rung == last}
        return [
            Task(candidate, repetition, last)
            for candidate in range(len(contest.shares))
            for repetition in range(contest.repetitions)
            if (candidate, repetition) not in done
        ]
