"""Ours, and the default: few trainings, each in full, of the candidates that better the decision most.

Early epochs of short, thin proxies may rank candidates no better than chance, and what is spent on them is
then lost. So every training is a full one, but few candidates are trained: first some that are spread over
the triangle of shares, then, one batch after the other, those with the largest knowledge gradient per FLOP
on the :class:`~scaler.search.inference.surface.Surface`, new candidates and further seeds alike.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.training_cost import exhaustive_flops, highest_rungs, spent_flops
from scaler.scaling.shares import Shares
from scaler.search.inference.surface import surface_of, values_of
from scaler.search.strategies.acquisition import expected_regret, most_valuable, options_of

#: The first trainings are this part of those that can be paid for, and no fewer than so many.
SPREAD_PART = 0.5
FEWEST_SPREAD = 3


@dataclass(frozen=True)
class KnowledgeGradient:
    """Trains few candidates, each in full, and stops when the decision no longer changes.

    Attributes:
        budget_fraction: training FLOPs as a part of exhaustive search's (every candidate, seed and epoch);
            more only where the first trainings need it.
        batch: trainings asked for at once, so that this many workers have work.
        tolerance: stop when perfect knowledge would better the choice by less (accuracy, in [0, 1]).
    """

    budget_fraction: float = 0.15
    batch: int = 2
    tolerance: float = 0.0005
    name: str = "knowledge-gradient"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """Candidates spread over the triangle, then the most telling ones that the budget allows."""
        reached, last = highest_rungs(seen), len(experiment.rungs) - 1
        unstable = {o.candidate for o in seen if o.state == "diverged"}
        first = [TrialSpec(c, 0, last) for c in self.first(experiment, unstable) if (c, 0) not in reached]
        if first:
            return first
        values = values_of(seen)
        if len(values.value) == 0:
            return []
        surface = surface_of(experiment)
        posterior, weights = surface.fit(values)
        stable = [c for c in range(len(experiment.shares)) if c not in unstable]
        left = self.budget_fraction * exhaustive_flops(experiment) - spent_flops(experiment, reached)
        options, costs = options_of(experiment, reached, stable, [last], left)
        if expected_regret(posterior, stable) < self.tolerance or not options:
            return []
        mean = np.where(np.isin(np.arange(len(posterior.mean)), stable), posterior.mean, -np.inf)
        likeliest = surface.only(int(weights.argmax()))
        return most_valuable(likeliest, values, mean, options, costs, left, self.batch)

    def first(self, experiment: Experiment, unstable: Container[int] = ()) -> list[int]:
        """The candidates that are trained whatever comes; others take the place of those that diverged."""
        dearest = max(experiment.epoch_flops) * experiment.rungs[-1]
        affordable = self.budget_fraction * exhaustive_flops(experiment) / dearest
        count = max(FEWEST_SPREAD, int(SPREAD_PART * affordable))
        return [c for c in spread_out(experiment.shares, experiment.seed) if c not in unstable][:count]


def spread_out(shares: Sequence[Shares], seed: int) -> list[int]:
    """All candidates, the first one at random, every further one far from those before it.

    Distances are blurred a little by the seed, so that no candidate is first by its place alone.
    """
    generator = np.random.default_rng(seed)
    points = np.array([astuple(s) for s in shares])
    order = [int(generator.integers(len(points)))]
    distance = ((points - points[order[0]]) ** 2).sum(axis=1)
    while len(order) < len(points):
        distance[order] = -1.0
        blurred = distance + 0.05 * generator.random(len(points))
        order.append(int(blurred.argmax()))
        distance = np.minimum(distance, ((points - points[order[-1]]) ** 2).sum(axis=1))
    return order
