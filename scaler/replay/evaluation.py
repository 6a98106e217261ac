"""Strategies against a recorded table: what they spend, and how good their choice is.

Every replay draws a truth that the table leaves possible, and new seeds about it: see
:mod:`scaler.replay.simulator`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Observation, Strategy
from scaler.execution.training_cost import exhaustive_flops, highest_rungs, spent_flops
from scaler.replay.simulator import Array, Simulator
from scaler.replay.table import Table
from scaler.search.inference.selection import Metric, choose
from scaler.seeds import derive


@dataclass(frozen=True)
class Outcome:
    """One replay: cost as a part of exhaustive's training FLOPs, regret in points of accuracy.

    Attributes:
        cost_fraction: training FLOPs.
        regret: of the choice, at the budget.
        regret_larger: of the choice raised along its direction, at the table's larger size; NaN without one.
        covered: the best set holds the best candidate.
        covered_larger: it holds the candidate whose direction is the best further up.
        region: candidates in the best set.
    """

    cost_fraction: float
    regret: float
    regret_larger: float
    covered: bool
    covered_larger: bool
    region: int


@dataclass(frozen=True)
class Score:
    """A row of ``strategies.csv``: means over replays; NaN where the table holds no larger size."""

    table: str
    strategy: str
    cost_fraction: float
    mean_regret: float
    p95_regret: float
    mean_regret_larger: float
    coverage: float
    coverage_larger: float
    region: float
    replays: int


@dataclass(frozen=True)
class ReferenceRegrets:
    """What strategies' regrets are held against, in points of accuracy.

    Attributes:
        random: mean regret of a candidate at random; ``random_larger``: of its direction at the table's
            larger size, NaN without one.
        least_larger: there, of the direction that the table's trainings of that size say is best. No choice
            has a smaller one in the mean: strategies see no training of that size, and beyond the means
            truths are drawn independently of all that they see.
    """

    random: float
    random_larger: float
    least_larger: float


def reference_regrets(simulator: Simulator, count: int, seed: int = 0) -> ReferenceRegrets:
    """Over the draws that :func:`replays` makes."""
    draws = [simulator.draw(derive(seed, "replay", replay)) for replay in range(count)]

    def regrets(truths: Array) -> Array:
        return np.asarray(100 * (truths.max(axis=1, keepdims=True) - truths).mean(axis=0))

    larger = regrets(np.array([drawn.larger for drawn in draws]))
    return ReferenceRegrets(
        random=float(regrets(np.array([drawn.truth for drawn in draws])).mean()),
        random_larger=float(larger.mean()),
        least_larger=float(larger.min()),
    )


def run(strategy: Strategy, drawn: Table) -> list[Observation]:
    """Everything that a strategy would have seen before it stops."""
    seen: dict[tuple[int, int, int], Observation] = {}
    while trials := strategy.ask(drawn.experiment, list(seen.values())):
        before = len(seen)
        for trial in trials:
            seen |= {(o.candidate, o.seed_index, o.rung): o for o in drawn.observe(trial)}
        if len(seen) == before:
            raise RuntimeError(f"strategy {strategy.name} asks again for what it has seen: {trials[0]}")
    return list(seen.values())


def replays(
    simulator: Simulator, strategy: Strategy, count: int, seed: int = 0, metric: Metric = "accuracy"
) -> Iterator[Outcome]:
    """Outcomes of a strategy in ``count`` draws; the same draws for every strategy of a seed."""
    for replay in range(count):
        drawn = simulator.draw(derive(seed, "replay", replay))
        experiment, seen = drawn.table.experiment, run(strategy, drawn.table)
        chosen, best_set = choose(experiment, seen, metric)
        further = bool(np.isfinite(drawn.larger).all())
        yield Outcome(
            cost_fraction=spent_flops(experiment, highest_rungs(seen)) / exhaustive_flops(experiment),
            regret=100 * float(drawn.truth.max() - drawn.truth[chosen]),
            regret_larger=100 * float(np.nanmax(drawn.larger) - drawn.larger[chosen])
            if further
            else math.nan,
            covered=int(drawn.truth.argmax()) in best_set,
            covered_larger=further and int(np.nanargmax(drawn.larger)) in best_set,
            region=len(best_set),
        )


def score(simulator: Simulator, strategy: str, outcomes: Sequence[Outcome]) -> Score:
    """Outcomes of many replays of a strategy (its name) as a row of ``strategies.csv``."""
    regrets = np.array([o.regret for o in outcomes])
    further = np.array([o.regret_larger for o in outcomes])
    known = np.isfinite(further)
    return Score(
        table=simulator.table.name,
        strategy=strategy,
        cost_fraction=float(np.mean([o.cost_fraction for o in outcomes])),
        mean_regret=float(regrets.mean()),
        p95_regret=float(np.quantile(regrets, 0.95)),
        mean_regret_larger=float(further[known].mean()) if known.any() else math.nan,
        coverage=float(np.mean([o.covered for o in outcomes])),
        coverage_larger=float(np.mean([o.covered_larger for o in outcomes])) if known.any() else math.nan,
        region=float(np.mean([o.region for o in outcomes])),
        replays=len(outcomes),
    )
