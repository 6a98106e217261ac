"""A progress bar under a notebook's cell."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import Progress

#: Seconds between two states of a bar in a notebook.
_BLINK = 0.3


class NotebookProgress(Progress):
    """A bar under a notebook's cell. Rich's own needs ipywidgets there, and is gone when the file is read."""

    _handle: Any = None
    _last = 0.0

    def start(self) -> None:
        from IPython.display import display

        if not self.disable:
            self._handle = display(self, display_id=True)  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.update(self)

    def refresh(self) -> None:
        if self._handle is not None and time.monotonic() - self._last > _BLINK:
            self._last = time.monotonic()
            self._handle.update(self)
