"""What can be told of a command line before any work: names, devices and storages that are none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from scaler.errors import UserError

#: Seconds that a database server has to answer.
_PATIENCE = 10


def check(
    *, device: str, name: str | None = None, storage: str | None = None, results: Path | None = None
) -> None:
    """Refuse what would fail later, after minutes of counting or in a run directory that is left behind.

    Raises:
        UserError: there is no such device, the name is none for a folder, the storage cannot be opened, or
            the results are no place for runs.
    """
    from scaler.runs import check_name
    from scaler.training.device import resolve

    resolve(device)
    if name is not None:
        check_name(name)
    if storage is not None:
        _check_storage(storage)
    if results is not None:
        _check_results(results)


def _check_results(results: Path) -> None:
    """The nearest folder that is there can be written to."""
    place = next((path for path in (results, *results.parents) if os.path.lexists(path)), Path())
    if not place.is_dir():
        raise UserError(f"--results {results}: {place} is no folder; choose another --results")
    if place.is_relative_to("/proc") or not os.access(place, os.W_OK):
        raise UserError(f"--results {results}: {place} cannot be written; choose another --results")
    if any(len(os.fsencode(part)) > 255 for part in results.parts):
        raise UserError("--results has a name that is too long for a folder; choose another --results")


def _check_storage(address: str) -> None:
    """A file can lie there, or a server answers."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        _check_file(Path(address), address)
    elif scheme.startswith("sqlite"):
        _check_file(Path(rest.removeprefix("/").partition("?")[0]), address)
    elif scheme.startswith("redis"):
        _ask(address, _ask_redis)
    else:
        _ask(address, _ask_database)


def _check_file(path: Path, address: str) -> None:
    reason = ""
    if not path.name:
        reason = "it names no file"
    elif len(os.fsencode(path.name)) > 200:
        reason = "its name is too long"
    elif path.exists() and not path.is_file():
        reason = "it is a folder" if path.is_dir() else "it is no plain file"
    elif not path.parent.is_dir():
        reason = f"there is no folder {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "it cannot be written"
    if reason:
        raise UserError(
            f"--storage {_brief(address)} cannot be opened ({reason}): give another file, or a URL"
        )


def _ask(address: str, connect: Callable[[str], None]) -> None:
    try:
        connect(address)
    # Every driver has its own errors for what the user gets wrong here.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"--storage {_brief(hidden(address))} cannot be opened ({hidden(lines[0])[:200]}): give a path, or a "
            "URL such as postgresql://user@host/database, and install what it needs"
        ) from None


def _ask_redis(address: str) -> None:
    import redis

    redis.Redis.from_url(address, socket_connect_timeout=_PATIENCE).ping()


def _ask_database(address: str) -> None:
    from sqlalchemy import create_engine

    patient = {"connect_args": {"connect_timeout": _PATIENCE}} if address.startswith("postgres") else {}
    engine = create_engine(address, **patient)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def hidden(text: str) -> str:
    """Without passwords."""
    return re.sub(r"://([^:/@\s]*):[^@\s]+@", r"://\1:***@", text)


def _brief(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
