"""Sizes and exponents of the law: what is believed of them beforehand, and where to look for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from scaler.search.inference.questions import Array, Indices

#: Settings that are tried first, and at a time when these do not suffice.
COUNT = 256
#: Settings are enough when as many bear the weight (1 / sum of squared weights).
ENOUGH = 30.0
#: Numbers that make a setting.
SIZES = 13
#: Part of an exponent (in logs) that all axes share.
SHARED = 0.5
#: Probability beforehand that the law alone suffices, without a discrepancy.
ADDITIVE = 0.1


@dataclass(frozen=True)
class Settings:
    """Sizes and exponents that are averaged over, arrays ``[M]`` (``exponents``: ``[M, 3]``).

    Sizes are standard deviations in units of a training's noise at the last rung: ``slope`` of an octave's
    gain at the base, ``discrepancy``, ``own``. ``alike`` is the correlation of two axes' slopes.
    ``fidelity_bias`` is the deviation of slopes at the first rung against ``slope``; ``turn`` the angle by
    which the first rung turns away from the last (the fidelity correlation is its cosine); ``growth`` what
    the first rung adds to the noise; ``memory`` the correlation of the first rung's drift with the last's,
    ``apart`` the part of the noise's variance that is each rung's own.
    """

    exponents: Array
    slope: Array
    alike: Array
    discrepancy: Array
    own: Array
    fidelity_bias: Array
    turn: Array
    growth: Array
    memory: Array
    apart: Array

    def __len__(self) -> int:
        return len(self.slope)

    def some(self, which: Indices) -> Settings:
        """Those at ``which``."""
        return Settings(**{name: values[which] for name, values in vars(self).items()})


@lru_cache(maxsize=8)
def spread_places(count: int = COUNT, seed: int = 0) -> Array:
    """``[M, 13]``: standard normal points that fill their space evenly (``count``: a power of 2)."""
    points = stats.qmc.Sobol(SIZES, rng=np.random.default_rng(seed)).random(count)
    return np.asarray(stats.norm.ppf(np.clip(points, 1e-9, 1 - 1e-9)))


def settings_at(places: Array) -> Settings:
    """The settings at standard normal places ``[M, 13]``: what is believed of them beforehand.

    Axes share a part of their exponents, as the accuracy that nothing can exceed is the same for all.
    """
    part = stats.norm.cdf(places).T
    own_exponents, shared, rest = part[:3].T, part[3:4].T, part[4:]
    slope = _log_between(1.0, 12.0, rest[0])
    drawn = np.maximum((rest[1] - ADDITIVE) / (1 - ADDITIVE), 0.0)
    return Settings(
        exponents=_log_between(0.03, 1.5, SHARED * shared + (1 - SHARED) * own_exponents),
        slope=slope,
        alike=0.2 + 0.75 * rest[2],
        discrepancy=np.where(drawn > 0, slope * _log_between(0.1, 0.8, drawn), 0.0),
        own=_log_between(0.2, 2.0, rest[3]),
        fidelity_bias=_log_between(0.1, 2.0, rest[4]),
        turn=np.where(rest[5] < 0.75, 0.0, 2.4),
        growth=-0.4 + rest[6],
        memory=0.2 + 0.6 * rest[7],
        apart=_log_between(0.04, 0.5, rest[8]),
    )


def spread_settings(count: int = COUNT) -> Settings:
    """Settings that fill their space evenly."""
    return settings_at(spread_places(count))


def _log_between(low: float, high: float, part: Array) -> Array:
    return np.asarray(low * (high / low) ** part)


def normalised(logs: Array) -> Array:
    """Weights that sum to 1 from their logarithms."""
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def enough(logs: Array) -> bool:
    """Whether enough settings bear the weight."""
    return float(1 / (normalised(logs) ** 2).sum()) >= ENOUGH


def bearing(places: Array, logs: Array) -> tuple[Array, Array]:
    """Mean and deviation ``[13]`` of the places that bear the weight, flattened until they are enough."""
    power = 1.0
    while not enough(power * logs):
        power *= 0.8
    weights = normalised(power * logs)
    centre = weights @ places
    return centre, np.sqrt(weights @ (places - centre) ** 2)
