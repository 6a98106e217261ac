"""Ours, and the default: networks on and off the budget, chosen for what they tell of the law of growth.

At the budget all ways to spend it lie close together; how accuracy grows along each axis shows in networks
that differ more: some smaller, some larger, one axis up and another down. So these are trained first. What
they foretell is then tried on candidates alone, for small networks mislead where axes need one another. The
decision is the candidate whose direction is worth most on the way to larger sizes
(:func:`~scaler.search.inference.decision.worths`).

1. A first design, before any value is seen: the trainings that tell most beforehand, of any network.
2. The knowledge gradient per FLOP: candidates and further seeds of theirs, in batches.
3. Confirmation: the last of the budget trains the believed best candidate itself, if it was not trained yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.training_cost import exhaustive_flops, highest_rungs, spent_flops
from scaler.search.inference.decision import contrasts, fit_experiment, full_cost, octaves_of, stable_worths
from scaler.search.strategies.acquisition import (
    expected_regret,
    most_valuable,
    options_of,
    trial_cost,
    v_optimal,
)


@dataclass(frozen=True)
class LawOfGrowth:
    """Trains few networks, each in full, and stops when the decision no longer changes.

    Attributes:
        budget_fraction: training FLOPs as a part of exhaustive search's (every candidate, seed and epoch).
        off_budget: the first design may hold networks off the budget; without, only candidates.
        first: part of the FLOPs that goes to the first design.
        batch: trainings asked for at once, so that this many workers have work.
        tolerance: stop when perfect knowledge would better the choice by less (accuracy, in [0, 1]).
    """

    budget_fraction: float = 0.1
    off_budget: bool = True
    first: float = 0.5
    batch: int = 2
    tolerance: float = 0.0005
    name: str = "law"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """The first design, then the most valuable trainings, then the believed best candidate's own."""
        reached, last = highest_rungs(seen), len(experiment.rungs) - 1
        diverged = {o.candidate for o in seen if o.state != "complete"}
        design = [n for n in self.first_design(experiment) if n not in diverged]
        if first := [TrialSpec(n, 0, last) for n in design if (n, 0) not in reached]:
            return first
        fit = fit_experiment(experiment, seen)
        eligible, worths = stable_worths(experiment, diverged)
        if fit is None:  # all diverged so far: on to the others whatever they cost, or there is no answer
            return [TrialSpec(c, 0, last) for c in eligible if (c, 0) not in reached][: self.batch]
        if not eligible:
            return []
        posterior = fit.posterior(worths)
        left = self.budget_fraction * exhaustive_flops(experiment) - spent_flops(experiment, reached)
        if expected_regret(posterior) < self.tolerance:
            return []
        options = options_of(experiment, reached, eligible, [last])
        cost = np.array([trial_cost(experiment, option, reached) for option in options])
        trained = {network for network, _ in reached}
        price = full_cost(experiment)
        # Any candidate that was not trained yet may be the believed best one in the end.
        kept = max((price[c] for c in eligible if c not in trained), default=0.0)
        if found := most_valuable(fit, worths, options, cost, left - kept, self.batch):
            return found
        best = eligible[int(posterior.mean.argmax())]
        if best not in trained:
            return [TrialSpec(best, 0, last)] if price[best] <= left else []
        return most_valuable(fit, worths, options, cost, left, self.batch)

    def first_design(self, experiment: Experiment) -> list[int]:
        """Networks that are trained whatever comes, each with the first seed."""
        flops = self.first * self.budget_fraction * exhaustive_flops(experiment)
        cost = full_cost(experiment)
        usable = range(len(cost) if self.off_budget else len(experiment.shares))
        return v_optimal(octaves_of(experiment), cost, contrasts(experiment), flops, list(usable))
