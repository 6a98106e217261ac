"""What is believed of questions after a fit: a mixture of Student distributions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg.lapack import dpstrf

from scaler.search.inference.questions import Array

_DRAWS = 2000
_QUANTILES = (np.random.default_rng(1).permutation(_DRAWS) + 0.5) / _DRAWS


@dataclass(frozen=True)
class Posterior:
    """What is believed of ``T`` questions: a mixture of Student distributions, one per setting that is left.

    Attributes:
        weights: ``[M]``.
        means: ``[M, T]``.
        covariances: ``[M, T, T]``, for the noise's scale as it is estimated.
        freedom: degrees of freedom of that estimate: from few trainings, it may be far off.
    """

    weights: Array
    means: Array
    covariances: Array
    freedom: int

    @cached_property
    def mean(self) -> Array:
        """``[T]``."""
        return np.asarray(self.weights @ self.means)

    @cached_property
    def covariance(self) -> Array:
        """``[T, T]``, of the mixture, for the noise's scale as it is estimated."""
        return mixed(self.weights, self.means, self.means, self.covariances)

    @cached_property
    def draws(self) -> Array:
        """``[2000, T]``: possible answers. The same random numbers every time."""
        places = (np.arange(_DRAWS) + 0.5) / _DRAWS
        setting = np.minimum(np.searchsorted(np.cumsum(self.weights), places), len(self.weights) - 1)
        normal = np.random.default_rng(0).standard_normal((_DRAWS, self.means.shape[1]))
        scale = np.sqrt(self.freedom / stats.chi2.ppf(_QUANTILES, self.freedom))
        steps = np.empty_like(normal)
        for m in np.unique(setting):
            steps[setting == m] = normal[setting == m] @ root(self.covariances[m]).T
        return np.asarray(self.means[setting] + steps * scale[:, None])

    def best_probability(self, eligible: NDArray[np.bool_] | None = None) -> Array:
        """``[T]``: probability of being the largest, among the eligible."""
        draws = self.draws if eligible is None else np.where(eligible, self.draws, -np.inf)
        return np.bincount(draws.argmax(axis=1), minlength=len(self.mean)) / _DRAWS

    def region(self, confidence: float = 0.95, eligible: NDArray[np.bool_] | None = None) -> tuple[int, ...]:
        """The fewest questions that together hold the largest with this probability, likeliest first."""
        probability = self.best_probability(eligible)
        order = np.argsort(-probability, kind="stable")
        count = int(np.searchsorted(np.cumsum(probability[order]), confidence - 1e-9)) + 1
        return tuple(int(i) for i in order[:count])

    def beats(self, one: int, other: int) -> float:
        """Probability that one answer is larger than another."""
        return float(np.mean(self.draws[:, one] > self.draws[:, other]))

    def interval(self, confidence: float = 0.9) -> Array:
        """``[T, 2]``: the middle ``confidence`` of every answer's draws."""
        return np.quantile(self.draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0).T


def root(covariance: Array) -> Array:
    """``L`` with ``L L' = covariance`` ``[T, T]``, which may be singular: Cholesky with pivots."""
    factor, pivots, rank, _ = dpstrf(covariance, lower=1)
    found: Array = np.zeros_like(factor)
    found[pivots - 1, :rank] = np.tril(factor)[:, :rank]
    return found


def mixed(weights: Array, one: Array, other: Array, within: Array) -> Array:
    """Covariance of a mixture from its parts' means ``[M, A]``, ``[M, B]`` and covariances ``[M, A, B]``."""
    about, beside = one - weights @ one, other - weights @ other
    return np.asarray(np.einsum("m,mab->ab", weights, within) + (weights[:, None] * about).T @ beside)
