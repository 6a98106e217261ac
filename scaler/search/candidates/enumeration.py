"""From points of a grid to candidates: distinct networks that meet the measured budget, twice."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from scaler.errors import UserError
from scaler.networks.layers import ResolutionTooSmallError
from scaler.networks.scale import identity
from scaler.scaling.shares import Exponents, coefficients
from scaler.search.candidates.candidate import Candidate, LeftOut, Point, Realised
from scaler.search.candidates.realise import Scalable, Target, along, native_near, proxy_of

#: Points of a rectangular grid further off the budget than this are not adjusted.
ADJUSTABLE = 0.10


@dataclass(frozen=True)
class Candidates:
    """What became of a grid.

    Attributes:
        kept: the candidates; a candidate's id is its place.
        left_out: the points that are none, and why.
    """

    kept: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def aliases(self) -> int:
        """How many points fell together with another one."""
        return sum(len(candidate.aliases) for candidate in self.kept)


def enumerate_candidates(
    points: Sequence[Point], native: Scalable, proxy: Scalable, target: Target, exponents: Exponents
) -> Candidates:
    """Realise every point as a native network and as a proxy; keep what meets the budget in both.

    Points that realise a network another point has realised before become its aliases, so a point's
    place in the grid decides which of two names stays.

    Raises:
        UserError: no point meets the budget; the message says by how much the nearest misses it.
    """
    kept: list[Candidate] = []
    left_out: list[LeftOut] = []
    owner: dict[Hashable, int] = {}
    for point in points:
        try:
            found = _realise(point, native, proxy, target, exponents)
        except ResolutionTooSmallError as error:
            found = LeftOut(point, str(error), math.nan)
        if isinstance(found, LeftOut):
            left_out.append(found)
            continue
        first, second = found
        one, other = identity(first.spec), identity(second.spec)
        same = owner.get(one, owner.get(other))
        if same is not None:
            kept[same] = replace(kept[same], aliases=(*kept[same].aliases, point.name))
            continue
        owner[one] = owner[other] = len(kept)
        kept.append(Candidate(len(kept), point, (), first, second))
    if not kept:
        raise UserError(_nothing(left_out, target))
    return Candidates(tuple(kept), tuple(left_out))


def _realise(
    point: Point, native: Scalable, proxy: Scalable, target: Target, exponents: Exponents
) -> tuple[Realised, Realised] | LeftOut:
    """Both networks of a point, or why it is left out."""
    asked = point.target.multipliers
    if point.on_direction:
        nominal = coefficients(point.shares, target.ratio, exponents)
        asked = along(nominal, native, target.ratio).multipliers
    else:
        plain = native.realise(asked)
        if abs(target.miss(plain.ratio)) > ADJUSTABLE:
            return _miss(point, "native", plain, target)
    first = native_near(native, asked, target)
    if not target.met_by(first):
        return _miss(point, "native", first, target)
    second = proxy_of(first, proxy, target)
    if not target.met_by(second):
        return _miss(point, "proxy", second, target)
    return first, second


def _miss(point: Point, which: str, nearest: Realised, target: Target) -> LeftOut:
    miss = target.miss(nearest.ratio)
    side = "above" if miss > 0 else "below"
    reason = f"{which} network measures {nearest.ratio:.3f}x, {abs(miss):.1%} {side} the budget"
    return LeftOut(point, reason, nearest.ratio)


def _nothing(left_out: Sequence[LeftOut], target: Target) -> str:
    if not left_out:
        return "the grid has no points: widen its bounds or take a smaller step"
    measured = [out for out in left_out if not math.isnan(out.ratio)]
    if not measured:
        return f"no point of the grid can be built: {left_out[0].reason}; ask for a larger budget"
    nearest = min(measured, key=lambda out: abs(target.miss(out.ratio)))
    return (
        f"no point of the grid meets {target.ratio:.3g}x within {target.tolerance:.0%}: the nearest, "
        f"{nearest.point.name}, measures {nearest.ratio:.3f}x ({target.miss(nearest.ratio):+.1%}); "
        "widen the grid, take a smaller step, or raise the tolerance"
    )
