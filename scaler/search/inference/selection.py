"""From noisy trainings to a decision: the best candidate, and how sure that is. Facts, no sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation
from scaler.scaling.shares import CORNERS
from scaler.search.inference.comparison import Comparison, compare, seeds_to_decide
from scaler.search.inference.surface import Posterior, surface_of, values_of

Metric = Literal["accuracy", "loss"]
#: Where the size of the noise is known from.
NoiseSource = Literal["repeated seeds", "too few repeats", "no repeats"]

#: The level of every interval and of the set that cannot be told from the best.
CONFIDENCE = 0.95
#: A candidate is compound if every dimension gets at least this share, single if one gets all but this.
COMPOUND_SHARE = 0.05


@dataclass(frozen=True)
class CandidateScore:
    """What was seen of one candidate at the highest rung that it reached.

    Attributes:
        candidate: its id.
        rung, epochs, seeds: of its longest trainings, and how many there are.
        accuracy, loss: means over those, accuracy in [0, 1], loss in nats.
        accuracy_stderr, loss_stderr: of these means over seeds; NaN where too few were repeated.
        adjusted_accuracy: as if it had run with all seeds that any candidate had at that rung.
    """

    candidate: int
    rung: int
    epochs: int
    seeds: int
    accuracy: float
    accuracy_stderr: float
    loss: float
    loss_stderr: float
    adjusted_accuracy: float


@dataclass(frozen=True)
class Selection:
    """The decision of a search.

    Attributes:
        candidate: the chosen one's id.
        best_set: candidates that cannot be told from the best, the chosen one first.
        confidence: with which ``best_set`` holds the best.
        compound: probability that the best compound candidate beats each single dimension, by name.
        seeds_needed: per candidate in ``best_set``, to see the lead over the next best with 80 % power; None
            if decided, or if there is no lead that any number of seeds could show.
        more_flops: training FLOPs that these seeds would cost beyond what was spent; None likewise.
        metric: what was compared.
        scores: every candidate that was trained, best first.
        diverged: candidates that diverged with any seed, and cannot be chosen.
        noise_from: where the size of the noise is known from.
    """

    candidate: int
    best_set: tuple[int, ...]
    confidence: float
    compound: dict[str, float]
    seeds_needed: int | None
    more_flops: float | None
    metric: Metric
    scores: tuple[CandidateScore, ...]
    diverged: tuple[int, ...]
    noise_from: NoiseSource


def select(experiment: Experiment, seen: Sequence[Observation], metric: Metric = "accuracy") -> Selection:
    """Choose among candidates by what was seen, and say how sure that is.

    The choice, among the candidates trained longest, and the best set are by the posterior of
    :mod:`scaler.search.inference.surface`: trainings are compared within a rung, paired by seed index,
    pooled with their neighbours on the triangle, and short ones count for what they tell of full ones.
    ``best_set`` are the fewest candidates that hold the best one with ``confidence``, trained or not; one
    that diverged with any seed is never among them. Without repeated seeds the noise is what the smooth
    surface leaves unexplained.

    Raises:
        UserError: nothing was trained, or every training diverged.
    """
    diverged = {o.candidate for o in seen if o.state == "diverged"}
    usable = [o for o in seen if o.state == "complete" and o.candidate not in diverged]
    if not usable:
        reason = "every training diverged: lower the learning rate" if seen else "nothing was trained"
        raise UserError(f"no candidate can be chosen: {reason}")
    reached = {o.candidate: max(p.rung for p in usable if p.candidate == o.candidate) for o in usable}
    posterior, _ = surface_of(experiment).fit(values_of(seen, metric))
    finalists = _finalists(reached)
    order = sorted(reached, key=lambda c: (c not in finalists, -posterior.mean[c]))
    best_set = _best_set(posterior, order[0], diverged)
    top = _compare(usable, reached[order[0]], metric)
    seeds_needed, more_flops = _proposal(experiment, posterior, order, best_set, top, seen)
    return Selection(
        candidate=order[0],
        best_set=best_set,
        confidence=CONFIDENCE,
        compound=_compound(experiment, posterior, diverged),
        seeds_needed=seeds_needed,
        more_flops=more_flops,
        metric=metric,
        scores=tuple(_scores(usable, order, reached)),
        diverged=tuple(sorted(diverged)),
        noise_from=_noise_source(top),
    )


def _finalists(reached: Mapping[int, int]) -> set[int]:
    """Candidates that the choice is among: those trained longest, if there are several to compare.

    A candidate that was stopped may be believed to be better, and is then in the best set; but what is
    handed to the user was trained as long as anything was.
    """
    top = max(reached.values())
    longest = {candidate for candidate, rung in reached.items() if rung == top}
    return longest if len(longest) > 1 else set(reached)


def _best_set(posterior: Posterior, chosen: int, diverged: set[int]) -> tuple[int, ...]:
    """The chosen candidate, then the likeliest others until together they hold the best one."""
    eligible = np.array([c not in diverged for c in range(len(posterior.mean))])
    probability = posterior.best_probability(eligible)
    best_set, held = [chosen], probability[chosen]
    for candidate in np.argsort(-probability, kind="stable"):
        if held >= CONFIDENCE:
            break
        if candidate != chosen and eligible[candidate]:
            best_set.append(int(candidate))
            held += probability[candidate]
    return tuple(best_set)


def _compare(usable: Sequence[Observation], rung: int, metric: Metric) -> Comparison:
    """The comparison at a rung; larger is better (the loss changes its sign)."""
    sign = 1.0 if metric == "accuracy" else -1.0
    values = {(o.candidate, o.seed_index): sign * float(getattr(o, metric)) for o in usable if o.rung == rung}
    return compare(values)


def _noise_source(top: Comparison) -> NoiseSource:
    if top.freedom:
        return "repeated seeds"
    return "too few repeats" if (top.seeds > 1).any() else "no repeats"


def _compound(experiment: Experiment, posterior: Posterior, diverged: set[int]) -> dict[str, float]:
    """Probability that the best compound candidate beats each single dimension."""
    shares = np.array([astuple(s) for s in experiment.shares])
    stable = [c for c in range(len(shares)) if c not in diverged]
    inner = [c for c in stable if shares[c].min() >= COMPOUND_SHARE]
    if not inner:
        return {}
    best = max(inner, key=lambda c: posterior.mean[c])
    result = {}
    for axis, name in enumerate(CORNERS):
        alone = max(stable, key=lambda c: shares[c, axis])
        if shares[alone, axis] >= 1 - COMPOUND_SHARE:
            result[name] = posterior.beats(best, alone)
    return result


def _proposal(
    experiment: Experiment,
    posterior: Posterior,
    order: Sequence[int],
    best_set: Sequence[int],
    top: Comparison,
    seen: Sequence[Observation],
) -> tuple[int | None, float | None]:
    """Seeds per candidate of the best set that would show its lead, and what they would cost.

    Without repeated seeds, the noise is what the surface believes it to be.
    """
    rivals = [c for c in order if c in best_set[1:]]
    if not rivals:
        return None, None
    gap = float(posterior.mean[best_set[0]] - posterior.mean[rivals[0]])
    wanted = seeds_to_decide(gap, top.variance if top.freedom else posterior.noise, CONFIDENCE)
    if math.isinf(wanted):
        return None, None
    last = len(experiment.rungs) - 1
    done = {c: len({o.seed_index for o in seen if o.candidate == c and o.rung == last}) for c in best_set}
    flops = sum(max(wanted - done[c], 0) * experiment.epoch_flops[c] * experiment.rungs[-1] for c in best_set)
    return int(wanted), float(flops)


def _scores(
    usable: Sequence[Observation], order: Sequence[int], reached: dict[int, int]
) -> list[CandidateScore]:
    rungs = set(reached.values())
    accuracy = {rung: _compare(usable, rung, "accuracy") for rung in rungs}
    loss = {rung: _compare(usable, rung, "loss") for rung in rungs}
    result = []
    for candidate in order:
        rung = reached[candidate]
        own = [o for o in usable if o.candidate == candidate and o.rung == rung]
        i = accuracy[rung].candidates.index(candidate)
        result.append(
            CandidateScore(
                candidate=candidate,
                rung=rung,
                epochs=own[0].epochs,
                seeds=len(own),
                accuracy=float(np.mean([o.accuracy for o in own])),
                accuracy_stderr=float(accuracy[rung].standard_errors()[i]),
                loss=float(np.mean([o.loss for o in own])),
                loss_stderr=float(loss[rung].standard_errors()[i]),
                adjusted_accuracy=float(accuracy[rung].means[i]),
            )
        )
    return result
