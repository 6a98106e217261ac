"""What it costs in accuracy to leave excitations out: two networks trained alike, with them and without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scaler.data.dataset import DataSet
from scaler.inspect.excitation import Place
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import without_se
from scaler.seeds import derive
from scaler.training.device import Device
from scaler.training.recipe import Recipe, TrainingSeeds
from scaler.training.trainer import train


@dataclass(frozen=True)
class Loss:
    """Validation accuracies of both networks, by seed index; in [0, 1]."""

    whole: tuple[float, ...]
    dropped: tuple[float, ...]

    @property
    def differences(self) -> tuple[float, ...]:
        """Accuracy lost by dropping, seed by seed: both networks see the same images in the same order."""
        return tuple(a - b for a, b in zip(self.whole, self.dropped, strict=True))

    @property
    def mean(self) -> float:
        """Accuracy lost."""
        return fmean(self.differences)

    @property
    def stderr(self) -> float | None:
        """Standard error of the mean over seeds; none for one seed."""
        count = len(self.whole)
        return stdev(self.differences) / count**0.5 if count > 1 else None


def retrain(
    spec: NetworkSpec,
    places: Sequence[Place],
    recipe: Recipe,
    data: DataSet,
    *,
    seeds: int,
    seed: int,
    device: Device,
    on_epoch: Callable[[], None],
) -> Loss:
    """Train a proxy with and without the excitations of some blocks.

    Args:
        spec: the proxy.
        places: blocks whose excitations are left out.
        recipe: of both trainings.
        data: images; accuracies are of the validation part.
        seeds: repetitions.
        seed: what all randomness derives from.
        device: where it runs.
        on_epoch: called after every epoch.
    """

    def accuracy(network: NetworkSpec, index: int) -> float:
        start = TrainingSeeds(derive(seed, "weights", index), derive(seed, "order", index))
        stops = [recipe.epochs]
        last = train(network, recipe, data, start, stops=stops, device=device, on_epoch=lambda _: on_epoch())
        return last[-1].accuracy

    dropped = without_se(spec, places)
    pairs = [(accuracy(spec, index), accuracy(dropped, index)) for index in range(seeds)]
    return Loss(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
