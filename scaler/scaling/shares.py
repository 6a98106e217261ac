"""Policies as points of a triangle: which part of log(budget) goes to depth, width, resolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass

from scaler.errors import UserError
from scaler.scaling.multipliers import PUBLISHED, Coefficients


@dataclass(frozen=True)
class Exponents:
    """FLOPs grow as ``d^depth * w^width * r^resolution``; 1, 2, 2 in theory (Tan & Le 2019, sec. 3.3)."""

    depth: float = 1.0
    width: float = 2.0
    resolution: float = 2.0


THEORY = Exponents()


@dataclass(frozen=True)
class Shares:
    """Parts of log(budget); three numbers >= 0 that sum to 1.

    Raises:
        UserError: a share is negative, or they do not sum to 1.
    """

    depth: float
    width: float
    resolution: float

    def __post_init__(self) -> None:
        values = astuple(self)
        if min(values) < -1e-9 or abs(sum(values) - 1) > 1e-6:
            raise UserError(f"shares must be >= 0 and sum to 1, not {values}")


DEPTH_ONLY = Shares(1.0, 0.0, 0.0)
WIDTH_ONLY = Shares(0.0, 1.0, 0.0)
RESOLUTION_ONLY = Shares(0.0, 0.0, 1.0)
CORNERS = {"depth": DEPTH_ONLY, "width": WIDTH_ONLY, "resolution": RESOLUTION_ONLY}


def coefficients(shares: Shares, budget: float, exponents: Exponents = THEORY) -> Coefficients:
    """Coefficients that spend ``budget`` (a factor on FLOPs) by ``shares``: ``B^(s/e)`` for each axis."""
    return Coefficients(
        budget ** (shares.depth / exponents.depth),
        budget ** (shares.width / exponents.width),
        budget ** (shares.resolution / exponents.resolution),
    )


def shares_of(found: Coefficients, exponents: Exponents = THEORY) -> Shares:
    """Shares of coefficients, whatever their product; the inverse of :func:`coefficients`.

    Raises:
        UserError: the coefficients point in opposite directions (one grows, one shrinks), or are all 1.
    """
    parts = [
        exponent * math.log(value) for exponent, value in zip(astuple(exponents), astuple(found), strict=True)
    ]
    total = sum(parts)
    if total == 0 or any(part / total < -1e-9 for part in parts):
        values = ", ".join(f"{value:g}" for value in astuple(found))
        raise UserError(
            f"alpha, beta, gamma = {values} are no policy: all coefficients must grow, or all shrink"
        )
    return Shares(*(max(0.0, part / total) for part in parts))  # in this order: never -0.0


#: The direction of the published (1.2, 1.1, 1.15).
PUBLISHED_SHARES = shares_of(PUBLISHED)


def lattice(divisions: int) -> Iterator[Shares]:
    """The ``(n + 1)(n + 2) / 2`` points of a regular lattice on the triangle, corners included."""
    for depth in range(divisions, -1, -1):
        for width in range(divisions - depth, -1, -1):
            resolution = divisions - depth - width
            yield Shares(depth / divisions, width / divisions, resolution / divisions)
