"""What a recorded table leaves possible: true learning curves, and trainings with new seeds about them.

The means of a table over its few seeds are not the truth: they hold the chance of those seeds, at all epochs
alike. Were they taken for it, candidates would differ by more than they do, and early epochs would tell of
the last one what they only share by that chance. So every draw has a truth of its own, from an empirical
Bayes posterior (Efron & Morris 1975, JASA 70): means are true curves plus the noise of trainings, whose size
and course the table shows; true curves differ by candidate as a Gaussian process over the epochs, whose size
and course are averaged over, weighted by their marginal likelihood. The seed effect and the noise of a
loss go with those of its accuracy. Candidates are independent in it: no strategy that believes in a smooth
surface is favoured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from scaler.errors import UserError
from scaler.replay.table import Table
from scaler.search.inference.comparison import best_set, compare

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
        table: as if it had been recorded.
        truth: ``[C]``, the expected accuracy at the last epoch in [0, 1]; 0 where trainings diverge.
    """

    table: Table
    truth: Array


@dataclass(frozen=True)
class Simulator:
    """A table as a source of truths and of further seeds.

    Attributes:
        table: the recorded one.
        tied: candidates that its trainings cannot tell from the best.
        stable: ``[C]``, those that never diverged; the others always will.
        mean: ``[2, C, E]``, the table's means over its seeds, accuracy and loss.
        weights: ``[M]``, of the settings that explain the accuracies.
        shifts: ``[M, C, E]``, expected chance part of the mean accuracies of stable candidates, by setting;
            roots: ``[M, E, E]``, of its covariance.
        slopes: ``[E, E]``, what noise in accuracy does to the loss.
        seed_effect: ``[2, S, E]`` deviations of seeds; ``noise``: ``[2, C * S, E]`` of trainings; both blown
            up to the size that fresh ones have.
    """

    table: Table
    tied: tuple[int, ...]
    stable: NDArray[np.bool_]
    mean: Array
    weights: Array
    shifts: Array
    roots: Array
    slopes: Array
    seed_effect: Array
    noise: Array

    def draw(self, seed: int) -> Draw:
        """A truth that the table leaves possible, and as many trainings as it holds, with new seeds."""
        generator = np.random.default_rng(seed)
        candidates, seeds = len(self.stable), self.seed_effect.shape[1]
        setting = generator.choice(len(self.weights), p=self.weights)
        steps = generator.standard_normal(self.shifts.shape[1:])
        shift = self.shifts[setting] + steps @ self.roots[setting].T
        true = self.mean.copy()
        true[:, self.stable] -= np.stack([shift, shift @ self.slopes])
        seed_effect = self.seed_effect[:, None, generator.integers(seeds, size=seeds)]
        which = generator.integers(self.noise.shape[1], size=(candidates, seeds))
        accuracy, loss = true[:, :, None] + seed_effect + self.noise[:, which]
        experiment = replace(self.table.experiment, seed=seed)
        drawn = replace(self.table, experiment=experiment, accuracy=accuracy, loss=loss)
        return Draw(drawn, true[0, :, -1])


def simulator_of(table: Table) -> Simulator:
    """What a table leaves possible. A candidate that diverged with any seed always diverges.

    A deviation from a mean over ``n`` is smaller than one from the truth by ``sqrt(1 - 1/n)``; this is
    undone.

    Raises:
        UserError: every candidate diverged.
    """
    values = np.stack([table.accuracy, table.loss])
    seeds, epochs = values.shape[2:]
    mean = values.mean(axis=2)
    stable = np.isfinite(mean[1]).all(axis=1)
    if not stable.any():
        raise UserError(f"{table.name}: every candidate diverged, so there is nothing to choose among")
    mean[0, ~stable] = 0.0
    about = values[:, stable] - mean[:, stable, None, :]
    seed_effect = about.mean(axis=1)
    noise = (about - seed_effect[:, None]).reshape(2, -1, epochs)
    freedom = max((int(stable.sum()) - 1) * (seeds - 1), 1)
    within = noise[0].T @ noise[0] / freedom
    within += np.diag(1e-6 * np.diag(within) + 1e-12)  # for tables without noise, or of few trainings
    weights, shifts, roots = _seed_error_of_means(mean[0, stable], within, seeds, table.experiment.rungs)
    final = {
        (c, s): float(values[0, c, s, -1]) for c in np.flatnonzero(stable).tolist() for s in range(seeds)
    }
    return Simulator(
        table=table,
        tied=best_set(compare(final)),
        stable=stable,
        mean=mean,
        weights=weights,
        shifts=shifts,
        roots=roots,
        slopes=np.linalg.solve(within, noise[0].T @ noise[1] / freedom),
        seed_effect=seed_effect * np.sqrt(seeds / max(seeds - 1, 1)),
        noise=noise * np.sqrt(noise.shape[1] / freedom),
    )


def _seed_error_of_means(
    mean: Array, noise: Array, seeds: int, rungs: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Posterior of the chance part of mean accuracies ``[C, E]`` over seeds of noise ``[E, E]``, by setting.

    Returns:
        The weights of the settings that matter, the expected chance part, and the roots of its covariance.
    """
    priors = _priors(np.sqrt(np.diag(noise)), rungs)
    total = np.linalg.cholesky(priors + noise / seeds)
    differences = (mean - mean.mean(axis=0)).T
    scaled = np.linalg.solve(total, np.broadcast_to(differences, (len(total), *differences.shape)))
    logs = np.log(np.diagonal(total, axis1=1, axis2=2)).sum(axis=1)
    evidence = -0.5 * (scaled**2).sum(axis=(1, 2)) - (len(mean) - 1) * logs
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
