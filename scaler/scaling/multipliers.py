"""How much larger a network is than its base, and how that grows with phi."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from scaler.errors import UserError


@dataclass(frozen=True)
class Multipliers:
    """Factors on the depth, width and resolution of a base network; (1, 1, 1) is the base itself.

    Raises:
        UserError: a factor is not a positive, finite number.
    """

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    def __post_init__(self) -> None:
        for name in ("depth", "width", "resolution"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"{name} multiplier must be a positive number, not {value}")

    def __mul__(self, other: Multipliers) -> Multipliers:
        return Multipliers(
            self.depth * other.depth, self.width * other.width, self.resolution * other.resolution
        )

    def largest_difference(self, other: Multipliers) -> float:
        """Largest relative difference between two sets of multipliers, e.g. 0.05 for 5 %."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return max(abs(math.log(a / b)) for a, b in pairs)


@dataclass(frozen=True)
class Coefficients:
    """Multipliers at phi = 1 (Tan & Le 2019, arXiv 1905.11946, eq. 3).

    Raises:
        UserError: one is not a positive, finite number.
    """

    alpha: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"{name} must be a positive number, not {value}")

    def at(self, phi: float) -> Multipliers:
        """Multipliers ``alpha^phi, beta^phi, gamma^phi``; any real phi, negative shrinks."""
        return Multipliers(self.alpha**phi, self.beta**phi, self.gamma**phi)

    @property
    def multipliers(self) -> Multipliers:
        """The multipliers at phi = 1."""
        return self.at(1.0)


#: Tan & Le 2019, section 4, step 1: found for EfficientNet-B0. The product is 1.920, not 2.
PUBLISHED = Coefficients(1.2, 1.1, 1.15)
