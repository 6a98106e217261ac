"""Networks off the budget: trained only for what they tell of how accuracy grows along each axis."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from itertools import product

from scaler.errors import UserError
from scaler.networks.scale import identity
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.shares import Exponents
from scaler.search.candidates.candidate import Realised
from scaler.search.candidates.enumeration import Candidates
from scaler.search.candidates.proxy_base import FEWEST_BLOCKS
from scaler.search.candidates.realise import Scalable

#: Octaves along each axis: half the FLOPs, the base's, twice, four times.
STEPS = (-1.0, 0.0, 1.0, 2.0)
#: A network off the budget costs between half of the base's FLOPs and twice them.
SMALLEST, LARGEST = -1.0, 1.0
#: A network further from its point, in octaves along an axis, is not the one that was meant.
NEAR = 0.5

Octaves = tuple[float, float, float]


@dataclass(frozen=True)
class OffBudget:
    """A network off the budget, as the proxy that is trained.

    Attributes:
        name: its octaves, e.g. ``d+1 w-1 r+0``.
        proxy: the network.
        octaves: doublings of FLOPs along each axis, as realised.
    """

    name: str
    proxy: Realised
    octaves: Octaves


def octaves(effective: Multipliers, exponents: Exponents) -> Octaves:
    """Doublings of FLOPs along depth, width and resolution: ``e_k log2(m_k)``."""
    d, w, r = (e * math.log2(m) for e, m in zip(astuple(exponents), astuple(effective), strict=True))
    return d, w, r


def off_budget(
    candidates: Candidates,
    proxy: Scalable,
    exponents: Exponents,
    largest_resolution: int,
    *,
    shrink: bool = False,
) -> list[OffBudget]:
    """The base and the networks about it: one axis up and another down, and each axis alone.

    They lie on a lattice of octaves along the axes, at between half and twice the base's FLOPs: cheap ones,
    and among them those that differ most between axes. None has fewer than :data:`FEWEST_BLOCKS` blocks, or
    than the base and the candidates where these have fewer: what so shallow a network makes of more pixels
    says little of deeper ones.

    Args:
        candidates: networks that are candidates are left out.
        proxy: the base.
        exponents: how FLOPs grow with each multiplier.
        largest_resolution: of images that there are, in pixels.
        shrink: the budget is below the base's FLOPs: axes go up where they went down, and the reverse.
    """
    seen = {identity(candidate.proxy.spec) for candidate in candidates.kept}
    sign = -1.0 if shrink else 1.0
    compared = [proxy.base, *(candidate.proxy.spec for candidate in candidates.kept)]
    shallowest = min(FEWEST_BLOCKS, *(spec.depth for spec in compared))
    found = []
    for point in sorted(product(STEPS, repeat=3), key=lambda p: (sum(map(abs, p)), p)):
        if not SMALLEST <= sum(point) <= LARGEST:
            continue
        asked = tuple(sign * x + 0.0 for x in point)  # + 0: no "-0" in a name
        realised = _realise(proxy, asked, exponents)
        if realised is None:
            continue
        if realised.spec.depth < shallowest or realised.spec.resolution > largest_resolution:
            continue
        has = octaves(realised.effective, exponents)
        missed = max(abs(x - y) for x, y in zip(has, asked, strict=True))
        if missed <= NEAR and identity(realised.spec) not in seen:
            seen.add(identity(realised.spec))
            name = " ".join(f"{axis}{x:+g}" for axis, x in zip("dwr", asked, strict=True))
            found.append(OffBudget(name, realised, has))
    return found


def _realise(proxy: Scalable, point: tuple[float, ...], exponents: Exponents) -> Realised | None:
    """The network at a point of octaves; None where there is none so small."""
    asked = Multipliers(*(2 ** (x / e) for x, e in zip(point, astuple(exponents), strict=True)))
    try:
        return proxy.realise(asked)
    except UserError:
        return None
