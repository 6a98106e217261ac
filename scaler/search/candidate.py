"""A candidate: one way to spend the budget, realised as a native network and as the proxy that is trained."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.cost.closed_form import Cost
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Coefficients, Multipliers
from scaler.scaling.shares import Shares


@dataclass(frozen=True)
class Point:
    """A point of the grid before it is realised.

    Attributes:
        name: e.g. ``depth``, ``published``, ``1-2-1/4`` (lattice) or ``1.2,1.1,1.15`` (grid).
        shares: of log(budget).
        target: the nominal coefficients.
    """

    name: str
    shares: Shares
    target: Coefficients


@dataclass(frozen=True)
class Realised:
    """A network that a point became.

    Attributes:
        spec: the network.
        multipliers: effective ones, against its own base.
        cost: counted.
        ratio: FLOPs against its own base.
    """

    spec: NetworkSpec
    multipliers: Multipliers
    cost: Cost
    ratio: float


@dataclass(frozen=True)
class Candidate:
    """A feasible point; ``aliases`` are further points that realise the same network."""

    id: int
    point: Point
    aliases: tuple[str, ...]
    native: Realised
    proxy: Realised

    @property
    def coefficients(self) -> Coefficients:
        """The effective coefficients of the native network."""
        m = self.native.multipliers
        return Coefficients(m.depth, m.width, m.resolution)


@dataclass(frozen=True)
class LeftOut:
    """A point that is no candidate, and why, in words."""

    point: Point
    reason: str
    ratio: float
