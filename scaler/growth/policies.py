"""The policies that a curve can show, by name."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np

from scaler.errors import UserError
from scaler.scaling.multipliers import Coefficients, Multipliers
from scaler.scaling.shares import CORNERS, PUBLISHED_SHARES, Exponents, Shares, coefficients
from scaler.search.candidates.realise import Scalable, Target, along, native_near, proxy_of
from scaler.search.result import Policy, SearchResult

#: Names of the chosen policy: what a search found, the published coefficients, or the user's.
COMPOUND, PUBLISHED_NAME, OWN = "compound", "published", "own"

#: Growing by one dimension alone.
SINGLE = tuple(CORNERS)

#: What the chosen policy can be compared with. ``d1_w8_r1`` is pycls' (Dollar et al. 2021, arXiv
#: 2103.06877: most of the budget to width, because activations decide the running time).
COMPARABLE: dict[str, Shares] = {
    **CORNERS,
    PUBLISHED_NAME: PUBLISHED_SHARES,
    "d1_w8_r1": Shares(0.1, 0.8, 0.1),
}


@dataclass(frozen=True)
class PathPolicy(Policy):
    """Growth along the law's own path: at every size the shares that are best there, by a search.

    Attributes:
        ratio: FLOPs at phi = 1 as a factor on the base's.
        exponents: how FLOPs grow with each multiplier.
        path: sizes (as factors on the base's FLOPs) with their best shares; between them the shares change
            evenly with the logarithm of the size, and beyond the last they stay.
    """

    ratio: float
    exponents: Exponents
    path: tuple[tuple[float, Shares], ...]

    def multipliers(self, phi: float) -> Multipliers:
        """Of the network at its own size."""
        size = self.ratio**phi
        logs = [abs(math.log(at)) for at, _ in self.path]
        parts = np.array([astuple(shares) for _, shares in self.path])
        found = Shares(*(float(np.interp(abs(math.log(size)), logs, part)) for part in parts.T))
        return coefficients(found, size, self.exponents).multipliers


def law_path(result: SearchResult) -> PathPolicy:
    """The path that a search's law found; at phi = 1 it spends the budget as is best there."""
    path = tuple((waypoint.size, waypoint.shares) for waypoint in result.law.path)
    first = coefficients(path[0][1], result.budget_ratio, result.exponents)
    return PathPolicy(
        path[0][1], first, first, result.budget_ratio, result.budget_ratio, result.exponents, path
    )


def parse_compare(text: str) -> tuple[str, ...]:
    """Read ``depth,width``; ``all`` is every policy there is, ``none`` is none.

    Raises:
        UserError: a word is no policy.
    """
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if words == ["none"]:
        return ()
    if words == ["all"]:
        return tuple(COMPARABLE)
    for word in words:
        if word not in COMPARABLE:
            raise UserError(
                f"--compare: {word!r} is no policy; choose from {', '.join(COMPARABLE)}, or write all or none"
            )
    if not words:
        raise UserError(f"--compare {text!r} names no policy; choose from {', '.join(COMPARABLE)}")
    return tuple(words)


def in_direction(
    shares: Shares, exponents: Exponents, native: Scalable, proxy: Scalable, target: Target
) -> Policy:
    """The policy that spends the budget by these shares, realised as a search realises its candidates."""
    nominal = along(coefficients(shares, target.ratio, exponents), native, target.ratio)
    first = native_near(native, nominal.multipliers, target)
    second = proxy_of(first, proxy, target)
    return Policy(
        shares, Coefficients(*astuple(first.asked)), Coefficients(*astuple(second.asked)), first.ratio
    )
