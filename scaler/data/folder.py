"""Images in folders, ``PART/CLASS/*.jpg``, as ImageNet and most users have them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaler.cores import cores
from scaler.data import cache
from scaler.data.dataset import PartName
from scaler.data.resize import DRAWN, NoWhiteError, decode, formats, short_side
from scaler.data.source import CHUNK, Source
from scaler.data.split import hold_out
from scaler.errors import UserError
from scaler.files import read_bytes

USAGE = "folder:PATH"
ABOUT = "your images in PATH/train/CLASS/ and PATH/val/CLASS/ or PATH/test/CLASS/"

#: Names of the folders that a set can have beside ``train``.
HELD_OUT = ("val", "test")
#: Bytes of the largest image file that is read.
LARGEST_FILE = 512 << 20


@dataclass(frozen=True)
class Files:
    """Image files of one folder, e.g. ``train/``: paths below the set's root and their class numbers."""

    paths: tuple[str, ...]
    labels: NDArray[np.int64]

    def rows(self, rows: NDArray[np.int64]) -> Files:
        """Some of the files."""
        return Files(tuple(self.paths[row] for row in rows), self.labels[rows])


def open_source(path: str, root: Path | None, seed: int, skip_unreadable: bool) -> Source:
    """As :class:`scaler.data.registry.DataModule` has it."""
    if not path:
        raise UserError("--data folder needs a path, such as folder:photos")
    try:
        where = Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"--data folder:{path} begins with no user's home; write it in full") from None
    name = f"folder:{path}"
    return source(
        where if root is None else root / where, name=name, seed=seed, skip_unreadable=skip_unreadable
    )


def source(root: Path, *, name: str, seed: int = 0, skip_unreadable: bool = False) -> Source:
    """The data set in a folder.

    ``val`` and ``test`` beside ``train`` are validation and test part. With one of them only, it is the
    test part; what is missing is split off ``train``. The fingerprint is of names and contents, so it
    survives copying.

    Args:
        root: the folder that holds ``train/``.
        name: of the data set.
        seed: of the splits.
        skip_unreadable: leave broken images out instead of stopping at the first.

    Raises:
        UserError: a folder is missing, empty or cannot be listed, classes differ between parts, an image is
            unreadable, or a class is too small to split.
    """
    classes, folders = _listed(root)
    sides, digests, broken = _examined(root, folders)
    notes: list[str] = []
    if broken:
        first, why = next(iter(broken.items()))
        told = f"the first is {first}" + (f" ({why})" if why else "")
        if not skip_unreadable:
            raise UserError(
                f"{len(broken)} image(s) below {root} cannot be read, {told}; "
                "mend or remove them, or use --skip-unreadable to leave them out"
            )
        notes.append(f"{len(broken)} unreadable image(s) left out, {told}")
        gone = set(broken)
        folders = {part: _without(files, gone) for part, files in folders.items()}
        _refuse_empty(root, classes, folders)
    parts, split_notes = _parts(classes, folders, seed)
    digest = hashlib.sha256(repr((classes, seed)).encode())
    for part, files in sorted(parts.items()):
        for path in files.paths:
            digest.update(os.fsencode(f"{part}:{path}:{digests[path]};"))
    return Source(
        name=name,
        classes=classes,
        labels={part: files.labels for part, files in parts.items()},
        native_resolution=min(sides[path] for files in parts.values() for path in files.paths),
        fingerprint=digest.hexdigest(),
        notes=(*notes, *split_notes),
        draw=partial(_draw, root, {part: files.paths for part, files in parts.items()}),
        any_resolution=True,
        files={part: tuple(root / path for path in files.paths) for part, files in parts.items()},
    )


def _parts(
    classes: tuple[str, ...], folders: Mapping[str, Files], seed: int
) -> tuple[dict[PartName, Files], tuple[str, ...]]:
    """Train, validation and test from what folders there are, and what was decided."""
    train, held = folders["train"], [part for part in HELD_OUT if part in folders]
    if len(held) == 2:
        return {"train": train, "validation": folders["val"], "test": folders["test"]}, ()
    if held:
        test = folders[held[0]]
        note = f"{held[0]}/ is held out as the test part; validation is split off train/"
    else:
        rest, taken = hold_out(train.labels, classes, seed, "test")
        train, test = train.rows(rest), train.rows(taken)
        note = "there is no val/ or test/ folder; validation and test part are split off train/"
    rest, taken = hold_out(train.labels, classes, seed, "validation")
    return {"train": train.rows(rest), "validation": train.rows(taken), "test": test}, (note,)


def _listed(root: Path) -> tuple[tuple[str, ...], dict[str, Files]]:
    """Class names in natural order and the image files of every folder."""
    if not is_folder(root):
        raise UserError(f"there is no folder {root}; it should hold train/CLASS/ with images")
    if not is_folder(root / "train"):
        raise UserError(f"{root} has no folder train/; put the images in {root}/train/CLASS/")
    found = {part: _classes(root / part) for part in ("train", *HELD_OUT) if is_folder(root / part)}
    classes = found["train"]
    for part, names in found.items():
        if differing := sorted(set(names) ^ set(classes), key=_natural):
            shown = ", ".join(differing[:5]) + (" ..." if len(differing) > 5 else "")
            raise UserError(
                f"train/ and {part}/ of {root} do not have the same classes; only one has: {shown}"
            )
    folders = {part: _files(root, part, classes) for part in found}
    _refuse_empty(root, classes, folders)
    return classes, folders


