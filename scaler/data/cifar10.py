"""CIFAR-10 (Krizhevsky 2009): 60,000 photos of 32 x 32 pixels in 10 classes, from the official archive."""

from __future__ import annotations

import codecs
import hashlib
import os
import pickle
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaler.data import cache, folder
from scaler.data.dataset import PartName
from scaler.data.source import Source
from scaler.data.split import hold_out
from scaler.errors import MachineError, UserError
from scaler.files import reported

USAGE = "cifar10"
ABOUT = "photos, 32 px, 10 classes; downloaded once (170 MB), or from --data-root"

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
BATCHES = "cifar-10-batches-py"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))


def open_source(path: str, root: Path | None, seed: int, skip_unreadable: bool) -> Source:
    """As :class:`scaler.data.registry.DataModule` has it."""
    return source(root, seed=seed, skip_unreadable=skip_unreadable)


def source(root: Path | None, *, seed: int = 0, skip_unreadable: bool = False) -> Source:
    """CIFAR-10 from a folder, or downloaded into the cache.

    Args:
        root: holds the official archive, its unpacked batches, or ``train/CLASS/`` and ``test/CLASS/``;
            None downloads the archive.
        seed: of the validation split.
        skip_unreadable: for images in class folders.

    Raises:
        UserError: ``root`` has none of these or cannot be read, or the archive or the classes are others.
        MachineError: the download failed.
    """
    if root is None:
        return _from_batches(_unpacked(_downloaded()), seed)
    if folder.is_folder(root / "train"):
        found = folder.source(root, name="cifar10", seed=seed, skip_unreadable=skip_unreadable)
        if found.classes != CLASSES:
            others = ", ".join(sorted({*found.classes} ^ {*CLASSES})[:5])
            raise UserError(
                f"the class folders in {root}/train are not those of CIFAR-10 (they differ in {others}); "
                f"for images of your own write --data folder:{root}"
            )
        return found
    try:
        place = _found(root)
    except OSError as error:
        raise folder.unlistable(root, error) from error
    return _from_batches(place if place.is_dir() else _unpacked(place), seed)


def _found(root: Path) -> Path:
    """The folder of batches, or the archive, that lies in a folder."""
    for batches in (root, root / BATCHES):
        if (batches / _TRAIN[0]).is_file():
            return batches
    archive = root / Path(URL).name
    if archive.is_file():
        return archive
    raise UserError(
        f"no CIFAR-10 in {root}: it should hold {archive.name}, the folder {BATCHES}, or train/CLASS/ and "
        "test/CLASS/ with images; without --data-root the official archive is downloaded"
    )


def _downloaded() -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        path = pooch.retrieve(
            URL,
            known_hash=SHA256,
            fname=Path(URL).name,
            path=cache.directory(),
            progressbar=sys.stderr.isatty(),
        )
    except (OSError, ValueError, requests.RequestException) as error:
        raise MachineError(
            f"could not download CIFAR-10 from {URL} ({error}); "
            "fetch it elsewhere and give its folder as --data-root"
        ) from error
    return Path(path)


def _unpacked(archive: Path) -> Path:
    """The folder of batches from the official archive, unpacked into the cache once."""
    target = cache.directory() / f"{BATCHES}-{SHA256[:16]}"
    if folder.is_folder(target):
        return target
    if _sha256(archive) != SHA256:
        raise UserError(f"{archive} is not the official CIFAR-10 archive (its SHA-256 differs); fetch {URL}")
    with reported(target, "SCALER_CACHE"):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside it first: what was interrupted would be taken for whole.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as beside:
            with tarfile.open(archive) as members:
                members.extractall(beside, filter="data")
            _put(Path(beside, BATCHES), target)
    return target


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({str(error.strerror).lower()}); mend it") from error


def _put(batches: Path, target: Path) -> None:
    try:
        os.replace(batches, target)
    except OSError:
        # Another process was faster, and has unpacked the same.
        if not target.is_dir():
            raise


def _from_batches(batches: Path, seed: int) -> Source:
    files: dict[str, tuple[str, ...]] = {"train": _TRAIN, "test": ("test_batch",)}
    digest = hashlib.sha256(repr(seed).encode())
    labels: dict[str, NDArray[np.int64]] = {}
    for pool, names in files.items():
        found = []
        for name in names:
            _, content = _read(batches / name)
            found.append(content)
            digest.update(hashlib.sha256((batches / name).read_bytes()).digest())
        labels[pool] = np.concatenate(found)
    rest, held = hold_out(labels["train"], CLASSES, seed, "validation")
    rows: dict[PartName, NDArray[np.int64]] = {
        "train": rest,
        "validation": held,
        "test": np.arange(len(labels["test"])),
    }
    return Source(
        name="cifar10",
        classes=CLASSES,
        labels={part: labels["test" if part == "test" else "train"][chosen] for part, chosen in rows.items()},
        native_resolution=32,
        fingerprint=digest.hexdigest(),
        notes=("validation is split off the 50,000 training images",),
        draw=partial(_draw, batches, rows),
    )


def _draw(
    batches: Path, rows: Mapping[PartName, NDArray[np.int64]], part: PartName, resolution: int
) -> Iterator[NDArray[np.uint8]]:
    first = 0
    for name in ("test_batch",) if part == "test" else _TRAIN:
        images, _ = _read(batches / name)
        chosen = rows[part]
        yield images[chosen[(chosen >= first) & (chosen < first + len(images))] - first]
        first += len(images)


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images ``uint8 [N, 32, 32, 3]`` and labels of one batch file."""
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
    # A file from elsewhere can make the unpickler fail in any way.
    except Exception as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(content, dict):
        raise _unreadable(path, f"it holds no dictionary but a {type(content).__name__}")
    try:
        pixels, labels = np.asarray(content[b"data"]), np.asarray(content[b"labels"])
        images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    except (KeyError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if pixels.dtype != np.uint8 or labels.dtype.kind not in "iu":
        raise _unreadable(path, "its pixels are no bytes, or its labels no whole numbers")
    if labels.shape != (len(images),) or not len(images):
        raise _unreadable(path, f"it has {len(images)} images and {labels.size} labels")
    if ((labels < 0) | (labels >= len(CLASSES))).any():
        raise _unreadable(path, f"a label is not from 0 to {len(CLASSES) - 1}")
    return images, labels.astype(np.int64)


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is not a readable CIFAR-10 batch ({reason}); unpack {URL} again")


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and plain values; a file from elsewhere must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        # Named by hand: the official files name modules that numpy has moved since.
        allowed = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module.split(".")[0] == "numpy" and name in allowed:
            return allowed[name]
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
