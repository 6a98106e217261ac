"""The growth law of every policy of a finished scaling, from its tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from scaler.curves.growth_law import GrowthLaw, NoLaw, fit_growth, noise_of


def growth_laws(curve: pd.DataFrame, values: Mapping[tuple[int, int], float]) -> dict[str, GrowthLaw | NoLaw]:
    """A law for each policy, the chosen one first; the base belongs to all.

    Args:
        curve: the table of ``curve.csv``, with ``training``.
        values: accuracy by (training, seed index).
    """
    noise = noise_of(values)
    trained = curve[curve["training"].isin([training for training, _ in values])]
    laws: dict[str, GrowthLaw | NoLaw] = {}
    for policy in dict.fromkeys(str(name) for name in curve["policy"]):
        own = trained[(trained["policy"] == policy) | (trained["phi"] == 0)]
        if isinstance(noise, NoLaw):
            laws[policy] = noise
        else:
            laws[policy] = fit_growth(
                own["flops"].to_numpy(float).tolist(), own["accuracy"].to_numpy(float).tolist(), noise
            )
    return laws
