"""Networks of growing size: a policy's coefficients raised to powers of phi."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.scaling.budget import format_count
from scaler.search.candidates.candidate import Realised
from scaler.search.candidates.realise import Scalable
from scaler.search.result import Policy

#: Beyond this phi the search for a FLOP count gives up; 2^16 of a base is no network anybody trains.
LARGEST_PHI = 16.0


@dataclass(frozen=True)
class GrownNetwork:
    """A network of a ladder, realised at its own size and as proxy."""

    policy: str
    phi: float
    native: Realised
    proxy: Realised

    @property
    def name(self) -> str:
        """A name for tables and files, e.g. ``compound-phi-2``."""
        return "base" if self.phi == 0 else f"{self.policy}-phi-{self.phi:g}"


def ladder(
    grown: Sequence[tuple[str, Policy, Sequence[float]]], native: Scalable, proxy: Scalable
) -> list[GrownNetwork]:
    """The networks of every policy, under its name, at each of its phis; the base, which all share, once.

    Raises:
        UserError: a network cannot take its resolution.
    """
    networks: list[GrownNetwork] = []
    for name, policy, phis in grown:
        for phi in phis:
            if phi == 0 and any(network.phi == 0 for network in networks):
                continue
            first = native.realise(policy.native.at(phi))
            networks.append(GrownNetwork(name, phi, first, proxy.realise(policy.proxy.at(phi))))
    return networks


def parse_phis(text: str) -> tuple[float, ...]:
    """``4`` is 0, 1, .., 4 (``-2`` is 0, -1, -2; ``2.5`` ends in 2.5); ``0.5,1,2.5`` is those values.

    Raises:
        UserError: the text holds no numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", part) for part in parts):
        raise UserError(f"cannot read --phi {text!r}: write a number such as 4, or several such as 0.5,1,2.5")
    values = [float(part) for part in parts]
    if max(abs(value) for value in values) > LARGEST_PHI:
        raise UserError(f"--phi {text} is beyond {LARGEST_PHI:g}: no such network could be trained")
    if len(values) > 1:
        return tuple(sorted(set(values), key=abs))
    return up_to(values[0])


def up_to(last: float) -> tuple[float, ...]:
    """Whole numbers from 0 towards ``last``, and ``last`` itself."""
    sign = math.copysign(1.0, last)
    whole = [sign * step if step else 0.0 for step in range(math.floor(abs(last)) + 1)]
    return tuple(whole if whole[-1] == last else [*whole, last])


def phi_for(policy: Policy, native: Scalable, flops: float) -> float:
    """The phi whose network measures nearest to ``flops`` (two decimals).

    Raises:
        UserError: no phi within reach comes near.
    """

    def count(phi: float) -> int:
        return cost(native.at(policy.native.at(phi))).flops

    base = count(0)
    sign = 1.0 if flops >= base else -1.0
    near, far = 0.0, sign
    # Outwards in small steps, so that no network far beyond the wanted one is ever made.
    while abs(far) < LARGEST_PHI and _short_of(policy, native, far, flops):
        near, far = far, far + sign
    for _ in range(16):
        middle = (near + far) / 2
        near, far = (middle, far) if _short_of(policy, native, middle, flops) else (near, middle)
    # Counts are steps: of the two decimals around the crossing the nearer one counts.
    around = [round(near + step / 100, 2) for step in range(-3, 4)]
    best = min(around, key=lambda phi: abs(math.log(count(phi) / flops)))
    if abs(math.log(count(best) / flops)) > 0.1:
        nearest = format_count(count(best))
        raise UserError(
            f"no phi of {native.spec.name} measures {format_count(flops)} FLOPs: the nearest network has "
            f"{nearest}; ask for FLOPs nearer to the base's {format_count(base)}"
        )
    return best


def _short_of(policy: Policy, native: Scalable, phi: float, flops: float) -> bool:
    """Whether the network at phi lies between the base and ``flops``; one too small to exist does not."""
    try:
        measured = cost(native.at(policy.native.at(phi))).flops
    except UserError:
        return False
    return measured < flops if phi > 0 else measured > flops
