"""Data sets by name. Nothing is imported until one is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaler.errors import UserError

if TYPE_CHECKING:
    from scaler.data.dataset import DataSet
    from scaler.data.source import Source

#: One line per data set, as ``--data`` takes it.
DATA = {
    "fractals": "drawn from iterated function systems; nothing to download; 64 classes (the default)",
    "digits": "scikit-learn's handwritten digits, 8 px, 10 classes; for the quickest look",
    "cifar10": "photos, 32 px, 10 classes; downloaded once (170 MB), or from --data-root",
    "folder:PATH": "your images in PATH/train/CLASS/ and PATH/val/CLASS/ or PATH/test/CLASS/",
}


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
        source: a key of :data:`DATA`.
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

    raw = _source(source, root, seed, skip_unreadable)
    return data_set(raw, largest_resolution, allow_upsampling=allow_upsampling)


def _source(name: str, root: Path | None, seed: int, skip_unreadable: bool) -> Source:
    if name == "fractals":
        from scaler.data import fractals

        return fractals.source(seed=seed)
    if name == "digits":
        from scaler.data import digits

        return digits.source(seed)
    if name == "cifar10":
        from scaler.data import cifar10

        return cifar10.source(root, seed=seed, skip_unreadable=skip_unreadable)
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        from scaler.data import folder

        where = Path(path).expanduser()
        return folder.source(
            where if root is None else root / where, name=name, seed=seed, skip_unreadable=skip_unreadable
        )
    raise UserError(f"unknown data set {name!r}; there are: {', '.join(DATA)}")
