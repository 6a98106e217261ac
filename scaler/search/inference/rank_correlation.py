"""Is the proxy any good? How short trainings rank candidates, against longer ones or another proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scaler.execution.protocol import Observation

Array = NDArray[np.float64]
_RESAMPLES = 1000
#: Fewer candidates than this cannot be said to be ranked.
FEWEST = 4


@dataclass(frozen=True)
class RankCorrelation:
    """How one ranking of candidates agrees with another; 95 % intervals by bootstrap over candidates.

    ``epochs`` is the length of the shorter training; the last rung against itself says how far the noise
    of the seeds lets any ranking agree. ``paired``: both rankings come from the same trainings, as when
    nothing was repeated; luck then counts as agreement.
    """

    epochs: int
    candidates: int
    spearman: float
    spearman_interval: tuple[float, float]
    kendall: float
    kendall_interval: tuple[float, float]
    paired: bool


def rank_correlation(seen: Sequence[Observation]) -> tuple[RankCorrelation, ...]:
    """Every rung's ranking against the last rung's, for candidates that reached it; by ascending epochs.

    Where seeds were repeated, one seed at the rung is set against the mean of the *others* at the last
    rung, and this averaged over seeds. Empty if fewer than four candidates allow it.
    """
    complete = {(o.candidate, o.seed_index, o.rung): o for o in seen if o.state == "complete"}
    if not complete:
        return ()
    last = max(rung for _, _, rung in complete)
    finals = {(c, r): o.accuracy for (c, r, rung), o in complete.items() if rung == last}
    paired = len({r for _, r in finals}) == 1
    result = []
    for rung in sorted({rung for _, _, rung in complete}):
        if paired and rung == last:
            continue
        short = {(c, r): o.accuracy for (c, r, k), o in complete.items() if k == rung}
        folds = [
            _paired(short, finals, r) if paired else _crossed(short, finals, r) for r in _seed_indices(finals)
        ]
        folds = [fold for fold in folds if len(fold[0]) >= FEWEST]
        if folds:
            epochs = next(o.epochs for o in complete.values() if o.rung == rung)
            result.append(correlate(epochs, folds, paired))
    return tuple(result)


def _seed_indices(finals: Mapping[tuple[int, int], float]) -> list[int]:
    return sorted({r for _, r in finals})


def _paired(
    short: Mapping[tuple[int, int], float], finals: Mapping[tuple[int, int], float], seed_index: int
) -> tuple[Array, Array]:
    """Values of the same trainings at a rung and at the last."""
    common = [key for key in finals if key[1] == seed_index and key in short]
    return np.array([short[key] for key in common]), np.array([finals[key] for key in common])


def _crossed(
    short: Mapping[tuple[int, int], float], finals: Mapping[tuple[int, int], float], seed_index: int
) -> tuple[Array, Array]:
    """One seed at a rung, and the mean of all others at the last, of candidates that have both."""
    x, y = [], []
    others = [r for r in _seed_indices(finals) if r != seed_index]
    for candidate in sorted({c for c, _ in finals}):
        if (candidate, seed_index) in short and all((candidate, r) in finals for r in others):
            x.append(short[candidate, seed_index])
            y.append(np.mean([finals[candidate, r] for r in others]))
    return np.array(x), np.array(y)


def correlate(epochs: int, folds: Sequence[tuple[Array, Array]], paired: bool) -> RankCorrelation:
    """Mean over folds of pairs of values ``[n]``; every fold resamples the same candidates where it can."""
    spearman = np.mean([_spearman(x[None], y[None])[0] for x, y in folds])
    kendall = np.mean([_kendall(x[None], y[None])[0] for x, y in folds])
    drawn: tuple[list[Array], list[Array]] = ([], [])
    for x, y in folds:
        chosen = np.random.default_rng(0).integers(len(x), size=(_RESAMPLES, len(x)))
        drawn[0].append(_spearman(x[chosen], y[chosen]))
        drawn[1].append(_kendall(x[chosen], y[chosen]))
    low_high = [np.quantile(np.mean(values, axis=0), (0.025, 0.975)) for values in drawn]
    return RankCorrelation(
        epochs=epochs,
        candidates=len(folds[0][0]),
        spearman=float(spearman),
        spearman_interval=(float(low_high[0][0]), float(low_high[0][1])),
        kendall=float(kendall),
        kendall_interval=(float(low_high[1][0]), float(low_high[1][1])),
        paired=paired,
    )


def _spearman(x: Array, y: Array) -> Array:
    """``[B, n]`` values -> ``[B]``; 0 where all values of a row are equal."""
    a, b = (stats.rankdata(values, axis=1) for values in (x, y))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    result: Array = np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0)
    return result


def _kendall(x: Array, y: Array) -> Array:
    """Kendall's tau-b of ``[B, n]`` values -> ``[B]``; 0 where all values of a row are equal."""
    a, b = (np.sign(values[:, :, None] - values[:, None, :]) for values in (x, y))
    scale = np.sqrt((a**2).sum(axis=(1, 2)) * (b**2).sum(axis=(1, 2)))
    result: Array = np.divide((a * b).sum(axis=(1, 2)), scale, out=np.zeros(len(a)), where=scale > 0)
    return result
