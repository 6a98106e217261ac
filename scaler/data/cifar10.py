"""CIFAR-10 (Krizhevsky 2009): 60,000 photos of 32 x 32 pixels in 10 classes, from the official archive."""

from __future__ import annotations

import codecs
import hashlib
import pickle
import sys
import tarfile
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
        UserError: ``root`` has none of these, or the archive or the classes are others.
        MachineError: the download failed.
    """
    if root is None:
        return _from_batches(_unpacked(_downloaded()), seed)
    if (root / "train").is_dir():
        found = folder.source(root, name="cifar10", seed=seed, skip_unreadable=skip_unreadable)
        if found.classes != CLASSES:
            others = ", ".join(sorted({*found.classes} ^ {*CLASSES})[:5])
            raise UserError(
                f"the class folders in {root}/train are not those of CIFAR-10 (they differ in {others}); "
                f"for images of your own write --data folder:{root}"
            )
        return found
    for batches in (root, root / BATCHES):
        if (batches / _TRAIN[0]).is_file():
            return _from_batches(batches, seed)
    archive = root / Path(URL).name
    if archive.is_file():
        return _from_batches(_unpacked(archive), seed)
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
    target = cache.directory() / f"cifar10-{SHA256[:16]}"
    if not (target / BATCHES / "test_batch").is_file():
        with archive.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != SHA256:
                raise UserError(
                    f"{archive} is not the official CIFAR-10 archive (its SHA-256 differs); fetch {URL}"
                )
        with tarfile.open(archive) as members:
            members.extractall(target, filter="data")
    return target / BATCHES


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
        images = np.asarray(content[b"data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return images, np.asarray(content[b"labels"], dtype=np.int64)
    except (OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is not a readable CIFAR-10 batch ({error}); unpack {URL} again") from error


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
