"""What short, noisy trainings say about a full training: a Gaussian process on the triangle and its rungs.

A value of candidate ``c`` with seed index ``s`` at rung ``k`` is modelled as

    level(k) + fidelity_correlation(k) * latent(c) + fidelity_bias(c, k) + seed_effect(s, k) + noise(c, s, k)

``latent`` is what is sought: the value of full training, a surface over the shares (a plane that is bent
a little, or any smooth one) plus a part of the candidate's own. ``fidelity_bias`` is what short trainings
get wrong: a random walk in log(epochs) that ends at 0 at the last rung, half of it such a surface.
``fidelity_correlation`` is how much of the latent value shows at a rung: all of it, or at the first ones
nothing or even its reverse, as where what learns fast at first is worse in the end.
``seed_effect`` is shared by all candidates of a seed index. ``noise`` drifts along a training, so that
neighbouring epochs have much the same, and has a part of each rung alone. How large these are is not
estimated but averaged over: a grid of settings, each weighted by its marginal likelihood, with the scale of
the noise integrated out (Rasmussen & Williams 2006, sections 2.7 and 5.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scaler.execution.protocol import Experiment, Observation
from scaler.scaling.shares import Shares

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Fidelity bias: its standard deviation at the first rung, against that of latent values, and the angle by
#: which the first rung turns away from the last (its cosine is the fidelity correlation).
_BIASES = ((0.3, 0.0), (1.0, 0.0), (3.0, 0.0), (1.0, 2.4))
#: How noise goes along a training: correlation of the first rung's drift with the last's, and the part of the
#: variance that is each rung's own. Epochs that repeat each other's chance are no further evidence.
_COURSES = ((0.3, 0.05), (0.7, 0.4))
#: The standard deviation of latent values, in units of a training's noise at the last rung; bias; what the
#: first rung adds to the noise (below 0: less, as where nothing has been learnt yet); the course of noise;
#: and how bent surfaces are: 0 is a plane (linear in the shares, the first term of Scheffe's mixture
#: polynomial), 1 has no trend at all.
SETTINGS = np.array(
    [
        (signal, *bias, growth, *course, bend)
        for signal, bias, growth, course, bend in product(
            (0.3, 1.0, 3.0, 10.0), _BIASES, (-0.3, 0.5), _COURSES, (0.2, 1.0)
        )
    ]
)
#: Shares this far apart are no more than loosely related.
LENGTH = 0.4
#: A candidate's own part of the latent value, against the surface (standard deviations).
OWN = 0.5
#: Variance of the seed effect, against that of noise.
SEED_EFFECT = 1.0
#: Variance of levels: so large that only differences within a rung count.
LEVEL = 1e4
#: Above so many values, rungs between others are left out: they add time and hardly any knowledge.
MOST = 200
_DRAWS = np.random.default_rng(0).standard_normal((2000, 400))
_QUANTILES = (np.random.default_rng(1).permutation(len(_DRAWS)) + 0.5) / len(_DRAWS)


@dataclass(frozen=True)
class Values:
    """Observed values by candidate, seed index and rung, four arrays ``[N]``; larger is better."""

    candidate: Indices
    seed_index: Indices
    rung: Indices
    value: Array


@dataclass(frozen=True)
class Posterior:
    """What is believed of every candidate's latent value, up to a common constant: a Student distribution.

    Attributes:
        mean: ``[C]``.
        covariance: ``[C, C]``, for the noise's scale as it is estimated.
        noise: variance of full trainings of one candidate about its latent value, seed effect left out.
        freedom: degrees of freedom of that estimate: from few trainings, it may be far off.
    """

    mean: Array
    covariance: Array
    noise: float
    freedom: int

    @cached_property
    def draws(self) -> Array:
        """``[2000, C]``: possible latent values. The same random numbers every time."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        normal = _DRAWS[:, : len(values)]
        if normal.shape[1] < len(values):
            normal = np.random.default_rng(0).standard_normal((len(_DRAWS), len(values)))
        scale = np.sqrt(self.freedom / stats.chi2.ppf(_QUANTILES, self.freedom))
        draws: Array = self.mean + (normal @ root.T) * scale[:, None]
        return draws

    def best_probability(self, eligible: NDArray[np.bool_]) -> Array:
        """``[C]``: probability of being the best among the eligible."""
        winners = np.where(eligible, self.draws, -np.inf).argmax(axis=1)
        return np.bincount(winners, minlength=len(self.mean)) / len(winners)

    def beats(self, one: int, other: int) -> float:
        """Probability that a candidate is better than another."""
        return float(np.mean(self.draws[:, one] > self.draws[:, other]))


