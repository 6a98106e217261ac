"""From noisy trainings to a decision: the best candidate, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Literal

import numpy as np

from scaler.errors import UserError
from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import CORNERS, Shares
from scaler.search.comparison import Comparison, compare, seeds_to_decide
from scaler.search.surface import Belief, surface_of, values_of
from scaler.search.types import Contest, Observation

Metric = Literal["accuracy", "loss"]

#: The level of every interval and of the set that cannot be told from the best.
CONFIDENCE = 0.95
#: Nobody runs more seeds of a candidate than this to decide between two.
MOST_SEEDS = 100
#: A candidate is compound if every dimension gets at least this share, single if one gets all but this.
COMPOUND_SHARE = 0.05


@dataclass(frozen=True)
class Standing:
    """What is known of one candidate at the highest rung that it reached.

    ``accuracy`` is in [0, 1], as if the candidate had run in all repetitions of that rung; its standard
    error is that over seeds (NaN when too few were repeated).
    """

    candidate: int
    rung: int
    epochs: int
    seeds: int
    accuracy: float
    accuracy_stderr: float
    loss: float
    loss_stderr: float


@dataclass(frozen=True)
class Answer:
    """The decision of a search.

    Attributes:
        candidate: the chosen one's id.
        coefficients: its alpha, beta, gamma; ``shares``: its shares.
        intervals: of ``alpha, beta, gamma, share_depth, share_width, share_resolution``: from the smallest to
            the largest among ``ties``, so that they hold the best candidate's at ``confidence``.
        confidence: level of the intervals and of ``ties``, taken together.
        ties: candidates that cannot be told from the best, the chosen one first.
        decided: ``ties`` is the chosen one alone.
        compound: probability that the best compound candidate beats each single dimension, by name.
        seeds_needed: per candidate in ``ties``, to see the lead over the next best with 80 % power; None if
            decided, or if there is no lead that any number of seeds could show.
        more_flops: training FLOPs that these seeds would cost beyond what was spent; None likewise.
        metric: what was compared.
        standings: every candidate, best first.
        notes: what the user should know, in sentences.
    """

    candidate: int
    coefficients: Coefficients
    shares: Shares
    intervals: dict[str, tuple[float, float]]
    confidence: float
    ties: tuple[int, ...]
    decided: bool
    compound: dict[str, float]
    seeds_needed: int | None
    more_flops: float | None
    metric: Metric
    standings: tuple[Standing, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``coefficients.json``; what is not a number becomes null."""
        data = asdict(self)
        return {**data.pop("coefficients"), **{key: _plain(value) for key, value in data.items()}}


def select(
    contest: Contest,
    coefficients: Sequence[Coefficients],
    seen: Sequence[Observation],
    metric: Metric = "accuracy",
) -> Answer:
    """Choose among candidates by what was seen, and say how sure that is.

    The choice, among the candidates trained longest, and the ties are by belief
    (:mod:`scaler.search.surface`): trainings are compared within a
    rung, paired by repetition, pooled with their neighbours on the triangle, and short ones count for what
    they tell of full ones. ``ties`` are the fewest candidates that hold the best one with ``confidence``,
    trained or not; one that diverged with any seed is never among them. Without repeated seeds the noise is
    what the smooth surface leaves unexplained.

    Raises:
        UserError: nothing was trained, or every training diverged.
    """
    unstable = {o.candidate for o in seen if o.state == "diverged"}
    usable = [o for o in seen if o.state == "complete" and o.candidate not in unstable]
    if not usable:
        reason = "every training diverged: lower the learning rate" if seen else "nothing was trained"
        raise UserError(f"no candidate can be chosen: {reason}")
    reached = {o.candidate: max(p.rung for p in usable if p.candidate == o.candidate) for o in usable}
    belief, _ = surface_of(contest).fit(values_of(seen, metric))
    finalists = _finalists(reached)
    order = sorted(reached, key=lambda c: (c not in finalists, -belief.mean[c]))
    tied = _ties(belief, order[0], unstable)
    top = _compare(usable, reached[order[0]], metric)
    seeds_needed, more_flops = _proposal(contest, belief, order, tied, top, seen)
    return Answer(
        candidate=order[0],
        coefficients=coefficients[order[0]],
        shares=contest.shares[order[0]],
        intervals=_intervals(contest, coefficients, tied),
        confidence=CONFIDENCE,
        ties=tied,
        decided=len(tied) == 1,
        compound=_compound(contest, belief, unstable),
        seeds_needed=seeds_needed,
        more_flops=more_flops,
        metric=metric,
        standings=tuple(_standings(usable, order, reached)),
        notes=tuple(_notes(contest, tied, reached, unstable, top, seeds_needed)),
    )


def _finalists(reached: Mapping[int, int]) -> set[int]:
    """Candidates that the choice is among: those trained longest, if there are several to compare.

    A candidate that was stopped may be believed to be better, and is then among the ties; but what is handed
    to the user was trained as long as anything was.
    """
    top = max(reached.values())
    longest = {candidate for candidate, rung in reached.items() if rung == top}
    return longest if len(longest) > 1 else set(reached)


def _ties(belief: Belief, chosen: int, unstable: set[int]) -> tuple[int, ...]:
    """The chosen candidate, then the likeliest others until together they hold the best one."""
    eligible = np.array([c not in unstable for c in range(len(belief.mean))])
    probability = belief.best_probability(eligible)
    tied, held = [chosen], probability[chosen]
    for candidate in np.argsort(-probability, kind="stable"):
        if held >= CONFIDENCE:
            break
        if candidate != chosen and eligible[candidate]:
            tied.append(int(candidate))
            held += probability[candidate]
    return tuple(tied)


