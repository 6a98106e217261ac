"""Ours: every training is the one that is expected to better the decision most for its FLOPs.

After a first rung of every candidate, a :class:`~scaler.search.surface.Surface` says what is believed of a
full training. Each option (a training continued to a higher rung, or a further seed) has a
knowledge gradient: how much better the final choice is expected to be once its result is known (Frazier,
Powell & Dayanik 2009, INFORMS J. Computing 21, for correlated beliefs). The best per FLOP are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from scaler.search.surface import Array, Surface, Values, surface_of, values_of
from scaler.search.types import Contest, Observation, Task

#: Equally likely values of a standard normal variable.
_NODES = stats.norm.ppf((np.arange(32) + 0.5) / 32)


@dataclass(frozen=True)
class Racing:
    """Spends training where the decision is open, and stops when it no longer changes.

    Attributes:
        spend: training FLOPs, as a part of exhaustive search's (every candidate, seed and epoch); more only
            where the first rung of all and one full training need it.
        batch: trainings asked for at once, so that this many workers have work.
        tolerance: stop when perfect knowledge would better the choice by less (accuracy, in [0, 1]).
    """

    spend: float = 0.1
    batch: int = 4
    tolerance: float = 0.0005
    name: str = "racing"

    def budget(self, contest: Contest) -> float:
        """The most training FLOPs that will be spent."""
        first = sum(contest.epoch_flops) * contest.rungs[0]
        full = sum(contest.epoch_flops) * contest.rungs[-1] * contest.repetitions
        return max(self.spend * full, first + max(contest.epoch_flops) * contest.rungs[-1])

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """The first rung of all candidates, then the most telling trainings that the budget allows."""
        reached = _reached(seen)
        first = [Task(c, 0, 0) for c in range(len(contest.shares)) if (c, 0) not in reached]
        if first:
            return first
        values = values_of(seen)
        if len(values.value) == 0:
            return []
        surface = surface_of(contest)
        belief, weights = surface.fit(values)
        stable = np.isin(np.arange(len(contest.shares)), values.candidate)
        mean = np.where(stable, belief.mean, -np.inf)
        regret = float(np.mean(belief.draws[:, stable].max(axis=1) - belief.draws[:, mean.argmax()]))
        left = self.budget(contest) - _spent(contest, reached)
        options, costs = _options(contest, reached, set(values.candidate.tolist()), left)
        if regret < self.tolerance or not options:
            return []
        likeliest = surface.only(int(weights.argmax()))
        return _most_telling(likeliest, values, mean, options, costs, left, self.batch)


def _reached(seen: Sequence[Observation]) -> dict[tuple[int, int], int]:
    """Highest rung by (candidate, repetition)."""
    reached: dict[tuple[int, int], int] = {}
    for o in seen:
        reached[o.candidate, o.repetition] = max(o.rung, reached.get((o.candidate, o.repetition), 0))
    return reached


def _spent(contest: Contest, reached: dict[tuple[int, int], int]) -> float:
    return sum(contest.epoch_flops[c] * contest.rungs[rung] for (c, _), rung in reached.items())


def _options(
    contest: Contest, reached: dict[tuple[int, int], int], stable: set[int], left: float
) -> tuple[list[Task], Array]:
    """Trainings that could come next and that the budget allows, and their FLOPs."""
    options, costs = [], []
    for candidate in sorted(stable):
        begun = [r for r in range(contest.repetitions) if (candidate, r) in reached]
        fresh = [r for r in range(contest.repetitions) if (candidate, r) not in reached][:1]
        for repetition in begun + fresh:
            rung = reached.get((candidate, repetition), -1)
            done = contest.rungs[rung] if rung >= 0 else 0
            for target in range(rung + 1, len(contest.rungs)):
                cost = contest.epoch_flops[candidate] * (contest.rungs[target] - done)
                if cost <= left:
                    options.append(Task(candidate, repetition, target))
                    costs.append(cost)
    return options, np.array(costs)


def _most_telling(
    surface: Surface, values: Values, mean: Array, options: list[Task], costs: Array, left: float, batch: int
) -> list[Task]:
    """Options with the largest knowledge gradient per FLOP, each as if those before it were known."""
    asked = Values(
        candidate=np.array([o.candidate for o in options]),
        repetition=np.array([o.repetition for o in options]),
        rung=np.array([o.rung for o in options]),
        value=np.zeros(len(options)),
    )
    about, between = surface.foresee(values, asked)
    chosen: list[Task] = []
    idle = np.ones(len(options), dtype=bool)
    while len(chosen) < batch and (idle & (costs <= left)).any():
        deviation = np.sqrt(np.maximum(np.diag(between), 1e-15))
        gain = _knowledge_gradient(mean, (about / deviation).T)
        best = int(np.where(idle & (costs <= left), gain / costs, -1.0).argmax())
        chosen.append(options[best])
        left -= float(costs[best])
        same = (asked.candidate == asked.candidate[best]) & (asked.repetition == asked.repetition[best])
        idle &= ~same
        moved, known = about[:, best] / deviation[best], between[:, best] / deviation[best]
        about, between = about - np.outer(moved, known), between - np.outer(known, known)
    return chosen


def _knowledge_gradient(mean: Array, moves: Array) -> Array:
    """``[A]``: expected gain of the best mean when option ``a`` moves the means by ``moves[a] * z``."""
    after = mean + moves[:, None, :] * _NODES[None, :, None]
    gain: Array = after.max(axis=2).mean(axis=1) - mean.max()
    return np.maximum(gain, 0.0)
