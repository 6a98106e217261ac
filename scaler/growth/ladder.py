"""Networks of growing size: at each phi every policy measures the same FLOPs."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import astuple, dataclass

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.scale import identity
from scaler.scaling.budget import format_count, parse_budget
from scaler.scaling.multipliers import Coefficients
from scaler.search.candidates.candidate import Realised
from scaler.search.candidates.realise import NO_CHANGE, Scalable, Target, along, native_near, proxy_of
from scaler.search.result import Policy

#: Beyond this phi no network is made; 2^16 of a base is none that anybody trains.
LARGEST_PHI = 16.0
#: More networks of a policy than these say nothing more.
MOST_PHIS = 33


@dataclass(frozen=True)
class GrownNetwork:
    """A network of a ladder, realised at its own size and as proxy.

    Attributes:
        policy: by which it grew.
        phi: how far.
        native, proxy: at its own size, and what is trained in its place.
        training: which training it shares; networks with the same proxy are trained once.
    """

    policy: str
    phi: float
    native: Realised
    proxy: Realised
    training: int

    @property
    def name(self) -> str:
        """A name for tables and files, e.g. ``compound-phi-2``."""
        return "base" if self.phi == 0 else f"{self.policy}-phi-{self.phi:g}"


@dataclass(frozen=True)
class Missing:
    """A network that is not on the ladder, and why, in words."""

    policy: str
    phi: float
    reason: str


@dataclass(frozen=True)
class Rungs:
    """What networks of a ladder have to keep to.

    Attributes:
        native, proxy: what is scaled.
        ratio: FLOPs at phi = 1 as a factor on the base's.
        tolerance: largest relative difference of the measured FLOPs from ``ratio ** phi``.
        pixels: of the data's images; a proxy that needs larger ones cannot be trained.
    """

    native: Scalable
    proxy: Scalable
    ratio: float
    tolerance: float
    pixels: float = math.inf

    def at(self, phi: float) -> Target:
        """The FLOPs of every network at this phi."""
        return Target(self.ratio**phi, self.tolerance)


def ladder(
    policies: Mapping[str, Policy], phis: Sequence[float], rungs: Rungs
) -> tuple[list[GrownNetwork], list[Missing]]:
    """The networks of every policy at every phi, the base once; those of the first policy whatever they are.

    A network of the first policy that cannot meet its FLOPs is there as the nearest miss; one of another
    policy would be no fair comparison, and is missing.

    Raises:
        UserError: a network of the first policy cannot take its resolution.
    """
    networks: list[GrownNetwork] = []
    missing: list[Missing] = []
    trainings: dict[Hashable, int] = {}

    for place, (name, policy) in enumerate(policies.items()):
        for phi in phis:
            if phi == 0 and place > 0:
                continue
            try:
                native, proxy = grow(policy, phi, rungs)
                reason = unfair(native, proxy, phi, rungs)
            except UserError as error:
                if place == 0:
                    raise
                reason = str(error)
            if place > 0 and reason:
                missing.append(Missing(name, phi, reason))
                continue
            training = trainings.setdefault(identity(proxy.spec), len(trainings))
            networks.append(GrownNetwork(name, phi, native, proxy, training))
    return networks, missing


def grow(policy: Policy, phi: float, rungs: Rungs) -> tuple[Realised, Realised]:
    """The network of a policy at phi and its proxy, both measured to ``ratio ** phi`` of their bases.

    Where the policy's own multipliers, raised to phi, meet that, they are kept; else they move along their
    direction first, and then as little as a search moves its candidates. The nearest miss, if none meets it.

    Raises:
        UserError: a network cannot take its resolution.
    """
    if phi == 0:
        return rungs.native.realise(NO_CHANGE), rungs.proxy.realise(NO_CHANGE)
    target = rungs.at(phi)
    native = rungs.native.realise(policy.multipliers(phi))
    if not target.met_by(native):
        asked = along(Coefficients(*astuple(policy.multipliers(phi))), rungs.native, target.ratio)
        native = native_near(rungs.native, asked.multipliers, target)
    return native, proxy_of(native, rungs.proxy, target)


def unfair(native: Realised, proxy: Realised, phi: float, rungs: Rungs) -> str:
    """Why a network cannot be compared with others at its phi; empty if it can."""
    target = rungs.at(phi)
    for which, network in (("network", native), ("proxy", proxy)):
        if not target.met_by(network):
            return (
                f"the nearest {which} measures {network.ratio:.3g}x the base, "
                f"{target.miss(network.ratio):+.1%} off {target.ratio:.3g}x"
            )
    if proxy.spec.resolution > rungs.pixels:
        return f"its proxy needs images of {proxy.spec.resolution} px, and the data's have {rungs.pixels:g}"
    return ""


def as_told(phi: float) -> float:
    """A phi with the six digits that names and tables have of it; -0 is 0."""
    return float(f"{phi:g}") + 0.0


def parse_phis(text: str) -> tuple[float, ...]:
    """``4`` is 0, 1, .., 4 (``-2`` is 0, -1, -2; ``2.5`` ends in 2.5); ``0.5,1,2.5`` is those values.

    Raises:
        UserError: the text holds no numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    if not all(re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", part) for part in parts):
        raise UserError(
            f"cannot read --phi {shown!r}: write a number such as 4, or several such as 0.5,1,2.5"
        )
    if len(parts) > MOST_PHIS:
        raise UserError(
            f"--phi names {len(parts)} networks: {MOST_PHIS} are the most that are grown at a time"
        )
    values = [as_told(float(part)) for part in parts]
    if max(abs(value) for value in values) > LARGEST_PHI:
        raise UserError(f"--phi {shown} is beyond {LARGEST_PHI:g}: no such network could be trained")
    if len(values) > 1:
        return tuple(sorted(set(values), key=abs))
    return up_to(values[0])


def up_to(last: float) -> tuple[float, ...]:
    """Whole numbers from 0 towards ``last``, and ``last`` itself."""
    sign = math.copysign(1.0, last)
    whole = [sign * step if step else 0.0 for step in range(math.floor(abs(last)) + 1)]
    return tuple(whole if whole[-1] == last else [*whole, last])


def phi_for(text: str, native: Scalable, ratio: float) -> float:
    """The phi (two decimals) at which networks measure so many FLOPs, such as ``4G``.

    Raises:
        UserError: the text is no budget, or no phi within reach measures so much.
    """
    base = cost(native.base).flops
    phi = math.log(parse_budget(text).ratio(base)) / math.log(ratio)
    if abs(phi) > LARGEST_PHI:
        raise UserError(
            f"--flops {text} is phi = {phi:.1f} of {native.base.name} ({format_count(base)} FLOPs), beyond "
            f"{LARGEST_PHI:g}: ask for FLOPs nearer to the base's"
        )
    return round(phi, 2)
