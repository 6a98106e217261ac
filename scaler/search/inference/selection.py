"""From noisy trainings to a decision: the best candidate, and how sure that is. Facts, no sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation
from scaler.search.inference.comparison import Comparison, compare, seeds_to_decide
from scaler.search.inference.decision import fit_experiment, stable_worths, worths
from scaler.search.inference.law import Fit
from scaler.search.inference.law_summary import LawSummary, summary

Metric = Literal["accuracy", "loss"]

#: The level of every interval and of the set that cannot be told from the best.
CONFIDENCE = 0.95


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
        seeds_needed: per candidate in ``best_set``, to see the lead over the next best with 80 % power; None
            if decided, or if there is no lead that any number of seeds could show.
        more_flops: training FLOPs that these seeds would cost beyond what was spent; None likewise.
        metric: what was compared.
        scores: every candidate that was trained, best first.
        diverged: networks that diverged, or were too large, with any seed; candidates among them cannot be
            chosen.
        law: what it says beyond the choice.
    """

    candidate: int
    best_set: tuple[int, ...]
    confidence: float
    seeds_needed: int | None
    more_flops: float | None
    metric: Metric
    scores: tuple[CandidateScore, ...]
    diverged: tuple[int, ...]
    law: LawSummary


def select(
    experiment: Experiment,
    seen: Sequence[Observation],
    metric: Metric = "accuracy",
    validation_images: int | None = None,
) -> Selection:
    """Choose among candidates by what was seen, and say how sure that is.

    The choice is the candidate with the largest expected worth, its mean value over the ladder of sizes, by
    the law (:mod:`scaler.search.inference.law`): trainings are compared within a rung, paired by seed index,
    pooled along the axes, and short ones count for what they tell of full ones. ``best_set`` are the fewest
    candidates that hold the best one with ``confidence``, trained or not; one that diverged with any seed is
    never among them.

    Raises:
        UserError: nothing was trained, or every training diverged.
    """
    diverged = {o.candidate for o in seen if o.state != "complete"}
    usable = [o for o in seen if o.state == "complete" and o.candidate not in diverged]
    fit = fit_experiment(experiment, seen, metric)
    eligible, decision = stable_worths(experiment, diverged)
    if fit is None or not eligible:
        reason = "every training diverged: lower the learning rate" if seen else "nothing was trained"
        if any(o.state == "too large" for o in seen):
            reason = "memory is too short for the trainings: use a smaller proxy, or fewer at a time"
        raise UserError(f"no candidate can be chosen: {reason}")
    posterior = fit.posterior(decision)
    chosen = eligible[int(posterior.mean.argmax())]
    held = [eligible[i] for i in posterior.region(CONFIDENCE)]
    best_set = (chosen, *(c for c in held if c != chosen))
    seeds_needed, more_flops = _proposal(experiment, fit, best_set, seen)
    return Selection(
        candidate=chosen,
        best_set=best_set,
        confidence=CONFIDENCE,
        seeds_needed=seeds_needed,
        more_flops=more_flops,
        metric=metric,
        scores=tuple(_scores(usable, dict(zip(eligible, posterior.mean.tolist(), strict=True)))),
        diverged=tuple(sorted(diverged)),
        law=summary(experiment, fit, seen, chosen, validation_images),
    )


def choose(
    experiment: Experiment, seen: Sequence[Observation], metric: Metric = "accuracy"
) -> tuple[int, tuple[int, ...]]:
    """The choice and the best set of :func:`select` alone, for whoever asks often.

    Raises:
        UserError: as :func:`select`.
    """
    diverged = {o.candidate for o in seen if o.state != "complete"}
    fit = fit_experiment(experiment, seen, metric)
    eligible, decision = stable_worths(experiment, diverged)
    if fit is None or not eligible:
        raise UserError("no candidate can be chosen: every training diverged")
    posterior = fit.posterior(decision)
    chosen = eligible[int(posterior.mean.argmax())]
    return chosen, tuple(eligible[i] for i in posterior.region(CONFIDENCE))


def _compare(usable: Sequence[Observation], rung: int, metric: Metric) -> Comparison:
    """The comparison at a rung; larger is better (the loss changes its sign)."""
    sign = 1.0 if metric == "accuracy" else -1.0
    values = {(o.candidate, o.seed_index): sign * float(getattr(o, metric)) for o in usable if o.rung == rung}
    return compare(values)


def _proposal(
    experiment: Experiment, fit: Fit, best_set: Sequence[int], seen: Sequence[Observation]
) -> tuple[int | None, float | None]:
    """Seeds per candidate of the best set that would show its lead at the budget, and their cost."""
    if len(best_set) == 1:
        return None, None
    values = fit.mean(worths(experiment, (experiment.budget,)))
    gap = float(values[best_set[0]] - max(values[c] for c in best_set[1:]))
    wanted = seeds_to_decide(gap, fit.deviation**2, CONFIDENCE)
    if math.isinf(wanted):
        return None, None
    last = len(experiment.rungs) - 1
    done = {c: len({o.seed_index for o in seen if o.candidate == c and o.rung == last}) for c in best_set}
    flops = sum(max(wanted - done[c], 0) * experiment.epoch_flops[c] * experiment.rungs[-1] for c in best_set)
    return int(wanted), float(flops)


def _scores(usable: Sequence[Observation], worth: Mapping[int, float]) -> list[CandidateScore]:
    own = {c: [o for o in usable if o.candidate == c] for c in worth}
    reached = {c: max(o.rung for o in rows) for c, rows in own.items() if rows}
    rungs = set(reached.values())
    accuracy = {rung: _compare(usable, rung, "accuracy") for rung in rungs}
    loss = {rung: _compare(usable, rung, "loss") for rung in rungs}
    result = []
    for candidate in sorted(reached, key=lambda c: (-reached[c], -worth[c])):
        rung = reached[candidate]
        rows = [o for o in own[candidate] if o.rung == rung]
        i = accuracy[rung].candidates.index(candidate)
        result.append(
            CandidateScore(
                candidate=candidate,
                rung=rung,
                epochs=rows[0].epochs,
                seeds=len(rows),
                accuracy=float(np.mean([o.accuracy for o in rows])),
                accuracy_stderr=float(accuracy[rung].standard_errors()[i]),
                loss=float(np.mean([o.loss for o in rows])),
                loss_stderr=float(loss[rung].standard_errors()[i]),
                adjusted_accuracy=float(accuracy[rung].means[i]),
            )
        )
    return result
