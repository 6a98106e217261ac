"""Files that are whole or not there at all, the tables and plain data in them, and what can go wrong.

Everything that Scaler writes goes through here.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
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
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write; it takes the place of ``path`` at the end, or goes if that fails.

    Raises:
        UserError: the place cannot be written.
        MachineError: the disk is full or failed.
    """
    # The ending stays, for libraries choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with reported(path):
        try:
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; raises as :func:`replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn what the operating system says about ``path`` into one sentence.

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
        if error.errno in _FORBIDDEN:
            raise UserError(f"{path} cannot be written ({reason}): choose another --results.") from error
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
