"""Every candidate with every seed, to the end: dear, and beyond doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scaler.execution.protocol import Experiment, Observation, TrialSpec


@dataclass(frozen=True)
class Exhaustive:
    """Trains every candidate with the seeds of every seed_index up to the last rung."""

    name = "exhaustive"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """All trainings at once, then none."""
        last = len(experiment.rungs) - 1
        done = {(o.candidate, o.seed_index) for o in seen if o.rung == last}
        return [
            TrialSpec(candidate, seed_index, last)
            for candidate in range(len(experiment.shares))
            for seed_index in range(experiment.max_seeds)
            if (candidate, seed_index) not in done
        ]
