"""A data set of coloured stripes and a network that learns it in seconds."""

import numpy as np

from scaler.data.dataset import DataSet, Part, PartName
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

CLASSES = 4
SIZES: dict[PartName, int] = {"train": 96, "validation": 48, "test": 40}


def stripes(resolution: int, images: int, seed: int) -> Part:
    """Stripes of one of four directions and any phase, with noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % CLASSES
    rows, columns = np.mgrid[:resolution, :resolution]
    directions = np.stack([rows, columns, rows + columns, rows - columns])[labels]
    waves = np.sin(directions * 1.6 + random.uniform(0, 6, (images, 1, 1)))
    pixels = 128 + 80 * waves[..., None] + random.normal(0, 12, (images, resolution, resolution, 3))
    return Part(pixels.clip(0, 255).astype(np.uint8), labels.astype(np.int64))


def data_set() -> DataSet:
    return DataSet(
        name="stripes",
        classes=tuple("abcd"),
        sizes=SIZES,
        native_resolution=16,
        fingerprint="stripes",
        notes=(),
        render=lambda name, resolution: stripes(resolution, SIZES[name], len(name)),
    )


def network(resolution: int = 8) -> NetworkSpec:
    """A very thin EfficientNet-B0 without its last stages."""
    whole = scale(small(base("effnet-b0"), resolution), Multipliers(1, 0.25), Rounding(divisor=4))
    return whole.__class__(**{**whole.__dict__, "stages": whole.stages[:3]})
