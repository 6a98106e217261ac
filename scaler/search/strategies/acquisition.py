"""Acquisition: the value of further trainings for the decision, by their knowledge gradient per FLOP.

The knowledge gradient of a training is how much better the final choice is expected to be once its result
is known (Frazier, Powell & Dayanik 2009, INFORMS J. Computing 21, for correlated posteriors).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from scaler.execution.protocol import Experiment, TrialSpec
from scaler.execution.training_cost import Reached
from scaler.search.inference.surface import Array, Posterior, Surface, Values

#: Equally likely values of a standard normal variable.
_NODES = stats.norm.ppf((np.arange(32) + 0.5) / 32)


def expected_regret(posterior: Posterior, stable: Sequence[int]) -> float:
    """How much better than the posterior's choice the best of the stable candidates is expected to be."""
    draws = posterior.draws[:, stable]
    return float(np.mean(draws.max(axis=1) - draws[:, posterior.mean[stable].argmax()]))


def options_of(
    experiment: Experiment,
    reached: Reached,
    stable: Sequence[int],
    rungs: Sequence[int],
    left: float,
) -> tuple[list[TrialSpec], Array]:
    """Trainings to one of ``rungs`` that could come next and that the budget allows, and their FLOPs."""
    options, costs = [], []
    for candidate in stable:
        begun = [r for r in range(experiment.max_seeds) if (candidate, r) in reached]
        fresh = [r for r in range(experiment.max_seeds) if (candidate, r) not in reached][:1]
        for seed_index in begun + fresh:
            rung = reached.get((candidate, seed_index), -1)
            done = experiment.rungs[rung] if rung >= 0 else 0
            for target in (target for target in rungs if target > rung):
                cost = experiment.epoch_flops[candidate] * (experiment.rungs[target] - done)
                if cost <= left:
                    options.append(TrialSpec(candidate, seed_index, target))
                    costs.append(cost)
    return options, np.array(costs)


def most_valuable(
    surface: Surface,
    values: Values,
    mean: Array,
    options: list[TrialSpec],
    costs: Array,
    left: float,
    batch: int,
) -> list[TrialSpec]:
    """Options with the largest knowledge gradient per FLOP, each as if those before it were known."""
    asked = Values(
        candidate=np.array([o.candidate for o in options]),
        seed_index=np.array([o.seed_index for o in options]),
        rung=np.array([o.rung for o in options]),
        value=np.zeros(len(options)),
    )
    about, between = surface.predict(values, asked)
    chosen: list[TrialSpec] = []
    idle = np.ones(len(options), dtype=bool)
    while len(chosen) < batch and (idle & (costs <= left)).any():
        deviation = np.sqrt(np.maximum(np.diag(between), 1e-15))
        gain = _knowledge_gradient(mean, (about / deviation).T)
        best = int(np.where(idle & (costs <= left), gain / costs, -1.0).argmax())
        chosen.append(options[best])
        left -= float(costs[best])
        same = (asked.candidate == asked.candidate[best]) & (asked.seed_index == asked.seed_index[best])
        idle &= ~same
        moved, known = about[:, best] / deviation[best], between[:, best] / deviation[best]
        about, between = about - np.outer(moved, known), between - np.outer(known, known)
    return chosen


def _knowledge_gradient(mean: Array, moves: Array) -> Array:
    """``[A]``: expected gain of the best mean when option ``a`` moves the means by ``moves[a] * z``."""
    after = mean + moves[:, None, :] * _NODES[None, :, None]
    gain: Array = after.max(axis=2).mean(axis=1) - mean.max()
    return np.maximum(gain, 0.0)
