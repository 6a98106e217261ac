"""Candidates compared at one rung: paired by seed index, and the set that cannot be told from the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
_DRAWS = 4000
_FEWEST_REPEATS = 3


@dataclass(frozen=True)
class Comparison:
    """Least-squares means of candidates in ``value = candidate + seed effect + noise``.

    Attributes:
        candidates: ids, ascending.
        means: ``[K]``, one per candidate, as if all had run with the same seeds.
        weights: ``[K, K]``, covariance of the means in units of ``variance`` (right for differences).
        variance: of one training's noise, once the seed effect is taken out.
        spread: standard deviation of a candidate's trainings from seed to seed, the seed effect included;
            NaN where fewer than three trainings were repeats: it would be luck itself.
        freedom: degrees of freedom of ``variance``; 0 where nothing was repeated (``variance`` is NaN).
        seeds: ``[K]``, trainings per candidate.
    """

    candidates: tuple[int, ...]
    means: Array
    weights: Array
    variance: float
    spread: float
    freedom: int
    seeds: NDArray[np.int64]

    def difference_error(self, i: int, j: int) -> float:
        """Standard error of the difference of two means, by position in ``candidates``."""
        w = self.weights
        return math.sqrt(max(self.variance * (w[i, i] + w[j, j] - 2 * w[i, j]), 0.0))

    def standard_errors(self) -> Array:
        """Standard error of every candidate's own mean over seeds (not of differences)."""
        return self.spread / np.sqrt(self.seeds)


def compare(values: Mapping[tuple[int, int], float]) -> Comparison:
    """Fit the two-way model to values by (candidate, seed index); the design may have holes.

    Where candidates share no seed, even indirectly, the seed effect cannot be told
    from the candidates' and is left in the noise.
    """
    candidates = sorted({candidate for candidate, _ in values})
    seed_indices = sorted({seed_index for _, seed_index in values})
    rows = np.array([candidates.index(c) for c, _ in values])
    columns = np.array([seed_indices.index(r) for _, r in values])
    y = np.array(list(values.values()), dtype=float)
    indicators = np.eye(len(candidates))[rows]
    paired = np.hstack([indicators, (np.eye(len(seed_indices)) - 1 / len(seed_indices))[columns][:, 1:]])
    if np.linalg.matrix_rank(paired) < paired.shape[1]:
        paired = indicators
    inverse = np.linalg.pinv(paired.T @ paired)
    solution = inverse @ paired.T @ y
    residual, freedom = y - paired @ solution, len(y) - paired.shape[1]
    seeds = np.bincount(rows)
    k = len(candidates)
    own = np.bincount(rows, y) / seeds
    repeated = len(y) - k
    return Comparison(
        candidates=tuple(candidates),
        means=solution[:k],
        weights=inverse[:k, :k],
        variance=float(residual @ residual / freedom) if freedom else math.nan,
        spread=float(np.sqrt(np.sum((y - own[rows]) ** 2) / repeated))
        if repeated >= _FEWEST_REPEATS
        else math.nan,
        freedom=freedom,
        seeds=seeds,
    )


def best_set(comparison: Comparison, confidence: float = 0.95) -> tuple[int, ...]:
    """Candidates that cannot be told from the best: holds the best one at least ``confidence`` of the time.

    Multiple comparisons with the best (Hsu 1984, Annals of Statistics 12; Edwards & Hsu 1983, JASA 78):
    a candidate leaves the set when some other is better by more than Dunnett's one-sided critical value,
    which makes the statement simultaneous. Without an estimate of the noise, all stay.
    """
    if comparison.freedom == 0:
        return comparison.candidates
    kept = []
    for i, candidate in enumerate(comparison.candidates):
        others = [j for j in range(len(comparison.candidates)) if j != i]
        errors = [comparison.difference_error(i, j) for j in others]
        limit = _critical_value(comparison, i, confidence) if others else 0.0
        gaps = comparison.means[others] - comparison.means[i]
        if all(gap <= limit * error for gap, error in zip(gaps, errors, strict=True)):
            kept.append(candidate)
    return tuple(kept)


def _critical_value(comparison: Comparison, i: int, confidence: float) -> float:
    """Dunnett's one-sided critical value with candidate ``i`` as the control."""
    weights, k = comparison.weights, len(comparison.candidates)
    contrast = np.delete(np.eye(k), i, axis=0) - np.eye(k)[i]
    covariance = contrast @ weights @ contrast.T
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    return _dunnett(tuple(np.round(correlation, 3).ravel()), k - 1, comparison.freedom, confidence)


@lru_cache(maxsize=4096)
def _dunnett(correlation: tuple[float, ...], size: int, freedom: int, confidence: float) -> float:
    """Quantile of the largest of ``size`` correlated t variables, by simulation with fixed draws."""
    if size == 1:
        return float(stats.t.ppf(confidence, freedom))
    generator = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(np.array(correlation).reshape(size, size))
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = generator.standard_normal((_DRAWS, size)) @ root.T
    chi = np.sqrt(generator.chisquare(freedom, _DRAWS) / freedom)
    return float(np.quantile(normal.max(axis=1) / chi, confidence))


def seeds_to_decide(gap: float, variance: float, confidence: float = 0.95, power: float = 0.8) -> float:
    """Seeds per candidate for a paired, one-sided t test to see ``gap`` with this power; inf for no gap.

    ``variance`` is one training's; a difference of two has twice that. Solved by iteration on t's
    degrees of freedom.
    """
    if not gap > 0:
        return math.inf
    count = 2.0
    for _ in range(50):
        freedom = max(count - 1, 1)
        quantiles = stats.t.ppf(confidence, freedom) + stats.t.ppf(power, freedom)
        wanted = 2 * variance * quantiles**2 / gap**2
        if abs(wanted - count) < 0.5:
            break
        count = max((count + wanted) / 2, 2.0)
    return float(math.ceil(max(count, 2.0)))
