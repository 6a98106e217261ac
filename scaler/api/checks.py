"""What can be told of a command before any work: numbers, names, devices and storages that are none."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.csv_files import Range
from scaler.errors import UserError

if TYPE_CHECKING:
    from scaler.execution.executors.engine import Engine

#: Seconds that a database server has to answer.
_PATIENCE = 10
#: Bytes of a file's name; the study has files beside it, whose names are a little longer.
_LONGEST_FILE = 200
#: Pixels of the largest images that a network is counted on.
MOST_PIXELS = 8192
#: Of coefficients of one's own; beyond them nothing grows that anybody would train.
_COEFFICIENT = Range(0.1, 10.0)
#: What numbers may be, by option.
RANGES = {
    "seed": Range(0, 2**63 - 1, whole=True),  # that every library takes
    "seeds": Range(1, 10_000, whole=True),
    "workers": Range(1, 512, whole=True),  # of one machine
    "se": Range(1),
    "alpha": _COEFFICIENT,
    "beta": _COEFFICIENT,
    "gamma": _COEFFICIENT,
    "depth": Range(most=100),
    "width": Range(most=100),
    "resolution": Range(most=MOST_PIXELS),
    "phi": Range(-20, 20),
    "small": Range(1, MOST_PIXELS, whole=True),
    "classes": Range(1, 1_000_000, whole=True),
    "batch": Range(1, 16_384, whole=True),
}


def check(
    *,
    device: str,
    name: str | None = None,
    storage: str | None = None,
    results: Path | None = None,
    engine: Engine | None = None,
) -> None:
    """Refuse what would fail later, after minutes of counting or in a run directory that is left behind.

    Raises:
        UserError: there is no such device, the name is none for a folder, the storage cannot be opened, or
            the results are no place for runs, or a cluster is named for an engine that has none.
    """
    from scaler.data.cache import directory
    from scaler.runs import check_name
    from scaler.training.device import resolve

    resolve(device)
    if engine is not None and engine.name != "ray" and engine.ray_address is not None:
        raise UserError("--ray-address is of --engine ray: give both, or leave it out")
    if name is not None:
        check_name(name)
    if storage is not None:
        _check_storage(storage)
    if results is not None:
        _check_folder("--results", results)
        _check_folder("SCALER_CACHE", directory())


def check_numbers(**given: float | None) -> None:
    """Refuse numbers that mean nothing, by the names of their options.

    Raises:
        UserError: a number is outside its range.
    """
    for name, value in given.items():
        allowed = RANGES[name]
        if value is None or value in allowed:
            continue
        bounds = (("at least", allowed.least), ("at most", allowed.most))
        told = " and ".join(f"{side} {bound:g}" for side, bound in bounds if math.isfinite(bound))
        kind = "whole" if allowed.whole else "finite"
        raise UserError(f"--{name.replace('_', '-')} {value} must be {told}, and {kind}")


def _check_folder(name: str, folder: Path) -> None:
    """The nearest folder that is there can be written to."""
    place = _nearest(folder)
    if not place.is_dir():
        raise UserError(f"{name} {folder}: {place} is no folder; choose another {name}")
    if place.is_relative_to("/proc") or not os.access(place, os.W_OK):
        raise UserError(f"{name} {folder}: {place} cannot be written; choose another {name}")
    if any(len(os.fsencode(part)) > _LONGEST_FILE for part in folder.parts):
        raise UserError(f"{name} has a name that is too long for a folder; choose another {name}")


def _check_storage(address: str) -> None:
    """A file can lie there, or a server answers."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        _check_file(Path(address), address)
    elif scheme.startswith("sqlite"):
        _check_file(Path(rest.removeprefix("/").partition("?")[0]), address)
    else:
        _check_server(address)


def _check_file(path: Path, address: str) -> None:
    place = path if os.path.lexists(path) else _nearest(path.parent)
    reason = ""
    if not path.name:
        reason = "it names no file"
    elif len(os.fsencode(path.name)) > _LONGEST_FILE:
        reason = "its name is too long"
    elif place == path and not path.is_file():
        reason = "it is a folder" if path.is_dir() else "it is no plain file"
    elif place != path and not place.is_dir():
        reason = f"{place} is no folder"
    elif not os.access(place, os.W_OK):
        reason = f"{place} cannot be written"
    if reason:
        raise UserError(
            f"--storage {_brief(address)} cannot be opened ({reason}): give another file, or a URL"
        )


def _check_server(address: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    from scaler.execution.storage import hidden

    patient = {"connect_args": {"connect_timeout": _PATIENCE}} if address.startswith("postgres") else {}
    try:
        create_engine(address, poolclass=NullPool, **patient).connect().close()
    # Every driver has its own errors for what the user gets wrong here.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--storage {_brief(hidden(address, address))} cannot be opened ("
            f"{hidden(reason, address)[:200]}): give a path, or a URL such as "
            "postgresql+psycopg://user@host/database, and install what it needs "
            "(pip install 'compound-scaler[postgres]')"
        ) from None


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next((one for one in (path, *path.parents) if os.path.lexists(one)), Path())


def _brief(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
