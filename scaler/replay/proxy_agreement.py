"""How well two proxies agree on the candidates that both have trained."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from scaler.replay.table import Array, Table
from scaler.search.inference.rank_correlation import FEWEST, RankCorrelation, correlate

#: In two tables, candidates are the same if no share differs by more.
_SAME = 1e-3


def proxy_correlation(one: Table, other: Table) -> RankCorrelation | None:
    """Agreement of two proxies' last epochs on the candidates that both tables hold; None if there are few.

    A candidate is known by its shares, which are those of the native network whatever the proxy is.
    Nothing is paired: even one proxy against itself with other seeds agrees only as far as noise allows,
    which is what :func:`rank_correlation` says of a table's last epoch.
    """
    a = np.array([astuple(s) for s in one.experiment.shares])
    b = np.array([astuple(s) for s in other.experiment.shares])
    apart = np.abs(a[:, None] - b).max(axis=-1)
    means = [_last(table) for table in (one, other)]
    common = [(i, int(apart[i].argmin())) for i in range(len(a)) if apart[i].min() <= _SAME]
    if len(common) < FEWEST:
        return None
    x, y = (np.array([values[pair[side]] for pair in common]) for side, values in enumerate(means))
    epochs = min(one.experiment.rungs[-1], other.experiment.rungs[-1])
    return correlate(epochs, [(x, y)], paired=False)


def _last(table: Table) -> Array:
    """``[C]``: mean accuracy of the candidates at the last epoch, over all of their seeds."""
    # Networks off the budget may have further seeds.
    own = table.accuracy[: len(table.experiment.shares), : table.experiment.max_seeds, -1]
    return np.asarray(own.mean(axis=1))
