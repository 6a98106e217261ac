"""A candidate: one way to spend the budget, realised as a native network and as the proxy that is trained."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from scaler.cost.counts import Cost
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Coefficients, Multipliers
from scaler.scaling.shares import Shares


@dataclass(frozen=True)
class Point:
    """A point of the grid before it is realised.

    Attributes:
        name: e.g. ``depth-only``, ``published``, ``1-2-1`` (lattice) or ``1.2/1.1/1.15`` (grid).
        shares: of log(budget).
        target: the nominal coefficients.
        on_direction: the shares are what counts, and the coefficients may be moved along them to meet
            the budget; not so for a point of a rectangular grid.
    """

    name: str
    shares: Shares
    target: Coefficients
    on_direction: bool = True


@dataclass(frozen=True)
class Realised:
    """A network that a point became.

    Attributes:
        spec: the network.
        asked: the multipliers it was realised from; at phi these are raised to the power of phi.
        effective: the multipliers it has, against its own base.
        cost: counted.
        ratio: FLOPs against its own base.
    """

    spec: NetworkSpec
    asked: Multipliers
    effective: Multipliers
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
        """The coefficients from which the native network was realised."""
        return Coefficients(*astuple(self.native.asked))

    @property
    def proxy_coefficients(self) -> Coefficients:
        """Those from which the proxy was realised."""
        return Coefficients(*astuple(self.proxy.asked))


@dataclass(frozen=True)
class LeftOut:
    """A point that is no candidate.

    Attributes:
        point: of the grid.
        reason: in words.
        ratio: FLOPs of the nearest network as a factor on the base's; NaN where none could be built.
    """

    point: Point
    reason: str
    ratio: float
