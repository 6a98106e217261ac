"""Acquisition: what further trainings are worth for the decision, per training FLOP.

Before any value is seen, trainings are valued by how much they lower the expected variance of the decision's
contrasts (V-optimal, greedy; Fedorov 1972, Krause & Guestrin 2007). After that the *knowledge gradient* of a
training is how much better the final choice is expected to be once its result is known (Frazier, Powell &
Dayanik 2009, INFORMS J. Computing 21, for correlated beliefs). Its logarithm is calculated: where the choice
is nearly certain, no training is likely to change it, and rounding would decide which comes next (Ament et
al. 2023, arXiv 2310.20708, found that of expected improvement).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import erfcx, logsumexp

from scaler.execution.protocol import Experiment, TrialSpec
from scaler.execution.training_cost import Reached
from scaler.search.inference.law import Fit, Law
from scaler.search.inference.law_settings import spread_settings
from scaler.search.inference.posterior import Posterior
from scaler.search.inference.questions import Array, Questions
from scaler.search.inference.values import Values

#: From here on ``c Phi(-c) / phi(c)`` is 1 to within single precision.
_FAR = 1e4
#: Settings over which a first design is averaged (a power of 2).
_FIRST_SETTINGS = 32


def expected_regret(posterior: Posterior) -> float:
    """How much better than the best mean the best answer is expected to be."""
    draws = posterior.draws
    return float(np.mean(draws.max(axis=1) - draws[:, posterior.mean.argmax()]))


def trial_cost(experiment: Experiment, trial: TrialSpec, reached: Reached) -> float:
    """Training FLOPs from where a training stands up to the trial's rung."""
    rung = reached.get((trial.candidate, trial.seed_index), -1)
    done = experiment.rungs[rung] if rung >= 0 else 0
    return experiment.epoch_flops[trial.candidate] * (experiment.rungs[trial.rung] - done)


def options_of(
    experiment: Experiment, reached: Reached, networks: Sequence[int], rungs: Sequence[int]
) -> list[TrialSpec]:
    """Trials to one of ``rungs`` that could come next: every begun training further, and one further seed."""
    options = []
    for network in networks:
        begun = [s for s in range(experiment.max_seeds) if (network, s) in reached]
        fresh = [s for s in range(experiment.max_seeds) if (network, s) not in reached][:1]
        for seed_index in begun + fresh:
            rung = reached.get((network, seed_index), -1)
            options += [TrialSpec(network, seed_index, target) for target in rungs if target > rung]
    return options


def v_optimal(
    octaves: Array, cost: Array, contrasts: Questions, flops: float, networks: Sequence[int]
) -> list[int]:
    """Networks to train once, that lower the contrasts' expected variance most per FLOP, one after the other.

    Every setting of the law counts alike: by the part of its own variance that is left.

    Args:
        octaves: ``[I, 3]`` of all networks; ``cost``: ``[I]``, FLOPs of a full training.
        contrasts: what the decision turns on.
        flops: to be spent at the most.
        networks: those that may be trained.
    """
    law = Law(octaves, settings=spread_settings(_FIRST_SETTINGS))
    asked = values_asked([TrialSpec(network, 0, 0) for network in networks])
    about, between = law.crossed(contrasts, asked), law.covariance(asked, asked)
    before = np.trace(law.latent(contrasts, contrasts), axis1=1, axis2=2)
    price, idle = cost[list(networks)], np.ones(len(networks), dtype=bool)
    chosen: list[int] = []
    while (idle & (price <= flops)).any():
        variance = np.maximum(np.diagonal(between, axis1=1, axis2=2), 1e-12)
        lowered = ((about**2).sum(axis=1) / variance / before[:, None]).mean(axis=0)
        if not chosen:  # one value tells of no difference, only two do: begin with the cheapest
            lowered = np.ones(len(networks))
        best = int(np.where(idle & (price <= flops), lowered / price, -1.0).argmax())
        chosen.append(networks[best])
        idle[best] = False
        flops -= float(price[best])
        moved, known = about[:, :, best], between[:, :, best]
        scale = variance[:, best, None, None].copy()
        about = about - moved[:, :, None] * known[:, None] / scale
        between = between - known[:, :, None] * known[:, None] / scale
    return chosen


