"""Strategies against a recorded table: what they spend, and how good their choice is.

Every replay draws a truth that the table leaves possible, and new seeds about it: see
:mod:`scaler.replay.simulator`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scaler.execution.protocol import Observation, Strategy
from scaler.execution.training_cost import exhaustive_flops, highest_rungs, spent_flops
from scaler.replay.simulator import Simulator
from scaler.replay.table import Table
from scaler.search.inference.selection import Metric, select
from scaler.seeds import derive


@dataclass(frozen=True)
class Outcome:
    """One replay: cost as a part of exhaustive's training FLOPs, regret in points of accuracy.

    ``tied``: the choice is the best candidate, or cannot be told from the table's best by the table itself.
    ``covered``: the best set holds the best candidate (so the intervals hold its shares).
    """

    cost_fraction: float
    regret: float
    tied: bool
    covered: bool


@dataclass(frozen=True)
class Score:
    """A row of ``strategies.csv``."""

    table: str
    strategy: str
    cost_fraction: float
    mean_regret: float
    p95_regret: float
    tie_or_best: float
    coverage: float
    replays: int


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
        selection = select(experiment, seen, metric)
        best = int(drawn.truth.argmax())
        yield Outcome(
            cost_fraction=spent_flops(experiment, highest_rungs(seen)) / exhaustive_flops(experiment),
            regret=100 * float(drawn.truth[best] - drawn.truth[selection.candidate]),
            tied=selection.candidate in (best, *simulator.tied),
            covered=best in selection.best_set,
        )


def score(simulator: Simulator, strategy: str, outcomes: Sequence[Outcome]) -> Score:
    """Outcomes of many replays of a strategy (its name) as a row of ``strategies.csv``."""
    regrets = np.array([o.regret for o in outcomes])
    return Score(
        table=simulator.table.name,
        strategy=strategy,
        cost_fraction=float(np.mean([o.cost_fraction for o in outcomes])),
        mean_regret=float(regrets.mean()),
        p95_regret=float(np.quantile(regrets, 0.95)),
        tie_or_best=float(np.mean([o.tied for o in outcomes])),
        coverage=float(np.mean([o.covered for o in outcomes])),
        replays=len(outcomes),
    )
