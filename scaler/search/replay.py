"""Strategies against a recorded table: what they spend, and how good their choice is.

Every replay draws a truth that the table leaves possible, and new seeds about it: see
:mod:`scaler.search.world`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scaler.scaling.shares import coefficients
from scaler.search.selection import Metric, select
from scaler.search.table import Table
from scaler.search.types import Observation, Strategy
from scaler.search.world import World
from scaler.seeds import derive


@dataclass(frozen=True)
class Outcome:
    """One replay: cost as a part of exhaustive's training FLOPs, regret in points of accuracy.

    ``tied``: the choice is the best candidate, or cannot be told from the table's best by the table itself.
    ``covered``: the answer's ties hold the best candidate (so its intervals hold its shares).
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
    while tasks := strategy.ask(drawn.contest, list(seen.values())):
        before = len(seen)
        for task in tasks:
            seen |= {(o.candidate, o.repetition, o.rung): o for o in drawn.observe(task)}
        if len(seen) == before:
            raise RuntimeError(f"strategy {strategy.name} asks again for what it has seen: {tasks[0]}")
    return list(seen.values())


def replays(
    world: World, strategy: Strategy, count: int, seed: int = 0, metric: Metric = "accuracy"
) -> Iterator[Outcome]:
    """Outcomes of a strategy in ``count`` draws; the same draws for every strategy of a seed."""
    policies = [coefficients(share, 2.0) for share in world.table.contest.shares]
    for replay in range(count):
        drawn = world.draw(derive(seed, "replay", replay))
        seen = run(strategy, drawn.table)
        answer = select(drawn.table.contest, policies, seen, metric)
        best = int(drawn.truth.argmax())
        yield Outcome(
            cost_fraction=spent(seen) / drawn.table.flops,
            regret=100 * float(drawn.truth[best] - drawn.truth[answer.candidate]),
            tied=answer.candidate in (best, *world.tied),
            covered=best in answer.ties,
        )


def spent(seen: Sequence[Observation]) -> float:
    """Training FLOPs behind observations: of every training, those up to its highest rung."""
    largest: dict[tuple[int, int], int] = {}
    for o in seen:
        key = (o.candidate, o.repetition)
        largest[key] = max(largest.get(key, 0), o.train_flops)
    return float(sum(largest.values()))


def score(world: World, strategy: str, outcomes: Sequence[Outcome]) -> Score:
    """Outcomes of many replays of a strategy (its name) as a row of ``strategies.csv``."""
    regrets = np.array([o.regret for o in outcomes])
    return Score(
        table=world.table.name,
        strategy=strategy,
        cost_fraction=float(np.mean([o.cost_fraction for o in outcomes])),
        mean_regret=float(regrets.mean()),
        p95_regret=float(np.quantile(regrets, 0.95)),
        tie_or_best=float(np.mean([o.tied for o in outcomes])),
        coverage=float(np.mean([o.covered for o in outcomes])),
        replays=len(outcomes),
    )
