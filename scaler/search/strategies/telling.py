"""Which training tells most for its FLOPs: the knowledge gradient of further trainings.

The knowledge gradient of a training is how much better the final choice is expected to be once its result
is known (Frazier, Powell & Dayanik 2009, INFORMS J. Computing 21, for correlated beliefs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from scaler.search.surface import Array, Belief, Surface, Values
from scaler.search.types import Contest, Observation, Task

#: Equally likely values of a standard normal variable.
_NODES = stats.norm.ppf((np.arange(32) + 0.5) / 32)


def exhaustive_flops(contest: Contest) -> float:
    """Training FLOPs of every candidate with every seed for every epoch."""
    return sum(contest.epoch_flops) * contest.rungs[-1] * contest.repetitions


def expected_regret(belief: Belief, stable: Sequence[int]) -> float:
    """How much better than the choice by ``belief`` the best of the stable candidates is expected to be."""
    draws = belief.draws[:, stable]
    return float(np.mean(draws.max(axis=1) - draws[:, belief.mean[stable].argmax()]))


def reached_by(seen: Sequence[Observation]) -> dict[tuple[int, int], int]:
    """Highest rung by (candidate, repetition)."""
    reached: dict[tuple[int, int], int] = {}
    for o in seen:
        reached[o.candidate, o.repetition] = max(o.rung, reached.get((o.candidate, o.repetition), 0))
    return reached


def spent(contest: Contest, reached: Mapping[tuple[int, int], int]) -> float:
    """Training FLOPs of trainings that reached these rungs."""
    return sum(contest.epoch_flops[c] * contest.rungs[rung] for (c, _), rung in reached.items())


def options_of(
    contest: Contest,
    reached: Mapping[tuple[int, int], int],
    stable: Sequence[int],
    rungs: Sequence[int],
    left: float,
) -> tuple[list[Task], Array]:
    """Trainings to one of ``rungs`` that could come next and that the budget allows, and their FLOPs."""
    options, costs = [], []
    for candidate in stable:
        begun = [r for r in range(contest.repetitions) if (candidate, r) in reached]
        fresh = [r for r in range(contest.repetitions) if (candidate, r) not in reached][:1]
        for repetition in begun + fresh:
            rung = reached.get((candidate, repetition), -1)
            done = contest.rungs[rung] if rung >= 0 else 0
            for target in (target for target in rungs if target > rung):
                cost = contest.epoch_flops[candidate] * (contest.rungs[target] - done)
                if cost <= left:
                    options.append(Task(candidate, repetition, target))
                    costs.append(cost)
    return options, np.array(costs)


def most_telling(
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
