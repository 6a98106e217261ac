"""Planted truth: the stated set and intervals hold the best candidate as often as they say."""

import numpy as np
import pytest
from scipy import stats

from scaler.execution.protocol import Strategy
from scaler.replay.evaluation import run
from scaler.replay.table import observations
from scaler.search.inference.selection import CONFIDENCE, choose
from scaler.search.strategies.registry import strategy
from tests.replay.synthetic import CENTRE, CORNER, EDGE, make_table

POSITIONS = {"centre": CENTRE, "edge": EDGE, "corner": CORNER}
DEVIATIONS = (0.4, 0.8, 1.5)


def held(position: str, deviation: float, count: int, chosen: Strategy | None = None, seeds: int = 4) -> int:
    """Tables of ``count`` whose best candidate the best set holds; by exhaustive search if not ``chosen``."""
    hits = 0
    for seed in range(count):
        table, mean = make_table(POSITIONS[position], deviation, seed=seed, seeds=seeds)
        experiment = table.experiment
        last = len(experiment.rungs) - 1
        seen = run(chosen, table) if chosen else [o for o in observations(table) if o.rung == last]
        hits += int(mean.argmax()) in choose(experiment, seen)[1]
    return hits


def least(count: int, level: float = CONFIDENCE) -> float:
    """Hits that a right statement falls below once in a thousand times."""
    return float(stats.binom.ppf(0.001, count, level))


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_the_best_is_held_at_the_stated_rate(position: str, deviation: float) -> None:
    assert held(position, deviation, 40, seeds=2) >= least(40)


@pytest.mark.slow
@pytest.mark.parametrize("name", [None, "knowledge-gradient", "racing", "halving"])
def test_the_best_is_held_at_the_stated_rate_over_many_tables(name: str | None) -> None:
    count = 200
    chosen = strategy(name) if name else None
    hits = np.array([[held(p, d, count, chosen) for p in POSITIONS] for d in DEVIATIONS])
    print(name, hits / count)
    assert hits.min() >= least(count)
    assert hits.sum() >= least(count * hits.size)


def test_a_best_set_is_more_than_all_or_one() -> None:
    # A set that always held everything would cover, and say nothing.
    table, _ = make_table(EDGE, 0.4, seed=3)
    seen = [o for o in observations(table) if o.rung in (0, 5)]
    assert len(choose(table.experiment, seen)[1]) < 8
