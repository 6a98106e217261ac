"""How good a network is: accuracy and loss on images that it was not trained on."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from scaler.data.batches import Batches, Normalisation, normalisation, subset
from scaler.data.dataset import DataSet, Part, PartName
from scaler.networks.build import Network
from scaler.networks.kernels import folded
from scaler.training.device import Device
from scaler.training.distributed import ALONE, Group

#: Images per batch of an evaluation, by kind of device: a CPU's cache is small, a GPU has to be filled.
EVALUATION_BATCH = {"cpu": 256, "cuda": 2048}
#: Seed of its subset: the same images for all trainings.
EVALUATION_SUBSET = 0

#: Training images on which the norms' means and variances are measured before an evaluation; of a batch.
STATISTICS_IMAGES, STATISTICS_BATCH = 1024, 256


def evaluate(
    network: nn.Module, data: DataSet, part: PartName, resolution: int, device: Device, images: int = 0
) -> tuple[float, float]:
    """Accuracy in [0, 1] and mean cross-entropy in nats on a part of the data.

    Args:
        network: is put in eval mode.
        data: the data set.
        part: its part.
        resolution: of the images, in pixels.
        device: where the network is.
        images: how many, drawn evenly from the classes; 0 is all.
    """
    normalise = normalisation(data.part("train", resolution))
    return judge(network, judged(data.part(part, resolution), images, normalise, device), device)


def judged(
    part: Part, images: int, normalise: Normalisation, device: Device, group: Group = ALONE
) -> Batches:
    """The images that a network is evaluated on."""
    rows = subset(part.labels, images, EVALUATION_SUBSET)[group.part]
    return Batches(part, EVALUATION_BATCH[device.torch.type], normalise, device.torch, rows)


def measured(part: Part, images: int, normalise: Normalisation, device: Device) -> Batches:
    """The training images on which norms are measured, in equal batches; no more than a training sees."""
    rows = subset(part.labels, min(STATISTICS_IMAGES, images), EVALUATION_SUBSET)
    # All batches count alike: the statistics of a last one of few images would be half of the average.
    batches = math.ceil(len(rows) / STATISTICS_BATCH)
    return Batches(part, math.ceil(len(rows) / batches), normalise, device.torch, rows)


def measure_statistics(network: nn.Module, batches: Batches, device: Device) -> None:
    """Set the running means and variances of all norms to the averages over some images.

    In a short training the running averages lag far behind the weights (or, with EfficientNet's momentum
    of 0.01, are still mostly their initial values), and an evaluation half-way is near chance. Training
    never reads them, so this changes nothing else. (Wu & Johnson 2021, arXiv 2105.07576, section 3.)
    """
    network.eval()
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # a plain average
    with torch.no_grad():
        for images, _ in batches.evaluation():
            with device.autocast():
                network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def judge(network: nn.Module, batches: Batches, device: Device, group: Group = ALONE) -> tuple[float, float]:
    """Accuracy and mean cross-entropy on images, which the processes of a group share out."""
    network.eval()
    if device.name == "cpu" and isinstance(network, Network) and network.spec.stages:
        network = folded(network)
    sums = torch.zeros(3, dtype=torch.float64, device=device.torch)
    with torch.inference_mode():
        for images, labels in batches.evaluation():
            with device.autocast():
                scores = network(images)
            scores = scores.float()
            sums[0] += (scores.argmax(1) == labels).sum()
            sums[1] += functional.cross_entropy(scores, labels, reduction="sum")
            sums[2] += len(labels)
    right, loss, count = group.total(sums).tolist()
    return right / count, loss / count
