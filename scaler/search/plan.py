"""What a search will cost, before it starts: trainings, images, FLOPs, and time from a short calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scaler.search.space import Space
from scaler.search.types import Contest, Observation, Strategy

#: A rehearsal with more rounds than this would be a strategy that never ends.
MOST_ROUNDS = 10_000
#: Fewer training images than this cannot train anything; a shorter time budget takes seeds and epochs.
FEWEST_IMAGES = 500


@dataclass(frozen=True)
class Plan:
    """The work ahead; for a strategy that reacts to what it sees, a typical course of it.

    Attributes:
        trainings: networks trained (candidates times seeds).
        images: training images, all trainings together.
        train_flops: training FLOPs, all trainings together.
        by_rung: networks that reach each rung.
    """

    trainings: int
    images: int
    train_flops: float
    by_rung: tuple[int, ...]

    def seconds(self, flops_per_second: float, workers: int) -> float:
        """Wall time on so many workers, with a tenth for what they wait for one another."""
        return 1.1 * self.train_flops / (flops_per_second * workers)


def rehearse(strategy: Strategy, contest: Contest, images: int) -> Plan:
    """Run a strategy on made-up accuracies to see what it would train.

    The made-up candidates differ by half a point and their seeds by one, as in a short proxy.
    """
    noise = np.random.default_rng(contest.seed)
    count, rungs = len(contest.shares), contest.rungs
    level = 0.6 + 0.005 * noise.standard_normal(count)
    effect = 0.01 * noise.standard_normal((count, contest.repetitions, len(rungs)))
    seen: dict[tuple[int, int, int], Observation] = {}
    for _ in range(MOST_ROUNDS):
        tasks = strategy.ask(contest, list(seen.values()))
        if not tasks:
            break
        for task in tasks:
            for rung in range(task.rung + 1):
                c, r = task.candidate, task.repetition
                accuracy = float(level[c] + effect[c, r, rung])
                flops = int(contest.epoch_flops[c] * rungs[rung])
                seen[c, r, rung] = Observation(
                    c, r, rung, rungs[rung], images * rungs[rung], flops, accuracy, 2 - accuracy, 0.0
                )
    return plan_of(list(seen.values()), len(rungs))


def plan_of(seen: Sequence[Observation], rungs: int) -> Plan:
    """The work that observations took."""
    last: dict[tuple[int, int], Observation] = {}
    for observation in seen:
        key = (observation.candidate, observation.repetition)
        if key not in last or observation.rung > last[key].rung:
            last[key] = observation
    reached = [sum(o.rung >= rung for o in last.values()) for rung in range(rungs)]
    return Plan(
        trainings=len(last),
        images=sum(o.images for o in last.values()),
        train_flops=float(sum(o.train_flops for o in last.values())),
        by_rung=tuple(reached),
    )


def fit_images(space: Space, available: int, seconds: float, wanted: float) -> Space:
    """The space with as many training images as a time budget allows, and fewer seeds if that is not enough.

    Args:
        space: what was planned.
        available: training images there are.
        seconds: what the plan would take.
        wanted: the time budget, in seconds.
    """
    current = min(space.recipe.images or available, available)
    images = min(int(current * wanted / seconds), available)
    if images >= FEWEST_IMAGES:
        return space.override(recipe=_recipe(space, images))
    share = images / FEWEST_IMAGES
    seeds = max(1, int(space.seeds * share))
    kept = max(1, round(len(space.rungs) * min(1.0, share * space.seeds / seeds)))
    rungs = space.rungs[:kept]
    recipe = {**_recipe(space, FEWEST_IMAGES), "epochs": rungs[-1]}
    return space.override(recipe=recipe, seeds=seeds, rungs=rungs)


def _recipe(space: Space, images: int) -> dict[str, object]:
    return vars(replace(space.recipe, images=images)).copy()
