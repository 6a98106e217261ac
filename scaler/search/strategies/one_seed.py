"""Every candidate once, to the end: what is usually done, and what a strategy must at least equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.search.strategies.exhaustive import Exhaustive


@dataclass(frozen=True)
class OneSeed:
    """Exhaustive search with the seeds of the first seed_index only."""

    name: str = "one-seed"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """All trainings at once, then none."""
        return Exhaustive().ask(replace(experiment, max_seeds=1), seen)
