"""Candidates drawn at random, each trained in full with one seed: the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.search.types import Contest, Observation, Task


@dataclass(frozen=True)
class Random:
    """Full trainings of random candidates, every candidate once before any gets a second seed.

    ``spend`` is the part of exhaustive search's training FLOPs; at least one training is done.
    """

    spend: float = 0.1
    name: str = "random"

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """All trainings at once, then none."""
        generator = np.random.default_rng(contest.seed)
        last = len(contest.rungs) - 1
        order = [
            Task(int(candidate), repetition, last)
            for repetition in range(contest.repetitions)
            for candidate in generator.permutation(len(contest.shares))
        ]
        left = self.spend * sum(contest.epoch_flops) * contest.repetitions
        tasks: list[Task] = []
        for task in order:
            left -= contest.epoch_flops[task.candidate]
            if tasks and left < 0:
                break
            tasks.append(task)
        done = {(o.candidate, o.repetition) for o in seen if o.rung == last}
        return [task for task in tasks if (task.candidate, task.repetition) not in done]
