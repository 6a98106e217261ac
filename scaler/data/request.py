"""Which data a run uses, as plain data that any process can load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scaler.data.dataset import DataSet


@dataclass(frozen=True)
class DataRequest:
    """The data of a run.

    Attributes:
        name: ``fractals``, ``digits``, ``cifar10`` or ``folder:PATH``.
        root: where downloaded sets lie; None is the cache.
        largest_resolution: of any network of the run, in pixels.
        upsample: images may be enlarged beyond their own size.
        skip_unreadable: leave images out that cannot be read, and count them.
    """

    name: str
    root: Path | None
    largest_resolution: int
    upsample: bool = False
    skip_unreadable: bool = False

    def load(self) -> DataSet:
        """The data set.

        Raises:
            UserError: there is no such data set, or its files are not as they should be.
        """
        from scaler.data.registry import load

        return load(
            self.name,
            root=self.root,
            largest_resolution=self.largest_resolution,
            allow_upsampling=self.upsample,
            skip_unreadable=self.skip_unreadable,
        )
