"""What a data set brings, before any caching: labels, a fingerprint, and how to draw its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaler.data import cache
from scaler.data.dataset import DataSet, Part, PartName
from scaler.data.resize import squares
from scaler.errors import UserError

#: Images drawn or resized at a time.
CHUNK = 256
#: Between the files and a resolution stands one cached copy of at least twice that, within these bounds.
SMALLEST_COPY, LARGEST_COPY = 64, 256


@dataclass(frozen=True)
class Source:
    """A data set's raw side; :func:`data_set` makes a cached :class:`DataSet` of it.

    Attributes:
        name: as on the command line.
        classes: class names in the order of the labels.
        labels: class of every image, by part.
        native_resolution: short side of the smallest image, in pixels.
        fingerprint: changes when an image, a label or a split changes.
        notes: what the user should know.
        draw: gives the images of a part, in order, some at a time, as ``uint8 [n, R, R, 3]``. Can be pickled.
        any_resolution: ``draw`` takes any resolution; otherwise only the native one.
        files: of the images of each part, where every image is a file.
    """

    name: str
    classes: tuple[str, ...]
    labels: Mapping[PartName, NDArray[np.int64]]
    native_resolution: int
    fingerprint: str
    notes: tuple[str, ...]
    draw: Callable[[PartName, int], Iterator[NDArray[np.uint8]]]
    any_resolution: bool = False
    files: Mapping[PartName, tuple[Path, ...]] = field(default_factory=dict)


def refuse_files(name: str, root: Path | None, skip_unreadable: bool) -> None:
    """Refuse what is said of files, for data that have none.

    Raises:
        UserError: something is.
    """
    for option, given in (("--data-root", root is not None), ("--skip-unreadable", skip_unreadable)):
        if given:
            raise UserError(f"{option} is not used by {name}, whose images are in no files: leave it out")


def data_set(source: Source, largest_resolution: int, *, allow_upsampling: bool = False) -> DataSet:
    """A data set that draws, resizes and caches on demand.

    Raises:
        UserError: ``largest_resolution`` exceeds the stored images' own and ``allow_upsampling`` is off.
    """
    notes = source.notes
    if largest_resolution > source.native_resolution:
        if not allow_upsampling:
            raise _too_small(source.name, source.native_resolution, largest_resolution)
        notes += (
            f"images of {source.native_resolution} px and more are upsampled to {largest_resolution} px",
        )
    return DataSet(
        name=source.name,
        classes=source.classes,
        sizes={part: len(labels) for part, labels in source.labels.items()},
        native_resolution=source.native_resolution,
        fingerprint=source.fingerprint,
        notes=notes,
        render=partial(_render, source, allow_upsampling),
        files=source.files,
    )


def drawn_at(source: Source, resolution: int) -> int:
    """The resolution that images for ``resolution`` are drawn at and kept.

    A function of the resolution alone, so that a part looks the same whichever resolutions were used
    before. Twice the next power of two or more: a second resampling then blurs little, and a search
    over neighbouring resolutions decodes every image once.
    """
    if not source.any_resolution:
        return source.native_resolution
    copy = max(SMALLEST_COPY, 2 << (resolution - 1).bit_length())
    if copy > LARGEST_COPY or resolution > source.native_resolution:
        return resolution
    return min(copy, source.native_resolution)


def _render(source: Source, allow_upsampling: bool, name: PartName, resolution: int) -> Part:
    if resolution > source.native_resolution and not allow_upsampling:
        raise _too_small(source.name, source.native_resolution, resolution)
    labels = source.labels[name]
    folder = f"{source.name.split(':')[0]}-{source.fingerprint[:16]}"

    drawn = drawn_at(source, resolution)

    def kept(side: int, chunks: Callable[[], Iterator[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
        # Images drawn at 64 px are not those drawn at 128 px and resized to 64: entries say both.
        return cache.images(f"{folder}/{name}-{drawn}-{side}", len(labels), side, chunks)

    def resized() -> Iterator[NDArray[np.uint8]]:
        images = kept(drawn, partial(source.draw, name, drawn))
        for start in range(0, len(images), CHUNK):
            yield squares(images[start : start + CHUNK], resolution)

    if drawn == resolution:
        return Part(kept(drawn, partial(source.draw, name, drawn)), labels)
    return Part(kept(resolution, resized), labels)


def _too_small(name: str, native: int, asked: int) -> UserError:
    return UserError(
        f"the smallest image of {name} has {native} px, smaller than the {asked} px asked for; "
        "use a smaller resolution or phi, or allow upsampling by `upsample: true` under `proxy` in the "
        "search space"
    )
