"""What a recorded table leaves possible: true learning curves, and trainings with new seeds about them.

The means of a table over its few seeds are not the truth: they hold the chance of those seeds, at all epochs
alike. Were they taken for it, candidates would differ by more than they do, and early epochs would tell of
the last one what they only share by that chance. So every draw has a truth of its own, from an empirical
Bayes posterior (Efron & Morris 1975, JASA 70): means are true curves plus the noise of trainings, whose size
and course the table shows; true curves differ by candidate as a Gaussian process over the epochs, whose size
and course are averaged over, weighted by their marginal likelihood. The seed effect and the noise of a
loss go with those of its accuracy. Candidates are independent in it: no strategy that believes in a smooth
surface is favoured. Networks off the budget differ in size, so they are independent about a trend, a straight
line in octaves along each axis (Fay & Herriot 1979, JASA 74): drawn towards one mean, all of them would lie
closer together than their trainings show, and growth would buy less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from scaler.errors import UserError
from scaler.replay.table import Table

Array = NDArray[np.float64]

#: How true curves go along a training: they forget what they were at the first epoch, down to this part at
#: the last, or turn about, so that (at pi) what leads at first comes last in the end.
_COURSES = ((0.0, 0.0), (0.3, 0.0), (0.6, 0.0), (0.8, 0.0), (0.9, 0.0), (0.98, 0.0), (0.9, 1.6), (0.9, 2.4))
#: How true curves may differ: standard deviation at the last epoch, in units of a training's noise; at the
#: first epoch, in the same units, against that at the last; and their course.
SETTINGS = np.array(
    [
        (signal, first, *course)
        for signal, first, course in product(
            (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.2, 2.0, 3.0, 5.0, 10.0, 100.0),
            (0.4, 1.0, 2.5, 6.0),
            _COURSES,
        )
    ]
)
#: Settings of less weight than this are never drawn.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Draw:
    """A truth and a table of new seeds about it.

    Attributes:
        table: as if it had been recorded; every network has as many seeds as the candidates.
        truth: ``[C]``, the expected accuracy at the last epoch in [0, 1]; 0 where trainings diverge.
        larger: ``[C]``, that of the candidates' directions further up; NaN where that was not recorded.
    """

    table: Table
    truth: Array
    larger: Array


@dataclass(frozen=True)
class Curves:
    """What is known of the true curves of networks that are compared with one another.

    Attributes:
        stable: ``[n]``, those that never diverged; the others always will.
        mean: ``[2, n, E]``, means over the recorded seeds, accuracy and loss.
        weights: ``[M]``, of the settings that explain the accuracies.
        shifts: ``[M, n', E]``, expected chance part of the mean accuracies of stable networks, by setting;
            roots: ``[M, E, E]``, of its covariance.
    """

    stable: NDArray[np.bool_]
    mean: Array
    weights: Array
    shifts: Array
    roots: Array

    def draw(self, generator: np.random.Generator, slopes: Array) -> Array:
        """``[2, n, E]``: true curves that the means leave possible."""
        setting = generator.choice(len(self.weights), p=self.weights)
        steps = generator.standard_normal(self.shifts.shape[1:])
        shift = self.shifts[setting] + steps @ self.roots[setting].T
        true = self.mean.copy()
        true[:, self.stable] -= np.stack([shift, shift @ slopes])
        return true


@dataclass(frozen=True)
class Simulator:
    """A table as a source of truths and of further seeds.

    Attributes:
        table: the recorded one.
        candidates, off_budget, larger: what is known of the true curves; the last two where recorded.
        slopes: ``[E, E]``, what noise in accuracy does to the loss.
        seed_effect: ``[2, S, E]`` deviations of seeds; ``noise``: ``[2, C * S, E]`` of trainings; both blown
            up to the size that fresh ones have.
    """

    table: Table
    candidates: Curves
    off_budget: Curves | None
    larger: Curves | None
    slopes: Array
    seed_effect: Array
    noise: Array

    def draw(self, seed: int) -> Draw:
        """A truth that the table leaves possible, and as many trainings as it holds, with new seeds."""
        generator = np.random.default_rng(seed)
        seeds, count = self.seed_effect.shape[1], len(self.candidates.stable)
        true = self.candidates.draw(generator, self.slopes)
        if self.off_budget:
            true = np.concatenate([true, self.off_budget.draw(generator, self.slopes)], axis=1)
        larger = np.full(count, np.nan)
        if self.larger:
            larger[_known(self.table)] = self.larger.draw(generator, self.slopes)[0, :, -1]
        seed_effect = self.seed_effect[:, None, generator.integers(seeds, size=seeds)]
        which = generator.integers(self.noise.shape[1], size=(true.shape[1], seeds))
        accuracy, loss = true[:, :, None] + seed_effect + self.noise[:, which]
        experiment = replace(self.table.experiment, seed=seed)
        drawn = replace(self.table, experiment=experiment, accuracy=accuracy, loss=loss)
        return Draw(drawn, true[0, :count, -1], larger)


def simulator_of(table: Table) -> Simulator:
    """What a table leaves possible. A network that diverged with any seed always diverges.

    Seed effects and noise are those of the candidates, which are recorded with every seed. A deviation from
    a mean over ``n`` is smaller than one from the truth by ``sqrt(1 - 1/n)``; this is undone.

    Raises:
        UserError: the table has a single seed, or every candidate diverged.
    """
    count, seeds = len(table.experiment.shares), table.experiment.max_seeds
    if seeds < 2:
        raise UserError(
            f"{table.name} has one seed per candidate, which shows no noise, and replays need at least two: "
            "record a second seed, as `scaler search --seeds 2` does"
        )
    values = np.stack([table.accuracy, table.loss])
    own = values[:, :count, :seeds]
    epochs = own.shape[3]
    stable = np.isfinite(own[1]).all(axis=(1, 2))
    if not stable.any():
        raise UserError(f"{table.name}: every candidate diverged, so there is nothing to choose among")
    about = own[:, stable] - own[:, stable].mean(axis=2, keepdims=True)
    seed_effect = about.mean(axis=1)
    noise = (about - seed_effect[:, None]).reshape(2, -1, epochs)
    freedom = max((int(stable.sum()) - 1) * (seeds - 1), 1)
    within = noise[0].T @ noise[0] / freedom
    within += np.diag(1e-6 * np.diag(within) + 1e-12)  # for tables without noise, or of few trainings

    def curves(trainings: Array, octaves: Array | None = None) -> Curves:
        return _curves(trainings, seed_effect, within, table.experiment.rungs, octaves)

    off, places = values[:, count:], np.array(table.experiment.octaves[count:], dtype=float)
    return Simulator(
        table=table,
        candidates=curves(own),
        off_budget=curves(off, places) if off.shape[1] else None,
        larger=curves(_larger(table)) if table.larger else None,
        slopes=np.linalg.solve(within, noise[0].T @ noise[1] / freedom),
        seed_effect=seed_effect * np.sqrt(seeds / (seeds - 1)),
        noise=noise * np.sqrt(noise.shape[1] / freedom),
    )


def _known(table: Table) -> NDArray[np.bool_]:
    """``[C]``: candidates whose direction was recorded further up."""
    assert table.larger is not None
    return np.asarray(np.isfinite(table.larger.accuracy[:, :, -1]).any(axis=1))


def _larger(table: Table) -> Array:
    """``[2, n, S, E]``: the directions recorded further up; a loss is not asked for there."""
    assert table.larger is not None
    accuracy = table.larger.accuracy[_known(table)]
    return np.stack([accuracy, np.where(np.isnan(accuracy), np.nan, 0.0)])


def _curves(
    trainings: Array, seed_effect: Array, noise: Array, rungs: tuple[int, ...], octaves: Array | None
) -> Curves:
    """What trainings ``[2, n, S, E]`` tell of their networks' curves; NaN where a seed was not recorded.

    The curves lie about one mean, or about a trend in the networks' ``octaves`` ``[n, 3]``.
    """
    recorded = np.isfinite(trainings[0]).all(axis=2)
    shared = seed_effect[:, None, : trainings.shape[2]]
    adjusted = trainings.copy()
    adjusted[:, :, : shared.shape[2]] -= shared
    mean = adjusted.mean(axis=2, where=recorded[None, :, :, None])  # a loss that is NaN once stays NaN
    diverged = np.isnan(mean[1]).any(axis=1)
    mean[0, diverged] = 0.0
    stable = ~diverged
    seeds = max(round(float(recorded[stable].sum(axis=1).mean())), 1) if stable.any() else 1
    trend = np.ones((len(mean[0]), 1)) if octaves is None else np.insert(octaves, 0, 1.0, axis=1)
    return Curves(stable, mean, *_seed_error_of_means(mean[0, stable], trend[stable], noise, seeds, rungs))


def _seed_error_of_means(
    mean: Array, trend: Array, noise: Array, seeds: int, rungs: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Posterior of the chance part of mean accuracies ``[C, E]`` over seeds of noise ``[E, E]``, by setting.

    True curves differ from a linear combination of the columns of ``trend`` ``[C, P]``.

    Returns:
        The weights of the settings that matter, the expected chance part, and the roots of its covariance.
    """
    priors = _priors(np.sqrt(np.diag(noise)), rungs)
    total = np.linalg.cholesky(priors + noise / seeds)
    coefficients, _, rank, _ = np.linalg.lstsq(trend, mean)
    differences = (mean - trend @ coefficients).T
    scaled = np.linalg.solve(total, np.broadcast_to(differences, (len(total), *differences.shape)))
    logs = np.log(np.diagonal(total, axis1=1, axis2=2)).sum(axis=1)
    evidence = -0.5 * (scaled**2).sum(axis=(1, 2)) - (len(mean) - rank) * logs
    weights = np.exp(evidence - evidence.max())
    kept = weights > NEGLIGIBLE * weights.sum()
    weights, total, scaled = weights[kept], total[kept], scaled[kept]
    known = np.linalg.solve(total, np.broadcast_to(noise / seeds, total.shape))
    shifts = np.swapaxes(np.swapaxes(known, 1, 2) @ scaled, 1, 2)
    left = noise / seeds - np.swapaxes(known, 1, 2) @ known
    values, vectors = np.linalg.eigh(left)
    return weights / weights.sum(), shifts, vectors * np.sqrt(np.maximum(values, 0))[:, None, :]


def _priors(deviation: Array, rungs: tuple[int, ...]) -> Array:
    """``[M, E, E]``: how true curves differ, by setting; ``deviation``: ``[E]``, a training's noise."""
    epochs = np.log(np.array(rungs, dtype=float))
    way = (epochs[-1] - epochs) / max(epochs[-1] - epochs[0], 1e-9)
    apart = np.abs(np.subtract.outer(way, way))
    signal, first, kept, turn = (column[:, None] for column in SETTINGS.T)
    scale = signal * first**way * deviation
    course = np.where(apart == 0, 1.0, kept[:, :, None] ** apart) * np.cos(turn[:, :, None] * apart)
    priors: Array = scale[:, :, None] * course * scale[:, None, :]
    return priors