def _compare(usable: Sequence[Observation], rung: int, metric: Metric) -> Comparison:
    """The comparison at a rung; larger is better (the loss changes its sign)."""
    sign = 1.0 if metric == "accuracy" else -1.0
    values = {(o.candidate, o.repetition): sign * float(getattr(o, metric)) for o in usable if o.rung == rung}
    return compare(values)


def _intervals(
    contest: Contest, coefficients: Sequence[Coefficients], tied: Sequence[int]
) -> dict[str, tuple[float, float]]:
    values = np.array([(*astuple(coefficients[c]), *astuple(contest.shares[c])) for c in tied])
    names = ("alpha", "beta", "gamma", "share_depth", "share_width", "share_resolution")
    return {
        name: (float(low), float(high))
        for name, low, high in zip(names, values.min(axis=0), values.max(axis=0), strict=True)
    }


def _compound(contest: Contest, belief: Belief, unstable: set[int]) -> dict[str, float]:
    """Probability that the best compound candidate beats each single dimension."""
    shares = np.array([astuple(s) for s in contest.shares])
    stable = [c for c in range(len(shares)) if c not in unstable]
    inner = [c for c in stable if shares[c].min() >= COMPOUND_SHARE]
    if not inner:
        return {}
    best = max(inner, key=lambda c: belief.mean[c])
    result = {}
    for axis, name in enumerate(CORNERS):
        alone = max(stable, key=lambda c: shares[c, axis])
        if shares[alone, axis] >= 1 - COMPOUND_SHARE:
            result[name] = belief.beats(best, alone)
    return result


def _proposal(
    contest: Contest,
    belief: Belief,
    order: Sequence[int],
    tied: Sequence[int],
    top: Comparison,
    seen: Sequence[Observation],
) -> tuple[int | None, float | None]:
    """Seeds per tied candidate that would show the believed lead, and what they would cost.

    Without repeated seeds, the noise is what the surface believes it to be.
    """
    rivals = [c for c in order if c in tied[1:]]
    if not rivals:
        return None, None
    gap = float(belief.mean[tied[0]] - belief.mean[rivals[0]])
    wanted = seeds_to_decide(gap, top.variance if top.freedom else belief.noise, CONFIDENCE)
    if math.isinf(wanted):
        return None, None
    last = len(contest.rungs) - 1
    done = {c: len({o.repetition for o in seen if o.candidate == c and o.rung == last}) for c in tied}
    flops = sum(max(wanted - done[c], 0) * contest.epoch_flops[c] * contest.rungs[-1] for c in tied)
    return int(wanted), float(flops)


def _standings(
    usable: Sequence[Observation], order: Sequence[int], reached: dict[int, int]
) -> list[Standing]:
    accuracy = {rung: _compare(usable, rung, "accuracy") for rung in set(reached.values())}
    loss = {rung: _compare(usable, rung, "loss") for rung in set(reached.values())}
    epochs = {o.rung: o.epochs for o in usable}
    result = []
    for candidate in order:
        rung = reached[candidate]
        i = accuracy[rung].candidates.index(candidate)
        result.append(
            Standing(
                candidate=candidate,
                rung=rung,
                epochs=epochs[rung],
                seeds=int(accuracy[rung].seeds[i]),
                accuracy=float(accuracy[rung].means[i]),
                accuracy_stderr=float(accuracy[rung].standard_errors()[i]),
                loss=-float(loss[rung].means[i]),
                loss_stderr=float(loss[rung].standard_errors()[i]),
            )
        )
    return result


def _notes(
    contest: Contest,
    tied: Sequence[int],
    reached: dict[int, int],
    unstable: set[int],
    top: Comparison,
    seeds_needed: int | None,
) -> list[str]:
    notes = []
    if unstable:
        listed = ", ".join(map(str, sorted(unstable)))
        notes.append(f"Candidates {listed} diverged in at least one training and cannot be chosen.")
    if top.freedom == 0:
        repeated = "Too few seeds were" if (top.seeds > 1).any() else "No seed was"
        notes.append(
            f"{repeated} repeated: the noise was judged by how far candidates lie off a smooth surface."
        )
    if len(tied) == len(contest.shares) - len(unstable) > 1:
        notes.append("No candidate can be told from the best: the choice is little better than a guess.")
    elif len(tied) > 1:
        notes.append(f"{len(tied)} of {len(contest.shares)} candidates cannot be told from the best.")
    if len(tied) > 1 and seeds_needed is not None:
        notes.append(_proposed(seeds_needed))
    early = [c for c in reached if reached[c] < len(contest.rungs) - 1]
    if early:
        notes.append(
            f"{len(early)} of {len(contest.shares)} candidates stopped before epoch {contest.rungs[-1]}: "
            "what they would have reached is judged by the others."
        )
    return notes


def _plain(value: Any) -> Any:
    """Data that strict JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _proposed(seeds: int) -> str:
    if seeds > MOST_SEEDS:
        return (
            f"The observed lead is so small that {MOST_SEEDS} seeds per candidate would not show it: "
            "this proxy cannot tell them apart."
        )
    return f"About {seeds} seeds per candidate would show the observed lead with 80 % power."