class Surface:
    """The model for a set of candidates and rungs. Covariances are ``[M, ., .]``, one per setting."""

    def __init__(self, shares: Sequence[Shares], rungs: Sequence[int], settings: Array = SETTINGS) -> None:
        points = np.array([astuple(s) for s in shares])
        squares = ((points[:, None] - points) ** 2).sum(axis=-1)
        smooth, own = np.exp(-squares / (2 * LENGTH**2)), np.eye(len(points))
        plane = 1.5 * (points - 1 / 3) @ (points - 1 / 3).T  # 1 at the corners
        epochs = np.log(np.array(rungs, dtype=float))
        way = (epochs[-1] - epochs) / max(epochs[-1] - epochs[0], 1e-9)
        signal, bias, turn, growth, memory, own_rung, bend = (column[:, None, None] for column in settings.T)
        surface = bend * smooth + (1 - bend) * plane
        self._shares, self._rungs, self._settings = shares, rungs, settings
        self.latent = signal**2 * (surface + OWN**2 * own)
        self.fidelity_correlation = np.cos(turn[:, 0] * way)
        self._fidelity_bias = (signal * bias) ** 2 * (surface + own) / 2
        # Ways to spend equal FLOPs are rarely far apart: large signals are less likely beforehand.
        self._prior = -np.log(settings[:, 0])
        self._way = np.minimum.outer(way, way)
        spread = 1 + growth * way[None, :, None]
        drift = memory ** np.abs(np.subtract.outer(way, way))
        course = (1 - own_rung) * drift + own_rung * np.eye(len(rungs))
        self._noise = spread * np.swapaxes(spread, 1, 2) * course

    def only(self, setting: int) -> Surface:
        """The model with one of its settings."""
        return Surface(self._shares, self._rungs, self._settings[[setting]])

    def covariance(self, a: Values, b: Values) -> Array:
        """``[M, N_a, N_b]`` between values (not between what they estimate)."""
        candidates, rungs = np.ix_(a.candidate, b.candidate), np.ix_(a.rung, b.rung)
        same_seed = a.seed_index[:, None] == b.seed_index
        same_training = same_seed & (a.candidate[:, None] == b.candidate)
        every = slice(None)
        bias = self._fidelity_bias[(every, *candidates)] * self._way[rungs]
        noise = self._noise[(every, *rungs)] * (SEED_EFFECT * same_seed + same_training)
        level = LEVEL * (a.rung[:, None] == b.rung)
        shown = self.fidelity_correlation[:, a.rung, None] * self.fidelity_correlation[:, None, b.rung]
        total: Array = shown * self.latent[(every, *candidates)] + bias + noise + level
        return total

    def crossed(self, values: Values) -> Array:
        """``[M, C, N]`` between every latent value and values."""
        result: Array = self.latent[:, :, values.candidate] * self.fidelity_correlation[:, None, values.rung]
        return result

    def fit(self, values: Values) -> tuple[Posterior, Array]:
        """The posterior after seeing the values, and the weight of every setting ``[M]``."""
        y, freedom = _within_rungs(values)
        root = np.linalg.cholesky(self.covariance(values, values))
        cross = np.swapaxes(self.crossed(values), 1, 2)
        target = np.broadcast_to(y[:, None], (len(root), len(y), 1))
        solved = np.linalg.solve(root, np.concatenate([cross, target], axis=2))
        known, scaled = solved[:, :, :-1], solved[:, :, -1]
        squares = (scaled**2).sum(axis=1) + 1e-12
        logs = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        evidence = self._prior - logs - freedom / 2 * np.log(squares)
        weights = np.exp(evidence - evidence.max())
        weights /= weights.sum()
        means = np.einsum("mnc,mn->mc", known, scaled)
        left = self.latent - np.swapaxes(known, 1, 2) @ known
        noise = squares / max(freedom, 1)
        left *= noise[:, None, None]
        mean = weights @ means
        between = means - mean
        covariance = np.einsum("m,mcd->cd", weights, left) + (weights[:, None] * between).T @ between
        return Posterior(mean, covariance, float(weights @ noise), max(freedom, 1)), weights

    def predict(self, values: Values, asked: Values) -> tuple[Array, Array]:
        """Covariances, after seeing ``values``, of every latent value with the values asked for ``[C, A]``,
        and of these with each other ``[A, A]``; by the model's first setting."""
        inverse = np.linalg.inv(self.covariance(values, values)[0])
        y, freedom = _within_rungs(values)
        variance = y @ inverse @ y / max(freedom, 1)
        cross = self.covariance(asked, values)[0]
        about = self.crossed(asked)[0] - self.crossed(values)[0] @ inverse @ cross.T
        between = self.covariance(asked, asked)[0] - cross @ inverse @ cross.T
        return variance * about, variance * between


@lru_cache(maxsize=32)
def _surface(shares: tuple[Shares, ...], rungs: tuple[int, ...]) -> Surface:
    return Surface(shares, rungs)


def surface_of(experiment: Experiment) -> Surface:
    """The model of a experiment; made once for the same candidates and rungs."""
    return _surface(experiment.shares, experiment.rungs)


def values_of(seen: Sequence[Observation], metric: str = "accuracy") -> Values:
    """Values of completed trainings by candidates that never diverged; a loss changes its sign."""
    unstable = {o.candidate for o in seen if o.state == "diverged"}
    usable = [o for o in seen if o.state == "complete" and o.candidate not in unstable]
    usable.sort(key=lambda o: (o.candidate, o.seed_index, o.rung))
    rungs = _informative_rungs(usable)
    kept = [o for o in usable if o.rung in rungs]
    sign = 1.0 if metric == "accuracy" else -1.0
    return Values(
        candidate=np.array([o.candidate for o in kept], dtype=np.int64),
        seed_index=np.array([o.seed_index for o in kept], dtype=np.int64),
        rung=np.array([o.rung for o in kept], dtype=np.int64),
        value=sign * np.array([getattr(o, metric) for o in kept], dtype=float),
    )


def _informative_rungs(usable: Sequence[Observation]) -> set[int]:
    """All rungs; of too many values, those without the ones between close neighbours (in log epochs), and in
    the end without the first, unless only that knows some candidate."""
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


def _within_rungs(values: Values) -> tuple[Array, int]:
    """Values less the mean of their rung, and the degrees of freedom left."""
    y = values.value.copy()
    rungs = np.unique(values.rung)
    for rung in rungs:
        at = values.rung == rung
        y[at] -= y[at].mean()
    return y, len(y) - len(rungs)
