"""The decision of a search in terms of the law: what each candidate is worth, on the way to larger sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple

import numpy as np

from scaler.execution.protocol import Experiment, Observation
from scaler.search.inference.law import Fit, fit_law
from scaler.search.inference.questions import Array, Questions, raised
from scaler.search.inference.values import Values

#: Above so many values, rungs between others are left out: they add time and hardly any knowledge.
MOST = 200


def octaves_of(experiment: Experiment) -> Array:
    """``[I, 3]``: of every network that may be trained, the candidates first."""
    if experiment.octaves:
        return np.array(experiment.octaves, dtype=float)
    shares = np.array([astuple(shares) for shares in experiment.shares], dtype=float)
    return np.asarray(shares * np.log2(experiment.budget))


def full_cost(experiment: Experiment) -> Array:
    """``[I]``: FLOPs of a full training of every network."""
    return np.array(experiment.epoch_flops) * experiment.rungs[-1]


def ladder(experiment: Experiment) -> tuple[float, ...]:
    """Sizes over which a candidate is judged: the budget, its square, .., up to ``experiment.up_to``.

    Who shrinks may give the smallest size or its inverse: 1/16 or 16.
    """
    reach = np.log(experiment.up_to)
    steps = int((abs(reach) if experiment.budget < 1 else reach) / abs(np.log(experiment.budget)) + 1e-9)
    return tuple(experiment.budget ** (1 + step) for step in range(max(1, steps)))


def worths(experiment: Experiment, sizes: Sequence[float] | None = None) -> Questions:
    """The worth of every candidate: its mean latent value over the ladder, or over other sizes.

    At the budget its own part counts (that network is the one that was built), further up it does not.
    """
    count = len(experiment.shares)
    candidates = np.arange(count, dtype=np.int64)
    return raised(octaves_of(experiment)[:count], sizes or ladder(experiment), experiment.budget, candidates)


def stable_worths(experiment: Experiment, diverged: Collection[int]) -> tuple[list[int], Questions]:
    """The candidates that never diverged, and their worths."""
    count = len(experiment.shares)
    eligible = [c for c in range(count) if c not in diverged]
    return eligible, worths(experiment).weighted(np.eye(count)[eligible])


def contrasts(experiment: Experiment) -> Questions:
    """Worths less their mean: what the decision turns on."""
    count = len(experiment.shares)
    return worths(experiment).weighted(np.eye(count) - 1 / count)


def values_of(seen: Sequence[Observation], metric: str = "accuracy") -> Values:
    """Values of completed trainings by networks that never diverged; a loss changes its sign."""
    diverged = {o.candidate for o in seen if o.state != "complete"}
    usable = [o for o in seen if o.state == "complete" and o.candidate not in diverged]
    usable.sort(key=lambda o: (o.candidate, o.seed_index, o.rung))
    rungs = _informative_rungs(usable)
    kept = [o for o in usable if o.rung in rungs]
    sign = 1.0 if metric == "accuracy" else -1.0
    return Values(
        network=np.array([o.candidate for o in kept], dtype=np.int64),
        seed_index=np.array([o.seed_index for o in kept], dtype=np.int64),
        rung=np.array([o.rung for o in kept], dtype=np.int64),
        value=sign * np.array([getattr(o, metric) for o in kept], dtype=float),
    )


def _informative_rungs(usable: Sequence[Observation]) -> set[int]:
    """All rungs; of too many values, those without the ones between close neighbours (in log epochs), and in
    the end without the first, unless only that knows some network."""
    epochs = {o.rung: float(np.log(o.epochs)) for o in usable}
    rungs = sorted(epochs)
    while len(rungs) > 1 and sum(o.rung in rungs for o in usable) > MOST:
        between = range(1, len(rungs) - 1)
        drop = min(between, key=lambda i: epochs[rungs[i + 1]] - epochs[rungs[i - 1]], default=0)
        left = {o.candidate for o in usable if o.rung in rungs and o.rung != rungs[drop]}
        if left < {o.candidate for o in usable}:
            break
        del rungs[drop]
    return set(rungs)


def fit_experiment(
    experiment: Experiment, seen: Sequence[Observation], metric: str = "accuracy"
) -> Fit | None:
    """The law after what was seen; None if nothing has been completed by a network that never diverged."""
    values = values_of(seen, metric)
    if len(values.value) == 0:
        return None
    return fit_law(octaves_of(experiment), values, experiment.rungs)
