"""How accuracy grows with FLOPs: slopes between networks, and a power law where there are points enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

#: Three parameters and one point to spare.
FEWEST_POINTS = 4
#: Bound on the exponent; published error curves of networks lie well below it.
STEEPEST = 3.0


@dataclass(frozen=True)
class Slope:
    """Accuracy gained per doubling of FLOPs between two networks, as a fraction (0.01 is one point).

    ``stderr`` takes the two accuracies as independent; it is NaN where one has no standard error.
    """

    flops: tuple[float, float]
    gain: float
    stderr: float


@dataclass(frozen=True)
class PowerLaw:
    """``error = floor + scale * (F / reference)^-exponent``, with the standard errors of its parameters."""

    floor: float
    scale: float
    exponent: float
    floor_stderr: float
    scale_stderr: float
    exponent_stderr: float
    reference: float
    points: int

    def accuracy(self, flops: float) -> float:
        """The accuracy that the law gives a network of ``flops``."""
        return 1 - self.floor - self.scale * math.pow(flops / self.reference, -self.exponent)


@dataclass(frozen=True)
class NotFitted:
    """Why points give no power law."""

    reason: str


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


def fit_power_law(
    flops: Sequence[float], accuracy: Sequence[float], stderr: Sequence[float]
) -> PowerLaw | NotFitted:
    """Fit error against FLOPs by least squares, weighted by the standard errors where all are known.

    With ``0 <= floor``, ``0 <= scale`` and ``0 <= exponent <= STEEPEST``. A fit that ends on a bound, or
    whose parameters the points do not determine, is no fit, and the reason says so.
    """
    table = np.array([flops, accuracy, stderr], dtype=float)
    table = table[:, ~np.isnan(table[1])]
    distinct = len(np.unique(table[0]))
    if distinct < FEWEST_POINTS:
        return NotFitted(
            f"a power law needs {FEWEST_POINTS} networks of different cost, there are {distinct}"
        )
    reference = float(np.exp(np.log(table[0]).mean()))
    relative, error = table[0] / reference, 1 - table[1]
    weighted = bool((table[2] > 0).all())
    sigma = table[2] if weighted else np.ones_like(error)

    def residuals(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        difference: NDArray[np.float64] = (theta[0] + theta[1] * relative ** -theta[2] - error) / sigma
        return difference

    middle = float(error.mean())
    solution = least_squares(
        residuals,
        x0=[0.5 * middle, 0.5 * middle, 0.3],
        bounds=([0, 0, 0], [1, 1, STEEPEST]),
        x_scale=[0.1, 0.1, 0.1],
        max_nfev=2000,
    )
    return _judge(solution, weighted, reference)


def _judge(solution: Any, weighted: bool, reference: float) -> PowerLaw | NotFitted:
    theta = np.asarray(solution.x)
    jacobian = np.asarray(solution.jac)
    spare = len(jacobian) - len(theta)
    if not solution.success:
        return NotFitted("the fit did not converge")
    floor, scale, exponent = (float(value) for value in theta)
    if floor < 1e-4:
        return NotFitted("the error still falls as a pure power: its floor cannot be told from zero")
    if scale < 1e-6 or exponent < 1e-3:
        return NotFitted("the error does not fall with FLOPs")
    if exponent > STEEPEST - 1e-3:
        return NotFitted("the error falls in one step, not as a power")
    information = jacobian.T @ jacobian
    if np.linalg.cond(information) > 1e12:
        return NotFitted("the points do not determine a power law")
    # Known standard errors set the scale of the residuals; unknown ones are estimated from them.
    variance = 1.0 if weighted else 2 * float(solution.cost) / spare
    deviations = np.sqrt(np.diag(np.linalg.inv(information)) * variance)
    if deviations[2] > exponent or deviations[0] > 0.5:
        return NotFitted("the points do not determine a power law: its errors are as large as its parameters")
    errors = [float(deviation) for deviation in deviations]
    return PowerLaw(floor, scale, exponent, errors[0], errors[1], errors[2], reference, len(jacobian))
