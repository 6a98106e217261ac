"""What every data set is: labelled square images as bytes, in three parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PartName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Part:
    """Images ``uint8 [N, R, R, 3]`` and labels ``int64 [N]``; large sets are memory-mapped."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """A data set that gives its parts at any resolution.

    Attributes:
        name: as on the command line, e.g. ``fractals`` or ``folder:photos``.
        classes: class names; their order is the labels'.
        sizes: number of images of each part. ``validation`` is split from the training images and is
            what candidates are selected on; ``test`` is held out for the report.
        native_resolution: pixels of the stored images (short side); anything above is upsampled.
        fingerprint: changes when an image, a label or a split changes.
        notes: what the user should know (a split that was made, images left out).
        render: gives a part at a resolution; use :meth:`part`.
        files: of the images of each part, in their order, where every image is a file.
    """

    name: str
    classes: tuple[str, ...]
    sizes: Mapping[PartName, int]
    native_resolution: int
    fingerprint: str
    notes: tuple[str, ...]
    render: Callable[[PartName, int], Part]
    files: Mapping[PartName, tuple[Path, ...]] = field(default_factory=dict)

    def part(self, name: PartName, resolution: int) -> Part:
        """A part, resized once per resolution and cached on disk for other processes."""
        return self.render(name, resolution)
