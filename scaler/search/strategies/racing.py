"""Ours for trainings whose early epochs tell: any training, short or long, that betters the decision most.

After a first rung of every candidate, a :class:`~scaler.search.surface.Surface` says what is believed of a
full training. An option is a training continued to any higher rung, or a further seed; those
with the largest knowledge gradient per FLOP are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.search.strategies.telling import (
    exhaustive_flops,
    expected_regret,
    most_telling,
    options_of,
    reached_by,
    spent,
)
from scaler.search.surface import surface_of, values_of
from scaler.search.types import Contest, Observation, Task


@dataclass(frozen=True)
class Racing:
    """Spends training where the decision is open, and stops when it no longer changes.

    Attributes:
        spend: training FLOPs, as a part of exhaustive search's (every candidate, seed and epoch); more only
            where the first rung of all and one full training need it.
        batch: trainings asked for at once, so that this many workers have work.
        tolerance: stop when perfect knowledge would better the choice by less (accuracy, in [0, 1]).
    """

    spend: float = 0.1
    batch: int = 4
    tolerance: float = 0.0005
    name: str = "racing"

    def budget(self, contest: Contest) -> float:
        """The most training FLOPs that will be spent."""
        first = sum(contest.epoch_flops) * contest.rungs[0]
        return max(
            self.spend * exhaustive_flops(contest), first + max(contest.epoch_flops) * contest.rungs[-1]
        )

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """The first rung of all candidates, then the most telling trainings that the budget allows."""
        reached = reached_by(seen)
        first = [Task(c, 0, 0) for c in range(len(contest.shares)) if (c, 0) not in reached]
        if first:
            return first
        values = values_of(seen)
        if len(values.value) == 0:
            return []
        surface = surface_of(contest)
        belief, weights = surface.fit(values)
        stable = sorted(set(values.candidate.tolist()))
        left = self.budget(contest) - spent(contest, reached)
        options, costs = options_of(contest, reached, stable, range(len(contest.rungs)), left)
        if expected_regret(belief, stable) < self.tolerance or not options:
            return []
        mean = np.where(np.isin(np.arange(len(belief.mean)), stable), belief.mean, -np.inf)
        likeliest = surface.only(int(weights.argmax()))
        return most_telling(likeliest, values, mean, options, costs, left, self.batch)
