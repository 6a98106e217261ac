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
are paired; ``noise`` drifts along a training and has a part of each rung alone.

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
from scipy.linalg.blas import dtrmm
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
from scaler.search.inference.values import Repeats, Seen, Values, as_seen

#: Rounds of further settings, until as many bear the weight as ``law_settings.ENOUGH`` asks for.
ROUNDS = 3
#: Networks this far apart, in octaves, are no more than loosely related in what the law gets wrong.
LENGTH = 1.25
#: Octaves along an axis at which two depths, widths or resolutions have nothing more in common.
SAME = 1e-3
#: Variance of the seed effect, against that of noise.
SEED_EFFECT = 1.0
#: A network's own part of the fidelity bias, against noise (standard deviations).
OWN_BIAS = 0.5
#: Variance of levels: so large that only differences within a rung count.
LEVEL = 1e4
#: Standard deviation of the noise where one training shows none: two points of accuracy.
UNSEEN = 0.02
#: Entries of covariances that are calculated at a time, as many as a cache holds; of some settings at least.
AT_ONCE, AT_LEAST = 2**18, 16
#: Settings of less weight than this, against the largest, are left out after a fit.
NEGLIGIBLE = 1e-3


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
        course = (1 - apart) * drift + apart * np.eye(len(way))
        self._noise = spread[:, :, None] * spread[:, None] * course
        # Between values of different seeds, of one seed, and of one training: [M, 3, K, K].
        parts = np.array([0.0, SEED_EFFECT, SEED_EFFECT + 1.0])[:, None, None]
        self._scatter = self._noise[:, None] * parts + LEVEL * np.eye(len(way))

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
        slopes = s.alike[:, None, None] + (1 - s.alike[:, None, None]) * np.eye(3)
        total = (a.law @ slopes) @ np.swapaxes(b.law, 1, 2)
        kernels = _kernels(a.questions, b.questions)
        total += (np.stack([s.discrepancy, s.own], axis=1) ** 2 @ kernels.reshape(2, -1)).reshape(total.shape)
        return np.asarray(total)

    def crossed(self, questions: Questions, values: Values) -> Array:
        """``[M, T, N]`` between questions and values (their ``value`` is not looked at)."""
        networks, which = np.unique(values.network, return_inverse=True)
        latent = self.latent(questions, self.networks(networks)).take(which, axis=2)
        return np.asarray(latent * self._fidelity_correlation[:, None, values.rung])

    def crossed_seen(self, questions: Questions, seen: Seen) -> Array:
        """``[M, T, P]`` between questions and what was seen."""
        if not (repeats := seen.repeats):
            return self.crossed(questions, seen.values)
        latent = self.latent(questions, self._sums(repeats))
        found = latent[:, :, :, None] * self._fidelity_correlation[:, None, None, repeats.rungs]
        return np.asarray(found.reshape(*found.shape[:2], -1))

    def _sums(self, repeats: Repeats) -> Questions:
        """The latent parts of sums of repeated trainings."""
        return self.networks(repeats.networks).weighted(repeats.network)

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

    def _of_sums(self, repeats: Repeats) -> Array:
        """``[M, P, P]`` between sums of repeated trainings."""
        side, rungs = self._side(self._sums(repeats)), repeats.rungs
        way, noise = self._way[np.ix_(rungs, rungs)], self._at(rungs)
        correlation = self._fidelity_correlation[:, rungs]
        shown = (correlation[:, :, None] * correlation[:, None])[:, None, :, None]
        total = self._latent(side, side)[:, :, None, :, None] * shown
        if way.any():
            slopes = side.law @ np.swapaxes(side.law, 1, 2) + OWN_BIAS**2 * _squares(repeats.network)
            bias = self.settings.fidelity_bias[:, None, None] ** 2 * slopes
            total += bias[:, :, None, :, None] * way[:, None]
        scatter = SEED_EFFECT * _squares(repeats.seed) + np.eye(len(repeats.seed))
        total += scatter[:, None, :, None] * noise[:, None, :, None]
        level = _squares(repeats.network.sum(axis=1, keepdims=True))
        total += LEVEL * level[:, None, :, None] * np.eye(len(rungs))[:, None]
        return np.asarray(total.reshape(len(total), total.shape[1] * len(rungs), -1))

    def _at(self, rungs: Indices) -> Array:
        """``[M, K, K]``: noise at some rungs."""
        return np.asarray(self._noise[:, rungs[:, None], rungs])

    def fit(self, values: Values) -> Fit:
        """The model after seeing the values, averaged over its settings as they are."""
        seen = as_seen(values)
        return self._fitted(seen, self._explain(seen))

    def _roots(self, seen: Seen) -> Iterator[Array]:
        """Of every setting, ``[P, P]``: the root of the covariance of what was seen; few stand at a time."""
        at_once = max(AT_LEAST, AT_ONCE // max(len(seen.y), 1) ** 2)
        for begin in range(0, len(self.settings), at_once):
            part = self.some(np.arange(begin, min(begin + at_once, len(self.settings))))
            repeats, values = seen.repeats, seen.values
            for total in part._of_sums(repeats) if repeats else part.covariance(values, values):
                root, failed = dpotrf(total.T, lower=1, overwrite_a=1)
                if failed:
                    raise np.linalg.LinAlgError("a covariance of values is not positive definite")
                yield root

    def _noise_alone(self, seen: Seen) -> tuple[Array, Array]:
        """``[M]`` each: of what is noise alone in repeats, the log of its root's determinant, and squares."""
        if not seen.repeats:
            return np.zeros(len(self.settings)), np.zeros(len(self.settings))
        noise = self._at(seen.repeats.rungs)
        logs = seen.repeats.count / 2 * np.linalg.slogdet(noise)[1]
        return logs, np.trace(np.linalg.solve(noise, seen.repeats.noise[None]), axis1=1, axis2=2)

    def _explain(self, seen: Seen) -> Array:
        """``[M]``: log marginal likelihood of every setting."""
        logs, squares = self._noise_alone(seen)
        for m, root in enumerate(self._roots(seen)):
            scaled = dtrtrs(root, seen.y, lower=1)[0]
            logs[m] += np.log(root.diagonal()).sum()
            squares[m] += scaled @ scaled
        return np.asarray(-logs - seen.freedom / 2 * np.log(squares + 1e-12))

    def _fitted(self, seen: Seen, weights: Array) -> Fit:
        """With log weights ``[M]``, of which small ones are left out."""
        part = normalised(weights)
        kept = np.flatnonzero(part >= NEGLIGIBLE * part.max())
        law, count = self.some(kept), len(seen.y)
        inverse, scaled = np.empty((len(kept), count, count)), np.empty((len(kept), count))
        for m, root in enumerate(law._roots(seen)):
            scaled[m] = dtrtrs(root, seen.y, lower=1)[0]
            inverse[m] = dtrtri(root, lower=1, overwrite_c=1)[0]
        return Fit(
            law=law,
            seen=seen,
            weights=part[kept] / part[kept].sum(),
            inverse=inverse,
            scaled=scaled,
            noise=law._variance(seen, scaled),
            freedom=max(seen.freedom, 1),
            additive=float(part[self.settings.discrepancy == 0].sum()),
        )

    def _variance(self, seen: Seen, scaled: Array) -> Array:
        """``[M]``: of the noise, by what was seen ``[M, P]``; a single training shows none."""
        if seen.freedom < 1:
            return np.full(len(scaled), UNSEEN**2)
        squares = self._noise_alone(seen)[1] + (scaled**2).sum(axis=1)
        return np.asarray((squares + 1e-12) / seen.freedom)


def fit_law(octaves: Array, values: Values, rungs: Sequence[int] = (1,)) -> Fit:
    """The law of networks at ``octaves`` ``[I, 3]`` after seeing values, over as many settings as it takes.

    Where values say much, few of the spread settings bear the weight. Then further ones are placed about
    those that do, and all are weighted against the mixture that they were drawn from (adaptive importance
    sampling with deterministic mixture weights, Cornuet et al. 2012).
    """
    seen, places = as_seen(values), spread_places()
    groups: list[tuple[Array, Array]] = [(np.zeros(SIZES), np.ones(SIZES))]
    likelihood = Law(octaves, rungs, settings_at(places))._explain(seen)
    weights = likelihood
    while len(groups) <= ROUNDS and not enough(weights):
        centre, spread = bearing(places, weights)
        groups.append((centre, spread))
        further = centre + spread * spread_places(seed=len(groups))
        places = np.vstack([places, further])
        likelihood = np.concatenate([likelihood, Law(octaves, rungs, settings_at(further))._explain(seen)])
        mixture = [stats.norm.logpdf(places, c, s).sum(axis=1) for c, s in groups]
        weights = likelihood + stats.norm.logpdf(places).sum(axis=1) - np.logaddexp.reduce(mixture, axis=0)
    return Law(octaves, rungs, settings_at(places))._fitted(seen, weights)


@dataclass(frozen=True)
class Fit:
    """The law after seeing values.

    Attributes:
        law: with the settings that are left; ``weights``: ``[M]``, theirs.
        seen: what was seen.
        inverse: ``[M, P, P]``, of the root of its covariance; ``scaled``: ``[M, P]``, root^-1 y.
        noise: ``[M]``, variance of full trainings of a network about its latent value, seed effect left out.
        freedom: degrees of freedom of that estimate.
        additive: probability that the law suffices without a discrepancy (before: ``law_settings.ADDITIVE``).
    """

    law: Law
    seen: Seen
    weights: Array
    inverse: Array
    scaled: Array
    noise: Array
    freedom: int
    additive: float

    def _known(self, cross: Array) -> tuple[Array, Array]:
        """Means ``[M, T]`` and what is known ``[M, P, T]`` for covariances ``[M, T, P]`` with it."""
        known = np.empty_like(cross)
        for m, (inverse, one) in enumerate(zip(self.inverse, cross, strict=True)):
            known[m] = dtrmm(1.0, inverse.T, one.T, trans_a=1).T
        return (known @ self.scaled[:, :, None])[:, :, 0], np.swapaxes(known, 1, 2)

    @property
    def values(self) -> Values:
        """What was seen."""
        return self.seen.values

    def mean(self, questions: Questions) -> Array:
        """``[T]``: expected answers to the questions; cheaper than the whole posterior."""
        told = self.weights[:, None] * (self.scaled[:, None] @ self.inverse)[:, 0]
        return np.asarray(np.einsum("mtp,mp->t", self.law.crossed_seen(questions, self.seen), told))

    def posterior(self, questions: Questions) -> Posterior:
        """What is believed of the questions."""
        means, known = self._known(self.law.crossed_seen(questions, self.seen))
        left = self.law.latent(questions, questions) - np.swapaxes(known, 1, 2) @ known
        return Posterior(self.weights, means, left * self.noise[:, None, None], self.freedom)

    def predict(self, questions: Questions, asked: Values) -> tuple[Array, Array]:
        """Covariances of questions with values asked for ``[T, A]``, and of these with each other ``[A, A]``.

        They are over all settings: what a value tells of the settings counts too.
        """
        means, known = self._known(self.law.crossed_seen(questions, self.seen))
        with_seen = self.law.covariance(asked, self.values)
        if self.seen.repeats:
            with_seen = with_seen @ self.seen.repeats.basis
        expected, predicted = self._known(with_seen)
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
        means, known = self._known(self.law.crossed_seen(asked, self.seen))
        left = np.trace(self.law.latent(asked, asked), axis1=1, axis2=2) - (known**2).sum(axis=(1, 2))
        second = self.weights @ (left * self.noise + (means**2).sum(axis=1))
        apart = centred @ _kernels(self.law.networks(networks), self.law.networks(networks))[1] @ centred
        own = self.weights @ (self.law.settings.own**2 * self.noise) * np.trace(apart)
        return float(min(own / max(second, 1e-300), 1.0))


def _squares(parts: Array) -> Array:
    """``parts parts'``."""
    return np.asarray(parts @ parts.T)


def _looked_up(tables: Array, places: Indices) -> Array:
    """``[M, ...]``: of every setting, its table's entries at ``places`` (counted over all its axes)."""
    return np.asarray(tables.reshape(len(tables), -1).take(places, axis=1))


def _kernels(a: Questions, b: Questions) -> Array:
    """``[2, T_a, T_b]`` between questions: of a discrepancy of size 1, and of own parts of size 1."""
    between = a.octaves[:, None] - b.octaves
    smooth = np.exp(-(between**2).sum(axis=-1) / (2 * LENGTH**2))
    realised = (a.network[:, None] >= 0) & (b.network >= 0)
    # A triangle is a covariance function; a box is none, and many networks close to each other would show it.
    shared = np.maximum(1 - np.abs(between) / SAME, 0).sum(axis=-1)
    same = (a.network[:, None] == b.network) + shared
    return np.asarray(a.weights @ np.stack([smooth, same / 4 * realised]) @ b.weights.T)


def best_directions(fit: Fit, size: float, divisions: int = 10) -> Array:
    """``[2000, 3]``: shares of the best direction at ``size`` times the base's FLOPs, in draws of what is
    believed."""
    shares = directions(divisions)
    posterior = fit.posterior(latent_values(shares * np.log2(size)))
    return np.asarray(shares[posterior.draws.argmax(axis=1)])
