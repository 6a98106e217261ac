"""Files that are whole or not there at all, the tables and plain data in them, and what can go wrong.

Everything that Scaler writes goes through here, and the text that it reads.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.errors import MachineError, UserError

if TYPE_CHECKING:
    from pandas import DataFrame

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EROFS,
    errno.ETXTBSY,
    errno.EINVAL,
)


#: Bytes of the largest table or answer that is read.
LARGEST_TEXT = 256 << 20

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def read_bytes(path: Path, largest: int = LARGEST_TEXT) -> bytes:
    """The content of a file; of a pipe or a device, which may have no end, nothing is read.

    Raises:
        UserError: there is no such file, it is none, or it is larger than ``largest`` bytes.
    """
    try:
        # Opening a pipe waits for who writes to it, if it is not told not to.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a device")
                raise UserError(f"cannot read {path}: it is {kind}; give a file")
            if status.st_size > largest:
                raise _too_large(path, largest)
            # As much as there is: memory for the largest allowed would be taken at once.
            content = file.read(min(largest, max(status.st_size, 1 << 20)) + 1)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; give the path of one") from None
    except IsADirectoryError:
        raise UserError(f"cannot read {path}: it is a directory; give a file") from None
    except UserError:
        raise
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UserError(f"cannot read {path} ({reason}); give a file that can be read") from None
    # Some files of the system have no size before they are read, and others grow.
    if len(content) > largest:
        raise _too_large(path, largest)
    return content


def _too_large(path: Path, largest: int) -> UserError:
    return UserError(f"{path} is larger than {largest >> 10:,} KiB, the most that is read; make it smaller")


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """The text of a file.

    Raises:
        UserError: as :func:`read_bytes`, or the content is not UTF-8.
    """
    content = read_bytes(path, largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


@contextlib.contextmanager
def replacing(path: Path, option: str = "--results") -> Iterator[Path]:
    """A file beside ``path`` to write; it takes the place of ``path`` at the end, or goes if that fails.

    A link, a pipe or a device is not replaced: the file's content is written through it.

    Args:
        path: of the file.
        option: that the user can choose another place by.

    Raises:
        UserError: the place cannot be written.
        MachineError: the disk is full or failed.
    """
    with reported(path, option):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if path.is_symlink() or (path.exists() and not path.is_file()):
            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder) / f"new{path.suffix}"
                yield temporary
                _write_through(temporary, path)
            return
        # The ending stays, for libraries choose the format by it.
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
        try:
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, option: str = "--results") -> Path:
    """Write a file whole or not at all; raises as :func:`replacing` does."""
    with replacing(path, option) as temporary:
        temporary.write_bytes(content)
    return path


def _write_through(source: Path, target: Path) -> None:
    # A pipe that nobody reads would wait for ever.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as file, source.open("rb") as content:
        shutil.copyfileobj(content, file)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def reported(path: Path, option: str = "--results") -> Iterator[None]:
    """Turn what the operating system says about ``path`` into one sentence.

    Args:
        path: that is written.
        option: that the user can choose another place by.

    Raises:
        UserError: the place cannot be written.
        MachineError: the disk is full or failed.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in _FULL:
            raise MachineError(f"the disk is full: {path} was not written; free some space.") from error
        if error.errno == errno.ENXIO:
            raise UserError(f"nobody reads from the pipe {path}: choose another {option}.") from error
        if error.errno in _FORBIDDEN:
            raise UserError(f"{path} cannot be written ({reason}): choose another {option}.") from error
        raise MachineError(f"{path} could not be written: {reason}.") from error


def csv_text(table: DataFrame, formats: Mapping[str, str] | None = None) -> str:
    """A table as CSV; floats in the formats given (``.10g`` without), NaN and None as empty cells."""
    chosen = formats or {}
    text = table.astype(object)
    for column in table.columns:
        if table[column].dtype.kind == "f" or column in chosen:
            text[column] = [_number(value, chosen.get(column, ".10g")) for value in table[column]]
    return str(text.to_csv(index=False, lineterminator="\n"))


def _number(value: float | None, style: str) -> str:
    return "" if value is None or value != value else format(value, style)


def plain(data: Any) -> Any:
    """The same data as strict JSON can say it: numbers that are not finite become null."""
    match data:
        case None | bool() | str():
            return data
        case Mapping():
            return {str(key): plain(value) for key, value in data.items()}
        case list() | tuple():
            return [plain(value) for value in data]
        case Integral():
            return int(data)
        case Real():
            return float(data) if math.isfinite(data) else None
    if is_dataclass(data) and not isinstance(data, type):
        return plain(asdict(data))
    return str(data)
