"""scikit-learn's bundled handwritten digits: 1,797 images of 8 x 8 pixels; for the quickest look."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaler.data.dataset import PartName
from scaler.data.source import Source, refuse_files
from scaler.data.split import hold_out

USAGE = "digits"
ABOUT = "scikit-learn's handwritten digits, 8 px, 10 classes; for the quickest look"


def open_source(path: str, root: Path | None, seed: int, skip_unreadable: bool) -> Source:
    """As :class:`scaler.data.registry.DataModule` has it."""
    refuse_files(USAGE, root, skip_unreadable)
    return source(seed)


@lru_cache(maxsize=8)
def source(seed: int = 0) -> Source:
    """The digits with a fifth held out for the test and a fifth of the rest for validation."""
    rows_of_file = _bundled()
    labels = rows_of_file[:, -1].astype(np.int64)
    grey = np.round(rows_of_file[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=3)
    classes = tuple(str(digit) for digit in range(10))
    rest, test = hold_out(labels, classes, seed, "test")
    kept, held = hold_out(labels[rest], classes, seed, "validation")
    rows: dict[PartName, NDArray[np.int64]] = {"train": rest[kept], "validation": rest[held], "test": test}
    digest = hashlib.sha256(images.tobytes() + labels.tobytes())
    digest.update(repr(seed).encode())
    return Source(
        name="digits",
        classes=classes,
        labels={part: labels[chosen] for part, chosen in rows.items()},
        native_resolution=8,
        fingerprint=digest.hexdigest(),
        notes=("validation and test part are split off the 1,797 images",),
        draw=partial(_draw, {part: images[chosen] for part, chosen in rows.items()}),
    )


def _bundled() -> NDArray[np.uint8]:
    """A row per image: 64 pixels from 0 to 16, and the digit.

    Read as a file: importing scikit-learn takes two seconds, of every process that trains.
    """
    (package,) = importlib.util.find_spec("sklearn").submodule_search_locations or ()  # type: ignore[union-attr, misc]
    return np.loadtxt(Path(package) / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.uint8)


def _draw(
    images: Mapping[PartName, NDArray[np.uint8]], part: PartName, resolution: int
) -> Iterator[NDArray[np.uint8]]:
    yield images[part]
