"""What a search will cost, before it starts: trainings, images, FLOPs, and time from a short calibration."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Experiment, Observation, Strategy, TrialSpec
from scaler.execution.training_cost import highest_rungs, spent_flops
from scaler.training.recipe import PASSES

#: A simulation with more rounds than this would be a strategy that never ends.
MOST_ROUNDS = 10_000
#: Of made-up accuracies from seed to seed.
SIMULATED_DEVIATION = 0.01

#: Seconds until the server that worker processes are forked from has imported what they need, and of answer,
#: pictures and page at the end.
START_SECONDS, END_SECONDS = 4.0, 6.0
#: What batches, checkpoints and averaging add to the steps that are timed.
BESIDE_STEPS = 1.1

#: Training FLOPs of the work handed out at one time, one number for each training.
Batch = Sequence[float]


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


@dataclass(frozen=True)
class Course:
    """How a strategy went on made-up accuracies: what it saw, and what it asked for, batch by batch."""

    seen: tuple[Observation, ...]
    batches: tuple[tuple[TrialSpec, ...], ...]


def simulated_plan(strategy: Strategy, experiment: Experiment, images: int) -> Plan:
    """What a strategy would train, by its course on made-up accuracies."""
    return plan_of(experiment, simulated_course(strategy, experiment, images).seen)


def simulated_course(strategy: Strategy, experiment: Experiment, images: int) -> Course:
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
    batches: list[tuple[TrialSpec, ...]] = []
    for _ in range(MOST_ROUNDS):
        trials = strategy.ask(experiment, list(seen.values()))
        if not trials:
            break
        batches.append(tuple(trials))
        for trial in trials:
            for rung in range(trial.rung + 1):
                c, s = trial.candidate, trial.seed_index
                accuracy = float(level[c] + effect[c, s, rung])
                flops = int(experiment.epoch_flops[c] * rungs[rung])
                seen[c, s, rung] = Observation(
                    c, s, rung, rungs[rung], images * rungs[rung], flops, accuracy, 2 - accuracy, 0.0
                )
    return Course(tuple(seen.values()), tuple(batches))


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


def work(experiment: Experiment, course: Course, images: int, judged: int) -> list[Batch]:
    """The FLOPs of every training and its evaluations, batch by batch.

    Args:
        experiment: what is compared.
        course: of a strategy on it.
        images: trained on in an epoch.
        judged: that a network sees at every rung to be evaluated: a forward pass each.
    """
    evaluation = judged / (PASSES * images)  # in epochs
    ends = [0.0, *(epochs + (rung + 1) * evaluation for rung, epochs in enumerate(experiment.rungs))]
    reached: dict[tuple[int, int], int] = {}
    batches: list[Batch] = []
    for trials in course.batches:
        batch = []
        for training, top in highest_rungs(trials).items():
            behind = reached.get(training, -1)
            batch.append(experiment.epoch_flops[training[0]] * (ends[top + 1] - ends[behind + 1]))
            reached[training] = max(top, behind)
        batches.append([flops for flops in batch if flops > 0])
    return batches


def seconds(batches: Sequence[Batch], flops_per_second: float, workers: int, cores: int) -> float:
    """Wall time from the first training to the end of the command, on a machine that does nothing else.

    Args:
        batches: as :func:`work` gives them; a batch begins when the one before it is done.
        flops_per_second: of one worker.
        workers: processes; one alone is the command itself, and starts at once.
        cores: that workers share; more workers than these are no faster.
    """
    at_once = min(workers, cores)
    trained = sum(_longest(batch, at_once) for batch in batches)
    start = START_SECONDS if workers > 1 else 0.0
    return start + BESIDE_STEPS * trained / flops_per_second + END_SECONDS


def _longest(batch: Batch, workers: int) -> float:
    """FLOPs of the worker that has most to do, where the longest training left always goes to who is free."""
    busy = [0.0] * workers
    for flops in sorted(batch, reverse=True):
        heapq.heapreplace(busy, busy[0] + flops)
    return max(busy)
