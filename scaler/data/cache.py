"""Files made once and shared by every process: written beside, then renamed, then memory-mapped.

Two processes that make the same entry write two files of the same content; the later rename wins.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from scaler.errors import MachineError, UserError

Entry = TypeVar("Entry")

_FULL = (errno.ENOSPC, errno.EDQUOT)


def directory() -> Path:
    """``$SCALER_CACHE``, else ``$XDG_CACHE_HOME/scaler``, else ``~/.cache/scaler``."""
    if own := os.environ.get("SCALER_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "scaler"
    return Path("~/.cache/scaler").expanduser()


def images(
    name: str, count: int, resolution: int, chunks: Callable[[], Iterator[NDArray[np.uint8]]]
) -> NDArray[np.uint8]:
    """Images ``uint8 [count, resolution, resolution, 3]``, made on first use and memory-mapped.

    The mapping is private: writing to it changes neither the file nor what other processes see.

    Args:
        name: of the entry, relative to the cache directory, without suffix.
        count: number of images.
        resolution: their side in pixels.
        chunks: gives the images in order, some at a time; never are all of them in memory.

    Raises:
        UserError: the cache directory cannot be written.
        MachineError: the disk is full.
    """
    shape = (count, resolution, resolution, 3)

    def write(file: BinaryIO) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        written = 0
        # Plain writes, not a writable mapping: on a full disk those fail with an error, that with a signal.
        for chunk in chunks():
            file.write(np.ascontiguousarray(chunk, dtype=np.uint8).data)
            written += len(chunk)
        if written != count:
            raise ValueError(f"{name}: {written} images were drawn where {count} were announced")

    def read(path: Path) -> NDArray[np.uint8]:
        mapped: NDArray[np.uint8] = np.load(path, mmap_mode="c")
        if mapped.shape != shape or mapped.dtype != np.uint8:
            raise ValueError("another entry")
        return mapped

    return _entry(f"{name}.npy", write, read)


def document(name: str, make: Callable[[], Any], fits: Callable[[Any], bool] = lambda found: True) -> Any:
    """A JSON document, made on first use; raises as :func:`images` does.

    Args:
        name: of the entry, relative to the cache directory, without suffix.
        make: gives the document.
        fits: whether what the cache holds is such a document; else it is made again.
    """

    def write(file: BinaryIO) -> None:
        file.write(json.dumps(make()).encode())

    def read(path: Path) -> Any:
        found = json.loads(path.read_bytes())
        if not fits(found):
            raise ValueError("another document")
        return found

    return _entry(f"{name}.json", write, read)


def _entry(name: str, write: Callable[[BinaryIO], None], read: Callable[[Path], Entry]) -> Entry:
    """The entry that is there; one that is not, or that is damaged, is made anew."""
    path = directory() / name
    with contextlib.suppress(OSError, ValueError, EOFError, RecursionError):
        if path.is_file():
            return read(path)
    _make(path, write)
    return read(path)


def _make(path: Path, write: Callable[[BinaryIO], None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        where = directory()
        if error.errno in _FULL:
            raise MachineError(
                f"the disk is full while caching images in {where}; make room or set SCALER_CACHE elsewhere"
            ) from error
        raise UserError(
            f"cannot write the image cache {where} ({error.strerror}); set SCALER_CACHE to another folder"
        ) from error
