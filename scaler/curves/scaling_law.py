"""Accuracy gained per doubling of FLOPs, between networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


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
    points = sorted(p for p in zip(flops, accuracy, stderr, strict=True) if not math.isnan(p[1]))
    return [_slope(a, b) for a, b in pairwise(points) if b[0] > a[0]]


def overall_slope(flops: Sequence[float], accuracy: Sequence[float], stderr: Sequence[float]) -> Slope | None:
    """The slope between the cheapest and the dearest network; none if there are not two."""
    points = sorted(p for p in zip(flops, accuracy, stderr, strict=True) if not math.isnan(p[1]))
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return None
    return _slope(points[0], points[-1])


def _slope(low: tuple[float, float, float], high: tuple[float, float, float]) -> Slope:
    doublings = math.log2(high[0] / low[0])
    gain = (high[1] - low[1]) / doublings
    return Slope((low[0], high[0]), gain, math.hypot(low[2], high[2]) / doublings)
