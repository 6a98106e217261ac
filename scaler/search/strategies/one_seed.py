"""Every candidate once, to the end: what is usually done, and what a strategy must at least equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.types import Contest, Observation, Task


@dataclass(frozen=True)
class OneSeed:
    """Exhaustive search with the seeds of the first repetition only."""

    name: str = "one-seed"

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """All trainings at once, then none."""
        return Exhaustive().ask(replace(contest, repetitions=1), seen)
