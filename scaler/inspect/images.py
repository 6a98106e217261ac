"""The images that networks are shown: some of a data set, or pictures from files; and which are telling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scaler.data.batches import subset
from scaler.data.dataset import DataSet, PartName
from scaler.data.resize import decode
from scaler.errors import UserError
from scaler.inspect.subjects import Subject, prepared
from scaler.networks.build import Network

#: Label of an image whose class nobody told.
UNKNOWN = -1

_MOST_DIGITS = 18
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Images:
    """Some images, at any resolution.

    Attributes:
        names: for people; unique.
        labels: ``int64 [N]``; :data:`UNKNOWN` where there is none.
        rows: places in the part of the data set; :data:`UNKNOWN` for pictures from elsewhere.
        at: gives them at a resolution, ``uint8 [N, R, R, 3]``.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    at: Callable[[int], NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.names)

    def some(self, places: NDArray[np.int64]) -> Images:
        """Those at these places."""
        return Images(
            tuple(self.names[place] for place in places),
            self.labels[places],
            self.rows[places],
            lambda resolution: self.at(resolution)[places],
        )


def told(images: Images, network: Network, data: DataSet | None) -> Images:
    """The images without their classes, where a network tells others than the data have."""
    if data is None or len(data.classes) == network.spec.classes:
        return images
    return replace(images, labels=np.full(len(images), UNKNOWN))


def of_part(data: DataSet, part: PartName, rows: NDArray[np.int64]) -> Images:
    """Rows of a part of a data set."""
    return Images(
        tuple(_name(data, part, int(row)) for row in rows),
        _labels(data, part)[rows],
        rows,
        lambda resolution: data.part(part, resolution).images[rows],
    )


def sample(data: DataSet, part: PartName, count: int) -> Images:
    """``count`` images of a part, drawn evenly from the classes, the same for every network; 0 is all."""
    return of_part(data, part, subset(_labels(data, part), count, 0))


def _labels(data: DataSet, part: PartName) -> NDArray[np.int64]:
    # They do not depend on the resolution, and small images cost least.
    return data.part(part, min(data.native_resolution, 8)).labels


def named(names: Sequence[str], data: DataSet | None, part: PartName) -> Images:
    """Images by number in the part, by file name in the data set, or by path.

    Raises:
        UserError: there is no such image, or it cannot be read.
    """
    found = [_find(name, data, part) for name in names]
    return Images(
        tuple(image.names[0] for image in found),
        np.concatenate([image.labels for image in found]),
        np.concatenate([image.rows for image in found]),
        lambda resolution: np.concatenate([image.at(resolution) for image in found]),
    )


def _find(name: str, data: DataSet | None, part: PartName) -> Images:
    if not Path(name).name:
        raise _no_image(name)
    if data is not None:
        # Of the digits, `isdigit` knows some that make no number.
        if name.isdecimal():
            # Python reads no number of thousands of digits.
            if len(name) > _MOST_DIGITS or int(name) >= data.sizes[part]:
                raise UserError(
                    f"there is no image {name}: the {part} part of {data.name} ends at {data.sizes[part] - 1}"
                )
            return of_part(data, part, np.array([int(name)]))
        ends = [row for row, file in enumerate(data.files.get(part, ())) if file.match(name)]
        if len(ends) == 1:
            return of_part(data, part, np.array(ends))
        if ends:
            raise UserError(f"{len(ends)} images of {data.name} are named {name!r}: write more of the path")
    return from_file(Path(name))


def from_file(path: Path) -> Images:
    """A picture of no known class.

    Raises:
        UserError: it is not there or cannot be read.
    """
    try:
        content = path.read_bytes()
        decode(content, 8)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise _no_image(str(path)) from error
    except _UNREADABLE as error:
        raise UserError(f"the picture {path} cannot be read: {error}") from error
    unknown = np.array([UNKNOWN])
    return Images((path.name,), unknown, unknown, lambda resolution: decode(content, resolution)[None])


def _no_image(name: str) -> UserError:
    return UserError(f"there is no image {name!r}: give a number, a file name in the data, or a path")


def _name(data: DataSet, part: PartName, row: int) -> str:
    files = data.files.get(part)
    return "/".join(files[row].parts[-2:]) if files else f"{part}-{row}"


def probabilities(
    subject: Subject, images: Images, data: DataSet | None, batch: int = 128
) -> NDArray[np.float32]:
    """What a network says of each image, ``[N, classes]``."""
    statistics = subject.statistics(data)
    pixels = images.at(subject.resolution)
    with torch.no_grad():
        scores = [
            subject.network(prepared(pixels[start : start + batch], statistics)).softmax(1)
            for start in range(0, len(pixels), batch)
        ]
    found: NDArray[np.float32] = torch.cat(scores).numpy()
    return found


def disagreements(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], int]:
    """Images on which networks disagree: those that divide them most evenly into right and wrong.

    Among images that divide them alike, classes take turns, in the order of the images. Which network is
    right plays no part. Where too few divide them, others fill up.

    Args:
        predicted: class by network and image, ``[networks, N]``.
        labels: true classes ``[N]``.
        count: how many.

    Returns:
        Their places, and how many of them divide the networks.
    """
    right = (predicted == labels).sum(axis=0)
    evenness = np.minimum(right, len(predicted) - right)
    turn = np.zeros(len(labels), dtype=np.int64)
    for level in np.unique(evenness):
        for label in np.unique(labels):
            alike = np.flatnonzero((evenness == level) & (labels == label))
            turn[alike] = np.arange(len(alike))
    chosen = np.lexsort((np.arange(len(labels)), turn, -evenness))[:count]
    return chosen, int((evenness[chosen] > 0).sum())
