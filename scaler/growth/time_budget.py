"""How long a ladder trains, and which of its networks fit into a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scaler.data.dataset import DataSet
from scaler.execution.plan import seconds
from scaler.growth.ladder import GrownNetwork
from scaler.search.space import Space
from scaler.search.workload import (
    Settings,
    judged_images,
    most_at_once,
    speed_of,
    training_images,
    workers_of,
)
from scaler.training.recipe import training_flops

Seconds = Callable[[Sequence[GrownNetwork]], float]

#: A time budget first takes comparisons at the largest phis, until the rest would fit with half the images;
#: then the largest phis themselves, until the rest would fit with a quarter; images and seeds give the rest.
_HALF, _QUARTER = 2.0, 4.0


@dataclass(frozen=True)
class Clock:
    """How long networks train on this machine.

    Attributes:
        space: their recipe and seeds.
        images: trained in an epoch.
        speeds: training FLOPs a second of one worker, by policy; deep networks are slower than wide ones.
        workers: processes.
        at_once: of them that train at the same time without slowing one another down.
        judged: images that a network sees at the end of its training.
    """

    space: Space
    images: int
    speeds: Mapping[str, float]
    workers: int
    at_once: int
    judged: int = 0

    def speed(self, networks: Sequence[GrownNetwork]) -> float:
        """Training FLOPs a second of one worker, over all of these networks."""
        trained = {network.training: network for network in reversed(networks)}.values()
        flops = [network.proxy.cost.flops for network in trained]
        times = (n.proxy.cost.flops / self.speeds[n.policy] for n in trained)
        return sum(flops) / sum(times)

    def seconds(self, networks: Sequence[GrownNetwork]) -> float:
        """Wall time of training these networks, each once, with every seed."""
        trained = {network.training: network.proxy.cost.flops for network in networks}
        each = [
            training_flops(flops, self.images) * self.space.recipe.epochs + flops * self.judged
            for flops in trained.values()
        ]
        return seconds([each * self.space.seeds], self.speed(networks), self.workers, self.at_once)


def timed(networks: Sequence[GrownNetwork], space: Space, data: DataSet, settings: Settings) -> Clock:
    """Time a few steps of every policy's middle network."""
    speeds = {}
    for policy in dict.fromkeys(network.policy for network in networks):
        own = [network for network in networks if network.policy == policy]
        speeds[policy] = speed_of([own[len(own) // 2].proxy.spec], space.recipe, settings)
    images, judged = training_images(space, data), judged_images(space, data, on_test=True)
    return Clock(space, images, speeds, workers_of(settings), most_at_once(settings), judged)


def fitting(networks: Sequence[GrownNetwork], seconds: Seconds, wanted: float) -> list[GrownNetwork]:
    """The networks that are trained within a time, with fewer images if need be; the base is the first.

    Args:
        networks: the ladder; the first is of the chosen policy, whose networks go last.
        seconds: that training some of them takes, with all images.
        wanted: the time.
    """
    chosen, kept = networks[0].policy, list(networks)
    while seconds(kept) > _HALF * wanted and any(network.policy != chosen for network in kept):
        furthest = max((network.phi for network in kept if network.policy != chosen), key=abs)
        kept = [network for network in kept if network.policy == chosen or network.phi != furthest]
    while seconds(kept) > _QUARTER * wanted and len({network.phi for network in kept}) > 2:
        furthest = max((network.phi for network in kept), key=abs)
        kept = [network for network in kept if network.phi != furthest]
    return kept
