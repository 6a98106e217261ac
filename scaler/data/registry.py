"""Data sets by name. Nothing is imported until one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scaler.errors import UserError
from scaler.registry import Registry

if TYPE_CHECKING:
    from scaler.data.dataset import DataSet
    from scaler.data.source import Source


class DataModule(Protocol):
    """What the file of a data set holds.

    Attributes:
        USAGE: how ``--data`` takes it.
        ABOUT: what it is, in a line.
        open_source: finds its images, from what follows a colon in ``--data``, and the ``root``, ``seed`` and
            ``skip_unreadable`` of :func:`load`.
    """

    USAGE: str
    ABOUT: str

    open_source: Callable[[str, Path | None, int, bool], Source]


#: By what ``--data`` takes, their ``USAGE``.
DATA: Registry[DataModule] = Registry(
    "data set",
    "scaler.data",
    {
        "fractals": "fractals",
        "digits": "digits",
        "cifar10": "cifar10",
        "folder:PATH": "folder",
    },
)


def load(
    source: str,
    *,
    largest_resolution: int,
    root: Path | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    allow_upsampling: bool = False,
) -> DataSet:
    """A data set by the name that ``--data`` takes.

    Args:
        source: a key of :data:`DATA`, with a path in the place of ``PATH``; a path such as ``./photos`` alone
            is a folder's.
        largest_resolution: pixels of the largest images that will be asked for.
        root: ``--data-root``: where ``cifar10`` lies; what ``folder:PATH`` is relative to.
        seed: of the data (what is drawn, how parts are split), not of a run.
        skip_unreadable: leave broken images out and count them in the notes.
        allow_upsampling: permit resolutions above the stored images' own; the notes then say so.

    Raises:
        UserError: there is no such data set, it cannot be read, or its images are too small.
        MachineError: a full disk, a failed download.
    """
    from scaler.data.source import data_set

    name, colon, path = source.partition(":")
    if not colon and source.startswith(("./", "../", "/", "~/")):
        name, path = "folder", source
    if path and f"{name}:PATH" not in DATA and name in DATA:
        raise UserError(f"--data {name} takes nothing after a colon, and {path!r} is given; leave it out")
    usage = {known.partition(":")[0]: known for known in DATA}
    raw = DATA.find(usage.get(name, name)).open_source(path, root, seed, skip_unreadable)
    return data_set(raw, largest_resolution, allow_upsampling=allow_upsampling)
