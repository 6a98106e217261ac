"""Made-up tables of trainings with a known truth, in the spirit of a short proxy search on the triangle."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pandas as pd

from scaler.execution.protocol import Experiment
from scaler.replay.table import COLUMNS, Array, Table
from scaler.scaling.shares import Shares, lattice

CENTRE = Shares(1 / 3, 1 / 3, 1 / 3)
EDGE = Shares(0.0, 0.5, 0.5)
CORNER = Shares(0.0, 1.0, 0.0)


def truth(
    candidates: list[Shares], optimum: Shares, lead: float = 0.9, rough: float = 0.0, seed: int = 0
) -> Array:
    """Last-epoch points of every candidate: a paraboloid about ``optimum`` and some roughness, ``lead``
    points between the best and the median."""
    x = np.array([astuple(c) for c in candidates])
    values = -((x - np.array(astuple(optimum))) ** 2).sum(axis=1)
    values = values / values.std()
    values = values + rough * np.random.default_rng(seed).standard_normal(len(values))
    return np.asarray(values * lead / (values.max() - np.median(values)))


def make_table(
    optimum: Shares = CENTRE,
    deviation: float = 0.8,
    *,
    seeds: int = 4,
    epochs: int = 6,
    divisions: int = 4,
    lead: float = 0.9,
    rough: float = 0.3,
    bias: float = 0.6,
    shared: float = 0.3,
    seed: int = 0,
) -> tuple[Table, Array]:
    """A table and the true last-epoch accuracies (in [0, 1]) of its candidates.

    The truth is known at the budget alone, and growth is asked about up to there.

    ``deviation``: of one training from seed to seed at the last epoch, in points, of which ``shared`` is the
    seed's (all candidates alike). ``bias``: deviation of what the first epoch adds to a candidate
    for no lasting reason, in points, a part of it against deep networks; it fades until the last epoch.
    """
    generator = np.random.default_rng(seed)
    candidates = list(lattice(divisions))
    final = truth(candidates, optimum, lead, rough, seed)
    fade = 1 - np.log1p(np.arange(epochs)) / np.log(epochs)
    depth = np.array([c.depth for c in candidates])
    depth = (depth - depth.mean()) / depth.std()
    own = generator.standard_normal(len(candidates))
    early = bias * (0.7 * own - 0.7 * depth)
    level = 60 - 25 * fade
    mean = level + (0.6 + 0.4 * (1 - fade)) * final[:, None] + fade * early[:, None]
    growth = 1 + 0.5 * fade

    def noise(*shape: int) -> Array:
        """Deviations along a training: half of the variance stays from epoch to epoch."""
        steady = generator.standard_normal((*shape, 1))
        jumping = generator.standard_normal((*shape, epochs))
        return np.asarray(growth * (np.sqrt(0.5) * steady + np.sqrt(0.5) * jumping))

    deviations = np.sqrt(shared) * noise(1, seeds) + np.sqrt(1 - shared) * noise(len(candidates), seeds)
    points = mean[:, None, :] + deviation * deviations
    experiment = Experiment(
        shares=tuple(candidates),
        epoch_flops=tuple(1e12 * (1 + 0.02 * generator.uniform(-1, 1, len(candidates)))),
        rungs=tuple(range(1, epochs + 1)),
        max_seeds=seeds,
        seed=0,
        up_to=2.0,
    )
    accuracy = points / 100
    loss = 2.3 - 3 * accuracy + 0.3 * deviation / 100 * generator.standard_normal(points.shape)
    images = 5000 * np.arange(1, epochs + 1)
    table = Table("synthetic", experiment, accuracy=accuracy, loss=loss, images=images)
    return table, mean[:, -1] / 100


def frame_of_candidates(table: Table) -> pd.DataFrame:
    """A table of candidates alone as its file has it, a loss that is NaN as an empty cell."""
    experiment = table.experiment
    rows = [
        (
            c,
            *astuple(experiment.shares[c]),
            s,
            epochs,
            table.images[e],
            round(experiment.epoch_flops[c] * epochs),
            f"{table.accuracy[c, s, e]:.6f}",
            "" if np.isnan(table.loss[c, s, e]) else f"{table.loss[c, s, e]:.6f}",
        )
        for c in range(len(experiment.shares))
        for s in range(experiment.max_seeds)
        for e, epochs in enumerate(experiment.rungs)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def assert_same(one: Table, other: Table) -> None:
    """Two tables hold the same trainings, whatever they are called."""
    assert one.experiment == other.experiment
    assert one.images.tolist() == other.images.tolist()
    np.testing.assert_array_equal(one.accuracy, other.accuracy)
    np.testing.assert_array_equal(one.loss, other.loss)
    assert (one.larger is None) == (other.larger is None)
    if one.larger and other.larger:
        assert one.larger.size == other.larger.size
        np.testing.assert_array_equal(one.larger.accuracy, other.larger.accuracy)
