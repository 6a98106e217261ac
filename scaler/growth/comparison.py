"""What growing one way gains over growing another: paired differences at equal FLOPs, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from scaler.search.inference.comparison import Comparison, compare

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """The chosen policy's accuracy less another's, as a fraction (0.01 is one point).

    Attributes:
        policy: the other one.
        phi: where both were measured; None is the mean over all phis at which both were.
        gain: the difference.
        stderr, low, high: its standard error, and its interval at :data:`CONFIDENCE` (for this difference
            alone); NaN where no training was repeated.
        shared: both are the same network.
    """

    policy: str
    phi: float | None
    gain: float
    stderr: float = math.nan
    low: float = math.nan
    high: float = math.nan
    shared: bool = False

    @property
    def decided(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def accuracies(trials: pd.DataFrame) -> dict[tuple[int, int], float]:
    """Accuracy at the end of every training of a scaling's ``trials.csv``, by (training, seed index).

    Those that memory was too short for are left out.
    """
    last = trials[(trials["rung"] == trials["rung"].max()) & (trials["state"] != "too large")]
    keys = zip(last["candidate"].astype(int), last["seed_index"].astype(int), strict=True)
    return dict(zip(keys, last["accuracy"].fillna(0.0).astype(float), strict=True))


def differences(curve: pd.DataFrame, values: Mapping[tuple[int, int], float]) -> list[Difference]:
    """The chosen policy against every other, at each phi and on the mean.

    Networks share the order and augmentation of their images by seed index, so that seeds are paired: the
    noise is what is left once every network and every seed index has its effect (two-way model, its variance
    pooled over all networks of the scaling).

    Args:
        curve: the table of ``curve.csv``, with ``training``; the first policy is the chosen one.
        values: accuracy by (training, seed index).
    """
    if not values or curve.empty:
        return []
    fit = compare(values)
    place = {training: index for index, training in enumerate(fit.candidates)}
    chosen = str(curve["policy"].iloc[0])
    trained = curve[curve["training"].isin(list(place)) & (curve["phi"] != 0)]
    columns = (trained["policy"], trained["phi"].astype(float), trained["training"].astype(int))
    at = {(str(policy), phi): place[training] for policy, phi, training in zip(*columns, strict=True)}
    found: list[Difference] = []
    for other in dict.fromkeys(policy for policy, _ in at if policy != chosen):
        pairs = [
            (phi, at[chosen, phi], index)
            for (policy, phi), index in at.items()
            if policy == other and (chosen, phi) in at
        ]
        found += [_difference(fit, other, phi, [(one, two)]) for phi, one, two in pairs]
        if len(pairs) > 1:
            found.append(_difference(fit, other, None, [(one, two) for _, one, two in pairs]))
    return found


def _difference(fit: Comparison, other: str, phi: float | None, pairs: list[tuple[int, int]]) -> Difference:
    contrast = np.zeros(len(fit.candidates))
    for one, two in pairs:
        contrast[one] += 1 / len(pairs)
        contrast[two] -= 1 / len(pairs)
    gain = float(contrast @ fit.means)
    if not contrast.any():
        return Difference(other, phi, 0.0, 0.0, 0.0, 0.0, shared=True)
    if fit.freedom == 0:
        return Difference(other, phi, gain)
    error = math.sqrt(max(fit.variance * float(contrast @ fit.weights @ contrast), 0.0))
    reach = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, fit.freedom))
    return Difference(other, phi, gain, error, gain - reach, gain + reach)
