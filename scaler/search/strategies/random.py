"""Candidates drawn at random, each trained in full with one seed: the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.training_cost import exhaustive_flops


@dataclass(frozen=True)
class Random:
    """Full trainings of random candidates, every candidate once before any gets a second seed.

    ``budget_fraction`` is the part of exhaustive search's training FLOPs; at least one training is done.
    """

    budget_fraction: float = 0.1
    name: str = "random"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """All trainings at once, then none."""
        generator = np.random.default_rng(experiment.seed)
        last = len(experiment.rungs) - 1
        order = [
            TrialSpec(int(candidate), seed_index, last)
            for seed_index in range(experiment.max_seeds)
            for candidate in generator.permutation(len(experiment.shares))
        ]
        left = self.budget_fraction * exhaustive_flops(experiment)
        trials: list[TrialSpec] = []
        for trial in order:
            left -= experiment.epoch_flops[trial.candidate] * experiment.rungs[-1]
            if trials and left < 0:
                break
            trials.append(trial)
        done = {(o.candidate, o.seed_index) for o in seen if o.rung == last}
        return [trial for trial in trials if (trial.candidate, trial.seed_index) not in done]
