"""A classical test of the additive law against repeated seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from scaler.search.inference.law_settings import spread_settings
from scaler.search.inference.questions import Array, returns
from scaler.search.inference.values import Values


@dataclass(frozen=True)
class LackOfFit:
    """A classical test of the additive law, without discrepancy and own parts, against repeated seeds.

    Attributes:
        ratio: mean square of what the law leaves between networks over that within networks (F).
        freedom: degrees of freedom of the two.
        p: probability of so large a ratio if the law held exactly.
    """

    ratio: float
    freedom: tuple[int, int]
    p: float


def lack_of_fit(octaves: Array, values: Values, exponents: Array | None = None) -> LackOfFit | None:
    """Test the law against repeated seeds at the highest rung; None without enough repeats or networks.

    The law is fitted by variable projection: least squares for slopes and seed effects at each of
    ``exponents`` ``[M, 3]`` (default: the settings'), of which the best counts. Pure error is what is left
    of an additive two-way layout, networks by seeds (Draper & Smith 1998, section 2.1).
    """
    last = values.rung == values.rung.max()
    network, seed, y = values.network[last], values.seed_index[last], values.value[last]
    seed_effect = np.equal.outer(seed, np.unique(seed)).astype(float)
    identity = np.equal.outer(network, np.unique(network)).astype(float)
    pure, pure_rank = _left_over(np.hstack([seed_effect, identity]), y)
    candidates = spread_settings().exponents if exponents is None else exponents
    fits = (_left_over(np.hstack([seed_effect, returns(octaves[network], a)]), y) for a in candidates)
    law, law_rank = min(fits)
    within = len(y) - pure_rank
    between = pure_rank - law_rank - candidates.shape[1]
    if within < 1 or between < 1:
        return None
    ratio = max(law - pure, 0.0) / between / max(pure / within, 1e-300)
    return LackOfFit(ratio, (between, within), float(stats.f.sf(ratio, between, within)))


def _left_over(design: Array, y: Array) -> tuple[float, int]:
    """Residual sum of squares of least squares, and the design's rank."""
    coefficients, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    return float(((y - design @ coefficients) ** 2).sum()), int(rank)
