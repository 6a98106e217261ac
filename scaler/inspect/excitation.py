"""What squeeze-and-excitation does, by block and class (Hu et al., arXiv 1709.01507, sec. 7.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaler.cost.network_cost import cost
from scaler.data.dataset import DataSet
from scaler.errors import UserError
from scaler.inspect.images import Images
from scaler.inspect.subjects import Subject, prepared
from scaler.networks.build import Gate, Network
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import without_se

#: A stage and a block in it, counted from 0, as in the names of modules.
Place = tuple[int, int]

#: A block whose excitations vary by less than this part of their size is near identity.
NEAR_IDENTITY = 0.05


@dataclass(frozen=True)
class Excitations:
    """The excitations of one block, for many images.

    Attributes:
        place: of the block.
        values: ``[N, channels]`` in (0, 1): what each channel was multiplied with.
    """

    place: Place
    values: NDArray[np.float32]


@dataclass(frozen=True)
class BlockView:
    """A block's excitations in numbers.

    Attributes:
        place: of the block.
        channels: excited ones.
        mean: over images and channels.
        variation: root mean square over channels of the deviation over images, as a part of the root mean
            square of the channels' means. At 0 every channel is multiplied with a constant, which the
            norm before it could do as well: up to that constant, the block is the identity.
        class_deviation: deviation of a channel's mean between classes, mean over channels.
        class_share: part of the variance over images that the class explains, over all channels, corrected
            for chance (Kelley's epsilon squared): 0 if the class plays no part, 1 if it decides.
        params: that the block's excitation has in the network at its own size.
    """

    place: Place
    channels: int
    mean: float
    variation: float
    class_deviation: float
    class_share: float
    params: int

    def near_identity(self, threshold: float = NEAR_IDENTITY) -> bool:
        """Whether it is a candidate to drop."""
        return self.variation < threshold


def excitations(network: Network, batches: Iterable[Tensor]) -> list[Excitations]:
    """The excitations of every block, in the order of the network.

    Args:
        network: in eval mode.
        batches: prepared images ``[n, 3, R, R]``.

    Raises:
        UserError: the network has no squeeze-and-excitation.
    """
    gates = {name: part for name, part in network.named_modules() if isinstance(part, Gate)}
    if not gates:
        raise UserError(
            f"{network.spec.name} has no squeeze-and-excitation to look into: take a base that has "
            "(se-resnet-50, effnet-b0), or add it with --se 16 when you search"
        )
    seen: dict[str, list[Tensor]] = {name: [] for name in gates}
    hooks = [gate.body.register_forward_hook(_recorder(seen[name])) for name, gate in gates.items()]
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return [Excitations(_place(name), torch.cat(values).numpy()) for name, values in seen.items()]


def see(subject: Subject, images: Images, data: DataSet, batch: int = 64) -> list[Excitations]:
    """The excitations of a network's blocks on some images; raises as :func:`excitations`."""
    pixels, statistics = images.at(subject.resolution), subject.statistics(data)
    return excitations(
        subject.network,
        (prepared(pixels[start : start + batch], statistics) for start in range(0, len(pixels), batch)),
    )


def _recorder(into: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def record(_: nn.Module, __: tuple[Tensor, ...], out: Tensor) -> None:
        into.append(out.flatten(1).clone())

    return record


def _place(name: str) -> Place:
    found = re.match(r"stages\.(\d+)\.(\d+)\.", name)
    assert found, name
    return int(found[1]), int(found[2])


def view(
    blocks: Sequence[Excitations], labels: NDArray[np.int64], trained: NetworkSpec, native: NetworkSpec
) -> list[BlockView]:
    """Every block in numbers.

    Args:
        blocks: of :func:`excitations`.
        labels: class of each image.
        trained: the network that was looked into.
        native: the network at its own size, whose parameters are counted.
    """
    counted = counterparts(trained, native, [block.place for block in blocks])
    return [_view(block, labels, saved(native, counted[block.place])) for block in blocks]


def _view(block: Excitations, labels: NDArray[np.int64], params: int) -> BlockView:
    values = block.values.astype(np.float64)
    means, variances = values.mean(axis=0), values.var(axis=0)
    by_class = np.stack([values[labels == label].mean(axis=0) for label in np.unique(labels)])
    return BlockView(
        place=block.place,
        channels=values.shape[1],
        mean=float(means.mean()),
        variation=float(np.sqrt(variances.mean() / (means**2).mean())),
        class_deviation=float(by_class.std(axis=0).mean()),
        class_share=class_share(values, labels),
        params=params,
    )


def class_share(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Part of the variance of ``[N, channels]`` that the class explains, corrected for chance.

    Epsilon squared (Kelley 1935): ``(SS_between - (classes - 1) MS_within) / SS_total``, sums of squares
    over all channels; 0 where it would be negative, or where nothing varies.
    """
    classes = np.unique(labels)
    total = float(((values - values.mean(axis=0)) ** 2).sum())
    if total == 0 or len(values) <= len(classes):
        return 0.0
    within = 0.0
    for label in classes:
        own = values[labels == label]
        within += float(((own - own.mean(axis=0)) ** 2).sum())
    chance = (len(classes) - 1) * within / (len(values) - len(classes))
    return max(0.0, (total - within - chance) / total)


def saved(native: NetworkSpec, places: Sequence[Place]) -> int:
    """Parameters that a network has less without the excitations of some blocks; counted, not estimated."""
    return cost(native).params - cost(without_se(native, places)).params


def counterparts(
    trained: NetworkSpec, native: NetworkSpec, places: Sequence[Place]
) -> Mapping[Place, tuple[Place, ...]]:
    """For each block of a proxy those of the network at its own size that it stands for.

    Stages with excitations correspond in their order. Where a proxy's stage has fewer blocks, a native
    block belongs to the one at the same part of the way; where it has more, several stand for one block,
    and the first has it.
    """
    mine = [number for number, stage in enumerate(trained.stages) if stage.se]
    theirs = [number for number, stage in enumerate(native.stages) if stage.se]
    found: dict[Place, tuple[Place, ...]] = dict.fromkeys(places, ())
    for number, other in zip(mine, theirs, strict=True):
        depth, native_depth = trained.stages[number].depth, native.stages[other].depth
        for block in range(native_depth):
            place = (number, block * depth // native_depth)
            if place in found:
                found[place] += ((other, block),)
    return found


def last_stage(blocks: Sequence[Place]) -> list[Place]:
    """The blocks of the last stage that has excitations: what section 6.4 of the paper leaves out."""
    last = max(stage for stage, _ in blocks)
    return [place for place in blocks if place[0] == last]


def choose(text: str, views: Sequence[BlockView], threshold: float) -> list[Place]:
    """Blocks by what ``--drop`` says: ``near-identity``, ``last-stage``, or places such as ``3.1,3.2``.

    Raises:
        UserError: it says something else, or no block is near identity.
    """
    places = [view.place for view in views]
    if text == "last-stage":
        return last_stage(places)
    if text == "near-identity":
        near = [view.place for view in views if view.near_identity(threshold)]
        if not near:
            raise UserError(
                "no block is near identity, so there is nothing to drop: choose blocks by --drop last-stage "
                "or --drop STAGE.BLOCK, or raise --threshold"
            )
        return near
    known = {f"{stage}.{block}": (stage, block) for stage, block in places}
    asked = [part.strip() for part in text.split(",")]
    if wrong := [name for name in asked if name not in known]:
        raise UserError(f"there is no block {wrong[0]!r} with an excitation; there are {', '.join(known)}")
    return [known[name] for name in asked]
