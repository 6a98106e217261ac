"""Accuracy gained per doubling of FLOPs, between networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_Point = tuple[float, float, float]


@dataclass(frozen=True)
class Slope:
    """Accuracy gained per doubling of FLOPs between two networks, as a fraction (0.01 is one point).

    ``stderr`` takes the two accuracies as independent; it is NaN where one has no standard error.
    """

    flops: tuple[float, float]
    gain: float
    stderr: float


def slopes(flops: Sequence[float], accuracy: Sequence[float], stderr: Sequence[float]) -> list[Slope]:
    """Slopes between successive networks, from the cheapest to the dearest.

    Networks without an accuracy are passed over, and so is the second of two of equal cost.
    """
    return [_slope(a, b) for a, b in pairwise(_points(flops, accuracy, stderr))]


def overall_slope(flops: Sequence[float], accuracy: Sequence[float], stderr: Sequence[float]) -> Slope | None:
    """The slope between the cheapest and the dearest network; none if there are not two."""
    points = _points(flops, accuracy, stderr)
    return _slope(points[0], points[-1]) if len(points) > 1 else None


def _points(flops: Sequence[float], accuracy: Sequence[float], stderr: Sequence[float]) -> list[_Point]:
    """Networks with an accuracy by their cost; the first of those of one cost."""
    known: dict[float, _Point] = {}
    for point in zip(flops, accuracy, stderr, strict=True):
        if not math.isnan(point[1]):
            known.setdefault(point[0], point)
    return sorted(known.values())


def _slope(low: _Point, high: _Point) -> Slope:
    doublings = math.log2(high[0] / low[0])
    gain = (high[1] - low[1]) / doublings
    return Slope((low[0], high[0]), gain, math.hypot(low[2], high[2]) / doublings)
