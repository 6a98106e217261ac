"""Strategies against a recorded table: what they spend, and how good their choice is.

A replay draws new seeds: a training of candidate ``c`` is the table's mean learning curve of ``c``, plus the
deviation of a random repetition (the same for all candidates), plus that of a random training
about both. The deviations are whole learning curves, accuracy and loss together, and centred, so that the
table's means are the truth of every replay and what a strategy sees holds nothing of the luck in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaler.scaling.shares import coefficients
from scaler.search.comparison import best_set, compare
from scaler.search.selection import Metric, select
from scaler.search.table import Table
from scaler.search.types import Observation, Strategy
from scaler.seeds import derive

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """One replay: cost as a part of exhaustive's training FLOPs, regret in points of accuracy.

    ``tied``: the choice is the table's best candidate or cannot be told from it, by the table itself.
    ``covered``: the answer's ties hold the table's best candidate (so its intervals hold its shares).
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


@dataclass(frozen=True)
class World:
    """A table as a source of further seeds.

    Attributes:
        table: the recorded one.
        best: its best candidate, by mean accuracy at the last epoch.
        tied: candidates that its trainings cannot tell from the best.
        mean: ``[2, C, E]`` accuracy and loss; ``luck``: ``[2, S, E]`` deviations of repetitions;
        noise: ``[2, C * S, E]`` deviations of trainings; both blown up to the size that fresh ones have.
    """

    table: Table
    best: int
    tied: tuple[int, ...]
    mean: Array
    luck: Array
    noise: Array

    def draw(self, seed: int) -> Table:
        """A table with new seeds."""
        generator = np.random.default_rng(seed)
        candidates = self.mean.shape[1]
        seeds = self.luck.shape[1]
        which = generator.integers(self.noise.shape[1], size=(candidates, seeds))
        luck = self.luck[:, None, generator.integers(seeds, size=seeds), :]
        accuracy, loss = self.mean[:, :, None, :] + luck + self.noise[:, which, :]
        contest = replace(self.table.contest, seed=seed)
        return replace(self.table, contest=contest, accuracy=accuracy, loss=loss)


def world_of(table: Table) -> World:
    """Means and centred deviations of a table. A candidate that diverged with any seed always diverges.

    A deviation from a mean over ``n`` is smaller than one from the truth by ``sqrt(1 - 1/n)``; this is
    undone.
    """
    values = np.stack([table.accuracy, table.loss])
    candidates, seeds = values.shape[1:3]
    mean = values.mean(axis=2)
    stable = np.isfinite(mean[1]).all(axis=1)
    mean[0, ~stable] = 0.0
    about = values[:, stable] - mean[:, stable, None, :]
    luck = about.mean(axis=1)
    noise = (about - luck[:, None]).reshape(2, -1, values.shape[3])
    luck_scale, noise_scale = 1 - 1 / seeds, (1 - 1 / seeds) * (1 - 1 / max(int(stable.sum()), 2))
    final = {(c, s): float(values[0, c, s, -1]) for c in range(candidates) if stable[c] for s in range(seeds)}
    return World(
        table=table,
        best=int(np.where(stable, mean[0, :, -1], -np.inf).argmax()),
        tied=best_set(compare(final)),
        mean=mean,
        luck=luck / np.sqrt(luck_scale),
        noise=noise / np.sqrt(noise_scale),
    )


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
    truth = 100 * world.mean[0, :, -1]
    shares = world.table.contest.shares
    policies = [coefficients(share, 2.0) for share in shares]
    for replay in range(count):
        drawn = world.draw(derive(seed, "replay", replay))
        seen = run(strategy, drawn)
        answer = select(drawn.contest, policies, seen, metric)
        yield Outcome(
            cost_fraction=spent(seen) / drawn.flops,
            regret=float(truth[world.best] - truth[answer.candidate]),
            tied=answer.candidate in world.tied,
            covered=world.best in answer.ties,
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