def is_folder(path: Path) -> bool:
    """Whether a folder is there.

    Raises:
        UserError: that cannot be told.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise unlistable(path, error) from error


def unlistable(folder: Path | str, error: OSError) -> UserError:
    """What the operating system says about a folder, in one sentence."""
    reason = (error.strerror or str(error)).lower()
    return UserError(f"the folder {folder} cannot be read ({reason}); mend it or name another")


def _classes(folder: Path) -> tuple[str, ...]:
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    except OSError as error:
        raise unlistable(folder, error) from error
    names = [entry.name for entry in entries if _is_folder(entry)]
    if not names and any(_is_image(entry.name) for entry in entries):
        raise UserError(f"{folder} holds images and no class folders; move them to {folder}/CLASS/")
    if not names:
        raise UserError(f"{folder} is empty; it should hold one folder of images per class")
    if len(names) < 2:
        raise UserError(f"{folder} has a single class, {names[0]}; to classify, at least two are needed")
    return tuple(sorted(names, key=_natural))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise UserError(
            f"the class {entry.path} cannot be read ({error.strerror}): mend or remove it"
        ) from error


def _files(root: Path, part: str, classes: tuple[str, ...]) -> Files:
    def refuse(error: OSError) -> None:
        # Passed over, the folder's images would be missing without a word.
        raise unlistable(error.filename, error) from error

    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        top = os.path.join(root, "")
        found = [
            os.path.join(folder, file).removeprefix(top)
            for folder, _, files in os.walk(root / part / name, onerror=refuse)
            for file in files
            if _is_image(file)
        ]
        paths += sorted(found)
        labels += [label] * len(found)
    return Files(tuple(paths), np.array(labels, dtype=np.int64))


def _refuse_empty(root: Path, classes: tuple[str, ...], folders: Mapping[str, Files]) -> None:
    for part, files in folders.items():
        counts = np.bincount(files.labels, minlength=len(classes))
        for name, count in zip(classes, counts, strict=True):
            if count == 0:
                raise UserError(
                    f"the class folder {root / part / name} has no readable image; fill or remove it"
                )


def _without(files: Files, gone: set[str]) -> Files:
    return files.rows(
        np.array([row for row, path in enumerate(files.paths) if path not in gone], dtype=np.int64)
    )


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in _extensions()


@lru_cache(1)
def _extensions() -> frozenset[str]:
    # Those that are drawn are told of as unreadable, not passed over.
    known = (*formats(), *DRAWN)
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in known)


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sorts ``class2`` before ``class10``; of ``1`` and ``01``, which count alike, the text decides."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name


def _examined(
    root: Path, folders: Mapping[str, Files]
) -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """Short side and content digest of every image, and why the unreadable ones are.

    Every file is read and decoded once; the outcome is kept under names, sizes and times of change.
    """
    paths = [path for files in folders.values() for path in files.paths]
    key = hashlib.sha256(os.fsencode(root.resolve()))
    for path in paths:
        key.update(os.fsencode(f"{path}:{_stamp(os.path.join(root, path))};"))

    def examine(some: list[str]) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        with ThreadPoolExecutor(cores()) as threads:
            # Some at a time: what waits for a thread takes ten times the memory of what comes of it.
            for start in range(0, len(some), CHUNK):
                found += threads.map(_examine, (root / path for path in some[start : start + CHUNK]))
        return found

    name = f"folder-index/{key.hexdigest()[:32]}"
    kept = cache.document(name, partial(examine, paths), partial(_is_index, len(paths)))
    seen = dict(zip(paths, kept, strict=True))
    # Not only a broken file fails: memory, descriptors or a network were short, and may no longer be.
    failed = [path for path in paths if seen[path][0] == 0]
    seen.update(zip(failed, examine(failed), strict=True))
    sides = {path: int(side) for path, (side, _) in seen.items()}
    digests = {path: str(digest) for path, (_, digest) in seen.items()}
    return sides, digests, {path: digests[path] for path in failed if sides[path] == 0}


def _stamp(path: str) -> str:
    """Size and times of change, of content and of permissions; nothing of a link that leads nowhere."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def _is_index(count: int, found: Any) -> bool:
    """Whether a document of the cache is what :func:`_examined` wrote of so many images."""
    return (
        isinstance(found, list)
        and len(found) == count
        and all(isinstance(entry, list) and list(map(type, entry)) == [int, str] for entry in found)
    )


def _examine(path: Path) -> tuple[int, str]:
    """Short side and digest of the content; of an unreadable image 0, and why if that can be told."""
    try:
        content = read_bytes(path, LARGEST_FILE)
        return short_side(content), hashlib.blake2b(content, digest_size=16).hexdigest()
    except NoWhiteError as error:
        return 0, str(error)
    # A broken file can make a decoder fail in any way.
    except Exception:
        return 0, ""


def _draw(
    root: Path, paths: Mapping[PartName, tuple[str, ...]], part: PartName, resolution: int
) -> Iterator[NDArray[np.uint8]]:
    def read(path: str) -> NDArray[np.uint8]:
        try:
            return decode(read_bytes(root / path, LARGEST_FILE), resolution)
        except Exception as error:
            raise UserError(
                f"the image {root / path} cannot be read ({error}); mend it, or leave it out by "
                "--skip-unreadable"
            ) from error

    with ThreadPoolExecutor(cores()) as threads:
        for start in range(0, len(paths[part]), CHUNK):
            yield np.stack(list(threads.map(read, paths[part][start : start + CHUNK])))
