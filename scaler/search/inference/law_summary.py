"""What the law says of growth: what a doubling of FLOPs buys on each axis, and where FLOPs should go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from scaler.execution.protocol import Experiment, Observation
from scaler.scaling.shares import CORNERS, Shares
from scaler.search.inference.decision import fit_experiment, ladder, octaves_of, worths
from scaler.search.inference.lack_of_fit import lack_of_fit
from scaler.search.inference.law import Fit
from scaler.search.inference.questions import Array, directions, gains, latent_values

AXES = tuple(CORNERS)
#: The level of intervals of gains.
LEVEL = 0.9
#: An axis that has more than this share is one alone, though rounding may have moved another as well.
ALONE = 0.76
#: Divisions of the triangle: where the best direction at a size is sought, and where the surface is drawn.
DIVISIONS, SURFACE_DIVISIONS = 10, 20


@dataclass(frozen=True)
class Gain:
    """What a doubling of FLOPs along an axis buys, in accuracy (0.01 is one point).

    Attributes:
        axis: ``depth``, ``width`` or ``resolution``.
        size: FLOPs of the network that is grown, as a factor on the base's, along the chosen direction.
        mean, low, high: expected, and the interval of :data:`LEVEL`.
    """

    axis: str
    size: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Waypoint:
    """Where FLOPs should go at a size.

    Attributes:
        size: FLOPs as a factor on the base's.
        shares: of the best way to spend log(size), by the law.
        low, high: shares that hold it, each axis by itself, at :data:`LEVEL`.
        better: expected gain over the chosen direction, raised to this size, in accuracy.
    """

    size: float
    shares: Shares
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    better: float


@dataclass(frozen=True)
class Worth:
    """What a direction is worth: its mean over the ladder, less that of the best one (accuracy, <= 0)."""

    shares: Shares
    worth: float


@dataclass(frozen=True)
class LawSummary:
    """What the law says beyond the choice.

    Attributes:
        gains: by axis, at the base and at the sizes of the ladder.
        early: gains at the base as the first rung's trainings alone tell them; empty with one rung.
        early_epochs: of these; 0 with one rung.
        path: where FLOPs should go, at the sizes of the ladder.
        surface: the worth of directions all over the triangle of shares.
        beats: probability that the chosen direction is better than a single dimension that is a candidate, by
            axis and size.
        additive: probability that accuracy is a sum of three functions of one axis each (beforehand:
            ``law_settings.ADDITIVE``).
        lack_of_fit: p value of the F test of the additive law against repeated seeds; None without repeats.
        own: share of networks' own parts (lumps of small maps) in the variance between networks.
        deviation: of a training's accuracy from seed to seed.
        sampling: part of it that is sampling of validation images.
        networks: that were trained.
    """

    gains: tuple[Gain, ...]
    early: tuple[Gain, ...]
    early_epochs: int
    path: tuple[Waypoint, ...]
    surface: tuple[Worth, ...]
    beats: dict[str, dict[str, float]]
    additive: float
    lack_of_fit: float | None
    own: float
    deviation: float
    sampling: float | None
    networks: int


def summary(
    experiment: Experiment, fit: Fit, seen: Sequence[Observation], chosen: int, validation_images: int | None
) -> LawSummary:
    """Ask the law.

    Args:
        experiment: what was searched.
        fit: the law after what was ``seen``.
        seen: all trainings.
        chosen: the candidate whose direction is raised.
        validation_images: on which accuracies were measured; None leaves their part of the noise open.
    """
    trained = np.unique(fit.values.network)
    direction = np.array(astuple(experiment.shares[chosen]))
    test = lack_of_fit(octaves_of(experiment), fit.values)
    early, epochs = _early(experiment, seen)
    return LawSummary(
        gains=_gains(fit, direction, (1.0, *ladder(experiment))),
        early=early,
        early_epochs=epochs,
        path=tuple(_waypoint(fit, direction, size) for size in ladder(experiment)),
        surface=_surface(experiment, fit),
        beats=_beats(experiment, fit, chosen),
        additive=fit.additive,
        lack_of_fit=test.p if test else None,
        own=fit.own_part(trained) if len(trained) > 1 else 0.0,
        deviation=fit.deviation,
        sampling=_sampling(seen, validation_images),
        networks=len(trained),
    )


def _gains(fit: Fit, direction: Array, sizes: Sequence[float]) -> tuple[Gain, ...]:
    at = np.array([direction * np.log2(size) for size in sizes])
    posterior = fit.posterior(gains(at))
    intervals = posterior.interval(LEVEL)
    return tuple(
        Gain(axis, size, *map(float, (posterior.mean[3 * i + k], *intervals[3 * i + k])))
        for i, size in enumerate(sizes)
        for k, axis in enumerate(AXES)
    )


def _early(experiment: Experiment, seen: Sequence[Observation]) -> tuple[tuple[Gain, ...], int]:
    """Gains at the base by the first rung alone, as if trainings had ended there."""
    first = [o for o in seen if o.rung == 0]
    if len(experiment.rungs) == 1 or len({o.candidate for o in first}) < 4:
        return (), 0
    fit = fit_experiment(replace(experiment, rungs=experiment.rungs[:1]), first)
    return (_gains(fit, np.zeros(3), (1.0,)), experiment.rungs[0]) if fit else ((), 0)


def _waypoint(fit: Fit, direction: Array, size: float) -> Waypoint:
    """The best direction at a size."""
    shares = directions(DIVISIONS)
    octaves = np.log2(size)
    posterior = fit.posterior(latent_values(np.vstack([shares, direction]) * octaves))
    best = int(posterior.mean[:-1].argmax())
    drawn = shares[posterior.draws[:, :-1].argmax(axis=1)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Waypoint(
        size=size,
        shares=Shares(*map(float, shares[best])),
        low=(float(low[0]), float(low[1]), float(low[2])),
        high=(float(high[0]), float(high[1]), float(high[2])),
        better=float(posterior.mean[best] - posterior.mean[-1]),
    )


def _surface(experiment: Experiment, fit: Fit) -> tuple[Worth, ...]:
    """The mean latent value of directions over the ladder; own parts left out."""
    shares, sizes = directions(SURFACE_DIVISIONS), ladder(experiment)
    octaves = np.concatenate([shares * np.log2(size) for size in sizes])
    over_ladder = np.tile(np.eye(len(shares)), len(sizes)) / len(sizes)
    mean = fit.mean(latent_values(octaves).weighted(over_ladder))
    below = mean - mean.max()
    return tuple(
        Worth(Shares(*map(float, row)), float(value)) for row, value in zip(shares, below, strict=True)
    )


def _beats(experiment: Experiment, fit: Fit, chosen: int) -> dict[str, dict[str, float]]:
    """Probability that the chosen direction beats each single dimension, by axis and size."""
    shares = np.array([astuple(s) for s in experiment.shares])
    most = {axis: int(shares[:, k].argmax()) for k, axis in enumerate(AXES)}
    alone = {axis: one for k, (axis, one) in enumerate(most.items()) if shares[one, k] > ALONE}
    others = {axis: single for axis, single in alone.items() if single != chosen}
    compared = np.eye(len(shares))[[chosen, *others.values()]]
    found: dict[str, dict[str, float]] = {axis: {} for axis in others}
    for size in ladder(experiment):
        posterior = fit.posterior(worths(experiment, (size,)).weighted(compared))
        for place, axis in enumerate(others, 1):
            found[axis][f"{size:g}x"] = posterior.beats(0, place)
    return found


def _sampling(seen: Sequence[Observation], images: int | None) -> float | None:
    """Standard deviation of an accuracy that comes of drawing so many validation images."""
    last = max((o.rung for o in seen), default=0)
    accuracies = [o.accuracy for o in seen if o.rung == last and o.state == "complete"]
    if not images or not accuracies:
        return None
    return float(np.sqrt(np.mean([a * (1 - a) for a in accuracies]) / images))