def most_valuable(
    fit: Fit, decision: Questions, options: Sequence[TrialSpec], cost: Array, left: float, batch: int
) -> list[TrialSpec]:
    """Options with the largest knowledge gradient per FLOP, each as if those before it were known.

    Args:
        fit: what is known.
        decision: the answers of which the largest is chosen.
        options: trials, and their ``cost`` ``[A]`` in FLOPs.
        left: FLOPs to be spent at the most.
        batch: trials at the most, one of each training.
    """
    affordable = cost <= left
    options, price = [o for o, fits in zip(options, affordable, strict=True) if fits], cost[affordable]
    if not options:
        return []
    mean = fit.posterior(decision).mean
    about, between = fit.predict(decision, values_asked(options))
    training = np.array([(o.candidate, o.seed_index) for o in options])
    idle = np.ones(len(options), dtype=bool)
    chosen: list[TrialSpec] = []
    while len(chosen) < batch and (idle & (price <= left)).any():
        deviation = np.sqrt(np.maximum(np.diag(between), 1e-15))
        gain = log_knowledge_gradient(mean, (about / deviation).T) - np.log(price)
        usable = idle & (price <= left)
        best = int(np.flatnonzero(usable)[gain[usable].argmax()])
        chosen.append(options[best])
        left -= float(price[best])
        idle &= (training != training[best]).any(axis=1)
        moved, known = about[:, best] / deviation[best], between[:, best] / deviation[best]
        about, between = about - np.outer(moved, known), between - np.outer(known, known)
    return chosen


def values_asked(trials: Sequence[TrialSpec]) -> Values:
    """Values that these trials would give, not yet known."""
    return Values(
        network=np.array([t.candidate for t in trials], dtype=np.int64),
        seed_index=np.array([t.seed_index for t in trials], dtype=np.int64),
        rung=np.array([t.rung for t in trials], dtype=np.int64),
        value=np.zeros(len(trials)),
    )


def log_knowledge_gradient(mean: Array, moves: Array) -> Array:
    """``[A]``: log of how much the best mean is expected to rise when option ``a`` moves ``mean`` ``[T]`` by
    ``moves[a] * z``, with ``z`` standard normal; -inf where no answer can overtake another.

    The best mean is the upper hull of ``T`` lines in ``z``: wherever the line on top changes, at ``z = c``,
    to one that is steeper by ``d``, it gains ``d (phi(c) - |c| Phi(-|c|))``.
    """
    steeper = moves[:, None, :] - moves[:, :, None]  # [A, i, j]: of line j against line i
    lower = mean[:, None] - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = lower / steeper
    begin = np.where(steeper < 0, meet, -np.inf).max(axis=2)
    end = np.where(steeper > 0, meet, np.inf)
    earlier = np.arange(len(mean)) < np.arange(len(mean))[:, None]
    hidden = (steeper == 0) & ((lower < 0) | ((lower == 0) & earlier))
    corner = end.min(axis=2)
    changes = (begin < corner) & ~hidden.any(axis=2) & np.isfinite(corner)
    # Of several lines that take over at one point the steepest stays on top.
    steps = np.where(end <= corner[:, :, None], steeper, -np.inf).max(axis=2)
    with np.errstate(divide="ignore"):
        gain = np.log(np.where(changes, steps, 0.0))
    return np.asarray(logsumexp(gain + _log_beyond(np.abs(np.where(changes, corner, 0.0))), axis=1))


def _log_beyond(c: Array) -> Array:
    """``log(phi(c) - c Phi(-c))`` for ``c >= 0``: how far a standard normal variable is expected beyond."""
    # c Phi(-c) / phi(c) = 1 - 1 / c^2 + ..: far out, its difference to 1 is lost.
    tail = c * np.sqrt(np.pi / 2) * erfcx(c / np.sqrt(2))
    left = np.where(c < _FAR, np.log1p(-np.minimum(tail, 1 - 1e-16)), -2 * np.log(np.maximum(c, 1.0)))
    return np.asarray(left - c**2 / 2 - np.log(2 * np.pi) / 2)
