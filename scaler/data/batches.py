"""Batches cut from a part in memory: order, flips and shifted crops as tensor operations, no workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaler.data.dataset import Part
from scaler.seeds import derive

#: A part moves to a GPU when it takes no more than this part of the free memory there.
_RESIDENT = 0.5
#: Mean and deviation are those of at most this many images, evenly spaced.
_STATISTICS_IMAGES = 10_000


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of every channel, in bytes (0 to 255)."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def normalisation(part: Part) -> Normalisation:
    """Statistics of a training part, from whole-number counts: the same on every machine."""
    step = max(1, -(-len(part) // _STATISTICS_IMAGES))
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(part), 256 * step):
        pixels = part.images[start : start + 256 * step : step].reshape(-1, 3)
        for channel in range(3):
            counts[channel] += np.bincount(pixels[:, channel], minlength=256)
    values = np.arange(256)
    total = counts.sum(axis=1)
    mean = counts @ values / total
    std = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 1.0))
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))


def subset(labels: NDArray[np.int64], images: int, seed: int) -> NDArray[np.int64]:
    """Rows of ``images`` images drawn evenly from the classes, ascending; 0 or too many gives all rows.

    With one seed, fewer images are a subset of more.
    """
    if not 0 < images < len(labels):
        return np.arange(len(labels))
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sizes = np.bincount(labels)
    rank = np.concatenate([np.arange(size) for size in sizes])
    turn = generator.permutation(len(sizes))[labels[order]]
    return np.sort(order[np.lexsort((turn, rank))][:images])


@dataclass(frozen=True)
class Crops:
    """Which images the batches of an epoch show, and how they are cut.

    Attributes:
        rows: of the images, ``int64 [S, B]`` for ``S`` steps.
        moves: shifts down and to the right in pixels, ``int64 [S, B, 2]``.
        mirrored: whether left and right change places, ``bool [S, B]``.
    """

    rows: Tensor
    moves: Tensor
    mirrored: Tensor

    def __len__(self) -> int:
        return len(self.rows)


class Batches:
    """One part on a device.

    On a CPU the images are a view of the memory-mapped file; on a GPU they are copied there when they fit.

    Args:
        part: images and labels.
        batch_size: images per batch.
        normalise: statistics of the training part.
        device: where batches go.
        rows: the images to use, e.g. of :func:`subset`; all without it.

    Attributes:
        resident: whether the images are on the device.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        normalise: Normalisation,
        device: torch.device | str = "cpu",
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.batch_size = batch_size
        used = np.arange(len(part)) if rows is None else np.asarray(rows)
        size = len(used) * part.images[0].nbytes
        self.resident = self.device.type == "cpu" or size <= _RESIDENT * _free_memory(self.device)
        if self.resident and self.device.type != "cpu":
            part, used = Part(part.images[used], part.labels[used]), np.arange(len(used))
        home = self.device if self.resident else torch.device("cpu")
        self._rows = torch.from_numpy(used).to(home)
        self._images = torch.from_numpy(part.images).to(home)
        self._labels = torch.from_numpy(part.labels).to(home)
        self._mean = torch.tensor(normalise.mean, device=self.device).view(1, 3, 1, 1)
        self._scale = 1 / torch.tensor(normalise.std, device=self.device).view(1, 3, 1, 1)

    def __len__(self) -> int:
        """Batches of a training epoch: a last, smaller one is left out unless it is the only one."""
        return max(1, len(self._rows) // self.batch_size)

    @property
    def images(self) -> int:
        """Images seen in a training epoch."""
        return min(len(self._rows), len(self) * self.batch_size)

    def crops(
        self,
        seed: int,
        epoch: int,
        *,
        flip: bool = True,
        shift: float = 0.125,
        part: slice = slice(None),
    ) -> Crops:
        """What an epoch's training batches show, which depends on the seed and the epoch's number alone.

        Order, flips and shifts (in parts of the resolution) are the same at every resolution and on
        every device, so trainings of one seed see the same crops.

        Args:
            seed: ``TrainingSeeds.order``.
            epoch: number from 0.
            flip: mirror half of the images.
            shift: largest shift of the crop as a part of the resolution; the border is reflected.
            part: of every batch that is wanted, where others take the rest.
        """
        generator = torch.Generator().manual_seed(derive(seed, "epoch", epoch))
        count, side = len(self._rows), self._images.shape[1]
        order = torch.randperm(count, generator=generator)
        mirrored = (torch.rand(count, generator=generator) < 0.5) & flip
        moves = (torch.rand(count, 2, generator=generator) * 2 - 1) * shift * side
        batches = order[: self.images].view(len(self), -1)[:, part]
        home = self._images.device
        rows = self._rows[batches.to(home)]
        return Crops(rows, moves.round().long()[batches].to(home), mirrored[batches].to(home))

    def cut(self, crops: Crops, step: slice | Tensor) -> tuple[Tensor, Tensor]:
        """The batch of one step, a slice of one or its index ``int64 [1]``.

        Returns:
            Images ``float32 [B, 3, R, R]`` (channels last, normalised) and labels ``int64 [B]``.
        """
        rows, moves, mirrored = crops.rows[step][0], crops.moves[step][0], crops.mirrored[step][0]
        side = self._images.shape[1]
        vertical = _reflected(moves[:, 0], side)
        horizontal = _reflected(moves[:, 1], side)
        horizontal = torch.where(mirrored[:, None], horizontal.flip(1), horizontal)
        images = self._images[rows[:, None, None], vertical[:, :, None], horizontal[:, None, :]]
        return self._finish(images, self._labels[rows])

    def evaluation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, as they are; the last batch may be smaller. Yields as :meth:`cut`."""
        for rows in torch.split(self._rows, self.batch_size):
            yield self._finish(self._images[rows], self._labels[rows])

    def _finish(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # Stored height x width x channel, so this view is channels_last already.
        pixels = images.to(self.device).permute(0, 3, 1, 2).float()
        return (pixels - self._mean) * self._scale, labels.to(self.device)


def _free_memory(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0]


def _reflected(offsets: Tensor, side: int) -> Tensor:
    """Row numbers ``[B, side]`` moved by an offset each and reflected at the border (edge not repeated)."""
    moved = torch.arange(side, device=offsets.device) + offsets[:, None]
    if side == 1:
        return torch.zeros_like(moved)
    folded = moved.abs() % (2 * (side - 1))
    return torch.minimum(folded, 2 * (side - 1) - folded)
