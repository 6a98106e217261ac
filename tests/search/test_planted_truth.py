"""Planted truth: the stated set and intervals hold the best candidate as often as they say."""

import numpy as np
import pytest
from scipy import stats
from synthetic import CENTRE, CORNER, EDGE, make_table

from scaler.scaling.shares import coefficients
from scaler.search.replay import run
from scaler.search.selection import CONFIDENCE, select
from scaler.search.strategies import strategy
from scaler.search.table import observations

POSITIONS = {"centre": CENTRE, "edge": EDGE, "corner": CORNER}
DEVIATIONS = (0.4, 0.8, 1.5)


def held(position, deviation, count, chosen=None):
    """Worlds of ``count`` whose truth ties and intervals hold; by exhaustive search if not ``chosen``."""
    hits = 0
    for seed in range(count):
        table, mean = make_table(POSITIONS[position], deviation, seed=seed)
        contest = table.contest
        policies = [coefficients(share, 2.0) for share in contest.shares]
        last = len(contest.rungs) - 1
        seen = run(chosen, table) if chosen else [o for o in observations(table) if o.rung == last]
        answer = select(contest, policies, seen)
        best = int(mean.argmax())
        low, high = answer.intervals["alpha"]
        if best in answer.ties:
            assert low <= policies[best].alpha <= high
            hits += 1
    return hits


def least(count, level=CONFIDENCE):
    """Hits that a right statement falls below once in a thousand times."""
    return stats.binom.ppf(0.001, count, level)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_the_best_is_held_at_the_stated_rate(position, deviation):
    assert held(position, deviation, 40) >= least(40)


@pytest.mark.slow
@pytest.mark.parametrize("name", [None, "knowledge-gradient", "racing", "halving"])
def test_the_best_is_held_at_the_stated_rate_over_many_worlds(name):
    count = 200
    chosen = strategy(name) if name else None
    hits = np.array([[held(p, d, count, chosen) for p in POSITIONS] for d in DEVIATIONS])
    print(name, hits / count)
    assert hits.min() >= least(count)
    assert hits.sum() >= least(count * hits.size)


def test_ties_are_more_than_all_or_one():
    # A set that always held everything would cover, and say nothing.
    table, _ = make_table(EDGE, 0.4, seed=3)
    policies = [coefficients(share, 2.0) for share in table.contest.shares]
    assert len(select(table.contest, policies, observations(table)).ties) < 8
