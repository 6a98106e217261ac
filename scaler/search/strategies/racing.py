"""Ours for trainings whose early epochs tell: any training, short or long, that betters the decision most.

After a first rung of every candidate, the law (:mod:`scaler.search.inference.law`) says what is believed of
full trainings. An option is a training continued to any higher rung, or a further seed; those
with the largest knowledge gradient per FLOP are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.training_cost import exhaustive_flops, highest_rungs, spent_flops
from scaler.search.inference.decision import fit_experiment, stable_worths
from scaler.search.strategies.acquisition import (
    expected_regret,
    most_valuable,
    options_of,
    trial_cost,
)


@dataclass(frozen=True)
class Racing:
    """Spends training where the decision is open, and stops when it no longer changes.

    Attributes:
        budget_fraction: training FLOPs as a part of exhaustive search's (every candidate, seed and epoch);
            more only where the first rung of all and one full training need it.
        batch: trainings asked for at once, so that this many workers have work.
        tolerance: stop when perfect knowledge would better the choice by less (accuracy, in [0, 1]).
    """

    budget_fraction: float = 0.1
    batch: int = 4
    tolerance: float = 0.0005
    name: str = "racing"

    def budget(self, experiment: Experiment) -> float:
        """The most training FLOPs that will be spent."""
        first = sum(experiment.epoch_flops[: len(experiment.shares)]) * experiment.rungs[0]
        return max(
            self.budget_fraction * exhaustive_flops(experiment),
            first + max(experiment.epoch_flops[: len(experiment.shares)]) * experiment.rungs[-1],
        )

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """The first rung of all candidates, then the most telling trainings that the budget allows."""
        reached = highest_rungs(seen)
        first = [TrialSpec(c, 0, 0) for c in range(len(experiment.shares)) if (c, 0) not in reached]
        if first:
            return first
        fit = fit_experiment(experiment, seen)
        eligible, worths = stable_worths(experiment, {o.candidate for o in seen if o.state != "complete"})
        if fit is None or not eligible:
            return []
        left = self.budget(experiment) - spent_flops(experiment, reached)
        options = options_of(experiment, reached, eligible, range(len(experiment.rungs)))
        cost = np.array([trial_cost(experiment, option, reached) for option in options])
        if expected_regret(fit.posterior(worths)) < self.tolerance:
            return []
        return most_valuable(fit, worths, options, cost, left, self.batch)
