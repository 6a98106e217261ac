"""How error falls with FLOPs along one policy, how sure that is, and what it lets expect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Two parameters beside the exponent, and a network to spare.
FEWEST_NETWORKS = 3
#: Bootstrap draws; their seed, so that the same run gives the same answer.
DRAWS, SEED = 2000, 0
CONFIDENCE = 0.95
#: Exponents thought possible beforehand, evenly on a log scale; those published for image classifiers lie
#: well inside (Hestness et al. 2017, arXiv 1712.00409; Rosenfeld et al. 2020, arXiv 1909.12673).
_EXPONENTS = np.geomspace(0.03, 2.0, 40)
#: Variance of a network's own part (rounding, odd sizes of small maps), against that of a training. About the
#: laws of ten policies of earlier runs networks scatter by 1.15 points^2, of which their seeds are 0.6.
OWN = 0.5


@dataclass(frozen=True)
class Interval:
    """A value, and the bounds that hold it with :data:`CONFIDENCE`."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class NoLaw:
    """Why networks give no law, in words."""

    reason: str


@dataclass(frozen=True)
class Noise:
    """Of one network's mean accuracy over its seeds, known from all networks of a scaling.

    Attributes:
        residuals: what is left of every training's accuracy once network and seed index have their effects,
            scaled up for what those effects took.
        effects: of every seed index, which all networks share.
        variance: of one training.
        freedom: degrees of freedom of ``variance``.
        seeds: trainings of each network.
    """

    residuals: Array
    effects: Array
    variance: float
    freedom: int
    seeds: int


