"""What a search will cost, before it starts: trainings, images, FLOPs, and time from a short calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Experiment, Observation, Strategy
from scaler.execution.training_cost import highest_rungs, spent_flops

#: A simulation with more rounds than this would be a strategy that never ends.
MOST_ROUNDS = 10_000
#: Of made-up accuracies from seed to seed.
SIMULATED_DEVIATION = 0.01


@dataclass(frozen=True)
class Plan:
    """The work ahead; for a strategy that reacts to what it sees, a typical course of it.

    Attributes:
        trainings: networks trained (candidates times seeds).
        images: training images, all trainings together.
        train_flops: training FLOPs, all trainings together.
        by_rung: networks that reach each rung.
        off_budget: trainings of networks that cannot be chosen.
    """

    trainings: int
    images: int
    train_flops: float
    by_rung: tuple[int, ...]
    off_budget: int = 0

    def seconds(self, flops_per_second: float, workers: int) -> float:
        """Wall time on so many workers, with a tenth for what they wait for one another."""
        return 1.1 * self.train_flops / (flops_per_second * workers)


def simulated_plan(strategy: Strategy, experiment: Experiment, images: int) -> Plan:
    """What a strategy would train, by its course on made-up accuracies."""
    return plan_of(experiment, simulated_course(strategy, experiment, images))


def simulated_course(strategy: Strategy, experiment: Experiment, images: int) -> list[Observation]:
    """Run a strategy on made-up accuracies.

    As in a short proxy: a doubling of FLOPs buys three points, networks differ by half a point beside that,
    and their seeds by one.
    """
    noise = np.random.default_rng(experiment.seed)
    count, rungs = len(experiment.epoch_flops), experiment.rungs
    level = 0.6 + 0.005 * noise.standard_normal(count)
    level += 0.03 * np.array([sum(at) for at in experiment.octaves] or [0.0] * count)
    effect = SIMULATED_DEVIATION * noise.standard_normal((count, experiment.max_seeds, len(rungs)))
    seen: dict[tuple[int, int, int], Observation] = {}
    for _ in range(MOST_ROUNDS):
        trials = strategy.ask(experiment, list(seen.values()))
        if not trials:
            break
        for trial in trials:
            for rung in range(trial.rung + 1):
                c, s = trial.candidate, trial.seed_index
                accuracy = float(level[c] + effect[c, s, rung])
                flops = int(experiment.epoch_flops[c] * rungs[rung])
                seen[c, s, rung] = Observation(
                    c, s, rung, rungs[rung], images * rungs[rung], flops, accuracy, 2 - accuracy, 0.0
                )
    return list(seen.values())


def plan_of(experiment: Experiment, seen: Sequence[Observation]) -> Plan:
    """The work that observations took."""
    reached = highest_rungs(seen)
    images = {(o.candidate, o.seed_index, o.rung): o.images for o in seen}
    return Plan(
        trainings=len(reached),
        images=sum(images[(*training, rung)] for training, rung in reached.items()),
        train_flops=spent_flops(experiment, reached),
        by_rung=tuple(sum(top >= rung for top in reached.values()) for rung in range(len(experiment.rungs))),
        off_budget=sum(network >= len(experiment.shares) for network, _ in reached),
    )
