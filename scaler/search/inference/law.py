"""How accuracy grows along each axis: a Gaussian process about an additive law with diminishing returns.

A network lies at ``x = (x_d, x_w, x_r)``, its *octaves*: ``x_k = e_k log2(m_k)`` for an effective
multiplier ``m_k`` along an axis that costs FLOPs as its power ``e_k``, so one octave is one doubling of
FLOPs and the base lies at 0. A value of network ``i`` with the seeds of index ``s`` at rung ``k`` is
modelled as

    level(k) + fidelity_correlation(k) latent(i) + fidelity_bias(i, k) + seed_effect(s, k) + noise(i, s, k)
    latent(i) = sum_j g_j h(x_ij; a_j) + discrepancy(x_i) + own(i),      h(x; a) = (1 - 2^(-a x)) / (a ln 2)

``h`` has slope 1 at the base and ``2^(-a x)`` at ``x``: it is ``E + A m^-p`` written for its slope at the
base instead of its size, and a straight line for ``a = 0``. The slopes ``g`` are alike beforehand but may
be negative; ``discrepancy`` is any smooth function (what the additive law gets wrong), ``own`` a network's
own part (odd sizes of maps, rounding), three quarters of whose variance it shares with all networks of its
depth, of its width and of its resolution. ``fidelity_bias`` is what short trainings get wrong, slopes and
all: a random walk in log(epochs) that is 0 at the last rung; ``fidelity_correlation`` is how much of the
latent value shows at a rung. ``seed_effect`` is shared by all networks of a seed index, so that comparisons
are paired.
``noise`` drifts along a training and has a part of each rung alone.

Given the exponents ``a`` and the sizes of all parts, everything is linear and normal. These settings are not
estimated but averaged over: points that fill their space, each weighted by its marginal likelihood with the
noise's scale integrated out (Rasmussen & Williams 2006, sections 2.7 and 5.2; O'Hagan 1978 for the
discrepancy). The additive form: Chinchilla (arXiv 2203.15556) and SoViT (arXiv 2305.13035); exponents on
points rather than by descent: variable projection (Golub & Pereyra 1973).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.linalg.lapack import dpotrf, dtrtri, dtrtrs

from scaler.search.inference.law_settings import (
    SIZES,
    Settings,
    bearing,
    enough,
    normalised,
    settings_at,
    spread_places,
    spread_settings,
)
from scaler.search.inference.posterior import Posterior, mixed
from scaler.search.inference.questions import Array, Indices, Questions, directions, latent_values, returns

#: Rounds of further settings, until as many bear the weight as ``law_settings.ENOUGH`` asks for.
ROUNDS = 3
#: Networks this far apart, in octaves, are no more than loosely related in what the law gets wrong.
LENGTH = 1.5
#: Octaves along an axis that are one depth, width or resolution.
SAME = 1e-3
#: Variance of the seed effect, against that of noise.
SEED_EFFECT = 1.0
#: A network's own part of the fidelity bias, against noise (standard deviations).
OWN_BIAS = 0.5
#: Variance of levels: so large that only differences within a rung count.
LEVEL = 1e4
#: Entries of covariances that are calculated at a time: as many as a processor's cache holds.
AT_ONCE = 2**17
#: Settings of less weight than this, against the largest, are left out after a fit.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Values:
    """Observed values by network, seed index and rung, four arrays ``[N]``; larger is better."""

    network: Indices
    seed_index: Indices
    rung: Indices
    value: Array


@dataclass(frozen=True)
class _Side:
    """Questions as covariances need them: features of the law ``[M, T, 3]`` and what settings do not
    change."""

    questions: Questions
    law: Array


class Law:
    """The model for networks at ``octaves`` ``[I, 3]`` and rungs (epochs, ascending).

    Covariances are ``[M, ., .]``, one per setting, in units of the noise's variance.
    """

    def __init__(self, octaves: Array, rungs: Sequence[int] = (1,), settings: Settings | None = None) -> None:
        self.octaves = np.asarray(octaves, dtype=float)
        self.rungs = tuple(rungs)
        self.settings = settings or spread_settings()
        epochs = np.log(np.array(rungs, dtype=float))
        way = (epochs[-1] - epochs) / max(epochs[-1] - epochs[0], 1e-9)
        self._way = np.minimum.outer(way, way)
        s = self.settings
        self._fidelity_correlation = np.cos(s.turn[:, None] * way)
        spread = 1 + s.growth[:, None] * way
        drift = s.memory[:, None, None] ** np.abs(np.subtract.outer(way, way))
        apart = s.apart[:, None, None]
        noise = spread[:, :, None] * spread[:, None] * ((1 - apart) * drift + apart * np.eye(len(way)))
        # Between values of different seeds, of one seed, and of one training: [M, 3, K, K].
        parts = np.array([0.0, SEED_EFFECT, SEED_EFFECT + 1.0])[:, None, None]
        self._scatter = noise[:, None] * parts + LEVEL * np.eye(len(way))

    def some(self, which: Indices) -> Law:
        """The model with some of its settings."""
        return Law(self.octaves, self.rungs, self.settings.some(which))

    def networks(self, which: Indices) -> Questions:
        """The latent values of networks, own parts included."""
        return latent_values(self.octaves[which], np.asarray(which, dtype=np.int64))

    def _side(self, questions: Questions) -> _Side:
        bought = returns(questions.octaves, self.settings.exponents[:, None, :])
        return _Side(questions, self.settings.slope[:, None, None] * (questions.weights @ bought))

    def latent(self, a: Questions, b: Questions) -> Array:
        """``[M, T_a, T_b]`` between questions."""
        return self._latent(self._side(a), self._side(b))

    def _latent(self, a: _Side, b: _Side) -> Array:
        s = self.settings
        alike = s.alike[:, None, None]
        law = alike * a.law.sum(axis=2)[:, :, None] * b.law.sum(axis=2)[:, None]
        law += (1 - alike) * (a.law @ np.swapaxes(b.law, 1, 2))
        smooth, own = _kernels(a.questions, b.questions)
        return np.asarray(law + s.discrepancy[:, None, None] ** 2 * smooth + s.own[:, None, None] ** 2 * own)

    def crossed(self, questions: Questions, values: Values) -> Array:
        """``[M, T, N]`` between questions and values (their ``value`` is not looked at)."""
        networks, which = np.unique(values.network, return_inverse=True)
        latent = self.latent(questions, self.networks(networks)).take(which, axis=2)
        return np.asarray(latent * self._fidelity_correlation[:, None, values.rung])

    def covariance(self, a: Values, b: Values) -> Array:
        """``[M, N_a, N_b]`` between values (not between what they estimate)."""
        # What settings change is calculated once for two networks and once for two rungs, and looked up.
        (network_a, of_a), (network_b, of_b) = (np.unique(v.network, return_inverse=True) for v in (a, b))
        sides = self._side(self.networks(network_a)), self._side(self.networks(network_b))
        networks = of_a[:, None] * len(network_b) + of_b
        rungs = a.rung[:, None] * len(self.rungs) + b.rung
        same_seed = a.seed_index[:, None] == b.seed_index
        shared = same_seed * (1 + (a.network[:, None] == b.network))
        correlation = self._fidelity_correlation
        total = _looked_up(self._latent(*sides), networks)
        total *= _looked_up(correlation[:, :, None] * correlation[:, None], rungs)
        way = self._way[a.rung[:, None], b.rung]
        if way.any():
            slopes = sides[0].law @ np.swapaxes(sides[1].law, 1, 2)
            own = OWN_BIAS**2 * (network_a[:, None] == network_b)
            bias = self.settings.fidelity_bias[:, None, None] ** 2 * (slopes + own)
            total += _looked_up(bias, networks) * way
        total += _looked_up(self._scatter, shared * len(self.rungs) ** 2 + rungs)
        return total

    def fit(self, values: Values) -> Fit:
        """The model after seeing the values, averaged over its settings as they are."""
        return self._fitted(values, self._explain(values))

    def _roots(self, values: Values) -> Iterator[Array]:
        """Of every setting, ``[N, N]``: the root of the values' covariance; few of them stand at a time."""
        at_once = max(1, AT_ONCE // max(len(values.value), 1) ** 2)
        for begin in range(0, len(self.settings), at_once):
            part = self.some(np.arange(begin, min(begin + at_once, len(self.settings))))
            for total in part.covariance(values, values):
                root, failed = dpotrf(total.T, lower=1, overwrite_a=1)
                if failed:
                    raise np.linalg.LinAlgError("a covariance of values is not positive definite")
                yield root

    def _explain(self, values: Values) -> Array:
        """``[M]``: log marginal likelihood of every setting."""
        y, freedom = _within_rungs(values)
        found = []
        for root in self._roots(values):
            scaled = dtrtrs(root, y, lower=1)[0]
            found.append(-np.log(root.diagonal()).sum() - freedom / 2 * np.log(scaled @ scaled + 1e-12))
        return np.array(found)

    def _fitted(self, values: Values, weights: Array) -> Fit:
        """With log weights ``[M]``, of which small ones are left out."""
        y, freedom = _within_rungs(values)
        part = normalised(weights)
        kept = np.flatnonzero(part >= NEGLIGIBLE * part.max())
        law, count = self.some(kept), len(y)
        inverse, scaled = np.empty((len(kept), count, count)), np.empty((len(kept), count))
        for m, root in enumerate(law._roots(values)):
            scaled[m] = dtrtrs(root, y, lower=1)[0]
            inverse[m] = dtrtri(root, lower=1, overwrite_c=1)[0]
        freedom = max(freedom, 1)
        return Fit(
            law=law,
            values=values,
            weights=part[kept] / part[kept].sum(),
            inverse=inverse,
            scaled=scaled,
            noise=((scaled**2).sum(axis=1) + 1e-12) / freedom,
            freedom=freedom,
            additive=float(part[self.settings.discrepancy == 0].sum()),
        )


def fit_law(octaves: Array, values: Values, rungs: Sequence[int] = (1,)) -> Fit:
    """The law of networks at ``octaves`` ``[I, 3]`` after seeing values, over as many settings as it takes.

    Where values say much, few of the spread settings bear the weight. Then further ones are placed about
    those that do, and all are weighted against the mixture that they were drawn from (adaptive importance
    sampling with deterministic mixture weights, Cornuet et al. 2012).
    """
    places = spread_places()
    groups: list[tuple[Array, Array]] = [(np.zeros(SIZES), np.ones(SIZES))]
    likelihood = Law(octaves, rungs, settings_at(places))._explain(values)
    weights = likelihood
    while len(groups) <= ROUNDS and not enough(weights):
        centre, spread = bearing(places, weights)
        groups.append((centre, spread))
        further = centre + spread * spread_places(seed=len(groups))
        places = np.vstack([places, further])
        likelihood = np.concatenate([likelihood, Law(octaves, rungs, settings_at(further))._explain(values)])
        mixture = [stats.norm.logpdf(places, c, s).sum(axis=1) for c, s in groups]
        weights = likelihood + stats.norm.logpdf(places).sum(axis=1) - np.logaddexp.reduce(mixture, axis=0)
    return Law(octaves, rungs, settings_at(places))._fitted(values, weights)


@dataclass(frozen=True)
class Fit:
    """The law after seeing values.

    Attributes:
        law: with the settings that are left; ``weights``: ``[M]``, theirs.
        values: what was seen.
        inverse: ``[M, N, N]``, of the root of the values' covariance; ``scaled``: ``[M, N]``, root^-1 value.
        noise: ``[M]``, variance of full trainings of a network about its latent value, seed effect left out.
        freedom: degrees of freedom of that estimate.
        additive: probability that the law suffices without a discrepancy (before: ``law_settings.ADDITIVE``).
    """

    law: Law
    values: Values
    weights: Array
    inverse: Array
    scaled: Array
    noise: Array
    freedom: int
    additive: float

    def _known(self, cross: Array) -> tuple[Array, Array]:
        """Means ``[M, T]`` and what is known ``[M, N, T]`` for covariances ``[M, T, N]`` with the values."""
        known = self.inverse @ np.swapaxes(cross, 1, 2)
        return np.einsum("mnt,mn->mt", known, self.scaled), known

    def mean(self, questions: Questions) -> Array:
        """``[T]``: expected answers to the questions; cheaper than the whole posterior."""
        return np.asarray(self.weights @ self._known(self.law.crossed(questions, self.values))[0])

    def posterior(self, questions: Questions) -> Posterior:
        """What is believed of the questions."""
        means, known = self._known(self.law.crossed(questions, self.values))
        left = self.law.latent(questions, questions) - np.swapaxes(known, 1, 2) @ known
        return Posterior(self.weights, means, left * self.noise[:, None, None], self.freedom)

    def predict(self, questions: Questions, asked: Values) -> tuple[Array, Array]:
        """Covariances of questions with values asked for ``[T, A]``, and of these with each other ``[A, A]``.

        They are over all settings: what a value tells of the settings counts too.
        """
        means, known = self._known(self.law.crossed(questions, self.values))
        expected, predicted = self._known(self.law.covariance(asked, self.values))
        scale = self.noise[:, None, None]
        about = self.law.crossed(questions, asked) - np.swapaxes(known, 1, 2) @ predicted
        between = self.law.covariance(asked, asked) - np.swapaxes(predicted, 1, 2) @ predicted
        return (
            mixed(self.weights, means, expected, scale * about),
            mixed(self.weights, expected, expected, scale * between),
        )

    @property
    def deviation(self) -> float:
        """Standard deviation of full trainings of a network about its latent value, seed effect left out."""
        return float(np.sqrt(self.weights @ self.noise))

    @property
    def exponents(self) -> Array:
        """``[3]``: expected exponents of depth, width, resolution."""
        return np.asarray(self.weights @ self.law.settings.exponents)

    def own_part(self, networks: Indices) -> float:
        """Expected share of own parts (lumps of small maps) in the variance of these latent values."""
        centred = np.eye(len(networks)) - 1 / len(networks)
        asked = self.law.networks(networks).weighted(centred)
        total = self.posterior(asked)
        second = np.einsum("m,mtt->", self.weights, total.covariances) + self.weights @ (total.means**2).sum(
            1
        )
        apart = centred @ _kernels(self.law.networks(networks), self.law.networks(networks))[1] @ centred
        own = self.weights @ (self.law.settings.own**2 * self.noise) * np.trace(apart)
        return float(min(own / max(second, 1e-300), 1.0))


def _looked_up(tables: Array, places: Indices) -> Array:
    """``[M, ...]``: of every setting, its table's entries at ``places`` (counted over all its axes)."""
    return np.asarray(tables.reshape(len(tables), -1).take(places, axis=1))


def _within_rungs(values: Values) -> tuple[Array, int]:
    """Values less the mean of their rung, and the degrees of freedom left."""
    y = values.value.copy()
    rungs = np.unique(values.rung)
    for rung in rungs:
        at = values.rung == rung
        y[at] -= y[at].mean()
    return y, len(y) - len(rungs)


def _kernels(a: Questions, b: Questions) -> tuple[Array, Array]:
    """Between questions, ``[T_a, T_b]`` each: of a discrepancy of size 1, and of own parts of size 1."""
    between = a.octaves[:, None] - b.octaves
    smooth = a.weights @ np.exp(-(between**2).sum(axis=-1) / (2 * LENGTH**2)) @ b.weights.T
    realised = (a.network[:, None] >= 0) & (b.network >= 0)
    same = (a.network[:, None] == b.network).astype(float) + (np.abs(between) < SAME).sum(axis=-1)
    return smooth, np.asarray(a.weights @ (same / 4 * realised) @ b.weights.T)


def best_directions(fit: Fit, size: float, divisions: int = 10) -> Array:
    """``[2000, 3]``: shares of the best direction at ``size`` times the base's FLOPs, in draws of what is
    believed."""
    shares = directions(divisions)
    posterior = fit.posterior(latent_values(shares * np.log2(size)))
    return np.asarray(shares[posterior.draws.argmax(axis=1)])