@dataclass(frozen=True)
class GrowthLaw:
    """``error = floor + scale * (F / reference)^-exponent`` as draws of what the trainings leave possible.

    Attributes:
        floor, scale, exponent: one value per draw.
        deviation: of a measured network from the law, per draw: noise of its seeds and lumps of rounding.
        reference: FLOPs.
        smallest, largest: FLOPs of the networks that it is known from.
    """

    floor: Array
    scale: Array
    exponent: Array
    deviation: Array
    reference: float
    smallest: float
    largest: float

    @property
    def reach(self) -> float:
        """The most FLOPs that it says anything of: as many doublings beyond the largest as it has seen."""
        return self.largest**2 / self.smallest

    def accuracy(self, flops: float, *, measured: bool = False) -> Interval:
        """Accuracy of a network of so many FLOPs; ``measured``: as another scaling would measure it."""
        draws = 1 - self._errors(flops)
        if measured:
            generator = np.random.default_rng(SEED + 1)
            draws = draws + self.deviation * generator.standard_normal(len(draws))
        return _interval(np.clip(draws, 0, 1))

    def flops_for(self, accuracy: float) -> Interval:
        """FLOPs of the network that has this accuracy; infinite where the floor forbids it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = ((1 - accuracy - self.floor) / self.scale) ** (-1 / self.exponent)
        relative = np.where((1 - accuracy > self.floor) & (self.scale > 0), relative, np.inf)
        return _interval(self.reference * relative)

    @property
    def falls(self) -> float:
        """Probability that the error falls at all with FLOPs."""
        return float(np.mean(self.scale > 0))

    def _errors(self, flops: float) -> Array:
        errors: Array = self.floor + self.scale * (flops / self.reference) ** -self.exponent
        return errors


def noise_of(values: Mapping[tuple[int, int], float]) -> Noise | NoLaw:
    """The noise of a scaling from accuracies by (training, seed index), every training with every seed."""
    trainings, seeds = sorted({t for t, _ in values}), sorted({s for _, s in values})
    if len(seeds) < 2 or len(trainings) < 2:
        return NoLaw("a law needs two seeds at least: from one, nobody knows what is noise")
    if len(values) != len(trainings) * len(seeds):
        return NoLaw("a law needs every network with every seed; some are missing")
    table = np.array([[values[t, s] for s in seeds] for t in trainings])
    effects = table.mean(axis=0) - table.mean()
    rest = table - table.mean(axis=1, keepdims=True) - effects
    freedom = (len(trainings) - 1) * (len(seeds) - 1)
    residuals = rest.ravel() * math.sqrt(rest.size / freedom)
    variance = float(np.sum(rest**2) / freedom)
    return Noise(residuals, effects * math.sqrt(len(seeds) / (len(seeds) - 1)), variance, freedom, len(seeds))


def fit_growth(flops: Sequence[float], accuracy: Sequence[float], noise: Noise) -> GrowthLaw | NoLaw:
    """Fit a law to the networks of one policy.

    Every draw resamples the seeds (residuals of all networks pooled, for a network has few) and the networks'
    own parts, and takes an exponent by how well it fits that draw: weights are the likelihood of the errors
    once their variance is integrated out, with that of seeds and own parts as what was known before. Floor
    and scale follow by least squares, neither below zero. So the band holds the luck of the seeds, the lumps
    of the networks, and the shape of the curve.
    """
    x, error = np.array(flops, dtype=float), 1 - np.array(accuracy, dtype=float)
    if len(np.unique(x)) < FEWEST_NETWORKS:
        there = len(np.unique(x))
        return NoLaw(f"a law needs {FEWEST_NETWORKS} networks of different cost at least, there are {there}")
    reference = float(np.exp(np.log(x).mean()))
    generator = np.random.default_rng(SEED)
    draws = error + _resampled(noise, len(x), generator)
    fits = [_least_squares(draws, (x / reference) ** -exponent) for exponent in _EXPONENTS]
    floors, scales, squares = (np.array([fit[i] for fit in fits]) for i in range(3))
    known = noise.freedom * noise.variance * (1 / noise.seeds + OWN)
    freedom = len(x) - 2 + noise.freedom
    weights = (squares + max(known, 1e-12)) ** (-freedom / 2)
    chosen = _one_of_each(weights, generator)
    rows = np.arange(DRAWS)
    spread = (squares[chosen, rows] + known) / generator.chisquare(freedom, DRAWS)
    return GrowthLaw(
        floor=floors[chosen, rows],
        scale=scales[chosen, rows],
        exponent=_EXPONENTS[chosen],
        deviation=np.sqrt(spread),
        reference=reference,
        smallest=float(x.min()),
        largest=float(x.max()),
    )


def _resampled(noise: Noise, networks: int, generator: np.random.Generator) -> Array:
    """``[DRAWS, networks]``: how far means over other seeds, of networks with other lumps, may have lain."""
    seeds = generator.choice(noise.residuals, (DRAWS, networks, noise.seeds)).mean(axis=2)
    shared = generator.choice(noise.effects, (DRAWS, 1, noise.seeds)).mean(axis=2)
    lumps = np.sqrt(OWN * noise.variance) * generator.standard_normal((DRAWS, networks))
    total: Array = seeds + shared + lumps
    return total


def _least_squares(errors: Array, power: Array) -> tuple[Array, Array, Array]:
    """Floor, scale and sum of squares of ``errors [DRAWS, n] = floor + scale * power [n]``, both >= 0."""
    centred = power - power.mean()
    scale = np.maximum(errors @ centred / (centred @ centred), 0)
    floor = errors.mean(axis=1) - scale * power.mean()
    through = errors @ power / (power @ power)  # no floor
    scale = np.where(floor < 0, through, scale)
    floor = np.maximum(floor, 0)
    rest = errors - floor[:, None] - scale[:, None] * power
    return floor, scale, np.sum(rest**2, axis=1)


def _one_of_each(weights: Array, generator: np.random.Generator) -> NDArray[np.int64]:
    """A row for each column, drawn by the weights ``[rows, columns]``."""
    cumulative = np.cumsum(weights / weights.sum(axis=0), axis=0)
    drawn: NDArray[np.int64] = (cumulative < generator.random(weights.shape[1])).sum(axis=0)
    return np.minimum(drawn, len(weights) - 1)


def _interval(draws: Array) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, middle, high = np.quantile(draws, (tail, 0.5, 1 - tail), method="nearest")
    return Interval(float(middle), float(low), float(high))
