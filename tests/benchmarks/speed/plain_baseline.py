"""Training as a good engineer writes it in PyTorch alone: a Dataset, a DataLoader, torch's own modules.

The same network, first weights, recipe and batch as Scaler's trainer, in one process of one thread: on a CPU,
several such processes are what the trainer competes with, one for each core. Every image is decoded by Pillow
and augmented when it is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from scaler.networks.kernels import DepthwiseConv2d, GlobalMean, PointwiseConv2d
from scaler.networks.spec import NetworkSpec
from scaler.training.recipe import Recipe
from scaler.training.trainer import GRADIENT_NORM, fresh

#: Processes that load images for a GPU.
LOADERS = 8

#: Scaler's own modules, and torch's that they stand for.
PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    DepthwiseConv2d: nn.Conv2d,
    PointwiseConv2d: nn.Conv2d,
    GlobalMean: nn.AdaptiveAvgPool2d,
}


class Pictures(Dataset[tuple[Tensor, int]]):
    """JPEG files in memory; decoded, shifted, mirrored and normalised one by one."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self._files = [_jpeg(image) for image in images]
        self._labels = labels.tolist()

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = np.asarray(Image.open(io.BytesIO(self._files[index])).convert("RGB"))
        margin = len(pixels) // 8
        padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
        top, left = np.random.randint(0, 2 * margin + 1, 2)
        crop = padded[top : top + len(pixels), left : left + len(pixels)]
        if np.random.random() < 0.5:
            crop = crop[:, ::-1]
        image = torch.from_numpy(crop.copy()).permute(2, 0, 1).float().div_(255)
        return (image - 0.5) / 0.25, self._labels[index]


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def plain_network(spec: NetworkSpec) -> nn.Module:
    """The network with torch's own modules alone."""
    network = fresh(spec, 0)
    for part in list(network.modules()):
        part.__class__ = PLAIN.get(type(part), type(part))
    return network


def plain_training(
    spec: NetworkSpec,
    recipe: Recipe,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    steps: int,
    gpu: bool = False,
) -> Callable[[], None]:
    """So many steps of a training that goes on from call to call.

    On a GPU: bfloat16 autocast, channels last, pinned batches from processes that load them.
    """
    torch.set_num_threads(1)
    device = "cuda" if gpu else "cpu"
    network = plain_network(spec).train().to(device)
    if gpu:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others},
    ]
    descent = torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )
    averaged = torch.optim.swa_utils.AveragedModel(network)
    loader = DataLoader(
        Pictures(images, labels),
        recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=LOADERS if gpu else 0,
        pin_memory=gpu,
        persistent_workers=gpu,
    )

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader

    endless = batches()

    def once() -> None:
        for _ in range(steps):
            batch, classes = (values.to(device, non_blocking=gpu) for values in next(endless))
            if gpu:
                batch = batch.to(memory_format=torch.channels_last)
            with torch.autocast(device, torch.bfloat16, enabled=gpu):
                scores = network(batch)
            loss = functional.cross_entropy(scores.float(), classes, label_smoothing=recipe.label_smoothing)
            descent.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            descent.step()
            averaged.update_parameters(network)

    return once
