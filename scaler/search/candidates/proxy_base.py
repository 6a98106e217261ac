"""The native base of a search, and the small network that is trained in its place."""

from __future__ import annotations

import math
from bisect import bisect_right

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.registry import base as named_base
from scaler.networks.scale import small, thinnest, usual_rounding, without_bottlenecks
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import with_se
from scaler.scaling.budget import check_ratio, format_count, parse_budget, parse_count
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.search.candidates.realise import Scalable
from scaler.search.space import Proxy, Space

#: fvcore builds and runs what it counts: parameters and activations of a base, at its budget.
MOST_NUMBERS = 1_000_000_000

#: With fewer blocks, a proxy could not deepen in steps as fine as the native network's.
FEWEST_BLOCKS = 8


def bases(space: Space, classes: int) -> tuple[Scalable, Scalable]:
    """The native base, and its proxy for this many classes.

    Raises:
        UserError: the base is unknown, or the proxy's images are too small for it.
    """
    spec = native_base(space)
    _check_size(spec)
    native = Scalable(spec, space.rounding or usual_rounding(spec))
    whole = small(spec, space.proxy.resolution).with_classes(classes)
    proxy = space.proxy
    if budget_ratio(space.budget, native.base) < 1:  # candidates are shallower, and have to differ
        proxy = proxy.model_copy(update={"depth": 1.0})
    return native, reduced(whole, proxy, proxy.width or widest(whole, proxy))


def native_base(space: Space) -> NetworkSpec:
    """The base at its own size, with the excitations that the space adds.

    Raises:
        UserError: the base is unknown.
    """
    spec = named_base(space.base)
    if space.se is None:
        return spec
    se = space.se
    return with_se(spec, se.reduction, skip_last_stage=se.skip_last_stage, position=se.position)


def _check_size(spec: NetworkSpec) -> None:
    """Refuse a base that no machine could build, before anything of it is built."""
    found = cost(spec)
    for what, number in (("parameters", found.params), ("activations", found.activations)):
        if number > MOST_NUMBERS:
            raise UserError(
                f"{spec.name} has {format_count(number)} {what}, more than the {format_count(MOST_NUMBERS)} "
                "that a search can count: make it narrower or its images smaller"
            )


def reduced(whole: NetworkSpec, proxy: Proxy, width: float) -> Scalable:
    """The base for small images at this width, and at the proxy's depth or with :data:`FEWEST_BLOCKS`.

    Stages whose channels grow with every block keep their depth: shallower, they would be thinner again.
    """
    rounding = Rounding(divisor=proxy.divisor)
    depth = max(proxy.depth, min(1.0, FEWEST_BLOCKS / max(whole.depth, 1)))
    if any(stage.grows for stage in whole.stages):
        depth = 1.0
    return Scalable(without_bottlenecks(whole, width, rounding), rounding, Multipliers(depth, width, 1))


def widest(whole: NetworkSpec, proxy: Proxy) -> float:
    """The largest width multiplier, up to 1 and in hundredths, whose network costs at most the proxy's FLOPs.

    Never so thin that widths could no longer grow evenly, though it may then cost more.
    """
    flops = parse_count(proxy.flops) or math.inf
    least = math.ceil(100 * thinnest(whole, Rounding(divisor=proxy.divisor)))
    hundredths = range(least, 101)
    fitting = bisect_right(
        hundredths, flops, key=lambda width: cost(reduced(whole, proxy, width / 100).base).flops
    )
    return hundredths[max(fitting - 1, 0)] / 100


def budget_ratio(text: str, base: NetworkSpec) -> float:
    """A budget as a factor on the base's counted FLOPs; below 1 the base shrinks.

    Raises:
        UserError: it is the base's own FLOPs, or too far from them.
    """
    flops = cost(base).flops
    return check_ratio(text, parse_budget(text).ratio(flops), f"{base.name} ({format_count(flops)} FLOPs)")
