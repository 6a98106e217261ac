"""From multipliers to networks whose measured FLOPs meet a budget."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from itertools import product

from scaler.cost.network_cost import cost
from scaler.networks.layers import ResolutionTooSmallError
from scaler.networks.scale import effective, scale
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Coefficients, Multipliers
from scaler.scaling.rounding import Rounding
from scaler.search.candidates.candidate import Realised

#: The multipliers of a base itself.
NO_CHANGE = Multipliers()

#: How far a multiplier of a native network may be moved to meet the budget; its proxy's may move further,
#: for at small images FLOPs are lumpy.
NATIVE_REACH, PROXY_REACH = 0.06, 0.12

#: Widths tried on either side of the target, spaced evenly over the reach.
WIDTH_STEPS = 6

#: Steps of depth up to the base's, for a network of the user's own code, whose blocks cannot be counted.
DEPTH_STEPS = 16


@dataclass(frozen=True)
class Scalable:
    """A base to scale: the native network, or the small thin one that is trained in its place.

    Attributes:
        spec: the network before any multiplier.
        rounding: how its multiplied sizes become whole numbers.
        reduced: multipliers that make the proxy's base of ``spec``; all 1 for the native network.
    """

    spec: NetworkSpec
    rounding: Rounding
    reduced: Multipliers = NO_CHANGE

    def at(self, multipliers: Multipliers) -> NetworkSpec:
        """The network at these multipliers."""
        return scale(self.spec, multipliers * self.reduced, self.rounding)

    @cached_property
    def base(self) -> NetworkSpec:
        """The network at multipliers of 1."""
        return self.at(NO_CHANGE)

    def realise(self, asked: Multipliers) -> Realised:
        """Realise multipliers and count the network against the base.

        Raises:
            UserError: the resolution is too small for the network's strides.
        """
        spec, base = self.at(asked), self.base
        counts = cost(spec)
        return Realised(spec, asked, effective(spec, base), counts, counts.flops / cost(base).flops)


@dataclass(frozen=True)
class Target:
    """A budget to meet.

    Attributes:
        ratio: FLOPs as a factor on the base's.
        tolerance: largest relative difference of the measured FLOPs from that.
    """

    ratio: float
    tolerance: float = 0.03

    def miss(self, ratio: float) -> float:
        """By which part a measured ratio misses the budget; positive is above."""
        return ratio / self.ratio - 1

    def met_by(self, network: Realised) -> bool:
        """Whether a network meets the budget."""
        return abs(self.miss(network.ratio)) <= self.tolerance


def along(nominal: Coefficients, scalable: Scalable, ratio: float) -> Coefficients:
    """The coefficients in the direction of ``nominal`` whose nearly smooth count meets a budget.

    Exponents hold only nearly (stems and heads do not deepen), so the coefficients are moved along
    their direction until the counted FLOPs, with channels rounded finely, are right.

    Args:
        nominal: what should meet the budget by its exponents.
        scalable: what is scaled.
        ratio: the budget, as a factor on the base's FLOPs.
    """
    smooth = replace(scalable, rounding=Rounding(divisor=1))
    base = cost(smooth.base).flops
    low, high = 0.3, 3.0
    for _ in range(16):
        middle = math.sqrt(low * high)
        try:
            count = cost(smooth.at(nominal.at(middle))).flops / base
        except ResolutionTooSmallError:  # too far down
            high = middle
            continue
        if abs(math.log(count)) < abs(math.log(ratio)):
            low = middle
        else:
            high = middle
    return Coefficients(*astuple(nominal.at(math.sqrt(low * high))))


def native_near(native: Scalable, asked: Multipliers, target: Target) -> Realised:
    """The native network for these multipliers, as :func:`meet` finds it."""
    return meet(native, asked, target, NATIVE_REACH)


def proxy_of(network: Realised, proxy: Scalable, target: Target) -> Realised:
    """The proxy that is trained in place of a native network: nearest to the multipliers that it has."""
    return meet(proxy, network.effective, target, PROXY_REACH)


def meet(scalable: Scalable, asked: Multipliers, target: Target, reach: float) -> Realised:
    """The network nearest to the multipliers asked for that meets the budget; else the nearest miss.

    Nearest counts both: how far the multipliers moved, and how far the FLOPs are off. Axes that are not
    scaled (a multiplier of 1) move only if the others alone cannot meet the budget: by a step of
    resolution, a divisor of width or a layer.

    Raises:
        ResolutionTooSmallError: the network takes none of the images nearby.
    """
    moved = Multipliers(*(1 + reach if abs(math.log(m)) > 1e-9 else 1 for m in astuple(asked)))
    nearest: Realised | None = None
    for moves in (moved, Multipliers(1 + reach, 1 + reach, 1 + reach)):
        best, lowest = None, math.inf
        for option in nearby(scalable.base, asked, moves):
            moved_by = _moved(option, asked)
            if moved_by >= lowest:
                break
            try:
                realised = scalable.realise(option)
            except ResolutionTooSmallError:
                continue
            miss = abs(target.miss(realised.ratio))
            if miss <= target.tolerance and moved_by + miss < lowest:
                best, lowest = realised, moved_by + miss
            if nearest is None or miss < abs(target.miss(nearest.ratio)):
                nearest = realised
        if best is not None:
            return best
    return nearest or scalable.realise(asked)  # which says that all images nearby are too small


def nearby(base: NetworkSpec, asked: Multipliers, moves: Multipliers) -> Iterator[Multipliers]:
    """Multipliers around those asked for, the nearest first; each axis may move by its factor (1: not)."""
    depth, width, resolution = astuple(asked)
    layers, pixels = base.depth or DEPTH_STEPS, base.resolution
    depths = _around(depth * layers, moves.depth)
    sides = _around(resolution * pixels, moves.resolution)
    steps = range(-WIDTH_STEPS, WIDTH_STEPS + 1) if moves.width > 1 else (0,)
    options = [
        Multipliers(total / layers, width * moves.width ** (step / WIDTH_STEPS), side / pixels)
        for total, step, side in product(depths, steps, sides)
    ]
    yield from sorted(options, key=lambda option: _moved(option, asked))


def _around(value: float, factor: float) -> range:
    """Whole numbers about a value, up to a factor away; at least 1."""
    return range(max(1, _floor(value / factor)), max(1, _floor(value * factor)) + 1)


def _moved(one: Multipliers, other: Multipliers) -> float:
    """Euclidean distance of the logarithms."""
    return math.hypot(
        math.log(one.depth / other.depth),
        math.log(one.width / other.width),
        math.log(one.resolution / other.resolution),
    )


def _floor(value: float) -> int:
    """The nearest whole number, halves up."""
    return math.floor(value + 0.5)
