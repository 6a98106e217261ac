"""How a network's FLOPs grow with each multiplier, measured; in theory as d^1, w^2, r^2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.layers import ResolutionTooSmallError
from scaler.networks.python_network import PythonNetwork
from scaler.networks.scale import effective, scale
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import Exponents

Axis = Literal["depth", "width", "resolution"]

#: Single channels and pixels, so that rounding hides as little as possible of how the cost grows.
FINE = Rounding(depth="spread", divisor=1, resolution_step=1)

#: An axis that multiplies FLOPs by less than the budget even at this multiplier does not scale.
_LARGEST = 32.0


@dataclass(frozen=True)
class Exponent:
    """A fitted exponent with its standard error."""

    value: float
    stderr: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.stderr:.2f}"


@dataclass(frozen=True)
class MeasuredExponents:
    """FLOPs grow as ``d^depth * w^width * r^resolution`` around the base."""

    depth: Exponent
    width: Exponent
    resolution: Exponent

    @property
    def exponents(self) -> Exponents:
        """The values alone, for :func:`scaler.scaling.shares.coefficients`."""
        return Exponents(self.depth.value, self.width.value, self.resolution.value)


def measure(spec: NetworkSpec, rounding: Rounding = FINE, *, budget: float = 2.0) -> MeasuredExponents:
    """Fit the exponents of a network between 1x and ``budget`` times its FLOPs, one axis at a time.

    A budget below 1 looks at smaller networks.

    The fit is ``log(FLOPs / FLOPs of the base) = e * log(effective multiplier)`` by least squares through
    the origin, which is the base itself. Layer trees are counted in closed form, Python networks by fvcore
    at fewer points.

    Raises:
        UserError: the FLOPs do not grow along an axis, or the network cannot be built.
    """
    return MeasuredExponents(
        _fit(spec, "depth", rounding, budget),
        _fit(spec, "width", rounding, budget),
        _fit(spec, "resolution", rounding, budget),
    )


def _fit(spec: NetworkSpec, axis: Axis, rounding: Rounding, budget: float) -> Exponent:
    points = sorted(set(_points(spec, axis, rounding, budget)))
    if not points and budget < 1:  # one block a stage cannot become fewer: how it grows has to do
        points = sorted(set(_points(spec, axis, rounding, 1 / budget)))
    square = sum(x * x for x, _ in points)
    slope = sum(x * y for x, y in points) / square
    residual = sum((y - slope * x) ** 2 for x, y in points)
    return Exponent(slope, math.sqrt(residual / max(len(points) - 1, 1) / square))


def _points(
    spec: NetworkSpec, axis: Axis, rounding: Rounding, budget: float
) -> Iterator[tuple[float, float]]:
    """Logarithms of effective multiplier and FLOP ratio, evenly up to where the ratio is the budget."""
    flops = cost(spec).flops
    count, step = (4, 1.4) if isinstance(spec, PythonNetwork) else (24, 1.05)

    def realise(multiplier: float) -> tuple[float, float] | None:
        """None of images that are too small for the network."""
        other = scale(spec, Multipliers(**{axis: multiplier}), rounding)
        try:
            return math.log(getattr(effective(other, spec), axis)), math.log(cost(other).flops / flops)
        except ResolutionTooSmallError:
            return None

    direction = 1 if budget > 1 else -1
    end = step**direction
    while (point := realise(end)) and direction * point[1] < direction * math.log(budget):
        end *= step**direction
        if max(end, 1 / end) > _LARGEST:
            # A network shrinks only to one block a stage: what it does until then has to do.
            if direction < 0:
                break
            raise UserError(
                f"the FLOPs of {spec.name} do not reach {budget:g}x even at {axis} multiplier {_LARGEST:g}, "
                f"so a budget cannot be spent on {axis}; check that the network uses it"
            )
    for index in range(1, count + 1):
        point = realise(end ** (index / count))
        if point and direction * point[0] > 0:
            yield point
